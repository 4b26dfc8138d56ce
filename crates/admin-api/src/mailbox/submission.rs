//! A message submitted by the same door as SMTP submission: what the door says of each recipient, and what came of the whole.

use super::{Holder, MessageId};
use crate::access::Caller;
use crate::api::Api;
use crate::problem::{Code, Problem};
use intake::{Intake, Origin, Refusal, Session, Transaction};
use mail_types::{Address, BodyKind, ForwardPath, MailParameters, RcptParameters, Reply, ReversePath};
use message::structure::StructureScanner;
use serde::Serialize;
use std::net::{IpAddr, Ipv6Addr};
use utoipa::ToSchema;

/// Octets given to the door at one time.
const PIECE: usize = 64 * 1024;
/// Addresses of one field that are read.
const FIELD_MAX: usize = 1000;

/// What the door said of a recipient.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Recipient {
    /// The address.
    address: String,
    /// Whether the message goes there.
    accepted: bool,
    /// SMTP code (RFC 5321 section 4.2).
    #[schema(minimum = 200, maximum = 599, example = 250)]
    status: u16,
    /// Enhanced code (RFC 3463).
    #[schema(example = "2.1.5")]
    code: String,
    /// What a sender may know of it.
    text: String,
}

/// A message on its way to the door.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) content: Vec<u8>,
    pub(crate) from: Address,
    /// Each with the place where the caller named them.
    pub(crate) recipients: Vec<(String, Address)>,
    /// Whether it goes to those who are accepted when others are not.
    pub(crate) is_partial: bool,
    /// Whether a copy goes to the caller's own folder of sent messages.
    pub(crate) keeps_copy: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Where the copy is.
    pub(crate) copy: Option<MessageId>,
    pub(crate) recipients: Vec<Recipient>,
}

impl Submission {
    /// A message that came whole. Its recipients are those that its header names.
    ///
    /// # Errors
    /// Octets that SMTP would refuse too.
    pub(crate) fn of_raw(content: Vec<u8>, own: &Address) -> Result<Self, Problem> {
        if let Some(at) = fault(&content) {
            return Err(Problem::new(Code::Invalid).detail(
                format!("octet {at}: lines end with CR LF (RFC 5322 section 2.3); a CR, LF or NUL alone is not taken"),
                format!("octet {at} : les lignes finissent par CR LF (RFC 5322 section 2.3) ; un CR, LF ou NUL seul n'est pas accepté"),
            ));
        }
        let mut scanner = StructureScanner::new();
        scanner.push(&content);
        let head = scanner.finish().letterhead();
        let mut recipients = Vec::new();
        for (field, people) in [("To", head.to), ("Cc", head.cc), ("Bcc", head.bcc)] {
            if people.len() >= FIELD_MAX {
                return Err(too_many_recipients(FIELD_MAX));
            }
            for (at, somebody) in people.into_iter().enumerate() {
                let address = somebody.address.parse().map_err(|_| {
                    Problem::new(Code::Invalid).detail(
                        format!("address {} of {field} cannot be read", at + 1),
                        format!("l'adresse {} de {field} ne peut être lue", at + 1),
                    )
                })?;
                recipients.push((format!("/{}/{at}", field.to_ascii_lowercase()), address));
            }
        }
        let from = match head.from.as_slice() {
            [author] => author.address.parse().ok(),
            _ => None,
        };
        let from = from.unwrap_or_else(|| own.clone());
        Ok(Self { content, from, recipients, is_partial: false, keeps_copy: true })
    }

    /// Submits it. What is returned was committed.
    ///
    /// # Errors
    /// The refusal of the whole, or of recipients where all of them must be accepted; nothing was sent then.
    pub(crate) async fn send(self, api: &Api, caller: &Caller, holder: &Holder) -> Result<Sent, Problem> {
        let intake = api.intake.as_ref().ok_or_else(|| Problem::new(Code::NotOffered))?.acting(caller.act());
        if self.recipients.is_empty() {
            return Err(Problem::invalid("/to", "at least one recipient", "au moins un destinataire"));
        }
        if self.recipients.len() > api.recipients_max {
            return Err(too_many_recipients(api.recipients_max));
        }
        let mut transaction = self.begin(&intake, api, caller, holder).await?;
        let recipients = self.ask_recipients(&mut transaction).await?;
        let mut folder = None;
        let principal = &holder.principal;
        // What is sent for another mailbox is filed by the door, there, if that mailbox has it so.
        let is_own = self.from.canonical() == principal.address.canonical();
        if self.keeps_copy && is_own {
            let kept = transaction.keep_copy(principal.mailbox, &principal.address, holder.reader()).await;
            folder = kept.map_err(|refusal| problem(&refusal))?;
        }
        transaction.begin_content().await.map_err(|refusal| problem(&refusal))?;
        for piece in self.content.chunks(PIECE) {
            transaction.write(piece).await;
        }
        drop(self.content);
        let conclusion = transaction.commit().await;
        conclusion.outcome.map_err(|refusal| problem(&refusal))?;
        let copy = folder.zip(conclusion.sent_copy).map(|(folder, copy)| MessageId {
            folder,
            uid_validity: copy.uid_validity,
            uid: copy.uid,
        });
        Ok(Sent { copy, recipients })
    }

