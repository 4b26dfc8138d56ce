//! The folders that were opened last, as they are in memory for every session of the process, within a bound.
//!
//! Who opens a folder that is here reads what changed since, and shares the rest with everybody who has it open. Of a change, the first session that follows the folder
//! reads it for all; each then finds what is new to it. A folder is here once for all who see the same `\Seen`, and once for each actor who has one of their own; what else
//! somebody may do or see there makes no difference to it. A folder is known by its row, which no other folder ever has, and by its UIDVALIDITY.
//!
//! Whether somebody has a `\Seen` of their own is found anew with each reading: the shared one does not say what a reader alone has seen meanwhile.
//!
//! When the database is slow, all who want a folder wait for the one who reads it; after a time a few of the process read it too, and the others are let go after a longer one.

use crate::place::Who;
use crate::state::Selected;
use imap_session::picture::{Message, Picture};
use imap_session::view::{Change, Permit, View};
use mail_types::{ActorId, FolderId, ModSeq, UidValidity};
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{FolderReading, FolderStatus, KnownFolder, Store, ViewRow};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Octets of a folder beside its picture's.
const FOLDER: usize = 256;
/// How long one who opens a folder waits for another who reads it, before it is read twice.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long they wait at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of the whole process: who reads what another one is reading already.
const TWICE_MAX: usize = 4;

/// A folder, and the actor whose own `\Seen` is shown.
type Key = (FolderId, Option<ActorId>);

/// One reads at a time; the others then have what it read.
type Slot = AsyncMutex<Option<Held>>;

/// A folder as it is known.
#[derive(Debug)]
struct Held {
    uid_validity: UidValidity,
    /// All changes up to here are in the picture; of later ones, some.
    modseq: ModSeq,
    keywords: Vec<String>,
    picture: Picture,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Pictures {
    octets_max: usize,
    folders: Arc<Mutex<Folders>>,
    /// Who reads what another one is reading already.
    twice: Arc<Semaphore>,
    waits: Waits,
}

/// How long one waits for another who reads the same folder.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// Before it may be read twice.
    alone: Duration,
    /// At most.
    max: Duration,
}

/// How a folder is read.
enum Turn {
    /// For all.
    Shared(OwnedMutexGuard<Option<Held>>),
    /// Beside another who reads it and does not come to an end.
    Alone(#[expect(dead_code, reason = "held while the folder is read")] OwnedSemaphorePermit),
}

#[derive(Debug, Default)]
struct Folders {
    known: HashMap<Key, Folder>,
    /// By their last use.
    by_use: BTreeMap<u64, Key>,
    octets: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug)]
struct Folder {
    slot: Arc<Slot>,
    octets: usize,
    used: u64,
}

/// A folder as a session finds it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) status: FolderStatus,
    pub(crate) keywords: Vec<String>,
    pub(crate) picture: Picture,
    /// What it was made of: `rows` all of them, `changes` and what was here, or `memory` alone.
    pub(crate) source: &'static str,
}

/// What is new to a session that follows a folder.
#[derive(Debug)]
pub(crate) struct News {
    /// All changes up to here are among it.
    pub(crate) modseq: ModSeq,
    /// Keyword of each bit; none where nothing changed.
    pub(crate) keywords: Vec<String>,
    /// Messages that came or are otherwise, by UID.
    pub(crate) changed: Vec<Message>,
    /// UIDs of messages that are gone.
    pub(crate) gone: Vec<u32>,
}

impl News {
    fn none(modseq: ModSeq) -> Self {
        Self { modseq, keywords: Vec::new(), changed: Vec::new(), gone: Vec::new() }
    }

    /// For a view.
    pub(crate) fn in_order(self) -> Vec<Change> {
        changes(&self.changed, &self.gone)
    }
}

impl Pictures {
    /// Of at most so many octets.
    pub fn new(octets_max: usize) -> Self {
        let waits = Waits { alone: WAIT_MAX, max: PATIENCE };
        Self { octets_max, folders: Arc::default(), twice: Arc::new(Semaphore::new(TWICE_MAX)), waits }
    }

