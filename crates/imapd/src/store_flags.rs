//! STORE (RFC 3501 §6.4.6; rights after RFC 4314 §4).

use crate::attending::{Progress, Reports};
use crate::enable::Extension;
use crate::message_limit::cut;
use crate::place::Who;
use crate::sets::uid_ranges;
use crate::state::{Answer, Connection, Done, Failure, GONE, NO_FOLDER, TOO_MANY_KEYWORDS, keyword_names};
use crate::sync::{Telling, learn_keywords};
use imap_session::command::{FlagList, StoreAction, StoreArguments};
use imap_session::response::{self, Code};
use imap_session::sequence::MessageSet;
use mail_types::{ModSeq, SystemFlags};
use store::{FlagAction, FlagStore, FlagsStored};

/// Ranges changed in one unit of work: a long one keeps every other writer waiting.
const RANGES_MAX: usize = 500;

impl Connection {
    /// STORE.
    pub(crate) async fn store_flags(&mut self, tag: &str, arguments: StoreArguments) -> Answer {
        if arguments.unchanged_since.is_some() {
            self.turn_on(Extension::CondStore);
        }
        let (by_uid, silent) = (arguments.by_uid, arguments.silent);
        let selected = self.selected()?;
        let who = selected.who;
        selected.must_be_writable()?;
        let mut messages = selected.resolve(&arguments.set, by_uid)?;
        let cut = cut(self.shared.message_limit, &mut messages);
        let mut asked = permitted(who, arguments.action, arguments.flags)?;
        asked.unchanged_since = arguments.unchanged_since.map(ModSeq);
        let mut outcome = Outcome::default();
        let mut done_to = 0;
        let mut failure = None;
        let (mut reports, progress) = (Reports::of(tag), Progress::of(messages.len() as u64));
        for chunk in uid_ranges(&messages).chunks(RANGES_MAX) {
            let storing = self.store_ranges(who, &asked, chunk.to_vec(), (&mut reports, &progress));
            match storing.await.map(|part| outcome.add(part)) {
                Ok(()) => {
                    let before = messages.partition_point(|(_, uid)| *uid <= done_to);
                    done_to = chunk.last().map_or(done_to, |range| range.1);
                    let done = messages.partition_point(|(_, uid)| *uid <= done_to);
                    progress.add((done - before) as u64);
                }
                Err(failed) => {
                    failure = Some(failed);
                    break;
                }
            }
        }
        outcome.surprises.sort_unstable();
        outcome.modified.sort_unstable();
        if let Some(failure) = failure {
            if matches!(failure, Failure::Lost) {
                return Err(failure);
            }
            // What was changed all the same is told, whatever the client wanted to hear: it cannot know how far it came.
            let done = messages.partition_point(|(_, uid)| *uid <= done_to);
            self.tell_stored(messages.get(..done).unwrap_or_default(), by_uid, false, &outcome).await?;
            return Err(failure);
        }
        // The change log is read after the change: what it lacks was there to be changed.
        let forced = asked.unchanged_since.is_some() || (!silent && !by_uid);
        self.tell_changes(Telling { forced, by_uid, ..Telling::default() }).await?;
        self.tell_stored(&messages, by_uid, silent, &outcome).await?;
        let view = &self.selected()?.view;
        // RFC 2180 §4.2.2, §4.2.3; under `.SILENT` (§4.2.1), by UID and of what was saved it is OK.
        let may_miss = by_uid || silent || arguments.set == MessageSet::Saved;
        let is_gone = forced && !may_miss && messages.iter().any(|(_, uid)| view.is_gone(*uid));
        let answer = outcome.answer(&messages, by_uid, is_gone);
        self.cut_short(cut, answer)
    }

