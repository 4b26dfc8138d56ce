//! Scanning a message once for its structure and for its text, with bounded memory.

use super::{Extract, ExtractBuilder};
use crate::structure::{SectionRange, Structure, StructureScanner};

/// Octets of headers and text parts, still encoded, that are kept of a message while it comes. One with more has no extract.
pub const KEPT_MAX: usize = 1024 * 1024;
/// Octets of an extract: decomposition may make a text longer than it came.
const EXTRACT_MAX: usize = 2 * KEPT_MAX;

/// A [`StructureScanner`] that keeps headers and text parts, and passes attachments over.
#[derive(Debug)]
pub struct TextScanner {
    scanner: StructureScanner,
    /// None once there was too much.
    kept: Option<Kept>,
    /// Whether the octets that come next are kept.
    is_text: bool,
}

impl Default for TextScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl TextScanner {
    /// A scanner at the start of a message.
    pub fn new() -> Self {
        Self { scanner: StructureScanner::new(), kept: Some(Kept::default()), is_text: true }
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        let start = self.scanner.offset();
        self.scanner.push(bytes);
        let end = self.scanner.offset();
        let mut from = start;
        for (turn, is_text) in self.scanner.take_turns() {
            // A header that a delimiter cuts ends before it, which may be in what came earlier.
            let turn = turn.clamp(from, end);
            self.keep(bytes, start, from..turn);
            (from, self.is_text) = (turn, is_text);
        }
        self.keep(bytes, start, from..end);
    }

    fn keep(&mut self, bytes: &[u8], start: u64, range: SectionRange) {
        let Some(kept) = self.kept.as_mut().filter(|_| self.is_text) else { return };
        let at = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let octets = bytes.get(at(range.start)..at(range.end)).unwrap_or_default();
        if kept.octets.len() + octets.len() > KEPT_MAX {
            self.kept = None;
        } else {
            kept.push(range.start, octets);
        }
    }

    /// The message is at its end.
    pub fn finish(self) -> (Structure, Gathered) {
        (self.scanner.finish(), Gathered(self.kept))
    }
}

/// What was kept of a message.
#[derive(Debug)]
pub struct Gathered(Option<Kept>);

impl Gathered {
    /// Octets that are to be read for the extract.
    pub fn octets(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.octets.len())
    }

    /// The extract; none of a message with too much text.
    pub fn extract(&self, structure: &Structure) -> Option<Extract> {
        let kept = self.0.as_ref()?;
        let mut builder = ExtractBuilder::default();
        for piece in structure.pieces() {
            builder.push(&piece, kept.get(&piece.range)?);
            if builder.octets() > EXTRACT_MAX {
                return None;
            }
        }
        structure.attachment_names().iter().for_each(|name| builder.push_text(name));
        (builder.octets() <= EXTRACT_MAX).then(|| builder.finish())
    }
}

/// Runs of octets of a message.
#[derive(Default)]
struct Kept {
    octets: Vec<u8>,
    /// Of each run, in order: its offset in the message, and in `octets`.
    runs: Vec<(u64, usize)>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} octets kept]", self.octets.len())
    }
}

impl Kept {
    fn push(&mut self, offset: u64, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let next = self.runs.last().map(|(start, at)| start + (self.octets.len() - at) as u64);
        if next != Some(offset) {
            self.runs.push((offset, self.octets.len()));
        }
        self.octets.extend_from_slice(octets);
    }

    /// The octets of a range, if all of them were kept.
    fn get(&self, range: &SectionRange) -> Option<&[u8]> {
        if range.is_empty() {
            return Some(&[]);
        }
        let after = self.runs.partition_point(|(start, _)| *start <= range.start);
        let (start, at) = *self.runs.get(after.checked_sub(1)?)?;
        let end = self.runs.get(after).map_or(self.octets.len(), |(_, at)| *at);
        let run = self.octets.get(at..end)?;
        let within = |offset: u64| usize::try_from(offset.checked_sub(start)?).ok();
        run.get(within(range.start)?..within(range.end)?)
    }
}
