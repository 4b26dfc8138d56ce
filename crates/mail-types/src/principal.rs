//! Who acts, and in which mailbox.

use crate::{ActorId, Address, MailboxId, MailboxKind, Rights, UserId};

/// What kind of actor holds the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A person.
    User(UserId),
    /// An application that logs in with a certificate.
    Application,
    /// An API key, which is nobody's in particular.
    Key,
}

/// A person or an application whose credential was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Row of the actor: sessions, private `\Seen` and audit are keyed by it.
    pub id: ActorId,
    /// Person or application.
    pub kind: ActorKind,
}

/// An actor acting in a login mailbox: the SASL name selects the mailbox, the credential proves the actor,
/// ownership or a grant joins the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub actor: Actor,
    /// In which mailbox.
    pub mailbox: MailboxId,
    /// The address of that mailbox.
    pub address: Address,
    /// Its kind.
    pub kind: MailboxKind,
    /// What the actor may do in folders of which nothing else is said.
    pub rights: Rights,
    /// Whether the actor may send with the mailbox's address.
    pub may_send: bool,
    /// Whether `\Seen` is kept for each actor apart.
    pub private_seen: bool,
    /// Whether the mailbox is the actor's own: of several applications, of the one with role `admin`. What others read in it is told of.
    pub is_holder: bool,
    /// Whether the credential opens this mailbox only, whatever else the actor may open.
    pub only_here: bool,
}
