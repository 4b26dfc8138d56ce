//! What rows, structures and texts say of messages: of the texts their signatures first, which rule most out, then the extracts of the few that are left,
//! and the messages themselves where there is no extract.
//!
//! Pages are read and opened a few at a time, each on a thread of its own, in turn with those of other sessions: a long search takes the
//! processors and the readers of the database from nobody. What was found of a page is all that is kept of it.

use crate::attending::Progress;
use crate::search::stride;
use crate::search_content;
use crate::search_key::{Depth, Facts, Key, RowFacts, StructureFacts, Text};
use crate::search_memory::{Gathering, Kept, Known};
use crate::search_return::Message;
use crate::sets::page_len;
use crate::state::Failure;
use imap_session::view::Entry;
use mail_types::{FolderId, Uid};
use message::extract::{Extract, Folding, Signature};
use message::structure::Structure;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{BodyKeys, ContentKey, Error, MailboxKey, MessageRow, SearchRow, Searched, Store, WithBody};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Pages of one search that are under way at one time.
const PAGES_MAX: usize = 2;
const UNREADABLE: Error = Error::Inconsistent("the text extract is not readable");
/// Of the memory, the part that headlines may have is one in so many.
const HEADLINES_PART: usize = 4;

/// What is read of the messages of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Rows,
    Structures,
    Signatures,
    Headers,
    Extracts,
    /// The messages themselves.
    Content,
}

impl Looked {
    /// Messages of one page, and numbers passed over between two of them where they are read as a range.
    fn page_bounds(self) -> (u32, u32) {
        match self {
            Self::Rows => (512, 16),
            Self::Structures => (256, 4),
            // Each has 64 KiB at most; longer texts of headers come with the extracts.
            Self::Signatures | Self::Headers => (256, u32::MAX),
            // Each may be as long as an extract may be: two mebibytes.
            Self::Extracts => (32, u32::MAX),
            // Each may be as long as a message may be, and others wait for the turn.
            Self::Content => (4, 0),
        }
    }
}

/// Rows of a page.
enum Rows {
    Messages(Vec<MessageRow>),
    Searched(Vec<SearchRow>),
}

/// Whether a search has ended: nobody waits any more for what it finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<AtomicBool>);

impl Ending {
    pub(crate) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends the work of a search when it is dropped.
struct EndsWith(Ending);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// What all searches of a process share.
#[derive(Clone, Debug)]
pub struct SearchEngine {
    pub(crate) folding: Folding,
    signatures: Arc<Kept<Signature>>,
    headlines: Arc<Kept<Extract>>,
    turns: Arc<Semaphore>,
}

impl SearchEngine {
    /// Searches by that folding, keeps of messages at most so many octets in memory, and works on at most so many pages at one time.
    pub fn new(folding: Folding, memory_max: usize, turns: usize) -> Self {
        Self {
            folding,
            signatures: Arc::new(Kept::new(memory_max - memory_max / HEADLINES_PART)),
            headlines: Arc::new(Kept::new(memory_max / HEADLINES_PART)),
            turns: Arc::new(Semaphore::new(turns.max(1))),
        }
    }
}

/// A message that is not decided, with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) seq: u32,
    pub(crate) entry: Entry,
    pub(crate) row: Option<RowFacts>,
    pub(crate) structure: Option<StructureFacts>,
}

impl Asked {
    fn message(&self) -> Message {
        (self.seq, self.entry.uid)
    }

    fn facts(&self) -> Facts<'_> {
        let Self { seq, entry, row, structure } = self;
        Facts { seq: *seq, entry, row: *row, structure: *structure, signature: None, text: None }
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
    headlines: Vec<(u32, Arc<Extract>)>,
}

/// What a search found.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Messages for which the criteria hold.
    pub(crate) found: Vec<Message>,
    pub(crate) unreadable: u64,
}

/// A search among the messages of one folder.
pub(crate) struct TextSearch {
    pub(crate) key: Arc<Key>,
    engine: SearchEngine,
    store: Store,
    folder: FolderId,
    mailbox_key: MailboxKey,
    /// Identifiers are made of messages, because some are looked for.
    names_objects: bool,
    progress: Arc<Progress>,
    ending: Ending,
}

impl TextSearch {
    pub(crate) fn new(
        engine: SearchEngine,
        store: Store,
        folder: FolderId,
        (key, mailbox_key): (Arc<Key>, MailboxKey),
        progress: Arc<Progress>,
    ) -> Self {
        let names_objects = key.names_objects();
        let ending = Ending::default();
        Self { key, engine, store, folder, mailbox_key, names_objects, progress, ending }
    }

    /// So many messages are decided already.
    pub(crate) fn decided(&self, count: usize) {
        self.progress.add(count as u64);
    }

