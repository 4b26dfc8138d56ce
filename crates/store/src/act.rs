//! Who does what follows, and how they came. A handle on the store that [acts](Store::acting) for somebody stamps every audit row of its units.

use crate::{RequestMark, Store};
use mail_types::{ActorId, MailboxId};
use std::net::IpAddr;

/// By which door an act came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Another operator's server.
    Mx,
    /// SMTP submission.
    Submission,
    /// IMAP.
    Imap,
    /// The REST API.
    Rest,
    /// The command line, on this machine.
    CommandLine,
    /// The program itself: housekeeping, the queue, schedules.
    System,
}

impl Via {
    /// The word in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Imap => "imap",
            Self::Rest => "rest",
            Self::CommandLine => "cli",
            Self::System => "system",
        }
    }
}

/// Who does what follows, and how they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who. Nobody that has a row: the program itself, or whoever may run commands on this machine.
    pub actor: Option<ActorId>,
    /// By which door.
    pub via: Via,
    /// From where.
    pub whence: Option<IpAddr>,
    /// What proved the actor: `password:12`, `key:3`, `certificate:` and the first eight octets of its key's SHA-256 in hexadecimal, `uid:1000`.
    pub credential: Option<String>,
    /// Why, as the actor said it.
    pub reason: Option<String>,
    /// The request that it is a part of.
    pub request: Option<String>,
    /// Whether what it changes or removes in a mailbox is told of, because the actor does not hold it.
    pub tells_changes: bool,
    /// A mailbox of the actor's own that takes part all the same: of that nothing is told.
    pub holds: Option<MailboxId>,
    /// The reservation that its units mark, when the request is to be carried out once.
    pub mark: Option<RequestMark>,
}

impl Act {
    /// An act of nobody in particular.
    pub const fn via(via: Via) -> Self {
        Self {
            actor: None,
            via,
            whence: None,
            credential: None,
            reason: None,
            request: None,
            tells_changes: false,
            holds: None,
            mark: None,
        }
    }
}

impl Store {
    /// A handle on the same store whose writes are told of as done by `act`.
    pub fn acting(&self, act: Act) -> Self {
        Self { shared: self.shared.clone(), act: Some(std::sync::Arc::new(act)) }
    }
    /// For whom this handle acts, if for anybody.
    pub fn act(&self) -> Option<&Act> {
        self.act.as_deref()
    }
}
