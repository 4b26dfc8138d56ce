//! APPEND of any number of messages, and REPLACE (RFC 3501 §6.3.11; RFC 3502, 4469, 8508): refused before the octets where that can be told, else
//! streamed and sealed as they arrive, and kept all together or not at all.
//!
//! What is said wrong comes as soon as it is known when the client waits with its octets; else they are read past.

use crate::enable::{Extension, UID_REQUIRED};
use crate::gathering::{Gathering, Incoming};
use crate::place::{Place, Who};
use crate::session::Next;
use crate::state::{Answer, Connection, Done, Failure, GONE, TOO_MANY_KEYWORDS};
use crate::sync::Telling;
use imap_session::command::{AppendBegin, AppendLiteral, AppendMessage, AppendStep, FlagList, Replaced};
use imap_session::response::{self, Code, Status};
use mail_types::{SystemFlags, Uid};
use std::time::Duration;
use store::Refusal;
use tokio::time::Instant;

/// Messages on their way in.
pub(crate) struct Append {
    pub(crate) tag: String,
    pub(crate) pace: Pace,
    /// What came so far, or why the rest is only read to stay in step.
    work: Result<Work, Failure>,
}

struct Work {
    to: Place,
    replaced: Option<GivingWay>,
    gathering: Gathering,
}

/// What REPLACE replaces, and how it was named.
struct GivingWay {
    by_uid: bool,
    message: store::Replaced,
}

/// How fast messages come: [`Pace::STEP`] octets in [`Pace::TIME`] at least. A client that sends an octet a second is let go.
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

pub(crate) const FULL: Failure = Failure::No(Some(Code::OverQuota), "The mailbox is full");
const NO_MESSAGE: Failure = Failure::No(Some(Code::NonExistent), "There is no such message to replace");
const NOT_ANNOUNCED: &str = "No message was announced";

impl Connection {
    /// Part of an APPEND or REPLACE.
    pub(crate) async fn append_step(&mut self, step: AppendStep) -> Next {
        match step {
            AppendStep::Begin(begin) => self.append_begin(begin).await,
            step @ (AppendStep::Message(_) | AppendStep::Url(_)) => self.append_more(step).await,
            AppendStep::Literal(literal) => self.append_literal(literal).await,
            // What was withdrawn while the messages came is not stored any more.
            AppendStep::End => match self.next_if_fallen().await {
                Some(next) => next,
                None => self.append_end().await,
            },
        }
    }

    async fn append_begin(&mut self, begin: AppendBegin) -> Next {
        self.shared.metrics.count_command(if begin.replaced.is_some() { "REPLACE" } else { "APPEND" });
        let work = self.admit(&begin).await;
        self.append = Some(Box::new(Append { tag: begin.tag, pace: Pace::begin(), work }));
        Next::Go
    }

    /// Goes on with the messages, unless it is known already that they are not kept.
    async fn append_more(&mut self, step: AppendStep) -> Next {
        let Some(mut append) = self.append.take() else { return self.bad(None, NOT_ANNOUNCED) };
        if let Ok(work) = &mut append.work {
            let done = match step {
                AppendStep::Message(message) => self.next_message(work, message).await,
                AppendStep::Url(url) => self.catenate(&mut work.gathering, &url).await,
                AppendStep::Begin(_) | AppendStep::Literal(_) | AppendStep::End => Ok(()),
            };
            if let Err(failure) = done {
                append.work = Err(failure);
            }
        }
        self.append = Some(append);
        Next::Go
    }

    async fn admit(&self, begin: &AppendBegin) -> Result<Work, Failure> {
        self.logged_in()?;
        let replaced = begin.replaced.as_ref().map(|replaced| self.gives_way(replaced)).transpose()?;
        let to = self.target(&begin.folder).await?;
        // What goes makes room, which the store counts.
        let room = if replaced.is_some() { u64::MAX } else { self.room(to.who).await? };
        let limit = self.shared.save_limit;
        let gathering = Gathering::new(&self.shared.store, self.shared.message_size_max, room, limit);
        Ok(Work { to, replaced, gathering })
    }

