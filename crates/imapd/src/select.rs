//! SELECT, EXAMINE, CLOSE, UNSELECT, STATUS (RFC 3501 §6.3.1, §6.3.2, §6.3.10, §6.4.2; RFC 3691).

use crate::enable::Extension;
use crate::pictures::Opened;
use crate::place::{NONEXISTENT, Place, Who};
use crate::state::{Answer, Connection, Done, Failure, Selected};
use crate::sync::SYSTEM;
use imap_session::command::{SelectParameters, StatusItem};
use imap_session::response::{self, Code, Status};
use imap_session::sequence::Ranges;
use imap_session::view::View;
use mail_types::{FolderId, SystemFlags};
use store::{AuditEntry, Category, FolderStatus, FolderWatch, KEYWORDS_MAX};

/// Folders that a session remembers to have told of; others are told of again.
const OPENED_MAX: usize = 1000;

impl Connection {
    /// SELECT, or EXAMINE when only `to_read`. Whatever comes of it, the folder selected before is not any more.
    pub(crate) async fn select(&mut self, name: &str, parameters: SelectParameters, to_read: bool) -> Answer {
        if parameters.resync.is_some() && !self.enabled.has(Extension::QResync) {
            return Err(Failure::Bad("Enable QRESYNC first"));
        }
        if self.leave_folder().await.is_some() {
            let closed = "The folder selected before is closed";
            response::untagged(&mut self.wire.out, Status::Ok, Some(Code::Closed), closed);
        }
        if parameters.condstore {
            self.turn_on(Extension::CondStore);
        }
        let mut place = self.place(name).await?;
        let (who, folder) = (place.who, place.id());
        who.must("r")?;
        let is_read_only = to_read || !"swite".chars().any(|letter| who.rights.has(letter));
        // Watched before it is read, so that no change falls between.
        let watch = self.shared.store.watch(folder);
        let opened = self.shared.pictures.open(&self.shared.store, folder, &mut place.who).await?;
        let opened = opened.ok_or(NONEXISTENT)?;
        self.shared.metrics.count_opening(opened.source);
        self.tell_opened(who, folder).await?;
        let status = opened.status;
        let recent_from = self.shared.store.recent_from(&status, !is_read_only).await?;
        let selected = selected(opened, recent_from, place, watch, is_read_only);
        self.describe(name, &selected, status);
        self.selected = Some(Box::new(selected));
        self.watch_selected();
        // Of a folder that was made anew, what the client knows means nothing.
        let resync = parameters.resync.filter(|resync| resync.uid_validity == status.uid_validity.0);
        if let Some(resync) = resync
            && let Err(failure) = self.catch_up(&resync).await
        {
            // What is answered NO is not selected (RFC 3501 §6.3.1).
            self.leave_folder().await;
            return Err(failure);
        }
        Ok(match (is_read_only, to_read) {
            (false, _) => Done::with(Code::ReadWrite, "SELECT completed"),
            (true, false) => Done::with(Code::ReadOnly, "SELECT completed"),
            (true, true) => Done::with(Code::ReadOnly, "EXAMINE completed"),
        })
    }

    /// Lets the audit trail know, before the client does, that somebody opens a folder of another's mailbox; once in a session.
    pub(crate) async fn tell_opened(&mut self, who: Who, folder: FolderId) -> Result<(), Failure> {
        let store = self.changing(who);
        let Some(login) = self.login.as_deref_mut() else { return Ok(()) };
        if who.is_holder || login.opened.contains(&folder) {
            return Ok(());
        }
        let entry = AuditEntry {
            mailbox: Some(who.mailbox),
            ..AuditEntry::new(Category::Access, "folder.opened").on("folder", folder)
        };
        match store.record_audit(vec![entry]).await {
            Ok(()) => {}
            // Mail can still be read, and read it must be; the log tells of it.
            Err(error @ store::Error::Full(_)) => {
                tracing::error!(%error, actor = %who.actor, %folder, "a folder was opened without a row in the audit trail");
            }
            Err(error) => return Err(error.into()),
        }
        if login.opened.len() < OPENED_MAX {
            login.opened.push(folder);
        }
        Ok(())
    }

    /// What may name a message by its number, or call it recent, is for those who want to hear it.
    fn describe(&mut self, name: &str, selected: &Selected, status: FolderStatus) {
        let enabled = self.enabled;
        let out = &mut self.wire.out;
        let mut say = |code, text| response::untagged(out, Status::Ok, Some(code), text);
        let tells_unseen = enabled.tells_recent() && !enabled.has(Extension::UidOnly);
        if let Some(first) = selected.view.first_unseen().filter(|_| tells_unseen) {
            say(Code::Unseen(first), "First message not seen");
        }
        say(Code::UidValidity(status.uid_validity.0), "UIDs valid");
        // The rows may be newer than the counters.
        let after_last = selected.view.last_uid().saturating_add(1);
        say(Code::UidNext(status.uid_next.max(after_last)), "Predicted next UID");
        say(Code::MailboxId(selected.folder.0.unsigned_abs()), "Identifier of the folder");
        say(permanent_flags(selected), "Flags that can be changed");
        say(Code::HighestModSeq(selected.modseq.0), "Highest modification sequence");
        response::folder_flags(out, SYSTEM, selected.keywords.iter().map(String::as_str));
        response::exists(out, selected.view.len());
        if enabled.tells_recent() {
            response::recent(out, selected.view.recent());
        } else {
            // RFC 9051 §6.3.2.
            response::list(out, &[], Some('/'), name, enabled.names_in_utf8());
        }
    }

