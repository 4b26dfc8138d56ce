//! Delivery status notifications (RFC 3464) in a multipart/report (RFC 6522).
//!
//! What a peer said goes into one field as printable ASCII of bounded length: it can add no line. The notification is 7-bit but for
//! an 8-bit original that is returned whole, which is then declared. Whom to notify, and whether, is not decided here.

mod original;
mod wording;

use crate::date;
use crate::submission::bracketed;
use crate::{encoded_word, transfer};
use mail_types::{Address, Domain, EnhancedCode, Timestamp};
use original::Part;
use std::fmt;
use std::fmt::Write as _;

/// RFC 3464 §2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Not delivered, and will not be.
    Failed,
    /// Not delivered yet; attempts go on.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a server that sends no notifications.
    Relayed,
    /// Delivered to more than one address in the recipient's place.
    Expanded,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        })
    }
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct RecipientReport<'a> {
    /// The address delivery was attempted to.
    pub final_recipient: &'a Address,
    /// ORCPT as received: `rfc822;` and xtext.
    pub original_recipient: Option<&'a str>,
    /// What happened.
    pub action: Action,
    /// RFC 3463 code.
    pub status: EnhancedCode,
    /// The server that answered.
    pub remote_mta: Option<&'a str>,
    /// What it answered, such as `550 5.1.1 No such mailbox`.
    pub diagnostic: Option<&'a str>,
    /// When the last attempt was.
    pub last_attempt: Option<Timestamp>,
    /// Until when attempts go on, of a delayed message.
    pub retry_until: Option<Timestamp>,
}

/// What of the original comes back (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug)]
pub enum Returned<'a> {
    /// Its header.
    Header(&'a [u8]),
    /// All of it. A message with lines that SMTP cannot carry comes back as its header.
    Full(&'a [u8]),
}

/// A notification to be.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Our name; the notification comes from its MAILER-DAEMON.
    pub reporting_mta: &'a Domain,
    /// The reverse-path of the original.
    pub to: &'a Address,
    /// Message-ID of the notification. It must be unpredictable: the boundary is made of it.
    pub message_id: &'a str,
    /// Date of the notification.
    pub at: Timestamp,
    /// When the original was accepted.
    pub arrival: Option<Timestamp>,
    /// ENVID as received, xtext.
    pub envelope_id: Option<&'a str>,
    /// At least one.
    pub recipients: &'a [RecipientReport<'a>],
    /// What comes back.
    pub returned: Returned<'a>,
}

/// The notification, ready to be queued with the null reverse-path: CRLF lines of at most 998 octets.
pub fn build(report: &Report<'_>) -> Vec<u8> {
    let seed: String = report.message_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let (original, boundary) = original::part(report.returned, &seed);
    let mut out = header(report, &original, &boundary).into_bytes();
    let text = transfer::quoted_printable_lines(wording::text(report.recipients).as_bytes());
    let preamble = format!(
        "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    );
    out.extend_from_slice(preamble.as_bytes());
    out.extend_from_slice(&text);
    let status =
        format!("\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n{}", status(report));
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n",
            original.content_type, original.encoding
        )
        .as_bytes(),
    );
    out.extend_from_slice(&original.body);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

fn header(report: &Report<'_>, original: &Part<'_>, boundary: &str) -> String {
    let mta = report.reporting_mta;
    format!(
        "From: MAILER-DAEMON@{mta}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: {}\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\
         Content-Transfer-Encoding: {}\r\n\r\n",
        report.to,
        encoded_word::encode(wording::subject(report.recipients)),
        date::rfc5322(report.at),
        bracketed(report.message_id),
        if original.encoding == "8bit" { "8bit" } else { "7bit" },
    )
}

/// The body of the message/delivery-status part.
fn status(report: &Report<'_>) -> String {
    let mut out = format!("Reporting-MTA: dns; {}\r\n", report.reporting_mta);
    let mut line = |name: &str, value: String| _ = write!(out, "{name}: {value}\r\n");
    if let Some(id) = report.envelope_id {
        line("Original-Envelope-Id", printable(&from_xtext(id), TEXT_MAX));
    }
    if let Some(arrival) = report.arrival {
        line("Arrival-Date", date::rfc5322(arrival));
    }
    for recipient in report.recipients {
        out.push_str("\r\n");
        out.push_str(&recipient_fields(recipient));
    }
    out
}

fn recipient_fields(recipient: &RecipientReport<'_>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| _ = write!(out, "{name}: {value}\r\n");
    if let Some((kind, xtext)) = recipient.original_recipient.and_then(|orcpt| orcpt.split_once(';')) {
        line(
            "Original-Recipient",
            format!("{}; {}", word(kind, 40), printable(&from_xtext(xtext), TEXT_MAX)),
        );
    }
    line("Final-Recipient", format!("rfc822; {}", recipient.final_recipient));
    line("Action", recipient.action.to_string());
    line("Status", recipient.status.to_string());
    if let Some(mta) = recipient.remote_mta {
        line("Remote-MTA", format!("dns; {}", word(mta, 255)));
    }
    if let Some(diagnostic) = recipient.diagnostic {
        line("Diagnostic-Code", format!("smtp; {}", printable(diagnostic.as_bytes(), TEXT_MAX)));
    }
    if let Some(at) = recipient.last_attempt {
        line("Last-Attempt-Date", date::rfc5322(at));
    }
    if let Some(until) = recipient.retry_until.filter(|_| recipient.action == Action::Delayed) {
        line("Will-Retry-Until", date::rfc5322(until));
    }
    out
}

const TEXT_MAX: usize = 800;

/// Foreign text on one line: printable ASCII, runs of anything blank made one space, everything else `?`.
fn printable(text: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            _ if out.len() >= limit => break,
            '!'..='~' => out.push(c),
            c if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ => out.push('?'),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// A foreign name: no white space at all.
fn word(text: &str, limit: usize) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && *c != ';').take(limit).collect()
}

/// RFC 3461 §4 xtext: `+` and two hexadecimal digits stand for an octet.
fn from_xtext(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match (b, transfer::hex_pair(tail)) {
            (b'+', Some(octet)) => {
                out.push(octet);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests;
