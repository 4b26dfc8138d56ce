//! The messages of a folder at one time, in blocks that sessions share until they differ.
//!
//! A block holds the messages of one stretch of UIDs. Its bounds do not depend on the order in which changes came: two sessions that came to the
//! same folder by different ways have equal blocks, and can share them again ([`Picture::share`]). A change copies the block that it falls in.
//!
//! A picture does not know what a client was told, nor whose `\Seen` it shows.

use mail_types::{ModSeq, SystemFlags};
use std::sync::Arc;

/// UIDs of one block.
const STRETCH: u32 = 512;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique identifier.
    pub uid: u32,
    /// System flags.
    pub flags: SystemFlags,
    /// Keywords, one bit for each keyword of the folder.
    pub keywords: u64,
    /// Modification sequence of those flags.
    pub modseq: ModSeq,
}

/// Messages by UID. To copy a picture costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Ascending; none is empty.
    blocks: Arc<Vec<Block>>,
}

#[derive(Clone, Debug)]
struct Block {
    /// The UIDs in it, divided by [`STRETCH`].
    stretch: u32,
    /// Messages in the blocks before it.
    before: u32,
    messages: Arc<[Message]>,
}

impl Block {
    fn new(messages: &[Message]) -> Option<Self> {
        let first = messages.first()?;
        Some(Self { stretch: first.uid / STRETCH, before: 0, messages: messages.into() })
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.messages, &other.messages)
    }
}

impl FromIterator<Message> for Picture {
    /// In any order; of two with one UID, one is kept.
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        let mut messages: Vec<Message> = messages.into_iter().collect();
        messages.sort_unstable_by_key(|message| message.uid);
        messages.dedup_by_key(|message| message.uid);
        let mut picture = Self::default();
        picture.append(&messages);
        picture
    }
}

impl Picture {
    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.before as usize + block.messages.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Octets that it holds, about: what it shares with others counts too.
    pub fn octets(&self) -> usize {
        // Each allocation has two counters.
        const COUNTERS: usize = 2 * size_of::<usize>();
        COUNTERS + self.blocks.len() * (size_of::<Block>() + COUNTERS) + self.len() * size_of::<Message>()
    }

