//! Search: rows newest first, with their personal fields opened. Whoever reads the trail leaves a row in it.

use super::ids::fixed;
use super::row::{COLUMNS, RowColumns};
use super::subjects::{SubjectId, open};
use super::{AuditEntry, AuditPlace, Category, ChainId, Subject};
use crate::dialect::on;
use crate::seal::RawKey;
use crate::{Error, Store};
use mail_types::{ActorId, Address, MailboxId, Timestamp, UnitId};
use serde_json::{Map, Value};
use sqlx::QueryBuilder;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Pushes where a page looks: times, the cursor, and what an index serves. Its beginning is `WHERE`.
macro_rules! push_window {
    ($sql:expr, $filter:expr, $after:expr, $end:expr, $order:expr) => {
        let (first, last) = $filter.times($after, $end, $order);
        $sql.push(" WHERE at_ms >= ").push_bind(first);
        $sql.push(" AND at_ms <= ").push_bind(last);
        if let Some(place) = $after {
            push_place!($sql, $order.beyond(), place);
        }
        if let Some((mailbox, category)) = $filter.indexed() {
            $sql.push(" AND category <> 'mail' AND mailbox_id = ").push_bind(mailbox.0);
            $sql.push(" AND category = ").push_bind(category.as_str());
        }
    };
}

/// Pushes a comparison with a place.
macro_rules! push_place {
    ($sql:expr, $operator:expr, $place:expr) => {
        $sql.push(" AND (at_ms, chain_id, seq) ").push($operator).push(" (").push_bind($place.at_ms);
        $sql.push(", ").push_bind($place.chain.0.to_vec()).push(", ").push_bind($place.seq).push(")");
    };
}

/// Pushes every other condition.
macro_rules! push_facts {
    ($sql:expr, $filter:expr) => {
        let filter = $filter;
        if let Some(category) = filter.category {
            $sql.push(" AND category = ").push_bind(category.as_str());
        }
        if let Some(action) = &filter.action {
            match action.strip_suffix('*') {
                Some(prefix) => {
                    $sql.push(" AND substr(action, 1, ")
                        .push_bind(i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX))
                        .push(") = ");
                    $sql.push_bind(prefix.to_owned());
                }
                None => _ = $sql.push(" AND action = ").push_bind(action.clone()),
            }
        }
        for (column, text) in [
            ("outcome", &filter.outcome),
            ("target", &filter.target),
            ("via", &filter.via),
            ("request", &filter.request),
        ] {
            if let Some(text) = text {
                $sql.push(" AND ").push(column).push(" = ").push_bind(text.clone());
            }
        }
        if let Some(actor) = filter.actor {
            $sql.push(" AND actor_id = ").push_bind(actor.0);
        }
        if let Some(actor) = filter.not_actor {
            $sql.push(" AND (actor_id IS NULL OR actor_id <> ").push_bind(actor.0).push(")");
        }
        if let Some(mailbox) = filter.mailbox {
            $sql.push(" AND mailbox_id = ").push_bind(mailbox.0);
        }
        if let Some(unit) = filter.unit {
            $sql.push(" AND unit_id = ").push_bind(unit.0.to_vec());
        }
    };
}

/// Rows that one page looks at, at most: a filter that hardly anything matches gives a short page, and where to go on.
const EXAMINED_MAX: u32 = 100_000;
/// Rows that the first step of a page looks at; each further one looks at four times as many.
const STEP_FIRST: u32 = 1_000;

/// What is looked for. What is not set matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Rows of this category.
    pub category: Option<Category>,
    /// This action; with `*` at its end, every action that begins so.
    pub action: Option<String>,
    /// This outcome.
    pub outcome: Option<String>,
    /// Done by this actor.
    pub actor: Option<ActorId>,
    /// About this mailbox.
    pub mailbox: Option<MailboxId>,
    /// On this: `user:12`.
    pub target: Option<String>,
    /// By this door.
    pub via: Option<String>,
    /// Of this unit of work: one message.
    pub unit: Option<UnitId>,
    /// Of this request.
    pub request: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Whose personal fields are of this address, or about the mailbox that has it.
    pub address: Option<String>,
    /// Not by this actor.
    pub not_actor: Option<ActorId>,
}

/// Personal fields of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There are none.
    Nothing,
    /// These.
    Fields(Map<String, Value>),
    /// Their key was destroyed.
    Erased,
    /// They do not open: the row was changed.
    Damaged,
}

