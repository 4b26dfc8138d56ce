//! Commands, as parsed: what the client asks, with names decoded and macros expanded.
//!
//! Every folder name is the decoded UTF-8 name; INBOX, whatever its case, is `INBOX`, alone or as first component (`inbox/x` is
//! `INBOX/x`). Nothing here says whether a command is allowed, in what state, or to whom.
//! A command holds names and search texts of a health mailbox: log its kind, never its `Debug`.

mod append;
mod fetch;
mod list;
mod metadata;
mod notify;
mod search;
mod select;
mod sort;
mod status;
mod store;

use crate::sequence::MessageSet;
pub use append::{AppendBegin, AppendData, AppendLiteral, AppendMessage, AppendStep, Replaced};
pub use fetch::{FetchArguments, FetchItem, Partial, Section, SectionText};
pub use list::{ListArguments, ListReturn, ListSelection, SpecialUse};
use mail_types::{RightsChange, Secret};
pub use metadata::{Depth, EntryName, GetMetadata, SetMetadata};
pub use notify::{EventGroup, Events, MailboxFilter, Notify, NotifySet, SelectedEvents};
pub use search::{Date, PartialRange, SearchArguments, SearchKey, SearchReturn};
pub use select::{Resync, SelectParameters, SequenceMatch};
pub use sort::{SortArguments, SortBy, SortKey, ThreadAlgorithm, ThreadArguments};
pub use status::StatusItem;
pub use store::{FlagList, StoreAction, StoreArguments};

/// A complete command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What the tagged response repeats.
    pub tag: String,
    /// What is asked.
    pub body: CommandBody,
}

