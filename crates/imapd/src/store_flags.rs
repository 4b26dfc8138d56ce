//! STORE (RFC 3501 §6.4.6; rights after RFC 4314 §4).

use crate::place::Who;
use crate::sets::uid_ranges;
use crate::state::{Answer, Connection, Done, Failure, GONE, NO_FOLDER, TOO_MANY_KEYWORDS, keyword_names};
use crate::sync::{SYSTEM, Telling, learn_keywords};
use imap_session::command::{FlagList, StoreAction, StoreArguments};
use imap_session::response::{self, Code};
use imap_session::sequence::MessageSet;
use mail_types::SystemFlags;
use store::FlagAction;

/// Ranges changed in one unit of work: a long one keeps every other writer waiting.
const RANGES_MAX: usize = 500;

/// One change of flags that the reader may make.
struct Step {
    action: FlagAction,
    flags: SystemFlags,
    keywords: Vec<String>,
}

impl Connection {
    /// STORE.
    pub(crate) async fn store_flags(&mut self, arguments: StoreArguments) -> Answer {
        if arguments.unchanged_since.is_some() {
            return Err(Failure::Bad("CONDSTORE is not offered"));
        }
        let selected = self.selected()?;
        let who = selected.who;
        selected.must_be_writable()?;
        let mut messages = selected.resolve(&arguments.set, arguments.by_uid)?;
        let steps = permitted(who, arguments.action, arguments.flags, &selected.keywords)?;
        let ranges = uid_ranges(&messages);
        let mut surprises = Vec::new();
        for step in &steps {
            for chunk in ranges.chunks(RANGES_MAX) {
                surprises.extend(self.store_step(who, step, chunk.to_vec()).await?);
            }
        }
        if arguments.silent {
            // RFC 3501 §6.4.6: silence is about what the client asked, not about what others did.
            surprises.sort_unstable();
            messages.retain(|(_, uid)| surprises.binary_search(uid).is_ok());
        }
        // The change log is read after the change: what it lacks was there to be changed.
        let forced = !arguments.silent && !arguments.by_uid;
        self.tell_changes(Telling { forced, ..Telling::default() }).await?;
        self.tell_flags(&messages, arguments.by_uid).await?;
        let view = &self.selected()?.view;
        if forced && arguments.set != MessageSet::Saved && messages.iter().any(|(_, uid)| view.is_gone(*uid))
        {
            // RFC 2180 §4.2.2, §4.2.3; under `.SILENT` (§4.2.1) and by UID it is OK.
            return Err(GONE);
        }
        Ok(Done::new("STORE completed"))
    }

    /// Returns the UIDs of messages that now differ in more than what was asked: others changed them meanwhile.
    async fn store_step(
        &mut self,
        who: Who,
        step: &Step,
        ranges: Vec<(u32, u32)>,
    ) -> Result<Vec<u32>, Failure> {
        let store = self.changing(who);
        let Self { selected, wire, .. } = self;
        let selected = selected.as_deref_mut().ok_or(NO_FOLDER)?;
        let Step { action, flags, keywords } = step;
        let changed = store
            .store_flags(selected.folder, who.private_seen_of, ranges, *action, *flags, keywords.clone())
            .await?
            .ok_or(TOO_MANY_KEYWORDS)?;
        let is_known = |name: &String| selected.keywords.iter().any(|known| known.eq_ignore_ascii_case(name));
        let are_new = *action != FlagAction::Remove && !keywords.iter().all(is_known);
        if are_new || changed.iter().any(|change| selected.lacks_name(change.keywords)) {
            learn_keywords(selected, &store, &mut wire.out).await?;
        }
        let bits = keyword_bits(&selected.keywords, keywords);
        let mut surprises = Vec::new();
        for change in changed {
            let uid = change.uid.0;
            let after = (change.flags, change.keywords);
            let before = selected.view.entry(uid).map(|entry| (entry.flags, entry.keywords));
            if before.is_some_and(|before| applied(*action, before, (*flags, bits)) != after) {
                surprises.push(uid);
            }
            selected.view.note_flags(uid, change.flags, change.keywords);
        }
        Ok(surprises)
    }

    /// Answers with the flags of every message addressed, changed or not.
    async fn tell_flags(&mut self, messages: &[(u32, u32)], by_uid: bool) -> Result<(), Failure> {
        let Some(selected) = self.selected.as_deref() else { return Ok(()) };
        for &(seq, uid) in messages {
            let entry = selected.view.entry(uid).filter(|entry| !selected.view.is_gone(entry.uid));
            if let Some(entry) = entry {
                let keywords = keyword_names(&selected.keywords, entry.keywords);
                let uid = by_uid.then_some(uid);
                response::fetch_flags(&mut self.wire.out, seq, uid, entry.flags, keywords, entry.recent);
                self.wire.spill().await?;
            }
        }
        Ok(())
    }
}

