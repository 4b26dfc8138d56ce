//! Signatures of messages in memory: those of the folders that were searched last, for every session of the process, within a bound.
//!
//! A UID names one message of a folder for ever, so what is here is never wrong; what was expunged stays until its folder is forgotten. Sealed on disk, signatures
//! are open here: they tell something of the texts, as the keys of the mailboxes beside them do.

use mail_types::FolderId;
use message::extract::Signature;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of an entry beside its signature's.
const ENTRY: usize = 64;

/// The signatures of a folder that are in memory, by UID.
pub(crate) type Known = Arc<Vec<(u32, Arc<Signature>)>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Signatures {
    octets_max: usize,
    folders: Mutex<Folders>,
}

#[derive(Debug, Default)]
struct Folders {
    known: HashMap<FolderId, Folder>,
    octets: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug, Default)]
struct Folder {
    signatures: Known,
    octets: usize,
    used: u64,
}

impl Signatures {
    /// Of at most so many octets.
    pub(crate) fn new(octets_max: usize) -> Self {
        Self { octets_max, folders: Mutex::default() }
    }

    /// What is known of a folder.
    pub(crate) fn of(&self, folder: FolderId) -> Known {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.now += 1;
        let now = folders.now;
        folders.known.get_mut(&folder).map_or_else(Known::default, |known| {
            known.used = now;
            known.signatures.clone()
        })
    }

    /// Takes signatures in, by UID. Folders that were not used for the longest time make room; a folder that has all the room keeps what it has.
    pub(crate) fn add(&self, folder: FolderId, new: Vec<(u32, Arc<Signature>)>) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.now += 1;
        let mut known = folders.known.remove(&folder).unwrap_or_default();
        known.used = folders.now;
        folders.octets -= known.octets;
        let room = self.octets_max.saturating_sub(known.octets);
        let fitting = fitting(new, room);
        let before = known.octets;
        known.signatures = Arc::new(merged(&known.signatures, fitting));
        known.octets = known.signatures.iter().map(|(_, signature)| signature.octets() + ENTRY).sum();
        debug_assert!(known.octets >= before, "nothing is lost");
        while folders.octets + known.octets > self.octets_max && folders.forget_oldest() {}
        folders.octets += known.octets;
        folders.known.insert(folder, known);
    }
}

impl Folders {
    fn forget_oldest(&mut self) -> bool {
        let oldest = self.known.iter().min_by_key(|(_, folder)| folder.used).map(|(id, _)| *id);
        let forgotten = oldest.and_then(|id| self.known.remove(&id));
        self.octets -= forgotten.as_ref().map_or(0, |folder| folder.octets);
        forgotten.is_some()
    }
}

/// As many of the first as there is room for.
fn fitting(mut new: Vec<(u32, Arc<Signature>)>, room: usize) -> Vec<(u32, Arc<Signature>)> {
    let mut octets = 0;
    let fits = new.iter().take_while(|(_, signature)| {
        octets += signature.octets() + ENTRY;
        octets <= room
    });
    let count = fits.count();
    new.truncate(count);
    new
}

/// Two lists by UID as one; both may have the same.
fn merged(old: &[(u32, Arc<Signature>)], new: Vec<(u32, Arc<Signature>)>) -> Vec<(u32, Arc<Signature>)> {
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

    fn uids(of: &Signatures, folder: i64) -> Vec<u32> {
        of.of(FolderId(folder)).iter().map(|(uid, _)| *uid).collect()
    }

    #[test]
    fn what_is_added_is_there_once_and_in_order() {
        let known = Signatures::new(1 << 20);
        known.add(FolderId(1), signatures(&[3, 5, 9]));
        known.add(FolderId(1), signatures(&[1, 5, 10]));
        assert_eq!(uids(&known, 1), [1, 3, 5, 9, 10]);
        assert!(uids(&known, 2).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_was_used_last_stays() {
        let one = signatures(&[1])[0].1.octets() + ENTRY;
        let known = Signatures::new(one * 10);
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
