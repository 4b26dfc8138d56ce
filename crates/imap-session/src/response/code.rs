//! Response codes (RFC 3501 §7.1, RFC 5530 and extensions).

use super::{ObjectId, strings};
use crate::command::Events;
use crate::sequence::format_uids;
use mail_types::SystemFlags;
use std::fmt;

/// What stands in brackets before the text of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// ALERT: the text must be shown to the person.
    Alert,
    /// ALREADYEXISTS
    AlreadyExists,
    /// APPENDUID (RFC 4315): validity of the folder, UIDs of the new messages.
    AppendUid(u32, Vec<u32>),
    /// AUTHENTICATIONFAILED
    AuthenticationFailed,
    /// AUTHORIZATIONFAILED
    AuthorizationFailed,
    /// BADCHARSET (RFC 3501): the charsets that can be searched.
    BadCharset,
    /// BADEVENT (RFC 5465): the events that can be told of.
    BadEvent,
    /// BADURL (RFC 4469): the URL of CATENATE that leads nowhere.
    BadUrl(String),
    /// CANNOT
    Cannot,
    /// CAPABILITY: names separated by spaces.
    Capability(String),
    /// CLIENTBUG
    ClientBug,
    /// CLOSED (RFC 7162): the folder selected before is closed.
    Closed,
    /// COMPRESSIONACTIVE (RFC 4978)
    CompressionActive,
    /// CONTACTADMIN
    ContactAdmin,
    /// COPYUID (RFC 4315): validity of the destination, then source and destination UIDs, pairwise. Without pairs, send no code.
    CopyUid(u32, Vec<u32>, Vec<u32>),
    /// EXPIRED
    Expired,
    /// EXPUNGEISSUED (RFC 5530): messages named by number are gone, which the client may not be told yet.
    ExpungeIssued,
    /// HASCHILDREN
    HasChildren,
    /// HIGHESTMODSEQ (RFC 7162)
    HighestModSeq(u64),
    /// INPROGRESS (RFC 9585): the tag of a command that is at work, and how many messages of how many it is done with, where that is known.
    InProgress(String, Option<(u64, u64)>),
    /// INUSE
    InUse,
    /// LIMIT
    Limit,
    /// MESSAGELIMIT (RFC 9738): messages that one command may be about, and the lowest UID that it was about, where there is one to tell.
    MessageLimit(u32, Option<u32>),
    /// METADATA LONGENTRIES (RFC 5464): octets of the largest value that was left out.
    MetadataLongEntries(u64),
    /// METADATA MAXSIZE (RFC 5464): octets that a value may have.
    MetadataMaxSize(u64),
    /// METADATA TOOMANY (RFC 5464)
    MetadataTooMany,
    /// MAILBOXID (RFC 8474): the number of a folder.
    MailboxId(u64),
    /// MODIFIED (RFC 7162): numbers or UIDs, as the command named them, of messages that a conditional STORE left alone.
    Modified(Vec<u32>),
    /// NOMODSEQ (RFC 7162)
    NoModSeq,
    /// NONEXISTENT
    NonExistent,
    /// NOPERM
    NoPerm,
    /// NOTIFICATIONOVERFLOW (RFC 5465)
    NotificationOverflow,
    /// OVERQUOTA
    OverQuota,
    /// PARSE: a message could not be read.
    ParseError,
    /// PERMANENTFLAGS: system flags, keywords, and whether new keywords can be made.
    PermanentFlags(SystemFlags, Vec<String>, bool),
    /// PRIVACYREQUIRED
    PrivacyRequired,
    /// READ-ONLY
    ReadOnly,
    /// READ-WRITE
    ReadWrite,
    /// SERVERBUG
    ServerBug,
    /// TOOBIG (RFC 4469)
    TooBig,
    /// TRYCREATE
    TryCreate,
    /// UIDNEXT
    UidNext(u32),
    /// UIDNOTSTICKY (RFC 4315)
    UidNotSticky,
    /// UIDVALIDITY
    UidValidity(u32),
    /// UNAVAILABLE
    Unavailable,
    /// UNKNOWN-CTE (RFC 3516)
    UnknownCte,
    /// UNSEEN: sequence number of the first message not seen.
    Unseen(u32),
    /// USEATTR (RFC 6154): the folder cannot have that use.
    UseAttr,
}

