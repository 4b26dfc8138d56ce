//! One message on its way in.

use crate::content::{AuthorMark, HeaderGate, HeaderRule, Vouching};
use crate::spool::Spool;
use crate::{Intake, Origin, Refusal, Session, permit};
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::{
    ActorId, Address, DsnNotify, DsnRet, FolderId, ForwardPath, MailParameters, MailboxId, Principal,
    RcptParameters, Reply, ReversePath, UnitId,
};
use message::trace::Received;
use policy::{Reason, RecipientFacts};
use store::{
    Acceptance, Accepted, Appended, AuditEntry, Category, Error, LocalDelivery, RemoteDelivery, SendFor,
    SentCopy, SpecialUse, Subject, Via,
};

/// Room for our own trace fields beside the message.
const TRACE_MAX: u64 = 16 * 1024;

/// A message between MAIL and its end.
#[derive(Debug)]
pub struct Transaction {
    intake: Intake,
    session: Session,
    unit: UnitId,
    reverse_path: ReversePath,
    parameters: MailParameters,
    /// The mailbox of somebody else's whose address it is sent with.
    sends_for: Option<SendFor>,
    local: Vec<LocalDelivery>,
    remote: Vec<RemoteDelivery>,
    sent_copy: Option<SentCopy>,
    content: Option<Content>,
}

/// How a message ended.
#[derive(Debug)]
pub struct Conclusion {
    /// The reply that takes responsibility, or the refusal.
    pub outcome: Result<Reply, Refusal>,
    /// What was found of the author of a message from another operator, unless the operator's certificate speaks for them.
    pub author: Option<AuthorMark>,
    /// Where the copy of the sender went, if [one was asked for](Transaction::keep_copy) and the message was new.
    pub sent_copy: Option<Appended>,
}

/// The content part of a transaction.
#[derive(Debug)]
struct Content {
    spool: Spool,
    gate: HeaderGate,
    digest: ContentDigest,
    content_offset: u64,
    fault: Option<Refusal>,
}

/// A digest that prints nothing.
struct ContentDigest(Context);

impl std::fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("digest")
    }
}

impl Transaction {
    pub(crate) fn new(
        intake: Intake,
        session: Session,
        reverse_path: ReversePath,
        parameters: MailParameters,
        sends_for: Option<SendFor>,
    ) -> Self {
        let unit = intake.store().new_unit_id();
        Self {
            intake,
            session,
            unit,
            reverse_path,
            parameters,
            sends_for,
            local: Vec::new(),
            remote: Vec::new(),
            sent_copy: None,
            content: None,
        }
    }

    /// Adds a recipient.
    ///
    /// # Errors
    /// The refusal of this recipient; others stand.
    pub async fn rcpt(&mut self, path: ForwardPath, parameters: RcptParameters) -> Result<(), Refusal> {
        let store = self.intake.store().clone();
        let address = match path {
            ForwardPath::Address(address) => address,
            ForwardPath::Postmaster => self.postmaster().await?,
        };
        let mut row = store.recipient(&address).await.map_err(|e| Refusal::of_store(&e))?;
        if row.is_none() {
            if !store.is_local_domain(address.domain()).await.map_err(|e| Refusal::of_store(&e))? {
                return self.remote_rcpt(address, parameters);
            }
            // RFC 5321 §4.5.1: every domain has a postmaster.
            let is_postmaster = address.local_part().eq_ignore_ascii_case("postmaster");
            if let Some(postmaster) = self.intake.settings().postmaster.as_ref().filter(|_| is_postmaster) {
                row = store.recipient(postmaster).await.map_err(|e| Refusal::of_store(&e))?;
            }
        }
        let facts = row.map_or(RecipientFacts::Unknown, |row| RecipientFacts::Mailbox {
            status: row.status,
            quota_bytes: row.quota_bytes,
            used_bytes: row.used_bytes,
            declared_bytes: self.parameters.size.unwrap_or(0),
        });
        permit(policy::recipient(facts, &self.intake.settings().life_cycle))?;
        let row = row.ok_or(Reason::UnknownMailbox)?;
        if self.local.iter().all(|known| known.mailbox != row.mailbox) {
            let key = store.mailbox_key(row.mailbox).await.map_err(|e| Refusal::of_store(&e))?;
            self.local.push(LocalDelivery { mailbox: row.mailbox, folder: row.inbox, key });
        }
        Ok(())
    }

