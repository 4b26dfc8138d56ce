//! What a row says: who did what to what, how it ended, and what of it is personal.

use crate::Via;
use mail_types::{ActorId, Address, MailboxId, UnitId, UnknownWord, UserId};
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;

/// Which chain a row belongs to; retention is set for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Messages accepted, delivered, relayed, bounced.
    Mail,
    /// Logins, refusals, mailboxes read or changed by others than their holder, the audit trail read.
    Access,
    /// What administrators do.
    Admin,
    /// Judgements of peers and certificates; what changes the trust space.
    Trust,
}

impl Category {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Mail, Self::Access, Self::Admin, Self::Trust];

    /// The word of rows, configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Access => "access",
            Self::Admin => "admin",
            Self::Trust => "trust",
        }
    }
}

impl std::str::FromStr for Category {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let expected = "mail, access, admin, trust";
        let known = Self::ALL.into_iter().find(|category| category.as_str() == word);
        known.ok_or_else(|| UnknownWord { word: word.to_owned(), expected })
    }
}

/// Whose personal data a row holds: their key seals it, and destroying the key erases it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A mailbox of ours, and whoever holds it.
    Mailbox(MailboxId),
    /// A person.
    User(UserId),
    /// Whoever acted: an application or a key, or a person of whom only this is known.
    Actor(ActorId),
    /// An address elsewhere, or a name that somebody tried. Letter case does not matter.
    Address(String),
    /// Nobody: the operator.
    Operator,
}

impl Subject {
    /// An address elsewhere.
    pub fn address(address: &Address) -> Self {
        Self::Address(address.canonical())
    }
}

impl fmt::Debug for Subject {
    /// An address is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(id) => write!(f, "mailbox:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Actor(id) => write!(f, "actor:{id}"),
            Self::Address(_) => f.write_str("address:…"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// Personal fields, sealed in the row. They are not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Personal(Option<Box<Map<String, Value>>>);

impl Personal {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    pub(super) fn set_if_absent(&mut self, name: &str, value: impl Into<Value>) {
        self.0.get_or_insert_default().entry(name).or_insert_with(|| value.into());
    }

    /// The text that is sealed, if there is anything to seal.
    pub(super) fn text(&self) -> Option<String> {
        let map = self.0.as_deref().filter(|map| !map.is_empty())?;
        serde_json::to_string(map).ok()
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "[personal]" } else { "[]" })
    }
}

/// One thing that happened. Who did it, by which door, whence and why comes from the [`Act`](crate::Act) that the unit is run for, unless it is said here.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Which chain.
    pub category: Category,
    /// What was done, a dotted word: `message.accepted`.
    pub action: &'static str,
    /// How it ended: `ok`, `duplicate`, `failed`, `refused`…
    pub outcome: &'static str,
    /// Who did it, where known. Never what it was done to.
    pub actor: Option<ActorId>,
    /// What proved the actor, as [`Act::credential`](crate::Act::credential) has it.
    pub credential: Option<String>,
    /// By which door.
    pub via: Option<Via>,
    /// On what: a kind and a row, `user:12`, `queue:5`. See [`AuditEntry::on`].
    pub target: Option<String>,
    /// In which mailbox, where one is meant.
    pub mailbox: Option<MailboxId>,
    /// The unit of work that it belongs to.
    pub unit: Option<UnitId>,
    /// The request that it is a part of.
    pub request: Option<String>,
    /// Facts without personal data, as `key=value` pairs.
    pub detail: String,
    /// Whose the personal fields are. Unless said: the mailbox's, the target's where it is a person, the actor's, the operator's.
    pub subject: Option<Subject>,
    /// Personal fields.
    pub personal: Personal,
}

impl AuditEntry {
    /// Something that went well.
    pub const fn new(category: Category, action: &'static str) -> Self {
        Self {
            category,
            action,
            outcome: "ok",
            actor: None,
            credential: None,
            via: None,
            target: None,
            mailbox: None,
            unit: None,
            request: None,
            detail: String::new(),
            subject: None,
            personal: Personal::none(),
        }
    }

