//! `[search]`: how messages are searched.

use crate::reader::Section;

/// `[search]`
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// `folding`: true where a text without accents finds the text with them (`unaccented`), false where case and form alone do not count (`casemap`, RFC 5051).
    pub is_unaccented: bool,
    /// `memory_max`: octets of signatures and header fields of messages in memory.
    pub memory_max: usize,
    /// `concurrency`: pages of messages that all searches together open at one time.
    pub concurrency: usize,
}

impl Search {
    pub(crate) fn read(mut section: Section) -> Self {
        let bounded = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let words = [("unaccented", true), ("casemap", false)];
        Self {
            is_unaccented: section.choice("folding", true, &words),
            memory_max: bounded(section.number("memory_max", 268_435_456, 1_048_576, 1 << 40)),
            concurrency: bounded(section.number("concurrency", 2, 1, 256)),
        }
    }
}