    /// Decides the messages. Dropped, it ends: what works on a page gives its turn back once it does no more.
    pub(crate) async fn run(self, asked: Vec<Asked>, outcome: &mut Outcome) -> Result<(), Failure> {
        let _ends = EndsWith(self.ending.clone());
        let search = Arc::new(self);
        let key = &search.key;
        let mut left = asked;
        for (depth, looked) in [(Depth::Row, Looked::Rows), (Depth::Structure, Looked::Structures)] {
            if key.looks_at(depth) {
                left = search.clone().by(looked, left, outcome).await?;
            }
        }
        if key.is_told_by_signatures() {
            left = search.clone().by_signature(left, outcome).await?;
        }
        if key.looks_at_headlines() {
            left = search.by_headline(left, outcome).await;
        }
        if key.looks_at_fields() {
            left = search.clone().by(Looked::Headers, left, outcome).await?;
        }
        for looked in [Looked::Extracts, Looked::Content] {
            left = search.clone().by(looked, left, outcome).await?;
        }
        Ok(())
    }

    /// Those that are not decided by that.
    async fn by(
        self: Arc<Self>,
        looked: Looked,
        asked: Vec<Asked>,
        outcome: &mut Outcome,
    ) -> Result<Vec<Asked>, Failure> {
        let mut left = Vec::new();
        let mut headlines = Gathering::new(&self.engine.headlines, self.folder);
        let mut pages = Pages::new(self.clone(), asked, looked);
        while let Some(page) = pages.next().await? {
            headlines.add(page.headlines);
            self.take(page.verdicts, outcome, &mut left);
        }
        headlines.share();
        // Pages are done in any order.
        left.sort_unstable_by_key(|asked: &Asked| asked.seq);
        Ok(left)
    }

    /// Those that their signatures do not decide.
    async fn by_signature(
        self: Arc<Self>,
        asked: Vec<Asked>,
        outcome: &mut Outcome,
    ) -> Result<Vec<Asked>, Failure> {
        let known = self.engine.signatures.of(self.folder);
        let with = |message: &Asked, signature: &Signature| {
            self.key.holds(&Facts { signature: Some(signature), ..message.facts() })
        };
        let (mut left, unknown) = self.by_what_is_known(asked, &known, with, outcome).await;
        drop(known);
        let mut signatures = Gathering::new(&self.engine.signatures, self.folder);
        let mut pages = Pages::new(self.clone(), unknown, Looked::Signatures);
        while let Some(page) = pages.next().await? {
            signatures.add(page.signatures);
            self.take(page.verdicts, outcome, &mut left);
        }
        signatures.share();
        left.sort_unstable_by_key(|asked: &Asked| asked.seq);
        Ok(left)
    }

    /// Those that the headlines in memory do not decide.
    async fn by_headline(&self, asked: Vec<Asked>, outcome: &mut Outcome) -> Vec<Asked> {
        let known = self.engine.headlines.of(self.folder);
        let with = |message: &Asked, headline: &Extract| {
            self.key.holds(&Facts { text: Some(Text::Headline(headline)), ..message.facts() })
        };
        let (mut left, unknown) = self.by_what_is_known(asked, &known, with, outcome).await;
        left.extend(unknown);
        left.sort_unstable_by_key(|asked: &Asked| asked.seq);
        left
    }

    /// Those that are not decided by what is known of them, and those of which nothing is.
    async fn by_what_is_known<T>(
        &self,
        asked: Vec<Asked>,
        known: &Known<T>,
        holds: impl Fn(&Asked, &T) -> Option<bool>,
        outcome: &mut Outcome,
    ) -> (Vec<Asked>, Vec<Asked>) {
        let (mut left, mut unknown, stride) = (Vec::new(), Vec::new(), stride(&self.key));
        for (at, message) in asked.into_iter().enumerate() {
            if at % stride == stride - 1 {
                tokio::task::yield_now().await;
            }
            match found(known, message.entry.uid) {
                None => unknown.push(message),
                Some(kept) => {
                    let verdict = holds(&message, kept).map_or(Verdict::Open, Verdict::Decided);
                    self.take([(message, verdict)], outcome, &mut left);
                }
            }
        }
        (left, unknown)
    }

    fn take(
        &self,
        verdicts: impl IntoIterator<Item = (Asked, Verdict)>,
        outcome: &mut Outcome,
        open: &mut Vec<Asked>,
    ) {
        for (asked, verdict) in verdicts {
            match verdict {
                Verdict::Open => {
                    open.push(asked);
                    continue;
                }
                Verdict::Decided(true) => outcome.found.push(asked.message()),
                Verdict::Decided(false) => {}
                Verdict::Unreadable => outcome.unreadable += 1,
            }
            self.progress.add(1);
        }
    }

