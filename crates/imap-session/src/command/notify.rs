//! NOTIFY (RFC 5465): what a client wants to hear of without asking.

use super::FetchItem;

/// NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// NONE: of nothing.
    None,
    /// SET
    Set(NotifySet),
    /// SET with an event that is not known here: answer NO with BADEVENT.
    Unsupported,
}

/// NOTIFY SET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifySet {
    /// STATUS: every folder of which message events are asked is counted first.
    pub with_status: bool,
    /// Of the selected folder; none is as good as no events.
    pub selected: Option<SelectedEvents>,
    /// Of others.
    pub groups: Vec<EventGroup>,
}

/// SELECTED and SELECTED-DELAYED (RFC 5465 §6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectedEvents {
    /// Expunges wait for a command that may tell of them.
    pub is_delayed: bool,
    /// Message events only.
    pub events: Events,
    /// What is fetched of each new message.
    pub attributes: Vec<FetchItem>,
}

/// RFC 5465 `event-group`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Of which folders.
    pub filter: MailboxFilter,
    /// Of what.
    pub events: Events,
}

/// RFC 5465 §6.2 to §6.6
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// Those of the mailbox that was logged in to.
    Personal,
    /// Those of them that mail is delivered to.
    Inboxes,
    /// Those that are subscribed to.
    Subscribed,
    /// These and all below them.
    Subtree(Vec<String>),
    /// These.
    Mailboxes(Vec<String>),
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u8);

impl Events {
    /// MessageNew
    pub const MESSAGE_NEW: Self = Self(1);
    /// MessageExpunge
    pub const MESSAGE_EXPUNGE: Self = Self(2);
    /// FlagChange
    pub const FLAG_CHANGE: Self = Self(4);
    /// MailboxName
    pub const MAILBOX_NAME: Self = Self(8);
    /// SubscriptionChange
    pub const SUBSCRIPTION_CHANGE: Self = Self(16);
    /// MailboxMetadataChange
    pub const MAILBOX_METADATA_CHANGE: Self = Self(32);
    /// ServerMetadataChange
    pub const SERVER_METADATA_CHANGE: Self = Self(64);

    /// What is told of messages.
    pub const OF_MESSAGES: Self = Self(7);

    /// Every kind with its name.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::MESSAGE_NEW, "MessageNew"),
        (Self::MESSAGE_EXPUNGE, "MessageExpunge"),
        (Self::FLAG_CHANGE, "FlagChange"),
        (Self::MAILBOX_NAME, "MailboxName"),
        (Self::SUBSCRIPTION_CHANGE, "SubscriptionChange"),
        (Self::MAILBOX_METADATA_CHANGE, "MailboxMetadataChange"),
        (Self::SERVER_METADATA_CHANGE, "ServerMetadataChange"),
    ];

    /// The kind of that name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(kind, _)| kind)
    }

    /// Whether any kind of `others` is among these.
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether nothing else is among them.
    pub const fn is_of_messages_only(self) -> bool {
        self.0 & !Self::OF_MESSAGES.0 == 0
    }

    /// Whether these can stand together (RFC 5465 §5): what is new goes with what is gone, and flags with both.
    pub const fn is_whole(self) -> bool {
        let both = Self::MESSAGE_NEW.0 | Self::MESSAGE_EXPUNGE.0;
        self.0 & Self::OF_MESSAGES.0 == 0 || self.0 & both == both
    }
}
