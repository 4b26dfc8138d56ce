//! What is told of the messages that a search found, and what `$` stands for (RFC 4731, RFC 5182, RFC 9394 §3.1, §3.2).

use crate::search::Found;
use crate::sets::uid_ranges;
use crate::state::{Connection, Failure, Selected};
use imap_session::command::SearchReturn;
use imap_session::response::{self, Esearch};
use imap_session::sequence::Ranges;
use imap_session::view::View;

/// A message by sequence number and UID.
pub(crate) type Message = (u32, u32);

impl Connection {
    /// What a search found, or nothing after one that failed and whose messages were to be kept (RFC 5182 §2.1).
    pub(crate) fn found_or_forgotten(
        &mut self,
        returning: Option<SearchReturn>,
        found: Result<Found, Failure>,
    ) -> Result<Found, Failure> {
        let is_no = matches!(found, Err(Failure::No(..) | Failure::Store(_)));
        if is_no
            && returning.is_some_and(|returning| returning.save)
            && let Some(selected) = self.selected.as_deref_mut()
        {
            selected.saved = Ranges::default();
        }
        found
    }

    /// What is not known to be all that was looked for is not kept.
    pub(crate) fn forgotten_if_incomplete(&mut self, returning: Option<SearchReturn>, found: &Found) {
        if found.unreadable > 0
            && returning.is_some_and(|returning| returning.save)
            && let Some(selected) = self.selected.as_deref_mut()
        {
            selected.saved = Ranges::default();
        }
    }

    /// Tells what is asked of the messages found, in the order in which they stand, and keeps what is to be kept of them.
    pub(crate) fn return_found(
        &mut self,
        tag: &str,
        by_uid: bool,
        returning: SearchReturn,
        found: &[Message],
        asks_modseq: bool,
    ) {
        if returning.save
            && let Some(selected) = self.selected.as_deref_mut()
        {
            selected.saved = Ranges::from_pairs(uid_ranges(&kept(returning, found)));
        }
        if !returning.tells() {
            return;
        }
        // RFC 4731 §3.2: of what is told.
        let modseq = if asks_modseq { self.highest_modseq(&kept(returning, found)) } else { None };
        let numbers = numbers(found, by_uid);
        let told = Esearch {
            tag,
            by_uid,
            min: numbers.first().copied().filter(|_| returning.min),
            max: numbers.last().copied().filter(|_| returning.max),
            count: returning.count.then_some(numbers.len()),
            all: if returning.all { &numbers } else { &[] },
            modseq,
            partial: returning
                .partial
                .map(|range| (range, numbers.get(range.of(numbers.len())).unwrap_or_default())),
        };
        response::esearch(&mut self.wire.out, &told);
    }

    /// The highest modification sequence of the messages found; none of no message.
    pub(crate) fn highest_modseq(&self, found: &[Message]) -> Option<u64> {
        let view = &self.selected.as_deref()?.view;
        found.iter().filter_map(|(_, uid)| Some(view.entry(*uid)?.modseq.0)).max()
    }
}

/// Sequence numbers, or UIDs.
pub(crate) fn numbers(found: &[Message], by_uid: bool) -> Vec<u32> {
    found.iter().map(|(seq, uid)| if by_uid { *uid } else { *seq }).collect()
}

/// Those that SAVE keeps, ascending: what is told of single messages, or all when more is asked than these.
fn kept(returning: SearchReturn, found: &[Message]) -> Vec<Message> {
    let are_picked = returning.min || returning.max || returning.partial.is_some();
    let mut kept = if returning.all || returning.count || !are_picked {
        found.to_vec()
    } else {
        let partial = returning.partial.and_then(|range| found.get(range.of(found.len())));
        let first = found.first().filter(|_| returning.min);
        let last = found.last().filter(|_| returning.max);
        partial.unwrap_or_default().iter().chain(first).chain(last).copied().collect()
    };
    kept.sort_unstable();
    kept.dedup();
    kept
}

impl Selected {
    /// The messages that `$` stands for and that are still there, ascending.
    pub(crate) fn saved_messages(&self) -> Vec<Message> {
        present(&self.saved, &self.view)
    }
}

fn present(saved: &Ranges, view: &View) -> Vec<Message> {
    let within = saved.iter().flat_map(|range| view.within(range.clone()));
    within.filter(|(_, entry)| !view.is_gone(entry.uid)).map(|(seq, entry)| (seq, entry.uid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap_session::picture;
    use imap_session::view::{Change, Permit};
    use mail_types::{ModSeq, SystemFlags};

    const FOUND: [Message; 4] = [(2, 20), (3, 30), (5, 50), (9, 90)];

    fn kept_uids(returning: SearchReturn) -> Vec<u32> {
        numbers(&kept(returning, &FOUND), true)
    }

    #[test]
    fn what_is_kept_is_what_is_told_or_all() {
        let save = SearchReturn { save: true, ..SearchReturn::default() };
        let (min, max) = (SearchReturn { min: true, ..save }, SearchReturn { max: true, ..save });
        assert_eq!(kept_uids(save), [20, 30, 50, 90]);
        assert_eq!(kept_uids(min), [20]);
        assert_eq!(kept_uids(max), [90]);
        assert_eq!(kept_uids(SearchReturn { max: true, ..min }), [20, 90]);
        assert_eq!(kept_uids(SearchReturn { count: true, ..min }), [20, 30, 50, 90]);
        assert_eq!(kept_uids(SearchReturn { all: true, ..max }), [20, 30, 50, 90]);
        assert!(kept(min, &[]).is_empty());
    }

    #[test]
    fn a_message_that_is_gone_is_not_meant_any_more() {
        let message = |uid| picture::Message { uid, flags: SystemFlags(0), keywords: 0, modseq: ModSeq(1) };
        let mut view = View::new([10, 20, 30, 50].map(message).into_iter().collect(), u32::MAX);
        let saved = Ranges::from_pairs(uid_ranges(&[(2, 20), (3, 30), (4, 50)]));
        view.apply(vec![Change::Expunged { uid: 30 }], Permit::default());
        assert_eq!(present(&saved, &view), [(2, 20), (4, 50)]);
        view.apply(Vec::new(), Permit { expunges: true, ..Permit::default() });
        assert_eq!(present(&saved, &view), [(2, 20), (3, 50)]);
    }
}
