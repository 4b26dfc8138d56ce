//! The messages of a FETCH, read and opened ahead of the client that takes them.
//!
//! The first page is read when it is wanted. When there are more, a task of its own reads the next ones from the database and has them opened on blocking
//! threads, while the session writes: [`AHEAD`] pages at most, each of [`PAGE`] octets. A client that takes its time keeps these in memory and no reader of the
//! database. Dropped, it all ends.
//!
//! All pages of the process share one [room](ReadAhead). Where it is taken, by clients that take their time perhaps, nothing is read ahead, and a session that has
//! nothing left to write reads one message without it: nobody waits for another's client.

use crate::fetch_plan::{Plan, StructureNeed};
use crate::sets::page_len;
use crate::state::Selected;
use mail_types::{FolderId, Uid};
use message::structure::{Shown, Structure};
use std::ops::Range;
use std::sync::Arc;
use store::{BodyKeys, BodyReader, ContentKey, Error, MailboxKey, MessageRow, Store, WithBody};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Pages ahead of the one that is written.
const AHEAD: usize = 2;
/// Octets of the messages of a page, which has one message at least. Of one that does not stand in its row little is in memory.
const PAGE: u64 = 768 * 1024;
/// For how many octets a page counts: what it is made of, and what of it is open.
const PAGE_ROOM: usize = 1024 * 1024;
/// Octets for which a message counts of which the structure alone is opened.
const STRUCTURE_MAX: u64 = 64 * 1024;
/// Messages whose sizes are asked for at one time.
const SIZES: u32 = 1024;
/// So few messages are opened where they are read.
const FEW: usize = 8;

/// Message numbers with their UIDs, ascending.
type Messages = Arc<[(u32, u32)]>;

/// A message as it is ready to be written.
pub(crate) struct Ready {
    pub(crate) seq: u32,
    pub(crate) row: MessageRow,
    pub(crate) opened: Result<Opened, Error>,
}

/// What of a message is at hand.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) structure: Option<Structure>,
    /// Instead of the structure, where no more of it is needed.
    pub(crate) shown: Option<Shown>,
    /// Of content that does not stand in its row.
    pub(crate) key: Option<ContentKey>,
    pub(crate) reader: Option<BodyReader>,
    /// Why there is none for a preview.
    pub(crate) unshown: Option<Error>,
}

/// Room for the pages that all sessions of the process read.
#[derive(Clone, Debug)]
pub struct ReadAhead(Arc<Semaphore>);

impl ReadAhead {
    /// Of about so many octets, a mebibyte for each page.
    pub fn new(octets_max: usize) -> Self {
        Self(Arc::new(Semaphore::new((octets_max / PAGE_ROOM).min(Semaphore::MAX_PERMITS))))
    }
}

