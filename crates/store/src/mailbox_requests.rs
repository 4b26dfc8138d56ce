//! The making of a mailbox, from the request to the first folder: who asked, who validated, what it was made with.

use crate::dialect::on;
use crate::directory::{DirectoryError, Refusable, admin, word};
use crate::mailbox_rows::{Organization, find};
use crate::persons::NewPerson;
use crate::users::{UserRow, user_row};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{
    ActorId, Address, CertificateCriteria, DomainId, MailboxId, MailboxKind, MailboxStatus, Role, Timestamp,
    UserId, Workflow,
};

/// A mailbox that is asked for.
#[derive(Clone, Debug)]
pub struct MailboxRequest {
    /// Address, in one of our domains.
    pub address: Address,
    /// Kind.
    pub kind: MailboxKind,
    /// The holder (personal, cabinet) or the first administrator (organizational).
    pub owner: Option<OwnerRequest>,
    /// Who else may open it, and as what.
    pub delegates: Vec<(UserId, Role)>,
    /// The structure that it belongs to.
    pub organization: Organization,
    /// Name of the application, of an applicative one.
    pub application_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is left out of the directory.
    pub is_hidden: bool,
    /// Quota in octets.
    pub quota_bytes: u64,
    /// Whether the quota is its own, and not a default.
    pub quota_is_own: bool,
    /// The certificate that opens it, of an applicative one that is made at once.
    pub certificate: Option<CertificateRequest>,
    /// How far it goes at once.
    pub until: Until,
}

/// A certificate that is to open a mailbox.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// What it shows, with issuer and serial number.
    pub criteria: CertificateCriteria,
    /// Until when it lets in.
    pub expires_at: Option<Timestamp>,
    /// Name of the application that is made for it, where it stands for none yet.
    pub application: String,
}

/// For whom a certificate stands.
enum Standing {
    Known(ActorId),
    New(CertificateRequest),
}

/// Whom a mailbox is asked for.
#[derive(Clone, Debug)]
pub enum OwnerRequest {
    /// Somebody who is entered already.
    Known(UserId),
    /// Somebody to be entered with it.
    New(Box<NewPerson>),
}

/// How far a request goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Somebody else validates it.
    Requested,
    /// It is made, and not open yet.
    Created,
    /// It is made and open.
    Active,
}

impl Store {
    /// Asks for a mailbox, and makes it as far as the request says.
    pub async fn request_mailbox(&self, request: MailboxRequest) -> Refusable<MailboxId> {
        self.write(Touches::nothing(), move |tx| {
            let request = request.clone();
            Box::pin(async move { tx.request_mailbox(&request).await })
        })
        .await
    }

    /// Turns a request down that was not created yet: it leaves nothing but its audit rows, and its address is free.
    pub async fn reject_mailbox(&self, mailbox: MailboxId, expected: Option<i64>) -> Refusable<()> {
        self.write(Touches::from(mailbox), move |tx| {
            Box::pin(async move { tx.reject_mailbox(mailbox, expected).await })
        })
        .await
    }
}

