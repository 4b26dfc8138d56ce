//! What is shown of a message.

use crate::json::instant;
use crate::mailbox::{Correspondent, MessageId};
use mail_types::SystemFlags;
use message::structure::{self, Letterhead, PartRole};
use serde::Serialize;
use store::ListedMessage;
use utoipa::ToSchema;

/// Characters of a text in a list.
const TEXT_MAX: usize = 1000;
/// Addresses of one field in a list.
const PEOPLE_MAX: usize = 50;

/// Flags of a message (RFC 9051 section 2.3.2).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flags {
    /// It was read, by the caller where each reader has their own.
    seen: bool,
    /// It was answered.
    answered: bool,
    /// It was marked.
    flagged: bool,
    /// It is to be removed.
    deleted: bool,
    /// It is not finished.
    draft: bool,
}

impl From<SystemFlags> for Flags {
    fn from(flags: SystemFlags) -> Self {
        Self {
            seen: flags.contains(SystemFlags::SEEN),
            answered: flags.contains(SystemFlags::ANSWERED),
            flagged: flags.contains(SystemFlags::FLAGGED),
            deleted: flags.contains(SystemFlags::DELETED),
            draft: flags.contains(SystemFlags::DRAFT),
        }
    }
}

/// A message as a list shows it: nothing of its content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageSummary {
    /// Its identifier, which changes when it moves.
    #[schema(example = "17-1795280000-4")]
    id: String,
    /// The identifier of its folder.
    #[schema(example = "17")]
    folder: String,
    /// Who wrote it; at most 50 of each field are listed.
    from: Vec<Correspondent>,
    /// To whom.
    to: Vec<Correspondent>,
    /// To whom for information.
    cc: Vec<Correspondent>,
    /// About what, decoded; at most 1,000 characters.
    subject: Option<String>,
    /// When its author says that it was written.
    #[schema(format = DateTime)]
    date: Option<String>,
    /// When it came.
    #[schema(format = DateTime)]
    received_at: String,
    /// Octets.
    size: u32,
    flags: Flags,
    /// Words that readers gave it.
    keywords: Vec<String>,
    /// Whether anything is attached to it.
    has_attachments: bool,
    /// Its Message-ID, as written.
    message_id: Option<String>,
    /// Whether what it is made of could be read. When it could not, only its row is shown: an administrator finds with `fsck` what is missing.
    is_readable: bool,
}

impl MessageSummary {
    /// What a row and its folder's keywords say: of a message whose structure cannot be read.
    pub(super) fn of_row(id: MessageId, listed: &ListedMessage, keywords: &[String]) -> Self {
        let is_set = |bit: usize| bit < 64 && listed.keywords >> bit & 1 == 1;
        let named = keywords.iter().enumerate().filter(|(bit, _)| is_set(*bit));
        Self {
            id: id.to_string(),
            folder: id.folder.to_string(),
            from: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: None,
            date: None,
            received_at: instant(listed.row.internal_date),
            size: listed.row.size,
            flags: listed.flags.into(),
            keywords: named.map(|(_, name)| name.clone()).collect(),
            has_attachments: false,
            message_id: None,
            is_readable: false,
        }
    }

    /// What a row, its structure and its folder's keywords say.
    pub(super) fn of(
        id: MessageId,
        listed: &ListedMessage,
        head: Letterhead,
        structure: &structure::Structure,
        keywords: &[String],
    ) -> Self {
        let parts = structure.parts();
        Self {
            from: people(head.from),
            to: people(head.to),
            cc: people(head.cc),
            subject: head.subject.map(|subject| cut(&subject)),
            date: structure.date().map(instant),
            has_attachments: parts.iter().any(|part| part.role == PartRole::Attachment),
            message_id: head.message_id.map(|id| cut(&id)),
            is_readable: true,
            ..Self::of_row(id, listed, keywords)
        }
    }
}

/// People of a field, as many as are listed.
pub(super) fn people(people: Vec<structure::Correspondent>) -> Vec<Correspondent> {
    let show = |one: structure::Correspondent| Correspondent {
        address: cut(&one.address),
        name: one.name.map(|name| cut(&name)),
    };
    people.into_iter().take(PEOPLE_MAX).map(show).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