    async fn store_ranges(
        &mut self,
        who: Who,
        asked: &FlagStore,
        ranges: Vec<(u32, u32)>,
        (reports, progress): (&mut Reports<'_>, &Progress),
    ) -> Result<Outcome, Failure> {
        let store = self.changing(who);
        let Self { selected, wire, .. } = self;
        let selected = selected.as_deref_mut().ok_or(NO_FOLDER)?;
        let mut outcome = Outcome::default();
        let storing = store.store_flags_if(selected.folder, Some(who.actor), ranges, asked.clone());
        let stored = reports.during(wire, progress, storing).await??;
        let FlagsStored { changes, modified } = stored.ok_or(TOO_MANY_KEYWORDS)?;
        let is_known = |name: &String| selected.keywords.iter().any(|known| known.eq_ignore_ascii_case(name));
        let are_new = asked.action != FlagAction::Remove && !asked.keywords.iter().all(is_known);
        if are_new || changes.iter().any(|change| selected.lacks_name(change.keywords)) {
            learn_keywords(selected, &store, &mut wire.out).await?;
        }
        let bits = keyword_bits(&selected.keywords, &asked.keywords);
        let follows = selected.modseq_after_own(&changes);
        for change in changes {
            let uid = change.uid.0;
            let after = (change.flags, change.keywords);
            let before = selected.view.entry(uid).map(|entry| (entry.flags, entry.keywords));
            if before.is_some_and(|before| asked.applied(before, bits) != after) {
                outcome.surprises.push(uid);
            }
            selected.view.note_flags(uid, change.flags, change.keywords, change.modseq);
        }
        selected.modseq = follows;
        outcome.modified.extend(modified.iter().map(|uid| uid.0));
        Ok(outcome)
    }

    /// Answers for every message addressed, changed or not. RFC 3501 §6.4.6: silence is about what the client asked, not about what others did;
    /// RFC 7162 §3.1.3: nor about modification sequences.
    async fn tell_stored(
        &mut self,
        messages: &[(u32, u32)],
        by_uid: bool,
        silent: bool,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let Some(selected) = self.selected.as_deref() else { return Ok(()) };
        for &(seq, uid) in messages {
            let entry = selected.view.entry(uid).filter(|entry| !selected.view.is_gone(entry.uid));
            let Some(entry) = entry else { continue };
            let (named, modseq) = (self.enabled.named(by_uid, seq, uid), self.enabled.modseq(&entry));
            if !silent || outcome.is_news(uid) {
                let keywords = keyword_names(&selected.keywords, entry.keywords);
                let recent = entry.recent && self.enabled.tells_recent();
                response::fetch_flags(&mut self.wire.out, named, entry.flags, keywords, recent, modseq);
            } else if let Some(modseq) = modseq {
                response::fetch_modseq(&mut self.wire.out, named, modseq);
            }
            self.wire.spill().await?;
        }
        Ok(())
    }
}

/// What became of the messages beside what was asked.
#[derive(Default)]
struct Outcome {
    /// UIDs of messages that now differ in more than what was asked: others changed them meanwhile.
    surprises: Vec<u32>,
    /// UIDs of messages that were left alone because they had changed since.
    modified: Vec<u32>,
}

impl Outcome {
    fn add(&mut self, part: Self) {
        self.surprises.extend(part.surprises);
        self.modified.extend(part.modified);
    }

    /// Whether the client has to hear of the message whatever it asked.
    fn is_news(&self, uid: u32) -> bool {
        self.surprises.binary_search(&uid).is_ok() || self.modified.binary_search(&uid).is_ok()
    }

