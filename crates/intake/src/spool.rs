//! Content on its way in: sealed and scanned as it arrives.

use message::extract::{Gathered, TextScanner};
use message::structure::Structure;
use store::{BodyWriter, Error, SealedBody, Store};

/// A text larger than this is made ready off the async threads.
const INLINE_MAX: usize = 64 * 1024;

/// A body being written, with the scanner of structure and text beside it.
pub struct Spool {
    body: BodyWriter,
    scanner: TextScanner,
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
        Ok(Self { body: store.begin_body(size_max)?, scanner: TextScanner::new(), is_eight_bit: false })
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

    /// Seals what is left, with the structure that was found and what the message is searched by.
    ///
    /// # Errors
    /// A file that could not be made durable.
    pub async fn finish(self) -> Result<SealedBody, Error> {
        let Self { mut body, scanner, .. } = self;
        let (structure, gathered) = scanner.finish();
        let encoded = structure.encode();
        if gathered.octets() <= INLINE_MAX {
            make_searchable(&mut body, &structure, &gathered)?;
        } else {
            let work = tokio::task::spawn_blocking(move || {
                make_searchable(&mut body, &structure, &gathered)?;
                Ok::<_, Error>(body)
            });
            body = work.await.map_err(|_| Error::Closing)??;
        }
        body.finish(&encoded).await
    }
}

/// A message with too much text is searched without an extract.
fn make_searchable(body: &mut BodyWriter, structure: &Structure, gathered: &Gathered) -> Result<(), Error> {
    let Some(extract) = gathered.extract(structure) else { return Ok(()) };
    let (header, text) = extract.encode();
    body.make_searchable(&extract.signature().encode(), &header, &text)
}
