//! Counters that change in the same transaction as what they stand for: a running server asks them often and reads again what changed.

use crate::dialect::on;
use crate::writer::WriteTx;
use crate::{Error, Store};
use mail_types::{ActorId, MailboxId};

/// Moves of the directory whose concern is kept; of older ones only the number is known.
const CONCERNS_MAX: i64 = 1_000;

/// What a counter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Local decisions of trust, and departures from the white list.
    Trust,
    /// Something that an open session rests on was taken away or changed: a grant, a certificate rule, a password, a mailbox. What is only
    /// added leaves it, but for grants in an applicative mailbox, which say whose own it is.
    Directory,
}

impl Revision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Directory => "directory",
        }
    }
}

/// Whose open sessions rest on what was changed. More of them may be named than there are, never fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Those of an actor, whatever they opened.
    Actor(ActorId),
    /// Those of everybody who opened a mailbox. A grant is of this kind: whose own an applicative mailbox is rests on the grants of others too.
    Mailbox(MailboxId),
}

impl Concern {
    fn of(actor: Option<i64>, mailbox: Option<i64>) -> Option<Self> {
        match (actor.map(ActorId), mailbox.map(MailboxId)) {
            (Some(actor), None) => Some(Self::Actor(actor)),
            (None, Some(mailbox)) => Some(Self::Mailbox(mailbox)),
            _ => None,
        }
    }

    fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Actor(actor) => (Some(actor.0), None),
            Self::Mailbox(mailbox) => (None, Some(mailbox.0)),
        }
    }
}

impl Store {
    /// Whom the moves of the directory concern after that revision and up to this one, each with its revision. `None` when that is not known of
    /// each of them: then they may concern anybody.
    pub async fn directory_concerns(
        &self,
        after: i64,
        to: i64,
    ) -> Result<Option<Vec<(i64, Concern)>>, Error> {
        let moves = to.saturating_sub(after);
        if !(0..=CONCERNS_MAX).contains(&moves) {
            return Ok(None);
        }
        let mut reader = self.quick_reader().await?;
        let rows: Vec<(i64, Option<i64>, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT revision, actor_id, mailbox_id FROM directory_moves WHERE revision > $1 AND revision <= $2 ORDER BY revision")
            .bind(after).bind(to).fetch_all(&mut *c).await)?;
        let concerns: Option<Vec<_>> =
            rows.into_iter().map(|(at, actor, mailbox)| Some((at, Concern::of(actor, mailbox)?))).collect();
        Ok(concerns.filter(|concerns| i64::try_from(concerns.len()) == Ok(moves)))
    }

    /// The counter now. It never comes back to a value that it had.
    pub async fn revision(&self, of: Revision) -> Result<i64, Error> {
        let mut reader = self.quick_reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as("SELECT revision FROM revisions WHERE name = $1")
            .bind(of.as_str()).fetch_optional(&mut *c).await)?;
        row.map(|(revision,)| revision).ok_or(Error::Inconsistent("a row of revisions is missing"))
    }
}

impl WriteTx {
    /// Moves the counter on, in this transaction: what it is now. Other writers wait until the transaction ends.
    pub(crate) async fn revised(&mut self, what: Revision) -> Result<i64, Error> {
        let (revision,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "UPDATE revisions SET revision = revision + 1 WHERE name = $1 RETURNING revision")
            .bind(what.as_str()).fetch_one(&mut *c).await)?;
        Ok(revision)
    }

    /// Moves the directory on, and says for whom.
    pub(crate) async fn directory_moved(&mut self, concern: Concern) -> Result<(), Error> {
        let revision = self.revised(Revision::Directory).await?;
        self.concerns(revision, concern).await
    }

    /// Says for whom the directory moved on to that revision. Left unsaid, it may be anybody.
    pub(crate) async fn concerns(&mut self, revision: i64, concern: Concern) -> Result<(), Error> {
        let (actor, mailbox) = concern.columns();
        on!(self.conn(), c => sqlx::query("INSERT INTO directory_moves (revision, actor_id, mailbox_id) VALUES ($1, $2, $3)")
            .bind(revision).bind(actor).bind(mailbox).execute(&mut *c).await.map(|_| ()))?;
        on!(self.conn(), c => sqlx::query("DELETE FROM directory_moves WHERE revision <= $1")
            .bind(revision - CONCERNS_MAX).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}