    /// All of them by UID.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.blocks.iter().flat_map(|block| block.messages.iter())
    }

    /// The one with the largest UID.
    pub fn last(&self) -> Option<&Message> {
        self.blocks.last()?.messages.last()
    }

    /// The message at that place, counted from 0.
    pub fn at(&self, place: usize) -> Option<&Message> {
        let after = self.blocks.partition_point(|block| block.before as usize <= place);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        block.messages.get(place - block.before as usize)
    }

    /// The message of that UID.
    pub fn get(&self, uid: u32) -> Option<&Message> {
        let (block, within) = self.find(uid)?;
        self.blocks.get(block)?.messages.get(within)
    }

    /// The place of that UID, counted from 0.
    pub fn place_of(&self, uid: u32) -> Option<usize> {
        let (block, within) = self.find(uid)?;
        Some(self.blocks.get(block)?.before as usize + within)
    }

    /// How many messages have a smaller UID.
    pub fn count_below(&self, uid: u32) -> usize {
        let at = self.blocks.partition_point(|block| block.stretch < uid / STRETCH);
        let Some(block) = self.blocks.get(at) else { return self.len() };
        block.before as usize + block.messages.partition_point(|message| message.uid < uid)
    }

    /// The messages from that UID on, each with its place.
    pub fn from_uid(&self, uid: u32) -> impl Iterator<Item = (usize, &Message)> {
        let at = self.blocks.partition_point(|block| block.stretch < uid / STRETCH);
        let blocks = self.blocks.get(at..).unwrap_or_default().iter();
        let placed = blocks.flat_map(|block| (block.before as usize..).zip(block.messages.iter()));
        placed.skip_while(move |(_, message)| message.uid < uid)
    }

    /// Puts `message` in the place of the one with its UID, if there is one.
    pub fn replace(&mut self, message: Message) {
        let Some((block, within)) = self.find(message.uid) else { return };
        if self.get(message.uid) == Some(&message) {
            return;
        }
        if let Some(block) = Arc::make_mut(&mut self.blocks).get_mut(block)
            && let Some(slot) = Arc::make_mut(&mut block.messages).get_mut(within)
        {
            *slot = message;
        }
    }

    /// Adds messages; their UIDs ascend and are larger than all that are here.
    pub fn append(&mut self, messages: &[Message]) {
        debug_assert!(messages.is_sorted_by(|one, next| one.uid < next.uid), "in order");
        debug_assert!(
            messages.first().is_none_or(|first| self.last().is_none_or(|last| last.uid < first.uid))
        );
        if messages.is_empty() {
            return;
        }
        let blocks = Arc::make_mut(&mut self.blocks);
        for run in messages.chunk_by(|one, next| one.uid / STRETCH == next.uid / STRETCH) {
            let Some(mut block) = Block::new(run) else { continue };
            if let Some(last) = blocks.pop_if(|last| last.stretch == block.stretch) {
                block.messages = last.messages.iter().chain(run).copied().collect();
            }
            blocks.push(block);
        }
        count(blocks);
    }

    /// Takes out the messages with these UIDs, which ascend.
    pub fn remove(&mut self, uids: &[u32]) {
        let mut uids = uids.iter().copied().peekable();
        if uids.peek().is_none() {
            return;
        }
        let blocks = Arc::make_mut(&mut self.blocks);
        blocks.retain_mut(|block| {
            while uids.next_if(|uid| uid / STRETCH < block.stretch).is_some() {}
            if uids.peek().is_none_or(|uid| uid / STRETCH > block.stretch) {
                return true;
            }
            let mut left = block.messages.to_vec();
            left.retain(|message| {
                while uids.next_if(|uid| *uid < message.uid).is_some() {}
                uids.next_if_eq(&message.uid).is_none()
            });
            block.messages = left.into();
            !block.messages.is_empty()
        });
        count(blocks);
    }

    /// Holds in common with `other` what is equal in both.
    pub fn share(&mut self, other: &Self) {
        if Arc::ptr_eq(&self.blocks, &other.blocks) {
            return;
        }
        let mut theirs = other.blocks.iter().peekable();
        let mut equal: Vec<(usize, Arc<[Message]>)> = Vec::new();
        let mut are_all_equal = self.blocks.len() == other.blocks.len();
        for (at, block) in self.blocks.iter().enumerate() {
            while theirs.next_if(|their| their.stretch < block.stretch).is_some() {}
            let their = theirs.next_if(|their| their.stretch == block.stretch);
            match their.filter(|their| their.is_same(block) || their.messages == block.messages) {
                Some(their) if their.is_same(block) => {}
                Some(their) => equal.push((at, their.messages.clone())),
                None => are_all_equal = false,
            }
        }
        if are_all_equal {
            self.blocks = other.blocks.clone();
        } else if !equal.is_empty() {
            let blocks = Arc::make_mut(&mut self.blocks);
            for (at, messages) in equal {
                if let Some(block) = blocks.get_mut(at) {
                    block.messages = messages;
                }
            }
        }
    }

    /// The messages that are not in `old`, or other there; then the UIDs of those that are only there.
    pub fn difference(&self, old: &Self) -> (Vec<Message>, Vec<u32>) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        if Arc::ptr_eq(&self.blocks, &old.blocks) {
            return (changed, gone);
        }
        let (mut new, mut old) = (self.blocks.iter().peekable(), old.blocks.iter().peekable());
        loop {
            let next = [new.peek(), old.peek()].into_iter().flatten().map(|block| block.stretch).min();
            let Some(stretch) = next else { return (changed, gone) };
            let is_next = |block: &&Block| block.stretch == stretch;
            match (new.next_if(is_next), old.next_if(is_next)) {
                (Some(new), Some(old)) if new.is_same(old) => {}
                (new, old) => compare(messages(new), messages(old), &mut changed, &mut gone),
            }
        }
    }

    /// The block and the place in it.
    fn find(&self, uid: u32) -> Option<(usize, usize)> {
        let at = self.blocks.binary_search_by_key(&(uid / STRETCH), |block| block.stretch).ok()?;
        let within = self.blocks.get(at)?.messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
        Some((at, within))
    }
}