    /// The message that is to be replaced.
    fn gives_way(&self, Replaced { by_uid, message }: &Replaced) -> Result<GivingWay, Failure> {
        if self.enabled.has(Extension::UidOnly) && !by_uid {
            return Err(Failure::Bad(UID_REQUIRED));
        }
        let selected = self.selected()?;
        let who = selected.who;
        selected.must_be_writable()?;
        who.must("te")?;
        let found = selected.resolve_numbers(message, *by_uid)?;
        let Some((_, uid)) = found.first().copied() else { return Err(NO_MESSAGE) };
        if selected.view.is_gone(uid) {
            return Err(GONE);
        }
        let message = store::Replaced { mailbox: who.mailbox, folder: selected.folder, uid: Uid(uid) };
        Ok(GivingWay { by_uid: *by_uid, message })
    }

    /// Octets that still fit, before the messages come; the store asks again when they are kept.
    async fn room(&self, who: Who) -> Result<u64, Failure> {
        let mailbox = self.shared.store.mailbox_of_row(who.mailbox).await?;
        Ok(mailbox.map_or(u64::MAX, |row| row.quota_bytes.saturating_sub(row.used_bytes)))
    }

    async fn next_message(&self, work: &mut Work, message: AppendMessage) -> Result<(), Failure> {
        let AppendMessage { flags, internal_date, data } = message;
        let who = work.to.who;
        // RFC 4314 §4: flags that may not be set are left out.
        let keywords = if who.may("w") { flags.keywords } else { Vec::new() };
        if !keywords.is_empty() {
            self.must_have_room(work.to.id(), keywords.iter().map(String::as_str)).await?;
        }
        let flags = FlagList { system: SystemFlags(flags.system.0 & who.changeable().0), keywords };
        work.gathering.begin(Incoming { flags, internal_date, data }).await
    }

    /// Announced octets: lets them come, or answers at once.
    async fn append_literal(&mut self, literal: AppendLiteral) -> Next {
        let Some(append) = self.append.take() else {
            self.decoder.refuse_append();
            return self.bad(None, NOT_ANNOUNCED);
        };
        let Append { tag, pace, work } = *append;
        match work.and_then(|mut work| work.gathering.admit(literal.size).map(|()| work)) {
            Ok(work) => {
                self.append = Some(Box::new(Append { tag, pace, work: Ok(work) }));
                self.decoder.accept_append();
                if literal.synchronising {
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

    /// More of a message. After a fault it is only read.
    pub(crate) async fn append_content(&mut self, content: &[u8]) {
        let Some(append) = self.append.as_deref_mut() else { return };
        append.pace.came(content.len());
        let Ok(work) = &mut append.work else { return };
        if let Err(failure) = work.gathering.write(content).await {
            append.work = Err(failure);
        }
    }

    /// The command is complete.
    async fn append_end(&mut self) -> Next {
        let Some(append) = self.append.take() else { return self.bad(None, NOT_ANNOUNCED) };
        let Append { tag, work, .. } = *append;
        let mut telling = Telling { expunges: true, ..Telling::default() };
        let answer = match work {
            Ok(work) => {
                let is_selected =
                    self.selected.as_ref().is_some_and(|selected| selected.folder == work.to.id());
                telling.forced = is_selected || work.replaced.is_some();
                telling.owed = work.replaced.is_some();
                telling.by_uid = work.replaced.as_ref().is_some_and(|gone| gone.by_uid);
                self.keep(work).await
            }
            Err(failure) => Err(failure),
        };
        self.finish(&tag, answer, telling).await
    }

    async fn keep(&mut self, work: Work) -> Answer {
        let Work { to, replaced, gathering } = work;
        // The right may have been withdrawn while the messages came.
        let to = self.again(to).await?;
        to.who.must("i")?;
        let target = to.who;
        let mut who = target;
        if replaced.is_some() {
            who = self.selected()?.who;
            who.must("te")?;
        }
        let messages = gathering.finish().await?;
        let folder = to.id();
        let append = store::Append {
            mailbox: to.who.mailbox,
            folder,
            actor: Some(to.who.actor),
            key: to.key,
            messages,
            replaced: replaced.as_ref().map(|gone| gone.message),
        };
        let appended = self.changing_both(who, target).append(append).await?.map_err(refused)?;
        let uid_validity = appended.first().map_or(0, |first| first.uid_validity.0);
        let uids: Vec<u32> = appended.iter().map(|appended| appended.uid.0).collect();
        self.note_added(folder, &uids);
        let code = Code::AppendUid(uid_validity, uids);
        if replaced.is_none() {
            return Ok(Done::with(code, "APPEND completed"));
        }
        // RFC 8508 §3: where the new one went comes before it is told that the old one is gone.
        response::untagged(&mut self.wire.out, Status::Ok, Some(code), "The message is there");
        Ok(Done::new("REPLACE completed"))
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
