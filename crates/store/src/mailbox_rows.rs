//! Mailboxes as administrators see them: one, or many a page at a time.

use crate::dialect::{Conn, on};
use crate::directory::word;
use crate::persons::{Identity, like, literals};
use crate::seen_mode::APART;
use crate::{Error, Store};
use mail_types::{
    Address, DomainId, MailboxId, MailboxKind, MailboxStatus, Role, Timestamp, UserId, Workflow,
};
use serde_json::{Value, json};

/// A mailbox as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// Row.
    pub id: MailboxId,
    /// Address.
    pub address: String,
    /// Its domain.
    pub domain: DomainId,
    /// Kind.
    pub kind: MailboxKind,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// How far its creation is.
    pub workflow: Workflow,
    /// Login of the holder.
    pub owner: Option<String>,
    /// The holder.
    pub holder: Option<Holder>,
    /// The structure that it belongs to.
    pub organization: Organization,
    /// Name of the application, of an applicative one.
    pub application_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is left out of the directory.
    pub is_hidden: bool,
    /// What the holder asked for and nobody decided yet: to be hidden, or to be shown again.
    pub hide_requested: Option<bool>,
    /// Whether what its delegates send for it is filed among its own sent letters too.
    pub files_sent: bool,
    /// Whether `\Seen` is kept for each reader apart.
    pub private_seen: bool,
    /// Quota in octets.
    pub quota_bytes: u64,
    /// Whether the quota is its own, and not the default of its domain or kind.
    pub quota_is_own: bool,
    /// Octets used.
    pub used_bytes: u64,
    /// Messages held.
    pub used_messages: u64,
    /// Moves with every change that an administrator can make.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is in its state.
    pub status_at: Timestamp,
    /// Until when it can be restored, if it is deleted.
    pub restorable_until: Option<Timestamp>,
    /// When its content was erased.
    pub erased_at: Option<Timestamp>,
}

/// Whoever holds a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Row.
    pub id: UserId,
    /// Login name.
    pub login: String,
    /// Who they are.
    pub identity: Identity,
}

/// A structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    /// Number in the national file of health establishments.
    pub finess: Option<String>,
    /// Number in the register of enterprises.
    pub siret: Option<String>,
    /// Its name.
    pub name: String,
    /// Department or establishment within it.
    pub department: String,
}

/// Who else may open a mailbox, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// Login name.
    pub login: String,
    /// Number in the national register.
    pub rpps: Option<String>,
    /// As what; none when the rights were chosen one by one.
    pub role: Option<Role>,
}

/// A step of a mailbox's creation or life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// `requested`, `validated`, `created`, `published`, `activated`, `suspended`, `deleted`, `restored`, `erased`, `hide_requested`, `unhide_requested`,
    /// `hidden`, `shown`.
    pub step: String,
    /// When.
    pub at: Timestamp,
    /// Login of the person, or name of the application or key, that took it. Nobody has one on the command line.
    pub by: Option<String>,
}

/// Which mailboxes to list.
#[derive(Clone, Debug, Default)]
pub struct MailboxFilter {
    /// Only of this kind.
    pub kind: Option<MailboxKind>,
    /// Only in this state.
    pub status: Option<MailboxStatus>,
    /// Only of these domains.
    pub domains: Option<Vec<DomainId>>,
    /// Only this one.
    pub only: Option<MailboxId>,
    /// Only those that this person holds.
    pub holder: Option<UserId>,
    /// Only those whose address has this in it.
    pub contains: String,
}

/// In which order to list, and after what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxOrder {
    /// By address, after this one.
    Address(String),
    /// The oldest first, after this row.
    Oldest(MailboxId),
    /// The youngest first, after this row.
    Youngest(Option<MailboxId>),
    /// Those that use least first, after these octets and this row.
    Emptiest(u64, MailboxId),
    /// Those that use most first, after these octets and this row.
    Fullest(Option<(u64, MailboxId)>),
}

