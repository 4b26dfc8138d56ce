//! The header gate: content waits here until its header is whole, then passes with our trace fields before it.

use crate::{Refusal, permit, send_as};
use mail_types::{Domain, PeerIdentity, Principal, Reply, Timestamp};
use message::originator::Originators;
use message::submission::Completion;
use message::trace::AuthorDoubt;
use policy::{
    AuthorFacts, AuthorRule, AuthorStanding, Delegated, OriginatorFacts, Reason, SendAs, TrustList, Verdict,
};
use std::sync::Arc;
use store::SendFor;

/// Longest header that is looked at as a whole.
const HEADER_MAX: usize = 1024 * 1024;
/// RFC 5321 §6.3: more Received fields than this are a loop.
const HOPS_MAX: usize = 50;

/// What to do with the header of a message.
#[derive(Clone, Debug)]
pub(crate) enum HeaderRule {
    /// From another operator: nothing is touched. A field may come before it that says that the operator's certificate does not speak for
    /// its author.
    Vouched(Vouching),
    /// From a user: From must be the address that it is sent with; From, Date and Message-ID are added where missing, Bcc removed (RFC 6409 §8).
    Complete {
        principal: Box<Principal>,
        /// The mailbox of somebody else's that it is sent for.
        sends_for: Option<Box<SendFor>>,
        now: Timestamp,
        message_id: String,
    },
}

/// By what the authors of a message from another operator are judged.
#[derive(Clone, Debug)]
pub(crate) struct Vouching {
    pub(crate) peer: Option<Arc<PeerIdentity>>,
    pub(crate) trust: Arc<TrustList>,
    pub(crate) now: Timestamp,
    pub(crate) rule: AuthorRule,
}

/// What became of a message for whose author its operator's certificate does not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorMarking {
    /// It was accepted, marked.
    Tagged,
    /// The peer was asked to come again.
    Deferred,
    /// It was refused.
    Rejected,
}

/// An author for whom the certificate does not speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorMark {
    /// What became of the message.
    pub marking: AuthorMarking,
    /// The word for logs and metrics.
    pub reason: &'static str,
    /// The domain, if one can be read.
    pub domain: Option<Domain>,
}

/// Content up to the end of the header, and what came of it.
#[derive(Debug)]
pub(crate) struct HeaderGate {
    rule: HeaderRule,
    held: Vec<u8>,
    is_open: bool,
    has_message_id: bool,
    mark: Option<AuthorMark>,
}

impl HeaderGate {
    pub(crate) fn new(rule: HeaderRule) -> Self {
        Self { rule, held: Vec::new(), is_open: false, has_message_id: false, mark: None }
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

    /// What was found of the author, when it is not in order.
    pub(crate) fn take_mark(&mut self) -> Option<AuthorMark> {
        self.mark.take()
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
            HeaderRule::Vouched(vouching) => {
                let (mut before, mark, verdict) = vouching.judge(&header);
                self.mark = mark;
                permit(verdict)?;
                if lacks_header(&header) {
                    before.extend_from_slice(b"\r\n");
                }
                Ok(if before.is_empty() { header } else { [before, header].concat() })
            }
            HeaderRule::Complete { .. } if header.len() > HEADER_MAX => Err(Refusal {
                reply: Reply::new(552, (5, 3, 4), "The header of the message is too large"),
                reason: "header_size",
            }),
            HeaderRule::Complete { principal, sends_for, now, message_id } => {
                // Whether the mailbox is open for sending is asked where the message begins and ends.
                let delegated = sends_for
                    .as_deref()
                    .map(|mailbox| Delegated { address: &mailbox.address, is_open: true });
                complete(&header, send_as(principal, delegated), &Completion { now: *now, message_id })
            }
        }
    }
}

impl Vouching {
    /// The field that is put before the header, what is noted, and whether the message may be accepted.
    fn judge(&self, header: &[u8]) -> (Vec<u8>, Option<AuthorMark>, Verdict) {
        // What is too long to be looked at as a whole could name another author further down.
        let originators =
            if header.len() > HEADER_MAX { Originators::default() } else { Originators::of(header) };
        let standing = policy::author(&AuthorFacts {
            peer: self.peer.as_deref(),
            trust: &self.trust,
            now: self.now,
            originators: facts(&originators),
        });
        let verdict = self.rule.verdict(standing);
        let (doubt, reason, domain) = match standing {
            AuthorStanding::Listed => return (Vec::new(), None, verdict),
            AuthorStanding::NotListed(domain) => (AuthorDoubt::NotListed, Reason::AuthorNotListed, domain),
            AuthorStanding::Doubtful(domain) => (AuthorDoubt::Doubtful, Reason::AuthorDoubtful, Some(domain)),
        };
        let marking = match verdict {
            Verdict::Accept => AuthorMarking::Tagged,
            Verdict::Defer(_) => AuthorMarking::Deferred,
            Verdict::Reject(_) => AuthorMarking::Rejected,
        };
        let mark = AuthorMark { marking, reason: reason.as_str(), domain: domain.cloned() };
        (message::trace::author_doubt(doubt, domain), Some(mark), verdict)
    }
}

