//! SORT and THREAD (RFC 5256 §5, RFC 5957 §5, RFC 5267 §4).

use super::{Cursor, Parsed, search};
use crate::command::{
    CommandBody, SearchKey, SortArguments, SortBy, SortKey, ThreadAlgorithm, ThreadArguments,
};

/// `SP [search-return-opts SP] sort-criteria SP search-criteria`
pub(super) fn sort(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let returning = search::returning(cursor)?;
    let order = order(cursor)?;
    let (charset, criteria) = spaced_criteria(cursor)?;
    Ok(CommandBody::Sort(SortArguments { by_uid, returning, order, charset, criteria }))
}

/// `SP thread-alg SP search-criteria`
pub(super) fn thread(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let algorithm = match cursor.keyword()?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        _ => return Err("Unknown threading algorithm"),
    };
    let (charset, criteria) = spaced_criteria(cursor)?;
    Ok(CommandBody::Thread(ThreadArguments { by_uid, algorithm, charset, criteria }))
}

/// `"(" sort-criterion *(SP sort-criterion) ")"`. Of a key that is given again, the first holds: it leaves nothing to the second.
fn order(cursor: &mut Cursor<'_>) -> Parsed<Vec<SortKey>> {
    let mut order: Vec<SortKey> = Vec::new();
    for key in cursor.list(sort_key)? {
        if order.iter().all(|known| known.by != key.by) {
            order.push(key);
        }
    }
    if order.is_empty() { Err("Missing argument") } else { Ok(order) }
}

fn sort_key(cursor: &mut Cursor<'_>) -> Parsed<SortKey> {
    let mut word = cursor.keyword()?;
    let is_reverse = word == "REVERSE";
    if is_reverse {
        cursor.space()?;
        word = cursor.keyword()?;
    }
    let by = match word.as_str() {
        "ARRIVAL" => SortBy::Arrival,
        "CC" => SortBy::Cc,
        "DATE" => SortBy::Date,
        "FROM" => SortBy::From,
        "SIZE" => SortBy::Size,
        "SUBJECT" => SortBy::Subject,
        "TO" => SortBy::To,
        "DISPLAYFROM" => SortBy::DisplayFrom,
        "DISPLAYTO" => SortBy::DisplayTo,
        _ => return Err("Unknown sort key"),
    };
    Ok(SortKey { is_reverse, by })
}

/// `SP charset 1*(SP search-key)`
fn spaced_criteria(cursor: &mut Cursor<'_>) -> Parsed<(String, SearchKey)> {
    cursor.space()?;
    let charset = cursor.astring_utf8()?.to_ascii_uppercase();
    cursor.space()?;
    let criteria = search::criteria(cursor, Some(&charset))?;
    Ok((charset, criteria))
}
