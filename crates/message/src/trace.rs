//! Trace fields (RFC 5321 §4.4): written on reception and final delivery, counted against loops.
//!
//! No `for` clause is ever written: it would tell one recipient of another. Texts from outside are reduced to characters that can neither end
//! the field nor open a comment.

use crate::date;
use crate::header;
use mail_types::{Domain, ReversePath, Timestamp};
use std::net::IpAddr;

/// What is known when a message comes in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What the client said in EHLO or HELO.
    pub from_helo: &'a str,
    /// Its network address; none leaves it out.
    pub peer_ip: Option<IpAddr>,
    /// Our name.
    pub by: &'a str,
    /// RFC 3848 word: `ESMTP`, `ESMTPS`, `ESMTPSA`.
    pub protocol: &'a str,
    /// Our identifier of the transaction.
    pub id: &'a str,
    /// TLS version, such as `TLSv1.3`.
    pub tls: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// The Received field, folded, with its final CRLF.
pub fn received(facts: &Received<'_>) -> Vec<u8> {
    let Received { peer_ip, tls, .. } = *facts;
    let peer = peer_ip.map(|ip| format!(" ({})", address_literal(ip))).unwrap_or_default();
    let tls = tls.map(|version| format!(" ({})", clean(version))).unwrap_or_default();
    format!(
        "Received: from {}{peer}\r\n\tby {} with {}{tls} id {};\r\n\t{}\r\n",
        clean(facts.from_helo),
        clean(facts.by),
        clean(facts.protocol),
        clean(facts.id),
        date::rfc5322(facts.at),
    )
    .into_bytes()
}

/// The Return-Path field, with its final CRLF.
pub fn return_path(path: &ReversePath) -> Vec<u8> {
    format!("Return-Path: <{path}>\r\n").into_bytes()
}

/// What is wrong with the author of a message that another operator brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorDoubt {
    /// The operator may not speak for that domain, or nobody can be read.
    NotListed,
    /// Whether it may could not be said.
    Doubtful,
}

/// The field that warns readers of an author for whom nobody vouches, with its final CRLF: `X-Vaguemestre-From: not-listed; domain=NAME`, or
/// `doubtful; domain=NAME`. The one that counts stands right below our own Received field; a message with nothing to warn of has none there.
pub fn author_doubt(doubt: AuthorDoubt, domain: Option<&Domain>) -> Vec<u8> {
    let word = match doubt {
        AuthorDoubt::NotListed => "not-listed",
        AuthorDoubt::Doubtful => "doubtful",
    };
    let domain = domain.map(|domain| format!(";\r\n\tdomain={}", clean(domain.as_str()))).unwrap_or_default();
    format!("X-Vaguemestre-From: {word}{domain}\r\n").into_bytes()
}

/// How many Received fields a header has; too many mean a loop (RFC 5321 §6.3).
pub fn count_received(header: &[u8]) -> usize {
    header::fields(header).filter(|field| field.is("Received")).count()
}

fn address_literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// Names, literals and identifiers are made of these characters; anything else becomes `?`.
fn clean(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._[]:/+".contains(c) { c } else { '?' };
    let cleaned: String = text.chars().take(255).map(safe).collect();
    if cleaned.is_empty() { "unknown".to_owned() } else { cleaned }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(from_helo: &str) -> Received<'_> {
        Received {
            from_helo,
            peer_ip: "2001:db8::1".parse().ok(),
            by: "mx.example",
            protocol: "ESMTPS",
            id: "0a1b",
            tls: Some("TLSv1.3"),
            at: Timestamp(1_795_248_240_000),
        }
    }

    #[test]
    fn the_field_is_folded_and_names_no_recipient() {
        assert_eq!(
            String::from_utf8(received(&facts("client.example"))).unwrap(),
            "Received: from client.example ([IPv6:2001:db8::1])\r\n\tby mx.example with ESMTPS (TLSv1.3) id 0a1b;\r\n\t\
             Sat, 21 Nov 2026 08:04:00 +0000\r\n"
        );
        let local = Received { peer_ip: None, tls: None, ..facts("[192.0.2.1]") };
        assert!(
            received(&local)
                .starts_with(b"Received: from [192.0.2.1]\r\n\tby mx.example with ESMTPS id 0a1b;")
        );
    }

    #[test]
    fn a_peer_cannot_inject_lines_or_comments() {
        let long = "x".repeat(5000);
        for helo in ["a\r\nBcc: b@c", "a) (b", "a\n\n", "é\0", "a;b", &long, ""] {
            let field = received(&facts(helo));
            assert_eq!(header::fields(&field).count(), 1, "{helo:?}");
            assert_eq!(field.iter().filter(|b| **b == b'\n').count(), 3);
            assert_eq!(field.iter().filter(|b| **b == b';').count(), 1);
            assert!(field.split(|b| *b == b'\n').all(|line| line.len() < 998));
        }
    }

    #[test]
    fn hops_are_counted_in_the_header_only() {
        let header = b"Return-Path: <>\r\nReceived: a\r\nRECEIVED: b\r\n\tReceived: c\r\n\r\nReceived: d\r\n";
        assert_eq!(count_received(header), 2);
        assert_eq!(return_path(&ReversePath::Null), b"Return-Path: <>\r\n");
    }
}