impl fmt::Display for Code {
    /// Without the brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::AppendUid(validity, uids) => {
                return write!(f, "APPENDUID {validity} {}", format_uids(uids));
            }
            Self::CopyUid(validity, from, to) => {
                return write!(f, "COPYUID {validity} {} {}", format_uids(from), format_uids(to));
            }
            // A URL that could end the code early is not repeated: BADURL without it says enough.
            Self::BadUrl(url) if url.contains(|c: char| !c.is_ascii_graphic() || c == ']') => "BADURL",
            Self::BadUrl(url) => return write!(f, "BADURL {url}"),
            Self::MailboxId(number) => return write!(f, "MAILBOXID ({})", ObjectId::Folder(*number)),
            Self::BadEvent => {
                let names: Vec<&str> = Events::NAMES.into_iter().map(|(_, name)| name).collect();
                return write!(f, "BADEVENT ({})", names.join(" "));
            }
            Self::Modified(numbers) => return write!(f, "MODIFIED {}", format_uids(numbers)),
            Self::Capability(names) => return write!(f, "CAPABILITY {names}"),
            Self::HighestModSeq(value) => return write!(f, "HIGHESTMODSEQ {value}"),
            Self::MessageLimit(limit, Some(uid)) => return write!(f, "MESSAGELIMIT {limit} {uid}"),
            Self::MessageLimit(limit, None) => return write!(f, "MESSAGELIMIT {limit}"),
            Self::MetadataLongEntries(size) => return write!(f, "METADATA LONGENTRIES {size}"),
            Self::MetadataMaxSize(size) => return write!(f, "METADATA MAXSIZE {size}"),
            Self::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Self::UidValidity(validity) => return write!(f, "UIDVALIDITY {validity}"),
            Self::Unseen(sequence) => return write!(f, "UNSEEN {sequence}"),
            Self::PermanentFlags(system, keywords, open) => {
                let mut list = Vec::new();
                let new = open.then_some("\\*");
                strings::flags(&mut list, *system, keywords.iter().map(String::as_str).chain(new), false);
                return write!(f, "PERMANENTFLAGS {}", String::from_utf8_lossy(&list));
            }
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => return write!(f, "BADCHARSET ({})", crate::charset::LISTED.join(" ")),
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InProgress(tag, told) => return in_progress(f, tag, *told),
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::MetadataTooMany => "METADATA TOOMANY",
            Self::NoModSeq => "NOMODSEQ",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::OverQuota => "OVERQUOTA",
            Self::ParseError => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
        };
        f.write_str(word)
    }
}

/// A tag that could end the code early is not repeated.
fn in_progress(f: &mut fmt::Formatter<'_>, tag: &str, told: Option<(u64, u64)>) -> fmt::Result {
    if tag.contains(|c: char| !c.is_ascii_graphic() || matches!(c, ']' | '"' | '\\')) {
        write!(f, "INPROGRESS (NIL ")?;
    } else {
        write!(f, "INPROGRESS (\"{tag}\" ")?;
    }
    match told {
        Some((done, goal)) => write!(f, "{done} {goal})"),
        None => f.write_str("NIL NIL)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_the_rfcs_show_them() {
        for (code, text) in [
            (Code::AppendUid(38505, vec![3955]), "APPENDUID 38505 3955"),
            (
                Code::CopyUid(38505, vec![304, 319, 320], vec![3956, 3957, 3958]),
                "COPYUID 38505 304,319:320 3956:3958",
            ),
            (
                Code::PermanentFlags(
                    SystemFlags::DELETED.union(SystemFlags::SEEN),
                    vec!["$MDNSent".into()],
                    true,
                ),
                "PERMANENTFLAGS (\\Deleted \\Seen $MDNSent \\*)",
            ),
            (Code::PermanentFlags(SystemFlags::default(), vec![], false), "PERMANENTFLAGS ()"),
            (Code::Modified(vec![7, 9]), "MODIFIED 7,9"),
            (Code::Unseen(12), "UNSEEN 12"),
            (Code::MessageLimit(1000, Some(23221)), "MESSAGELIMIT 1000 23221"),
            (Code::MessageLimit(1000, None), "MESSAGELIMIT 1000"),
            (Code::MetadataLongEntries(2199), "METADATA LONGENTRIES 2199"),
            (Code::MetadataMaxSize(65536), "METADATA MAXSIZE 65536"),
            (Code::MetadataTooMany, "METADATA TOOMANY"),
            (Code::MailboxId(7), "MAILBOXID (F7)"),
            (Code::ReadWrite, "READ-WRITE"),
            (Code::ExpungeIssued, "EXPUNGEISSUED"),
            (Code::InProgress("A001".into(), Some((454, 1000))), "INPROGRESS (\"A001\" 454 1000)"),
            (Code::InProgress("a]".into(), None), "INPROGRESS (NIL NIL NIL)"),
        ] {
            assert_eq!(code.to_string(), text);
        }
    }
}
