//! What SEARCH keeps of messages in memory, their signatures and the fields that people search by: of the folders that were searched last, for every session of the
//! process, within a bound.
//!
//! A UID names one message of a folder for ever, so what is here is never wrong; what was expunged stays until its folder is forgotten. Sealed on disk, it is open
//! here, as the keys of the mailboxes beside it are.

use mail_types::FolderId;
use message::extract::{Extract, Signature};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of an entry beside what is kept.
const ENTRY: usize = 64;

/// Octets that are gathered before they are shared.
const GATHERED_MAX: usize = 8 * 1024 * 1024;

/// What is kept of a message.
pub(crate) trait Octets {
    /// Octets that it takes in memory.
    fn octets(&self) -> usize;
}

impl Octets for Signature {
    fn octets(&self) -> usize {
        self.octets()
    }
}

impl Octets for Extract {
    fn octets(&self) -> usize {
        self.octets()
    }
}

/// What is kept of the messages of a folder, by UID.
pub(crate) type Known<T> = Arc<Vec<(u32, Arc<T>)>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    octets_max: usize,
    folders: Mutex<Folders<T>>,
}

#[derive(Debug)]
struct Folders<T> {
    known: HashMap<FolderId, Folder<T>>,
    octets: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug)]
struct Folder<T> {
    messages: Known<T>,
    octets: usize,
    used: u64,
}

impl<T> Default for Folder<T> {
    fn default() -> Self {
        Self { messages: Known::default(), octets: 0, used: 0 }
    }
}

impl<T: Octets> Kept<T> {
    /// Of at most so many octets.
    pub(crate) fn new(octets_max: usize) -> Self {
        Self { octets_max, folders: Mutex::new(Folders { known: HashMap::new(), octets: 0, now: 0 }) }
    }

    /// What is known of a folder.
    pub(crate) fn of(&self, folder: FolderId) -> Known<T> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.now += 1;
        let now = folders.now;
        folders.known.get_mut(&folder).map_or_else(Known::default, |known| {
            known.used = now;
            known.messages.clone()
        })
    }

    /// Takes in more, by UID. Folders that were not used for the longest time make room; a folder that has all the room keeps what it has.
    pub(crate) fn add(&self, folder: FolderId, new: Vec<(u32, Arc<T>)>) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.now += 1;
        let mut known = folders.known.remove(&folder).unwrap_or_default();
        known.used = folders.now;
        folders.octets -= known.octets;
        let room = self.octets_max.saturating_sub(known.octets);
        let fitting = fitting(new, room);
        let before = known.octets;
        known.messages = Arc::new(merged(&known.messages, fitting));
        known.octets = known.messages.iter().map(|(_, kept)| kept.octets() + ENTRY).sum();
        debug_assert!(known.octets >= before, "nothing is lost");
        while folders.octets + known.octets > self.octets_max && folders.forget_oldest() {}
        folders.octets += known.octets;
        folders.known.insert(folder, known);
    }
}

/// What pages gave that is to be kept, shared a good deal at a time.
pub(crate) struct Gathering<'k, T> {
    kept: &'k Kept<T>,
    folder: FolderId,
    messages: Vec<(u32, Arc<T>)>,
    octets: usize,
}

impl<'k, T: Octets> Gathering<'k, T> {
    pub(crate) fn new(kept: &'k Kept<T>, folder: FolderId) -> Self {
        Self { kept, folder, messages: Vec::new(), octets: 0 }
    }

    pub(crate) fn add(&mut self, messages: Vec<(u32, Arc<T>)>) {
        self.octets += messages.iter().map(|(_, kept)| kept.octets()).sum::<usize>();
        self.messages.extend(messages);
        if self.octets > GATHERED_MAX {
            self.share();
        }
    }

    pub(crate) fn share(&mut self) {
        let mut messages = std::mem::take(&mut self.messages);
        self.octets = 0;
        if !messages.is_empty() {
            messages.sort_unstable_by_key(|(uid, _)| *uid);
            self.kept.add(self.folder, messages);
        }
    }
}

impl<T> Folders<T> {
    fn forget_oldest(&mut self) -> bool {
        let oldest = self.known.iter().min_by_key(|(_, folder)| folder.used).map(|(id, _)| *id);
        let forgotten = oldest.and_then(|id| self.known.remove(&id));
        self.octets -= forgotten.as_ref().map_or(0, |folder| folder.octets);
        forgotten.is_some()
    }
}

/// As many of the first as there is room for.
fn fitting<T: Octets>(mut new: Vec<(u32, Arc<T>)>, room: usize) -> Vec<(u32, Arc<T>)> {
    let mut octets = 0;
    let fits = new.iter().take_while(|(_, kept)| {
        octets += kept.octets() + ENTRY;
        octets <= room
    });
    let count = fits.count();
    new.truncate(count);
    new
}

/// Two lists by UID as one; both may have the same.
fn merged<T>(old: &[(u32, Arc<T>)], new: Vec<(u32, Arc<T>)>) -> Vec<(u32, Arc<T>)> {
    let mut out = Vec::with_capacity(old.len() + new.len());
    let (mut old, mut new) = (old.iter().peekable(), new.into_iter().peekable());
    while let (Some((before, _)), Some((after, _))) = (old.peek(), new.peek()) {
        match before.cmp(after) {
            Ordering::Less => out.extend(old.next().cloned()),
            Ordering::Greater => out.extend(new.next()),
            Ordering::Equal => {
                out.extend(old.next().cloned());
                new.next();
            }
        }
    }
    out.extend(old.cloned());
    out.extend(new);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use message::extract::ExtractBuilder;

    fn signatures(uids: &[u32]) -> Vec<(u32, Arc<Signature>)> {
        let signature = Arc::new(ExtractBuilder::default().finish().signature());
        uids.iter().map(|uid| (*uid, signature.clone())).collect()
    }

    fn uids(of: &Kept<Signature>, folder: i64) -> Vec<u32> {
        of.of(FolderId(folder)).iter().map(|(uid, _)| *uid).collect()
    }

    #[test]
    fn what_is_added_is_there_once_and_in_order() {
        let known = Kept::new(1 << 20);
        known.add(FolderId(1), signatures(&[3, 5, 9]));
        known.add(FolderId(1), signatures(&[1, 5, 10]));
        assert_eq!(uids(&known, 1), [1, 3, 5, 9, 10]);
        assert!(uids(&known, 2).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_was_used_last_stays() {
        let one = signatures(&[1])[0].1.octets() + ENTRY;
        let known = Kept::new(one * 10);
        known.add(FolderId(1), signatures(&[1, 2, 3, 4]));
        known.add(FolderId(2), signatures(&[1, 2, 3, 4]));
        assert_eq!(uids(&known, 1).len(), 4);
        known.add(FolderId(3), signatures(&[1, 2, 3]));
        assert_eq!((uids(&known, 1).len(), uids(&known, 2).len(), uids(&known, 3).len()), (4, 0, 3));
        known.add(FolderId(4), signatures(&(1..100).collect::<Vec<_>>()));
        assert_eq!(uids(&known, 4).len(), 10);
        known.add(FolderId(4), signatures(&[200]));
        assert_eq!((uids(&known, 4).len(), uids(&known, 1).len()), (10, 0));
        assert!(known.folders.lock().unwrap().octets <= one * 10);
    }
}
