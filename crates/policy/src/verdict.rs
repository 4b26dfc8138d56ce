//! Verdicts and their reasons, with the words that a peer may hear.

use mail_types::Reply;

/// The answer to a question of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Accept,
    /// Not now: the cause is ours or passes.
    Defer(Reason),
    /// Never, as things stand.
    Reject(Reason),
}

/// Why something is deferred or rejected. `Debug` is the word for logs and metrics; [`Reason::reply`] is all that a peer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The peer presented no certificate.
    NoCertificate,
    /// The white list does not name this certificate for this domain.
    NotListed,
    /// No white list is loaded, or it is too old.
    NoWhiteList,
    /// The white list does not name it, and was not confirmed for too long to refuse for good.
    WhiteListStale,
    /// An administrator suspended the domain or the certificate.
    Quarantined,
    /// Revocation could not be decided: a list is missing or past its date.
    RevocationUnknown,
    /// The user may not send with this address.
    NotOwner,
    /// The message says that it is from somebody else.
    NotAuthor,
    /// The mailbox that the user sends for is not in service.
    SenderClosed,
    /// The recipient's domain is not ours, and this origin may not relay.
    Relay,
    /// No such mailbox.
    UnknownMailbox,
    /// The mailbox is closed for now.
    Suspended,
    /// The mailbox is closed, and mail for it is returned.
    Disabled,
    /// The mailbox is full.
    MailboxFull,
    /// The message alone is larger than the whole quota.
    OverWholeQuota,
    /// The recipient's domain is not in the white list.
    OutsideTrustSpace,
    /// The recipient's domain left the white list not long ago.
    RecipientDeparting,
    /// The recipient's domain left the white list for good.
    RecipientDeparted,
    /// An administrator suspended the recipient's domain.
    RecipientSuspended,
    /// The message names an author or sender for whose domain the certificate does not speak.
    AuthorNotListed,
    /// That cannot be said now.
    AuthorDoubtful,
}

impl Reason {
    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::NotListed => "not_listed",
            Self::NoWhiteList => "no_white_list",
            Self::WhiteListStale => "white_list_stale",
            Self::Quarantined => "quarantined",
            Self::RevocationUnknown => "revocation_unknown",
            Self::NotOwner => "not_owner",
            Self::NotAuthor => "not_author",
            Self::SenderClosed => "sender_closed",
            Self::Relay => "relay",
            Self::UnknownMailbox => "unknown_mailbox",
            Self::Suspended => "suspended",
            Self::Disabled => "disabled",
            Self::MailboxFull => "mailbox_full",
            Self::OverWholeQuota => "over_whole_quota",
            Self::OutsideTrustSpace => "outside_trust_space",
            Self::RecipientDeparting => "recipient_departing",
            Self::RecipientDeparted => "recipient_departed",
            Self::RecipientSuspended => "recipient_suspended",
            Self::AuthorNotListed => "author_not_listed",
            Self::AuthorDoubtful => "author_doubtful",
        }
    }

    /// What a peer hears: a code and a generic sentence.
    pub fn reply(self) -> Reply {
        match self {
            Self::NoCertificate | Self::NotListed => {
                Reply::new(550, (5, 7, 1), "Not authorised to send for this domain")
            }
            Self::NoWhiteList | Self::WhiteListStale | Self::Quarantined | Self::RevocationUnknown => {
                Reply::new(451, (4, 7, 0), "Temporarily unable to verify authorisation; try again later")
            }
            Self::NotOwner => {
                Reply::new(550, (5, 7, 1), "Sender address does not belong to the authenticated user")
            }
            Self::NotAuthor => Reply::new(
                550,
                (5, 7, 1),
                "The From and Sender fields must name the address of MAIL FROM and no other",
            ),
            Self::SenderClosed => {
                Reply::new(550, (5, 2, 1), "The mailbox that you send for is not in service")
            }
            Self::Relay => Reply::new(550, (5, 7, 1), "Relaying denied"),
            Self::UnknownMailbox => Reply::new(550, (5, 1, 1), "No such mailbox"),
            Self::Suspended => Reply::new(450, (4, 2, 1), "Mailbox is closed for now"),
            Self::Disabled => Reply::new(550, (5, 2, 1), "Mailbox is closed"),
            Self::MailboxFull => Reply::new(452, (4, 2, 2), "Mailbox is full"),
            Self::OverWholeQuota => Reply::new(552, (5, 2, 2), "Message is larger than the mailbox may hold"),
            Self::OutsideTrustSpace => Reply::new(550, (5, 7, 1), "Recipient is outside the trust space"),
            Self::RecipientDeparting => Reply::new(
                450,
                (4, 7, 1),
                "The recipient's domain has left the trust space; nothing is sent there unless it comes back",
            ),
            Self::RecipientDeparted => {
                Reply::new(550, (5, 7, 1), "The recipient's domain has left the trust space")
            }
            Self::RecipientSuspended => Reply::new(
                450,
                (4, 7, 1),
                "Mail to the recipient's domain is suspended by the administrators of this server",
            ),
            Self::AuthorNotListed => {
                Reply::new(550, (5, 7, 1), "Not authorised to send for the domain of From or Sender")
            }
            Self::AuthorDoubtful => Reply::new(
                451,
                (4, 7, 0),
                "Temporarily unable to verify the domain of From or Sender; try again later",
            ),
        }
    }
}