impl Store {
    /// A page of mailboxes, at most `limit`.
    pub async fn mailbox_page(
        &self,
        filter: &MailboxFilter,
        order: &MailboxOrder,
        limit: u32,
    ) -> Result<Vec<MailboxRow>, Error> {
        let max = i64::MAX;
        let (after, by) = match order {
            MailboxOrder::Address(_) => ("address > $1 AND $3 = 0 AND $4 = 0", "address"),
            MailboxOrder::Oldest(_) => ("id > $3 AND $1 = '' AND $4 = 0", "id"),
            MailboxOrder::Youngest(_) => ("id < $3 AND $1 = '' AND $4 = 0", "id DESC"),
            MailboxOrder::Emptiest(..) => {
                ("$1 = '' AND (used_bytes > $4 OR (used_bytes = $4 AND id > $3))", "used_bytes, id")
            }
            MailboxOrder::Fullest(_) => {
                ("$1 = '' AND (used_bytes < $4 OR (used_bytes = $4 AND id < $3))", "used_bytes DESC, id DESC")
            }
        };
        let octets = |octets: u64| i64::try_from(octets).unwrap_or(max);
        let (address, id, used) = match order {
            MailboxOrder::Address(address) => (address.as_str(), 0, 0),
            MailboxOrder::Oldest(id) => ("", id.0, 0),
            MailboxOrder::Youngest(id) => ("", id.map_or(max, |id| id.0), 0),
            MailboxOrder::Emptiest(used, id) => ("", id.0, octets(*used)),
            MailboxOrder::Fullest(after) => {
                after.map_or(("", max, max), |(used, id)| ("", id.0, octets(used)))
            }
        };
        let filters = filter.conditions();
        let contained = if filter.contains.is_empty() { "$2 = ''" } else { "address LIKE $2 ESCAPE '!'" };
        // Which rows are found without looking at more than an index, where there is one; only these are read whole. The limit stands in the text: a plan for
        // any limit reads the whole table to join it.
        let sql = format!(
            "{SELECT} WHERE m.id IN (SELECT id FROM mailboxes WHERE {after}{filters} AND {contained} ORDER BY {by} LIMIT {limit}) ORDER BY {}",
            by.split(", ").map(|column| format!("m.{column}")).collect::<Vec<_>>().join(", ")
        );
        let contains = like(&filter.contains, "%");
        let mut reader = self.reader().await?;
        let rows: Vec<Columns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(address).bind(&contains).bind(id).bind(used).fetch_all(&mut *c).await)?;
        rows.into_iter().map(Columns::row).collect()
    }

    /// Every mailbox by address, after `after`, at most `limit`.
    pub async fn mailboxes(&self, after: &str, limit: u32) -> Result<Vec<MailboxRow>, Error> {
        self.mailbox_page(&MailboxFilter::default(), &MailboxOrder::Address(after.to_owned()), limit).await
    }

    /// The mailbox of that address, deleted or not.
    pub async fn mailbox(&self, address: &Address) -> Result<Option<MailboxRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} WHERE m.address = $1");
        let row: Option<Columns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(address.canonical()).fetch_optional(&mut *c).await)?;
        row.map(Columns::row).transpose()
    }

    /// The mailbox of that row, deleted or not.
    pub async fn mailbox_of_row(&self, id: MailboxId) -> Result<Option<MailboxRow>, Error> {
        let mut reader = self.reader().await?;
        find(reader.conn(), id).await
    }

    /// Persons who may open a mailbox beside its holder, in the order in which that was given, at most `limit`.
    pub async fn delegates(&self, mailbox: MailboxId, limit: u32) -> Result<Vec<Delegate>, Error> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let rows: Vec<(String, Option<String>, Option<String>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT u.login, u.rpps, g.role FROM grants g JOIN actors a ON a.id = g.actor_id JOIN users u ON u.id = a.user_id \
             WHERE g.mailbox_id = $1 AND g.folder_id IS NULL AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $2) ORDER BY g.id LIMIT $3")
            .bind(mailbox.0).bind(now.0).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        rows.into_iter()
            .map(|(login, rpps, role)| {
                Ok(Delegate { login, rpps, role: role.map(|role| word(&role)).transpose()? })
            })
            .collect()
    }

    /// The steps of a mailbox, the first `limit`.
    pub async fn mailbox_steps(&self, mailbox: MailboxId, limit: u32) -> Result<Vec<StepRow>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, Option<String>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT s.step, s.at_ms, COALESCE(u.login, a.label) FROM mailbox_steps s LEFT JOIN actors a ON a.id = s.actor_id \
             LEFT JOIN users u ON u.id = a.user_id WHERE s.mailbox_id = $1 ORDER BY s.id LIMIT $2")
            .bind(mailbox.0).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(step, at, by)| StepRow { step, at: Timestamp(at), by }).collect())
    }
}

impl MailboxFilter {
    /// Conditions for the rows of `mailboxes`, each after AND. Words of closed lists and row numbers only.
    fn conditions(&self) -> String {
        let kind = self.kind.map(|kind| format!(" AND kind = '{kind}'"));
        let status = self.status.map(|status| format!(" AND status = '{status}'"));
        let domains =
            self.domains.as_ref().map(|domains| format!(" AND domain_id IN ({})", literals(domains)));
        let holder = self.holder.map(|holder| format!(" AND owner_user_id = {}", holder.0));
        let only = self.only.map(|only| format!(" AND id = {only}"));
        [kind, status, domains, holder, only].into_iter().flatten().collect()
    }
}

