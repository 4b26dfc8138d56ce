//! IDLE (RFC 2177): changes are told as they are committed.

use crate::metrics::Counted;
use crate::notify::noticed;
use crate::session::Next;
use crate::standing::due;
use crate::state::{Connection, Failure};
use crate::sync::Telling;
use imap_session::decoder::Input;
use imap_session::response::{self, Status};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often the change log is read without a notice: another process may have written to the store. It is one short query, and there may
/// be thousands of sessions.
const POLL: Duration = Duration::from_secs(15);

/// What woke a session up.
enum Wake {
    Input(bool),
    Changed,
    /// What the client asked to be notified of.
    Noticed,
    Drain,
    Timer,
    /// The session is to be judged again.
    Due,
}

impl Connection {
    /// From `+ idling` to DONE. This future is held by every session that waits: it stays small.
    pub(crate) async fn idle(&mut self, tag: String) -> Next {
        let _counted = Counted::new(&self.shared.metrics.idle);
        let ends_at = Instant::now() + self.shared.timeouts.idle;
        // Sessions that began together would otherwise poll together.
        let jitter = Duration::from_millis(u64::from(self.peer.port() % 4096));
        self.decoder.expect_done();
        response::continuation(&mut self.wire.out, "idling");
        loop {
            if let Some(input) = self.decoder.poll() {
                return self.end_idle(&tag, input).await;
            }
            if self.tell_idle().await.is_err() {
                return Next::Close;
            }
            let poll_at = Instant::now() + POLL + jitter;
            match self.wait(poll_at.min(ends_at)).await {
                Wake::Input(false) => return Next::Close,
                Wake::Drain => return self.bye("Server is restarting"),
                Wake::Timer if Instant::now() >= ends_at => return self.bye("Idle for too long; closing"),
                Wake::Due if !Box::pin(self.stands()).await => return Next::Close,
                // Nothing more is told to one whose access was withdrawn, however busy the folder is.
                Wake::Changed | Wake::Noticed | Wake::Timer if !self.stands_if_due().await => {
                    return Next::Close;
                }
                Wake::Input(true) | Wake::Changed | Wake::Noticed | Wake::Timer | Wake::Due => {}
            }
        }
    }

    async fn wait(&mut self, until: Instant) -> Wake {
        // With NOTIFY, that alone says what is told.
        let selected = self.selected.as_deref_mut();
        let changed = async {
            match (self.notify.as_deref(), selected) {
                (Some(notify), selected) => {
                    noticed(Some(notify), selected).await;
                    Wake::Noticed
                }
                (None, Some(selected)) => {
                    selected.watch.changed().await;
                    Wake::Changed
                }
                (None, None) => std::future::pending().await,
            }
        };
        tokio::select! {
            read = self.wire.read_into(&mut self.decoder) => Wake::Input(read.is_ok_and(|count| count > 0)),
            wake = changed => wake,
            () = self.drain.asked() => Wake::Drain,
            () = due(self.vigil.as_deref_mut()) => Wake::Due,
            () = sleep_until(until) => Wake::Timer,
        }
    }

    /// Tells everything new. What fails for a cause of ours is tried again at the next wake.
    async fn tell_idle(&mut self) -> Result<(), Failure> {
        match Box::pin(self.tell_changes(Telling::EVERYTHING)).await {
            Err(Failure::Vanished) => {
                self.bye("The selected folder is gone");
                return Err(Failure::Vanished);
            }
            Err(Failure::Store(error)) => tracing::error!(%error, "the change log could not be read"),
            Err(failure) => return Err(failure),
            Ok(()) => {}
        }
        if self.notify.is_some() {
            Box::pin(self.tell_notices()).await?;
            self.settle_notices();
        }
        self.wire.flush().await
    }

    /// Tells what a client wants to hear between commands (RFC 5465); of the selected folder also where no notice came, if `is_here`.
    pub(crate) async fn tell_unasked(&mut self, is_here: bool) -> Result<(), Failure> {
        match self.tell_changes(Telling { forced: is_here, ..Telling::UNASKED }).await {
            Err(Failure::Vanished) => {
                self.bye("The selected folder is gone");
                return Err(Failure::Vanished);
            }
            Err(Failure::Store(error)) => tracing::error!(%error, "the change log could not be read"),
            Err(failure) => return Err(failure),
            Ok(()) => {}
        }
        self.tell_notices().await?;
        self.settle_notices();
        self.wire.flush().await
    }

    async fn end_idle(&mut self, tag: &str, input: Input) -> Next {
        match input {
            Input::Done => {
                response::tagged(&mut self.wire.out, tag, Status::Ok, None, "IDLE terminated");
                Next::Go
            }
            Input::Bad { text, .. } => {
                self.decoder.expect_command();
                self.bad(Some(tag), text)
            }
            Input::Fatal(text) => self.bye(text),
            // Only a line is expected; nothing else can come.
            _ => self.bad(Some(tag), "Expected DONE"),
        }
    }
}
