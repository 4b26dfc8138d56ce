//! The selected folder as one session has announced it to its client: which message has which sequence number.
//!
//! Others change the folder at any time; the client may only learn of it at certain points (RFC 3501 §5.5, §7.4.1). A message that is
//! gone keeps its number until the client can be told, and a message that is new has none before. Flags are those last told,
//! so that only differences are sent.
//!
//! The view does not know the store: it begins with a picture of the folder and is then fed with the changes of the folder's log, in order. Sessions
//! share what is equal in their views ([`View::share`]); what was told to each, and what is recent in it, is its own.

use crate::picture::{Message, Picture};
use crate::sequence::SequenceSet;
use mail_types::{ModSeq, SystemFlags};
use std::ops::RangeInclusive;

/// One message, as the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique identifier.
    pub uid: u32,
    /// System flags.
    pub flags: SystemFlags,
    /// Keywords, one bit for each keyword of the folder.
    pub keywords: u64,
    /// Modification sequence of those flags: what the client may have been told.
    pub modseq: ModSeq,
    /// This session is the first to be told of the message.
    pub recent: bool,
}

/// A change of the folder, from its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The message is there, with these flags: it is new or its flags may have changed.
    Upsert {
        /// Which.
        uid: u32,
        /// System flags, all of them.
        flags: SystemFlags,
        /// Keywords, all of them.
        keywords: u64,
        /// Modification sequence.
        modseq: ModSeq,
    },
    /// The message is gone.
    Expunged {
        /// Which.
        uid: u32,
    },
}

/// What the client may and wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// Expunges. False in answer to FETCH, STORE and SEARCH, and while no command is in progress outside IDLE: they then wait for a later
    /// call, which may have no change of its own.
    pub expunges: bool,
    /// What is gone is told by UID, not by number (RFC 7162 §3.2.10).
    pub vanished: bool,
    /// A message whose modification sequence alone is another one is told of (RFC 7162 §3.1).
    pub modseqs: bool,
}