impl MailboxRow {
    /// What an administrator can change, for the audit trail, sealed.
    pub(crate) fn facts(&self) -> Value {
        let organization = &self.organization;
        json!({
            "email": self.address, "status": self.status.as_str(), "workflow": self.workflow.as_str(), "owner": self.owner,
            "finess": organization.finess, "siret": organization.siret, "organization": organization.name,
            "department": organization.department, "application": self.application_name, "description": self.description,
            "hidden": self.is_hidden, "hideRequested": self.hide_requested, "filesSent": self.files_sent, "privateSeen": self.private_seen, "quotaBytes": self.quota_bytes,
        })
    }
}

pub(crate) async fn find(conn: Conn<'_>, id: MailboxId) -> Result<Option<MailboxRow>, Error> {
    let sql = format!("{SELECT} WHERE m.id = $1");
    let row: Option<Columns> =
        on!(conn, c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await)?;
    row.map(Columns::row).transpose()
}

const SELECT: &str = "SELECT m.id, m.address, m.domain_id, m.kind, m.status, m.workflow, m.owner_user_id, u.login, u.first_name, u.last_name, u.profession, \
     u.specialty, u.rpps, u.adeli, m.finess, m.siret, m.organization_name, m.department, m.application_name, m.description, m.hide_from_directory, \
     m.hide_requested, m.files_sent, m.private_seen, m.quota_bytes, m.quota_is_own, m.used_bytes, m.used_messages, m.revision, m.created_at_ms, m.status_at_ms, m.restorable_until_ms, \
     m.erased_at_ms FROM mailboxes m LEFT JOIN users u ON u.id = m.owner_user_id";

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    address: String,
    domain_id: i64,
    kind: String,
    status: String,
    workflow: String,
    owner_user_id: Option<i64>,
    login: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    profession: Option<String>,
    specialty: Option<String>,
    rpps: Option<String>,
    adeli: Option<String>,
    finess: Option<String>,
    siret: Option<String>,
    organization_name: String,
    department: String,
    application_name: String,
    description: String,
    hide_from_directory: i64,
    hide_requested: Option<i64>,
    files_sent: i64,
    private_seen: i64,
    quota_bytes: i64,
    quota_is_own: i64,
    used_bytes: i64,
    used_messages: i64,
    revision: i64,
    created_at_ms: i64,
    status_at_ms: i64,
    restorable_until_ms: Option<i64>,
    erased_at_ms: Option<i64>,
}

impl Columns {
    fn row(self) -> Result<MailboxRow, Error> {
        let holder = self.owner_user_id.zip(self.login.clone()).map(|(id, login)| Holder {
            id: UserId(id),
            login,
            identity: Identity {
                first_name: self.first_name.unwrap_or_default(),
                last_name: self.last_name.unwrap_or_default(),
                profession: self.profession.unwrap_or_default(),
                specialty: self.specialty.unwrap_or_default(),
                rpps: self.rpps,
                adeli: self.adeli,
            },
        });
        Ok(MailboxRow {
            id: MailboxId(self.id),
            address: self.address,
            domain: DomainId(self.domain_id),
            kind: word(&self.kind)?,
            status: word(&self.status)?,
            workflow: word(&self.workflow)?,
            owner: self.login,
            holder,
            organization: Organization {
                finess: self.finess,
                siret: self.siret,
                name: self.organization_name,
                department: self.department,
            },
            application_name: self.application_name,
            description: self.description,
            is_hidden: self.hide_from_directory != 0,
            hide_requested: self.hide_requested.map(|asked| asked != 0),
            files_sent: self.files_sent != 0,
            private_seen: self.private_seen == APART,
            quota_bytes: self.quota_bytes.unsigned_abs(),
            quota_is_own: self.quota_is_own != 0,
            used_bytes: self.used_bytes.max(0).unsigned_abs(),
            used_messages: self.used_messages.max(0).unsigned_abs(),
            revision: self.revision,
            created_at: Timestamp(self.created_at_ms),
            status_at: Timestamp(self.status_at_ms),
            // Zero once its key is destroyed.
            restorable_until: self.restorable_until_ms.filter(|at| *at > 0).map(Timestamp),
            erased_at: self.erased_at_ms.map(Timestamp),
        })
    }
}
