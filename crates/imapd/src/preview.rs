//! PREVIEW (RFC 8970): the first words of a message, read from the message when they are asked for. Nothing of them is kept.

use crate::fetch::Trouble;
use crate::transport::Wire;
use imap_session::response;
use message::preview::{PREVIEW_MAX, preview};
use message::structure::Structure;
use store::BodyReader;

/// Octets of the text that are looked at first, and at most: a page may begin with much that is not shown.
const PIECES: [u64; 2] = [16 * 1024, 256 * 1024];

/// The item, NIL without a reader: it was asked for only if it costs little.
pub(crate) async fn write(
    wire: &mut Wire,
    reader: Option<&mut BodyReader>,
    structure: &Structure,
) -> Result<(), Trouble> {
    let words = match reader {
        Some(reader) => Some(words(reader, structure).await?),
        None => None,
    };
    wire.out.extend_from_slice(b"PREVIEW ");
    response::nstring(&mut wire.out, words.as_deref().map(str::as_bytes));
    Ok(())
}

async fn words(reader: &mut BodyReader, structure: &Structure) -> Result<String, store::Error> {
    let Some(part) = structure.preview_part() else { return Ok(String::new()) };
    let (mut raw, mut words) = (Vec::new(), String::new());
    for piece in PIECES {
        let from = part.body.start + raw.len() as u64;
        let to = part.body.end.min(part.body.start.saturating_add(piece));
        reader.read(from, to, &mut raw).await?;
        words = preview(&part, &raw);
        // The last word may be one that does not fit.
        if to == part.body.end || words.chars().count() + 1 >= PREVIEW_MAX {
            break;
        }
    }
    Ok(words)
}
