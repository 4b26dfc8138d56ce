//! FETCH (RFC 3501 §6.4.5): pages that are read ahead, written message by message. No reader of the database is held while a client takes its octets.

use crate::binary::{self, Decoding};
use crate::enable::Extension;
use crate::fetch_ahead::{Opened, Pages, ReadAhead, Ready};
use crate::fetch_plan::Plan;
use crate::message_limit::{cut, exceeded};
use crate::preview;
use crate::section::{Place, clip, locate};
use crate::sets::uid_ranges;
use crate::standing::Watch;
use crate::state::{Answer, Connection, Done, Failure, GONE, Selected, keyword_names};
use crate::sync::learn_keywords;
use crate::transport::Wire;
use imap_session::command::{FetchArguments, FetchItem, Partial, Section};
use imap_session::response::{self, Code};
use imap_session::sequence::MessageSet;
use mail_types::{ModSeq, SystemFlags, Uid};
use prometheus_client::metrics::counter::Counter;
use std::ops::Range;
use std::sync::Arc;
use store::{BodyReader, FlagAction, FlagChange, MessageRow, Store};

/// Octets of a large section opened at one time.
const PIECE: u64 = 256 * 1024;
/// Messages of a page of which the session knows all that is asked.
const KNOWN_PAGE: usize = 512;
/// Messages that are marked as seen before they are written.
const SEEN_AT_ONCE: usize = 64;
/// Octets of a header in which fields are looked for.
const HEADER_MAX: u64 = 4 * 1024 * 1024;

const UNREADABLE: &str = "Some messages could not be read; please tell the administrator";
const UNDECODABLE: &str = "Some parts have an encoding that is not known here";

impl Connection {
    /// FETCH.
    pub(crate) async fn fetch(&mut self, arguments: FetchArguments) -> Answer {
        // `$` means what is still there (RFC 5182 §2.1).
        let may_miss = arguments.by_uid || arguments.set == MessageSet::Saved;
        if arguments.changed_since.is_some() || arguments.items.contains(&FetchItem::ModSeq) {
            self.turn_on(Extension::CondStore);
        }
        if arguments.vanished {
            self.tell_gone_of(&arguments).await?;
        }
        let limit = self.shared.message_limit;
        let selected = self.selected()?;
        let mut messages = selected.resolve(&arguments.set, arguments.by_uid)?;
        if let Some(partial) = arguments.partial {
            messages = messages.get(partial.of(messages.len())).unwrap_or_default().to_vec();
            // RFC 9738 §3.1: a range that is too long is refused, not cut.
            if let Some((limit, _)) = exceeded(limit, &messages) {
                const TEXT: &str = "The range has too many messages; ask for a shorter one";
                return Err(Failure::No(Some(Code::MessageLimit(limit, None)), TEXT));
            }
        }
        if let Some(since) = arguments.changed_since {
            // What changed meanwhile is told from the change log, after this.
            let view = &selected.view;
            messages.retain(|(_, uid)| view.entry(*uid).is_some_and(|entry| entry.modseq.0 > since));
        }
        let cut = cut(limit, &mut messages);
        let plan = Plan::new(arguments, selected, self.enabled);
        let mut rest: Arc<[(u32, u32)]> = messages.into();
        let (mut gone, mut unreadable, mut undecodable) = (0, 0, false);
        while !rest.is_empty() {
            let part = self.fetch_part(&plan, rest.clone()).await?;
            (gone, unreadable) = (gone + part.gone, unreadable + part.unreadable);
            undecodable |= part.undecodable;
            rest = rest.get(part.done..).unwrap_or_default().into();
            // The rest of a long answer is for who may still have it.
            if !rest.is_empty() && !Box::pin(self.stands()).await {
                return Err(Failure::Lost);
            }
        }
        self.shared.metrics.unreadable.inc_by(unreadable);
        let answer = match (unreadable, undecodable) {
            (1.., _) => Err(Failure::No(Some(Code::ContactAdmin), UNREADABLE)),
            (0, true) => Err(Failure::No(Some(Code::UnknownCte), UNDECODABLE)),
            // A UID that is no more is passed over; a number is one that the client still counts (RFC 2180 §4.1).
            (0, false) if gone > 0 && !may_miss => Err(GONE),
            (0, false) => Ok(Done::new("FETCH completed")),
        };
        self.cut_short(cut, answer)
    }

