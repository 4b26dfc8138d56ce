//! SORT (RFC 5256 §3, RFC 5267 §3, RFC 5957): what a search found, by keys that are read from sealed structures and forgotten again.

use crate::attending::Progress;
use crate::enable::Extension;
use crate::headings::Headings;
use crate::search::Found;
use crate::search_return::{Message, numbers};
use crate::state::{Answer, Connection, Failure};
use imap_session::command::{SearchKey, SortArguments, SortBy, SortKey};
use imap_session::response;
use message::extract::casemap;
use message::structure::{Heading, HeadingAddress, Structure};
use message::subject::base_subject;
use std::cmp::Ordering;
use store::MessageRow;

/// Texts are compared by so many octets of their folded form: a folder of hostile subjects does not fill the memory.
const TEXT_MAX: usize = 255;
/// As many messages are sorted off the async threads.
pub(crate) const INLINE_MAX: usize = 5_000;

/// A message with what it is sorted by.
struct Row {
    message: Message,
    /// One for each key of the order.
    values: Box<[Value]>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Box<str>),
}

impl Connection {
    /// SORT.
    pub(crate) async fn sort(&mut self, tag: &str, arguments: SortArguments) -> Answer {
        let SortArguments { by_uid, returning, order, charset, criteria } = arguments;
        let asks_modseq = criteria.names_modseq();
        if asks_modseq {
            self.turn_on(Extension::CondStore);
        }
        let found = self.sorted(tag, &charset, criteria, order).await;
        let found = self.found_or_forgotten(returning, found)?;
        match returning {
            Some(returning) => self.return_found(tag, by_uid, returning, &found.messages, asks_modseq),
            None => {
                let highest = self.highest_modseq(&found.messages).filter(|_| asks_modseq);
                response::sort(&mut self.wire.out, &numbers(&found.messages, by_uid), highest);
            }
        }
        self.forgotten_if_incomplete(returning, &found);
        found.ended("SORT completed")
    }

    async fn sorted(
        &mut self,
        tag: &str,
        charset: &str,
        criteria: SearchKey,
        order: Vec<SortKey>,
    ) -> Result<Found, Failure> {
        let matching = self.matching(tag, Some(charset), criteria).await?;
        let Found { messages: found, unreadable, .. } = matching.whole()?;
        let mut rows = Vec::with_capacity(found.len());
        let is_long = found.len() > INLINE_MAX;
        let with_structure = order.iter().any(|key| !matches!(key.by, SortBy::Arrival | SortBy::Size));
        let (selected, shared, attending) = self.at_work()?;
        let progress = Progress::of(found.len() as u64);
        let take = |message, row: &MessageRow, structure: Option<Structure>| {
            rows.push(Row { message, values: values(&order, row, structure.as_ref()) });
            progress.add(1);
        };
        let reading = Headings { selected, shared }.read_each(&found, with_structure, take);
        let worked = attending.to(tag, &progress, reading).await;
        self.after_work(worked).await??;
        drop(found);
        let sort = move || {
            rows.sort_unstable_by(|one, other| compare(&order, one, other));
            rows.into_iter().map(|row| row.message).collect()
        };
        let messages = if is_long {
            let sorted = tokio::task::spawn_blocking(sort).await;
            sorted.map_err(|_| Failure::Store(store::Error::Closing))?
        } else {
            sort()
        };
        Ok(Found { messages, unreadable, cut: None })
    }
}

/// By the keys, and by sequence number between equals, whatever is reversed (RFC 5256 §3).
fn compare(order: &[SortKey], one: &Row, other: &Row) -> Ordering {
    let mut values = order.iter().zip(one.values.iter().zip(&other.values));
    let decided = values.find_map(|(key, (one, other))| {
        let ordering = if key.is_reverse { other.cmp(one) } else { one.cmp(other) };
        Some(ordering).filter(|ordering| ordering.is_ne())
    });
    decided.unwrap_or_else(|| one.message.cmp(&other.message))
}

