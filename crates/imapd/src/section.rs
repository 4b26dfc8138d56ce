//! Which octets of a message a section is, without reading them (RFC 3501 §6.4.5).

use imap_session::command::{Partial, Section, SectionText};
use message::structure::{SectionKind, Structure};
use std::ops::Range;

/// Where the answer to a section is found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'s> {
    /// There is no such section.
    Nowhere,
    /// These octets of the message.
    Octets(Range<u64>),
    /// Fields chosen from the header in these octets.
    Fields { header: Range<u64>, names: &'s [String], negate: bool },
}

/// Finds a section in a message of `size` octets. The structure may be missing for the whole message only.
pub(crate) fn locate<'s>(section: &'s Section, structure: Option<&Structure>, size: u64) -> Place<'s> {
    if section.part.is_empty() && section.text == SectionText::Whole {
        return Place::Octets(0..size);
    }
    let (kind, fields) = match &section.text {
        SectionText::Whole => (SectionKind::Content, None),
        SectionText::Header => (SectionKind::Header, None),
        SectionText::HeaderFields(names) => (SectionKind::Header, Some((names, false))),
        SectionText::HeaderFieldsNot(names) => (SectionKind::Header, Some((names, true))),
        SectionText::Text => (SectionKind::Text, None),
        SectionText::Mime => (SectionKind::Mime, None),
    };
    let found = structure.and_then(|structure| structure.section(&section.part, kind));
    // A literal promises its octets: none is promised past the end of what is stored.
    let within = |range: Range<u64>| range.start.min(size)..range.end.min(size);
    match (found.map(within), fields) {
        (None, _) => Place::Nowhere,
        (Some(range), None) => Place::Octets(range),
        (Some(header), Some((names, negate))) => Place::Fields { header, names, negate },
    }
}

/// The part of `range` that `<origin.length>` asks for; empty past its end.
pub(crate) fn clip(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { origin, length }) = partial else { return range };
    let start = range.start.saturating_add(origin).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(origin: u64, length: u64) -> Option<Partial> {
        Some(Partial { origin, length })
    }

    #[test]
    fn a_partial_stays_within_its_section() {
        assert_eq!(clip(10..20, None), 10..20);
        assert_eq!(clip(10..20, partial(0, 4)), 10..14);
        assert_eq!(clip(10..20, partial(8, 100)), 18..20);
        assert_eq!(clip(10..20, partial(10, 1)), 20..20);
        assert_eq!(clip(10..20, partial(u64::MAX, u64::MAX)), 20..20);
    }

    #[test]
    fn the_whole_message_needs_no_structure_and_a_part_does() {
        assert_eq!(locate(&Section::default(), None, 7), Place::Octets(0..7));
        let part = Section { part: vec![1], text: SectionText::Whole };
        assert_eq!(locate(&part, None, 7), Place::Nowhere);
    }
}