    /// A folder as it is now; `None` when it is gone. How it keeps `\Seen` is noted in `who`.
    pub(crate) async fn open(
        &self,
        store: &Store,
        folder: FolderId,
        who: &mut Who,
    ) -> Result<Option<Opened>, store::Error> {
        loop {
            let key = (folder, who.private_seen_of);
            let mut turn = self.turn(self.slot(key)).await?;
            let known = turn.held().and_then(|held| held.as_ref());
            // The counters are read after all that is known was: they are not older.
            let reading = store.read_folder(folder, key.1, known.map(Held::known)).await?;
            let Some(reading) = reading else {
                self.forget(key);
                return Ok(None);
            };
            if must_read_again(who, reading.is_seen_apart) {
                continue;
            }
            let source = source(&reading);
            let FolderReading { status, keywords, .. } = reading;
            let known = known.map(|known| &known.picture);
            let picture = painted(known, reading.rows, &reading.expunged, reading.is_whole);
            if let Some(held) = turn.held() {
                let (uid_validity, modseq) = (status.uid_validity, status.modseq);
                self.weigh(key, picture.octets());
                let (keywords, picture) = (keywords.clone(), picture.clone());
                *held = Some(Held { uid_validity, modseq, keywords, picture });
            }
            return Ok(Some(Opened { status, keywords, picture, source }));
        }
    }

    /// What changed in a folder since a session was told of it; `None` when it is gone. The first who asks reads it from the database, for all; of a folder that
    /// is not here any more, what that session knows of it is.
    pub(crate) async fn follow(
        &self,
        store: &Store,
        selected: &mut Selected,
    ) -> Result<Option<News>, store::Error> {
        loop {
            let Some(now) = store.folder_modseq(selected.folder).await? else { return Ok(None) };
            if now <= selected.modseq {
                return Ok(Some(News::none(selected.modseq)));
            }
            let key = (selected.folder, selected.who.private_seen_of);
            let mut turn = self.turn(self.slot(key)).await?;
            let Some(held) = turn.held() else {
                let Some((news, is_apart)) = alone(store, selected, now).await? else { return Ok(None) };
                if must_read_again(&mut selected.who, is_apart) {
                    continue;
                }
                return Ok(Some(news));
            };
            let mut own = None;
            let known = held.as_ref().unwrap_or_else(|| own.insert(Held::of(selected)));
            if known.modseq < now {
                let read = store.changes_until(key.0, key.1, known.modseq, now).await?;
                let Some(read) = read else { return Ok(None) };
                if must_read_again(&mut selected.who, read.is_seen_apart) {
                    continue;
                }
                let picture = painted(Some(&known.picture), read.rows, &read.expunged, read.is_whole);
                self.weigh(key, picture.octets());
                let uid_validity = known.uid_validity;
                *held = Some(Held { uid_validity, modseq: read.modseq, keywords: read.keywords, picture });
            }
            if let Some(held) = held {
                return Ok(Some(held.news(selected)));
            }
        }
    }

    /// The turn to read a folder.
    async fn turn(&self, slot: Arc<Slot>) -> Result<Turn, store::Error> {
        let mut shared = pin!(slot.lock_owned());
        tokio::select! {
            biased;
            held = &mut shared => return Ok(Turn::Shared(held)),
            () = sleep(self.waits.alone) => {}
        }
        tokio::select! {
            biased;
            held = &mut shared => Ok(Turn::Shared(held)),
            permit = self.twice.clone().acquire_owned() => permit.map(Turn::Alone).map_err(|_| store::Error::Closing),
            () = sleep(self.waits.max) => Err(store::Error::TooSlow),
        }
    }

    /// Holds in common what is equal in the view of a session and here. Waits for nobody.
    pub(crate) fn share(&self, selected: &mut Selected) {
        let Some((_, slot)) = self.slot_of(selected) else { return };
        if let Ok(held) = slot.try_lock()
            && let Some(held) = held.as_ref()
        {
            selected.view.share(&held.picture);
        }
    }

    fn slot_of(&self, selected: &Selected) -> Option<(Key, Arc<Slot>)> {
        let key = (selected.folder, selected.who.private_seen_of);
        self.lock().used(key).map(|slot| (key, slot))
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut folders = self.lock();
        let slot = folders.used(key).unwrap_or_else(|| folders.add(key));
        folders.make_room(self.octets_max, key);
        slot
    }

    fn weigh(&self, key: Key, octets: usize) {
        let mut folders = self.lock();
        folders.weigh(key, FOLDER + octets);
        folders.make_room(self.octets_max, key);
    }

