//! Finding a mailbox or a person by whatever name a caller gave.

use crate::dialect::on;
use crate::directory::word;
use crate::{Error, Store};
use mail_types::{ActorId, Address, DomainId, MailboxId, MailboxKind, MailboxStatus, UserId};

/// A mailbox, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMailbox {
    /// Row.
    pub id: MailboxId,
    /// Its domain.
    pub domain: DomainId,
    /// Its address.
    pub address: Address,
    /// Kind.
    pub kind: MailboxKind,
    /// Life cycle state.
    pub status: MailboxStatus,
    /// Who holds it.
    pub holder: Option<UserId>,
}

/// A person, and where they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPerson {
    /// Row.
    pub user: UserId,
    /// The actor that credentials and grants point to.
    pub actor: ActorId,
    /// Login name.
    pub login: String,
    /// First and last name, as far as they are known.
    pub full_name: String,
    /// The domain whose administrators may change them.
    pub domain: Option<DomainId>,
}

impl FoundPerson {
    /// How people call them: first and last name, else the login.
    pub fn name(&self) -> String {
        if self.full_name.is_empty() { self.login.clone() } else { self.full_name.clone() }
    }
}

/// How a person is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonName {
    /// By their row.
    Id(UserId),
    /// By their national number.
    Rpps(String),
    /// By their login.
    Login(String),
}

impl PersonName {
    /// What a path or an argument names: eleven digits are an RPPS number, fewer a row, anything else is a login.
    pub fn of(text: &str) -> Self {
        let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        match text.parse() {
            _ if is_number && text.len() == 11 => Self::Rpps(text.to_owned()),
            Ok(id) if is_number && text.len() < 11 => Self::Id(UserId(id)),
            _ => Self::Login(text.to_ascii_lowercase()),
        }
    }
}

impl Store {
    /// The mailbox of that row or address, deleted or not.
    pub async fn find_mailbox(&self, name: &str) -> Result<Option<FoundMailbox>, Error> {
        let id: Option<i64> = name.parse().ok();
        let address = name.parse::<Address>().ok().map(|address| address.canonical());
        if id.is_none() && address.is_none() {
            return Ok(None);
        }
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String, String, String, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT id, domain_id, address, kind, status, owner_user_id FROM mailboxes WHERE id = $1 OR address = $2")
            .bind(id).bind(address).fetch_optional(&mut *c).await)?;
        row.map(|(id, domain, address, kind, status, holder)| {
            Ok(FoundMailbox {
                id: MailboxId(id),
                domain: DomainId(domain),
                address: address
                    .parse()
                    .map_err(|_| Error::Inconsistent("a mailbox has a malformed address"))?,
                kind: word(&kind)?,
                status: word(&status)?,
                holder: holder.map(UserId),
            })
        })
        .transpose()
    }

    /// The person of that name.
    pub async fn find_person(&self, name: &PersonName) -> Result<Option<FoundPerson>, Error> {
        let (id, rpps, login) = match name {
            PersonName::Id(id) => (Some(id.0), None, None),
            PersonName::Rpps(rpps) => (None, Some(rpps.as_str()), None),
            PersonName::Login(login) => (None, None, Some(login.to_ascii_lowercase())),
        };
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64, String, String, String, Option<i64>)> = on!(reader.conn(), c => sqlx::query_as(
            "SELECT u.id, a.id, u.login, u.first_name, u.last_name, u.domain_id FROM users u JOIN actors a ON a.user_id = u.id WHERE u.id = $1 OR u.rpps = $2 OR u.login = $3")
            .bind(id).bind(rpps).bind(login).fetch_optional(&mut *c).await)?;
        Ok(row.map(|(user, actor, login, first, last, domain)| FoundPerson {
            user: UserId(user),
            actor: ActorId(actor),
            login,
            full_name: format!("{first} {last}").trim().to_owned(),
            domain: domain.map(DomainId),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_by_number_row_or_login() {
        assert_eq!(PersonName::of("17"), PersonName::Id(UserId(17)));
        assert_eq!(PersonName::of("10001234567"), PersonName::Rpps("10001234567".to_owned()));
        assert_eq!(PersonName::of("Marie"), PersonName::Login("marie".to_owned()));
        assert_eq!(PersonName::of("+1"), PersonName::Login("+1".to_owned()));
    }
}