/// The bits of these keywords, of those that the folder has.
fn keyword_bits(known: &[String], names: &[String]) -> u64 {
    let is_named = |known: &String| names.iter().any(|name| name.eq_ignore_ascii_case(known));
    let bits = known.iter().take(64).enumerate().filter(|(_, known)| is_named(known));
    bits.fold(0, |bits, (bit, _)| bits | 1 << bit)
}

/// What a message's flags and keywords become if nobody else changes them.
fn applied(action: FlagAction, before: (SystemFlags, u64), named: (SystemFlags, u64)) -> (SystemFlags, u64) {
    match action {
        FlagAction::Replace => named,
        FlagAction::Add => (before.0.union(named.0), before.1 | named.1),
        FlagAction::Remove => (before.0.without(named.0), before.1 & !named.1),
    }
}

/// What of the change the reader may make. One who may change only some flags leaves the others as they are, also when replacing.
fn permitted(who: Who, action: StoreAction, asked: FlagList, known: &[String]) -> Result<Vec<Step>, Failure> {
    let changeable = who.changeable();
    let may_write = who.rights.has('w');
    let flags = SystemFlags(asked.system.0 & changeable.0);
    let keywords = if may_write { asked.keywords.clone() } else { Vec::new() };
    let is_nothing = flags == SystemFlags::default() && keywords.is_empty();
    let asks_nothing = asked.system == SystemFlags::default() && asked.keywords.is_empty();
    let may_nothing = changeable == SystemFlags::default();
    if may_nothing || (is_nothing && !asks_nothing) {
        return Err(Failure::No(Some(Code::NoPerm), "You may not change these flags"));
    }
    let step = |action, flags, keywords| Step { action, flags, keywords };
    Ok(match action {
        StoreAction::Add => vec![step(FlagAction::Add, flags, keywords)],
        StoreAction::Remove => vec![step(FlagAction::Remove, flags, keywords)],
        StoreAction::Replace if changeable == SYSTEM => vec![step(FlagAction::Replace, flags, keywords)],
        StoreAction::Replace => {
            let is_kept = |name: &&String| keywords.iter().any(|kept| kept.eq_ignore_ascii_case(name));
            let others = known.iter().filter(|name| may_write && !is_kept(name)).cloned().collect();
            let removed = step(FlagAction::Remove, changeable.without(flags), others);
            vec![removed, step(FlagAction::Add, flags, keywords)]
        }
    })
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
        let named = (SystemFlags::FLAGGED, keyword_bits(&known, &["new".to_owned()]));
        let before = (SystemFlags::SEEN, 1);
        let both = SystemFlags::SEEN.union(SystemFlags::FLAGGED);
        assert_eq!(applied(FlagAction::Add, before, named), (both, 3));
        assert_eq!(applied(FlagAction::Replace, before, named), (SystemFlags::FLAGGED, 2));
        assert_eq!(applied(FlagAction::Remove, (both, 3), named), before);
    }

    #[test]
    fn a_reader_changes_seen_and_nothing_else() {
        let both = asked(SystemFlags::SEEN.union(SystemFlags::DELETED), "urgent");
        let steps = permitted(who("lrs"), StoreAction::Replace, both, &["urgent".to_owned()]).unwrap();
        let made: Vec<_> = steps.iter().map(|step| (step.action, step.flags, step.keywords.len())).collect();
        let nothing = SystemFlags::default();
        assert_eq!(made, [(FlagAction::Remove, nothing, 0), (FlagAction::Add, SystemFlags::SEEN, 0)]);
        assert!(permitted(who("lrs"), StoreAction::Add, asked(SystemFlags::DELETED, "k"), &[]).is_err());
        assert!(permitted(who("lr"), StoreAction::Replace, FlagList::default(), &[]).is_err());
    }

    #[test]
    fn who_may_write_but_not_delete_replaces_all_but_deleted() {
        let known = ["old".to_owned(), "New".to_owned()];
        let steps =
            permitted(who("lrsw"), StoreAction::Replace, asked(SystemFlags::SEEN, "new"), &known).unwrap();
        assert_eq!(steps[0].keywords, ["old"]);
        assert!(!steps[0].flags.contains(SystemFlags::DELETED));
        assert!(steps[0].flags.contains(SystemFlags::FLAGGED));
        assert_eq!((steps[1].flags, steps[1].keywords.len()), (SystemFlags::SEEN, 1));
    }
}