/// A row as it is read.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// When and where.
    pub place: AuditPlace,
    /// Which chain's.
    pub category: String,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Who.
    pub actor: Option<ActorId>,
    /// What proved the actor.
    pub credential: Option<String>,
    /// By which door.
    pub via: Option<String>,
    /// On what.
    pub target: Option<String>,
    /// About which mailbox.
    pub mailbox: Option<MailboxId>,
    /// The unit of work.
    pub unit: Option<UnitId>,
    /// The request.
    pub request: Option<String>,
    /// Facts without personal data.
    pub detail: String,
    /// Personal fields.
    pub personal: Opened,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// A page of rows.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// Where the next page begins, if there may be one.
    pub next: Option<AuditPlace>,
}

/// In which order rows are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

impl AuditFilter {
    /// Where an index leads to the rows: there is none for the mailboxes of mail, it would cost each message more than it is worth.
    fn indexed(&self) -> Option<(MailboxId, Category)> {
        self.mailbox.zip(self.category.filter(|category| *category != Category::Mail))
    }

    /// The first and the last millisecond in which rows of a page can be. The places alone would say it, but not to SQLite, which takes one
    /// bound of an index for each side and prefers plain ones: it would walk from the end of the trail to the cursor, for each page.
    fn times(&self, after: Option<AuditPlace>, end: Option<AuditPlace>, order: Order) -> (i64, i64) {
        let first = self.from.map_or(i64::MIN, |at| at.0);
        let last = self.to.map_or(i64::MAX, |at| at.0.saturating_sub(1));
        let (low, high) = match order {
            Order::NewestFirst => (end, after),
            Order::OldestFirst => (after, end),
        };
        (low.map_or(first, |place| place.at_ms.max(first)), high.map_or(last, |place| place.at_ms.min(last)))
    }

    /// Notes in a row what was looked for. What is no word of ours may be an address, and is sealed.
    pub(super) fn tell(&self, mut entry: AuditEntry) -> AuditEntry {
        let mut words = Vec::new();
        for (name, text) in [
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("target", &self.target),
            ("via", &self.via),
            ("request", &self.request),
        ] {
            let Some(text) = text else { continue };
            if text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._:*-".contains(letter)) {
                words.push(format!("{name}={text:?}"));
            } else {
                entry = entry.personal(name, text.as_str());
            }
        }
        let mut word = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("{name}={value}")));
        };
        word("category", self.category.map(|category| category.as_str().to_owned()));
        word("actor", self.actor.map(|id| id.to_string()));
        word("unit", self.unit.map(|unit| unit.to_string()));
        word("from_ms", self.from.map(|at| at.0.to_string()));
        word("to_ms", self.to.map(|at| at.0.to_string()));
        words.push(std::mem::take(&mut entry.detail));
        words.retain(|word| !word.is_empty());
        entry.detail = words.join(" ");
        match &self.address {
            Some(address) => entry.personal("address", address.as_str()),
            None => entry,
        }
    }

    /// The row that tells of a look into the trail.
    pub(super) fn look(&self, action: &'static str, rows: u64) -> AuditEntry {
        let detail = format!("rows={rows}");
        self.tell(AuditEntry { mailbox: self.mailbox, detail, ..AuditEntry::new(Category::Access, action) })
    }
}

impl Store {
    /// Rows newest first, from before `after`. The look is itself a row of the trail, written before this returns.
    ///
    /// # Errors
    /// The database does not answer, or the row could not be written: then nothing is shown.
    pub async fn search_audit(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        limit: u32,
    ) -> Result<AuditPage, Error> {
        let page = self.audit_page(filter, after, limit, Order::NewestFirst).await?;
        self.record_audit(vec![filter.look("audit.searched", page.rows.len() as u64)]).await?;
        Ok(page)
    }

