//! By what a message is sorted and threaded (RFC 5256, RFC 5957): the first addresses, the subject, and Message-IDs.

use super::Structure;
use super::imap_text::{MISSING_DOMAIN, MISSING_LOCAL_PART};
use super::value::Value;
use crate::header::decode_value;
use crate::message_id::{kept_of_header, message_ids, stored_ids};

/// An address as ENVELOPE has it. Where a group begins, its name is the local part and there is no domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadingAddress {
    /// The name shown beside the address, decoded.
    pub name: Option<String>,
    /// `addr-mailbox`
    pub local_part: Option<String>,
    /// `addr-host`
    pub domain: Option<String>,
}

/// What of a message's head sorts and threads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// Subject, decoded.
    pub subject: Option<String>,
    /// The first of From.
    pub from: Option<HeadingAddress>,
    /// The first of To.
    pub to: Option<HeadingAddress>,
    /// The first of Cc.
    pub cc: Option<HeadingAddress>,
    /// Message-ID without quotes, if it is a valid one.
    pub message_id: Option<Vec<u8>>,
    /// Its ancestors, the oldest first: those of References, or else the first of In-Reply-To.
    pub references: Vec<Vec<u8>>,
}

impl Structure {
    /// Whether the ancestors of the message are known. They are not in what was stored by a first version.
    pub fn knows_references(&self) -> bool {
        self.references.is_some()
    }

    /// Learns the ancestors of the message from its header.
    pub fn learn_references(&mut self, header: &[u8]) {
        self.references = Some(kept_of_header(header));
    }

    /// The Message-ID with which the message's thread begins, as far as the message tells: the first of its ancestors, or its own. None where it names
    /// none, or where its ancestors are not known.
    pub fn thread_root(&self) -> Option<Vec<u8>> {
        self.references.as_ref()?;
        let Heading { message_id, references, .. } = self.heading();
        references.into_iter().next().or(message_id)
    }

    /// What sorts and threads the message.
    pub fn heading(&self) -> Heading {
        let envelope = Value::parse(&self.envelope).unwrap_or(Value::Nil);
        let first = |at: usize| envelope.at(at).list().first().map(address);
        let ids = |at: usize| message_ids(envelope.at(at).text().unwrap_or_default());
        let mut references: Vec<Vec<u8>> =
            stored_ids(self.references.as_deref().unwrap_or_default()).map(<[u8]>::to_vec).collect();
        if references.is_empty() {
            references.extend(ids(8).next());
        }
        Heading {
            subject: envelope.at(1).text().map(decode_value),
            from: first(2),
            to: first(5),
            cc: first(6),
            message_id: ids(9).next(),
            references,
        }
    }
}

/// `(name route local-part domain)`
fn address(value: &Value) -> HeadingAddress {
    let text = |at: usize, missing: &[u8]| {
        let written = value.at(at).text().filter(|text| *text != missing);
        written.map(|text| String::from_utf8_lossy(text).into_owned())
    };
    HeadingAddress {
        name: value.at(0).text().map(decode_value),
        local_part: text(2, MISSING_LOCAL_PART),
        domain: text(3, MISSING_DOMAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::StructureScanner;

    fn heading(header: &str) -> Heading {
        let mut scanner = StructureScanner::new();
        scanner.push(header.as_bytes());
        scanner.push(b"\r\n");
        let scanned = scanner.finish();
        let stored = Structure::decode(&scanned.encode()).unwrap();
        assert_eq!(stored, scanned);
        stored.heading()
    }

    fn texts(ids: &[Vec<u8>]) -> Vec<&str> {
        ids.iter().map(|id| std::str::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn the_first_address_of_a_field_counts() {
        let found = heading(
            "From: =?utf-8?Q?C=C3=A9cile?= <c@a.fr>, d@b.fr\r\nTo: equipe: x@b.fr, y@b.fr;\r\nCc: seul\r\nSubject: =?utf-8?B?w6k=?= !\r\n",
        );
        let from = found.from.unwrap();
        assert_eq!(
            (from.name.as_deref(), from.local_part.as_deref(), from.domain.as_deref()),
            (Some("Cécile"), Some("c"), Some("a.fr"))
        );
        let to = found.to.unwrap();
        assert_eq!((to.name, to.local_part.as_deref(), to.domain), (None, Some("equipe"), None));
        assert_eq!(found.cc.unwrap().domain, None);
        assert_eq!(found.subject.as_deref(), Some("é !"));
        assert_eq!(heading("X: y\r\n"), Heading::default());
    }

    #[test]
    fn references_are_those_of_their_field_or_the_first_of_in_reply_to() {
        let both =
            heading("Message-ID: <\"3\"@a>\r\nReferences: <1@a>\r\n <2@a>(x) junk\r\nIn-Reply-To: <9@a>\r\n");
        assert_eq!(both.message_id.as_deref(), Some(&b"3@a"[..]));
        assert_eq!(texts(&both.references), ["1@a", "2@a"]);
        let only_reply = heading("In-Reply-To: your letter of Monday <8@a> <9@a>\r\nReferences: none\r\n");
        assert_eq!((texts(&only_reply.references), only_reply.message_id), (vec!["8@a"], None));
    }

    #[test]
    fn a_thread_begins_with_the_first_that_a_message_names() {
        let root = |header: &str| {
            let mut scanner = StructureScanner::new();
            scanner.push(header.as_bytes());
            scanner.push(b"\r\n");
            scanner.finish().thread_root().map(|root| String::from_utf8(root).unwrap())
        };
        assert_eq!(root("Message-ID: <1@a>\r\n").as_deref(), Some("1@a"));
        assert_eq!(root("Message-ID: <2@a>\r\nIn-Reply-To: <1@a>\r\n").as_deref(), Some("1@a"));
        assert_eq!(root("Message-ID: <3@a>\r\nReferences: <1@a> <2@a>\r\n").as_deref(), Some("1@a"));
        assert_eq!(root("Subject: x\r\n"), None);
    }

    #[test]
    fn what_was_stored_by_the_first_version_learns_its_references() {
        let header = b"Message-ID: <1@a>\r\nReferences: <0@a>\r\n\r\n";
        let mut scanner = StructureScanner::new();
        scanner.push(header);
        let scanned = scanner.finish();
        let mut first = scanned.clone();
        first.references = None;
        assert!(!first.knows_references() && first.heading().references.is_empty());
        first.learn_references(header);
        assert_eq!(first, scanned);
    }

    #[test]
    fn of_a_long_chain_the_nearest_ancestors_are_kept() {
        let mut header = String::from("References:");
        (0..10_000).for_each(|n| header.push_str(&format!("\r\n <{n}@a>")));
        header.push_str("\r\n");
        let found = heading(&header);
        let last = texts(&found.references);
        assert_eq!((last.len(), last.first(), last.last()), (500, Some(&"9500@a"), Some(&"9999@a")));
    }
}