    async fn begin(
        &self,
        intake: &Intake,
        api: &Api,
        caller: &Caller,
        holder: &Holder,
    ) -> Result<Transaction, Problem> {
        let session = Session {
            origin: Origin::Submission { principal: holder.principal.clone() },
            hello: api.hostname.clone(),
            peer_ip: caller.whence.unwrap_or(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            tls: None,
            protocol: "HTTP",
            credential: None,
        };
        let parameters = MailParameters {
            size: Some(self.content.len() as u64),
            body: BodyKind::EightBitMime,
            ..MailParameters::default()
        };
        let begun = intake.begin(&session, ReversePath::Address(self.from.clone()), parameters);
        begun.await.map_err(|refusal| problem(&refusal))
    }

    async fn ask_recipients(&self, transaction: &mut Transaction) -> Result<Vec<Recipient>, Problem> {
        let mut said = Vec::with_capacity(self.recipients.len());
        let mut refused: Option<Problem> = None;
        let mut all_transient = true;
        for (pointer, address) in &self.recipients {
            let path = ForwardPath::Address(address.clone());
            let reply = match transaction.rcpt(path, RcptParameters::default()).await {
                Ok(()) => Reply::new(250, (2, 1, 5), "Accepted"),
                Err(refusal) => refusal.reply,
            };
            if !reply.is_positive() {
                all_transient &= reply.is_transient();
                let text = text(&reply);
                let fault = Problem::invalid(pointer, text.clone(), format!("refusé : {text}"));
                refused = Some(match refused {
                    Some(problem) => problem.and(fault),
                    None => fault,
                });
            }
            said.push(Recipient {
                address: address.to_string(),
                accepted: reply.is_positive(),
                status: reply.code,
                code: reply.enhanced.map(|code| code.to_string()).unwrap_or_default(),
                text: reply.lines.join(" "),
            });
        }
        let goes_to_somebody = said.iter().any(|recipient| recipient.accepted);
        match refused {
            Some(problem) if !(self.is_partial && goes_to_somebody) => Err(match all_transient {
                true => Problem::new(Code::Unavailable).retry_after(60).and(problem).detail(
                    "recipients cannot be written to just now; nothing was sent",
                    "des destinataires ne peuvent recevoir en ce moment ; rien n'a été envoyé",
                ),
                false => problem.detail(
                    "recipients were refused; nothing was sent",
                    "des destinataires ont été refusés ; rien n'a été envoyé",
                ),
            }),
            _ => Ok(said),
        }
    }
}

fn too_many_recipients(max: usize) -> Problem {
    Problem::invalid(
        "/to",
        format!("at most {max} recipients in to, cc and bcc together"),
        format!("au plus {max} destinataires dans to, cc et bcc ensemble"),
    )
}

/// The refusal of a whole message.
fn problem(refusal: &Refusal) -> Problem {
    let text = text(&refusal.reply);
    let code = match (refusal.reason, refusal.reply.code) {
        (_, ..500) => return Problem::new(Code::Unavailable).retry_after(60).detail(text.clone(), text),
        ("not_owner" | "not_author", _) => Code::Forbidden,
        ("size", _) => Code::TooLarge,
        _ => Code::Invalid,
    };
    Problem::new(code).detail(text.clone(), format!("refusé : {text}"))
}

/// `550 5.1.1 No such user here`
fn text(reply: &Reply) -> String {
    let enhanced = reply.enhanced.map(|code| format!(" {code}")).unwrap_or_default();
    format!("{}{enhanced} {}", reply.code, reply.lines.join(" "))
}

/// Where the first octet is that no message has: a CR or LF that is not part of CR LF, or NUL.
fn fault(content: &[u8]) -> Option<usize> {
    let before = |at: usize| at.checked_sub(1).and_then(|before| content.get(before));
    content.iter().enumerate().position(|(at, b)| match b {
        0 => true,
        b'\r' => content.get(at + 1) != Some(&b'\n'),
        b'\n' => before(at) != Some(&b'\r'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_smtp_refuses_are_found() {
        for (content, found) in [
            (&b"a\r\nb\r\n"[..], None),
            (b"a\nb", Some(1)),
            (b"a\rb", Some(1)),
            (b"a\r", Some(1)),
            (b"a\0", Some(1)),
            (b"\r\n\r\n", None),
        ] {
            assert_eq!(fault(content), found, "{}", content.escape_ascii());
        }
    }

    #[test]
    fn the_recipients_of_a_raw_message_are_those_of_its_header() {
        let own: Address = "own@a.example".parse().unwrap();
        let raw = b"From: X <x@a.example>\r\nTo: g: a@b.example;\r\nBcc: c@d.example\r\n\r\n";
        let submission = Submission::of_raw(raw.to_vec(), &own).unwrap();
        assert_eq!(submission.from.to_string(), "x@a.example");
        let named: Vec<_> = submission.recipients.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(named, ["/to/0", "/bcc/0"]);
        assert!(Submission::of_raw(b"To: nobody\r\n\r\n".to_vec(), &own).is_err());
    }
}
