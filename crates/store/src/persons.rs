//! Persons as administrators see and change them.

use crate::dialect::{Conn, on};
use crate::directory::{DirectoryError, Refusable, admin};
use crate::revisions::{Concern, Revision};
use crate::users::{USER, UserRow, user_row};
use crate::writer::{Touches, WriteTx};
use crate::{Error, Store};
use mail_types::{ActorId, Adeli, DomainId, Rpps, Timestamp, UserId};
use serde_json::{Value, json};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// Row.
    pub id: UserId,
    /// The actor that credentials and grants point to.
    pub actor: ActorId,
    /// Login name.
    pub login: String,
    /// Who they are.
    pub identity: Identity,
    /// The domain whose administrators may change them.
    pub domain: Option<DomainId>,
    /// Its name.
    pub domain_name: Option<String>,
    /// Moves with every change.
    pub revision: i64,
    /// When they were entered.
    pub created_at: Timestamp,
    /// Since when they may not log in.
    pub disabled_at: Option<Timestamp>,
}

/// Who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Profession.
    pub profession: String,
    /// Specialty.
    pub specialty: String,
    /// Number in the national register.
    pub rpps: Option<String>,
    /// Number in the former departmental lists.
    pub adeli: Option<String>,
}

/// A person to be entered.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// Login name; in lower case.
    pub login: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Profession.
    pub profession: String,
    /// Specialty.
    pub specialty: String,
    /// Number in the national register.
    pub rpps: Option<Rpps>,
    /// Number in the former departmental lists.
    pub adeli: Option<Adeli>,
    /// The domain whose administrators may change them.
    pub domain: Option<DomainId>,
}

/// What of a person changes; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct PersonChange {
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Profession.
    pub profession: Option<String>,
    /// Specialty.
    pub specialty: Option<String>,
    /// Number in the national register, or none any more.
    pub rpps: Option<Option<Rpps>>,
    /// Number in the former departmental lists, or none any more.
    pub adeli: Option<Option<Adeli>>,
    /// The domain whose administrators may change them, or none any more.
    pub domain: Option<Option<DomainId>>,
}

/// Which persons to list.
#[derive(Clone, Debug, Default)]
pub struct PersonFilter {
    /// Only persons of these domains, and holders of mailboxes there.
    pub domains: Option<Vec<DomainId>>,
    /// Only whose login or last name begins so.
    pub begins: String,
    /// Only the one with this number.
    pub rpps: Option<String>,
    /// Only those who may log in, or who may not.
    pub is_disabled: Option<bool>,
}

/// How a person is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonKey {
    /// By their row.
    Id(UserId),
    /// By login name.
    Login(String),
    /// By their number in the national register.
    Rpps(String),
    /// By their number in the former departmental lists.
    Adeli(String),
}

impl Store {
    /// Persons by login, after `after`, at most `limit`.
    pub async fn persons(
        &self,
        filter: &PersonFilter,
        after: &str,
        limit: u32,
    ) -> Result<Vec<PersonRow>, Error> {
        let mut conditions = vec!["u.login > $1".to_owned()];
        if let Some(domains) = &filter.domains {
            let ids = literals(domains);
            conditions.push(format!(
                "(u.domain_id IN ({ids}) OR EXISTS (SELECT 1 FROM mailboxes m WHERE m.owner_user_id = u.id AND m.status <> 'deleted' AND m.domain_id IN ({ids})))"
            ));
        }
        match filter.is_disabled {
            Some(true) => conditions.push("u.disabled_at_ms IS NOT NULL".to_owned()),
            Some(false) => conditions.push("u.disabled_at_ms IS NULL".to_owned()),
            None => {}
        }
        conditions.push(
            "($2 = '' OR u.login LIKE $2 ESCAPE '!' OR LOWER(u.last_name) LIKE $2 ESCAPE '!')".to_owned(),
        );
        conditions.push(if filter.rpps.is_some() { "u.rpps = $3" } else { "$3 = ''" }.to_owned());
        let sql = format!("{SELECT} WHERE {} ORDER BY u.login LIMIT $4", conditions.join(" AND "));
        let begins = like(&filter.begins, "");
        let mut reader = self.reader().await?;
        let rows: Vec<Columns> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(&begins).bind(filter.rpps.as_deref().unwrap_or_default()).bind(i64::from(limit)).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(Columns::row).collect())
    }

    /// The person of that name.
    pub async fn person(&self, key: &PersonKey) -> Result<Option<PersonRow>, Error> {
        let mut reader = self.reader().await?;
        find(reader.conn(), key).await
    }

    /// The domains in which a person holds mailboxes that are not deleted.
    pub async fn domains_of_holder(&self, person: UserId) -> Result<Vec<DomainId>, Error> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64,)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT DISTINCT domain_id FROM mailboxes WHERE owner_user_id = $1 AND status <> 'deleted' ORDER BY domain_id LIMIT 1000")
            .bind(person.0).fetch_all(&mut *c).await)?;
        Ok(rows.into_iter().map(|(domain,)| DomainId(domain)).collect())
    }

    /// Enters a person.
    pub async fn enter_person(&self, new: NewPerson) -> Refusable<UserId> {
        self.write(Touches::nothing(), move |tx| {
            let new = new.clone();
            Box::pin(async move { Ok(tx.enter_person(&new).await?.map(|row| row.id)) })
        })
        .await
    }

    /// Changes a person. `expected` is the revision that they must have.
    pub async fn change_person(
        &self,
        person: UserId,
        expected: Option<i64>,
        change: PersonChange,
    ) -> Refusable<()> {
        self.write(Touches::nothing(), move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change_person(person, expected, &change).await })
        })
        .await
    }

    /// Bars a person from logging in, or lets them again; what they hold stays. False when it was so already. With `force`, also when a mailbox
    /// is left without an administrator.
    pub async fn set_person_disabled(
        &self,
        person: UserId,
        is_disabled: bool,
        force: bool,
    ) -> Refusable<bool> {
        self.write(Touches::nothing(), move |tx| {
            Box::pin(async move { tx.set_person_disabled(person, is_disabled, force).await })
        })
        .await
    }
}

