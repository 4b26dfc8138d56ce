//! The life of a mailbox: its states, what of it changes, and whether the directory shows it.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin};
use crate::mailbox_rows::{MailboxRow, Organization, find};
use crate::revisions::Concern;
use crate::users::{UserRow, user_row};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{MailboxId, MailboxStatus, Timestamp, Workflow};

/// A step in the life of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeStep {
    /// A request is found to be right.
    Validate,
    /// A validated request gets its key and its folders.
    Create,
    /// It is made known to the directory.
    Publish,
    /// It is opened, or opened again.
    Activate,
    /// It is closed for now.
    Suspend,
    /// It is deleted, and can be restored until then.
    Delete(Timestamp),
    /// It is again what it was before it was deleted.
    Restore,
}

/// What of a mailbox changes; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct MailboxChange {
    /// The structure that it belongs to.
    pub organization: Option<Organization>,
    /// Name of the application.
    pub application_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Quota in octets, and whether it is its own.
    pub quota: Option<(u64, bool)>,
    /// Whether what its delegates send for it is filed among its own sent letters too.
    pub files_sent: Option<bool>,
    /// Whether `\Seen` is kept for each reader apart.
    pub private_seen: Option<bool>,
}

impl Store {
    /// Takes a step in the life of a mailbox. `expected` is the revision that it must have.
    pub async fn take_step(
        &self,
        mailbox: MailboxId,
        expected: Option<i64>,
        step: LifeStep,
    ) -> Refusable<()> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.take_step(mailbox, expected, step).await })
        })
        .await
    }

    /// Changes a mailbox. `expected` is the revision that it must have.
    pub async fn change_mailbox(
        &self,
        mailbox: MailboxId,
        expected: Option<i64>,
        change: MailboxChange,
    ) -> Refusable<()> {
        let unites = change.private_seen == Some(false);
        let changed = self
            .write(Touches::from(mailbox), move |tx| {
                let change = change.clone();
                Box::pin(async move { tx.change_mailbox(mailbox, expected, &change).await })
            })
            .await?;
        if unites && changed.is_ok() {
            self.begin_to_unite(mailbox).await;
        }
        Ok(changed)
    }

    /// The holder asks that the directory shows the mailbox no more, or shows it again.
    pub async fn ask_to_hide(&self, mailbox: MailboxId, is_hidden: bool) -> Refusable<()> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.hide(mailbox, is_hidden, false).await })
        })
        .await
    }

    /// An administrator decides whether the directory shows the mailbox; what the holder asked for is answered with it.
    pub async fn set_hidden(&self, mailbox: MailboxId, is_hidden: bool) -> Refusable<()> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.hide(mailbox, is_hidden, true).await })
        })
        .await
    }
}

