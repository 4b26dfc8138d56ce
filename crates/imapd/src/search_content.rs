//! A message that has no extract (it came before there were any, or has very much text): looked for in the message itself, which is read piece by piece.
//! Nothing of it is kept.

use crate::search_key::{Facts, Key, Text};
use crate::search_text::Ending;
use message::extract::{Folding, Reading};
use message::structure::Structure;
use store::{BodyReader, Error};

/// Octets read at one time.
const PIECE: u64 = 256 * 1024;

/// Whether the criteria hold of a message of which everything else is known. A search that has ended is answered no: nobody hears it.
///
/// It works while it waits: it is for threads that may be kept.
pub(crate) async fn holds(
    reader: &mut BodyReader,
    structure: &Structure,
    (key, folding): (&Key, Folding),
    facts: Facts<'_>,
    ending: &Ending,
) -> Result<bool, Error> {
    let mut reading = Reading::new(key.sought(), folding);
    let mut raw = Vec::new();
    for piece in structure.pieces() {
        if reading.is_settled() {
            break;
        }
        let mut at = piece.range.start;
        reading.begin(&piece);
        while at < piece.range.end && !reading.is_settled() {
            if ending.has_come() {
                return Ok(false);
            }
            let to = piece.range.end.min(at.saturating_add(PIECE));
            raw.clear();
            reader.read(at, to, &mut raw).await?;
            reading.push(&raw);
            at = to;
        }
        reading.end();
    }
    structure.attachment_names().iter().for_each(|name| reading.text(name));
    let facts = Facts { text: Some(Text::Read(&reading)), ..facts };
    Ok(key.holds(&facts).unwrap_or(false))
}