impl WriteTx {
    async fn request_mailbox(&mut self, request: &MailboxRequest) -> Refusable<MailboxId> {
        let domain: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM domains WHERE name = $1")
            .bind(request.address.domain().as_str()).fetch_optional(&mut *c).await)?;
        let Some((domain,)) = domain else { return Ok(Err(DirectoryError::UnknownDomain)) };
        if let Some(refusal) = self.address_taken(&request.address).await? {
            return Ok(Err(refusal));
        }
        let wanted = (request.quota_bytes, request.quota_is_own);
        let quota = match self.quota_for(DomainId(domain), request.kind, None, wanted).await? {
            Ok(quota) => quota,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let delegates = match self.delegates_of(request).await? {
            Ok(delegates) => delegates,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let application = match self.application_of(request).await? {
            Ok(application) => application,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let owner = match self.owner_of(request).await? {
            Ok(owner) => owner,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let request = &MailboxRequest { quota_bytes: quota, ..request.clone() };
        let mailbox = self.insert_mailbox(request, DomainId(domain), owner.as_ref()).await?;
        self.step(mailbox, "requested").await?;
        if request.until != Until::Requested {
            self.step(mailbox, "validated").await?;
            self.furnish(mailbox, owner.as_ref()).await?;
            self.step(mailbox, "created").await?;
        }
        if request.until == Until::Active {
            self.step(mailbox, "activated").await?;
        }
        let first =
            owner.filter(|_| matches!(request.kind, MailboxKind::Organizational | MailboxKind::Cabinet));
        if let Some(first) = &first {
            self.grant(mailbox, first.actor, Role::Administrator).await?;
        }
        for (actor, role) in delegates {
            if first.as_ref().is_none_or(|first| first.actor != actor) {
                self.grant(mailbox, actor, role).await?;
            }
        }
        if let Some(application) = application {
            self.open_by_certificate(mailbox, application).await?;
        }
        let action = if request.until == Until::Requested { "mailbox.requested" } else { "mailbox.created" };
        let facts = find(self.conn(), mailbox).await?.map(|row| row.facts());
        let entry = admin(action, Some(mailbox), format!("kind={}", request.kind));
        self.audit(&entry.after(facts.unwrap_or_default())).await?;
        Ok(Ok(mailbox))
    }

    /// Why an address cannot be given: somebody has it, or had it.
    async fn address_taken(&mut self, address: &Address) -> Result<Option<DirectoryError>, Error> {
        let row: Option<(String,)> = on!(self.conn(), c => sqlx::query_as("SELECT status FROM mailboxes WHERE address = $1")
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        let Some((status,)) = row else { return Ok(None) };
        Ok(Some(match word(&status)? {
            MailboxStatus::Deleted => DirectoryError::Tombstone,
            _ => DirectoryError::AddressTaken,
        }))
    }

    /// The actors of the delegates. Looked up before anything is written: a refusal leaves nothing behind.
    async fn delegates_of(&mut self, request: &MailboxRequest) -> Refusable<Vec<(ActorId, Role)>> {
        let mut delegates = Vec::with_capacity(request.delegates.len());
        for (user, role) in &request.delegates {
            let actor: Option<(i64,)> = on!(self.conn(), c => sqlx::query_as("SELECT id FROM actors WHERE user_id = $1")
                .bind(user.0).fetch_optional(&mut *c).await)?;
            let Some((actor,)) = actor else { return Ok(Err(DirectoryError::UnknownUser)) };
            delegates.push((ActorId(actor), *role));
        }
        Ok(Ok(delegates))
    }

    /// For whom the certificate of a request stands. Looked up before anything is written.
    async fn application_of(&mut self, request: &MailboxRequest) -> Refusable<Option<Standing>> {
        let Some(certificate) = &request.certificate else { return Ok(Ok(None)) };
        if let Some(actor) = self.application_with(&certificate.criteria).await? {
            return Ok(Ok(Some(Standing::Known(actor))));
        }
        Ok(match self.name_refusal(&certificate.application).await? {
            Some(refusal) => Err(refusal),
            None => Ok(Some(Standing::New(certificate.clone()))),
        })
    }

    /// Lets the application of a certificate open the mailbox, and makes it where there is none.
    async fn open_by_certificate(&mut self, mailbox: MailboxId, application: Standing) -> Result<(), Error> {
        let actor = match application {
            Standing::Known(actor) => actor,
            Standing::New(CertificateRequest { criteria, expires_at, application }) => {
                let (actor, _) = self.create_application(&application.to_ascii_lowercase()).await?;
                let ruled = self.add_certificate_rule(actor, &criteria, None, expires_at).await?;
                ruled.map_err(|_| Error::Inconsistent("a new application has a rule already"))?;
                actor
            }
        };
        self.grant(mailbox, actor, Role::Manager).await
    }

    async fn owner_of(&mut self, request: &MailboxRequest) -> Refusable<Option<UserRow>> {
        match &request.owner {
            None => Ok(Ok(None)),
            Some(OwnerRequest::New(person)) => Ok(self.enter_person(person).await?.map(Some)),
            Some(OwnerRequest::Known(user)) => {
                let row: Option<(i64, i64, String)> = on!(self.conn(), c => sqlx::query_as(
                    "SELECT u.id, a.id, u.login FROM users u JOIN actors a ON a.user_id = u.id WHERE u.id = $1")
                    .bind(user.0).fetch_optional(&mut *c).await)?;
                Ok(row.map(user_row).map(Some).ok_or(DirectoryError::UnknownUser))
            }
        }
    }

    async fn insert_mailbox(
        &mut self,
        request: &MailboxRequest,
        domain: DomainId,
        owner: Option<&UserRow>,
    ) -> Result<MailboxId, Error> {
        let (status, workflow) = match request.until {
            Until::Requested => (MailboxStatus::Pending, Workflow::Requested),
            Until::Created => (MailboxStatus::Pending, Workflow::Created),
            Until::Active => (MailboxStatus::Active, Workflow::Created),
        };
        let holder = owner.filter(|_| request.kind != MailboxKind::Organizational).map(|owner| owner.id.0);
        let private_seen = matches!(request.kind, MailboxKind::Organizational | MailboxKind::Cabinet);
        let (now, organization) = (self.now, &request.organization);
        let (id,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO mailboxes (domain_id, address, kind, status, workflow, owner_user_id, finess, siret, organization_name, department, \
             application_name, description, hide_from_directory, quota_bytes, quota_is_own, private_seen, next_uid_validity, created_at_ms, status_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18) RETURNING id")
            .bind(domain.0).bind(request.address.canonical()).bind(request.kind.as_str()).bind(status.as_str()).bind(workflow.as_str()).bind(holder)
            .bind(&organization.finess).bind(&organization.siret).bind(&organization.name).bind(&organization.department)
            .bind(&request.application_name).bind(&request.description).bind(i64::from(request.is_hidden))
            .bind(i64::try_from(request.quota_bytes).unwrap_or(i64::MAX)).bind(i64::from(request.quota_is_own)).bind(i64::from(private_seen))
            .bind(now.secs().clamp(1, i64::from(u32::MAX / 2))).bind(now.0).fetch_one(&mut *c).await)?;
        Ok(MailboxId(id))
    }

    async fn reject_mailbox(&mut self, mailbox: MailboxId, expected: Option<i64>) -> Refusable<()> {
        let Some(row) = find(self.conn(), mailbox).await? else {
            return Ok(Err(DirectoryError::UnknownMailbox));
        };
        if expected.is_some_and(|expected| expected != row.revision) {
            return Ok(Err(DirectoryError::Changed));
        }
        if row.workflow >= Workflow::Created {
            return Ok(Err(DirectoryError::State(row.status, row.workflow)));
        }
        for sql in [
            "DELETE FROM grants WHERE mailbox_id = $1",
            "DELETE FROM mailbox_steps WHERE mailbox_id = $1",
            "DELETE FROM mailboxes WHERE id = $1",
        ] {
            on!(self.conn(), c => sqlx::query(sql).bind(mailbox.0).execute(&mut *c).await.map(|_| ()))?;
        }
        self.audit(&admin("mailbox.rejected", Some(mailbox), String::new()).before(row.facts())).await?;
        Ok(Ok(()))
    }

    /// Writes down a step of a mailbox's life, and who took it.
    pub(crate) async fn step(&mut self, mailbox: MailboxId, step: &str) -> Result<(), Error> {
        let (now, actor) = (self.now.0, self.act.as_ref().and_then(|act| act.actor));
        on!(self.conn(), c => sqlx::query("INSERT INTO mailbox_steps (mailbox_id, step, actor_id, at_ms) VALUES ($1, $2, $3, $4)")
            .bind(mailbox.0).bind(step).bind(actor.map(|actor| actor.0)).bind(now).execute(&mut *c).await.map(|_| ()))?;
        Ok(())
    }
}
