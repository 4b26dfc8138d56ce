//! The parts of a message as a reader takes them: what to read, and what is attached.
//!
//! What is read is `text/plain` and `text/html` that no sender called an attachment: the message itself, the choices of `multipart/alternative`, the
//! first part of `multipart/related`, and the unnamed ones of any other multipart. All else is attached, an embedded message as one piece.

use super::value::Value;
use super::{Kind, Node, SectionRange, Structure};
use crate::header::decode_value;
use crate::text::{Encoding, decode_charset};
use crate::transfer::hex_pair;

/// What a part is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartRole {
    /// `text/plain` to be read.
    Text,
    /// `text/html` to be read.
    Html,
    /// Anything else.
    Attachment,
}

/// A part without parts, or an embedded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, `1.2` as `[1, 2]` (RFC 9051 §6.4.5).
    pub path: Vec<u32>,
    /// What it is to its reader.
    pub role: PartRole,
    /// Type and subtype in lower case, `application/pdf`.
    pub media_type: String,
    /// The charset parameter, as written.
    pub charset: Option<String>,
    /// How it is encoded for transfer.
    pub encoding: Encoding,
    /// The name that its sender gave it, decoded; not a safe file name.
    pub name: Option<String>,
    /// Content-ID, as written.
    pub content_id: Option<String>,
    /// Whether its sender wants it shown in place (RFC 2183 §2.1).
    pub is_inline: bool,
    /// Its octets, still encoded.
    pub body: SectionRange,
}

impl Structure {
    /// The parts of the message, in order, those of embedded messages left out.
    pub fn parts(&self) -> Vec<Part> {
        let Some(root) = Value::parse(&self.bodystructure) else { return Vec::new() };
        let mut walk = Walk { nodes: self.nodes.iter().peekable(), parts: Vec::new(), path: Vec::new() };
        let is_single = !root.at(0).is_list();
        walk.path.extend(is_single.then_some(1));
        // What the structure does not agree on with itself is left out: only damage does that.
        let _ = walk.visit(&root, Place { is_read: true, is_first: true });
        walk.parts
    }
}

/// Where a part stands.
#[derive(Clone, Copy)]
struct Place {
    /// Whether text is read here, rather than attached.
    is_read: bool,
    /// Whether it is the first of its multipart, or the message itself.
    is_first: bool,
}

struct Walk<'s> {
    nodes: std::iter::Peekable<std::slice::Iter<'s, Node>>,
    parts: Vec<Part>,
    path: Vec<u32>,
}

impl Walk<'_> {
    /// Recursion is bounded by [`DEPTH_MAX`](super::DEPTH_MAX): nothing deeper was ever written.
    fn visit(&mut self, value: &Value, place: Place) -> Option<()> {
        let node = self.nodes.next()?;
        if node.kind != Kind::Multipart {
            let part = part(node, value, place, &self.path);
            while self.nodes.next_if(|inner| inner.depth > node.depth).is_some() {}
            self.parts.push(part);
            return Some(());
        }
        let is_related = node.subtype.eq_ignore_ascii_case("related");
        let is_alternative = node.subtype.eq_ignore_ascii_case("alternative");
        let children = value.list().iter().take_while(|child| child.is_list());
        for (number, child) in (1..).zip(children) {
            let is_first = number == 1;
            let place = Place {
                is_read: place.is_read && (is_first || !is_related),
                is_first: is_first || is_alternative,
            };
            self.path.push(number);
            self.visit(child, place)?;
            self.path.pop();
        }
        Some(())
    }
}

fn part(node: &Node, value: &Value, place: Place, path: &[u32]) -> Part {
    let is_text = node.media_type.eq_ignore_ascii_case("text");
    // Lines follow the size of a text; envelope, structure and lines that of a message.
    let extension = match node.kind {
        Kind::Message => 10,
        _ if is_text => 8,
        _ => 7,
    };
    let disposition = value.at(extension + 1);
    let kind = disposition.at(0).text().unwrap_or_default();
    let is = |word: &[u8]| kind.eq_ignore_ascii_case(word);
    let name = parameter(disposition.at(1), b"filename").or_else(|| parameter(value.at(2), b"name"));
    let is_read =
        is_text && place.is_read && (place.is_first || name.is_none()) && (kind.is_empty() || is(b"inline"));
    let role = match node.subtype.to_ascii_lowercase().as_str() {
        "plain" if is_read => PartRole::Text,
        "html" if is_read => PartRole::Html,
        _ => PartRole::Attachment,
    };
    Part {
        path: path.to_vec(),
        role,
        media_type: format!("{}/{}", node.media_type, node.subtype).to_ascii_lowercase(),
        charset: node.charset.clone(),
        encoding: Encoding::named(&node.encoding),
        name,
        content_id: value.at(3).text().map(|id| String::from_utf8_lossy(id).into_owned()),
        is_inline: is(b"inline"),
        body: node.body.clone(),
    }
}

