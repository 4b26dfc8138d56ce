//! `[identifiers]` and `[mailboxes]`: what is asked of persons and structures, and what a mailbox gives that is not in service.

use crate::reader::Section;

/// `[identifiers]`
#[derive(Clone, Copy, Debug)]
pub struct Identifiers {
    /// `key_check`: true to check the keys of RPPS, FINESS and SIRET numbers (`strict`), false to look at their format alone (`format`).
    pub is_strict: bool,
}

impl Identifiers {
    pub(crate) fn read(mut section: Section) -> Self {
        Self { is_strict: section.choice("key_check", true, &[("strict", true), ("format", false)]) }
    }
}

/// What becomes of mail for a mailbox that is not in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryWord {
    /// It is delivered.
    Accept,
    /// 450: the sender's server tries again.
    Defer,
    /// 550: it is returned.
    Reject,
}

const WORDS: [(&str, DeliveryWord); 3] =
    [("accept", DeliveryWord::Accept), ("defer", DeliveryWord::Defer), ("reject", DeliveryWord::Reject)];

/// `[mailboxes.STATE]`
#[derive(Clone, Copy, Debug)]
pub struct MailboxState {
    /// `login`: whether anybody may open it. Never a deleted one.
    pub login: bool,
    /// `delivery`. Nothing is delivered to a deleted one.
    pub delivery: DeliveryWord,
    /// `send`: whether mail may be sent with its address. Never with that of a deleted one.
    pub send: bool,
}

/// `[mailboxes]`
#[derive(Clone, Copy, Debug)]
pub struct Mailboxes {
    /// `restore_days`: how long a deleted mailbox can be restored; its content is erased afterwards.
    pub restore_days: u32,
    /// `[mailboxes.pending]`
    pub pending: MailboxState,
    /// `[mailboxes.suspended]`
    pub suspended: MailboxState,
    /// `[mailboxes.deleted]`
    pub deleted: MailboxState,
}

impl Mailboxes {
    pub(crate) fn read(mut section: Section) -> Self {
        let mut deleted = section.section("deleted");
        Self {
            restore_days: u32::try_from(section.number("restore_days", 30, 0, 3_650)).unwrap_or(30),
            pending: state(section.section("pending"), DeliveryWord::Reject),
            suspended: state(section.section("suspended"), DeliveryWord::Defer),
            deleted: MailboxState {
                login: false,
                delivery: deleted.choice("delivery", DeliveryWord::Reject, &WORDS[1..]),
                send: false,
            },
        }
    }
}

fn state(mut section: Section, delivery: DeliveryWord) -> MailboxState {
    let rule = MailboxState {
        login: section.boolean("login", false),
        delivery: section.choice("delivery", delivery, &WORDS),
        send: section.boolean("send", false),
    };
    if rule.send && !rule.login {
        section.fault("send", "needs `login = true`: whoever sends logs in first");
    }
    rule
}
