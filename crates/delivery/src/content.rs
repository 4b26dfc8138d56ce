//! The content of a queued message on its way out: as it came, or converted for a server without 8BITMIME (RFC 6152 §3).
//!
//! Lines are sent as they came, however long: breaking one would break a signature.

use crate::Delivery;
use crate::connection::{Connection, Failure};
use crate::outcome::{Answer, AnswerKind};
use crate::runner::transient;
use mail_types::QueueId;
use message::structure::StructureScanner;
use message::structure::downgrade::{Downgrade, Obstacle, Survey};
use smtp_session::client::{DotStuffer, ServerReply};
use store::{BodyReader, Claimed};

/// Octets read and sent at a time.
const PIECE: u64 = 256 * 1024;

/// What is sent after DATA.
pub(crate) struct Content {
    entry: QueueId,
    reader: BodyReader,
    /// Where the content begins in the body.
    offset: u64,
    is_eight_bit: bool,
    downgrade: Option<Downgrade>,
    piece: Vec<u8>,
}

impl Content {
    /// Opens the content of a message, and finds out how to convert it where that is needed.
    ///
    /// # Errors
    /// The answer for every recipient: the body cannot be read for now, or the server cannot be given it at all (5.6.3).
    pub(crate) async fn open(
        delivery: &Delivery,
        entry: &Claimed,
        takes_eight_bit: bool,
    ) -> Result<Self, Answer> {
        let reader =
            delivery.store.queued_content(entry).await.map_err(|e| transient(&unreadable(entry.id, &e)))?;
        let mut content = Self {
            entry: entry.id,
            reader,
            offset: entry.content_offset,
            is_eight_bit: entry.eight_bit,
            downgrade: None,
            piece: Vec::new(),
        };
        if entry.eight_bit && !takes_eight_bit {
            content.downgrade().await?;
        }
        Ok(content)
    }

    /// Octets, where they are known before they are sent.
    pub(crate) fn size(&self) -> Option<u64> {
        self.downgrade.is_none().then(|| self.reader.size().saturating_sub(self.offset))
    }

    /// Whether it is sent with octets over 127.
    pub(crate) fn is_eight_bit(&self) -> bool {
        self.is_eight_bit
    }

    async fn downgrade(&mut self) -> Result<(), Answer> {
        let failed = |failure: Failure| transient(&failure);
        let (mut scanner, mut at) = (StructureScanner::new(), self.offset);
        while let Some(piece) = self.piece(&mut at).await.map_err(failed)? {
            scanner.push(piece);
        }
        let structure = scanner.finish();
        let (mut survey, mut at) = (Survey::new(&structure), self.offset);
        while let Some(piece) = self.piece(&mut at).await.map_err(failed)? {
            survey.push(piece);
        }
        self.downgrade = Some(survey.finish().map_err(not_convertible)?);
        self.is_eight_bit = false;
        Ok(())
    }

    /// Sends it, with its terminator.
    pub(crate) async fn send(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let downgrade = self.downgrade.take();
        let mut converter = downgrade.as_ref().map(Downgrade::converter);
        let mut stuffer = DotStuffer::new();
        let (mut converted, mut wire, mut at) = (Vec::new(), Vec::new(), self.offset);
        while let Some(piece) = self.piece(&mut at).await? {
            wire.clear();
            match &mut converter {
                Some(converter) => {
                    converted.clear();
                    converter.push(piece, &mut converted);
                    stuffer.stuff(&converted, &mut wire);
                }
                None => stuffer.stuff(piece, &mut wire),
            }
            connection.send(&wire).await?;
        }
        wire.clear();
        if let Some(converter) = converter {
            converted.clear();
            converter.finish(&mut converted);
            stuffer.stuff(&converted, &mut wire);
        }
        stuffer.finish(&mut wire);
        connection.send(&wire).await
    }

    /// The piece of the body that begins at `at`, which moves to its end.
    async fn piece(&mut self, at: &mut u64) -> Result<Option<&[u8]>, Failure> {
        if *at >= self.reader.size() {
            return Ok(None);
        }
        let end = (*at + PIECE).min(self.reader.size());
        self.piece.clear();
        let read = self.reader.read(*at, end, &mut self.piece).await;
        read.map_err(|error| unreadable(self.entry, &error))?;
        *at = end;
        Ok(Some(&self.piece))
    }
}

fn not_convertible(obstacle: Obstacle) -> Answer {
    let text = format!(
        "The recipient's server takes 7-bit messages only, and this one cannot be converted: {obstacle}"
    );
    Answer { reply: ServerReply::local(554, (5, 6, 3), &text), kind: AnswerKind::Permanent, host: None }
}

fn unreadable(entry: QueueId, error: &store::Error) -> Failure {
    tracing::error!(%entry, %error, "the body of a queued message cannot be read");
    Failure::new("body", "the message cannot be read here for now")
}
