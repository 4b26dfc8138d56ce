//! The texts of messages: their signatures first, which rule most out, then the extracts of the few that are left.
//!
//! Pages are read and opened a few at a time, each on a thread of its own, in turn with those of other sessions: a long search takes the
//! processors and the readers of the database from nobody. What was found of a page is all that is kept of it.

use crate::search_key::{Facts, Key, RowFacts};
use crate::search_signatures::{Known, Signatures};
use crate::state::Failure;
use imap_session::view::Entry;
use mail_types::{FolderId, Uid};
use message::extract::{Extract, Folding, Signature};
use std::sync::Arc;
use store::{ContentKey, Error, MailboxKey, SearchRow, Searched, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Pages of one search that are under way at one time.
const PAGES_MAX: usize = 2;
/// Signatures of one page.
const SIGNATURES: usize = 256;
/// Extracts of one page: each may be as long as an extract may be.
const EXTRACTS: usize = 32;
/// Messages that are judged by what is in memory before others have a turn.
const STRIDE: usize = 4096;
/// Octets of signatures that are gathered before they are shared.
const GATHERED_MAX: usize = 8 * 1024 * 1024;

/// What all searches of a process share.
#[derive(Clone, Debug)]
pub struct SearchEngine {
    pub(crate) folding: Folding,
    signatures: Arc<Signatures>,
    turns: Arc<Semaphore>,
}

impl SearchEngine {
    /// Searches by that folding, keeps signatures of at most so many octets, and works on at most so many pages at one time.
    pub fn new(folding: Folding, memory_max: usize, turns: usize) -> Self {
        Self {
            folding,
            signatures: Arc::new(Signatures::new(memory_max)),
            turns: Arc::new(Semaphore::new(turns.max(1))),
        }
    }
}

/// A message whose text is asked for, with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) seq: u32,
    pub(crate) entry: Entry,
    pub(crate) row: Option<RowFacts>,
    pub(crate) sent_day: Option<Option<i64>>,
}

impl Asked {
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            seq: self.seq,
            entry: &self.entry,
            row: self.row,
            sent_day: self.sent_day,
            signature: None,
            extract: None,
        }
    }
}

/// What became of a message on a page.
enum Verdict {
    Decided(bool),
    /// More must be known of it.
    Open,
    Unreadable,
}

/// What a page gave.
#[derive(Default)]
struct Page {
    verdicts: Vec<(Asked, Verdict)>,
    signatures: Vec<(u32, Arc<Signature>)>,
}

/// What the texts of messages gave.
#[derive(Default)]
pub(crate) struct Outcome {
    /// For which the criteria hold.
    pub(crate) found: Vec<Asked>,
    /// That have no extract.
    pub(crate) without: Vec<Asked>,
    pub(crate) unreadable: u64,
}

/// A search among the texts of one folder.
pub(crate) struct TextSearch {
    pub(crate) engine: SearchEngine,
    pub(crate) store: Store,
    pub(crate) folder: FolderId,
    pub(crate) key: Arc<Key>,
    pub(crate) mailbox_key: MailboxKey,
}

impl TextSearch {
    /// Decides what can be decided without the messages themselves. Dropped, it ends at once.
    pub(crate) async fn run(self, asked: Vec<Asked>) -> Result<Outcome, Failure> {
        let search = Arc::new(self);
        let mut outcome = Outcome::default();
        let left = if search.key.is_told_by_signatures() {
            search.clone().by_signature(asked, &mut outcome).await?
        } else {
            asked
        };
        search.by_extract(left, &mut outcome).await?;
        Ok(outcome)
    }

