//! What SELECT and EXAMINE ask beside the folder (RFC 4466 `select-param`, RFC 7162 §7).

use super::{Cursor, Parsed, sequence_set};
use crate::command::{Resync, SelectParameters, SequenceMatch};
use crate::sequence::SequenceSet;

/// `"(" select-param *(SP select-param) ")"`
pub(super) fn parameters(cursor: &mut Cursor<'_>) -> Parsed<SelectParameters> {
    let mut parameters = SelectParameters::default();
    cursor.list(|cursor| {
        match cursor.keyword()?.as_str() {
            "CONDSTORE" => parameters.condstore = true,
            "QRESYNC" if parameters.resync.is_none() => {
                cursor.space()?;
                parameters.resync = Some(Box::new(resync(cursor)?));
            }
            _ => return Err("Unknown parameter"),
        }
        Ok(())
    })?;
    Ok(parameters)
}

/// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`
fn resync(cursor: &mut Cursor<'_>) -> Parsed<Resync> {
    cursor.expect(b'(', "Expected a list in parentheses")?;
    let uid_validity = cursor.nz_number()?;
    cursor.space()?;
    let modseq = cursor.number()?;
    let mut resync = Resync { uid_validity, modseq, known_uids: None, sequence_match: None };
    while cursor.eat(b' ') {
        match cursor.peek() {
            Some(b'(') if resync.sequence_match.is_none() => {
                resync.sequence_match = Some(sequence_match(cursor)?);
            }
            _ if resync.known_uids.is_none() && resync.sequence_match.is_none() => {
                resync.known_uids = Some(known_set(cursor)?);
            }
            _ => return Err("Unknown parameter"),
        }
    }
    cursor.expect(b')', "Unclosed list")?;
    Ok(resync)
}

/// `"(" known-sequence-set SP known-uid-set ")"`
fn sequence_match(cursor: &mut Cursor<'_>) -> Parsed<SequenceMatch> {
    cursor.expect(b'(', "Expected a list in parentheses")?;
    let numbers = known_set(cursor)?;
    cursor.space()?;
    let uids = known_set(cursor)?;
    cursor.expect(b')', "Unclosed list")?;
    Ok(SequenceMatch { numbers, uids })
}

/// A `sequence-set` of what the client knows: a `*` would be known to nobody.
fn known_set(cursor: &mut Cursor<'_>) -> Parsed<SequenceSet> {
    let set = sequence_set(cursor)?;
    if set.has_star() { Err("* in a set of known messages") } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<SelectParameters> {
        let mut cursor = Cursor::new(text.as_bytes(), false);
        let parameters = parameters(&mut cursor)?;
        cursor.end().map(|()| parameters)
    }

    #[test]
    fn a_client_says_what_it_knows_in_any_of_four_ways() {
        let plain = *read("(QRESYNC (67890007 20050715194045000))").unwrap().resync.unwrap();
        assert_eq!((plain.uid_validity, plain.modseq), (67_890_007, 20_050_715_194_045_000));
        let known = *read("(QRESYNC (67890007 90060115194045000 41:211,214:541))").unwrap().resync.unwrap();
        assert_eq!(known.known_uids.unwrap().to_string(), "41:211,214:541");
        let matched = *read("(QRESYNC (1 2 (1,3 7,9)) CONDSTORE)").unwrap().resync.unwrap();
        assert_eq!(
            (matched.known_uids, matched.sequence_match.unwrap().uids.to_string()),
            (None, "7,9".to_owned())
        );
        let both = *read("(QRESYNC (1 2 1:9 (1,3 7,9)))").unwrap().resync.unwrap();
        assert!(both.known_uids.is_some() && both.sequence_match.is_some());
        assert!(read("(condstore)").unwrap().condstore);
    }

    #[test]
    fn what_cannot_be_known_is_refused() {
        for bad in [
            "(QRESYNC)",
            "(QRESYNC (0 1))",
            "(QRESYNC (1))",
            "(QRESYNC (1 2 1:*))",
            "(QRESYNC (1 2 (1 2) 3))",
            "(X)",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