fn values(order: &[SortKey], row: &MessageRow, structure: Option<&Structure>) -> Box<[Value]> {
    let is_cheap = |key: &SortKey| matches!(key.by, SortBy::Arrival | SortBy::Date | SortBy::Size);
    let structured = structure.filter(|_| !order.iter().all(is_cheap));
    let heading = structured.map(Structure::heading).unwrap_or_default();
    order.iter().map(|key| value(key.by, row, structure, &heading)).collect()
}

fn value(by: SortBy, row: &MessageRow, structure: Option<&Structure>, heading: &Heading) -> Value {
    match by {
        SortBy::Arrival => Value::Number(row.internal_date.0),
        SortBy::Date => Value::Number(sent(row, structure)),
        SortBy::Size => Value::Number(row.size.into()),
        SortBy::Subject => collated(&base_subject(heading.subject.as_deref().unwrap_or_default()).text),
        SortBy::From => local_part(heading.from.as_ref()),
        SortBy::To => local_part(heading.to.as_ref()),
        SortBy::Cc => local_part(heading.cc.as_ref()),
        SortBy::DisplayFrom => display(heading.from.as_ref()),
        SortBy::DisplayTo => display(heading.to.as_ref()),
    }
}

/// RFC 5256 §2.2: the internal date stands for a sent date that is missing or cannot be read. In milliseconds.
pub(crate) fn sent(row: &MessageRow, structure: Option<&Structure>) -> i64 {
    structure.and_then(Structure::date).unwrap_or(row.internal_date).0
}

fn local_part(address: Option<&HeadingAddress>) -> Value {
    collated(address.and_then(|address| address.local_part.as_deref()).unwrap_or_default())
}

/// RFC 5957 §3
fn display(address: Option<&HeadingAddress>) -> Value {
    let Some(address) = address else { return collated("") };
    let name = address.name.as_deref().filter(|name| !name.is_empty());
    match (name, address.local_part.as_deref(), address.domain.as_deref()) {
        (Some(name), _, _) => collated(name),
        (None, Some(local_part), Some(domain)) => collated(&format!("{local_part}@{domain}")),
        (None, local_part, _) => collated(local_part.unwrap_or_default()),
    }
}

fn collated(text: &str) -> Value {
    Value::Text(bounded_casemap(text))
}

/// The beginning of a text as `i;unicode-casemap` compares it.
pub(crate) fn bounded_casemap(text: &str) -> Box<str> {
    let mut folded = casemap(text);
    if folded.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|end| folded.is_char_boundary(*end)).unwrap_or(0);
        folded.truncate(end);
    }
    folded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u32, values: Vec<Value>) -> Row {
        Row { message: (seq, seq), values: values.into() }
    }

    #[test]
    fn keys_decide_in_their_order_and_numbers_last() {
        let key = |by, is_reverse| SortKey { by, is_reverse };
        let order = [key(SortBy::Subject, false), key(SortBy::Size, true)];
        let mut rows = [
            row(1, vec![collated("b"), Value::Number(1)]),
            row(2, vec![collated("A"), Value::Number(1)]),
            row(3, vec![collated("a"), Value::Number(9)]),
            row(4, vec![collated("B"), Value::Number(1)]),
        ];
        rows.sort_unstable_by(|one, other| compare(&order, one, other));
        assert_eq!(rows.map(|row| row.message.0), [3, 2, 1, 4]);
        let reversed = [key(SortBy::Size, true)];
        let equal = [row(1, vec![Value::Number(1)]), row(2, vec![Value::Number(1)])];
        assert_eq!(compare(&reversed, &equal[0], &equal[1]), Ordering::Less);
    }

    #[test]
    fn a_long_text_is_cut_between_its_characters() {
        let cut = bounded_casemap(&"é".repeat(400));
        assert!(cut.len() <= TEXT_MAX && cut.len() > TEXT_MAX - 4);
    }
}