    /// CLOSE: removes what is marked, says nothing of it. A folder open to be read, or a reader who may not, removes nothing.
    pub(crate) async fn close(&mut self) -> Answer {
        let selected = self.leave_folder().await;
        let may_expunge = |selected: &Selected| !selected.is_read_only && selected.who.may("e");
        if let Some(selected) = selected.filter(|selected| may_expunge(selected)) {
            let who = selected.who;
            self.changing(who).expunge(who.mailbox, selected.folder, None).await?;
        }
        Ok(Done::new("CLOSE completed"))
    }

    /// UNSELECT.
    pub(crate) async fn unselect(&mut self) -> Answer {
        self.leave_folder().await;
        Ok(Done::new("UNSELECT completed"))
    }

    /// STATUS.
    pub(crate) async fn status(&mut self, name: &str, items: &[StatusItem]) -> Answer {
        if items.contains(&StatusItem::HighestModSeq) {
            self.turn_on(Extension::CondStore);
        }
        let place = self.place(name).await?;
        place.who.must("r")?;
        self.write_status(name, place.id(), place.who, items).await?;
        Ok(Done::new("STATUS completed"))
    }

    /// `* STATUS`, for a folder that is still there.
    pub(crate) async fn write_status(
        &mut self,
        name: &str,
        folder: FolderId,
        who: Who,
        items: &[StatusItem],
    ) -> Result<(), Failure> {
        let status = self.shared.store.folder_status(folder, Some(who.actor)).await?.ok_or(NONEXISTENT)?;
        // Not counted as messages come and go: it is asked for seldom.
        let deleted_bytes = if items.contains(&StatusItem::DeletedStorage) {
            self.shared.store.deleted_bytes(folder).await?
        } else {
            0
        };
        self.tell_status(name, &status, deleted_bytes, items);
        Ok(())
    }

    /// `* STATUS`, from what is known.
    pub(crate) fn tell_status(
        &mut self,
        name: &str,
        status: &FolderStatus,
        deleted_bytes: u64,
        items: &[StatusItem],
    ) {
        let limit = self.shared.message_size_max;
        let value = |item| match item {
            StatusItem::DeletedStorage => deleted_bytes,
            item => value(status, limit, item),
        };
        let values: Vec<_> = items.iter().map(|item| (*item, value(*item))).collect();
        response::status(&mut self.wire.out, name, self.decoder.is_utf8(), &values);
    }
}

fn selected(
    opened: Opened,
    recent_from: u32,
    place: Place,
    watch: FolderWatch,
    is_read_only: bool,
) -> Selected {
    let status = opened.status;
    let mut selected = Selected {
        folder: status.id,
        who: place.who,
        key: place.key,
        ground: place.ground,
        is_read_only,
        uid_validity: status.uid_validity,
        modseq: status.modseq,
        view: View::default(),
        uid_next: status.uid_next,
        keywords: opened.keywords,
        watch,
        claimed: None,
        saved: Ranges::default(),
    };
    // Rows may be newer than the counters, and than what the store was told.
    let after_last = opened.picture.last().map_or(1, |message| message.uid.saturating_add(1));
    let told = selected.claim_recent(after_last.max(status.uid_next));
    selected.claimed = selected.claimed.filter(|_| after_last > status.uid_next);
    selected.view = View::new(opened.picture, recent_from.max(told));
    selected
}

/// PERMANENTFLAGS: what the reader may change, and whether new keywords can be made.
pub(crate) fn permanent_flags(selected: &Selected) -> Code {
    if selected.is_read_only {
        return Code::PermanentFlags(SystemFlags::default(), Vec::new(), false);
    }
    let who = selected.who;
    let may_write = who.may("w");
    let keywords = if may_write { selected.keywords.clone() } else { Vec::new() };
    Code::PermanentFlags(who.changeable(), keywords, may_write && selected.keywords.len() < KEYWORDS_MAX)
}

fn value(status: &FolderStatus, append_limit: u64, item: StatusItem) -> u64 {
    match item {
        StatusItem::Messages => status.messages.into(),
        StatusItem::Recent => status.recent.into(),
        StatusItem::UidNext => status.uid_next.into(),
        StatusItem::UidValidity => status.uid_validity.0.into(),
        StatusItem::Unseen => status.unseen.into(),
        StatusItem::Size => status.size_bytes,
        StatusItem::HighestModSeq => status.modseq.0,
        StatusItem::Deleted => status.deleted.into(),
        StatusItem::AppendLimit => append_limit,
        StatusItem::MailboxId => status.id.0.unsigned_abs(),
        // Told apart.
        StatusItem::DeletedStorage => 0,
    }
}
