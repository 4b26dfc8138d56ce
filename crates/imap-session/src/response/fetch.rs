//! Items of FETCH responses (RFC 3501 §7.4.2). The caller puts a space between two items; ENVELOPE and BODYSTRUCTURE are written by
//! `message`.

use super::{MONTHS, line_end, number, strings};
use crate::command::{FetchItem, Section, SectionText};
use mail_types::{SystemFlags, Timestamp};
use std::io::Write as _;

/// How a FETCH response names its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `* n FETCH (`
    Number(u32),
    /// `* n FETCH (UID u`
    Both(u32, u32),
    /// `* u UIDFETCH (` (RFC 9586)
    Uid(u32),
}

impl Named {
    /// Whether [`fetch_begin`] writes an item, so that a space must follow it.
    pub const fn has_item(self) -> bool {
        matches!(self, Self::Both(..))
    }
}

/// `* n FETCH (`, with the UID if it is to be told.
pub fn fetch_begin(out: &mut Vec<u8>, named: Named) {
    let (first, word) = match named {
        Named::Number(number) | Named::Both(number, _) => (number, " FETCH ("),
        Named::Uid(uid) => (uid, " UIDFETCH ("),
    };
    out.extend_from_slice(b"* ");
    number(out, u64::from(first));
    out.extend_from_slice(word.as_bytes());
    if let Named::Both(_, uid) = named {
        out.extend_from_slice(b"UID ");
        number(out, u64::from(uid));
    }
}

/// `MODSEQ (n)` (RFC 7162)
pub fn modseq(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(b"MODSEQ (");
    number(out, value);
    out.push(b')');
}

/// `)` and the line end.
pub fn fetch_end(out: &mut Vec<u8>) {
    out.push(b')');
    line_end(out);
}

/// The whole of `* n FETCH (UID u FLAGS (…) MODSEQ (m))`; the modification sequence only if given.
pub fn fetch_flags<'a>(
    out: &mut Vec<u8>,
    named: Named,
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'a str>,
    recent: bool,
    told_modseq: Option<u64>,
) {
    fetch_begin(out, named);
    if named.has_item() {
        out.push(b' ');
    }
    out.extend_from_slice(b"FLAGS ");
    strings::flags(out, system, keywords, recent);
    if let Some(value) = told_modseq {
        out.push(b' ');
        modseq(out, value);
    }
    fetch_end(out);
}

/// The whole of `* n FETCH (UID u MODSEQ (m))`: what a silent STORE is answered with (RFC 7162 §3.1.3).
pub fn fetch_modseq(out: &mut Vec<u8>, named: Named, value: u64) {
    fetch_begin(out, named);
    if named.has_item() {
        out.push(b' ');
    }
    modseq(out, value);
    fetch_end(out);
}

/// `date-time`, in UTC and quoted: `"17-Jul-1996 02:44:25 +0000"`. Years before 0 and after 9999 are written as those.
pub fn internal_date(out: &mut Vec<u8>, instant: Timestamp) {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let secs = instant.secs().clamp(FIRST, LAST);
    let when = time::OffsetDateTime::from_unix_timestamp(secs).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let month = MONTHS.get(usize::from(u8::from(when.month())) - 1).copied().unwrap_or_default();
    let (day, year) = (when.day(), when.year());
    let (hour, minute, second) = when.to_hms();
    write!(out, "\"{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000\"")
        .expect("writing to a Vec cannot fail");
}

/// `BODY[section]<origin>`, the name under which a section is answered; PEEK is never repeated.
pub fn body_section_label(out: &mut Vec<u8>, section: &Section, origin: Option<u64>) {
    out.extend_from_slice(b"BODY[");
    part_numbers(out, &section.part);
    if !section.part.is_empty() && section.text != SectionText::Whole {
        out.push(b'.');
    }
    section_text(out, &section.text);
    out.push(b']');
    origin_of(out, origin);
}

/// `BINARY[part]<origin>` or `BINARY.SIZE[part]`, the name under which such an item is answered (RFC 3516).
pub fn binary_label(out: &mut Vec<u8>, item: &FetchItem) {
    let (label, part, origin): (&[u8], _, _) = match item {
        FetchItem::Binary { part, partial, .. } => (b"BINARY[", part, partial.map(|partial| partial.origin)),
        FetchItem::BinarySize { part } => (b"BINARY.SIZE[", part, None),
        _ => return,
    };
    out.extend_from_slice(label);
    part_numbers(out, part);
    out.push(b']');
    origin_of(out, origin);
}

