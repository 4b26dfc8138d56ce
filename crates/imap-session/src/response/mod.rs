//! Response writers: facts in, octets out. Each function writes one whole line, or one item of a FETCH response.
//!
//! Texts and names come from anywhere: what could end a line early is never written raw. Nothing here knows what was asked.

mod acl;
mod code;
mod esearch;
mod fetch;
mod list;
mod metadata;
mod object_id;
mod strings;
mod thread;

use crate::command::StatusItem;
pub use acl::{acl, list_rights, my_rights};
pub use code::Code;
pub use esearch::{Esearch, esearch};
pub use fetch::{
    Named, binary_label, body_section_label, fetch_begin, fetch_end, fetch_flags, fetch_modseq,
    internal_date, modseq, rfc822_label,
};
pub use list::{ListItem, list, list_with, lsub};
use mail_types::SystemFlags;
pub use metadata::{metadata_begin, metadata_changed, metadata_end, metadata_entry};
pub use object_id::{ObjectId, email_id, thread_id};
use std::ops::RangeInclusive;
pub use strings::{
    astring, astring_folder_name, flags, literal, literal_header, nil, nstring, number, quoted_or_literal,
};
pub use thread::thread;

/// RFC 3501 `date-month`
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// RFC 3501 §7.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done, or information when untagged.
    Ok,
    /// Refused or failed.
    No,
    /// Not understood.
    Bad,
    /// Greeting to a client known already.
    PreAuth,
    /// The server closes.
    Bye,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::PreAuth => "PREAUTH",
            Self::Bye => "BYE",
        }
    }
}

/// `tag STATUS [code] text`
pub fn tagged(out: &mut Vec<u8>, tag: &str, status: Status, code: Option<Code>, text: &str) {
    strings::text(out, tag);
    condition(out, status, code, text);
}

/// `* STATUS [code] text`
pub fn untagged(out: &mut Vec<u8>, status: Status, code: Option<Code>, text: &str) {
    out.push(b'*');
    condition(out, status, code, text);
}

/// `+ text`: for a challenge, its base64.
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"+ ");
    strings::text(out, text);
    line_end(out);
}

/// `* CAPABILITY …`; `capabilities` as [`crate::capability::CapabilityTable::text`] gives them.
pub fn capability(out: &mut Vec<u8>, capabilities: &str) {
    data(out, "CAPABILITY ", capabilities);
}

/// `* ENABLED …`; possibly none.
pub fn enabled(out: &mut Vec<u8>, capabilities: &[&str]) {
    out.extend_from_slice(b"* ENABLED");
    for capability in capabilities {
        out.push(b' ');
        strings::text(out, capability);
    }
    line_end(out);
}

/// `* ID (…)`: an even number of strings, field and value in turn, or NIL for none.
pub fn id(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    out.extend_from_slice(b"* ID ");
    if fields.is_empty() {
        nil(out);
    } else {
        strings::list(out, fields, |out, (field, value)| {
            quoted_or_literal(out, field.as_bytes());
            out.push(b' ');
            quoted_or_literal(out, value.as_bytes());
        });
    }
    line_end(out);
}

/// `* NAMESPACE personal other-users shared`: each a list of (prefix, delimiter), empty for NIL.
pub fn namespace(out: &mut Vec<u8>, classes: [&[(&str, char)]; 3], utf8: bool) {
    out.extend_from_slice(b"* NAMESPACE");
    for class in classes {
        out.push(b' ');
        if class.is_empty() {
            nil(out);
            continue;
        }
        out.push(b'(');
        for (prefix, delimiter) in class {
            out.push(b'(');
            astring_folder_name(out, prefix, utf8);
            out.push(b' ');
            quoted_or_literal(out, delimiter.to_string().as_bytes());
            out.push(b')');
        }
        out.push(b')');
    }
    line_end(out);
}

/// `* STATUS name (ITEM value …)`; MAILBOXID from the number of the folder.
pub fn status(out: &mut Vec<u8>, name: &str, utf8: bool, items: &[(StatusItem, u64)]) {
    out.extend_from_slice(b"* STATUS ");
    astring_folder_name(out, name, utf8);
    out.push(b' ');
    strings::list(out, items, |out, (item, value)| {
        out.extend_from_slice(item.as_str().as_bytes());
        out.push(b' ');
        match item {
            StatusItem::MailboxId => {
                out.extend_from_slice(format!("({})", ObjectId::Folder(*value)).as_bytes());
            }
            _ => number(out, *value),
        }
    });
    line_end(out);
}

/// `* SEARCH n …`, and the highest modification sequence of what was found if given (RFC 7162 §3.1.5).
pub fn search(out: &mut Vec<u8>, numbers: &[u32], highest_modseq: Option<u64>) {
    numbered(out, "* SEARCH", numbers, highest_modseq);
}

/// `* SORT n …`, as [`search`] (RFC 7162 §3.1.6).
pub fn sort(out: &mut Vec<u8>, numbers: &[u32], highest_modseq: Option<u64>) {
    numbered(out, "* SORT", numbers, highest_modseq);
}

fn numbered(out: &mut Vec<u8>, name: &str, numbers: &[u32], highest_modseq: Option<u64>) {
    out.extend_from_slice(name.as_bytes());
    for found in numbers {
        out.push(b' ');
        number(out, u64::from(*found));
    }
    if let Some(highest) = highest_modseq {
        out.extend_from_slice(b" (MODSEQ ");
        number(out, highest);
        out.push(b')');
    }
    line_end(out);
}