    /// Reads a page and judges its messages, when it is its turn. The turn lasts as long as the work, whoever still waits for it.
    async fn page(self: Arc<Self>, asked: Vec<Asked>, looked: Looked) -> Result<Page, Failure> {
        let turn = self.engine.turns.clone().acquire_owned().await.map_err(|_| Error::Closing)?;
        let rows = self.rows(&asked, looked).await?;
        let handle = Handle::current();
        let judge = move || {
            let page = self.judge(asked, rows, looked, &handle);
            drop(turn);
            page
        };
        Ok(tokio::task::spawn_blocking(judge).await.map_err(|_| Error::Closing)?)
    }

    async fn rows(&self, asked: &[Asked], looked: Looked) -> Result<Rows, Failure> {
        let with = match looked {
            Looked::Rows => WithBody::No,
            Looked::Structures => WithBody::Structure,
            Looked::Content => WithBody::Content,
            Looked::Signatures => return self.searched(asked, Searched::Signatures).await,
            Looked::Headers => return self.searched(asked, Searched::Headers).await,
            Looked::Extracts => return self.searched(asked, Searched::Extracts).await,
        };
        let (Some(first), Some(last)) = (asked.first(), asked.last()) else {
            return Ok(Rows::Messages(Vec::new()));
        };
        let (first, last) = (Uid(first.entry.uid), Uid(last.entry.uid));
        let (span, _) = looked.page_bounds();
        Ok(Rows::Messages(self.store.messages(self.folder, first, last, span, with).await?))
    }

    async fn searched(&self, asked: &[Asked], kind: Searched) -> Result<Rows, Failure> {
        let uids: Vec<Uid> = asked.iter().map(|message| Uid(message.entry.uid)).collect();
        Ok(Rows::Searched(self.store.search_rows(self.folder, &uids, kind).await?))
    }

    fn judge(&self, asked: Vec<Asked>, rows: Rows, looked: Looked, handle: &Handle) -> Page {
        let mut page = Page::default();
        let (mut messages, texts) = match rows {
            Rows::Messages(rows) => (rows, Vec::new()),
            Rows::Searched(rows) => (Vec::new(), rows),
        };
        let keys = self.mailbox_key.unwrapping();
        for mut message in asked {
            if self.ending.has_come() {
                break;
            }
            let uid = message.entry.uid;
            let row = messages.binary_search_by_key(&uid, |row| row.uid.0).ok();
            let row = row.and_then(|at| messages.get_mut(at));
            let text = texts.binary_search_by_key(&uid, |row| row.uid.0).ok();
            let judged = match (looked, row, text.and_then(|at| texts.get(at))) {
                (Looked::Rows, Some(row), _) => Ok(self.by_its_row(&mut message, row)),
                (Looked::Structures, Some(row), _) => self.by_its_structure(&mut message, row, &keys),
                (Looked::Content, Some(row), _) => handle.block_on(self.by_its_content(&mut message, row)),
                (Looked::Signatures, _, Some(row)) => {
                    self.by_its_signature(&message, row, &keys, &mut page.signatures)
                }
                (Looked::Headers, _, Some(row)) => {
                    self.by_its_header(&message, row, &keys, &mut page.headlines)
                }
                (Looked::Extracts, _, Some(row)) => self.by_its_extract(&message, row, &keys),
                // A message that is no more is not found.
                _ => continue,
            };
            let verdict = judged.unwrap_or_else(|error| {
                tracing::error!(folder = %self.folder, uid, %error, "a message could not be searched");
                Verdict::Unreadable
            });
            page.verdicts.push((message, verdict));
        }
        page
    }

    fn by_its_row(&self, message: &mut Asked, row: &MessageRow) -> Verdict {
        message.row = Some(RowFacts {
            size: row.size.into(),
            internal_secs: row.internal_date.secs(),
            saved_secs: row.saved_at.secs(),
            email_id: self.names_objects.then(|| self.mailbox_key.content_name(row.body)),
        });
        self.key.holds(&message.facts()).map_or(Verdict::Open, Verdict::Decided)
    }

    fn by_its_structure(
        &self,
        message: &mut Asked,
        row: &mut MessageRow,
        keys: &BodyKeys<'_>,
    ) -> Result<Verdict, Error> {
        let key = keys.unwrap(row.body, &row.wrapped_key)?;
        message.structure = Some(self.told_by(&structure(row, &key)?));
        Ok(self.by_its_row(message, row))
    }

    fn told_by(&self, structure: &Structure) -> StructureFacts {
        let root = if self.names_objects { structure.thread_root() } else { None };
        let thread_id = root.map(|root| self.mailbox_key.thread_name(&root));
        StructureFacts { sent_day: structure.sent_date(), thread_id }
    }

