//! The header gate: content waits here until its header is whole, then passes with our trace fields before it.

use crate::{Refusal, permit, send_as};
use mail_types::{Principal, Reply};
use message::originator::Originators;
use message::submission::Completion;
use policy::OriginatorFacts;

/// Longest header that is looked at as a whole.
const HEADER_MAX: usize = 1024 * 1024;
/// RFC 5321 §6.3: more Received fields than this are a loop.
const HOPS_MAX: usize = 50;

/// What to do with the header of a message.
#[derive(Clone, Debug)]
pub(crate) enum HeaderRule {
    /// From another operator: nothing is touched.
    AsReceived,
    /// From a user: From must be the user's; From, Date and Message-ID are added where missing, Bcc removed (RFC 6409 §8).
    Complete { principal: Box<Principal>, now: mail_types::Timestamp, message_id: String },
}

/// Content up to the end of the header, and what came of it.
#[derive(Debug)]
pub(crate) struct HeaderGate {
    rule: HeaderRule,
    held: Vec<u8>,
    is_open: bool,
    has_message_id: bool,
}

impl HeaderGate {
    pub(crate) fn new(rule: HeaderRule) -> Self {
        Self { rule, held: Vec::new(), is_open: false, has_message_id: false }
    }

    /// Takes content; gives what may be written now, once the header is known.
    pub(crate) fn push<'c>(&mut self, content: &'c [u8]) -> Result<Passage<'c>, Refusal> {
        if self.is_open {
            return Ok(Passage { header: Vec::new(), rest: content });
        }
        // The blank line may straddle what was held and what came.
        let overlap = self.held.len().min(3);
        let start = self.held.len() - overlap;
        self.held.extend_from_slice(content);
        let end = if self.held.starts_with(b"\r\n") {
            Some(2)
        } else {
            blank_line(&self.held[start..]).map(|at| start + at)
        };
        match end {
            Some(end) => {
                let taken_from_content = content.len() - (self.held.len() - end);
                self.held.truncate(end);
                Ok(Passage { header: self.open()?, rest: &content[taken_from_content..] })
            }
            None if self.held.len() > HEADER_MAX => Ok(Passage { header: self.open()?, rest: &[] }),
            None => Ok(Passage { header: Vec::new(), rest: &[] }),
        }
    }

    /// The end of the content came: whatever is still held is the whole message.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, Refusal> {
        if self.is_open { Ok(Vec::new()) } else { self.open() }
    }

    /// Whether the header as received names the message.
    pub(crate) fn has_message_id(&self) -> bool {
        self.has_message_id
    }

    fn open(&mut self) -> Result<Vec<u8>, Refusal> {
        self.is_open = true;
        let header = std::mem::take(&mut self.held);
        self.has_message_id = message::header::fields(&header).any(|field| field.is("Message-ID"));
        if message::trace::count_received(&header) > HOPS_MAX {
            return Err(Refusal {
                reply: Reply::new(554, (5, 4, 6), "Too many hops: this message is in a loop"),
                reason: "loop",
            });
        }
        match &self.rule {
            HeaderRule::AsReceived if lacks_header(&header) => Ok([b"\r\n", header.as_slice()].concat()),
            HeaderRule::AsReceived => Ok(header),
            HeaderRule::Complete { .. } if header.len() > HEADER_MAX => Err(Refusal {
                reply: Reply::new(552, (5, 3, 4), "The header of the message is too large"),
                reason: "header_size",
            }),
            HeaderRule::Complete { principal, now, message_id } => {
                complete(&header, principal, &Completion { now: *now, message_id })
            }
        }
    }
}

fn complete(header: &[u8], principal: &Principal, completion: &Completion<'_>) -> Result<Vec<u8>, Refusal> {
    let originators = Originators::of(header);
    permit(policy::submission_originators(
        send_as(principal),
        &OriginatorFacts {
            from_fields: originators.from_fields,
            authors: &originators.authors,
            sender_fields: originators.sender_fields,
            senders: &originators.senders,
        },
    ))?;
    let mut complete = message::submission::complete_header(header, completion);
    if originators.from_fields == 0 {
        // What was completed ends with its blank line.
        complete.truncate(complete.len().saturating_sub(2));
        complete.extend_from_slice(format!("From: <{}>\r\n\r\n", principal.address).as_bytes());
    }
    Ok(complete)
}

/// What may be written: the header when it just became known, then content as it came.
#[derive(Debug)]
pub(crate) struct Passage<'c> {
    pub(crate) header: Vec<u8>,
    pub(crate) rest: &'c [u8],
}

/// Content that begins with text: without a blank line our trace fields would swallow its first lines.
fn lacks_header(content: &[u8]) -> bool {
    message::header::header_split(content) == Some(0)
}

/// Where the header ends, after the blank line.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(gate: &mut HeaderGate, chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in chunks {
            let passage = gate.push(chunk).unwrap();
            out.extend_from_slice(&passage.header);
            out.extend_from_slice(passage.rest);
        }
        out.extend_from_slice(&gate.finish().unwrap());
        out
    }

    #[test]
    fn mail_from_another_operator_passes_unchanged_however_it_is_cut() {
        for message in [&b"A: b\r\nBcc: c\r\n\r\nbody\r\n\r\nmore\r\n"[..], b"\r\nbody\r\n", b"", b"A: b\r\n"]
        {
            for size in 1..=message.len().max(1) {
                let chunks: Vec<&[u8]> = message.chunks(size).collect();
                let mut gate = HeaderGate::new(HeaderRule::AsReceived);
                assert_eq!(through(&mut gate, &chunks), message, "cut at {size}");
            }
        }
    }

    #[test]
    fn text_without_a_header_is_kept_apart_from_our_trace_fields() {
        let mut gate = HeaderGate::new(HeaderRule::AsReceived);
        assert_eq!(through(&mut gate, &[b"no header at all\r\n"]), b"\r\nno header at all\r\n");
    }

    #[test]
    fn a_loop_is_refused() {
        let header = "Received: by x; now\r\n".repeat(HOPS_MAX + 1) + "\r\n";
        let refusal = HeaderGate::new(HeaderRule::AsReceived).push(header.as_bytes()).unwrap_err();
        assert_eq!(refusal.reply.code, 554);
    }
}