/// `* QUOTAROOT folder root` (RFC 9208 §4.2.2)
pub fn quota_root(out: &mut Vec<u8>, folder: &str, root: &str, utf8: bool) {
    out.extend_from_slice(b"* QUOTAROOT ");
    astring_folder_name(out, folder, utf8);
    out.push(b' ');
    quoted_or_literal(out, root.as_bytes());
    line_end(out);
}

/// `* QUOTA root (STORAGE used limit MESSAGE used limit)` (RFC 9208 §4.2.1): STORAGE in units of 1024 octets.
pub fn quota(out: &mut Vec<u8>, root: &str, storage: (u64, u64), messages: (u64, u64)) {
    out.extend_from_slice(b"* QUOTA ");
    quoted_or_literal(out, root.as_bytes());
    for (resource, (used, limit)) in [(" (STORAGE ", storage), (" MESSAGE ", messages)] {
        out.extend_from_slice(resource.as_bytes());
        number(out, used);
        out.push(b' ');
        number(out, limit);
    }
    out.push(b')');
    line_end(out);
}

/// `* FLAGS (…)`: the flags of the selected folder.
pub fn folder_flags<'a>(out: &mut Vec<u8>, system: SystemFlags, keywords: impl IntoIterator<Item = &'a str>) {
    out.extend_from_slice(b"* FLAGS ");
    flags(out, system, keywords, false);
    line_end(out);
}

/// `* n EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    counted(out, count, " EXISTS");
}

/// `* n RECENT`
pub fn recent(out: &mut Vec<u8>, count: u32) {
    counted(out, count, " RECENT");
}

/// `* VANISHED uids`, or `* VANISHED (EARLIER) uids` in answer to what a client said to know (RFC 7162 §3.2.10). Nothing for no UID; several lines
/// for many.
pub fn vanished(out: &mut Vec<u8>, uids: &[RangeInclusive<u32>], earlier: bool) {
    /// A line of them has less than 24 KiB.
    const RUNS_MAX: usize = 1024;
    for part in uids.chunks(RUNS_MAX) {
        out.extend_from_slice(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
        for (i, run) in part.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            number(out, u64::from(*run.start()));
            if run.end() > run.start() {
                out.push(b':');
                number(out, u64::from(*run.end()));
            }
        }
        line_end(out);
    }
}

/// `* n EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, sequence: u32) {
    counted(out, sequence, " EXPUNGE");
}

fn condition(out: &mut Vec<u8>, status: Status, code: Option<Code>, text: &str) {
    out.push(b' ');
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    if let Some(code) = code {
        out.push(b'[');
        strings::text(out, &code.to_string());
        out.extend_from_slice(b"] ");
    }
    strings::text(out, text);
    line_end(out);
}

fn counted(out: &mut Vec<u8>, count: u32, what: &str) {
    out.extend_from_slice(b"* ");
    number(out, u64::from(count));
    out.extend_from_slice(what.as_bytes());
    line_end(out);
}

fn data(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(name.as_bytes());
    strings::text(out, text);
    line_end(out);
}

fn line_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn conditions_carry_their_code() {
        let line = written(|out| tagged(out, "a1", Status::No, Some(Code::TryCreate), "No such folder"));
        assert_eq!(line, "a1 NO [TRYCREATE] No such folder\r\n");
        assert_eq!(written(|out| untagged(out, Status::Bye, None, "Closing")), "* BYE Closing\r\n");
        assert_eq!(written(|out| continuation(out, "")), "+ \r\n");
    }

    #[test]
    fn a_text_cannot_begin_a_line_of_its_own() {
        let line = written(|out| untagged(out, Status::Ok, None, "a\r\n* 1 EXPUNGE\r\né"));
        assert_eq!(line, "* OK a  * 1 EXPUNGE  ??\r\n");
    }

    #[test]
    fn data_lines_follow_the_grammar() {
        assert_eq!(written(|out| search(out, &[], None)), "* SEARCH\r\n");
        assert_eq!(written(|out| search(out, &[2, 84], None)), "* SEARCH 2 84\r\n");
        assert_eq!(
            written(|out| search(out, &[2, 5], Some(917_162_500))),
            "* SEARCH 2 5 (MODSEQ 917162500)\r\n"
        );
        assert_eq!(
            written(|out| vanished(out, &[41..=41, 43..=45], true)),
            "* VANISHED (EARLIER) 41,43:45\r\n"
        );
        assert_eq!(written(|out| vanished(out, &[], false)), "");
        assert_eq!(written(|out| exists(out, 23)), "* 23 EXISTS\r\n");
        assert_eq!(written(|out| expunge(out, 3)), "* 3 EXPUNGE\r\n");
        assert_eq!(written(|out| enabled(out, &[])), "* ENABLED\r\n");
        assert_eq!(written(|out| id(out, &[])), "* ID NIL\r\n");
        assert_eq!(written(|out| id(out, &[("name", "x")])), "* ID (\"name\" \"x\")\r\n");
        let items = [(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)];
        assert_eq!(
            written(|out| status(out, "Envoyés", false, &items)),
            "* STATUS \"Envoy&AOk-s\" (MESSAGES 231 UIDNEXT 44292)\r\n"
        );
        assert_eq!(
            written(|out| status(out, "INBOX", false, &[(StatusItem::MailboxId, 7)])),
            "* STATUS \"INBOX\" (MAILBOXID (F7))\r\n"
        );
        assert_eq!(
            written(|out| namespace(out, [&[("", '/')], &[], &[]], false)),
            "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"
        );
    }
}
