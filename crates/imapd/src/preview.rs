//! PREVIEW (RFC 8970): the first words of a message, read from the message when they are asked for. Nothing of them is kept.

use imap_session::response;
use message::preview::{PREVIEW_MAX, preview};
use message::structure::{Part, Structure};
use store::BodyReader;

/// Octets of the text that are looked at first, and at most: a page may begin with much that is not shown.
const PIECES: [u64; 2] = [16 * 1024, 256 * 1024];
/// Texts that are looked at, when there is nothing to be read in those before.
const PARTS_MAX: usize = 3;

/// The item. Words that are not known are none, or NIL where they were asked for only if they cost little.
pub(crate) fn write(out: &mut Vec<u8>, words: Option<&str>, is_lazy: bool) {
    out.extend_from_slice(b"PREVIEW ");
    response::nstring(out, words.or((!is_lazy).then_some("")).map(str::as_bytes));
}

/// The first words of a message, empty without any.
pub(crate) async fn words(reader: &mut BodyReader, structure: &Structure) -> Result<String, store::Error> {
    for part in structure.preview_parts().iter().take(PARTS_MAX) {
        let words = words_of(reader, part).await?;
        if !words.is_empty() {
            return Ok(words);
        }
    }
    Ok(String::new())
}

async fn words_of(reader: &mut BodyReader, part: &Part) -> Result<String, store::Error> {
    let (mut raw, mut words) = (Vec::new(), String::new());
    for piece in PIECES {
        let from = part.body.start + raw.len() as u64;
        let to = part.body.end.min(part.body.start.saturating_add(piece));
        reader.read(from, to, &mut raw).await?;
        words = preview(part, &raw);
        // The last word may be one that does not fit.
        if to == part.body.end || words.chars().count() + 1 >= PREVIEW_MAX {
            break;
        }
    }
    Ok(words)
}
