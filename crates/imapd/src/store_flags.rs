//! STORE (RFC 3501 §6.4.6; rights after RFC 4314 §4).

use crate::sets::uid_ranges;
use crate::state::{Answer, Connection, Done, Failure, Who, keyword_names};
use crate::sync::SYSTEM;
use imap_session::command::{FlagList, StoreAction, StoreArguments};
use imap_session::response::{self, Code};
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
        let who = self.who()?;
        let selected = self.selected()?;
        selected.must_be_writable()?;
        let messages = selected.resolve(&arguments.set, arguments.by_uid)?;
        let steps = permitted(who, arguments.action, arguments.flags, &selected.keywords)?;
        let ranges = uid_ranges(&messages);
        for step in &steps {
            for chunk in ranges.chunks(RANGES_MAX) {
                self.store_step(who, step, chunk.to_vec()).await?;
            }
        }
        if !arguments.silent {
            self.tell_flags(&messages, arguments.by_uid).await?;
        }
        Ok(Done::new("STORE completed"))
    }

    async fn store_step(&mut self, who: Who, step: &Step, ranges: Vec<(u32, u32)>) -> Result<(), Failure> {
        let store = self.store();
        let selected = self.selected_mut()?;
        let Step { action, flags, keywords } = step;
        let changed = store
            .store_flags(selected.folder, who.private_seen_of, ranges, *action, *flags, keywords.clone())
            .await?
            .ok_or(Failure::No(Some(Code::Limit), "The folder has too many keywords"))?;
        for change in changed {
            selected.view.note_flags(change.uid.0, change.flags, change.keywords);
        }
        let is_known = |name: &String| selected.keywords.iter().any(|known| known.eq_ignore_ascii_case(name));
        if *action != FlagAction::Remove && !keywords.iter().all(is_known) {
            selected.keywords = store.keywords(selected.folder).await?;
            let names = selected.keywords.clone();
            response::folder_flags(&mut self.wire.out, SYSTEM, names.iter().map(String::as_str));
        }
        Ok(())
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
        Who { mailbox: MailboxId(1), actor: ActorId(1), rights, private_seen_of: None }
    }

    fn asked(system: SystemFlags, keyword: &str) -> FlagList {
        FlagList { system, keywords: vec![keyword.to_owned()] }
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
