//! Telling the client what changed in the selected folder (RFC 3501 §5.2, §5.5, §7.4.1).

use crate::enable::Extension;
use crate::select::permanent_flags;
use crate::state::{Connection, Failure, Selected, keyword_names};
use imap_session::command::CommandBody;
use imap_session::response::{self, Status};
use imap_session::sequence::runs;
use imap_session::view::{Permit, Untagged};
use mail_types::SystemFlags;
use store::Store;

/// The five that every folder has.
pub(crate) const SYSTEM: SystemFlags = SystemFlags(31);

/// What may be told at the end of a command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Telling {
    /// The command was a UID command: tell UIDs.
    pub(crate) by_uid: bool,
    /// EXPUNGE may be told.
    pub(crate) expunges: bool,
    /// The change log is read even when no notice came: another process may have written.
    pub(crate) forced: bool,
    /// The tagged OK tells a client that resynchronises how far it was told everything.
    pub(crate) ends_with_modseq: bool,
    /// The folder was described as it was read: what came since is told with the next command.
    pub(crate) postponed: bool,
    /// Told even to a client that asked not to be notified: it is the answer to its command.
    pub(crate) owed: bool,
    /// Between commands: expunges only to a client that asked to be notified of them at once.
    pub(crate) unasked: bool,
}

impl Telling {
    /// What IDLE and NOOP are for.
    pub(crate) const EVERYTHING: Self = Self {
        by_uid: false,
        expunges: true,
        forced: true,
        ends_with_modseq: false,
        postponed: false,
        owed: false,
        unasked: false,
    };

    /// What a client that asked to be notified hears between commands.
    pub(crate) const UNASKED: Self = Self { unasked: true, forced: false, ..Self::EVERYTHING };

    /// RFC 3501 §7.4.1: no EXPUNGE during FETCH, STORE and SEARCH; their UID forms are other commands.
    pub(crate) fn after(body: &CommandBody) -> Self {
        let (by_uid, expunges, forced) = match body {
            // Who asks what changed since is to hear of everything.
            CommandBody::Fetch(arguments) => {
                (arguments.by_uid, arguments.by_uid, arguments.changed_since.is_some())
            }
            CommandBody::Store(arguments) => {
                (arguments.by_uid, arguments.by_uid, arguments.unchanged_since.is_some())
            }
            CommandBody::Search(arguments) => (arguments.by_uid, arguments.by_uid, false),
            CommandBody::Sort(arguments) => (arguments.by_uid, arguments.by_uid, false),
            CommandBody::Thread(arguments) => (arguments.by_uid, arguments.by_uid, false),
            CommandBody::Copy { by_uid, .. } => (*by_uid, true, false),
            CommandBody::Move { by_uid, .. } => (*by_uid, true, true),
            CommandBody::UidExpunge { .. } => (true, true, true),
            CommandBody::Noop | CommandBody::Check | CommandBody::Expunge => (false, true, true),
            _ => (false, true, false),
        };
        let ends_with_modseq =
            matches!(body, CommandBody::Expunge | CommandBody::UidExpunge { .. } | CommandBody::Move { .. });
        let postponed = matches!(body, CommandBody::Select { .. } | CommandBody::Examine { .. });
        // RFC 5465 §3.1: what had come before NOTIFY is told before its end.
        let owed = ends_with_modseq || matches!(body, CommandBody::Notify(_));
        let forced = forced || owed;
        Self { by_uid, expunges, forced, ends_with_modseq, postponed, owed, unasked: false }
    }
}

impl Connection {
    /// Reads the change log where that is due and writes what it says.
    pub(crate) async fn tell_changes(&mut self, telling: Telling) -> Result<(), Failure> {
        let told = self.tell_changes_now(telling).await;
        if matches!(told, Err(Failure::Store(_))) {
            self.note_unread();
        }
        told
    }