/// The value of a parameter, in RFC 2231 §4 form before the plain one, which senders write as encoded words.
fn parameter(list: &Value, name: &[u8]) -> Option<String> {
    let pairs = || list.list().chunks_exact(2).filter_map(|pair| Some((pair[0].text()?, pair[1].text()?)));
    let is_extended =
        |known: &[u8]| known.strip_suffix(b"*").is_some_and(|base| base.eq_ignore_ascii_case(name));
    let extended = pairs().find(|(known, _)| is_extended(known)).and_then(|(_, value)| extended(value));
    let plain = || pairs().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let name = extended.or_else(|| plain().map(|(_, value)| decode_value(value)))?;
    (!name.trim().is_empty()).then_some(name)
}

/// `charset'language'text`, its octets as `%` and two digits.
fn extended(value: &[u8]) -> Option<String> {
    let mut pieces = value.splitn(3, |b| *b == b'\'');
    let (charset, _, mut text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let mut octets = Vec::with_capacity(text.len());
    while let Some((&b, tail)) = text.split_first() {
        match hex_pair(tail).filter(|_| b == b'%') {
            Some(octet) => {
                octets.push(octet);
                text = &tail[2..];
            }
            None => {
                octets.push(b);
                text = tail;
            }
        }
    }
    let charset = std::str::from_utf8(charset).ok().filter(|charset| !charset.is_empty());
    Some(decode_charset(&octets, charset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::StructureScanner;

    fn shown(message: &str) -> Vec<String> {
        let mut scanner = StructureScanner::new();
        scanner.push(message.replace('\n', "\r\n").as_bytes());
        let show = |part: Part| {
            let numbers: Vec<String> = part.path.iter().map(u32::to_string).collect();
            let name = part.name.as_deref().unwrap_or("-");
            format!("{} {:?} {} {name}", numbers.join("."), part.role, part.media_type)
        };
        scanner.finish().parts().into_iter().map(show).collect()
    }

    #[test]
    fn a_message_without_parts_is_its_own() {
        assert_eq!(shown("Subject: x\n\nbonjour\n"), ["1 Text text/plain -"]);
        assert_eq!(
            shown("Content-Type: application/pdf; name=\"a.pdf\"\n\nx"),
            ["1 Attachment application/pdf a.pdf"]
        );
        assert_eq!(shown("Content-Disposition: attachment\n\nbonjour\n"), ["1 Attachment text/plain -"]);
    }

    #[test]
    fn what_is_read_is_told_from_what_is_attached() {
        let message = "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/related; boundary=r\n\n\
            --r\nContent-Type: multipart/alternative; boundary=a\n\n--a\n\ntexte\n--a\nContent-Type: text/html\n\n<p>\n--a--\n\
            --r\nContent-Type: image/png\nContent-ID: <i@x>\nContent-Disposition: inline\n\nx\n--r--\n\
            --m\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=e\n\n--e\n\nin\n--e\n\nin\n--e--\n\
            --m\nContent-Type: text/plain\nContent-Disposition: attachment;\n filename*0*=utf-8''r%C3%A9; filename*1=sultat.txt\n\nx\n\
            --m\nContent-Type: text/plain\n\nsuite\n\
            --m\nContent-Type: text/csv; name=\"=?utf-8?Q?=C3=A9.csv?=\"\n\nx\n--m--\n";
        assert_eq!(
            shown(message),
            [
                "1.1.1 Text text/plain -",
                "1.1.2 Html text/html -",
                "1.2 Attachment image/png -",
                "2 Attachment message/rfc822 -",
                "3 Attachment text/plain résultat.txt",
                "4 Text text/plain -",
                "5 Attachment text/csv é.csv",
            ]
        );
    }

    #[test]
    fn the_octets_of_a_part_are_those_of_its_section() {
        let message = "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nun\r\n--m\r\nContent-Type: message/rfc822\r\n\r\n\
            A: b\r\n\r\ndeux\r\n--m\r\n\r\ntrois\r\n--m--\r\n";
        let mut scanner = StructureScanner::new();
        scanner.push(message.as_bytes());
        let structure = scanner.finish();
        let parts = structure.parts();
        assert_eq!(parts.len(), 3);
        for part in parts {
            let section = structure.section(&part.path, crate::structure::SectionKind::Content);
            assert_eq!(Some(part.body), section);
        }
    }
}
