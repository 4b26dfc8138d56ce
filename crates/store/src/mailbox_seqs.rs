//! How far a mailbox has changed, told by a few numbers: whoever follows it reads no more than what has another number.

use crate::dialect::on;
use crate::flags::json_list;
use crate::mailbox_watch::MailboxNotices;
use crate::writer::WriteTx;
use crate::{Error, Store};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::sleep;

/// How often somebody looks for what another process committed.
const EVERY: Duration = Duration::from_secs(3);
/// The same while the database does not answer, at most.
const RARELY: Duration = Duration::from_secs(60);
/// Mailboxes asked about in one statement.
const AT_ONCE: usize = 500;
/// The same, with each of their folders.
const WITH_FOLDERS: usize = 50;
/// A grant with a smaller number may be committed after one with a larger: so many are looked at again.
const OVERLAP: i64 = 64;
/// Grants looked at in one statement.
const GRANTS_MAX: i64 = 1_000;

/// Numbers that only ever grow, each with the changes of its kind in a mailbox. What changes messages counts in each folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxSeqs {
    /// Folders were made, deleted or renamed, or have another use.
    pub folders: i64,
    /// Somebody subscribed, or ended it.
    pub subscriptions: i64,
    /// Annotations were set or removed.
    pub annotations: i64,
}

/// What was seen of the mailboxes that somebody follows.
#[derive(Debug, Default)]
struct Seen {
    mailboxes: HashMap<MailboxId, SeenMailbox>,
    grants: Option<SeenGrants>,
}

#[derive(Debug, Default)]
struct SeenMailbox {
    seqs: MailboxSeqs,
    /// Of the modification sequences of its folders.
    sum: i64,
    modseqs: HashMap<FolderId, ModSeq>,
}

#[derive(Debug, Default)]
struct SeenGrants {
    last: i64,
    /// The last of them.
    lately: HashSet<i64>,
}