    fn forget(&self, key: Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The folder as it is known to all.
    fn held(&mut self) -> Option<&mut Option<Held>> {
        match self {
            Self::Shared(held) => Some(held),
            Self::Alone(_) => None,
        }
    }
}

impl Held {
    /// As one session knows it.
    fn of(selected: &Selected) -> Self {
        Self {
            uid_validity: selected.uid_validity,
            modseq: selected.modseq,
            keywords: selected.keywords.clone(),
            picture: selected.view.present(),
        }
    }

    fn news(&self, selected: &Selected) -> News {
        let (changed, gone) = self.picture.difference(selected.view.messages());
        News { modseq: self.modseq, keywords: self.keywords.clone(), changed, gone }
    }

    fn known(&self) -> KnownFolder {
        KnownFolder { uid_validity: self.uid_validity, modseq: self.modseq, messages: self.picture.len() }
    }
}

impl Folders {
    fn used(&mut self, key: Key) -> Option<Arc<Slot>> {
        self.now += 1;
        let folder = self.known.get_mut(&key)?;
        self.by_use.remove(&folder.used);
        folder.used = self.now;
        self.by_use.insert(self.now, key);
        Some(folder.slot.clone())
    }

    fn add(&mut self, key: Key) -> Arc<Slot> {
        self.now += 1;
        let slot = Arc::new(Slot::default());
        self.by_use.insert(self.now, key);
        self.known.insert(key, Folder { slot: slot.clone(), octets: FOLDER, used: self.now });
        self.octets += FOLDER;
        slot
    }

