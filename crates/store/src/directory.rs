//! What the tables of domains, persons, mailboxes and grants have in common.

use crate::{AuditEntry, Category, Error};
use mail_types::{MailboxId, MailboxKind, MailboxStatus, Workflow};

/// Why a change to the directory was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// What was to be changed is not any more what was read.
    #[error("it changed meanwhile; read it again")]
    Changed,
    /// The domain is not one of ours.
    #[error("the domain is not one of this operator's; add it with `domain add`")]
    UnknownDomain,
    /// No such user.
    #[error("no such user; create it with `user create`")]
    UnknownUser,
    /// No such mailbox.
    #[error("no such mailbox")]
    UnknownMailbox,
    /// The address exists with another kind, which cannot change.
    #[error("the mailbox exists with kind `{0}`; address and kind are immutable")]
    OtherKind(MailboxKind),
    /// The address was a mailbox that is deleted.
    #[error("this address belonged to a deleted mailbox and is never given to another holder")]
    Tombstone,
    /// The address is a mailbox already.
    #[error("there is a mailbox of this address already")]
    AddressTaken,
    /// The login is another person's.
    #[error("another person has this login")]
    LoginTaken,
    /// The RPPS number is another person's.
    #[error("another person has this RPPS number")]
    RppsTaken,
    /// The ADELI number is another person's.
    #[error("another person has this ADELI number")]
    AdeliTaken,
    /// It is not in a state in which this can be done.
    #[error("this cannot be done while it is {0} and its creation is {1}")]
    State(MailboxStatus, Workflow),
    /// The time in which it could be restored is over.
    #[error("the time in which it could be restored is over")]
    NotRestorable,
    /// The quotas of the domain's mailboxes would come to more than they may.
    #[error(
        "the quotas of the domain's mailboxes would come to {asked} octets together, and its allocation is {max}; give less, or change the allocation of the domain"
    )]
    Allocation {
        /// The allocation of the domain, in octets.
        max: u64,
        /// What the quotas would come to.
        asked: u64,
    },
    /// The address exists and belongs to another user.
    #[error("the mailbox exists and belongs to another user")]
    OtherOwner,
    /// A personal mailbox has an owner, an applicative one has none.
    #[error("a mailbox of this kind {0}")]
    Owner(&'static str),
    /// A mailbox would have nobody who administers it for good.
    #[error("a mailbox would be left without an administrator")]
    LastAdministrator,
    /// An application's name that is none.
    #[error("an application's name has 1 to 64 letters, digits, dots, hyphens or underscores")]
    ApplicationName,
    /// The name is another application's.
    #[error("there is an application of that name already")]
    ApplicationTaken,
    /// The rule is in force already.
    #[error("the application {0} has this rule already; remove it there first")]
    SameRule(String),
    /// An application has as many rules as it may.
    #[error("the application has as many certificate rules as it may have; remove what is no longer used")]
    TooManyRules,
}

/// What a change came to: done, refused, or failed.
pub(crate) type Refusable<T> = Result<Result<T, DirectoryError>, Error>;

pub(crate) fn word<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Inconsistent("a row holds a word that this program does not know"))
}

/// What an administrator did, to the mailbox if one is named. Without one, say to what: [`AuditEntry::on`].
pub(crate) fn admin(action: &'static str, mailbox: Option<MailboxId>, detail: String) -> AuditEntry {
    let entry = AuditEntry { mailbox, detail, ..AuditEntry::new(Category::Admin, action) };
    match mailbox {
        Some(mailbox) => entry.on("mailbox", mailbox),
        None => entry,
    }
}
