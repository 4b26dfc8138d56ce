//! ENVELOPE (RFC 9051 §7.5.2) from the fields of a header.

use super::imap_text::{addresses, nstring};
use crate::address_list::{self, ENTRIES_MAX, Entry};
use crate::header::Field;

/// The fields of an ENVELOPE and References, unfolded and not decoded. The first field of a name counts, but of addresses all fields do
/// (RFC 5322 §4.5.3).
#[derive(Debug, Default)]
pub(super) struct EnvelopeFields {
    pub(super) date: Option<Vec<u8>>,
    pub(super) message_id: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
    pub(super) references: Option<Vec<u8>>,
    in_reply_to: Option<Vec<u8>>,
    from: Vec<Vec<u8>>,
    sender: Vec<Vec<u8>>,
    reply_to: Vec<Vec<u8>>,
    to: Vec<Vec<u8>>,
    cc: Vec<Vec<u8>>,
    bcc: Vec<Vec<u8>>,
}

impl EnvelopeFields {
    /// Notes a field if it is one of these.
    pub(super) fn note(&mut self, field: &Field<'_>) {
        let text = |slot: &mut Option<Vec<u8>>| {
            slot.get_or_insert_with(|| field.value());
        };
        let list = |fields: &mut Vec<Vec<u8>>| fields.push(field.value());
        match field.name.to_ascii_lowercase().as_slice() {
            b"date" => text(&mut self.date),
            b"subject" => text(&mut self.subject),
            b"references" => text(&mut self.references),
            b"in-reply-to" => text(&mut self.in_reply_to),
            b"message-id" => text(&mut self.message_id),
            b"from" => list(&mut self.from),
            b"sender" => list(&mut self.sender),
            b"reply-to" => list(&mut self.reply_to),
            b"to" => list(&mut self.to),
            b"cc" => list(&mut self.cc),
            b"bcc" => list(&mut self.bcc),
            _ => {}
        }
    }

    /// The parenthesised text. Takes the addresses it renders off `addresses_left`, and renders none beyond it.
    pub(super) fn render(&self, addresses_left: &mut usize) -> Vec<u8> {
        let mut list = |fields: &[Vec<u8>]| {
            let limit = ENTRIES_MAX.min(*addresses_left);
            let mut entries = Vec::new();
            for value in fields {
                entries.extend(address_list::parse(value, limit.saturating_sub(entries.len())));
            }
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
