//! SEARCH (RFC 3501 §6.4.4): from what costs little to what costs much, each pass only over what the one before could not decide.

use crate::enable::Extension;
use crate::search_content;
use crate::search_key::{Depth, Facts, Key, RowFacts};
use crate::search_return::{Message, numbers};
use crate::search_text::{Asked, SearchEngine, TextSearch};
use crate::sets::page_len;
use crate::state::{Answer, Connection, Done, Failure, NO_FOLDER, Selected};
use crate::transport::Wire;
use imap_session::charset;
use imap_session::command::{SearchArguments, SearchKey, SearchReturn};
use imap_session::decoder::Decoder;
use imap_session::response::{self, Code};
use mail_types::Uid;
use message::structure::Structure;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{MessageRow, Store, WithBody};

/// How long a search goes on for a client that said that it will say nothing more.
const AFTERMATH: Duration = Duration::from_secs(2);

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
        let found = self.matching(charset.as_deref(), criteria).await;
        let found = self.found_or_forgotten(returning, found)?;
        match returning {
            Some(returning) => self.return_found(tag, by_uid, returning, &found, asks_modseq),
            None => {
                let highest = self.highest_modseq(&found).filter(|_| asks_modseq);
                response::search(&mut self.wire.out, &numbers(&found, by_uid), highest);
            }
        }
        Ok(Done::new("SEARCH completed"))
    }

    /// The messages of the selected folder for which the criteria hold, by sequence number.
    pub(crate) async fn matching(
        &mut self,
        charset: Option<&str>,
        criteria: SearchKey,
    ) -> Result<Vec<Message>, Failure> {
        if charset.is_some_and(|name| !charset::is_known(name)) {
            return Err(Failure::No(Some(Code::BadCharset), "Unknown charset"));
        }
        let selected = self.selected.as_deref().ok_or(NO_FOLDER)?;
        let (now, folding) = (self.shared.store.now(), self.shared.search.folding);
        let mut search = Search {
            selected,
            store: &self.shared.store,
            engine: &self.shared.search,
            key: Arc::new(Key::new(criteria, selected, now, folding)),
            read: HashMap::new(),
            found: Vec::new(),
            unreadable: 0,
        };
        // A search is not for who is gone.
        tokio::select! {
            biased;
            done = search.run() => done?,
            () = until_gone(&mut self.wire, &mut self.decoder) => return Err(Failure::Lost),
        }
        let Search { mut found, unreadable, .. } = search;
        self.shared.metrics.unreadable.inc_by(unreadable);
        found.sort_unstable();
        Ok(found)
    }
}

struct Search<'c> {
    selected: &'c Selected,
    store: &'c Store,
    engine: &'c SearchEngine,
    key: Arc<Key>,
    /// What rows and structures said of messages, by UID, where texts are looked at afterwards.
    read: HashMap<u32, (RowFacts, Option<Option<i64>>)>,
    found: Vec<Message>,
    unreadable: u64,
}