    /// Those that their signatures do not decide.
    async fn by_signature(
        self: Arc<Self>,
        asked: Vec<Asked>,
        outcome: &mut Outcome,
    ) -> Result<Vec<Asked>, Failure> {
        let known = self.engine.signatures.of(self.folder);
        let (mut left, mut unknown) = (Vec::new(), Vec::new());
        for (at, message) in asked.into_iter().enumerate() {
            if at % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
            }
            match signature_of(&known, message.entry.uid) {
                None => unknown.push(message),
                Some(signature) => {
                    match self.key.holds(&Facts { signature: Some(signature), ..message.facts() }) {
                        Some(true) => outcome.found.push(message),
                        Some(false) => {}
                        None => left.push(message),
                    }
                }
            }
        }
        drop(known);
        self.read_signatures(unknown, &mut left, outcome).await?;
        Ok(left)
    }

    async fn read_signatures(
        self: Arc<Self>,
        unknown: Vec<Asked>,
        left: &mut Vec<Asked>,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let mut gathered = Vec::new();
        let mut octets = 0;
        let mut pages = Pages::new(self.clone(), unknown, Searched::Signatures, SIGNATURES);
        while let Some(page) = pages.next().await? {
            octets += page.signatures.iter().map(|(_, signature)| signature.octets()).sum::<usize>();
            gathered.extend(page.signatures);
            if octets > GATHERED_MAX {
                self.share(std::mem::take(&mut gathered));
                octets = 0;
            }
            outcome.take(page.verdicts, left);
        }
        self.share(gathered);
        Ok(())
    }

    fn share(&self, mut gathered: Vec<(u32, Arc<Signature>)>) {
        if !gathered.is_empty() {
            gathered.sort_unstable_by_key(|(uid, _)| *uid);
            self.engine.signatures.add(self.folder, gathered);
        }
    }

    async fn by_extract(self: Arc<Self>, asked: Vec<Asked>, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut without = Vec::new();
        let mut pages = Pages::new(self, asked, Searched::Extracts, EXTRACTS);
        while let Some(page) = pages.next().await? {
            outcome.take(page.verdicts, &mut without);
        }
        outcome.without = without;
        Ok(())
    }

    /// Reads a page and judges its messages, when it is its turn.
    async fn page(self: Arc<Self>, asked: Vec<Asked>, kind: Searched) -> Result<Page, Failure> {
        let _turn = self.engine.turns.clone().acquire_owned().await.map_err(|_| Error::Closing)?;
        let uids: Vec<Uid> = asked.iter().map(|message| Uid(message.entry.uid)).collect();
        let rows = self.store.search_rows(self.folder, &uids, kind).await?;
        let judge = move || self.judge(asked, &rows, kind);
        Ok(tokio::task::spawn_blocking(judge).await.map_err(|_| Error::Closing)?)
    }

    fn judge(&self, asked: Vec<Asked>, rows: &[SearchRow], kind: Searched) -> Page {
        let mut page = Page::default();
        for message in asked {
            let uid = message.entry.uid;
            // A message that is no more is not found.
            let Ok(at) = rows.binary_search_by_key(&uid, |row| row.uid.0) else { continue };
            let judged = match kind {
                Searched::Signatures => self.by_its_signature(&message, &rows[at], &mut page.signatures),
                Searched::Extracts => self.by_its_extract(&message, &rows[at]),
            };
            let verdict = judged.unwrap_or_else(|error| {
                tracing::error!(folder = %self.folder, uid, %error, "a message could not be searched");
                Verdict::Unreadable
            });
            page.verdicts.push((message, verdict));
        }
        page
    }

    fn content_key(&self, row: &SearchRow) -> Result<ContentKey, Error> {
        self.mailbox_key.unwrap(row.body(), row.wrapped_key())
    }

    fn by_its_signature(
        &self,
        message: &Asked,
        row: &SearchRow,
        signatures: &mut Vec<(u32, Arc<Signature>)>,
    ) -> Result<Verdict, Error> {
        let opened = if row.is_there() { row.open(&self.content_key(row)?)? } else { None };
        let Some(stored) = opened else { return Ok(Verdict::Open) };
        let signature = Signature::decode(&stored)
            .map_err(|_| Error::Inconsistent("the signature of a text is not readable"))?;
        let verdict = self.key.holds(&Facts { signature: Some(&signature), ..message.facts() });
        signatures.push((row.uid.0, Arc::new(signature)));
        Ok(verdict.map_or(Verdict::Open, Verdict::Decided))
    }

    fn by_its_extract(&self, message: &Asked, row: &SearchRow) -> Result<Verdict, Error> {
        let opened = if row.is_there() { row.open(&self.content_key(row)?)? } else { None };
        let Some(stored) = opened else { return Ok(Verdict::Open) };
        let extract = Extract::decode(stored)
            .map_err(|_| Error::Inconsistent("the text extract is not readable"))?
            .opened(self.engine.folding);
        let facts = Facts { extract: Some(&extract), ..message.facts() };
        Ok(Verdict::Decided(self.key.holds(&facts).unwrap_or(false)))
    }
}

impl Outcome {
    fn take(&mut self, verdicts: Vec<(Asked, Verdict)>, open: &mut Vec<Asked>) {
        for (message, verdict) in verdicts {
            match verdict {
                Verdict::Decided(true) => self.found.push(message),
                Verdict::Decided(false) => {}
                Verdict::Open => open.push(message),
                Verdict::Unreadable => self.unreadable += 1,
            }
        }
    }
}

fn signature_of(known: &Known, uid: u32) -> Option<&Signature> {
    let at = known.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
    known.get(at).map(|(_, signature)| &**signature)
}

/// The pages of a search, some of them under way. Dropped, they end.
struct Pages {
    search: Arc<TextSearch>,
    kind: Searched,
    size: usize,
    left: std::vec::IntoIter<Asked>,
    under_way: JoinSet<Result<Page, Failure>>,
}

impl Pages {
    fn new(search: Arc<TextSearch>, asked: Vec<Asked>, kind: Searched, size: usize) -> Self {
        Self { search, kind, size, left: asked.into_iter(), under_way: JoinSet::new() }
    }

    /// The next that is done.
    async fn next(&mut self) -> Result<Option<Page>, Failure> {
        while self.under_way.len() < PAGES_MAX && self.left.len() > 0 {
            let page: Vec<Asked> = self.left.by_ref().take(self.size).collect();
            self.under_way.spawn(self.search.clone().page(page, self.kind));
        }
        match self.under_way.join_next().await {
            None => Ok(None),
            Some(Ok(page)) => page.map(Some),
            Some(Err(_)) => Err(Error::Closing.into()),
        }
    }
}