/// What a page may take.
enum Room {
    /// It is short: nothing is opened.
    Needless,
    /// A whole page, for as long as this is held.
    Page(#[expect(dead_code, reason = "given back with the page")] OwnedSemaphorePermit),
    /// One message.
    Message,
}

/// The messages of a page that are still there.
pub(crate) struct Page {
    /// Which of the messages it was asked for.
    pub(crate) asked: Range<usize>,
    pub(crate) messages: Vec<Ready>,
    /// Given back once they are written.
    pub(crate) room: PageRoom,
}

/// What a page holds of the room of all.
pub(crate) struct PageRoom(#[expect(dead_code, reason = "given back with the page")] Room);

/// Pages one after the other.
pub(crate) struct Pages {
    /// Until the first page is read.
    reading: Option<Box<Reading>>,
    /// From then on, when there are more.
    ahead: Option<Ahead>,
}

impl Pages {
    pub(crate) fn new(
        store: Store,
        selected: &Selected,
        plan: &Plan,
        with: WithBody,
        messages: Messages,
        room: ReadAhead,
    ) -> Self {
        let reading = Reading {
            store,
            folder: selected.folder,
            with,
            bounds: plan.page_bounds(),
            messages,
            at: 0,
            sizes: Sizes::default(),
            room,
            opening: Opening {
                key: selected.key.clone(),
                with,
                structure: plan.structure,
                for_previews: plan.reads_for_previews(),
            },
        };
        Self { reading: Some(Box::new(reading)), ahead: None }
    }

    /// The next page; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, Error> {
        if let Some(ahead) = &mut self.ahead {
            return ahead.next().await;
        }
        let Some(mut reading) = self.reading.take() else { return Ok(None) };
        let room = reading.room_if_any();
        let Some(rows) = reading.next(room).await? else { return Ok(None) };
        let opening = reading.opening.clone();
        if reading.at < reading.messages.len() {
            self.ahead = Some(Ahead::begin(reading));
        }
        Ok(Some(opening.open(rows).await?))
    }
}

/// The task that reads, and what it read.
struct Ahead {
    pages: mpsc::Receiver<Result<JoinHandle<Page>, Error>>,
    /// The session has nothing left to write.
    hungry: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Ahead {
    fn begin(mut reading: Box<Reading>) -> Self {
        let (sender, pages) = mpsc::channel(AHEAD);
        let hungry = Arc::new(Notify::new());
        let fed = hungry.clone();
        let task = tokio::spawn(async move {
            // Nothing is read before there is room for it.
            while let Ok(place) = sender.reserve().await {
                let room = tokio::select! {
                    biased;
                    room = reading.room() => room,
                    () = fed.notified() => Room::Message,
                };
                let opening = reading.opening.clone();
                match reading.next(room).await {
                    Ok(Some(rows)) => {
                        place.send(Ok(tokio::task::spawn_blocking(move || opening.opened(rows))));
                    }
                    Ok(None) => return,
                    Err(error) => return place.send(Err(error)),
                }
            }
        });
        Self { pages, hungry, task }
    }

    async fn next(&mut self) -> Result<Option<Page>, Error> {
        let page = match self.pages.try_recv() {
            Ok(page) => Some(page),
            Err(_) => {
                self.hungry.notify_one();
                self.pages.recv().await
            }
        };
        match page {
            Some(page) => Ok(Some(page?.await.map_err(|_| Error::Closing)?)),
            None => Ok(None),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Rows of a page, as they were read.
struct Rows {
    asked: Range<usize>,
    rows: Vec<(u32, MessageRow)>,
    room: Room,
}

/// Reads pages.
struct Reading {
    store: Store,
    folder: FolderId,
    with: WithBody,
    /// Numbers from the first to the last message of a page, and numbers passed over within it.
    bounds: (u32, u32),
    messages: Messages,
    /// The first message that is not read.
    at: usize,
    sizes: Sizes,
    room: ReadAhead,
    opening: Opening,
}

impl Reading {
    /// Room for the next page, once there is some.
    async fn room(&self) -> Room {
        if self.opening.octets_of_one().is_none() {
            return Room::Needless;
        }
        // It is never closed.
        self.room.0.clone().acquire_owned().await.map_or(Room::Message, Room::Page)
    }

    /// The same, without waiting.
    fn room_if_any(&self) -> Room {
        if self.opening.octets_of_one().is_none() {
            return Room::Needless;
        }
        self.room.0.clone().try_acquire_owned().map_or(Room::Message, Room::Page)
    }

    async fn next(&mut self, room: Room) -> Result<Option<Rows>, Error> {
        let rest = self.messages.get(self.at..).unwrap_or_default();
        let (span, gap) = self.bounds;
        let mut page = rest.get(..page_len(rest, span, gap).max(1)).unwrap_or_default();
        if let Some(most) = self.opening.octets_of_one() {
            let last = rest.last().map_or(0, |(_, uid)| *uid);
            self.sizes.reach(&self.store, self.folder, page, last).await?;
            let fitting = if matches!(room, Room::Message) { 1 } else { self.sizes.fitting(page, most) };
            page = page.get(..fitting).unwrap_or_default();
        }
        let (Some((_, first)), Some((_, last))) = (page.first(), page.last()) else { return Ok(None) };
        let rows = self.store.messages(self.folder, Uid(*first), Uid(*last), span, self.with).await?;
        let mut asked = page.iter().peekable();
        let rows = rows.into_iter().filter_map(|row| {
            let uid = row.uid.0;
            while asked.next_if(|(_, each)| *each < uid).is_some() {}
            // Rows that were not asked for lie between those that were.
            asked.next_if(|(_, each)| *each == uid).map(|(seq, _)| (*seq, row))
        });
        let rows = rows.collect();
        let asked = self.at..self.at + page.len();
        self.at = asked.end;
        Ok(Some(Rows { asked, rows, room }))
    }
}

/// How large the next messages are.
#[derive(Default)]
struct Sizes {
    /// By UID.
    known: Vec<(Uid, u32)>,
    /// All messages up to here are among them.
    up_to: u32,
}

impl Sizes {
    /// Knows the first of `page` at least; asks for as many as are asked for at one time, `last` at the end.
    async fn reach(
        &mut self,
        store: &Store,
        folder: FolderId,
        page: &[(u32, u32)],
        last: u32,
    ) -> Result<(), Error> {
        let Some(&(_, first)) = page.first().filter(|(_, uid)| *uid > self.up_to) else { return Ok(()) };
        self.known = store.message_sizes(folder, Uid(first), Uid(last), SIZES).await?;
        let is_all = self.known.len() < SIZES as usize;
        self.up_to = if is_all { last } else { self.known.last().map_or(last, |(uid, _)| uid.0) };
        Ok(())
    }

    /// How many of the first messages fit into a page; one at least, and none whose size is not known.
    /// A message counts for `most` octets at most.
    fn fitting(&self, page: &[(u32, u32)], most: u64) -> usize {
        let mut octets = 0;
        let fits = page.iter().take_while(|(_, uid)| {
            let at = self.known.binary_search_by_key(uid, |(uid, _)| uid.0);
            let size = at.ok().and_then(|at| self.known.get(at)).map_or(0, |(_, size)| u64::from(*size));
            octets += size.min(most);
            *uid <= self.up_to && octets <= PAGE
        });
        fits.count().max(1)
    }
}

/// How messages are opened.
#[derive(Clone)]
struct Opening {
    key: MailboxKey,
    with: WithBody,
    structure: StructureNeed,
    /// Content is read for previews alone.
    for_previews: bool,
}

impl Opening {
    fn is_content(&self) -> bool {
        matches!(self.with, WithBody::Content | WithBody::OnlyContent)
    }

    /// Whether nothing is opened.
    fn is_idle(&self) -> bool {
        !self.is_content() && self.structure == StructureNeed::Nothing
    }

    /// For how many octets of a page a message counts at most, where that is to be looked at. A structure is shorter than its message, but opened it may be
    /// longer than what it was made of.
    fn octets_of_one(&self) -> Option<u64> {
        match self.structure {
            _ if self.is_content() => Some(u64::MAX),
            StructureNeed::Nothing => None,
            StructureNeed::Shown | StructureNeed::Whole => Some(STRUCTURE_MAX),
        }
    }

    async fn open(self, rows: Rows) -> Result<Page, Error> {
        if self.is_idle() || rows.rows.len() <= FEW {
            return Ok(self.opened(rows));
        }
        tokio::task::spawn_blocking(move || self.opened(rows)).await.map_err(|_| Error::Closing)
    }

    fn opened(&self, Rows { asked, rows, room }: Rows) -> Page {
        let keys = self.key.unwrapping();
        let ready = |(seq, mut row): (u32, MessageRow)| {
            let opened = self.message(&mut row, &keys);
            Ready { seq, row, opened }
        };
        Page { asked, messages: rows.into_iter().map(ready).collect(), room: PageRoom(room) }
    }

    fn message(&self, row: &mut MessageRow, keys: &BodyKeys<'_>) -> Result<Opened, Error> {
        const UNREADABLE: Error = Error::Inconsistent("the structure is not readable");
        let mut opened = Opened::default();
        if self.is_idle() {
            return Ok(opened);
        }
        let key = keys.unwrap(row.body, &row.wrapped_key)?;
        match self.structure {
            StructureNeed::Nothing => {}
            StructureNeed::Shown => {
                opened.shown = Some(Shown::find(row.take_structure(&key)?).map_err(|_| UNREADABLE)?);
            }
            StructureNeed::Whole => {
                let structure = Structure::decode(&row.take_structure(&key)?);
                opened.structure = Some(structure.map_err(|_| UNREADABLE)?);
            }
        }
        if self.is_content() {
            match row.inline_content(&key) {
                Ok(reader) => opened.reader = reader,
                Err(error) if self.for_previews => opened.unshown = Some(error),
                Err(error) => return Err(error),
            }
            opened.key = Some(key);
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_its_octets_are_enough_and_has_one_message_at_least() {
        let sizes = |sizes: &[u64]| Sizes {
            known: (1..).zip(sizes).map(|(uid, size)| (Uid(uid), u32::try_from(*size).unwrap())).collect(),
            up_to: u32::try_from(sizes.len()).unwrap(),
        };
        let page: Vec<(u32, u32)> = (1..=4).map(|uid| (uid, uid)).collect();
        assert_eq!(sizes(&[PAGE / 2, PAGE / 2, 1, 1]).fitting(&page, u64::MAX), 2);
        assert_eq!(sizes(&[PAGE / 2, PAGE / 2 + 1, 1, 1]).fitting(&page, u64::MAX), 1);
        assert_eq!(sizes(&[PAGE * 9, 1, 1, 1]).fitting(&page, u64::MAX), 1);
        assert_eq!(sizes(&[1, 1, 1, PAGE - 3]).fitting(&page, u64::MAX), 4);
        assert_eq!(sizes(&[1, 1]).fitting(&page, u64::MAX), 2, "not further than sizes are known");
        assert_eq!(
            sizes(&[PAGE * 9, PAGE * 9, 1, 1]).fitting(&page, PAGE / 2),
            2,
            "of which little is opened"
        );
        let gone = Sizes { known: vec![(Uid(4), 1)], up_to: 4 };
        assert_eq!(gone.fitting(&page, u64::MAX), 4, "what is gone has no size");
    }
}
