//! A command that takes long while its client waits: whether the client is still there and may still have the answer, and that it hears of progress
//! (RFC 9585).

use crate::Imapd;
use crate::standing::{Turn, Watch};
use crate::state::{Connection, Failure, NO_FOLDER, Selected};
use crate::transport::Wire;
use imap_session::decoder::Decoder;
use imap_session::response::{self, Code, Status};
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a command goes on for a client that said that it will say nothing more.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Between two tellings of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// How far a command has come, in messages.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    /// Zero when it is not known.
    goal: u64,
}

impl Progress {
    /// Of so many messages none is done.
    pub(crate) fn of(goal: u64) -> Self {
        Self { done: AtomicU64::new(0), goal }
    }

    /// So many more are done.
    pub(crate) fn add(&self, count: u64) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    /// What is done, and of how many, where that is known. What is done is less than the goal as long as the command is not (RFC 9585 §3).
    fn told(&self) -> Option<(u64, u64)> {
        let last = self.goal.checked_sub(1)?;
        Some((self.done.load(Ordering::Relaxed).min(last), self.goal))
    }
}

/// Tells the client of a command that it is at work.
pub(crate) struct Reports<'t> {
    tag: &'t str,
    due: Instant,
}

impl<'t> Reports<'t> {
    /// Of the command of that tag, which begins.
    pub(crate) fn of(tag: &'t str) -> Self {
        Self { tag, due: Instant::now() + PROGRESS }
    }

    /// What comes of work that is finished whoever still waits for it.
    pub(crate) async fn during<T>(
        &mut self,
        wire: &mut Wire,
        done: &Progress,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                came = &mut work => return Ok(came),
                () = sleep_until(self.due) => self.tell(wire, done).await?,
            }
        }
    }

    async fn tell(&mut self, wire: &mut Wire, done: &Progress) -> Result<(), Failure> {
        let code = Code::InProgress(self.tag.to_owned(), done.told());
        response::untagged(&mut wire.out, Status::Ok, Some(code), "Still at work");
        self.due = Instant::now() + PROGRESS;
        wire.flush().await
    }
}

/// What a long command looks after while it works.
pub(crate) struct Attending<'c> {
    wire: &'c mut Wire,
    decoder: &'c mut Decoder,
    /// None before a login.
    watch: Option<Watch<'c>>,
    client: Client,
}

/// What is heard of the client.
enum Client {
    /// Nothing it sent waits.
    Listening,
    /// It will say nothing more, and hears the answer if that comes soon.
    Leaving(Instant),
    /// It sent more commands, which wait. Nobody listens any more: they must not be read ahead.
    Busy,
}

impl Client {
    /// What it sent ahead is read no further, and done whatever becomes of the connection.
    fn of(decoder: &Decoder) -> Self {
        if decoder.is_within_command() { Self::Busy } else { Self::Listening }
    }
}

impl Attending<'_> {
    /// What comes of the work, and whether the session was asked about meanwhile and is to be judged as a whole. The work ends where it stands
    /// when the client is gone or lost its access: that is [`Failure::Lost`].
    pub(crate) async fn to<T>(
        mut self,
        tag: &str,
        done: &Progress,
        work: impl Future<Output = T>,
    ) -> (Result<T, Failure>, bool) {
        let mut work = pin!(work);
        let mut reports = Reports::of(tag);
        loop {
            let Self { wire, decoder, watch, client } = &mut self;
            tokio::select! {
                biased;
                came = &mut work => return (Ok(came), self.is_owed()),
                () = gone(wire, decoder, client) => return (Err(Failure::Lost), false),
                turn = turn(watch) => {
                    if matches!(turn, Turn::Fallen) || !self.certificate_stands() {
                        return (Err(Failure::Lost), true);
                    }
                }
                () = sleep_until(reports.due) => {
                    if let Err(failure) = reports.tell(wire, done).await {
                        return (Err(failure), false);
                    }
                }
            }
        }
    }

    fn certificate_stands(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.certificate_stands(&self.wire.transport))
    }

    fn is_owed(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::is_due)
    }
}

impl Connection {
    /// The selected folder, to work on, and what is looked after meanwhile.
    pub(crate) fn at_work(&mut self) -> Result<(&Selected, &Imapd, Attending<'_>), Failure> {
        let Self { selected, shared, wire, decoder, vigil, login, certificate, .. } = self;
        let selected = selected.as_deref().ok_or(NO_FOLDER)?;
        let peer = certificate.as_deref().map(|shown| &shown.peer);
        let (vigil, ground) = (vigil.as_deref_mut(), selected.ground.clone());
        let watch = login.as_deref().map(|login| Watch::new(vigil, shared, &login.proof, peer, ground));
        let client = Client::of(decoder);
        Ok((selected, &**shared, Attending { wire, decoder, watch, client }))
    }

    /// What came of the work, unless the session, judged as a whole where it was asked about meanwhile, has ended.
    pub(crate) async fn after_work<T>(
        &mut self,
        (came, is_owed): (Result<T, Failure>, bool),
    ) -> Result<T, Failure> {
        if is_owed && !Box::pin(self.stands()).await {
            return Err(Failure::Lost);
        }
        came
    }
}

/// Ends when the client is gone. May be cancelled without loss.
async fn gone(wire: &mut Wire, decoder: &mut Decoder, client: &mut Client) {
    loop {
        match client {
            Client::Busy => pending().await,
            Client::Leaving(until) => return sleep_until(*until).await,
            Client::Listening => match wire.read_into(decoder).await {
                Ok(0) => *client = Client::Leaving(Instant::now() + AFTERMATH),
                Ok(_) => *client = Client::Busy,
                Err(_) => return,
            },
        }
    }
}

async fn turn(watch: &mut Option<Watch<'_>>) -> Turn {
    match watch {
        Some(watch) => watch.turn().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;
    use imap_session::decoder::Limits;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_client_that_sends_ahead_is_not_read_further_with_each_command() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut sender =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a client");
        let (server, _) = listener.accept().await.expect("a connection");
        let mut wire = Wire::new(Transport::Clear(server), Duration::from_secs(5));
        let mut decoder = Decoder::new(Limits::authenticated());
        let sending = tokio::spawn(async move {
            // It ends with the connection.
            while sender.write_all(&b"a SEARCH BODY x\r\n".repeat(1024)).await.is_ok() {}
        });
        assert!(wire.read_into(&mut decoder).await.is_ok());
        for _ in 0..12 {
            assert!(decoder.poll().is_some());
            let mut client = Client::of(&decoder);
            let heard = timeout(Duration::from_millis(20), gone(&mut wire, &mut decoder, &mut client)).await;
            assert!(heard.is_err(), "the client is there");
            assert!(decoder.wants_input(), "{decoder:?}");
        }
        drop(wire);
        sending.await.expect("the client ends");
    }
}