    async fn by_its_content(&self, message: &mut Asked, row: &mut MessageRow) -> Result<Verdict, Error> {
        let key = self.mailbox_key.unwrap(row.body, &row.wrapped_key)?;
        let structure = structure(row, &key)?;
        message.structure = Some(self.told_by(&structure));
        if let Verdict::Decided(holds) = self.by_its_row(message, row) {
            return Ok(Verdict::Decided(holds));
        }
        let mut reader = self.store.content(row, &key).await?;
        let look = (&*self.key, self.engine.folding);
        let holds = search_content::holds(&mut reader, &structure, look, message.facts(), &self.ending);
        Ok(Verdict::Decided(holds.await?))
    }

    fn by_its_signature(
        &self,
        message: &Asked,
        row: &SearchRow,
        keys: &BodyKeys<'_>,
        signatures: &mut Vec<(u32, Arc<Signature>)>,
    ) -> Result<Verdict, Error> {
        let opened = if row.is_there() { row.signature(&content_key(row, keys)?)? } else { None };
        let Some(stored) = opened else { return Ok(Verdict::Open) };
        let signature = Signature::decode(&stored)
            .map_err(|_| Error::Inconsistent("the signature of a text is not readable"))?;
        let verdict = self.key.holds(&Facts { signature: Some(&signature), ..message.facts() });
        signatures.push((row.uid.0, Arc::new(signature)));
        Ok(verdict.map_or(Verdict::Open, Verdict::Decided))
    }

    fn by_its_header(
        &self,
        message: &Asked,
        row: &SearchRow,
        keys: &BodyKeys<'_>,
        headlines: &mut Vec<(u32, Arc<Extract>)>,
    ) -> Result<Verdict, Error> {
        let opened = if row.is_there() { row.header(&content_key(row, keys)?)? } else { None };
        let Some(header) = opened else { return Ok(Verdict::Open) };
        let header = Extract::decode_header(header).map_err(|_| UNREADABLE)?.opened(self.engine.folding);
        headlines.push((row.uid.0, Arc::new(header.headline())));
        let facts = Facts { text: Some(Text::Header(&header)), ..message.facts() };
        Ok(self.key.holds(&facts).map_or(Verdict::Open, Verdict::Decided))
    }

    fn by_its_extract(
        &self,
        message: &Asked,
        row: &SearchRow,
        keys: &BodyKeys<'_>,
    ) -> Result<Verdict, Error> {
        if !row.is_there() {
            return Ok(Verdict::Open);
        }
        let key = content_key(row, keys)?;
        let (Some(header), Some(body)) = (row.header(&key)?, row.body_text(&key)?) else {
            return Ok(Verdict::Open);
        };
        let extract = Extract::decode(header, body).map_err(|_| UNREADABLE)?.opened(self.engine.folding);
        let facts = Facts { text: Some(Text::Extract(&extract)), ..message.facts() };
        Ok(Verdict::Decided(self.key.holds(&facts).unwrap_or(false)))
    }
}

fn content_key(row: &SearchRow, keys: &BodyKeys<'_>) -> Result<ContentKey, Error> {
    keys.unwrap(row.body(), row.wrapped_key())
}

fn structure(row: &mut MessageRow, key: &ContentKey) -> Result<Structure, Error> {
    Structure::decode(&row.take_structure(key)?)
        .map_err(|_| Error::Inconsistent("the structure is not readable"))
}

fn found<T>(known: &Known<T>, uid: u32) -> Option<&T> {
    let at = known.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
    known.get(at).map(|(_, kept)| &**kept)
}

/// The pages of a search, some of them under way. Dropped, they end.
struct Pages {
    search: Arc<TextSearch>,
    looked: Looked,
    left: std::vec::IntoIter<Asked>,
    under_way: JoinSet<Result<Page, Failure>>,
}

impl Pages {
    fn new(search: Arc<TextSearch>, asked: Vec<Asked>, looked: Looked) -> Self {
        Self { search, looked, left: asked.into_iter(), under_way: JoinSet::new() }
    }

    /// The next that is done.
    async fn next(&mut self) -> Result<Option<Page>, Failure> {
        while self.under_way.len() < PAGES_MAX && self.left.len() > 0 {
            let count = self.page_len();
            let page: Vec<Asked> = self.left.by_ref().take(count).collect();
            self.under_way.spawn(self.search.clone().page(page, self.looked));
        }
        match self.under_way.join_next().await {
            None => Ok(None),
            Some(Ok(page)) => page.map(Some),
            Some(Err(_)) => Err(Error::Closing.into()),
        }
    }

    fn page_len(&self) -> usize {
        let (span, gap) = self.looked.page_bounds();
        let longest = usize::try_from(span).unwrap_or(usize::MAX);
        let left = self.left.as_slice().get(..longest).unwrap_or(self.left.as_slice());
        if gap == u32::MAX {
            return left.len();
        }
        let numbers: Vec<Message> = left.iter().map(Asked::message).collect();
        page_len(&numbers, span, gap).max(1)
    }
}
