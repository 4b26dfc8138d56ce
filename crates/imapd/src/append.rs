//! APPEND (RFC 3501 §6.3.11): refused before the message where that can be told, else streamed and sealed as it arrives.

use crate::place::{Place, Who};
use crate::session::Next;
use crate::state::{Answer, Connection, Done, Failure, GONE, TOO_MANY_KEYWORDS};
use crate::sync::Telling;
use imap_session::command::{AppendBegin, FlagList};
use imap_session::response::{self, Code};
use intake::Spool;
use mail_types::{SystemFlags, Timestamp};
use std::time::Duration;
use store::Refusal;
use tokio::time::Instant;

/// A message on its way in.
pub(crate) struct Append {
    pub(crate) tag: String,
    place: Place,
    flags: FlagList,
    internal_date: Option<Timestamp>,
    pub(crate) pace: Pace,
    /// What came so far, or why the rest is only read to stay in step.
    content: Result<Spool, Failure>,
}

/// How fast a message comes: [`Pace::STEP`] octets in [`Pace::TIME`] at least. A client that sends an octet a second is let go.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    octets: usize,
}

impl Pace {
    const STEP: usize = 16 * 1024;
    const TIME: Duration = Duration::from_secs(300);

    fn begin() -> Self {
        Self { since: Instant::now(), octets: 0 }
    }

    fn came(&mut self, octets: usize) {
        self.octets += octets;
        if self.octets >= Self::STEP {
            *self = Self::begin();
        }
    }

    /// How long the next octets may take, when `idle` is the longest silence.
    pub(crate) fn left(&self, idle: Duration) -> Duration {
        idle.min(Self::TIME).saturating_sub(self.since.elapsed())
    }
}

const TOO_BIG: Failure = Failure::No(Some(Code::TooBig), "The message is too large");
const FULL: Failure = Failure::No(Some(Code::OverQuota), "The mailbox is full");
const NUL: Failure = Failure::No(None, "The message holds NUL");

impl Connection {
    /// An announced message: lets it come, or answers at once.
    pub(crate) async fn append_begin(&mut self, begin: AppendBegin) -> Next {
        self.shared.metrics.count_command("APPEND");
        let synchronising = begin.synchronising;
        let tag = begin.tag.clone();
        match self.admit(begin).await {
            Ok(append) => {
                self.append = Some(Box::new(append));
                self.decoder.accept_append();
                if synchronising {
                    response::continuation(&mut self.wire.out, "OK");
                }
                Next::Go
            }
            Err(failure) => {
                self.decoder.refuse_append();
                self.finish(&tag, Err(failure), Telling::default()).await
            }
        }
    }

    async fn admit(&self, begin: AppendBegin) -> Result<Append, Failure> {
        if begin.size == 0 {
            return Err(Failure::No(None, "The message is empty"));
        }
        if begin.size > self.shared.message_size_max {
            return Err(TOO_BIG);
        }
        let place = self.target(&begin.folder).await?;
        let who = place.who;
        self.must_fit(who, begin.size).await?;
        let may_write = who.may("w");
        // RFC 4314 §4: flags that may not be set are left out.
        let keywords = if may_write { begin.flags.keywords } else { Vec::new() };
        if !keywords.is_empty() {
            self.must_have_room(place.id(), keywords.iter().map(String::as_str)).await?;
        }
        let flags = FlagList { system: SystemFlags(begin.flags.system.0 & who.changeable().0), keywords };
        let content = Ok(Spool::begin(&self.shared.store, begin.size)?);
        Ok(Append {
            tag: begin.tag,
            place,
            flags,
            internal_date: begin.internal_date,
            pace: Pace::begin(),
            content,
        })
    }

    /// Asked before the message comes; the store asks again when it is kept.
    async fn must_fit(&self, who: Who, size: u64) -> Result<(), Failure> {
        let mailbox = self.shared.store.mailbox_of_row(who.mailbox).await?;
        let fits = mailbox.is_none_or(|row| row.used_bytes.saturating_add(size) <= row.quota_bytes);
        if fits { Ok(()) } else { Err(FULL) }
    }

    /// More of the message. After a fault it is only read.
    pub(crate) async fn append_content(&mut self, content: &[u8]) {
        let Some(append) = self.append.as_deref_mut() else { return };
        append.pace.came(content.len());
        let Ok(spool) = &mut append.content else { return };
        let written = if content.contains(&0) {
            Err(NUL)
        } else {
            spool.write(content).await.map_err(|error| match error {
                store::Error::TooBig => TOO_BIG,
                error => Failure::Store(error),
            })
        };
        if let Err(failure) = written {
            append.content = Err(failure);
        }
    }

    /// The message is complete.
    pub(crate) async fn append_end(&mut self) -> Next {
        let Some(append) = self.append.take() else { return self.bad(None, "No message was announced") };
        let Append { tag, place, flags, internal_date, content, .. } = *append;
        let folder = place.id();
        let answer = match content {
            Ok(spool) => self.keep(place, flags, internal_date, spool).await,
            Err(failure) => Err(failure),
        };
        let is_selected = self.selected.as_ref().is_some_and(|selected| selected.folder == folder);
        let telling = Telling { by_uid: false, expunges: true, forced: is_selected };
        self.finish(&tag, answer, telling).await
    }

    async fn keep(
        &self,
        place: Place,
        flags: FlagList,
        internal_date: Option<Timestamp>,
        spool: Spool,
    ) -> Answer {
        // The right may have been withdrawn while the message came.
        let place = self.again(place).await?;
        place.who.must("i")?;
        let body = spool.finish().await?;
        let appended = self
            .shared
            .store
            .append(
                place.who.mailbox,
                place.id(),
                place.key,
                body,
                flags.system,
                flags.keywords,
                internal_date,
                place.who.private_seen_of,
            )
            .await?
            .map_err(refused)?;
        let code = Code::AppendUid(appended.uid_validity.0, vec![appended.uid.0]);
        Ok(Done::with(code, "APPEND completed"))
    }
}

/// What the client is told when the store did not let messages in.
pub(crate) fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::OverQuota => FULL,
        Refusal::TooManyKeywords => TOO_MANY_KEYWORDS,
        Refusal::Incomplete => GONE,
        Refusal::NoFolder => Failure::No(Some(Code::TryCreate), "No such folder"),
    }
}