fn part_numbers(out: &mut Vec<u8>, part: &[u32]) {
    for (i, number) in part.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        super::number(out, u64::from(*number));
    }
}

fn origin_of(out: &mut Vec<u8>, origin: Option<u64>) {
    if let Some(origin) = origin {
        out.push(b'<');
        number(out, origin);
        out.push(b'>');
    }
}

/// The name under which an item of the RFC822 family is answered, and the section it stands for; `None` for other items.
pub fn rfc822_label(item: &FetchItem) -> Option<(&'static str, Section)> {
    let (label, text) = match item {
        FetchItem::Rfc822 => ("RFC822", SectionText::Whole),
        FetchItem::Rfc822Header => ("RFC822.HEADER", SectionText::Header),
        FetchItem::Rfc822Text => ("RFC822.TEXT", SectionText::Text),
        _ => return None,
    };
    Some((label, Section { part: Vec::new(), text }))
}

fn section_text(out: &mut Vec<u8>, text: &SectionText) {
    let (word, names): (&[u8], _) = match text {
        SectionText::Whole => (b"", None),
        SectionText::Header => (b"HEADER", None),
        SectionText::Text => (b"TEXT", None),
        SectionText::Mime => (b"MIME", None),
        SectionText::HeaderFields(names) => (b"HEADER.FIELDS ", Some(names)),
        SectionText::HeaderFieldsNot(names) => (b"HEADER.FIELDS.NOT ", Some(names)),
    };
    out.extend_from_slice(word);
    if let Some(names) = names {
        strings::list(out, names, |out, name| strings::astring(out, name.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_section_is_named_as_it_was_asked() {
        let fields = SectionText::HeaderFields(vec!["Date".into(), "X(a".into()]);
        for (part, text, origin, label) in [
            (vec![], SectionText::Whole, None, "BODY[]"),
            (vec![], SectionText::Header, Some(0), "BODY[HEADER]<0>"),
            (vec![1, 2], SectionText::Whole, None, "BODY[1.2]"),
            (vec![4, 1], SectionText::Mime, Some(7), "BODY[4.1.MIME]<7>"),
            (vec![3], fields, None, "BODY[3.HEADER.FIELDS (Date \"X(a\")]"),
        ] {
            let section = Section { part, text };
            assert_eq!(written(|out| body_section_label(out, &section, origin)), label);
        }
    }

    #[test]
    fn a_decoded_part_is_named_as_it_was_asked() {
        let partial = Some(crate::command::Partial { origin: 7, length: 2 });
        for (item, label) in [
            (FetchItem::Binary { part: vec![1, 2], peek: true, partial: None }, "BINARY[1.2]"),
            (FetchItem::Binary { part: vec![], peek: false, partial }, "BINARY[]<7>"),
            (FetchItem::BinarySize { part: vec![3] }, "BINARY.SIZE[3]"),
        ] {
            assert_eq!(written(|out| binary_label(out, &item)), label);
        }
    }

    #[test]
    fn dates_are_written_in_utc_whatever_the_instant() {
        let date = |secs| written(|out| internal_date(out, Timestamp::from_secs(secs)));
        assert_eq!(date(837_596_665), "\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(date(0), "\"01-Jan-1970 00:00:00 +0000\"");
        assert_eq!(date(i64::MAX), "\"31-Dec-9999 23:59:59 +0000\"");
        assert_eq!(date(i64::MIN), "\"01-Jan-0000 00:00:00 +0000\"");
    }

    #[test]
    fn unsolicited_flags_carry_a_uid_only_when_asked() {
        let line =
            |named, modseq| written(|out| fetch_flags(out, named, SystemFlags::SEEN, ["a"], false, modseq));
        assert_eq!(line(Named::Number(3), None), "* 3 FETCH (FLAGS (\\Seen a))\r\n");
        assert_eq!(line(Named::Both(3, 9), Some(4)), "* 3 FETCH (UID 9 FLAGS (\\Seen a) MODSEQ (4))\r\n");
        assert_eq!(line(Named::Uid(9), None), "* 9 UIDFETCH (FLAGS (\\Seen a))\r\n");
        assert_eq!(
            written(|out| fetch_modseq(out, Named::Both(1, 4), 12)),
            "* 1 FETCH (UID 4 MODSEQ (12))\r\n"
        );
    }
}