/// Counts anew how many messages are before each block.
fn count(blocks: &mut [Block]) {
    let mut before = 0;
    for block in blocks {
        block.before = before;
        before = before.saturating_add(u32::try_from(block.messages.len()).unwrap_or(u32::MAX));
    }
}

fn messages(block: Option<&Block>) -> &[Message] {
    block.map_or(&[], |block| &block.messages)
}

fn compare(new: &[Message], old: &[Message], changed: &mut Vec<Message>, gone: &mut Vec<u32>) {
    let mut old = old.iter().peekable();
    for message in new {
        while let Some(before) = old.next_if(|before| before.uid < message.uid) {
            gone.push(before.uid);
        }
        if old.next_if(|before| before.uid == message.uid) != Some(message) {
            changed.push(*message);
        }
    }
    gone.extend(old.map(|message| message.uid));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uid: u32) -> Message {
        Message { uid, flags: SystemFlags::default(), keywords: 0, modseq: ModSeq(1) }
    }

    /// Octets that it does not share with `other`.
    fn apart(picture: &Picture, other: &Picture) -> usize {
        if Arc::ptr_eq(&picture.blocks, &other.blocks) {
            return 0;
        }
        let is_apart = |block: &&Block| !other.blocks.iter().any(|their| their.is_same(block));
        let apart: usize = picture.blocks.iter().filter(is_apart).map(|block| block.messages.len()).sum();
        picture.blocks.len() * size_of::<Block>() + apart * size_of::<Message>()
    }

    fn picture(uids: impl IntoIterator<Item = u32>) -> Picture {
        uids.into_iter().map(message).collect()
    }

    #[test]
    fn a_change_copies_the_block_that_it_falls_in_and_no_other() {
        let known = picture(1..=100_000);
        let mut other = known.clone();
        assert_eq!(apart(&other, &known), 0);
        other.replace(Message { flags: SystemFlags::SEEN, ..message(70_000) });
        let blocks = 100_000 / STRETCH as usize + 1;
        let bound = blocks * size_of::<Block>() + STRETCH as usize * size_of::<Message>();
        assert!(apart(&other, &known) <= bound, "{} of {bound}", apart(&other, &known));
        assert_eq!(known.get(70_000), Some(&message(70_000)), "the first is as it was");
    }

    #[test]
    fn what_does_not_change_anything_copies_nothing() {
        let known = picture([1, 2, 700]);
        let mut other = known.clone();
        other.replace(message(2));
        other.replace(message(3));
        other.append(&[]);
        other.remove(&[]);
        assert_eq!(apart(&other, &known), 0);
    }

    #[test]
    fn pictures_that_became_equal_are_one_again() {
        let first = picture(1..=2_000);
        let mut one = first.clone();
        one.append(&(2_001..=2_100).map(message).collect::<Vec<_>>());
        one.remove(&[3, 1_000]);
        let mut other = first;
        other.remove(&[1_000]);
        for uid in 2_001..=2_100 {
            other.append(&[message(uid)]);
        }
        other.remove(&[3]);
        assert!(apart(&other, &one) > 0);
        other.share(&one);
        assert_eq!(apart(&other, &one), 0);
    }

    #[test]
    fn what_is_equal_is_shared_though_the_rest_differs() {
        let mut one = picture(1..=2_000);
        let mut other = picture(1..=2_000);
        one.remove(&[5]);
        other.append(&[message(3_000)]);
        other.share(&one);
        let bound = (STRETCH as usize + 2) * size_of::<Message>() + 6 * size_of::<Block>();
        assert!(apart(&other, &one) <= bound);
        assert_eq!((other.len(), one.len()), (2_001, 1_999));
    }

    #[test]
    fn a_hundred_thousand_messages_fit_into_three_mebibytes() {
        assert!(picture(1..=100_000).octets() <= 3 * 1024 * 1024);
    }
}
