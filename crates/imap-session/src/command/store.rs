//! STORE, and flags as the client writes them (RFC 3501 §6.4.6, RFC 7162 §3.1.3).

use crate::sequence::MessageSet;
use mail_types::SystemFlags;

/// Which flags to change, on which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreArguments {
    /// The set holds UIDs, and each response must carry one.
    pub by_uid: bool,
    /// Which messages.
    pub set: MessageSet,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: do not answer with the new flags.
    pub silent: bool,
    /// Which flags.
    pub flags: FlagList,
    /// RFC 7162 UNCHANGEDSINCE: leave messages of a larger modification sequence alone.
    pub unchanged_since: Option<u64>,
}

/// What STORE does with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// Flags as the client wrote them. `\Recent` is never among them: a client cannot set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// The five permanent system flags.
    pub system: SystemFlags,
    /// Keywords (`mail_types::is_keyword`), as written, each once whatever its case.
    pub keywords: Vec<String>,
}
