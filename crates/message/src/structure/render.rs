//! BODYSTRUCTURE (RFC 9051 §7.5.2) from the scanned parts, in one pass over one buffer.

use super::imap_text::{nstring, number, parameters, string};
use super::scanner::{Part, TopFacts};
use super::{Kind, Node, Structure, without};
use crate::mime_fields::Parameter;
use std::ops::Range;

const OCTET_STREAM: (&str, &str) = ("application", "octet-stream");

/// Renders the parts, which are in document order and not empty.
pub(super) fn structure(total: u64, mut parts: Vec<Part>, top: TopFacts) -> Structure {
    let mut writer = Writer::default();
    writer.write_all(&parts);
    let envelope = parts.first_mut().and_then(|root| root.envelope.take()).unwrap_or_default();
    Structure {
        total,
        nodes: parts.into_iter().map(node).collect(),
        envelope,
        body: without(&writer.out, &writer.extensions),
        bodystructure: writer.out,
        extensions: writer.extensions,
        message_id: top.message_id,
        references: Some(top.references),
        date: top.date,
        sent_day: top.sent_day,
    }
}

fn node(part: Part) -> Node {
    let charset = part.content_type.parameter("charset").map(lossy);
    let (media_type, subtype) = shown_type(&part);
    Node {
        kind: part.kind,
        depth: part.depth,
        charset,
        encoding: lossy(part.fields.encoding.as_deref().unwrap_or(b"7bit")),
        media_type: media_type.to_owned(),
        subtype: subtype.to_owned(),
        header: part.header,
        body: part.body,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shown_type(part: &Part) -> (&str, &str) {
    match part.kind {
        Kind::Opaque => OCTET_STREAM,
        _ => (&part.content_type.media_type, &part.content_type.subtype),
    }
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    extensions: Vec<Range<usize>>,
}

impl Writer {
    fn write_all(&mut self, parts: &[Part]) {
        let mut open: Vec<&Part> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            while open.last().is_some_and(|holder| holder.depth >= part.depth) {
                self.leave(open.pop());
            }
            self.enter(part, parts.get(index + 1));
            open.push(part);
        }
        while !open.is_empty() {
            self.leave(open.pop());
        }
    }

    /// Writes what comes before the parts of a part.
    fn enter(&mut self, part: &Part, next: Option<&Part>) {
        self.out.push(b'(');
        if part.kind == Kind::Multipart {
            return;
        }
        self.basic_fields(part);
        if part.kind == Kind::Message {
            self.out.push(b' ');
            let envelope = next.and_then(|embedded| embedded.envelope.as_deref());
            self.out.extend_from_slice(envelope.unwrap_or_default());
            self.out.push(b' ');
        }
    }

    /// Writes what comes after the parts of a part.
    fn leave(&mut self, part: Option<&Part>) {
        let Some(part) = part else { return };
        if part.kind == Kind::Multipart {
            self.out.push(b' ');
            string(part.content_type.subtype.as_bytes(), &mut self.out);
        } else if part.kind == Kind::Message || is_text(part) {
            self.out.push(b' ');
            number(part.lines, &mut self.out);
        }
        let start = self.out.len();
        self.extension_fields(part);
        self.extensions.push(start..self.out.len());
        self.out.push(b')');
    }

    fn basic_fields(&mut self, part: &Part) {
        let (media_type, subtype) = shown_type(part);
        let out = &mut self.out;
        string(media_type.as_bytes(), out);
        out.push(b' ');
        string(subtype.as_bytes(), out);
        out.push(b' ');
        parameters(&shown_parameters(part), out);
        out.push(b' ');
        nstring(part.fields.id.as_deref(), out);
        out.push(b' ');
        nstring(part.fields.description.as_deref(), out);
        out.push(b' ');
        string(part.fields.encoding.as_deref().unwrap_or(b"7bit"), out);
        out.push(b' ');
        number(part.body.end - part.body.start, out);
    }

    fn extension_fields(&mut self, part: &Part) {
        let out = &mut self.out;
        out.push(b' ');
        if part.kind == Kind::Multipart {
            parameters(&part.content_type.parameters, out);
        } else {
            nstring(part.fields.md5.as_deref(), out);
        }
        out.push(b' ');
        match &part.fields.disposition {
            Some((kind, list)) => {
                out.push(b'(');
                string(kind, out);
                out.push(b' ');
                parameters(list, out);
                out.push(b')');
            }
            None => out.extend_from_slice(b"NIL"),
        }
        out.push(b' ');
        languages(&part.fields.languages, out);
        out.push(b' ');
        nstring(part.fields.location.as_deref(), out);
    }
}

/// A list even of one, as other servers send it.
fn languages(tags: &[Vec<u8>], out: &mut Vec<u8>) {
    if tags.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    for (i, tag) in tags.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        string(tag, out);
    }
    out.push(b')');
}

fn is_text(part: &Part) -> bool {
    shown_type(part).0.eq_ignore_ascii_case("text")
}

/// The parameters, with the charset that `text/plain` has by default.
fn shown_parameters(part: &Part) -> Vec<Parameter> {
    let mut list = part.content_type.parameters.clone();
    let plain = part.kind == Kind::Leaf && part.content_type.is("text", "plain");
    if plain && part.content_type.parameter("charset").is_none() {
        list.push((b"charset".to_vec(), b"us-ascii".to_vec()));
    }
    list
}