    /// RFC 7162 §3.2.6: first of all, which of the UIDs asked for are gone.
    async fn tell_gone_of(&mut self, arguments: &FetchArguments) -> Result<(), Failure> {
        if !self.enabled.has(Extension::QResync) {
            return Err(Failure::Bad("Enable QRESYNC first"));
        }
        let asked = match &arguments.set {
            MessageSet::Named(set) => set.resolve(u32::MAX),
            MessageSet::Saved => self.selected()?.saved.clone(),
        };
        let since = ModSeq(arguments.changed_since.unwrap_or(0));
        self.tell_vanished(since, Some(&asked), None).await
    }

    /// Answers for messages until the last, or until the session is to be judged again.
    async fn fetch_part(&mut self, plan: &Plan, messages: Arc<[(u32, u32)]>) -> Result<Part, Failure> {
        let store = self.changing(self.selected()?.who);
        let (Some(selected), Some(login)) = (self.selected.as_deref_mut(), self.login.as_deref()) else {
            return Err(crate::state::NO_FOLDER);
        };
        let mut fetch = Fetch {
            wire: &mut self.wire,
            watch: Watch::new(
                self.vigil.as_deref_mut(),
                &self.shared,
                &login.proof,
                self.certificate.as_deref().map(|shown| &shown.peer),
                selected.ground.clone(),
            ),
            selected,
            store: &store,
            plan,
            room: &self.shared.read_ahead,
            header: Vec::new(),
            gone: 0,
            unreadable: 0,
            unshown_count: &self.shared.metrics.unreadable,
            undecodable: false,
        };
        let done = fetch.run(messages).await?;
        Ok(Part { done, gone: fetch.gone, unreadable: fetch.unreadable, undecodable: fetch.undecodable })
    }
}

/// What was done of a FETCH.
struct Part {
    /// How many messages: not all, when the session is to be judged again.
    done: usize,
    gone: usize,
    unreadable: u64,
    undecodable: bool,
}

struct Fetch<'c> {
    wire: &'c mut Wire,
    watch: Watch<'c>,
    selected: &'c mut Selected,
    store: &'c Store,
    plan: &'c Plan,
    room: &'c ReadAhead,
    /// Room for headers, used again for each message.
    header: Vec<u8>,
    /// Messages asked for that are no more.
    gone: usize,
    unreadable: u64,
    /// Counts messages whose first words cannot be read.
    unshown_count: &'c Counter,
    /// BINARY asked for a part in an encoding that is not known.
    undecodable: bool,
}

/// Why a message was not written.
pub(crate) enum Trouble {
    /// It does not open.
    Unreadable(store::Error),
    /// BINARY of a part in an encoding that is not known (RFC 3516 §4.3).
    Undecodable,
    /// The client is gone.
    Lost,
}