impl WriteTx {
    async fn take_step(
        &mut self,
        mailbox: MailboxId,
        expected: Option<i64>,
        step: LifeStep,
    ) -> Refusable<()> {
        let before = match self.expected(mailbox, expected).await? {
            Ok(row) => row,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = may_take(&before, step, self.now) {
            return Ok(Err(refusal));
        }
        let quota = match step {
            // Defaults and the domain's allocation may have changed while it was away.
            LifeStep::Restore => {
                let wanted = (before.quota_bytes, before.quota_is_own);
                self.quota_for(before.domain, before.kind, Some(mailbox), wanted).await?
            }
            _ => Ok(before.quota_bytes),
        };
        let quota = match quota {
            Ok(quota) => quota,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (word, action) = match step {
            LifeStep::Validate => ("validated", "mailbox.validated"),
            LifeStep::Create => ("created", "mailbox.created"),
            LifeStep::Publish => ("published", "mailbox.published"),
            LifeStep::Activate => ("activated", "mailbox.activated"),
            LifeStep::Suspend => ("suspended", "mailbox.suspended"),
            LifeStep::Delete(_) => ("deleted", "mailbox.deleted"),
            LifeStep::Restore => ("restored", "mailbox.restored"),
        };
        match step {
            LifeStep::Validate => self.set_workflow(mailbox, Workflow::Validated).await?,
            LifeStep::Publish => self.set_workflow(mailbox, Workflow::Published).await?,
            LifeStep::Create => {
                let holder = self.holder_of(mailbox).await?;
                self.furnish(mailbox, holder.as_ref()).await?;
                self.set_workflow(mailbox, Workflow::Created).await?;
            }
            LifeStep::Activate => self.set_status(mailbox, MailboxStatus::Active).await?,
            LifeStep::Suspend => self.set_status(mailbox, MailboxStatus::Suspended).await?,
            LifeStep::Delete(until) => self.mark_deleted(mailbox, until).await?,
            LifeStep::Restore => self.restore(mailbox, quota).await?,
        }
        self.step(mailbox, word).await?;
        self.directory_moved(Concern::Mailbox(mailbox)).await?;
        self.tell_of_mailbox(action, &before).await?;
        Ok(Ok(()))
    }

    async fn set_workflow(&mut self, mailbox: MailboxId, workflow: Workflow) -> Result<(), Error> {
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET workflow = $2, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(workflow.as_str()).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    async fn set_status(&mut self, mailbox: MailboxId, status: MailboxStatus) -> Result<(), Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET status = $2, status_at_ms = $3, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(status.as_str()).bind(now).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    async fn mark_deleted(&mut self, mailbox: MailboxId, until: Timestamp) -> Result<(), Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "UPDATE mailboxes SET status_before = status, status = 'deleted', status_at_ms = $2, restorable_until_ms = $3, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(now).bind(until.0).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    async fn restore(&mut self, mailbox: MailboxId, quota: u64) -> Result<(), Error> {
        let now = self.now.0;
        on!(self.conn(), c => sqlx::query(
            "UPDATE mailboxes SET status = COALESCE(status_before, 'suspended'), status_before = NULL, status_at_ms = $2, restorable_until_ms = NULL, \
             quota_bytes = $3, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(now).bind(i64::try_from(quota).unwrap_or(i64::MAX)).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }

    async fn change_mailbox(
        &mut self,
        mailbox: MailboxId,
        expected: Option<i64>,
        change: &MailboxChange,
    ) -> Refusable<()> {
        let before = match self.expected(mailbox, expected).await? {
            Ok(row) => row,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if before.status == MailboxStatus::Deleted {
            return Ok(Err(DirectoryError::State(before.status, before.workflow)));
        }
        let organization = change.organization.clone().unwrap_or_else(|| before.organization.clone());
        let (quota, is_own) = match change.quota {
            None => (before.quota_bytes, before.quota_is_own),
            Some(wanted) => match self.quota_for(before.domain, before.kind, Some(mailbox), wanted).await? {
                Ok(quota) => (quota, wanted.1),
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        on!(self.conn(), c => sqlx::query(
            "UPDATE mailboxes SET finess = $2, siret = $3, organization_name = $4, department = $5, application_name = $6, description = $7, \
             quota_bytes = $8, quota_is_own = $9, files_sent = $10, \
             private_seen = CASE WHEN $11 = 1 OR private_seen = 0 THEN $11 ELSE 2 END, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(&organization.finess).bind(&organization.siret).bind(&organization.name).bind(&organization.department)
            .bind(change.application_name.as_ref().unwrap_or(&before.application_name)).bind(change.description.as_ref().unwrap_or(&before.description))
            .bind(i64::try_from(quota).unwrap_or(i64::MAX)).bind(i64::from(is_own)).bind(i64::from(change.files_sent.unwrap_or(before.files_sent)))
            .bind(i64::from(change.private_seen.unwrap_or(before.private_seen))).execute(&mut *c).await.map(|_| ()))?;
        if change.private_seen.is_some_and(|wanted| wanted != before.private_seen) {
            self.directory_moved(Concern::Mailbox(mailbox)).await?;
        }
        self.tell_of_mailbox("mailbox.changed", &before).await?;
        Ok(Ok(()))
    }

    async fn hide(&mut self, mailbox: MailboxId, is_hidden: bool, is_decided: bool) -> Refusable<()> {
        let before = match self.expected(mailbox, None).await? {
            Ok(row) => row,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if before.status == MailboxStatus::Deleted {
            return Ok(Err(DirectoryError::State(before.status, before.workflow)));
        }
        let (hidden, asked) = match is_decided {
            true => (is_hidden, None),
            // Whoever asks for what is so already takes back what they asked for before.
            false => (before.is_hidden, (is_hidden != before.is_hidden).then_some(is_hidden)),
        };
        if (hidden, asked) == (before.is_hidden, before.hide_requested) {
            return Ok(Ok(()));
        }
        on!(self.conn(), c => sqlx::query("UPDATE mailboxes SET hide_from_directory = $2, hide_requested = $3, revision = revision + 1 WHERE id = $1")
            .bind(mailbox.0).bind(i64::from(hidden)).bind(asked.map(i64::from)).execute(&mut *c).await.map(|_| ()))?;
        let (step, action) = match (is_decided, is_hidden) {
            (true, true) => ("hidden", "mailbox.hidden"),
            (true, false) => ("shown", "mailbox.shown"),
            (false, true) => ("hide_requested", "mailbox.hide_requested"),
            (false, false) => ("unhide_requested", "mailbox.unhide_requested"),
        };
        self.step(mailbox, step).await?;
        self.tell_of_mailbox(action, &before).await?;
        Ok(Ok(()))
    }

    /// The mailbox, if it is as it was read.
    async fn expected(&mut self, mailbox: MailboxId, expected: Option<i64>) -> Refusable<MailboxRow> {
        let Some(row) = find(self.conn(), mailbox).await? else {
            return Ok(Err(DirectoryError::UnknownMailbox));
        };
        let is_other = expected.is_some_and(|expected| expected != row.revision);
        Ok(if is_other { Err(DirectoryError::Changed) } else { Ok(row) })
    }

    async fn holder_of(&mut self, mailbox: MailboxId) -> Result<Option<UserRow>, Error> {
        let row: Option<(i64, i64, String)> = on!(self.conn(), c => sqlx::query_as(
            "SELECT u.id, a.id, u.login FROM mailboxes m JOIN users u ON u.id = m.owner_user_id JOIN actors a ON a.user_id = u.id WHERE m.id = $1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        Ok(row.map(user_row))
    }

    async fn tell_of_mailbox(&mut self, action: &'static str, before: &MailboxRow) -> Result<(), Error> {
        let after = find(self.conn(), before.id).await?.map(|row| row.facts()).unwrap_or_default();
        let detail = format!("kind={}", before.kind);
        self.audit(&admin(action, Some(before.id), detail).before(before.facts()).after(after)).await
    }
}

/// Whether a mailbox that is so may take that step.
fn may_take(row: &MailboxRow, step: LifeStep, now: Timestamp) -> Result<(), DirectoryError> {
    let is_made = row.workflow >= Workflow::Created;
    let is_deleted = row.status == MailboxStatus::Deleted;
    let may = match step {
        LifeStep::Validate => row.workflow == Workflow::Requested,
        LifeStep::Create => row.workflow == Workflow::Validated,
        LifeStep::Publish => row.workflow == Workflow::Created && !is_deleted,
        LifeStep::Activate => {
            is_made && matches!(row.status, MailboxStatus::Pending | MailboxStatus::Suspended)
        }
        LifeStep::Suspend => row.status == MailboxStatus::Active,
        LifeStep::Delete(_) => is_made && !is_deleted,
        LifeStep::Restore => is_deleted,
    };
    let is_past = row.erased_at.is_some() || row.restorable_until.is_none_or(|until| until <= now);
    match step {
        LifeStep::Restore if is_deleted && is_past => Err(DirectoryError::NotRestorable),
        _ if may => Ok(()),
        _ => Err(DirectoryError::State(row.status, row.workflow)),
    }
}