/// What is asked. APPEND and REPLACE are not here: they come as [`crate::decoder::Input::Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandBody {
    /// RFC 3501 §6.1.1
    Capability,
    /// RFC 3501 §6.1.2
    Noop,
    /// RFC 3501 §6.1.3
    Logout,
    /// RFC 3501 §6.2.1
    StartTls,
    /// RFC 3501 §6.2.3
    Login {
        /// As written.
        username: String,
        /// As written.
        password: Secret<String>,
    },
    /// RFC 3501 §6.2.2, RFC 4959
    Authenticate {
        /// In upper case.
        mechanism: String,
        /// Decoded from base64; `=` is the empty response.
        initial_response: Option<Secret<Vec<u8>>>,
    },
    /// RFC 3501 §6.3.1
    Select {
        /// Which folder.
        folder: String,
        /// As the client wrote it, where that is another spelling of the name.
        spelling: Option<String>,
        /// RFC 4466 §2.1
        parameters: SelectParameters,
    },
    /// RFC 3501 §6.3.2
    Examine {
        /// Which folder.
        folder: String,
        /// As the client wrote it, where that is another spelling of the name.
        spelling: Option<String>,
        /// RFC 4466 §2.1
        parameters: SelectParameters,
    },
    /// RFC 3501 §6.3.3
    Create {
        /// The new folder, without a final delimiter.
        folder: String,
        /// As the client wrote it, where that is another spelling of the name.
        spelling: Option<String>,
        /// RFC 6154 §3; empty when not asked.
        special_use: Vec<SpecialUse>,
    },
    /// RFC 3501 §6.3.4
    Delete {
        /// Which folder.
        folder: String,
    },
    /// RFC 3501 §6.3.5
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// RFC 3501 §6.3.6
    Subscribe {
        /// Which folder; it need not exist.
        folder: String,
    },
    /// RFC 3501 §6.3.7
    Unsubscribe {
        /// Which folder; it need not exist.
        folder: String,
    },
    /// RFC 3501 §6.3.8, RFC 5258
    List(ListArguments),
    /// RFC 3501 §6.3.9
    Lsub {
        /// What the pattern is relative to.
        reference: String,
        /// With `*` and `%`: see [`crate::pattern`].
        pattern: String,
    },
    /// RFC 2342
    Namespace,
    /// RFC 3501 §6.3.10
    Status {
        /// Which folder.
        folder: String,
        /// At least one.
        items: Vec<StatusItem>,
    },
    /// RFC 4314 §3.1
    SetAcl {
        /// Which folder.
        folder: String,
        /// Whose rights.
        identifier: String,
        /// What becomes of them.
        change: RightsChange,
    },
    /// RFC 4314 §3.2
    DeleteAcl {
        /// Which folder.
        folder: String,
        /// Whose rights.
        identifier: String,
    },
    /// RFC 4314 §3.3
    GetAcl {
        /// Which folder.
        folder: String,
    },
    /// RFC 4314 §3.4
    ListRights {
        /// Which folder.
        folder: String,
        /// Whose rights.
        identifier: String,
    },
    /// RFC 4314 §3.5
    MyRights {
        /// Which folder.
        folder: String,
    },
    /// RFC 9208 §4.1.2
    GetQuota {
        /// Of which root.
        root: String,
    },
    /// RFC 9208 §4.1.3
    GetQuotaRoot {
        /// Of which folder.
        folder: String,
    },
    /// RFC 9208 §4.1.1; what is asked for is not kept.
    SetQuota,
    /// RFC 5465
    Notify(Notify),
    /// RFC 5464 §4.2
    GetMetadata(GetMetadata),
    /// RFC 5464 §4.3
    SetMetadata(SetMetadata),
    /// RFC 3501 §6.4.1
    Check,
    /// RFC 3501 §6.4.2
    Close,
    /// RFC 3691
    Unselect,
    /// RFC 3501 §6.4.3
    Expunge,
    /// RFC 4315 §2.1
    UidExpunge {
        /// Only these.
        uids: MessageSet,
    },
    /// RFC 3501 §6.4.4
    Search(SearchArguments),
    /// RFC 5256
    Sort(SortArguments),
    /// RFC 5256
    Thread(ThreadArguments),
    /// RFC 3501 §6.4.5
    Fetch(FetchArguments),
    /// RFC 3501 §6.4.6
    Store(StoreArguments),
    /// RFC 3501 §6.4.7
    Copy {
        /// The set holds UIDs.
        by_uid: bool,
        /// Which messages.
        set: MessageSet,
        /// Where to.
        folder: String,
    },
    /// RFC 6851
    Move {
        /// The set holds UIDs.
        by_uid: bool,
        /// Which messages.
        set: MessageSet,
        /// Where to.
        folder: String,
    },
    /// RFC 2177: call [`crate::decoder::Decoder::expect_done`].
    Idle,
    /// RFC 2971; `None` for NIL. Values that are not UTF-8 are made so.
    Id(Option<Vec<(String, Option<String>)>>),
    /// RFC 8437
    Unauthenticate,
    /// RFC 4978: a mechanism, in upper case.
    Compress(String),
    /// RFC 5161: capability names, in upper case.
    Enable(Vec<String>),
    /// A name that is no command here, in upper case, shortened if long. Answer BAD.
    Unknown(String),
}

impl CommandBody {
    /// Whether the command or its answer names messages by sequence number, which a client that enabled UIDONLY does not keep (RFC 9586 §3).
    pub fn names_numbers(&self) -> bool {
        match self {
            Self::Fetch(arguments) => !arguments.by_uid,
            Self::Store(arguments) => !arguments.by_uid,
            Self::Copy { by_uid, .. } | Self::Move { by_uid, .. } => !by_uid,
            Self::Search(arguments) => !arguments.by_uid || arguments.criteria.names_numbers(),
            Self::Sort(arguments) => !arguments.by_uid || arguments.criteria.names_numbers(),
            Self::Thread(arguments) => !arguments.by_uid || arguments.criteria.names_numbers(),
            Self::Select { parameters, .. } | Self::Examine { parameters, .. } => {
                parameters.resync.as_ref().is_some_and(|resync| resync.sequence_match.is_some())
            }
            _ => false,
        }
    }
}