impl Search<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut undecided = self.by_view();
        for (depth, with, span, gap) in
            [(Depth::Row, WithBody::No, 512, 16), (Depth::Structure, WithBody::Structure, 256, 4)]
        {
            if self.key.looks_at(depth) && !undecided.is_empty() {
                undecided = self.pass(&undecided, with, span, gap).await?;
            }
        }
        if undecided.is_empty() {
            return Ok(());
        }
        let without = self.by_text(&undecided).await?;
        self.pass(&without, WithBody::Content, 16, 0).await?;
        Ok(())
    }

    /// Signatures and extracts decide; messages that have none are returned.
    async fn by_text(&mut self, messages: &[Message]) -> Result<Vec<Message>, Failure> {
        let asked = messages.iter().filter_map(|(seq, uid)| self.asked(*seq, *uid)).collect();
        let search = TextSearch {
            engine: self.engine.clone(),
            store: self.store.clone(),
            folder: self.selected.folder,
            key: self.key.clone(),
            mailbox_key: self.selected.key.clone(),
        };
        let outcome = search.run(asked).await?;
        self.unreadable += outcome.unreadable;
        let message = |asked: Asked| (asked.seq, asked.entry.uid);
        self.found.extend(outcome.found.into_iter().map(message));
        let mut without: Vec<Message> = outcome.without.into_iter().map(message).collect();
        without.sort_unstable();
        Ok(without)
    }

    fn asked(&self, seq: u32, uid: u32) -> Option<Asked> {
        let entry = *self.selected.view.entry(uid)?;
        let read = self.read.get(&uid).copied();
        Some(Asked { seq, entry, row: read.map(|(row, _)| row), sent_day: read.and_then(|(_, day)| day) })
    }

    /// What the session knows decides; the rest is returned.
    fn by_view(&mut self) -> Vec<Message> {
        let mut undecided = Vec::new();
        let view = &self.selected.view;
        let gone = view.has_pending_expunges();
        for (seq, entry) in (1..).zip(view.entries()) {
            if gone && view.is_gone(entry.uid) {
                continue;
            }
            let facts = Facts { seq, entry, row: None, sent_day: None, signature: None, extract: None };
            match self.key.holds(&facts) {
                Some(true) => self.found.push((seq, entry.uid)),
                Some(false) => {}
                None => undecided.push((seq, entry.uid)),
            }
        }
        undecided
    }

    /// Reads more of each message; what is still undecided is returned.
    async fn pass(
        &mut self,
        messages: &[Message],
        with: WithBody,
        span: u32,
        gap: u32,
    ) -> Result<Vec<Message>, Failure> {
        let mut undecided = Vec::new();
        let mut rest = messages;
        while !rest.is_empty() {
            let (page, later) = rest.split_at(page_len(rest, span, gap).max(1));
            rest = later;
            let (Some((_, first)), Some((_, last))) = (page.first(), page.last()) else { break };
            let rows = self.store.messages(self.selected.folder, Uid(*first), Uid(*last), span, with).await?;
            let mut asked = page.iter().peekable();
            for mut row in rows {
                let uid = row.uid.0;
                while asked.next_if(|(_, each)| *each < uid).is_some() {}
                let Some(&message) = asked.next_if(|(_, each)| *each == uid) else { continue };
                match self.decide(message, &mut row, with).await {
                    Ok(Some(true)) => self.found.push(message),
                    Ok(Some(false)) => {}
                    Ok(None) => undecided.push(message),
                    Err(error) => {
                        tracing::error!(folder = %self.selected.folder, uid, %error, "a message could not be searched");
                        self.unreadable += 1;
                    }
                }
            }
        }
        Ok(undecided)
    }

    async fn decide(
        &mut self,
        (seq, uid): Message,
        row: &mut MessageRow,
        with: WithBody,
    ) -> Result<Option<bool>, store::Error> {
        let selected = self.selected;
        let Some(entry) = selected.view.entry(uid) else { return Ok(Some(false)) };
        let row_facts = RowFacts {
            size: row.size.into(),
            internal_secs: row.internal_date.secs(),
            saved_secs: row.saved_at.secs(),
        };
        let mut facts =
            Facts { seq, entry, row: Some(row_facts), sent_day: None, signature: None, extract: None };
        if with == WithBody::No {
            return Ok(self.known(uid, &facts));
        }
        let key = selected.key.unwrap(row.body, &row.wrapped_key)?;
        let structure = Structure::decode(&row.structure(&key)?)
            .map_err(|_| store::Error::Inconsistent("the structure is not readable"))?;
        facts.sent_day = Some(structure.sent_date());
        if with == WithBody::Structure {
            return Ok(self.known(uid, &facts));
        }
        let mut reader = self.store.content(row, &key).await?;
        let extract = search_content::read(&mut reader, &structure).await?.opened(self.engine.folding);
        facts.extract = Some(&extract);
        Ok(Some(self.key.holds(&facts).unwrap_or(false)))
    }

    /// What facts decide; where they do not, they are kept for when the text is looked at.
    fn known(&mut self, uid: u32, facts: &Facts<'_>) -> Option<bool> {
        let decided = self.key.holds(facts);
        if let (None, Depth::Text, Some(row)) = (decided, self.key.depth(), facts.row) {
            self.read.insert(uid, (row, facts.sent_day));
        }
        decided
    }
}

/// Ends when the client is gone. What it sends meanwhile waits in the decoder; once something came, nobody listens any more.
///
/// A client that has no more to say may still want its answer: it has [`AFTERMATH`] for it.
async fn until_gone(wire: &mut Wire, decoder: &mut Decoder) {
    match wire.read_into(decoder).await {
        Ok(0) => tokio::time::sleep(AFTERMATH).await,
        Ok(_) => std::future::pending().await,
        Err(_) => {}
    }
}
