//! SEARCH (RFC 3501 §6.4.4): from what costs little to what costs much, each pass only over what the one before could not decide.

use crate::search_content::Content;
use crate::search_key::{Depth, Facts, Key, RowFacts, Unsupported};
use crate::search_return::{Message, numbers};
use crate::sets::page_len;
use crate::state::{Answer, Connection, Done, Failure, Selected};
use imap_session::charset;
use imap_session::command::{SearchArguments, SearchKey};
use imap_session::response::{self, Code};
use mail_types::Uid;
use message::structure::Structure;
use store::{MessageRow, Store, WithBody};

impl Connection {
    /// SEARCH.
    pub(crate) async fn search(&mut self, tag: &str, arguments: SearchArguments) -> Answer {
        let SearchArguments { by_uid, charset, returning, criteria } = arguments;
        let found = self.matching(charset.as_deref(), criteria).await;
        let found = self.found_or_forgotten(returning, found)?;
        match returning {
            Some(returning) => self.return_found(tag, by_uid, returning, &found),
            None => response::search(&mut self.wire.out, &numbers(&found, by_uid)),
        }
        Ok(Done::new("SEARCH completed"))
    }

    /// The messages of the selected folder for which the criteria hold, by sequence number.
    pub(crate) async fn matching(
        &mut self,
        charset: Option<&str>,
        criteria: SearchKey,
    ) -> Result<Vec<Message>, Failure> {
        const NO_CONDSTORE: Failure = Failure::Bad("CONDSTORE is not offered");
        if charset.is_some_and(|name| !charset::is_known(name)) {
            return Err(Failure::No(Some(Code::BadCharset), "Unknown charset"));
        }
        let selected = self.selected()?;
        let key =
            Key::new(criteria, selected, self.shared.store.now()).map_err(|Unsupported| NO_CONDSTORE)?;
        let mut search =
            Search { selected, store: &self.shared.store, key, found: Vec::new(), unreadable: 0 };
        search.run().await?;
        let Search { mut found, unreadable, .. } = search;
        self.shared.metrics.unreadable.inc_by(unreadable);
        found.sort_unstable();
        Ok(found)
    }
}

struct Search<'c> {
    selected: &'c Selected,
    store: &'c Store,
    key: Key,
    found: Vec<Message>,
    unreadable: u64,
}

impl Search<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut undecided = self.by_view();
        for (depth, with, span, gap) in [
            (Depth::Row, WithBody::No, 512, 16),
            (Depth::Structure, WithBody::Structure, 256, 4),
            (Depth::Text, WithBody::Content, 16, 0),
        ] {
            let is_useful = match depth {
                Depth::Text => self.key.depth() >= Depth::Header,
                depth => self.key.looks_at(depth),
            };
            if is_useful && !undecided.is_empty() {
                undecided = self.pass(&undecided, with, span, gap).await?;
            }
        }
        Ok(())
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
            let facts = Facts { seq, entry, row: None, sent_day: None, header: None, text: None };
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
        &self,
        (seq, uid): Message,
        row: &mut MessageRow,
        with: WithBody,
    ) -> Result<Option<bool>, store::Error> {
        let Some(entry) = self.selected.view.entry(uid) else { return Ok(Some(false)) };
        let row_facts = RowFacts {
            size: row.size.into(),
            internal_secs: row.internal_date.secs(),
            saved_secs: row.saved_at.secs(),
        };
        let mut facts = Facts { seq, entry, row: Some(row_facts), sent_day: None, header: None, text: None };
        if with == WithBody::No {
            return Ok(self.key.holds(&facts));
        }
        let key = self.selected.key.unwrap(row.body, &row.wrapped_key)?;
        let structure = Structure::decode(&row.structure(&key)?)
            .map_err(|_| store::Error::Inconsistent("the structure is not readable"))?;
        facts.sent_day = Some(structure.sent_date());
        if with == WithBody::Structure {
            return Ok(self.key.holds(&facts));
        }
        let mut content = Content::new(self.store.content(row, &key).await?, &structure);
        let header = content.header().await?;
        facts.header = Some(&header);
        if let Some(decided) = self.key.holds(&facts) {
            return Ok(Some(decided));
        }
        let text = content.texts().await?;
        facts.text = Some(&text);
        Ok(Some(self.key.holds(&facts).unwrap_or(false)))
    }
}
