//! NOTIFY (RFC 5465): a session is told of what happens in the selected folder and in others, between commands and in IDLE.
//!
//! For each mailbox that was asked about, the session keeps a picture. When something was committed there it reads again what may have changed, by a few
//! queries however many folders the mailbox has, and tells the difference ([`picture`]). It asks the database of nothing while nothing happens: what this
//! process commits wakes it, and what another one does is looked for once for all sessions ([`store::Store::follow_mailboxes`]).

mod filters;
mod look;
mod own;
mod picture;
mod selected;

use crate::state::{Answer, Connection, Done, Failure, Selected};
use auth::{Authenticator, Reached};
use filters::Filters;
use imap_session::command::{CommandBody, Events, Notify, NotifySet, SelectedEvents};
use imap_session::response::{self, Code, Status};
use mail_types::{FolderId, MailboxId, ModSeq};
pub(crate) use own::Own;
use picture::Picture;
use selected::OfSelected;
use std::future::pending;
use std::time::Duration;
use store::{MailboxMoves, MailboxSeqs, MailboxWatch};
use tokio::time::{Instant, sleep_until};

/// Folders that one session follows.
const FOLDERS_MAX: usize = 5_000;
/// Mailboxes that one session follows.
const MAILBOXES_MAX: usize = 200;
/// What comes in so short a time is told together.
const PAUSE: Duration = Duration::from_millis(300);
/// What could not be read is read again so much later, and each time twice as much.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// What a client asked to be notified of.
pub(crate) struct Notifying {
    /// Of the selected folder.
    selected: OfSelected,
    filters: Filters,
    watch: Option<MailboxWatch>,
    mailboxes: Vec<Followed>,
    /// Mailboxes that were reached and are no more: they may be again.
    lost: Vec<Reached>,
    /// Others may be reached than those that are known.
    reaches_more: bool,
    /// Folders that were selected since it was looked last, and up to where the client knows them.
    left: Vec<(FolderId, ModSeq)>,
    /// What the session itself changed since.
    own: Own,
    /// Nothing is told before.
    next_at: Instant,
    /// Times in a row that something could not be read.
    failures: u32,
}

/// A mailbox that is followed.
struct Followed {
    /// What stands before the names of its folders; nothing in the session's own.
    prefix: String,
    reached: Reached,
    picture: Picture,
    /// The picture knows of changes up to here, but of those of messages: their folders say that.
    seqs: MailboxSeqs,
    /// What may have changed since.
    moved: MailboxMoves,
    /// Nothing is known of it yet, or its rights may be others.
    is_stale: bool,
}

impl Followed {
    fn new(prefix: String, reached: Reached) -> Self {
        Self {
            prefix,
            reached,
            picture: Picture::default(),
            seqs: MailboxSeqs::default(),
            moved: MailboxMoves::default(),
            is_stale: true,
        }
    }

    fn is_due(&self) -> bool {
        self.is_stale || self.moved != MailboxMoves::default()
    }
}

/// How the selected folder is told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SelectedPolicy {
    /// What comes and goes.
    pub(crate) messages: bool,
    /// Changes of flags.
    pub(crate) flags: bool,
    /// Between commands no expunges are told.
    pub(crate) is_delayed: bool,
}

impl Notifying {
    fn new(selected: SelectedEvents, filters: Filters) -> Self {
        Self {
            selected: OfSelected::new(selected),
            filters,
            watch: None,
            mailboxes: Vec::new(),
            lost: Vec::new(),
            reaches_more: false,
            left: Vec::new(),
            own: Own::default(),
            next_at: Instant::now(),
            failures: 0,
        }
    }

    fn nothing() -> Self {
        Self::new(SelectedEvents::default(), Filters::default())
    }

    /// Whether there is something to look at.
    fn has_work(&self) -> bool {
        self.selected.is_due() || self.reaches_more || self.mailboxes.iter().any(Followed::is_due)
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next_at && self.has_work()
    }

    /// Learns where something may have changed.
    fn gather(&mut self, authenticator: &Authenticator) {
        let Some(watch) = &self.watch else { return };
        let mut news = watch.take();
        self.reaches_more |= news.reaches_more;
        for followed in &mut self.mailboxes {
            if let Some(moved) = news.mailboxes.remove(&followed.reached.mailbox) {
                followed.moved.add(moved);
            }
            followed.is_stale |= authenticator.has_moved(&mut followed.reached);
        }
        for lost in &mut self.lost {
            self.reaches_more |= authenticator.has_moved(lost);
        }
    }

    /// It went well: what comes now is gathered for a short time.
    fn rest(&mut self) {
        self.failures = 0;
        self.next_at = Instant::now() + PAUSE;
    }

    /// Something could not be read.
    fn try_again_later(&mut self) {
        let pause = AGAIN.saturating_mul(1 << self.failures.min(10)).min(AGAIN_MAX);
        self.failures = self.failures.saturating_add(1);
        self.next_at = Instant::now() + pause;
    }

    /// Everything was told that could be.
    fn settle(&mut self) {
        if self.next_at <= Instant::now() {
            self.rest();
        }
    }

