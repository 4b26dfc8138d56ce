//! ESEARCH (RFC 4731, RFC 9051 §7.3.4, RFC 9394 §3.1).

use super::{line_end, number, quoted_or_literal};
use crate::command::PartialRange;
use crate::sequence::format_uids;

/// What is told of the messages found. What was not asked for, and what there is none of, is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Esearch<'f> {
    /// The tag of the command that is answered.
    pub tag: &'f str,
    /// The numbers are UIDs.
    pub by_uid: bool,
    /// MIN
    pub min: Option<u32>,
    /// MAX
    pub max: Option<u32>,
    /// COUNT
    pub count: Option<usize>,
    /// ALL, in the order in which they are to be written; nothing when empty.
    pub all: &'f [u32],
    /// PARTIAL: the range asked for, and what it holds.
    pub partial: Option<(PartialRange, &'f [u32])>,
    /// MODSEQ (RFC 7162 §3.1.10): the highest of what is told, when it was among the criteria.
    pub modseq: Option<u64>,
}

/// `* ESEARCH (TAG "…") …`
pub fn esearch(out: &mut Vec<u8>, told: &Esearch<'_>) {
    out.extend_from_slice(b"* ESEARCH (TAG ");
    quoted_or_literal(out, told.tag.as_bytes());
    out.push(b')');
    if told.by_uid {
        out.extend_from_slice(b" UID");
    }
    let numbers = [
        ("MIN", told.min.map(u64::from)),
        ("MAX", told.max.map(u64::from)),
        ("COUNT", told.count.map(|n| n as u64)),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            item(out, name);
            number(out, value);
        }
    }
    if !told.all.is_empty() {
        item(out, "ALL");
        out.extend_from_slice(format_uids(told.all).as_bytes());
    }
    if let Some((range, held)) = told.partial {
        item(out, "PARTIAL");
        let held = if held.is_empty() { "NIL".to_owned() } else { format_uids(held) };
        out.extend_from_slice(format!("({range} {held})").as_bytes());
    }
    if let Some(modseq) = told.modseq {
        item(out, "MODSEQ");
        number(out, modseq);
    }
    line_end(out);
}

fn item(out: &mut Vec<u8>, name: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(told: &Esearch<'_>) -> String {
        let mut out = Vec::new();
        esearch(&mut out, told);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_was_asked_and_is_there_is_told() {
        let told = Esearch { tag: "A282", min: Some(2), count: Some(3), ..Esearch::default() };
        assert_eq!(written(&told), "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n");
        let told = Esearch { tag: "A283", all: &[2, 10, 11], ..Esearch::default() };
        assert_eq!(written(&told), "* ESEARCH (TAG \"A283\") ALL 2,10:11\r\n");
        let told = Esearch { tag: "C283", by_uid: true, count: Some(0), ..Esearch::default() };
        assert_eq!(written(&told), "* ESEARCH (TAG \"C283\") UID COUNT 0\r\n");
        assert_eq!(written(&Esearch { tag: "x", ..Esearch::default() }), "* ESEARCH (TAG \"x\")\r\n");
    }

    #[test]
    fn a_range_that_holds_nothing_is_nil() {
        let range = PartialRange::new(true, (1, 100));
        let told =
            |held| Esearch { tag: "A01", by_uid: true, partial: Some((range, held)), ..Esearch::default() };
        assert_eq!(written(&told(&[7, 8])), "* ESEARCH (TAG \"A01\") UID PARTIAL (-1:-100 7:8)\r\n");
        assert_eq!(written(&told(&[])), "* ESEARCH (TAG \"A01\") UID PARTIAL (-1:-100 NIL)\r\n");
    }
}