    /// `<postmaster>` without a domain: the one of our first domain.
    async fn postmaster(&self) -> Result<Address, Refusal> {
        let domains = self.intake.store().domains().await.map_err(|e| Refusal::of_store(&e))?;
        let address = domains.first().and_then(|domain| format!("postmaster@{domain}").parse().ok());
        address.ok_or_else(|| Reason::UnknownMailbox.into())
    }

    fn remote_rcpt(&mut self, recipient: Address, parameters: RcptParameters) -> Result<(), Refusal> {
        let may_relay = matches!(self.session.origin, Origin::Submission { .. });
        let domain = self.intake.domain_standing(recipient.domain());
        let facts = RecipientFacts::Elsewhere { may_relay, domain };
        permit(policy::recipient(facts, &self.intake.settings().life_cycle))?;
        let canonical = recipient.canonical();
        if self.remote.iter().all(|known| known.recipient.canonical() != canonical) {
            let notify = parameters.notify.map(notify_words);
            self.remote.push(RemoteDelivery { recipient, original_recipient: parameters.orcpt, notify });
        }
        Ok(())
    }

    /// The rights of whoever submits are these now; they are asked again when the message ends.
    pub fn act_as(&mut self, now: &Principal) {
        if let Origin::Submission { principal } = &mut self.session.origin {
            principal.clone_from(now);
        }
    }

    /// A copy of what is accepted goes to the folder for sent messages of a mailbox, in the same transaction, seen by everybody or by one
    /// actor. Which folder that is; none when the mailbox has no such folder, or no room left: the message is then accepted without.
    ///
    /// # Errors
    /// A cause of ours.
    pub async fn keep_copy(
        &mut self,
        mailbox: MailboxId,
        address: &Address,
        seen_by: Option<ActorId>,
    ) -> Result<Option<FolderId>, Refusal> {
        let store = self.intake.store().clone();
        let refusal = |error: Error| Refusal::of_store(&error);
        let row = store.recipient(address).await.map_err(refusal)?;
        let size = self.parameters.size.unwrap_or(0);
        let has_room = row.is_some_and(|row| {
            row.mailbox == mailbox && row.used_bytes.saturating_add(size) < row.quota_bytes
        });
        let folder = store.folder_with_use(mailbox, SpecialUse::SENT).await.map_err(refusal)?;
        let Some(folder) = folder.filter(|_| has_room) else { return Ok(None) };
        let key = store.mailbox_key(mailbox).await.map_err(refusal)?;
        let to = LocalDelivery { mailbox, folder: folder.id, key };
        self.sent_copy = Some(SentCopy { to, seen_by });
        Ok(Some(folder.id))
    }

