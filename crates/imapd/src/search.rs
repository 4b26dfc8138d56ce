//! SEARCH (RFC 3501 §6.4.4): from what costs little to what costs much, each pass only over what the one before could not decide.

use crate::attending::Progress;
use crate::enable::Extension;
use crate::message_limit::exceeded;
use crate::search_key::{Facts, Key};
use crate::search_return::{Message, numbers};
use crate::search_text::{Asked, Outcome, TextSearch};
use crate::state::{Answer, Connection, Done, Failure, Selected};
use imap_session::charset;
use imap_session::command::{SearchArguments, SearchKey, SearchReturn};
use imap_session::response::{self, Code};
use std::sync::Arc;

/// Keys asked of messages, one by one, before others have a turn.
const STRIDE: usize = 64 * 1024;

/// What a search found.
pub(crate) struct Found {
    /// Ascending.
    pub(crate) messages: Vec<Message>,
    /// Messages of which it could not be told, because they cannot be read.
    pub(crate) unreadable: u64,
    /// What is to be told when not all were searched.
    pub(crate) cut: Option<Code>,
}

impl Found {
    /// Refuses what was cut: an order of some messages, or threads of them, says nothing of the others (RFC 9738 §3.3).
    pub(crate) fn whole(self) -> Result<Self, Failure> {
        const TEXT: &str = "Too many messages to be put in order at one time; name fewer by UID";
        match self.cut {
            None => Ok(self),
            Some(Code::MessageLimit(limit, _)) => {
                Err(Failure::No(Some(Code::MessageLimit(limit, None)), TEXT))
            }
            Some(code) => Err(Failure::No(Some(code), TEXT)),
        }
    }

    /// How the command ends. What a message does not tell is not a no: a client would take it for one.
    pub(crate) fn ended(&self, completed: &'static str) -> Answer {
        const TEXT: &str =
            "Some messages could not be read, and are not among those told; please tell the administrator";
        if self.unreadable == 0 {
            Ok(Done::new(completed))
        } else {
            Err(Failure::No(Some(Code::ContactAdmin), TEXT))
        }
    }
}

impl Connection {
    /// SEARCH.
    pub(crate) async fn search(&mut self, tag: &str, arguments: SearchArguments) -> Answer {
        let SearchArguments { by_uid, charset, returning, criteria } = arguments;
        // RFC 9051 §6.4.4: IMAP4rev2 has no other answer than ESEARCH.
        let is_rev2 = self.enabled.has(Extension::ImapRev2);
        let returning = returning.or(is_rev2.then(|| SearchReturn { all: true, ..SearchReturn::default() }));
        let asks_modseq = criteria.names_modseq();
        if asks_modseq {
            self.turn_on(Extension::CondStore);
        }
        let found = self.matching(tag, charset.as_deref(), criteria).await;
        let mut found = self.found_or_forgotten(returning, found)?;
        match returning {
            Some(returning) => self.return_found(tag, by_uid, returning, &found.messages, asks_modseq),
            None => {
                let highest = self.highest_modseq(&found.messages).filter(|_| asks_modseq);
                response::search(&mut self.wire.out, &numbers(&found.messages, by_uid), highest);
            }
        }
        self.forgotten_if_incomplete(returning, &found);
        let cut = found.cut.take();
        self.cut_short(cut, found.ended("SEARCH completed"))
    }

    /// The messages of the selected folder for which the criteria hold, by sequence number. It ends when its client is gone, or may read no more.
    pub(crate) async fn matching(
        &mut self,
        tag: &str,
        charset: Option<&str>,
        criteria: SearchKey,
    ) -> Result<Found, Failure> {
        if charset.is_some_and(|name| !charset::is_known(name)) {
            return Err(Failure::No(Some(Code::BadCharset), "Unknown charset"));
        }
        let (selected, shared, attending) = self.at_work()?;
        let (now, engine) = (shared.store.now(), shared.search.clone());
        let key = Arc::new(Key::new(criteria, selected, now, engine.folding));
        let progress = Arc::new(Progress::of(selected.view.len().into()));
        let keys = (key, selected.key.clone());
        let store = shared.store.clone();
        let search = TextSearch::new(engine, store, selected.folder, keys, progress.clone());
        let searching = found_in(selected, search, shared.message_limit);
        let worked = attending.to(tag, &progress, searching).await;
        let (Outcome { found, unreadable }, cut) = self.after_work(worked).await??;
        self.shared.metrics.unreadable.inc_by(unreadable);
        Ok(Found { messages: found, unreadable, cut })
    }
}

async fn found_in(
    selected: &Selected,
    search: TextSearch,
    limit: Option<u32>,
) -> Result<(Outcome, Option<Code>), Failure> {
    let mut outcome = Outcome::default();
    let mut asked = by_view(selected, &search.key, &mut outcome.found).await;
    let excess = excess(selected, &search.key, limit).await;
    if let Some((_, lowest)) = excess {
        outcome.found.retain(|(_, uid)| *uid >= lowest);
        asked.retain(|message| message.entry.uid >= lowest);
    }
    search.decided((selected.view.len() as usize).saturating_sub(asked.len()));
    search.run(asked, &mut outcome).await?;
    outcome.found.sort_unstable();
    Ok((outcome, excess.map(|(limit, lowest)| Code::MessageLimit(limit, Some(lowest)))))
}

/// Whether more messages are searched than the limit lets: all that are not ruled out by their place, found or not (RFC 9738 §3.1).
async fn excess(selected: &Selected, key: &Key, limit: Option<u32>) -> Option<(u32, u32)> {
    let view = &selected.view;
    limit.filter(|limit| *limit < view.len())?;
    let (mut searched, stride) = (Vec::new(), stride(key));
    for (seq, entry) in (1..).zip(view.entries()) {
        if (seq as usize).is_multiple_of(stride) {
            tokio::task::yield_now().await;
        }
        if !view.is_gone(entry.uid) && key.holds_at((seq, entry.uid)) != Some(false) {
            searched.push((seq, entry.uid));
        }
    }
    exceeded(limit, &searched)
}

/// What the session knows decides; the rest is returned.
async fn by_view(selected: &Selected, key: &Key, found: &mut Vec<Message>) -> Vec<Asked> {
    let mut undecided = Vec::new();
    let view = &selected.view;
    let (gone, stride) = (view.has_pending_expunges(), stride(key));
    for (seq, entry) in (1..).zip(view.entries()) {
        if (seq as usize).is_multiple_of(stride) {
            tokio::task::yield_now().await;
        }
        if gone && view.is_gone(entry.uid) {
            continue;
        }
        let facts = Facts { seq, entry: &entry, row: None, structure: None, signature: None, text: None };
        match key.holds(&facts) {
            Some(true) => found.push((seq, entry.uid)),
            Some(false) => {}
            None => undecided.push(Asked { seq, entry, row: None, structure: None }),
        }
    }
    undecided
}

/// Messages that are judged by what is in memory before others have a turn.
pub(crate) fn stride(key: &Key) -> usize {
    (STRIDE / key.count().max(1)).clamp(16, 4096)
}