    /// A folder is selected no more: what happened there is told of by its counters, as far as the client does not know it.
    fn leave(&mut self, mailbox: MailboxId, folder: FolderId, modseq: ModSeq) {
        let knows_all = self.selected.policy().messages && self.selected.policy().flags;
        self.selected.leave();
        if let Some(followed) = self.mailboxes.iter_mut().find(|each| each.reached.mailbox == mailbox)
            && self.filters.asks(Events::OF_MESSAGES)
        {
            followed.moved.add_folder(folder, None);
            self.left.retain(|(known, _)| *known != folder);
            self.left.extend(knows_all.then_some((folder, modseq)));
        }
    }

    /// Returns when something is to be told: whether it is of the selected folder. May be cancelled without loss.
    async fn noticed(&self, selected: Option<&mut Selected>) -> bool {
        let has_work = self.has_work();
        let elsewhere = async {
            match &self.watch {
                _ if has_work => {}
                Some(watch) => watch.changed().await,
                None => pending().await,
            }
            sleep_until(self.next_at).await;
        };
        tokio::select! {
            () = elsewhere => self.selected.is_due(),
            () = self.selected.noticed(selected, self.next_at) => true,
        }
    }
}

/// Returns when a session is to be told of something without asking: whether it is of the selected folder. May be cancelled without loss.
pub(crate) async fn noticed(notify: Option<&Notifying>, selected: Option<&mut Selected>) -> bool {
    match notify {
        Some(notify) => Box::pin(notify.noticed(selected)).await,
        None => pending().await,
    }
}

impl Connection {
    /// NOTIFY.
    pub(crate) async fn notify(&mut self, asked: Notify) -> Answer {
        let NotifySet { with_status, selected, groups } = match asked {
            Notify::Set(set) => set,
            Notify::Unsupported => {
                return Err(Failure::No(Some(Code::BadEvent), "Some of these events are not known here"));
            }
            Notify::None => NotifySet::default(),
        };
        let mut notify = Box::new(Notifying::new(selected.unwrap_or_default(), Filters::new(groups)));
        if !notify.filters.is_empty() {
            let hears_messages = notify.filters.asks(Events::OF_MESSAGES);
            notify.watch = Some(self.shared.store.watch_mailboxes(hears_messages));
            self.tell_first(&mut notify, with_status).await?;
        }
        self.notify = Some(notify);
        Ok(Done::new("NOTIFY completed"))
    }

    /// What a command is about to change itself, where the session would be notified of it.
    pub(crate) fn own_doing(&self, body: &CommandBody) -> Option<Box<Own>> {
        let notify = self.notify.as_deref().filter(|notify| !notify.filters.is_empty());
        notify.and_then(|_| Own::of(body)).map(Box::new)
    }

    /// It did.
    pub(crate) fn note_own_doing(&mut self, own: Own) {
        if let Some(notify) = self.notify.as_deref_mut() {
            notify.own.add(own);
        }
    }

    /// The selected folder is so no more.
    pub(crate) fn note_left(&mut self, selected: &Selected) {
        if let Some(notify) = self.notify.as_deref_mut() {
            notify.leave(selected.who.mailbox, selected.folder, selected.modseq);
        }
    }

    /// All was told that there is: what comes now is gathered for a short time.
    pub(crate) fn settle_notices(&mut self) {
        if let Some(notify) = self.notify.as_deref_mut() {
            notify.settle();
        }
    }

    /// Tells what happened in other folders. What fails for a cause of ours is tried again later.
    pub(crate) async fn tell_notices(&mut self) -> Result<(), Failure> {
        let Some(notify) = self.notify.as_deref_mut() else { return Ok(()) };
        notify.gather(&self.shared.authenticator);
        let Some(mut notify) = self.notify.take_if(|notify| notify.is_due()) else { return Ok(()) };
        match self.look_again(&mut notify).await {
            Ok(()) => notify.rest(),
            Err(Failure::Lost) => return Err(Failure::Lost),
            Err(Failure::No(Some(Code::NotificationOverflow), text)) => {
                response::untagged(&mut self.wire.out, Status::Ok, Some(Code::NotificationOverflow), text);
                *notify = Notifying::nothing();
            }
            Err(failure) => {
                if let Failure::Store(error) = failure {
                    tracing::error!(%error, "a session could not be notified of changes; it is tried again");
                }
                notify.try_again_later();
            }
        }
        self.notify = Some(notify);
        Ok(())
    }
}

const TOO_MUCH: Failure = Failure::No(
    Some(Code::NotificationOverflow),
    "These are more folders than one session can be notified of; name fewer",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_asked_for_ever_more_seldom_and_then_as_before() {
        let mut notify = Notifying::nothing();
        let mut pause = || {
            notify.try_again_later();
            notify.settle();
            notify.next_at.saturating_duration_since(Instant::now()).as_secs_f64().round()
        };
        let pauses: Vec<f64> = (0..8).map(|_| pause()).collect();
        assert_eq!(pauses, [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        notify.rest();
        assert!(notify.next_at <= Instant::now() + PAUSE);
        notify.try_again_later();
        assert!(notify.next_at <= Instant::now() + AGAIN);
    }
}