impl Store {
    /// How far these mailboxes have changed; those that are gone are left out.
    pub async fn mailbox_seqs(
        &self,
        mailboxes: &[MailboxId],
    ) -> Result<HashMap<MailboxId, MailboxSeqs>, Error> {
        let ids: Vec<i64> = mailboxes.iter().map(|mailbox| mailbox.0).collect();
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, i64, i64, i64)> = match reader.conn() {
            crate::dialect::Conn::Sqlite(c) => sqlx::query_as(
                "SELECT id, folder_seq, subscription_seq, annotation_seq FROM mailboxes WHERE id IN (SELECT value FROM json_each($1))")
                .bind(json_list(&ids)).fetch_all(c).await?,
            crate::dialect::Conn::Postgres(c, is_stuck) => crate::dialect::answered(is_stuck, sqlx::query_as(
                "SELECT id, folder_seq, subscription_seq, annotation_seq FROM mailboxes WHERE id = ANY($1)")
                .bind(ids).fetch_all(c)).await?,
        };
        let seqs = |(id, folders, subscriptions, annotations)| {
            (MailboxId(id), MailboxSeqs { folders, subscriptions, annotations })
        };
        Ok(rows.into_iter().map(seqs).collect())
    }

    /// Looks from time to time, for as long as it is polled, for what other processes commit in mailboxes that sessions of this one follow, and for
    /// mailboxes that are given to those who follow what they reach. One task of a process does this. While nobody follows any, nothing is asked.
    pub async fn follow_mailboxes(&self) {
        let mut seen = Seen::default();
        let mut pause = EVERY;
        loop {
            sleep(pause).await;
            // A database that does not answer is told of elsewhere; what changed meanwhile is seen when it does.
            pause = match self.look_at_mailboxes(&mut seen).await {
                Ok(()) => EVERY,
                Err(_) => (pause * 2).min(RARELY),
            };
        }
    }

    async fn look_at_mailboxes(&self, seen: &mut Seen) -> Result<(), Error> {
        let notices = self.mailbox_notices();
        let followed = notices.followed();
        let is_followed: HashSet<MailboxId> = followed.iter().copied().collect();
        seen.mailboxes.retain(|mailbox, _| is_followed.contains(mailbox));
        for mailboxes in followed.chunks(AT_ONCE) {
            let seqs = self.mailbox_seqs(mailboxes).await?;
            let sums = self.sums_of_modseqs(mailboxes).await?;
            let moved: Vec<MailboxId> =
                mailboxes.iter().copied().filter(|mailbox| seen.is_moved(*mailbox, &sums)).collect();
            for mailboxes in moved.chunks(WITH_FOLDERS) {
                let modseqs = self.modseqs_in(mailboxes).await?;
                seen.see_modseqs(notices, modseqs);
            }
            // Only now: what is not told of is looked for again.
            seen.see(notices, &seqs, &sums);
        }
        if !notices.has_actors() {
            seen.grants = None;
            return Ok(());
        }
        self.look_at_grants(&mut seen.grants, notices).await
    }

    async fn sums_of_modseqs(&self, mailboxes: &[MailboxId]) -> Result<HashMap<MailboxId, i64>, Error> {
        let ids: Vec<i64> = mailboxes.iter().map(|mailbox| mailbox.0).collect();
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64)> = match reader.conn() {
            crate::dialect::Conn::Sqlite(c) => sqlx::query_as(
                "SELECT mailbox_id, SUM(modseq) FROM folders WHERE mailbox_id IN (SELECT value FROM json_each($1)) GROUP BY mailbox_id")
                .bind(json_list(&ids)).fetch_all(c).await?,
            crate::dialect::Conn::Postgres(c, is_stuck) => crate::dialect::answered(is_stuck, sqlx::query_as(
                "SELECT mailbox_id, CAST(SUM(modseq) AS BIGINT) FROM folders WHERE mailbox_id = ANY($1) GROUP BY mailbox_id")
                .bind(ids).fetch_all(c)).await?,
        };
        Ok(rows.into_iter().map(|(mailbox, sum)| (MailboxId(mailbox), sum)).collect())
    }

    async fn modseqs_in(
        &self,
        mailboxes: &[MailboxId],
    ) -> Result<HashMap<MailboxId, HashMap<FolderId, ModSeq>>, Error> {
        let ids: Vec<i64> = mailboxes.iter().map(|mailbox| mailbox.0).collect();
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64, i64)> = match reader.conn() {
            crate::dialect::Conn::Sqlite(c) => sqlx::query_as(
                "SELECT mailbox_id, id, modseq FROM folders WHERE mailbox_id IN (SELECT value FROM json_each($1))")
                .bind(json_list(&ids)).fetch_all(c).await?,
            crate::dialect::Conn::Postgres(c, is_stuck) => crate::dialect::answered(is_stuck, sqlx::query_as(
                "SELECT mailbox_id, id, modseq FROM folders WHERE mailbox_id = ANY($1)").bind(ids).fetch_all(c)).await?,
        };
        let mut modseqs: HashMap<MailboxId, HashMap<FolderId, ModSeq>> = HashMap::new();
        for (mailbox, folder, modseq) in rows {
            let folders = modseqs.entry(MailboxId(mailbox)).or_default();
            folders.insert(FolderId(folder), ModSeq(modseq.unsigned_abs()));
        }
        Ok(modseqs)
    }

    async fn look_at_grants(
        &self,
        seen: &mut Option<SeenGrants>,
        notices: &MailboxNotices,
    ) -> Result<(), Error> {
        let mut reader = self.quick_reader().await?;
        let Some(seen) = seen else {
            let (last,): (i64,) = on!(reader.conn(), c => sqlx::query_as("SELECT COALESCE(MAX(id), 0) FROM grants").fetch_one(&mut *c).await)?;
            *seen = Some(SeenGrants { last, lately: ((last - OVERLAP)..=last).collect() });
            // What was given since they asked, and before this, is among what is not new.
            notices.publish_all_reach();
            return Ok(());
        };
        let rows: Vec<(i64, i64)> = on!(reader.conn(), c => sqlx::query_as("SELECT id, actor_id FROM grants WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(seen.last - OVERLAP).bind(GRANTS_MAX).fetch_all(&mut *c).await)?;
        drop(reader);
        for (grant, actor) in rows {
            seen.last = seen.last.max(grant);
            if seen.lately.insert(grant) {
                notices.publish_reach(ActorId(actor));
            }
        }
        let last = seen.last;
        seen.lately.retain(|grant| *grant > last - OVERLAP);
        Ok(())
    }
}

impl Seen {
    /// Whether messages changed in a mailbox; so it may be with one that is seen for the first time.
    fn is_moved(&self, mailbox: MailboxId, sums: &HashMap<MailboxId, i64>) -> bool {
        let sum = sums.get(&mailbox).copied().unwrap_or(0);
        self.mailboxes.get(&mailbox).is_none_or(|seen| seen.sum != sum)
    }

    fn see(
        &mut self,
        notices: &MailboxNotices,
        seqs: &HashMap<MailboxId, MailboxSeqs>,
        sums: &HashMap<MailboxId, i64>,
    ) {
        for (mailbox, seqs) in seqs {
            let seen = self.mailboxes.entry(*mailbox).or_default();
            seen.sum = sums.get(mailbox).copied().unwrap_or(0);
            if seen.seqs != *seqs {
                seen.seqs = *seqs;
                notices.publish_seqs(*mailbox, *seqs);
            }
        }
    }

    fn see_modseqs(
        &mut self,
        notices: &MailboxNotices,
        modseqs: HashMap<MailboxId, HashMap<FolderId, ModSeq>>,
    ) {
        for (mailbox, modseqs) in modseqs {
            let seen = self.mailboxes.entry(mailbox).or_default();
            let is_other = |folder: &FolderId, modseq: &ModSeq| seen.modseqs.get(folder) != Some(modseq);
            let moved: Vec<(FolderId, ModSeq)> = modseqs
                .iter()
                .filter(|(folder, modseq)| is_other(folder, modseq))
                .map(|(folder, modseq)| (*folder, *modseq))
                .collect();
            seen.modseqs = modseqs;
            notices.publish_modseqs(mailbox, &moved);
        }
    }
}

impl WriteTx {
    /// Folders of the mailbox are others than they were, or have other names: whoever follows it is woken after the commit.
    pub(crate) async fn folders_changed(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET folder_seq = folder_seq + 1 WHERE id = $1")
            .bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
        self.mailbox_changed(mailbox);
        Ok(())
    }

    /// The same of who subscribed.
    pub(crate) async fn subscriptions_changed(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET subscription_seq = subscription_seq + 1 WHERE id = $1")
            .bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
        self.mailbox_changed(mailbox);
        Ok(())
    }
}