    async fn tell_changes_now(&mut self, telling: Telling) -> Result<(), Failure> {
        let (policy, is_owed) = (self.notify_policy(), self.owes_changes());
        let Some(selected) = self.selected.as_deref_mut() else { return Ok(()) };
        // A client that used NOTIFY hears what it asked for, and what its own command brought about.
        if telling.postponed || policy.is_some_and(|policy| !policy.messages && !telling.owed) {
            return Ok(());
        }
        let expunges =
            telling.expunges && !(telling.unasked && policy.is_none_or(|policy| policy.is_delayed));
        let before = selected.view.last_uid();
        // The notice is taken before the log is read: one that comes meanwhile is for the next time.
        let is_due = selected.watch.take() || telling.forced || is_owed;
        let waits = expunges && selected.view.has_pending_expunges();
        if !is_due && !waits {
            return Ok(());
        }
        let mut changes = Vec::new();
        if is_due {
            let news = self.shared.pictures.follow(&self.shared.store, selected).await?;
            let Some(news) = news else {
                self.selected = None;
                return Err(Failure::Vanished);
            };
            selected.modseq = news.modseq;
            if news.keywords.len() > selected.keywords.len() {
                selected.keywords.clone_from(&news.keywords);
                tell_keywords(selected, &mut self.wire.out);
            }
            let last = news.changed.last().map_or(0, |message| message.uid);
            if selected.view.last_uid() < last {
                let recent_from = selected.claim_recent(last.saturating_add(1));
                selected.view.set_recent_from(recent_from);
            }
            changes = news.in_order();
        }
        let permit = Permit {
            expunges,
            vanished: self.enabled.tells_vanished(),
            modseqs: self.enabled.has(Extension::CondStore),
        };
        let told = selected.view.apply(changes, permit);
        self.shared.pictures.share(selected);
        if is_due && policy.is_some() {
            self.note_reading();
        }
        let flags = policy.is_none_or(|policy| policy.flags || telling.owed);
        // RFC 5465 §5.1: with their UID.
        let by_uid = telling.by_uid || policy.is_some();
        self.write_told(&told, by_uid, flags).await?;
        if policy.is_some() { self.tell_new_messages(before).await } else { Ok(()) }
    }

    async fn write_told(&mut self, told: &[Untagged], by_uid: bool, flags: bool) -> Result<(), Failure> {
        let Some(selected) = self.selected.as_deref() else { return Ok(()) };
        for each in told {
            let out = &mut self.wire.out;
            match each {
                Untagged::Vanished(uids) => response::vanished(out, &runs(uids), false),
                Untagged::Expunge(number) => response::expunge(out, *number),
                Untagged::Exists(count) => response::exists(out, *count),
                Untagged::Recent(count) if self.enabled.tells_recent() => response::recent(out, *count),
                Untagged::Recent(_) => {}
                Untagged::Flags { .. } if !flags => {}
                Untagged::Flags { seq, uid } => {
                    if let Some(entry) = selected.view.entry(*uid) {
                        let keywords = keyword_names(&selected.keywords, entry.keywords);
                        let named = self.enabled.named(by_uid, *seq, *uid);
                        let modseq = self.enabled.modseq(&entry);
                        let recent = entry.recent && self.enabled.tells_recent();
                        response::fetch_flags(out, named, entry.flags, keywords, recent, modseq);
                    }
                }
            }
            self.wire.spill().await?;
        }
        Ok(())
    }
}

/// Reads the names of keywords again, and tells them.
pub(crate) async fn learn_keywords(
    selected: &mut Selected,
    store: &Store,
    out: &mut Vec<u8>,
) -> Result<(), store::Error> {
    selected.keywords = store.keywords(selected.folder).await?;
    tell_keywords(selected, out);
    Ok(())
}

/// FLAGS and PERMANENTFLAGS go together: one names the flags there are, the other those that can be set.
fn tell_keywords(selected: &Selected, out: &mut Vec<u8>) {
    response::folder_flags(out, SYSTEM, selected.keywords.iter().map(String::as_str));
    response::untagged(out, Status::Ok, Some(permanent_flags(selected)), "Flags that can be changed");
}
