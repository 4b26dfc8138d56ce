//! The messages of one APPEND while they come: bounded, and sealed while the next one is read.
//!
//! It does not know where they go, nor who brings them.

use crate::append::FULL;
use crate::state::Failure;
use imap_session::command::{AppendData, FlagList};
use imap_session::response::Code;
use intake::Spool;
use mail_types::Timestamp;
use std::collections::VecDeque;
use store::{NewMessage, SealedBody, Store};
use tokio::task::JoinHandle;

/// Literals and URLs of one message (RFC 4469).
const PARTS_MAX: usize = 1000;
/// Octets of all messages of one command, unless one alone may have more.
const OCTETS_MAX: u64 = 256 * 1024 * 1024;
/// Octets after which further messages are not held in memory, however small each is.
const HELD_MAX: u64 = 16 * 1024 * 1024;
/// Octets of what is held of all messages together, in memory whatever is done: structures, which grow with headers and parts.
const HELD_TOGETHER_MAX: usize = 64 * 1024 * 1024;
/// Messages that are sealed at one time.
const SEALING_MAX: usize = 4;

const TOO_BIG: Failure = Failure::No(Some(Code::TooBig), "The message is too large");
const TOO_BIG_TOGETHER: Failure = Failure::No(Some(Code::TooBig), "The messages are too large together");
const TOO_MANY_PARTS: Failure = Failure::No(Some(Code::Limit), "Too many parts in one message");
const EMPTY: Failure = Failure::No(None, "The message is empty");
const NUL: Failure = Failure::No(None, "The message holds NUL");
const BINARY: Failure =
    Failure::No(Some(Code::UnknownCte), "The message holds NUL; send such parts in base64");
const NO_MESSAGE: Failure = Failure::Bad("No message was announced");

/// What is known of a message before its octets.
pub(crate) struct Incoming {
    pub(crate) flags: FlagList,
    pub(crate) internal_date: Option<Timestamp>,
    pub(crate) data: AppendData,
}

/// The messages of one command.
pub(crate) struct Gathering {
    store: Store,
    message_size_max: u64,
    /// Messages of one command (RFC 3502, RFC 9738).
    limit: u32,
    /// Octets for which there is room.
    room: u64,
    /// Octets of all messages, those included that are announced.
    octets: u64,
    current: Option<Current>,
    /// Whole, in order; the youngest are being sealed.
    sealing: VecDeque<Sealing>,
    sealed: Vec<NewMessage>,
    /// Octets that the sealed ones hold in memory.
    held: usize,
}

struct Current {
    message: Incoming,
    spool: Spool,
    /// Octets, those included that are announced.
    octets: u64,
    parts: usize,
}

struct Sealing {
    message: Incoming,
    body: JoinHandle<Result<SealedBody, store::Error>>,
}

impl Gathering {
    /// Of messages of at most `message_size_max` octets, for which there is `room` together.
    pub(crate) fn new(store: &Store, message_size_max: u64, room: u64, limit: u32) -> Self {
        let (sealing, sealed) = (VecDeque::new(), Vec::new());
        let store = store.clone();
        Self { store, message_size_max, limit, room, octets: 0, current: None, sealing, sealed, held: 0 }
    }

    /// A message begins; the one before is whole.
    pub(crate) async fn begin(&mut self, message: Incoming) -> Result<(), Failure> {
        self.end_message().await?;
        self.must_be_few()?;
        let mut spool = Spool::begin(&self.store, self.message_size_max)?;
        if self.octets > HELD_MAX {
            spool.keep_outside();
        }
        self.current = Some(Current { message, spool, octets: 0, parts: 0 });
        Ok(())
    }

    fn must_be_few(&self) -> Result<(), Failure> {
        const TEXT: &str = "Too many messages in one command";
        if self.sealed.len() + self.sealing.len() < usize::try_from(self.limit).unwrap_or(usize::MAX) {
            return Ok(());
        }
        Err(Failure::No(Some(Code::MessageLimit(self.limit, None)), TEXT))
    }

    /// So many octets more of the message are to come.
    pub(crate) fn admit(&mut self, octets: u64) -> Result<(), Failure> {
        let current = self.current.as_mut().ok_or(NO_MESSAGE)?;
        current.parts += 1;
        current.octets = current.octets.saturating_add(octets);
        let together = self.octets.saturating_add(octets);
        if current.parts > PARTS_MAX {
            return Err(TOO_MANY_PARTS);
        }
        if octets == 0 && current.message.data != AppendData::Catenate {
            return Err(EMPTY);
        }
        if current.octets > self.message_size_max {
            return Err(TOO_BIG);
        }
        if together > OCTETS_MAX.max(self.message_size_max) {
            return Err(TOO_BIG_TOGETHER);
        }
        if together > self.room {
            return Err(FULL);
        }
        self.octets = together;
        Ok(())
    }

    /// These are some of the octets that were admitted.
    pub(crate) async fn write(&mut self, content: &[u8]) -> Result<(), Failure> {
        let current = self.current.as_mut().ok_or(NO_MESSAGE)?;
        if content.contains(&0) {
            return Err(if current.message.data == AppendData::Literal { NUL } else { BINARY });
        }
        current.spool.write(content).await.map_err(|error| match error {
            store::Error::TooBig => TOO_BIG,
            error => Failure::Store(error),
        })
    }

    /// The message is whole: it is sealed while the next one comes.
    async fn end_message(&mut self) -> Result<(), Failure> {
        let Some(Current { message, spool, .. }) = self.current.take() else { return Ok(()) };
        if spool.size() == 0 {
            return Err(EMPTY);
        }
        self.sealing.push_back(Sealing { message, body: tokio::spawn(spool.finish()) });
        while self.sealing.len() > SEALING_MAX {
            self.settle_first().await?;
        }
        Ok(())
    }

    async fn settle_first(&mut self) -> Result<(), Failure> {
        let Some(Sealing { message, body }) = self.sealing.pop_front() else { return Ok(()) };
        let body = body.await.map_err(|_| store::Error::Inconsistent("a message was not sealed"))??;
        self.held += body.held();
        if self.held > HELD_TOGETHER_MAX {
            return Err(TOO_BIG_TOGETHER);
        }
        let Incoming { flags: FlagList { system: flags, keywords }, internal_date, .. } = message;
        self.sealed.push(NewMessage { body, flags, keywords, internal_date });
        Ok(())
    }

    /// All messages, in order.
    pub(crate) async fn finish(mut self) -> Result<Vec<NewMessage>, Failure> {
        self.end_message().await?;
        while !self.sealing.is_empty() {
            self.settle_first().await?;
        }
        Ok(self.sealed)
    }
}