    /// Begins the content; at least one recipient was accepted.
    ///
    /// # Errors
    /// A cause of ours.
    pub async fn begin_content(&mut self) -> Result<(), Refusal> {
        let settings = self.intake.settings();
        let mut spool = Spool::begin(self.intake.store(), settings.message_size_max + TRACE_MAX)
            .map_err(|e| Refusal::of_store(&e))?;
        let return_path = message::trace::return_path(&self.reverse_path);
        let now = self.intake.store().now();
        let (peer_ip, rule) = match &self.session.origin {
            Origin::Mx { peer } => {
                let vouching = Vouching {
                    peer: peer.clone(),
                    trust: self.intake.trust(),
                    now,
                    rule: settings.author_rule,
                };
                (Some(self.session.peer_ip), HeaderRule::Vouched(vouching))
            }
            Origin::Submission { principal } => {
                let message_id = format!("<{}@{}>", self.unit, settings.hostname);
                let principal = Box::new(principal.clone());
                let sends_for = self.sends_for.clone().map(Box::new);
                (None, HeaderRule::Complete { principal, sends_for, now, message_id })
            }
        };
        let id = self.unit.to_string();
        let received = message::trace::received(&Received {
            from_helo: &self.session.hello,
            peer_ip,
            by: &settings.hostname,
            protocol: self.session.protocol,
            id: &id,
            tls: self.session.tls,
            at: now,
        });
        spool.write(&return_path).await.map_err(|e| Refusal::of_store(&e))?;
        spool.write(&received).await.map_err(|e| Refusal::of_store(&e))?;
        self.content = Some(Content {
            spool,
            gate: HeaderGate::new(rule),
            digest: ContentDigest(Context::new(&SHA256)),
            content_offset: return_path.len() as u64,
            fault: None,
        });
        Ok(())
    }

    /// Takes content. A fault is kept for [`Transaction::commit`] to report; what comes after it is swallowed.
    pub async fn write(&mut self, chunk: &[u8]) {
        let Some(content) = self.content.as_mut().filter(|content| content.fault.is_none()) else { return };
        if let Err(refusal) = content.take(chunk).await {
            content.fault = Some(refusal);
        }
    }

    /// Takes responsibility: the reply is positive only after everything is on stable storage. After a refusal nothing of the message stands.
    pub async fn commit(mut self) -> Conclusion {
        let Some(mut content) = self.content.take() else {
            let refusal = Refusal { reply: Reply::new(503, (5, 5, 1), "No content"), reason: "order" };
            return Conclusion { outcome: Err(refusal), author: None, sent_copy: None };
        };
        let ended = content.end().await;
        let author = content.gate.take_mark();
        let accepted = match self.ask_again(ended).await {
            Ok(()) => self.accept(content).await,
            Err(refusal) => Err(refusal),
        };
        let sent_copy = accepted.as_ref().ok().and_then(|(_, copy)| *copy);
        Conclusion { outcome: accepted.map(|(reply, _)| reply), author, sent_copy }
    }

    /// What was allowed when the message began is asked again, and a message that is sent for a mailbox is filed there.
    async fn ask_again(&mut self, ended: Result<(), Refusal>) -> Result<(), Refusal> {
        ended?;
        let sends_for = self.intake.may_send(&self.session.origin, &self.reverse_path).await?;
        let Origin::Submission { principal } = &self.session.origin else { return Ok(()) };
        if let Some(mailbox) = sends_for.filter(|mailbox| mailbox.files_sent && self.sent_copy.is_none()) {
            let sender = Some(principal.actor.id);
            self.keep_copy(mailbox.mailbox, &mailbox.address, sender).await?;
        }
        Ok(())
    }

    /// The mailbox of ours that the message is sent with: whose sent messages it is among, and who hears of failures.
    fn sender_mailbox(&self) -> Option<MailboxId> {
        match (&self.session.origin, &self.sends_for) {
            (Origin::Submission { .. }, Some(mailbox)) => Some(mailbox.mailbox),
            (Origin::Submission { principal }, None) => Some(principal.mailbox),
            (Origin::Mx { .. }, _) => None,
        }
    }

