//! Who a header says has written and sent the message (RFC 5322 §3.6.2). Whether they have is not known here.

use crate::address_list::{self, ENTRIES_MAX, Entry, Mailbox};
use crate::header;
use mail_types::Address;

/// The originator fields of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Originators {
    /// How many From fields there are; more than one is an error.
    pub from_fields: usize,
    /// The authors named by them; `None` for one that is no address in our sense, and for what had to be passed over: another reader could see
    /// somebody else there.
    pub authors: Vec<Option<Address>>,
    /// How many Sender fields there are.
    pub sender_fields: usize,
    /// The senders named by them.
    pub senders: Vec<Option<Address>>,
}

impl Originators {
    /// Reads the fields of a header, up to its blank line.
    pub fn of(header: &[u8]) -> Self {
        let mut found = Self::default();
        for field in header::fields(header) {
            if field.is("From") {
                found.from_fields += 1;
                found.authors.extend(mailboxes(&field.value()));
            } else if field.is("Sender") {
                found.sender_fields += 1;
                found.senders.extend(mailboxes(&field.value()));
            }
        }
        found
    }
}

fn mailboxes(value: &[u8]) -> impl Iterator<Item = Option<Address>> {
    let (entries, has_passed_over) = address_list::parse_and_tell(value, ENTRIES_MAX);
    let named = entries.into_iter().filter_map(|entry| match entry {
        Entry::Mailbox(mailbox) => Some(address(&mailbox)),
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    });
    named.chain(has_passed_over.then_some(None))
}

fn address(mailbox: &Mailbox) -> Option<Address> {
    let local = std::str::from_utf8(mailbox.local_part.as_deref()?).ok()?;
    let domain = std::str::from_utf8(mailbox.domain.as_deref()?).ok()?;
    let plain = format!("{local}@{domain}").parse();
    let quoted = || format!("\"{}\"@{domain}", local.replace('\\', "\\\\").replace('"', "\\\"")).parse();
    plain.or_else(|_| quoted()).ok().filter(|found: &Address| found.local_part() == local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addresses: &[Option<Address>]) -> Vec<String> {
        addresses.iter().map(|a| a.as_ref().map_or("-".to_owned(), ToString::to_string)).collect()
    }

    #[test]
    fn every_author_and_sender_is_told_readable_or_not() {
        let header = b"from : \"z@evil.example\" <a@b.example>, broken\r\nSENDER: s@b.example\r\nFrom: c@d.example\r\n\r\nFrom: n@o.example\r\n";
        let found = Originators::of(header);
        assert_eq!((found.from_fields, found.sender_fields), (2, 1));
        assert_eq!(shown(&found.authors), ["a@b.example", "-", "c@d.example"]);
        assert_eq!(shown(&found.senders), ["s@b.example"]);
    }

    #[test]
    fn what_another_reader_could_take_for_an_author_is_told_as_unreadable() {
        let many = format!("a@b.example, {}z@evil.example", "g:;".repeat(600));
        for from in [
            many.as_str(),
            "\"X\" <a@b.example> <z@evil.example>",
            "<a@b.example> z@evil.example",
            "<z@evil.example:a@b.example>",
            "g: z@evil.example: a@b.example;",
            "z@evil.example a@b.example",
            "<z@evil.example@b.example>",
            "<z@evil.example <a@b.example>",
            "z@evil.example> a@b.example",
        ] {
            let header = format!("From: {from}\r\n\r\n");
            let shown = shown(&Originators::of(header.as_bytes()).authors);
            assert!(shown.contains(&"-".to_owned()), "{from}: {shown:?}");
        }
        for from in [
            "a@b.example (z@evil.example)",
            "\"z@evil.example\" <a@b.example> (c)",
            "<@r.example,@s.example:a@b.example>",
            "g: a@b.example;",
        ] {
            let header = format!("From: {from}\r\n\r\n");
            assert_eq!(shown(&Originators::of(header.as_bytes()).authors), ["a@b.example"], "{from}");
        }
    }

    #[test]
    fn a_field_without_anybody_is_still_a_field() {
        let found = Originators::of(b"From: \r\nSender: undisclosed:;\r\n\r\n");
        assert_eq!((found.from_fields, found.sender_fields), (1, 1));
        assert!(found.authors.is_empty() && found.senders.is_empty());
        assert_eq!(Originators::of(b""), Originators::default());
    }

    #[test]
    fn a_quoted_local_part_cannot_move_the_domain() {
        let found = Originators::of(b"From: \"a@evil.fr\"@d.fr, \"x y\"@d.fr\r\n\r\n").authors;
        let found: Vec<_> = found.iter().flatten().map(|a| (a.local_part(), a.domain().as_str())).collect();
        assert_eq!(found, [("a@evil.fr", "d.fr"), ("x y", "d.fr")]);
    }

    #[test]
    fn authors_of_a_group_and_beside_a_misleading_name_are_told() {
        let header = b"From: \"X <z@evil.fr>\" <a@b.fr>, g: c@d.fr;\r\nTo: t@u.fr\r\n\r\n";
        assert_eq!(shown(&Originators::of(header).authors), ["a@b.fr", "c@d.fr"]);
    }
}
