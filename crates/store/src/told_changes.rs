//! What somebody adds, changes or removes in a mailbox that is not their own is told of in the audit trail, in the transaction of the change. What its
//! holder does there is not told of, and costs nothing more.
//!
//! It does not know who holds a mailbox: the [`Act`](crate::Act) says whether to tell.

use crate::dialect::on;
use crate::flags::Ranges;
use crate::writer::WriteTx;
use crate::{AuditEntry, Category, Error, FlagAction, FlagChange, FlagStore};
use mail_types::{FolderId, MailboxId, SystemFlags};
use std::fmt::Write as _;

/// UIDs that one row names; the others are counted.
const UIDS_TOLD_MAX: usize = 100;

/// The messages of one folder that a unit of work changed or removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    count: usize,
    uids: Vec<u32>,
}

impl Touched {
    /// So many messages, of which these are the first.
    pub(crate) fn counted(count: i64, uids: Vec<u32>) -> Self {
        Self { count: usize::try_from(count).unwrap_or(0), uids }
    }

    /// `count=3 uids=4,5,7`
    fn told(&self) -> String {
        let uids: Vec<String> = self.uids.iter().take(UIDS_TOLD_MAX).map(u32::to_string).collect();
        format!("count={} uids={}", self.count, uids.join(","))
    }
}

impl FromIterator<u32> for Touched {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut touched = Self::default();
        for uid in uids {
            touched.count += 1;
            if touched.uids.len() < UIDS_TOLD_MAX {
                touched.uids.push(uid);
            }
        }
        touched
    }
}

/// ` set=\Seen,\Flagged keywords=2`: system flags by name, keywords by their number, for they are a reader's own words.
pub(crate) fn flag_facts(word: &str, flags: SystemFlags, keywords: usize) -> String {
    let named = SystemFlags::NAMES.into_iter().filter(|(flag, _)| flags.contains(*flag));
    let names: Vec<&str> = named.map(|(_, name)| name).collect();
    let mut facts = String::new();
    // Writing to a String does not fail.
    if !names.is_empty() || word == "only" {
        let _ = write!(facts, " {word}={}", names.join(","));
    }
    if keywords > 0 {
        let _ = write!(facts, " {word}_keywords={keywords}");
    }
    facts
}

impl WriteTx {
    /// Whether the unit that runs now is run for somebody in a mailbox that is not theirs.
    pub(crate) fn tells_changes(&self) -> bool {
        self.act.as_ref().is_some_and(|act| act.tells_changes)
    }

    /// Whether what is done in this mailbox is told of.
    fn tells_changes_in(&self, mailbox: MailboxId) -> bool {
        self.act.as_ref().is_some_and(|act| act.tells_changes && act.holds != Some(mailbox))
    }

    /// A row about messages of a folder, if there is anything to tell.
    pub(crate) async fn tell_messages(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        action: &'static str,
        touched: &Touched,
        facts: &str,
    ) -> Result<(), Error> {
        if !self.tells_changes_in(mailbox) || touched.count == 0 {
            return Ok(());
        }
        let entry = AuditEntry {
            mailbox: Some(mailbox),
            detail: format!("{}{facts}", touched.told()),
            ..AuditEntry::new(Category::Access, action).on("folder", folder)
        };
        self.audit(&entry).await
    }

    /// A row about flags that were changed. What a reader alone has seen is not told of.
    pub(crate) async fn tell_flags(
        &mut self,
        folder: FolderId,
        changes: &[FlagChange],
        asked: &FlagStore,
    ) -> Result<(), Error> {
        if !self.tells_changes() {
            return Ok(());
        }
        let touched = shared(changes);
        if touched.count == 0 {
            return Ok(());
        }
        let mailbox = self.mailbox_of(folder).await?;
        let facts = asked_facts(asked);
        self.tell_messages(mailbox, folder, "message.changed", &touched, &facts).await
    }

    /// A row about a folder; the name that it had and that which it has now are sealed.
    pub(crate) async fn tell_folder(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        action: &'static str,
        names: (Option<&str>, Option<&str>),
        detail: String,
    ) -> Result<(), Error> {
        if !self.tells_changes_in(mailbox) {
            return Ok(());
        }
        let mut entry = AuditEntry::new(Category::Access, action).on("folder", folder);
        if let Some(name) = names.0 {
            entry = entry.before(name);
        }
        if let Some(name) = names.1 {
            entry = entry.after(name);
        }
        self.audit(&AuditEntry { mailbox: Some(mailbox), detail, ..entry }).await
    }

    /// The first UIDs in `ranges` whose flags have all of `mask`, if they are to be told of.
    pub(crate) async fn first_uids(
        &mut self,
        folder: FolderId,
        ranges: &Ranges,
        mask: i64,
    ) -> Result<Vec<u32>, Error> {
        let mut uids = Vec::new();
        if !self.tells_changes() {
            return Ok(uids);
        }
        for &(first, last) in ranges {
            let room = UIDS_TOLD_MAX - uids.len();
            if room == 0 {
                break;
            }
            let rows: Vec<(i64,)> = on!(self.conn(), c => sqlx::query_as(
                "SELECT uid FROM messages WHERE folder_id = $1 AND uid BETWEEN $2 AND $3 AND (flags & $4) = $4 ORDER BY uid LIMIT $5")
                .bind(folder.0).bind(i64::from(first)).bind(i64::from(last)).bind(mask).bind(i64::try_from(room).unwrap_or(0))
                .fetch_all(&mut *c).await)?;
            uids.extend(rows.into_iter().filter_map(|(uid,)| u32::try_from(uid).ok()));
        }
        Ok(uids)
    }

    async fn mailbox_of(&mut self, folder: FolderId) -> Result<MailboxId, Error> {
        let (mailbox,): (i64,) = on!(self.conn(), c => sqlx::query_as("SELECT mailbox_id FROM folders WHERE id = $1")
            .bind(folder.0).fetch_one(&mut *c).await)?;
        Ok(MailboxId(mailbox))
    }
}

/// What was asked of the messages. One who may change only some flags replaces those, and leaves the others as they are.
fn asked_facts(asked: &FlagStore) -> String {
    let (flags, keywords) = (asked.flags, asked.keywords.len());
    let all = FlagStore::any(asked.action, flags, Vec::new());
    match asked.action {
        FlagAction::Add => flag_facts("set", flags, keywords),
        FlagAction::Remove => flag_facts("cleared", flags, keywords),
        FlagAction::Replace if asked.changeable == all.changeable && asked.changes_keywords => {
            flag_facts("only", flags, keywords)
        }
        FlagAction::Replace => {
            flag_facts("cleared", asked.changeable.without(flags), 0) + &flag_facts("set", flags, keywords)
        }
    }
}

/// The messages of which more changed than what one reader alone has seen.
pub(crate) fn shared(changes: &[FlagChange]) -> Touched {
    changes.iter().filter(|change| !change.is_private).map(|change| change.uid.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_all_messages_and_names_the_first_hundred() {
        let touched: Touched = (1..=250).collect();
        let told = touched.told();
        assert!(told.starts_with("count=250 uids=1,2,3,"), "{told}");
        assert!(told.ends_with(",99,100"), "{told}");
    }

    #[test]
    fn flags_are_named_and_keywords_counted() {
        let both = SystemFlags::SEEN.union(SystemFlags::FLAGGED);
        assert_eq!(flag_facts("set", both, 2), " set=\\Flagged,\\Seen set_keywords=2");
        assert_eq!(flag_facts("cleared", SystemFlags::default(), 0), "");
        assert_eq!(flag_facts("only", SystemFlags::default(), 0), " only=");
    }
}