impl From<store::Error> for Trouble {
    fn from(error: store::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Failure> for Trouble {
    fn from(_: Failure) -> Self {
        Self::Lost
    }
}

impl Fetch<'_> {
    /// How many messages were done before the session is to be judged again, if it is.
    async fn run(&mut self, messages: Arc<[(u32, u32)]>) -> Result<usize, Failure> {
        let mut done = 0;
        let Some(with) = self.plan.with else {
            for page in messages.chunks(KNOWN_PAGE) {
                if self.watch.is_due() {
                    break;
                }
                self.known_page(page).await?;
                done += page.len();
            }
            return Ok(done);
        };
        let (store, room) = (self.store.clone(), self.room.clone());
        let mut pages = Pages::new(store, self.selected, self.plan, with, messages.clone(), room);
        while done < messages.len() && !self.watch.is_due() {
            // Before the last page there is a next one, unless the task that reads is gone.
            let Some(page) = pages.next().await? else { return Err(store::Error::Closing.into()) };
            done = page.asked.end;
            let asked = messages.get(page.asked).unwrap_or_default();
            self.page(asked, page.messages).await?;
            drop(page.room);
        }
        Ok(done)
    }

    /// Messages of which only flags and UIDs are asked.
    async fn known_page(&mut self, page: &[(u32, u32)]) -> Result<(), Failure> {
        for &(seq, uid) in page {
            if self.selected.view.is_gone(uid) {
                self.gone += 1;
            } else {
                self.begin(seq, uid);
                for at in 0..self.plan.items.len() {
                    self.space(at, seq, uid);
                    self.cheap_item(at, uid, None);
                }
                self.end(uid);
                self.wire.spill().await?;
            }
        }
        Ok(())
    }

    async fn page(&mut self, asked: &[(u32, u32)], messages: Vec<Ready>) -> Result<(), Failure> {
        self.gone += asked.len().saturating_sub(messages.len());
        let mut newly_seen = Vec::new();
        let mut left = messages.into_iter();
        let mut at = 0;
        while let Some(ready) = left.next() {
            // A few at a time: what is not sent after all is not marked.
            if self.plan.sets_seen && at % SEEN_AT_ONCE == 0 {
                let next = std::iter::once(&ready).chain(left.as_slice().iter().take(SEEN_AT_ONCE - 1));
                let readable = next.filter(|ready| ready.opened.is_ok());
                let readable: Vec<(u32, u32)> = readable.map(|ready| (ready.seq, ready.row.uid.0)).collect();
                newly_seen = self.mark_seen(&readable).await?;
            }
            at += 1;
            let uid = ready.row.uid;
            let change = newly_seen.binary_search_by_key(&uid, |change| change.uid);
            let change = change.ok().and_then(|at| newly_seen.get(at));
            if let Some(change) = change {
                self.selected.view.note_flags(uid.0, change.flags, change.keywords, change.modseq);
            }
            self.message_or_nothing(ready, change.is_some()).await?;
            let flushes = self.wire.flushes;
            self.wire.spill().await?;
            // The client may have taken its time.
            if self.wire.flushes != flushes && !self.watch.may_go_on(&self.wire.transport).await {
                return Err(Failure::Lost);
            }
        }
        Ok(())
    }

    /// Sets `\Seen` on those of the page that do not have it. What changed of which, ascending; the session takes each in when it tells of it, and what it
    /// comes not to tell of is told from the change log.
    async fn mark_seen(&mut self, page: &[(u32, u32)]) -> Result<Vec<FlagChange>, Failure> {
        let view = &self.selected.view;
        let is_unseen = |uid| view.entry(uid).is_some_and(|entry| !entry.flags.contains(SystemFlags::SEEN));
        let unseen: Vec<(u32, u32)> = page.iter().copied().filter(|(_, uid)| is_unseen(*uid)).collect();
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        let (folder, actor) = (self.selected.folder, Some(self.selected.who.actor));
        let ranges = uid_ranges(&unseen);
        let changed = self
            .store
            .store_flags(folder, actor, ranges, FlagAction::Add, SystemFlags::SEEN, Vec::new())
            .await;
        let mut changed = match changed {
            // What can be read is read: the messages stay unseen.
            Err(error @ store::Error::Full(_)) => {
                tracing::error!(%error, "messages that are read could not be marked as seen");
                return Ok(Vec::new());
            }
            changed => changed?.unwrap_or_default(),
        };
        if changed.iter().any(|change| self.selected.lacks_name(change.keywords)) {
            learn_keywords(self.selected, self.store, &mut self.wire.out).await?;
        }
        changed.sort_unstable_by_key(|change| change.uid);
        Ok(changed)
    }

    /// Writes a message whole or not at all. When part of it was sent already, the connection cannot go on.
    async fn message_or_nothing(&mut self, ready: Ready, is_newly_seen: bool) -> Result<(), Failure> {
        let Ready { seq, mut row, opened } = ready;
        let (start, flushes) = (self.wire.out.len(), self.wire.flushes);
        let written = match opened {
            Ok(opened) => self.message(seq, &mut row, opened, is_newly_seen).await,
            Err(error) => Err(Trouble::Unreadable(error)),
        };
        match written {
            Ok(()) => Ok(()),
            // Nothing is told of a message to one who may not have it any more.
            Err(Trouble::Lost) => self.wire.take_back(flushes, start).and(Err(Failure::Lost)),
            // Told before anything of the message is written.
            Err(Trouble::Undecodable) => {
                self.undecodable = true;
                self.flags_alone(seq, row.uid.0, is_newly_seen);
                Ok(())
            }
            // A client that takes its time is overtaken by whoever removes the message, and in the end by those who give its space back.
            Err(Trouble::Unreadable(_)) if self.is_gone(row.uid).await => {
                self.gone += 1;
                self.wire.take_back(flushes, start)
            }
            Err(Trouble::Unreadable(error)) => {
                tracing::error!(folder = %self.selected.folder, uid = row.uid.0, body = %row.body, %error, "a message could not be read; `vaguemestre fsck` says what is missing, a damaged body file is to be put back from the backup");
                self.unreadable += 1;
                self.wire.take_back(flushes, start)?;
                self.flags_alone(seq, row.uid.0, is_newly_seen);
                Ok(())
            }
        }
    }

    /// Whether a message that does not open is no more. Where that cannot be told it is taken for damaged.
    async fn is_gone(&self, uid: Uid) -> bool {
        matches!(self.store.is_there(self.selected.folder, uid).await, Ok(false))
    }

    /// Of a message that is not written, that it is seen all the same.
    fn flags_alone(&mut self, seq: u32, uid: u32, is_newly_seen: bool) {
        let Some(entry) = self.selected.view.entry(uid).filter(|_| is_newly_seen) else { return };
        let keywords = keyword_names(&self.selected.keywords, entry.keywords);
        let recent = entry.recent && self.plan.tells_recent();
        let (named, modseq) = self.plan.unasked(seq, &entry);
        response::fetch_flags(&mut self.wire.out, named, entry.flags, keywords, recent, modseq);
    }

    async fn message(
        &mut self,
        seq: u32,
        row: &mut MessageRow,
        mut opened: Opened,
        is_newly_seen: bool,
    ) -> Result<(), Trouble> {
        let uid = row.uid.0;
        // What does not stand in its row is opened as it is written: it is never in memory as a whole.
        if self.plan.reads(row.is_at_hand())
            && let (Some(key), None, None) = (&opened.key, &opened.reader, &opened.unshown)
        {
            match self.store.content(row, key).await {
                Ok(reader) => opened.reader = Some(reader),
                Err(error) if self.plan.reads_for_previews() => opened.unshown = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(error) = opened.unshown.take() {
            self.unshown(uid, &error).await;
        }
        let (structure, size) = (opened.structure.as_ref(), u64::from(row.size));
        if self.plan.items.iter().any(|item| binary::is_unknown(item, structure, size)) {
            return Err(Trouble::Undecodable);
        }
        self.begin(seq, uid);
        for at in 0..self.plan.items.len() {
            self.space(at, seq, uid);
            if !self.cheap_item(at, uid, Some(row)) && !self.structure_item(at, &opened)? {
                self.section_item(at, uid, &mut opened).await?;
            }
            // A client may ask for much of one message many times over.
            self.wire.spill().await?;
        }
        if is_newly_seen && self.plan.adds_flags() {
            self.wire.out.push(b' ');
            self.flags(uid);
        }
        self.end(uid);
        Ok(())
    }

    /// A message is told without its first words, which cannot be read.
    async fn unshown(&self, uid: u32, error: &store::Error) {
        if self.is_gone(Uid(uid)).await {
            return;
        }
        tracing::error!(folder = %self.selected.folder, uid, %error, "the first words of a message could not be read; `vaguemestre fsck` says what is missing");
        self.unshown_count.inc();
    }

    fn begin(&mut self, seq: u32, uid: u32) {
        response::fetch_begin(&mut self.wire.out, self.plan.named(seq, uid));
    }

    /// Between two items.
    fn space(&mut self, at: usize, seq: u32, uid: u32) {
        if at > 0 || self.plan.named(seq, uid).has_item() {
            self.wire.out.push(b' ');
        }
    }

    fn end(&mut self, uid: u32) {
        if self.plan.adds_modseq {
            self.wire.out.push(b' ');
            self.modseq(uid);
        }
        response::fetch_end(&mut self.wire.out);
    }

    /// That of the flags as the client was told them.
    fn modseq(&mut self, uid: u32) {
        let modseq = self.selected.view.entry(uid).map_or(0, |entry| entry.modseq.0);
        response::modseq(&mut self.wire.out, modseq);
    }

    fn flags(&mut self, uid: u32) {
        let out = &mut self.wire.out;
        out.extend_from_slice(b"FLAGS ");
        if let Some(entry) = self.selected.view.entry(uid) {
            let keywords = keyword_names(&self.selected.keywords, entry.keywords);
            response::flags(out, entry.flags, keywords, entry.recent && self.plan.tells_recent());
        } else {
            out.extend_from_slice(b"()");
        }
    }

    /// Writes the item if the session and the row know it.
    fn cheap_item(&mut self, at: usize, uid: u32, row: Option<&MessageRow>) -> bool {
        let out = &mut self.wire.out;
        match (self.plan.items.get(at), row) {
            (Some(FetchItem::Uid), _) => {
                out.extend_from_slice(b"UID ");
                response::number(out, uid.into());
            }
            (Some(FetchItem::Flags), _) => self.flags(uid),
            (Some(FetchItem::ModSeq), _) => self.modseq(uid),
            (Some(FetchItem::InternalDate), Some(row)) => {
                out.extend_from_slice(b"INTERNALDATE ");
                response::internal_date(out, row.internal_date);
            }
            (Some(FetchItem::SaveDate), Some(row)) => {
                out.extend_from_slice(b"SAVEDATE ");
                response::internal_date(out, row.saved_at);
            }
            (Some(FetchItem::Rfc822Size), Some(row)) => {
                out.extend_from_slice(b"RFC822.SIZE ");
                response::number(out, row.size.into());
            }
            (Some(FetchItem::EmailId), Some(row)) => {
                response::email_id(out, self.selected.key.content_name(row.body));
            }
            _ => return false,
        }
        true
    }

    /// Writes the item if it stands ready in the structure.
    fn structure_item(&mut self, at: usize, opened: &Opened) -> Result<bool, Trouble> {
        const MISSING: store::Error = store::Error::Inconsistent("the structure was not read");
        let Opened { structure, shown, .. } = opened;
        let (name, ready) = match (self.plan.items.get(at), structure, shown) {
            (Some(FetchItem::ThreadId), Some(structure), _) => {
                let key = &self.selected.key;
                let root = structure.thread_root();
                response::thread_id(&mut self.wire.out, root.map(|root| key.thread_name(&root)));
                return Ok(true);
            }
            (Some(FetchItem::Envelope), Some(structure), _) => ("ENVELOPE ", structure.envelope()),
            (Some(FetchItem::Envelope), _, Some(shown)) => ("ENVELOPE ", shown.envelope()),
            (Some(FetchItem::BodyStructure), Some(structure), _) => {
                ("BODYSTRUCTURE ", structure.bodystructure())
            }
            (Some(FetchItem::BodyStructure), _, Some(shown)) => ("BODYSTRUCTURE ", shown.bodystructure()),
            (Some(FetchItem::Body), Some(structure), _) => ("BODY ", structure.body()),
            (
                Some(FetchItem::ThreadId | FetchItem::Envelope | FetchItem::BodyStructure | FetchItem::Body),
                ..,
            ) => {
                return Err(MISSING.into());
            }
            _ => return Ok(false),
        };
        self.wire.out.extend_from_slice(name.as_bytes());
        self.wire.out.extend_from_slice(ready);
        Ok(true)
    }

    async fn section_item(&mut self, at: usize, uid: u32, opened: &mut Opened) -> Result<(), Trouble> {
        const MISSING: store::Error = store::Error::Inconsistent("the content was not read");
        let Some(item) = self.plan.items.get(at) else { return Ok(()) };
        if let FetchItem::Preview { lazy } = item {
            let structure = opened.structure.as_ref().ok_or(MISSING)?;
            let read = match opened.reader.as_mut() {
                Some(reader) => preview::words(reader, structure).await.map(Some),
                None => Ok(None),
            };
            let words = match read {
                Ok(words) => words,
                Err(error) => {
                    self.unshown(uid, &error).await;
                    None
                }
            };
            preview::write(&mut self.wire.out, words.as_deref(), *lazy);
            return Ok(());
        }
        let reader = opened.reader.as_mut().ok_or(MISSING)?;
        let out = &mut self.wire.out;
        if let FetchItem::Binary { part, .. } | FetchItem::BinarySize { part } = item {
            response::binary_label(out, item);
            out.push(b' ');
            let structure = opened.structure.as_ref().ok_or(MISSING)?;
            let decoding = Decoding::find(part, structure, reader.size());
            return match item {
                FetchItem::Binary { partial, .. } => {
                    binary::write(self.wire, &mut self.watch, reader, decoding, *partial).await
                }
                _ => binary::write_size(self.wire, &mut self.watch, reader, decoding).await,
            };
        }
        let family: Section;
        let (section, partial) = match item {
            FetchItem::BodySection { section, partial, .. } => {
                response::body_section_label(out, section, partial.map(|partial| partial.origin));
                (section, *partial)
            }
            item => {
                let Some((label, section)) = response::rfc822_label(item) else { return Ok(()) };
                out.extend_from_slice(label.as_bytes());
                family = section;
                (&family, None)
            }
        };
        out.push(b' ');
        let place = locate(section, opened.structure.as_ref(), reader.size());
        write_section(self.wire, &mut self.watch, &mut self.header, reader, place, partial).await
    }
}

async fn write_section(
    wire: &mut Wire,
    watch: &mut Watch<'_>,
    header: &mut Vec<u8>,
    reader: &mut BodyReader,
    place: Place<'_>,
    partial: Option<Partial>,
) -> Result<(), Trouble> {
    match place {
        Place::Nowhere => {
            wire.out.extend_from_slice(b"\"\"");
            Ok(())
        }
        Place::Octets(range) => stream(wire, watch, reader, clip(range, partial)).await,
        Place::Fields { header: range, names, negate } => {
            header.clear();
            let end = range.end.min(range.start.saturating_add(HEADER_MAX));
            reader.read(range.start, end, header).await?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let chosen = message::header::select_fields(header, &names, negate);
            let wanted = clip(0..chosen.len() as u64, partial);
            let wanted = usize::try_from(wanted.start).ok().zip(usize::try_from(wanted.end).ok());
            let octets = wanted.and_then(|(start, end)| chosen.get(start..end)).unwrap_or_default();
            response::literal(&mut wire.out, octets);
            Ok(())
        }
    }
}

/// A literal of these octets of the message, opened and sent in pieces.
async fn stream(
    wire: &mut Wire,
    watch: &mut Watch<'_>,
    reader: &mut BodyReader,
    range: Range<u64>,
) -> Result<(), Trouble> {
    response::literal_header(&mut wire.out, range.end - range.start);
    let mut at = range.start;
    while at < range.end {
        let to = range.end.min(at + PIECE);
        reader.read(at, to, &mut wire.out).await?;
        at = to;
        if at < range.end {
            wire.spill().await?;
            // A client that takes its time may lose its access meanwhile. Within a literal no goodbye can be said.
            if !watch.may_go_on(&wire.transport).await {
                return Err(Trouble::Lost);
            }
        }
    }
    Ok(())
}