    /// One row. The look is itself a row of the trail.
    pub async fn audit_row(&self, chain: ChainId, seq: i64) -> Result<Option<AuditRow>, Error> {
        let mut reader = self.reader().await?;
        let sql = format!("SELECT {COLUMNS} FROM audit_rows WHERE chain_id = $1 AND seq = $2");
        let row: Option<RowColumns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(chain.0.as_slice()).bind(seq)
            .fetch_optional(&mut *c).await)?;
        drop(reader);
        let Some(row) = row else { return Ok(None) };
        let mailbox = row.mailbox_id.map(MailboxId);
        let rows = self.opened(vec![row]).await?;
        let entry = AuditEntry { mailbox, ..AuditEntry::new(Category::Access, "audit.shown") };
        self.record_audit(vec![entry.on("row", format!("{chain}.{seq}"))]).await?;
        Ok(rows.into_iter().next())
    }

    /// Accesses to a mailbox by others than `holder`, newest first: its folders opened, its messages read, changed or removed, its settings changed. The look is itself a row.
    pub async fn accesses(
        &self,
        mailbox: MailboxId,
        holder: Option<ActorId>,
        after: Option<AuditPlace>,
        limit: u32,
    ) -> Result<AuditPage, Error> {
        let filter = AuditFilter {
            mailbox: Some(mailbox),
            category: Some(Category::Access),
            not_actor: holder,
            ..AuditFilter::default()
        };
        let page = self.audit_page(&filter, after, limit, Order::NewestFirst).await?;
        self.record_audit(vec![filter.look("audit.accesses_shown", page.rows.len() as u64)]).await?;
        Ok(page)
    }

    /// The actor that holds a mailbox, where one person does.
    pub async fn holder_of(&self, mailbox: MailboxId) -> Result<Option<ActorId>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT a.id FROM mailboxes m JOIN actors a ON a.user_id = m.owner_user_id WHERE m.id = $1")
            .bind(mailbox.0).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(id,)| ActorId(id)))
    }

    /// A page in either order, without a row about it. It is looked for step by step, each from where the one before ended, until it is full.
    pub(super) async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        limit: u32,
        order: Order,
    ) -> Result<AuditPage, Error> {
        let subject = self.subject_filter(filter).await?;
        let (mut rows, mut from, mut next) = (Vec::new(), after, None);
        let (mut step, mut left) = (STEP_FIRST, EXAMINED_MAX);
        while let Some(end) = self.end_of_step(filter, from, step, order).await? {
            let room = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            rows.extend(self.matching(filter, subject.as_ref(), (from, end), room, order).await?);
            if rows.len() >= limit as usize {
                next = rows.last().map(RowColumns::place).transpose()?;
                break;
            }
            left -= step;
            if left == 0 {
                next = Some(end);
                break;
            }
            (from, step) = (Some(end), (step * 4).min(left));
        }
        Ok(AuditPage { rows: self.opened(rows).await?, next })
    }

    /// Under which subjects rows of an address stand, and the mailbox that has it.
    async fn subject_filter(&self, filter: &AuditFilter) -> Result<Option<SubjectFilter>, Error> {
        let Some(address) = &filter.address else { return Ok(None) };
        let subjects = self.keyring().subjects();
        let mut found =
            SubjectFilter { ids: vec![subjects.id(&Subject::Address(address.clone()))], mailbox: None };
        if let Ok(address) = address.parse::<Address>()
            && let Some(mailbox) = self.mailbox(&address).await?
        {
            found.ids.push(subjects.id(&Subject::address(&address)));
            found.ids.push(subjects.id(&Subject::Mailbox(mailbox.id)));
            found.mailbox = Some(mailbox.id);
        }
        Ok(Some(found))
    }

    async fn matching(
        &self,
        filter: &AuditFilter,
        subject: Option<&SubjectFilter>,
        (after, end): (Option<AuditPlace>, AuditPlace),
        limit: u32,
        order: Order,
    ) -> Result<Vec<RowColumns>, Error> {
        let mut reader = self.reader().await?;
        Ok(on!(reader.conn(), c => {
            let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM audit_rows"));
            push_window!(sql, filter, after, Some(end), order);
            push_place!(sql, order.up_to(), end);
            push_facts!(sql, filter);
            if let Some(subject) = subject {
                sql.push(" AND (mailbox_id = ").push_bind(subject.mailbox.map(|id| id.0)).push(" OR subject_id IN (");
                let mut list = sql.separated(", ");
                subject.ids.iter().for_each(|id| {
                    list.push_bind(id.0.to_vec());
                });
                sql.push("))");
            }
            sql.push(order.clause()).push(" LIMIT ").push_bind(i64::from(limit));
            sql.build_query_as().fetch_all(&mut *c).await
        })?)
    }

    /// The last of the next `step` rows, whether they match or not; none when there are no more rows.
    async fn end_of_step(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        step: u32,
        order: Order,
    ) -> Result<Option<AuditPlace>, Error> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, Vec<u8>, i64)> = on!(reader.conn(), c => {
            let mut sql = QueryBuilder::new("SELECT at_ms, chain_id, seq FROM (SELECT at_ms, chain_id, seq FROM audit_rows");
            push_window!(sql, filter, after, None, order);
            sql.push(order.clause()).push(" LIMIT ").push_bind(i64::from(step)).push(") AS step");
            sql.push(order.reversed().clause()).push(" LIMIT 1");
            sql.build_query_as().fetch_optional(&mut *c).await
        })?;
        let malformed = Error::Inconsistent("a chain of the audit trail has no id");
        row.map(|(at_ms, chain, seq)| {
            Ok(AuditPlace { at_ms, chain: ChainId(fixed(&chain).ok_or(malformed)?), seq })
        })
        .transpose()
    }

    /// Rows with their personal fields opened. Keys are read anew each time: a destroyed one opens nothing.
    pub(crate) async fn opened(&self, rows: Vec<RowColumns>) -> Result<Vec<AuditRow>, Error> {
        let ids = rows
            .iter()
            .filter(|row| row.sealed.is_some())
            .filter_map(|row| fixed(row.subject_id.as_deref()?).map(SubjectId));
        let keys = self.stored_subject_keys(&ids.collect::<BTreeSet<_>>()).await?;
        rows.into_iter()
            .map(|row| {
                let personal = opened_fields(&row, &keys);
                Ok(AuditRow {
                    place: row.place()?,
                    category: row.category,
                    action: row.action,
                    outcome: row.outcome,
                    actor: row.actor_id.map(ActorId),
                    credential: row.credential,
                    via: row.via,
                    target: row.target,
                    mailbox: row.mailbox_id.map(MailboxId),
                    unit: row.unit_id.as_deref().and_then(fixed).map(UnitId),
                    request: row.request,
                    detail: row.detail,
                    personal,
                    hash: row.hash,
                })
            })
            .collect()
    }
}

