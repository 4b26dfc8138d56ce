//! ENVELOPE (RFC 9051 §7.5.2) from the fields of a header.

use super::imap_text::{addresses, nstring};
use crate::address_list::{self, ENTRIES_MAX, Entry};
use crate::header::Field;

/// The fields of an ENVELOPE, unfolded and not decoded. The first field of a name counts.
#[derive(Debug, Default)]
pub(super) struct EnvelopeFields {
    pub(super) date: Option<Vec<u8>>,
    pub(super) message_id: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
    from: Option<Vec<u8>>,
    sender: Option<Vec<u8>>,
    reply_to: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    cc: Option<Vec<u8>>,
    bcc: Option<Vec<u8>>,
    in_reply_to: Option<Vec<u8>>,
}

impl EnvelopeFields {
    /// Notes a field if it is one of these.
    pub(super) fn note(&mut self, field: &Field<'_>) {
        let slot = match field.name.to_ascii_lowercase().as_slice() {
            b"date" => &mut self.date,
            b"subject" => &mut self.subject,
            b"from" => &mut self.from,
            b"sender" => &mut self.sender,
            b"reply-to" => &mut self.reply_to,
            b"to" => &mut self.to,
            b"cc" => &mut self.cc,
            b"bcc" => &mut self.bcc,
            b"in-reply-to" => &mut self.in_reply_to,
            b"message-id" => &mut self.message_id,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(field.value());
        }
    }

    /// The parenthesised text. Takes the addresses it renders off `addresses_left`, and renders none beyond it.
    pub(super) fn render(&self, addresses_left: &mut usize) -> Vec<u8> {
        let mut list = |value: &Option<Vec<u8>>| {
            let limit = ENTRIES_MAX.min(*addresses_left);
            let entries = value.as_deref().map_or(Vec::new(), |value| address_list::parse(value, limit));
            *addresses_left = addresses_left.saturating_sub(entries.len());
            entries
        };
        let from = list(&self.from);
        let [sender, reply_to] = [list(&self.sender), list(&self.reply_to)].map(|l| or_else(l, &from));
        let lists = [&from, &sender, &reply_to, &list(&self.to), &list(&self.cc), &list(&self.bcc)];
        let mut out = vec![b'('];
        nstring(self.date.as_deref(), &mut out);
        out.push(b' ');
        nstring(self.subject.as_deref(), &mut out);
        for entries in lists {
            out.push(b' ');
            addresses(entries, &mut out);
        }
        out.push(b' ');
        nstring(self.in_reply_to.as_deref(), &mut out);
        out.push(b' ');
        nstring(self.message_id.as_deref(), &mut out);
        out.push(b')');
        out
    }
}

/// Sender and Reply-To stand for From when absent or empty.
fn or_else(list: Vec<Entry>, from: &[Entry]) -> Vec<Entry> {
    if list.is_empty() { from.to_vec() } else { list }
}
