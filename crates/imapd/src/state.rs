//! What a session holds between two commands, and how a command ends.

use crate::Imapd;
use crate::append::Append;
use crate::enable::Enabled;
use crate::login::Dialogue;
use crate::notify::Notifying;
use crate::place::{Ground, Who};
use crate::standing::Shown;
use crate::transport::Wire;
use imap_session::decoder::Decoder;
use imap_session::response::Code;
use imap_session::sequence::{MessageSet, Ranges, SequenceSet};
use imap_session::view::{OutOfRange, View};
use listener::{Drain, Vigil};
use mail_types::{FolderId, MailboxId, ModSeq, UidValidity};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{Act, FlagChange, FolderWatch, MailboxKey, Store, Via};
use tokio::time::Instant;

/// One connection. What is rare is boxed: thousands of these wait at one time.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Imapd>,
    pub(crate) wire: Wire,
    pub(crate) decoder: Decoder,
    pub(crate) peer: SocketAddr,
    pub(crate) drain: Drain,
    pub(crate) began: Instant,
    /// When the first octets of a command came whose rest is awaited.
    pub(crate) command_began: Option<Instant>,
    /// The certificate that the client showed.
    pub(crate) certificate: Option<Box<Shown>>,
    /// Of a session with a certificate or a login: when it is to be judged again.
    pub(crate) vigil: Option<Box<Vigil>>,
    pub(crate) login: Option<Box<Login>>,
    pub(crate) selected: Option<Box<Selected>>,
    pub(crate) enabled: Enabled,
    /// What the client asked to be told of without asking.
    pub(crate) notify: Option<Box<Notifying>>,
    pub(crate) append: Option<Box<Append>>,
    /// An AUTHENTICATE that waits for its response.
    pub(crate) authenticating: Option<Box<Dialogue>>,
    pub(crate) failed_logins: u32,
    pub(crate) bad_commands: u32,
}

/// A login that succeeded.
pub(crate) struct Login {
    /// What it rests on.
    pub(crate) proof: auth::Login,
    /// Of the mailbox that was logged in to.
    pub(crate) key: MailboxKey,
    /// Folders of another's mailbox of which the audit trail knows that they were opened.
    pub(crate) opened: Vec<FolderId>,
}

/// The selected folder.
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    /// Who reads it, in whose mailbox, with what rights.
    pub(crate) who: Who,
    /// Of that mailbox.
    pub(crate) key: MailboxKey,
    /// What that rests on, but in the actor's own mailbox.
    pub(crate) ground: Option<Box<Ground>>,
    pub(crate) is_read_only: bool,
    /// Name of each bit.
    pub(crate) keywords: Vec<String>,
    pub(crate) uid_validity: UidValidity,
    /// The change log is known up to here.
    pub(crate) modseq: ModSeq,
    pub(crate) view: View,
    /// UIDs below were given when the folder was selected.
    pub(crate) uid_next: u32,
    pub(crate) watch: FolderWatch,
    /// Messages with a smaller UID were told as recent here, which the store does not know yet.
    pub(crate) claimed: Option<u32>,
    /// UIDs of the messages that `$` stands for.
    pub(crate) saved: Ranges,
}

impl Selected {
    /// Messages of `set` as (sequence number, UID), ascending by both. In an empty folder every set names nothing.
    pub(crate) fn resolve(&self, set: &MessageSet, by_uid: bool) -> Result<Vec<(u32, u32)>, Failure> {
        match set {
            MessageSet::Named(set) => self.resolve_numbers(set, by_uid),
            MessageSet::Saved => Ok(self.saved_messages()),
        }
    }

    /// The same, of numbers.
    pub(crate) fn resolve_numbers(
        &self,
        set: &SequenceSet,
        by_uid: bool,
    ) -> Result<Vec<(u32, u32)>, Failure> {
        if self.view.is_empty() {
            return Ok(Vec::new());
        }
        self.view
            .resolve(set, by_uid)
            .map_err(|OutOfRange| Failure::Bad("A message sequence number is out of range"))
    }

    /// UIDs up to here that the view does not hold are of no message.
    pub(crate) fn largest_uid(&self) -> u32 {
        self.view.last_uid().max(self.uid_next.saturating_sub(1))
    }

    /// Who is the first to be told of messages below `up_to`? From which UID on it is this session. One that only reads takes nothing.
    pub(crate) fn claim_recent(&mut self, up_to: u32) -> u32 {
        if self.is_read_only {
            return self.watch.recent_from();
        }
        self.claimed = self.claimed.max(Some(up_to));
        self.watch.claim_recent(up_to)
    }