impl WriteTx {
    pub(crate) async fn enter_person(&mut self, new: &NewPerson) -> Refusable<UserRow> {
        let (rpps, adeli) = (new.rpps.as_ref().map(Rpps::as_str), new.adeli.as_ref().map(Adeli::as_str));
        if let Some(taken) = self.taken(None, Some(&new.login), rpps, adeli).await? {
            return Ok(Err(taken));
        }
        let now = self.now.0;
        let (user,): (i64,) = on!(self.conn(), c => sqlx::query_as(
            "INSERT INTO users (login, first_name, last_name, profession, specialty, rpps, adeli, domain_id, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
            .bind(&new.login).bind(&new.first_name).bind(&new.last_name).bind(&new.profession).bind(&new.specialty)
            .bind(rpps).bind(adeli).bind(new.domain.map(|domain| domain.0)).bind(now).fetch_one(&mut *c).await)?;
        on!(self.conn(), c => sqlx::query("INSERT INTO actors (kind, user_id, created_at_ms) VALUES ('user', $1, $2)")
            .bind(user).bind(now).execute(&mut *c).await.map(|_| ()))?;
        let row: (i64, i64, String) =
            on!(self.conn(), c => sqlx::query_as(USER).bind(&new.login).fetch_one(&mut *c).await)?;
        if let Some(person) = find(self.conn(), &PersonKey::Id(UserId(user))).await? {
            self.audit(&admin("user.created", None, String::new()).on("user", user).after(person.facts()))
                .await?;
        }
        Ok(Ok(user_row(row)))
    }

    async fn change_person(
        &mut self,
        person: UserId,
        expected: Option<i64>,
        change: &PersonChange,
    ) -> Refusable<()> {
        let Some(before) = find(self.conn(), &PersonKey::Id(person)).await? else {
            return Ok(Err(DirectoryError::UnknownUser));
        };
        if expected.is_some_and(|expected| expected != before.revision) {
            return Ok(Err(DirectoryError::Changed));
        }
        let was = before.identity.clone();
        let rpps = match &change.rpps {
            Some(rpps) => rpps.as_ref().map(|rpps| rpps.as_str().to_owned()),
            None => was.rpps,
        };
        let adeli = match &change.adeli {
            Some(adeli) => adeli.as_ref().map(|adeli| adeli.as_str().to_owned()),
            None => was.adeli,
        };
        if let Some(taken) = self.taken(Some(person), None, rpps.as_deref(), adeli.as_deref()).await? {
            return Ok(Err(taken));
        }
        let or = |new: &Option<String>, was: String| new.clone().unwrap_or(was);
        let domain = change.domain.unwrap_or(before.domain).map(|domain| domain.0);
        let changed = on!(self.conn(), c => sqlx::query(
            "UPDATE users SET first_name = $2, last_name = $3, profession = $4, specialty = $5, rpps = $6, adeli = $7, domain_id = $8, \
             revision = revision + 1 WHERE id = $1 AND revision = $9")
            .bind(person.0).bind(or(&change.first_name, was.first_name.clone())).bind(or(&change.last_name, was.last_name.clone()))
            .bind(or(&change.profession, was.profession.clone())).bind(or(&change.specialty, was.specialty.clone()))
            .bind(&rpps).bind(&adeli).bind(domain).bind(before.revision).execute(&mut *c).await.map(|r| r.rows_affected()))?;
        if changed == 0 {
            return Ok(Err(DirectoryError::Changed));
        }
        self.tell_of_person("user.changed", &before).await?;
        Ok(Ok(()))
    }

    async fn set_person_disabled(
        &mut self,
        person: UserId,
        is_disabled: bool,
        force: bool,
    ) -> Refusable<bool> {
        // One such change at a time: the last two administrators of a mailbox are not both barred.
        let moved = self.revised(Revision::Directory).await?;
        let Some(before) = find(self.conn(), &PersonKey::Id(person)).await? else {
            return Ok(Err(DirectoryError::UnknownUser));
        };
        self.concerns(moved, Concern::Actor(before.actor)).await?;
        if before.disabled_at.is_some() == is_disabled {
            return Ok(Ok(false));
        }
        if is_disabled && !force && self.is_last_administrator(before.actor).await? {
            return Ok(Err(DirectoryError::LastAdministrator));
        }
        let at = is_disabled.then_some(self.now.0);
        on!(self.conn(), c => sqlx::query("UPDATE users SET disabled_at_ms = $2, revision = revision + 1 WHERE id = $1")
            .bind(person.0).bind(at).execute(&mut *c).await.map(|_| ()))?;
        self.tell_of_person(if is_disabled { "user.disabled" } else { "user.enabled" }, &before).await?;
        Ok(Ok(true))
    }

    async fn tell_of_person(&mut self, action: &'static str, before: &PersonRow) -> Result<(), Error> {
        let after = find(self.conn(), &PersonKey::Id(before.id)).await?;
        let after = after.map_or(Value::Null, |after| after.facts());
        let entry = admin(action, None, String::new()).on("user", before.id);
        self.audit(&entry.before(before.facts()).after(after)).await
    }

    /// What of a person somebody else has already.
    async fn taken(
        &mut self,
        person: Option<UserId>,
        login: Option<&str>,
        rpps: Option<&str>,
        adeli: Option<&str>,
    ) -> Result<Option<DirectoryError>, Error> {
        let keys = [
            (login.map(|login| PersonKey::Login(login.to_owned())), DirectoryError::LoginTaken),
            (rpps.map(|rpps| PersonKey::Rpps(rpps.to_owned())), DirectoryError::RppsTaken),
            (adeli.map(|adeli| PersonKey::Adeli(adeli.to_owned())), DirectoryError::AdeliTaken),
        ];
        for (key, refusal) in keys {
            let Some(key) = key else { continue };
            let other = find(self.conn(), &key).await?;
            if other.is_some_and(|other| Some(other.id) != person) {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }
}

impl PersonRow {
    /// For the audit trail, sealed.
    fn facts(&self) -> Value {
        let is = &self.identity;
        json!({
            "login": self.login, "firstName": is.first_name, "lastName": is.last_name, "profession": is.profession,
            "specialty": is.specialty, "rpps": is.rpps, "adeli": is.adeli, "domain": self.domain_name,
            "disabled": self.disabled_at.is_some(),
        })
    }
}

pub(crate) async fn find(conn: Conn<'_>, key: &PersonKey) -> Result<Option<PersonRow>, Error> {
    let (column, text) = match key {
        PersonKey::Id(id) => {
            let sql = format!("{SELECT} WHERE u.id = $1");
            let row: Option<Columns> = on!(conn, c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await)?;
            return Ok(row.map(Columns::row));
        }
        PersonKey::Login(login) => ("login", login.to_ascii_lowercase()),
        PersonKey::Rpps(rpps) => ("rpps", rpps.clone()),
        PersonKey::Adeli(adeli) => ("adeli", adeli.clone()),
    };
    let sql = format!("{SELECT} WHERE u.{column} = $1");
    let row: Option<Columns> =
        on!(conn, c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&text).fetch_optional(&mut *c).await)?;
    Ok(row.map(Columns::row))
}

const SELECT: &str = "SELECT u.id, a.id AS actor_id, u.login, u.first_name, u.last_name, u.profession, u.specialty, u.rpps, u.adeli, u.domain_id, \
     d.name AS domain_name, u.revision, u.created_at_ms, u.disabled_at_ms FROM users u JOIN actors a ON a.user_id = u.id LEFT JOIN domains d ON d.id = u.domain_id";

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    actor_id: i64,
    login: String,
    first_name: String,
    last_name: String,
    profession: String,
    specialty: String,
    rpps: Option<String>,
    adeli: Option<String>,
    domain_id: Option<i64>,
    domain_name: Option<String>,
    revision: i64,
    created_at_ms: i64,
    disabled_at_ms: Option<i64>,
}

impl Columns {
    fn row(self) -> PersonRow {
        PersonRow {
            id: UserId(self.id),
            actor: ActorId(self.actor_id),
            login: self.login,
            identity: Identity {
                first_name: self.first_name,
                last_name: self.last_name,
                profession: self.profession,
                specialty: self.specialty,
                rpps: self.rpps,
                adeli: self.adeli,
            },
            domain: self.domain_id.map(DomainId),
            domain_name: self.domain_name,
            revision: self.revision,
            created_at: Timestamp(self.created_at_ms),
            disabled_at: self.disabled_at_ms.map(Timestamp),
        }
    }
}

/// Ids for an SQL list; none matches when there are none.
pub(crate) fn literals(domains: &[DomainId]) -> String {
    if domains.is_empty() {
        return "NULL".to_owned();
    }
    domains.iter().map(|domain| domain.0.to_string()).collect::<Vec<_>>().join(", ")
}

/// A pattern of LIKE that escapes with `!`: `before`, the text in lower case, then anything. Empty for an empty text.
pub(crate) fn like(text: &str, before: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut pattern = before.to_owned();
    for c in text.to_lowercase().chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
