//! What is looked for, made ready.

use super::Folding;
use super::folding::{casemapped, spaced, unaccented_text};
use super::signature::{Grams, Signature};
use memchr::memmem::Finder;

/// A text that is looked for: folded, with the bits that it has set in the signature of whatever holds it.
#[derive(Clone)]
pub struct Needle {
    finder: Box<Finder<'static>>,
    grams: Grams,
    is_empty: bool,
}

impl std::fmt::Debug for Needle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[search text]")
    }
}

impl Needle {
    /// As bodies hold it.
    pub fn in_body(text: &str, folding: Folding) -> Self {
        let mut mapped = String::with_capacity(text.len());
        casemapped(text, &mut mapped);
        Self::of(mapped, folding)
    }

    /// As header fields hold it: white space is one space.
    pub fn in_header(text: &str, folding: Folding) -> Self {
        let mut mapped = String::with_capacity(text.len());
        casemapped(text, &mut mapped);
        Self::of(spaced(&mapped), folding)
    }

    fn of(mapped: String, folding: Folding) -> Self {
        let plain = unaccented_text(&mapped);
        // Signatures are of unaccented text, whatever is compared in the end: what differs without its accents differs with them.
        let grams = Grams::of(plain.as_bytes());
        let compared = if folding == Folding::Casemap { mapped } else { plain };
        Self {
            finder: Box::new(Finder::new(compared.as_bytes()).into_owned()),
            grams,
            is_empty: compared.is_empty(),
        }
    }

    /// Whether a message with that signature may hold it. False is certain.
    pub fn may_be_in(&self, signature: &Signature) -> bool {
        signature.holds(&self.grams)
    }

    /// Whether any signature can rule it out.
    pub fn is_told(&self) -> bool {
        !self.grams.is_empty()
    }

    /// Whether it is nothing at all, which is everywhere.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(super) fn octets(&self) -> usize {
        self.finder.needle().len()
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.finder.find(text).is_some()
    }
}