/// What to tell the client, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untagged {
    /// `* VANISHED uids`, ascending: instead of all EXPUNGEs.
    Vanished(Vec<u32>),
    /// `* n EXPUNGE`; numbers are given from the last message to the first, so that none moves another.
    Expunge(u32),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT`
    Recent(u32),
    /// `* seq FETCH (FLAGS …)`, with the UID in answer to a UID command; the flags are in [`View::entry`].
    Flags {
        /// Sequence number, after the expunges told before.
        seq: u32,
        /// Unique identifier.
        uid: u32,
    },
}

/// A sequence number names no message: answer BAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message sequence number is out of range")]
pub struct OutOfRange;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The sequence number is the place plus one.
    messages: Picture,
    /// UIDs of `messages` that are gone and not yet told, ascending.
    gone: Vec<u32>,
    /// The UIDs of which every message is recent, as ascending ranges.
    recent: Vec<RangeInclusive<u32>>,
    /// Arrivals with a smaller UID were told to another session first.
    recent_from: u32,
}

impl View {
    /// The view of a folder just selected. Messages with a UID from `recent_from` on are recent.
    pub fn new(messages: Picture, recent_from: u32) -> Self {
        let last = messages.last().map_or(0, |message| message.uid);
        let recent = if recent_from <= last { vec![recent_from..=last] } else { Vec::new() };
        Self { messages, gone: Vec::new(), recent, recent_from: 0 }
    }

    /// The messages that the client counts, those gone and not yet told included.
    pub fn messages(&self) -> &Picture {
        &self.messages
    }

    /// The messages that are there: without those gone and not yet told.
    pub fn present(&self) -> Picture {
        let mut present = self.messages.clone();
        present.remove(&self.gone);
        present
    }

    /// Holds in common with `known` what is equal in both.
    pub fn share(&mut self, known: &Picture) {
        self.messages.share(known);
    }

    /// How many messages the client counts, those gone and not yet told included.
    pub fn len(&self) -> u32 {
        as_number(self.messages.len())
    }

    /// Whether the client counts none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages in the order of their sequence numbers.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry> {
        self.messages.iter().map(|message| self.entry_of(message))
    }

    /// The messages with a UID among these, each with its sequence number, ascending.
    pub fn within(&self, uids: RangeInclusive<u32>) -> impl Iterator<Item = (u32, Entry)> {
        let (first, last) = uids.into_inner();
        let within = self.messages.from_uid(first).take_while(move |(_, message)| message.uid <= last);
        within.map(|(place, message)| (as_number(place + 1), self.entry_of(message)))
    }

    /// The largest UID of a message; 0 when there is none.
    pub fn last_uid(&self) -> u32 {
        self.messages.last().map_or(0, |message| message.uid)
    }

    /// The message of that UID.
    pub fn entry(&self, uid: u32) -> Option<Entry> {
        self.messages.get(uid).map(|message| self.entry_of(message))
    }

    /// The UID of that sequence number.
    pub fn uid_of(&self, seq: u32) -> Option<u32> {
        let place = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.messages.at(place).map(|message| message.uid)
    }

    /// The sequence number of that UID.
    pub fn seq_of(&self, uid: u32) -> Option<u32> {
        self.messages.place_of(uid).map(|place| as_number(place + 1))
    }

    /// How many messages are recent.
    pub fn recent(&self) -> u32 {
        as_number(self.recent.iter().map(|range| self.count(range)).sum())
    }

    /// Sequence number of the first message not seen.
    pub fn first_unseen(&self) -> Option<u32> {
        let place = self.messages.iter().position(|message| !message.flags.contains(SystemFlags::SEEN))?;
        Some(as_number(place + 1))
    }

    /// Whether an expunge waits to be told.
    pub fn has_pending_expunges(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Whether the message is gone and the client not yet told. It has a sequence number all the same.
    pub fn is_gone(&self, uid: u32) -> bool {
        self.gone.binary_search(&uid).is_ok()
    }

    /// The messages of `set` as (sequence number, UID), ascending, each once.
    ///
    /// By UID, numbers of no message and of messages gone are passed over (RFC 3501 §6.4.8). By sequence number, one past the last is an
    /// error, but `*` in an empty folder is no message; messages gone are given, and the store will not find them.
    pub fn resolve(&self, set: &SequenceSet, by_uid: bool) -> Result<Vec<(u32, u32)>, OutOfRange> {
        if by_uid { Ok(self.resolve_uids(set)) } else { self.resolve_numbers(set) }
    }

    /// Takes in `changes` and says what to tell the client.
    pub fn apply(&mut self, changes: Vec<Change>, permit: Permit) -> Vec<Untagged> {
        let mut batch = Batch::default();
        for change in changes {
            match change {
                Change::Upsert { uid, flags, keywords, modseq } => {
                    self.upsert(&mut batch, Message { uid, flags, keywords, modseq }, permit.modseqs);
                }
                Change::Expunged { uid } => batch.expunged.push(uid),
            }
        }
        self.mark_gone(&mut batch);
        let mut told = Vec::new();
        if permit.expunges {
            self.tell_expunges(&mut told, permit.vanished);
        }
        self.tell_arrivals(&batch.arrived, &mut told);
        self.tell_flags(batch.changed, &mut told);
        told
    }

    /// Messages that arrive from now on are recent here when their UID is `uid` or larger: another session was told of those before.
    pub fn set_recent_from(&mut self, uid: u32) {
        self.recent_from = uid;
    }

    /// Takes in the flags that this session itself set and tells its client of by other means.
    pub fn note_flags(&mut self, uid: u32, flags: SystemFlags, keywords: u64, modseq: ModSeq) {
        self.messages.replace(Message { uid, flags, keywords, modseq });
    }

    fn entry_of(&self, message: &Message) -> Entry {
        let &Message { uid, flags, keywords, modseq } = message;
        Entry { uid, flags, keywords, modseq, recent: self.is_recent(uid) }
    }

    fn is_recent(&self, uid: u32) -> bool {
        let after = self.recent.partition_point(|range| *range.start() <= uid);
        after.checked_sub(1).and_then(|at| self.recent.get(at)).is_some_and(|range| range.contains(&uid))
    }

    /// How many messages have a UID among these.
    fn count(&self, uids: &RangeInclusive<u32>) -> usize {
        let after =
            uids.end().checked_add(1).map_or(self.messages.len(), |uid| self.messages.count_below(uid));
        after - self.messages.count_below(*uids.start())
    }

    fn resolve_numbers(&self, set: &SequenceSet) -> Result<Vec<(u32, u32)>, OutOfRange> {
        let ranges = set.resolve(self.len());
        if ranges.largest().is_some_and(|largest| largest > self.len()) {
            return Err(OutOfRange);
        }
        let mut found = Vec::new();
        for range in ranges.iter() {
            let Some(first) = self.uid_of(*range.start()) else { continue };
            let messages = self.messages.from_uid(first).map(|(_, message)| message.uid);
            found.extend(range.clone().zip(messages));
        }
        Ok(found)
    }

    fn resolve_uids(&self, set: &SequenceSet) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for range in set.resolve(self.last_uid()).iter() {
            let within = self.within(range.clone()).map(|(seq, entry)| (seq, entry.uid));
            found.extend(within.filter(|(_, uid)| !self.is_gone(*uid)));
        }
        found
    }

    fn upsert(&mut self, batch: &mut Batch, message: Message, tells_modseqs: bool) {
        if message.uid > self.last_uid() {
            batch.arrived.push(message);
            return;
        }
        // A UID that was passed over is of a message that came and went: numbers are only ever given at the end.
        let Some(known) = self.messages.get(message.uid) else { return };
        // A look at the log that began before this session's own change may be older than what the client was told.
        if message.modseq < known.modseq {
            return;
        }
        let is_other = (known.flags, known.keywords) != (message.flags, message.keywords);
        let is_later = message.modseq != known.modseq;
        self.messages.replace(message);
        if is_other || (is_later && tells_modseqs) {
            batch.changed.push(message.uid);
        }
    }

    /// Forgets what came and went within the batch, and marks what the client knows of as gone.
    fn mark_gone(&mut self, batch: &mut Batch) {
        // Of two upserts of one message the later holds: the sort is stable and the first of the reversed order is kept.
        batch.arrived.reverse();
        batch.arrived.sort_by_key(|message| message.uid);
        batch.arrived.dedup_by_key(|message| message.uid);
        batch.expunged.sort_unstable();
        let expunged = &batch.expunged;
        batch.arrived.retain(|message| expunged.binary_search(&message.uid).is_err());
        let before = self.gone.len();
        let known: Vec<u32> =
            expunged.iter().copied().filter(|uid| self.messages.get(*uid).is_some()).collect();
        if known.is_empty() {
            return;
        }
        self.gone.extend(known);
        if before > 0 || self.gone.len() > 1 {
            self.gone.sort_unstable();
            self.gone.dedup();
        }
    }

    fn tell_expunges(&mut self, told: &mut Vec<Untagged>, by_uid: bool) {
        if self.gone.is_empty() {
            return;
        }
        if !by_uid {
            let numbers = self.gone.iter().rev().filter_map(|uid| self.seq_of(*uid));
            told.extend(numbers.map(Untagged::Expunge));
        }
        let gone = std::mem::take(&mut self.gone);
        self.messages.remove(&gone);
        let mut recent = std::mem::take(&mut self.recent);
        recent.retain(|range| self.count(range) > 0);
        self.recent = recent;
        if by_uid {
            told.push(Untagged::Vanished(gone));
        }
    }

    fn tell_arrivals(&mut self, arrived: &[Message], told: &mut Vec<Untagged>) {
        if !arrived.is_empty() {
            self.note_recent(arrived);
            self.messages.append(arrived);
            told.push(Untagged::Exists(self.len()));
            told.push(Untagged::Recent(self.recent()));
        }
    }

    fn note_recent(&mut self, arrived: &[Message]) {
        let (Some(first), Some(last)) = (arrived.first(), arrived.last()) else { return };
        let (from, before) = (first.uid.max(self.recent_from), self.last_uid());
        if from > last.uid {
            return;
        }
        match self.recent.last_mut() {
            // Nothing lies between that is not recent.
            Some(range) if from == first.uid && *range.end() >= before => {
                *range = *range.start()..=last.uid;
            }
            _ => self.recent.push(from..=last.uid),
        }
    }

    fn tell_flags(&self, mut changed: Vec<u32>, told: &mut Vec<Untagged>) {
        changed.sort_unstable();
        changed.dedup();
        changed.retain(|uid| !self.is_gone(*uid));
        told.extend(
            changed.into_iter().filter_map(|uid| Some(Untagged::Flags { seq: self.seq_of(uid)?, uid })),
        );
    }
}

/// What a call of [`View::apply`] found.
#[derive(Default)]
struct Batch {
    arrived: Vec<Message>,
    changed: Vec<u32>,
    expunged: Vec<u32>,
}

/// Sequence numbers are 32 bits on the wire; a folder has no more messages than UIDs.
fn as_number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SystemFlags = SystemFlags(0);
    const NO_EXPUNGE: Permit = Permit { expunges: false, vanished: false, modseqs: false };
    const ALL: Permit = Permit { expunges: true, ..NO_EXPUNGE };

    fn view(uids: &[u32]) -> View {
        let message = |uid: &u32| Message { uid: *uid, flags: NONE, keywords: 0, modseq: ModSeq(1) };
        View::new(uids.iter().map(message).collect(), u32::MAX)
    }

    fn upsert(uid: u32, flags: SystemFlags) -> Change {
        Change::Upsert { uid, flags, keywords: 0, modseq: ModSeq(2) }
    }

    fn set(text: &str) -> SequenceSet {
        SequenceSet::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_message_gone_keeps_its_number_until_the_client_may_be_told() {
        let mut view = view(&[10, 20, 30]);
        assert_eq!(view.apply(vec![Change::Expunged { uid: 10 }], NO_EXPUNGE), []);
        assert_eq!((view.len(), view.seq_of(30), view.has_pending_expunges()), (3, Some(3), true));
        assert_eq!(view.resolve(&set("1:*"), false), Ok(vec![(1, 10), (2, 20), (3, 30)]));
        assert_eq!(view.resolve(&set("1:*"), true), Ok(vec![(2, 20), (3, 30)]));
        assert_eq!(
            view.apply(vec![Change::Expunged { uid: 30 }], ALL),
            [Untagged::Expunge(3), Untagged::Expunge(1)]
        );
        assert_eq!((view.len(), view.seq_of(20)), (1, Some(1)));
    }

    #[test]
    fn expunges_are_told_before_arrivals_and_flags_use_the_numbers_after_both() {
        let mut view = view(&[1, 2]);
        let changes = vec![
            upsert(2, SystemFlags::SEEN),
            upsert(3, NONE),
            Change::Expunged { uid: 1 },
            upsert(3, SystemFlags::SEEN),
        ];
        assert_eq!(
            view.apply(changes, ALL),
            [
                Untagged::Expunge(1),
                Untagged::Exists(2),
                Untagged::Recent(1),
                Untagged::Flags { seq: 1, uid: 2 }
            ]
        );
        assert_eq!(view.entry(3).unwrap().flags, SystemFlags::SEEN);
    }

    #[test]
    fn what_the_session_did_itself_or_nobody_saw_is_not_told() {
        let mut view = view(&[1]);
        view.note_flags(1, SystemFlags::SEEN, 4, ModSeq(2));
        let same = Change::Upsert { uid: 1, flags: SystemFlags::SEEN, keywords: 4, modseq: ModSeq(2) };
        assert_eq!(view.apply(vec![same, upsert(2, NONE), Change::Expunged { uid: 2 }], ALL), []);
        assert_eq!(view.apply(vec![Change::Expunged { uid: 9 }], ALL), []);
    }

    #[test]
    fn what_another_session_was_told_of_first_is_not_recent_here() {
        let mut view = view(&[1]);
        view.set_recent_from(3);
        let told = view.apply(vec![upsert(2, NONE), upsert(3, NONE)], ALL);
        assert_eq!(told, [Untagged::Exists(3), Untagged::Recent(1)]);
        assert!(!view.entry(2).unwrap().recent && view.entry(3).unwrap().recent);
        view.set_recent_from(4);
        view.apply(vec![upsert(4, NONE), upsert(5, NONE)], ALL);
        view.set_recent_from(7);
        view.apply(vec![upsert(6, NONE), upsert(7, NONE)], ALL);
        let recent = |view: &View| -> Vec<u32> {
            view.entries().filter(|entry| entry.recent).map(|entry| entry.uid).collect()
        };
        assert_eq!((recent(&view), view.recent(), view.recent.len()), (vec![3, 4, 5, 7], 4, 2));
        view.apply(vec![Change::Expunged { uid: 7 }, Change::Expunged { uid: 4 }], ALL);
        assert_eq!((recent(&view), view.recent(), view.recent.len()), (vec![3, 5], 2, 1));
    }

    #[test]
    fn sequence_numbers_past_the_end_are_errors_and_uids_are_not() {
        let view = view(&[5, 7]);
        assert_eq!(view.resolve(&set("1:3"), false), Err(OutOfRange));
        assert_eq!(view.resolve(&set("3:*"), false), Err(OutOfRange));
        assert_eq!(view.resolve(&set("6,100,1:5"), true), Ok(vec![(1, 5)]));
        assert_eq!(view.resolve(&set("100:*"), true), Ok(vec![(2, 7)]));
        assert_eq!(super::View::default().resolve(&set("1:*"), false), Ok(vec![]));
        assert_eq!(super::View::default().resolve(&set("1"), false), Err(OutOfRange));
    }

    #[test]
    fn a_large_folder_is_emptied_in_one_pass() {
        let uids: Vec<u32> = (1..=100_000).collect();
        let mut view = view(&uids);
        let told = view.apply(uids.iter().map(|uid| Change::Expunged { uid: *uid }).collect(), ALL);
        assert_eq!((told.len(), view.len()), (100_000, 0));
        assert_eq!(told.first(), Some(&Untagged::Expunge(100_000)));
    }

    #[test]
    fn a_client_that_keeps_modification_sequences_is_told_of_each_and_of_its_own_once() {
        let mut view = view(&[1, 2]);
        let keeps = Permit { modseqs: true, vanished: true, ..ALL };
        let same = |uid, modseq| Change::Upsert { uid, flags: NONE, keywords: 0, modseq: ModSeq(modseq) };
        assert_eq!(view.apply(vec![same(1, 5)], ALL), []);
        assert_eq!(view.apply(vec![same(1, 6)], keeps), [Untagged::Flags { seq: 1, uid: 1 }]);
        view.note_flags(2, SystemFlags::SEEN, 0, ModSeq(8));
        assert_eq!(view.apply(vec![same(2, 7)], keeps), [], "older than what the client knows");
        assert_eq!(
            view.entry(2).map(|entry| (entry.flags, entry.modseq)),
            Some((SystemFlags::SEEN, ModSeq(8)))
        );
        let gone = vec![Change::Expunged { uid: 2 }, Change::Expunged { uid: 1 }];
        assert_eq!(view.apply(gone, keeps), [Untagged::Vanished(vec![1, 2])]);
        assert!(view.is_empty());
    }
}
