//! ENABLE (RFC 5161), and what it changes: how the server tells of messages and folders for as long as the connection lasts.

use crate::state::{Answer, Connection, Done};
use imap_session::response::{self, Code, ListItem, Named, Status};
use imap_session::view::Entry;

/// An extension that a client enables because it changes what the server says unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    /// RFC 7162: modification sequences are told.
    CondStore,
    /// RFC 7162: what is gone is told by UID.
    QResync,
    /// RFC 6855: folder names are UTF-8.
    Utf8,
    /// RFC 9586: messages have no numbers.
    UidOnly,
    /// RFC 9051: folder names are UTF-8, and nothing is recent.
    ImapRev2,
}

/// What a client that enabled UIDONLY hears when it names messages by number.
pub(crate) const UID_REQUIRED: &str = "[UIDREQUIRED] Messages have no numbers after ENABLE UIDONLY";

impl Extension {
    const ALL: [(Self, &str); 5] = [
        (Self::CondStore, "CONDSTORE"),
        (Self::QResync, "QRESYNC"),
        (Self::Utf8, "UTF8=ACCEPT"),
        (Self::UidOnly, "UIDONLY"),
        (Self::ImapRev2, "IMAP4rev2"),
    ];

    /// The extension of that name, whatever its case, if a client can enable it.
    fn named(name: &str) -> Option<(Self, &'static str)> {
        Self::ALL.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What the client enabled. Nothing is ever disabled again (RFC 5161 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled(u8);

impl Enabled {
    pub(crate) const fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// RFC 7162 §3.2.3: QRESYNC brings CONDSTORE.
    const fn with(self, extension: Extension) -> Self {
        let also = match extension {
            Extension::QResync => Extension::CondStore.bit(),
            Extension::CondStore | Extension::Utf8 | Extension::UidOnly | Extension::ImapRev2 => 0,
        };
        Self(self.0 | extension.bit() | also)
    }

    /// How a message is named in a FETCH response, in answer to a UID command or not. A client that resynchronises keeps UIDs (RFC 7162 §3.2.4).
    pub(crate) const fn named(self, by_uid: bool, seq: u32, uid: u32) -> Named {
        if self.has(Extension::UidOnly) {
            Named::Uid(uid)
        } else if by_uid || self.has(Extension::QResync) {
            Named::Both(seq, uid)
        } else {
            Named::Number(seq)
        }
    }

    /// What is gone is told by UID (RFC 7162 §3.2.10, RFC 9586 §3.2).
    pub(crate) const fn tells_vanished(self) -> bool {
        self.has(Extension::QResync) || self.has(Extension::UidOnly)
    }

    /// RFC 9051 appendix E: IMAP4rev2 knows no `\Recent`.
    pub(crate) const fn tells_recent(self) -> bool {
        !self.has(Extension::ImapRev2)
    }

    /// Folder names are written in UTF-8, not in modified UTF-7 (RFC 9051 §5.1).
    pub(crate) const fn names_in_utf8(self) -> bool {
        self.has(Extension::ImapRev2) || self.has(Extension::Utf8)
    }

    /// The modification sequence to be told with every FETCH response (RFC 7162 §3.1).
    pub(crate) fn modseq(self, entry: &Entry) -> Option<u64> {
        self.has(Extension::CondStore).then_some(entry.modseq.0)
    }
}

impl Connection {
    /// Tells a client of IMAP4rev2 under which name the folder is that it named otherwise (RFC 9051 §6.3.1, §6.3.4).
    pub(crate) fn with_spelling(&mut self, name: &str, spelling: Option<String>, answer: Answer) -> Answer {
        if let Some(old) = spelling.filter(|_| answer.is_ok() && self.enabled.has(Extension::ImapRev2)) {
            let item = Some(ListItem::OldName(&old));
            response::list_with(&mut self.wire.out, &[], Some('/'), name, true, item);
        }
        answer
    }

    /// ENABLE. What is not known is passed over; what is in force already is named again.
    pub(crate) fn enable(&mut self, names: &[String]) -> Answer {
        let mut told = Vec::new();
        for (extension, name) in names.iter().filter_map(|name| Extension::named(name)) {
            self.turn_on(extension);
            if !told.contains(&name) {
                told.push(name);
            }
        }
        response::enabled(&mut self.wire.out, &told);
        Ok(Done::new("ENABLE completed"))
    }

    /// From now on. A client that begins to keep modification sequences within a folder hears where they stand (RFC 7162 §3.1).
    pub(crate) fn turn_on(&mut self, extension: Extension) {
        let before = self.enabled;
        self.enabled = before.with(extension);
        self.decoder.set_utf8(self.enabled.names_in_utf8());
        let is_new = !before.has(Extension::CondStore) && self.enabled.has(Extension::CondStore);
        if let Some(selected) = self.selected.as_deref().filter(|_| is_new) {
            let code = Code::HighestModSeq(selected.modseq.0);
            response::untagged(&mut self.wire.out, Status::Ok, Some(code), "Modification sequences are told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resynchronising_brings_modification_sequences_and_uids() {
        let plain = Enabled::default();
        assert_eq!(plain.named(false, 3, 9), Named::Number(3));
        assert_eq!(plain.named(true, 3, 9), Named::Both(3, 9));
        let resync = plain.with(Extension::QResync);
        assert!(
            resync.has(Extension::CondStore) && !plain.with(Extension::CondStore).has(Extension::QResync)
        );
        assert_eq!(resync.named(false, 3, 9), Named::Both(3, 9));
        assert_eq!(resync.with(Extension::UidOnly).named(true, 3, 9), Named::Uid(9));
    }

    #[test]
    fn only_what_can_be_enabled_is() {
        assert_eq!(Extension::named("QRESYNC"), Some((Extension::QResync, "QRESYNC")));
        assert_eq!(Extension::named("IDLE"), None);
    }
}
