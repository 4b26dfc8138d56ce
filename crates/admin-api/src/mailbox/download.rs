//! Octets on their way to a client, a piece at a time: no reader of the database is held while the client takes them.

use axum::body::{Body, Bytes};
use futures_util::stream;
use message::text::{BodyDecoder, Encoding};
use std::ops::Range;
use store::{BodyReader, Error};

/// Octets opened at one time.
const PIECE: u64 = 256 * 1024;

/// The octets of a message as they are.
pub(crate) fn raw(reader: BodyReader, range: Range<u64>) -> Body {
    decoded(reader, range, Encoding::Identity)
}

/// The octets behind a transfer encoding. A body that cannot be read to its end ends the connection: what came is not taken for the whole.
pub(crate) fn decoded(reader: BodyReader, range: Range<u64>, encoding: Encoding) -> Body {
    let first = Some(State { reader, range, decoder: BodyDecoder::new(encoding) });
    Body::from_stream(stream::try_unfold(first, |state| async {
        let Some(mut state) = state else { return Ok(None) };
        match state.next().await {
            Ok((octets, true)) => Ok(Some((octets, Some(state)))),
            Ok((octets, false)) => Ok(Some((octets, None))),
            Err(error) => {
                tracing::error!(%error, "a message could not be read to its end");
                Err(error)
            }
        }
    }))
}

struct State {
    reader: BodyReader,
    range: Range<u64>,
    decoder: BodyDecoder,
}

impl State {
    /// The next octets, and whether there are more.
    async fn next(&mut self) -> Result<(Bytes, bool), Error> {
        let mut out = Vec::new();
        while out.is_empty() && self.range.start < self.range.end {
            let to = self.range.end.min(self.range.start + PIECE);
            let mut piece = Vec::new();
            self.reader.read(self.range.start, to, &mut piece).await?;
            self.decoder.push(&piece, &mut out);
            self.range.start = to;
        }
        let has_more = self.range.start < self.range.end;
        if !has_more {
            self.decoder.clone().finish(&mut out);
        }
        Ok((Bytes::from(out), has_more))
    }
}