    /// Whether `bits` has a keyword whose name is not known here: another session made it.
    pub(crate) fn lacks_name(&self, bits: u64) -> bool {
        let known = u32::try_from(self.keywords.len()).unwrap_or(u32::MAX);
        bits.checked_shr(known).is_some_and(|rest| rest != 0)
    }

    /// Up to where the change log is known once `changes` of this session's own are taken in. A unit of work has one modification sequence of its
    /// folder: what has the next one after all that is known is all there is to know.
    pub(crate) fn modseq_after_own(&self, changes: &[FlagChange]) -> ModSeq {
        let next = ModSeq(self.modseq.0.saturating_add(1));
        let is_next = changes.first().is_some_and(|change| change.modseq == next);
        if is_next { next } else { self.modseq }
    }

    /// Refuses a change of a folder that was opened to be read.
    pub(crate) fn must_be_writable(&self) -> Result<(), Failure> {
        if self.is_read_only {
            Err(Failure::No(Some(Code::ReadOnly), "The folder is open read-only"))
        } else {
            Ok(())
        }
    }
}

/// The keywords whose bits are set.
pub(crate) fn keyword_names(names: &[String], bits: u64) -> impl Iterator<Item = &str> {
    names.iter().enumerate().filter(move |(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| name.as_str())
}

/// A command that succeeded.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<Code>,
    pub(crate) text: &'static str,
}

impl Done {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { code: None, text }
    }

    pub(crate) fn with(code: Code, text: &'static str) -> Self {
        Self { code: Some(code), text }
    }
}

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused; the connection goes on.
    No(Option<Code>, &'static str),
    /// Not understood, or not now.
    Bad(&'static str),
    /// A cause of ours.
    Store(store::Error),
    /// The selected folder is no more.
    Vanished,
    /// The client is gone.
    Lost,
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// How a command ends.
pub(crate) type Answer = Result<Done, Failure>;

impl Connection {
    pub(crate) fn store(&self) -> Store {
        self.shared.store.clone()
    }

    /// The store for what `who` changes: told of in the audit trail, unless the mailbox is their own.
    pub(crate) fn changing(&self, who: Who) -> Store {
        if who.is_holder { self.store() } else { self.acting(who) }
    }

    /// The store for what takes from one mailbox and gives to another: what is done in one that is not the actor's own is told of.
    pub(crate) fn changing_both(&self, from: Who, to: Who) -> Store {
        match (from.is_holder, to.is_holder) {
            (true, true) => self.store(),
            (true, false) => self.acting_beside(from, Some(from.mailbox)),
            (false, true) => self.acting_beside(from, Some(to.mailbox)),
            (false, false) => self.acting(from),
        }
    }

    /// The store for what is told of in the audit trail whoever does it.
    pub(crate) fn acting(&self, who: Who) -> Store {
        self.acting_beside(who, None)
    }

    fn acting_beside(&self, who: Who, holds: Option<MailboxId>) -> Store {
        match self.login.as_deref() {
            Some(login) => self.shared.store.acting(Act {
                actor: Some(who.actor),
                whence: Some(self.peer.ip()),
                credential: login.proof.credential_name(self.certificate.as_deref().map(|shown| &shown.peer)),
                tells_changes: true,
                holds,
                ..Act::via(Via::Imap)
            }),
            None => self.store(),
        }
    }

    pub(crate) fn logged_in(&self) -> Result<&Login, Failure> {
        self.login.as_deref().ok_or(Failure::Bad("Log in first"))
    }

    /// No folder is selected any more; the one that was. What was recent here is so for nobody else.
    pub(crate) async fn leave_folder(&mut self) -> Option<Box<Selected>> {
        let selected = self.selected.take()?;
        self.note_left(&selected);
        if let Some(up_to) = selected.claimed
            && let Err(error) = self.shared.store.claim_recent(selected.folder, up_to).await
        {
            tracing::warn!(folder = %selected.folder, %error, "messages may be recent twice");
        }
        Some(selected)
    }

    pub(crate) fn selected(&self) -> Result<&Selected, Failure> {
        self.selected.as_deref().ok_or(NO_FOLDER)
    }
}

/// Messages named by number are gone, and the client does not know yet.
pub(crate) const GONE: Failure = Failure::No(Some(Code::ExpungeIssued), "Some messages are gone");

/// RFC 5530: a limit of ours.
pub(crate) const TOO_MANY_KEYWORDS: Failure =
    Failure::No(Some(Code::Limit), "The folder has too many keywords");

pub(crate) const NO_FOLDER: Failure = Failure::Bad("Select a folder first");