    async fn accept(mut self, content: Content) -> Result<(Reply, Option<Appended>), Refusal> {
        let digest = content.digest.0.finish();
        let eight_bit = content.spool.is_eight_bit();
        let body = content.spool.finish().await.map_err(|e| Refusal::of_store(&e))?;
        let store = self.intake.store().clone();
        let acceptance = Acceptance {
            unit: self.unit,
            fingerprint: self.fingerprint(digest.as_ref(), content.gate.has_message_id()),
            sender_mailbox: self.sender_mailbox(),
            body,
            content_offset: content.content_offset,
            eight_bit,
            expires_at: store.now().plus_secs(self.intake.settings().lifetime_secs),
            ret: self.parameters.ret.map(|ret| if ret == DsnRet::Full { "FULL" } else { "HDRS" }.to_owned()),
            envid: self.parameters.envid.take(),
            audit: self.audit(),
            reverse_path: self.reverse_path,
            local: self.local,
            remote: self.remote,
            sent_copy: self.sent_copy,
        };
        let accepted = store.accept(acceptance).await.map_err(|e| Refusal::of_store(&e))?;
        let sent_copy = match accepted {
            Accepted::Stored => None,
            Accepted::Filed(copy) => Some(copy),
            Accepted::Duplicate => {
                tracing::info!(unit = %self.unit, "a message sent again was acknowledged and not stored twice");
                None
            }
        };
        Ok((Reply::new(250, (2, 0, 0), format!("OK {}", self.unit)), sent_copy))
    }

    /// Recognises a message sent again after its reply was lost. An operator repeats what it was not told is taken. A user's client repeats the
    /// same Message-ID; without one, a user who sends the same text twice means it.
    fn fingerprint(&self, content_digest: &[u8], has_message_id: bool) -> Option<[u8; 32]> {
        let peer = match &self.session.origin {
            Origin::Mx { peer } => peer.as_ref()?.subject.to_string(),
            Origin::Submission { principal } if has_message_id => {
                format!("actor {} mailbox {}", principal.actor.id, principal.mailbox)
            }
            Origin::Submission { .. } => return None,
        };
        let reverse_path = self.reverse_path.to_string();
        Some(self.intake.store().fingerprint(&[peer.as_bytes(), reverse_path.as_bytes(), content_digest]))
    }

    fn audit(&self) -> AuditEntry {
        let (via, actor, login) = match &self.session.origin {
            Origin::Mx { .. } => (Via::Mx, None, None),
            Origin::Submission { principal } => {
                let via = self.intake.store().act().map_or(Via::Submission, |act| act.via);
                (via, Some(principal.actor.id), Some(principal.mailbox))
            }
        };
        let mailbox = self.sender_mailbox();
        let (local, remote) = (self.local.len(), self.remote.len());
        let mut detail = format!("origin={} local={local} remote={remote}", via.as_str());
        if let Some(login) = login.filter(|login| mailbox != Some(*login)) {
            // Who wrote acted in another mailbox than that whose address readers see.
            detail.push_str(&format!(" login_mailbox={login}"));
        }
        let entry = AuditEntry {
            actor,
            credential: self.session.credential.clone(),
            via: Some(via),
            mailbox,
            unit: Some(self.unit),
            detail,
            ..AuditEntry::new(Category::Mail, "message.accepted")
        };
        let entry = match (&self.reverse_path, mailbox) {
            (ReversePath::Address(address), None) => entry.subject(Subject::address(address)),
            _ => entry,
        };
        entry.personal("from", self.reverse_path.to_string()).whence(self.session.peer_ip)
    }
}

impl Content {
    /// The end of the content came.
    async fn end(&mut self) -> Result<(), Refusal> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let tail = self.gate.finish()?;
        self.spool.write(&tail).await.map_err(size_or_store)
    }

    async fn take(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        self.digest.0.update(chunk);
        let passage = self.gate.push(chunk)?;
        self.spool.write(&passage.header).await.map_err(size_or_store)?;
        self.spool.write(passage.rest).await.map_err(size_or_store)
    }
}

fn size_or_store(error: Error) -> Refusal {
    match error {
        Error::TooBig => Refusal {
            reply: Reply::new(552, (5, 3, 4), "Message is larger than this server accepts"),
            reason: "size",
        },
        error => Refusal::of_store(&error),
    }
}

/// RFC 3461 §4.1 words of a NOTIFY parameter.
fn notify_words(notify: DsnNotify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let set: Vec<&str> = words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
    if set.is_empty() { "NEVER".to_owned() } else { set.join(",") }
}