    /// Says on what: `.on("user", 12)`. What it was done to is never the actor.
    #[must_use]
    pub fn on(mut self, kind: &'static str, id: impl fmt::Display) -> Self {
        self.target = Some(format!("{kind}:{id}"));
        self
    }

    /// Says whose the personal fields are.
    #[must_use]
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds a personal field: an address, a name.
    #[must_use]
    pub fn personal(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.personal.set(name, value);
        self
    }

    /// Says what it was before.
    #[must_use]
    pub fn before(self, value: impl Into<Value>) -> Self {
        self.personal("before", value)
    }

    /// Says what it is after.
    #[must_use]
    pub fn after(self, value: impl Into<Value>) -> Self {
        self.personal("after", value)
    }

    /// Says from where, where the act does not.
    #[must_use]
    pub fn whence(self, address: IpAddr) -> Self {
        self.personal("whence", address.to_string())
    }

    /// Says why, where the act does not.
    #[must_use]
    pub fn why(self, reason: impl Into<String>) -> Self {
        self.personal("why", reason.into())
    }

    /// From where, if that is said.
    pub fn said_whence(&self) -> Option<IpAddr> {
        self.personal.0.as_deref()?.get("whence")?.as_str()?.parse().ok()
    }

    /// Fills in what the act says and the entry does not.
    pub(crate) fn stamp(&mut self, act: &crate::Act) {
        self.actor = self.actor.or(act.actor);
        self.via = self.via.or(Some(act.via));
        self.credential = self.credential.take().or_else(|| act.credential.clone());
        self.request = self.request.take().or_else(|| act.request.clone());
        if let Some(whence) = act.whence {
            self.personal.set_if_absent("whence", whence.to_string());
        }
        if let Some(reason) = &act.reason {
            self.personal.set_if_absent("why", reason.as_str());
        }
    }

    /// Whose key seals the personal fields.
    pub(super) fn owner(&self) -> Subject {
        let of_user = || {
            let id = self.target.as_deref()?.strip_prefix("user:")?.parse().ok()?;
            Some(Subject::User(UserId(id)))
        };
        let said = self.subject.clone().or_else(|| self.mailbox.map(Subject::Mailbox));
        said.or_else(of_user).or_else(|| self.actor.map(Subject::Actor)).unwrap_or(Subject::Operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Act;

    #[test]
    fn an_act_fills_in_what_an_entry_does_not_say() {
        let act = Act {
            actor: Some(ActorId(3)),
            whence: Some(IpAddr::from([192, 0, 2, 1])),
            credential: Some("key:3".to_owned()),
            reason: Some("asked by the holder".to_owned()),
            request: Some("1-a".to_owned()),
            ..Act::via(Via::Rest)
        };
        let mut entry =
            AuditEntry { actor: Some(ActorId(9)), ..AuditEntry::new(Category::Admin, "x") }.why("own");
        entry.stamp(&act);
        assert_eq!((entry.actor, entry.via), (Some(ActorId(9)), Some(Via::Rest)));
        assert_eq!((entry.credential.as_deref(), entry.request.as_deref()), (Some("key:3"), Some("1-a")));
        assert_eq!(entry.personal.text().as_deref(), Some(r#"{"whence":"192.0.2.1","why":"own"}"#));
    }

    #[test]
    fn personal_fields_belong_to_the_mailbox_or_person_that_the_row_is_about() {
        let entry = AuditEntry { actor: Some(ActorId(9)), ..AuditEntry::new(Category::Admin, "x") };
        assert_eq!(entry.owner(), Subject::Actor(ActorId(9)));
        assert_eq!(entry.clone().on("user", 12).owner(), Subject::User(UserId(12)));
        let entry = AuditEntry { mailbox: Some(MailboxId(7)), ..entry.on("grant", 1) };
        assert_eq!(entry.owner(), Subject::Mailbox(MailboxId(7)));
        assert_eq!(entry.subject(Subject::Operator).owner(), Subject::Operator);
    }

    #[test]
    fn personal_fields_and_addresses_do_not_print() {
        let address: Address = "marie@ch.example".parse().unwrap();
        let entry = AuditEntry::new(Category::Mail, "x").personal("to", address.to_string());
        assert!(!format!("{:?}", entry.subject(Subject::address(&address))).contains("marie"));
    }
}
