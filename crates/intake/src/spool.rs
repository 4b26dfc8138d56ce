//! Content on its way in: sealed and scanned as it arrives.

use message::structure::StructureScanner;
use store::{BodyWriter, Error, SealedBody, Store};

/// A body being written, with the structure scanner beside it.
pub struct Spool {
    body: BodyWriter,
    scanner: StructureScanner,
    is_eight_bit: bool,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("body", &self.body).finish_non_exhaustive()
    }
}

impl Spool {
    /// Begins a body of at most `size_max` octets.
    ///
    /// # Errors
    /// What the store answers.
    pub fn begin(store: &Store, size_max: u64) -> Result<Self, Error> {
        Ok(Self { body: store.begin_body(size_max)?, scanner: StructureScanner::new(), is_eight_bit: false })
    }

    /// The body is not held in memory once it is [finished](Self::finish), however small it is.
    pub fn keep_outside(&mut self) {
        self.body.keep_outside();
    }

    /// Takes more content.
    ///
    /// # Errors
    /// [`Error::TooBig`] over the bound; otherwise a file that could not be written.
    pub async fn write(&mut self, content: &[u8]) -> Result<(), Error> {
        self.scanner.push(content);
        self.is_eight_bit = self.is_eight_bit || !content.is_ascii();
        self.body.write(content).await
    }

    /// Whether an octet over 127 was seen.
    pub fn is_eight_bit(&self) -> bool {
        self.is_eight_bit
    }

    /// Octets taken so far.
    pub fn size(&self) -> u64 {
        self.body.size()
    }

    /// Seals what is left, with the structure that was found.
    ///
    /// # Errors
    /// A file that could not be made durable.
    pub async fn finish(self) -> Result<SealedBody, Error> {
        let structure = self.scanner.finish().encode();
        self.body.finish(&structure).await
    }
}