/// Under which subjects rows of an address stand.
struct SubjectFilter {
    ids: Vec<SubjectId>,
    mailbox: Option<MailboxId>,
}

impl Order {
    const fn reversed(self) -> Self {
        match self {
            Self::NewestFirst => Self::OldestFirst,
            Self::OldestFirst => Self::NewestFirst,
        }
    }

    const fn clause(self) -> &'static str {
        match self {
            Self::NewestFirst => " ORDER BY at_ms DESC, chain_id DESC, seq DESC",
            Self::OldestFirst => " ORDER BY at_ms, chain_id, seq",
        }
    }

    /// What comes after a place.
    const fn beyond(self) -> &'static str {
        match self {
            Self::NewestFirst => "<",
            Self::OldestFirst => ">",
        }
    }

    /// What comes before a place, and the place.
    const fn up_to(self) -> &'static str {
        match self {
            Self::NewestFirst => ">=",
            Self::OldestFirst => "<=",
        }
    }
}

/// The personal fields of a row, by the keys that there are.
fn opened_fields(row: &RowColumns, keys: &HashMap<SubjectId, Arc<RawKey>>) -> Opened {
    let (Some(sealed), Some(id)) = (&row.sealed, row.subject_id.as_deref()) else { return Opened::Nothing };
    let (Some(id), Some(chain)) = (fixed(id).map(SubjectId), fixed(&row.chain_id)) else {
        return Opened::Damaged;
    };
    let Some(key) = keys.get(&id) else { return Opened::Erased };
    let text = open(key, id, &chain, row.seq, sealed);
    let fields = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
    fields.map_or(Opened::Damaged, Opened::Fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_looks_between_its_places_and_no_further() {
        let place = |at_ms| AuditPlace { at_ms, chain: ChainId([0; 16]), seq: 1 };
        let (young, old) = (Some(place(900)), Some(place(500)));
        let filter =
            AuditFilter { from: Some(Timestamp(100)), to: Some(Timestamp(1_001)), ..AuditFilter::default() };
        assert_eq!(filter.times(None, None, Order::NewestFirst), (100, 1_000));
        assert_eq!(filter.times(young, None, Order::NewestFirst), (100, 900));
        assert_eq!(filter.times(young, old, Order::NewestFirst), (500, 900));
        assert_eq!(filter.times(old, young, Order::OldestFirst), (500, 900));
        assert_eq!(AuditFilter::default().times(old, None, Order::OldestFirst), (500, i64::MAX));
    }
}