    /// Which messages were left alone is named as the command named them (RFC 7162 §3.1.3).
    fn answer(&self, messages: &[(u32, u32)], by_uid: bool, is_gone: bool) -> Answer {
        const SOME: &str = "Some messages changed meanwhile and were left alone";
        let is_left = |uid: &u32| self.modified.binary_search(uid).is_ok();
        let left = messages.iter().filter(|(_, uid)| is_left(uid));
        let left: Vec<u32> = left.map(|(seq, uid)| if by_uid { *uid } else { *seq }).collect();
        match (left.is_empty(), is_gone) {
            (true, true) => Err(GONE),
            (true, false) => Ok(Done::new("STORE completed")),
            (false, true) => {
                Err(Failure::No(Some(Code::Modified(left)), "Some messages changed, others are gone"))
            }
            (false, false) => Ok(Done::with(Code::Modified(left), SOME)),
        }
    }
}

/// The bits of these keywords, of those that the folder has.
fn keyword_bits(known: &[String], names: &[String]) -> u64 {
    let is_named = |known: &String| names.iter().any(|name| name.eq_ignore_ascii_case(known));
    let bits = known.iter().take(64).enumerate().filter(|(_, known)| is_named(known));
    bits.fold(0, |bits, (bit, _)| bits | 1 << bit)
}

/// What of the change the reader may make. One who may change only some flags leaves the others as they are, also when replacing.
fn permitted(who: Who, action: StoreAction, asked: FlagList) -> Result<FlagStore, Failure> {
    let changeable = who.changeable();
    let changes_keywords = who.rights.has('w');
    let flags = SystemFlags(asked.system.0 & changeable.0);
    let keywords = if changes_keywords { asked.keywords.clone() } else { Vec::new() };
    let is_nothing = flags == SystemFlags::default() && keywords.is_empty();
    let asks_nothing = asked.system == SystemFlags::default() && asked.keywords.is_empty();
    let may_nothing = changeable == SystemFlags::default();
    if may_nothing || (is_nothing && !asks_nothing) {
        return Err(Failure::No(Some(Code::NoPerm), "You may not change these flags"));
    }
    let action = match action {
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
        StoreAction::Replace => FlagAction::Replace,
    };
    Ok(FlagStore { action, flags, keywords, changeable, changes_keywords, unchanged_since: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{ActorId, MailboxId, Rights};

    fn who(letters: &str) -> Who {
        let rights = Rights::from_letters(letters);
        Who { mailbox: MailboxId(1), actor: ActorId(1), rights, private_seen_of: None, is_holder: true }
    }

    fn asked(system: SystemFlags, keyword: &str) -> FlagList {
        FlagList { system, keywords: vec![keyword.to_owned()] }
    }

    #[test]
    fn what_was_asked_is_told_apart_from_what_others_did() {
        let known = ["old".to_owned(), "New".to_owned()];
        let bits = keyword_bits(&known, &["new".to_owned()]);
        let asked = |action| permitted(who("lrswte"), action, asked(SystemFlags::FLAGGED, "new")).unwrap();
        let before = (SystemFlags::SEEN, 1);
        let both = SystemFlags::SEEN.union(SystemFlags::FLAGGED);
        assert_eq!(asked(StoreAction::Add).applied(before, bits), (both, 3));
        assert_eq!(asked(StoreAction::Replace).applied(before, bits), (SystemFlags::FLAGGED, 2));
        assert_eq!(asked(StoreAction::Remove).applied((both, 3), bits), before);
    }

    #[test]
    fn a_reader_changes_seen_and_nothing_else() {
        let both = asked(SystemFlags::SEEN.union(SystemFlags::DELETED), "urgent");
        let made = permitted(who("lrs"), StoreAction::Replace, both).unwrap();
        assert_eq!((made.flags, made.keywords.len()), (SystemFlags::SEEN, 0));
        assert_eq!(
            made.applied((SystemFlags::FLAGGED, 1), 0),
            (SystemFlags::FLAGGED.union(SystemFlags::SEEN), 1)
        );
        assert!(permitted(who("lrs"), StoreAction::Add, asked(SystemFlags::DELETED, "k")).is_err());
        assert!(permitted(who("lr"), StoreAction::Replace, FlagList::default()).is_err());
    }

    #[test]
    fn who_may_write_but_not_delete_replaces_all_but_deleted() {
        let made = permitted(who("lrsw"), StoreAction::Replace, asked(SystemFlags::SEEN, "new")).unwrap();
        let before = SystemFlags::DELETED.union(SystemFlags::FLAGGED);
        let after = SystemFlags::DELETED.union(SystemFlags::SEEN);
        assert_eq!(made.applied((before, 1), 2), (after, 2));
    }
}