fn facts(originators: &Originators) -> OriginatorFacts<'_> {
    OriginatorFacts {
        from_fields: originators.from_fields,
        authors: &originators.authors,
        sender_fields: originators.sender_fields,
        senders: &originators.senders,
    }
}

fn complete(header: &[u8], send_as: SendAs<'_>, completion: &Completion<'_>) -> Result<Vec<u8>, Refusal> {
    let originators = Originators::of(header);
    permit(policy::submission_originators(send_as, &facts(&originators)))?;
    let mut complete = message::submission::complete_header(header, completion);
    if originators.from_fields == 0 {
        // What was completed ends with its blank line.
        complete.truncate(complete.len().saturating_sub(2));
        let from = send_as.delegated.map_or(send_as.own, |delegated| delegated.address);
        complete.extend_from_slice(format!("From: <{from}>\r\n\r\n").as_bytes());
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
    use mail_types::RevocationState;
    use policy::WhiteList;

    const TAG: &[u8] = b"X-Vaguemestre-From: not-listed\r\n";

    /// An operator whose certificate speaks for a.example.
    fn gate(rule: AuthorRule) -> HeaderGate {
        let list = WhiteList::parse("a.example;CN=mx.a\n").0;
        let now = Timestamp(0);
        let trust = TrustList { white_list: Some((Arc::new(list), now)), ..TrustList::default() };
        let peer = PeerIdentity {
            subject: "CN=mx.a".parse().unwrap(),
            issuer: "CN=CA".parse().unwrap(),
            serial: vec![1],
            dns_names: vec![],
            mail_names: vec![],
            ip_names: vec![],
            policies: vec![],
            not_after: now,
            crl_number: None,
            key_pin: [0; 32],
            revocation: RevocationState::Good,
        };
        let vouching = Vouching { peer: Some(Arc::new(peer)), trust: Arc::new(trust), now, rule };
        HeaderGate::new(HeaderRule::Vouched(vouching))
    }

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
        for (message, is_vouched) in [
            (&b"A: b\r\nBcc: c\r\nFrom: x@a.example\r\n\r\nbody\r\n\r\nmore\r\n"[..], true),
            (b"From: x@b.example, x@a.example\r\n\r\nbody\r\n", false),
            (b"\r\nbody\r\n", false),
            (b"", false),
            (b"A: b\r\n", false),
        ] {
            for size in 1..=message.len().max(1) {
                let chunks: Vec<&[u8]> = message.chunks(size).collect();
                let mut gate = gate(AuthorRule::Tag);
                let out = through(&mut gate, &chunks);
                assert!(out.ends_with(message), "cut at {size}: {}", out.escape_ascii());
                assert_eq!(out.len() == message.len(), is_vouched, "{}", out.escape_ascii());
                assert_eq!(gate.take_mark().is_none(), is_vouched);
            }
        }
    }

    #[test]
    fn text_without_a_header_is_kept_apart_from_our_trace_fields() {
        let out = through(&mut gate(AuthorRule::Tag), &[b"no header at all\r\n"]);
        assert_eq!(out, [TAG, b"\r\nno header at all\r\n"].concat());
    }

    #[test]
    fn an_author_of_another_domain_is_marked_or_refused() {
        let message = b"From: x@a.example\r\nSender: y@b.example\r\n\r\nbody\r\n";
        let mut tagging = gate(AuthorRule::Tag);
        let out = through(&mut tagging, &[message]);
        let tag = b"X-Vaguemestre-From: not-listed;\r\n\tdomain=b.example\r\n".as_slice();
        assert_eq!(out, [tag, message].concat());
        let mark = AuthorMark {
            marking: AuthorMarking::Tagged,
            reason: "author_not_listed",
            domain: "b.example".parse().ok(),
        };
        assert_eq!(tagging.take_mark(), Some(mark));
        let mut rejecting = gate(AuthorRule::Reject);
        let refusal = rejecting.push(message).unwrap_err();
        assert_eq!((refusal.reply.code, refusal.reason), (550, "author_not_listed"));
        assert_eq!(rejecting.take_mark().map(|mark| mark.marking), Some(AuthorMarking::Rejected));
    }

    #[test]
    fn a_header_too_long_to_be_looked_at_vouches_for_nobody() {
        let mut message = b"From: x@a.example\r\nX: ".to_vec();
        message.resize(HEADER_MAX + 10, b'x');
        let mut gate = gate(AuthorRule::Tag);
        let out = through(&mut gate, &[&message, b"\r\nFrom: y@b.example\r\n\r\n"]);
        assert!(out.starts_with(TAG));
    }

    #[test]
    fn a_loop_is_refused() {
        let header = "Received: by x; now\r\n".repeat(HOPS_MAX + 1) + "\r\n";
        let refusal = gate(AuthorRule::Tag).push(header.as_bytes()).unwrap_err();
        assert_eq!(refusal.reply.code, 554);
    }
}