    fn weigh(&mut self, key: Key, octets: usize) {
        // One that had to make room meanwhile stays away.
        if let Some(folder) = self.known.get_mut(&key) {
            self.octets = self.octets - folder.octets + octets;
            folder.octets = octets;
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(folder) = self.known.remove(&key) {
            self.by_use.remove(&folder.used);
            self.octets -= folder.octets;
        }
    }

    /// Those that were not used for the longest time make room, `last` at the end. A folder that is larger than all the room is not kept, and takes none
    /// from others.
    fn make_room(&mut self, octets_max: usize, last: Key) {
        if self.known.get(&last).is_some_and(|folder| folder.octets > octets_max) {
            self.remove(last);
        }
        while self.octets > octets_max {
            let oldest = self.by_use.values().find(|key| **key != last).copied();
            self.remove(oldest.unwrap_or(last));
        }
    }
}

fn source(reading: &FolderReading) -> &'static str {
    if reading.is_whole {
        "rows"
    } else if reading.rows.is_empty() && reading.expunged.is_empty() {
        "memory"
    } else {
        "changes"
    }
}

/// The picture that a reading makes, of what was known before it.
fn painted(
    known: Option<&Picture>,
    rows: Vec<ViewRow>,
    expunged: &[mail_types::Uid],
    is_whole: bool,
) -> Picture {
    if is_whole {
        let mut picture: Picture = rows.into_iter().map(message).collect();
        known.inspect(|known| picture.share(known));
        return picture;
    }
    let known = known.cloned().unwrap_or_default();
    if rows.is_empty() && expunged.is_empty() {
        return known;
    }
    let changed: Vec<Message> = rows.into_iter().map(message).collect();
    let gone: Vec<u32> = expunged.iter().map(|uid| uid.0).collect();
    let mut view = View::new(known, u32::MAX);
    view.apply(changes(&changed, &gone), Permit { expunges: true, vanished: true, modseqs: false });
    view.messages().clone()
}

/// Whether what was read is to be read again, of the `\Seen` that was found to hold for `who`: who read the shared one knows not what they alone have seen. What is read of
/// their own is right in any case; the next time it is the shared one again where there is no other.
fn must_read_again(who: &mut Who, is_seen_apart: bool) -> bool {
    let was_shared = who.private_seen_of.is_none();
    who.private_seen_of = is_seen_apart.then_some(who.actor);
    was_shared && is_seen_apart
}

/// What one session reads for itself, and whether readers may have a `\Seen` of their own.
async fn alone(
    store: &Store,
    selected: &Selected,
    now: ModSeq,
) -> Result<Option<(News, bool)>, store::Error> {
    let (folder, private_seen_of) = (selected.folder, selected.who.private_seen_of);
    let read = store.changes_until(folder, private_seen_of, selected.modseq, now).await?;
    let Some(read) = read else { return Ok(None) };
    let (changed, gone) = if read.is_whole {
        read.rows.into_iter().map(message).collect::<Picture>().difference(selected.view.messages())
    } else {
        let gone = read.expunged.iter().map(|uid| uid.0).collect();
        (read.rows.into_iter().map(message).collect(), gone)
    };
    Ok(Some((News { modseq: read.modseq, keywords: read.keywords, changed, gone }, read.is_seen_apart)))
}

fn message(row: ViewRow) -> Message {
    Message { uid: row.uid.0, flags: row.flags, keywords: row.keywords, modseq: row.modseq }
}

fn changes(changed: &[Message], gone: &[u32]) -> Vec<Change> {
    let changed = changed.iter().map(|&Message { uid, flags, keywords, modseq }| Change::Upsert {
        uid,
        flags,
        keywords,
        modseq,
    });
    changed.chain(gone.iter().map(|uid| Change::Expunged { uid: *uid })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pictures: &Pictures) -> Vec<i64> {
        let folders = pictures.lock();
        assert_eq!(folders.octets, folders.known.values().map(|folder| folder.octets).sum::<usize>());
        assert_eq!(folders.by_use.len(), folders.known.len());
        let mut held: Vec<i64> = folders.known.keys().map(|(folder, _)| folder.0).collect();
        held.sort_unstable();
        held
    }

    fn key(folder: i64) -> Key {
        (FolderId(folder), None)
    }

    #[test]
    fn folders_that_were_not_used_for_the_longest_time_make_room() {
        let pictures = Pictures::new(10 * FOLDER);
        for folder in 1..=4 {
            pictures.slot(key(folder));
            pictures.weigh(key(folder), FOLDER);
        }
        assert_eq!(held(&pictures), [1, 2, 3, 4]);
        assert!(pictures.lock().used(key(1)).is_some());
        pictures.slot(key(5));
        pictures.weigh(key(5), 4 * FOLDER);
        assert_eq!(held(&pictures), [1, 4, 5], "2 and 3 were used before the others");
    }

    #[test]
    fn a_folder_larger_than_the_room_is_not_kept_and_the_room_is_free_again() {
        let pictures = Pictures::new(4 * FOLDER);
        pictures.slot(key(1));
        pictures.slot(key(2));
        pictures.weigh(key(2), 4 * FOLDER);
        assert_eq!(held(&pictures), [1]);
        pictures.slot(key(3));
        pictures.weigh(key(2), 1);
        assert_eq!(held(&pictures), [1, 3], "what made room meanwhile stays away");
        pictures.forget(key(1));
        pictures.forget(key(3));
        assert_eq!(held(&pictures), Vec::<i64>::new());
    }

    #[tokio::test]
    async fn while_a_folder_is_not_read_to_its_end_few_read_it_too_and_the_others_are_let_go() {
        let waits = Waits { alone: Duration::from_millis(20), max: Duration::from_millis(300) };
        let pictures = Pictures { waits, ..Pictures::new(10 * FOLDER) };
        let reading = pictures.turn(pictures.slot(key(1))).await.expect("nobody reads it");
        let wait = |_| {
            let pictures = pictures.clone();
            tokio::spawn(async move { pictures.turn(pictures.slot(key(1))).await })
        };
        let (mut alone, mut let_go) = (Vec::new(), 0);
        for waiting in (0..20).map(wait).collect::<Vec<_>>() {
            match waiting.await.expect("no panic") {
                Ok(turn @ Turn::Alone(_)) => alone.push(turn),
                Ok(Turn::Shared(_)) => panic!("two have the folder"),
                Err(error) => let_go += usize::from(matches!(error, store::Error::TooSlow)),
            }
        }
        assert_eq!((alone.len(), let_go), (TWICE_MAX, 20 - TWICE_MAX));
        let next = wait(0);
        drop(reading);
        assert!(matches!(next.await.expect("no panic"), Ok(Turn::Shared(_))));
    }

    #[test]
    fn each_actor_with_a_seen_of_their_own_has_a_picture_of_their_own() {
        let pictures = Pictures::new(10 * FOLDER);
        let (all, nurse) = (pictures.slot(key(1)), pictures.slot((FolderId(1), Some(ActorId(7)))));
        assert!(!Arc::ptr_eq(&all, &nurse));
        assert!(Arc::ptr_eq(&all, &pictures.slot(key(1))));
    }
}
