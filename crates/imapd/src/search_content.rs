//! The text of a message that has no extract, read from the message itself, within bounds. Nothing of it is kept.

use message::extract::{Extract, ExtractBuilder, Piece};
use message::structure::Structure;
use store::{BodyReader, Error};

/// Octets of one header or text part that are searched.
const PIECE_MAX: u64 = 4 * 1024 * 1024;
/// Octets of all that is searched of a message.
const PIECES_MAX: u64 = 16 * 1024 * 1024;
/// Octets of text: decomposition may make a text longer than it came.
const TEXT_MAX: usize = 64 * 1024 * 1024;
/// A piece larger than this is decoded off the async threads.
const INLINE_MAX: usize = 64 * 1024;

/// The searchable text of a message.
pub(crate) async fn read(reader: &mut BodyReader, structure: &Structure) -> Result<Extract, Error> {
    let mut builder = ExtractBuilder::default();
    let mut left = PIECES_MAX;
    for piece in structure.pieces() {
        let range = piece.range.clone();
        let end = range.end.min(range.start.saturating_add(PIECE_MAX.min(left)));
        let mut raw = Vec::new();
        reader.read(range.start, end, &mut raw).await?;
        left -= raw.len() as u64;
        builder = taken(builder, piece, raw).await?;
        if builder.octets() > TEXT_MAX {
            break;
        }
    }
    structure.attachment_names().iter().for_each(|name| builder.push_text(name));
    Ok(builder.finish())
}

async fn taken(mut builder: ExtractBuilder, piece: Piece, raw: Vec<u8>) -> Result<ExtractBuilder, Error> {
    let is_large = raw.len() > INLINE_MAX;
    let take = move || {
        builder.push(&piece, &raw);
        builder
    };
    if is_large {
        return tokio::task::spawn_blocking(take).await.map_err(|_| Error::Closing);
    }
    Ok(take())
}
