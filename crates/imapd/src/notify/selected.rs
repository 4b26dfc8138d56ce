//! NOTIFY of the selected folder (RFC 5465 §5.2, §6.1): what is told of it without asking, and what is fetched of messages that are new.

use super::SelectedPolicy;
use crate::state::{Connection, Failure, Selected};
use imap_session::command::{Events, FetchArguments, SelectedEvents};
use imap_session::sequence::{MessageSet, SequenceSet, runs};
use mail_types::FolderId;
use std::future::pending;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often the change log is read without a notice, as in IDLE: another process may have written. It is one short query.
const POLL: Duration = Duration::from_secs(15);
/// Runs of messages that the session itself added and that were not told yet; of more than these something is fetched too.
const ADDED_MAX: usize = 1_000;
/// Runs of messages of which something is fetched at one time.
const RUNS_MAX: usize = 1_000;

/// What is told of the selected folder.
pub(super) struct OfSelected {
    asked: SelectedEvents,
    /// It could not be read.
    is_owed: bool,
    /// Something is still to be fetched of those with a larger UID.
    unfetched_after: Option<u32>,
    /// UIDs of messages that the session added itself.
    added: Vec<RangeInclusive<u32>>,
    poll_at: Instant,
}

impl OfSelected {
    pub(super) fn new(asked: SelectedEvents) -> Self {
        let poll_at = Instant::now() + POLL;
        Self { asked, is_owed: false, unfetched_after: None, added: Vec::new(), poll_at }
    }

    pub(super) fn policy(&self) -> SelectedPolicy {
        let events = self.asked.events;
        SelectedPolicy {
            messages: events.has_any(Events::MESSAGE_NEW),
            flags: events.has_any(Events::FLAG_CHANGE),
            is_delayed: self.asked.is_delayed,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_owed || self.unfetched_after.is_some()
    }

    /// Another folder is selected, or none.
    pub(super) fn leave(&mut self) {
        (self.is_owed, self.unfetched_after) = (false, None);
        self.added = Vec::new();
    }

    /// Returns when something may have changed, not before `next_at`. May be cancelled without loss: a notice is taken by the last thing that is waited
    /// for.
    pub(super) async fn noticed(&self, selected: Option<&mut Selected>, next_at: Instant) {
        let Some(selected) = selected.filter(|_| self.policy().messages) else { return pending().await };
        let changed = async {
            sleep_until(next_at).await;
            selected.watch.changed().await;
        };
        tokio::select! {
            () = changed => {}
            () = sleep_until(self.poll_at.max(next_at)) => {}
        }
    }
}

impl Connection {
    /// How the selected folder is told of to a client that used NOTIFY.
    pub(crate) fn notify_policy(&self) -> Option<SelectedPolicy> {
        self.notify.as_deref().map(|notify| notify.selected.policy())
    }

    /// Whether the change log was to be read before and could not be.
    pub(crate) fn owes_changes(&self) -> bool {
        self.notify.as_deref().is_some_and(|notify| notify.selected.is_due())
    }

    /// The change log of the selected folder is read now.
    pub(crate) fn note_reading(&mut self) {
        let jitter = Duration::from_millis(u64::from(self.peer.port() % 4096));
        if let Some(notify) = self.notify.as_deref_mut() {
            notify.selected.is_owed = false;
            notify.selected.poll_at = Instant::now() + POLL + jitter;
        }
    }

    /// It could not be.
    pub(crate) fn note_unread(&mut self) {
        if let Some(notify) = self.notify.as_deref_mut().filter(|notify| notify.selected.policy().messages) {
            notify.selected.is_owed = true;
            notify.try_again_later();
        }
    }

    /// Messages that a command of this session put into a folder: the client knows of them, and nothing is fetched of them.
    pub(crate) fn note_added(&mut self, folder: FolderId, uids: &[u32]) {
        let is_selected = self.selected.as_deref().is_some_and(|selected| selected.folder == folder);
        if let Some(notify) = self.notify.as_deref_mut().filter(|_| is_selected)
            && !notify.selected.asked.attributes.is_empty()
        {
            let added = &mut notify.selected.added;
            added.extend(runs(uids));
            added.truncate(ADDED_MAX);
        }
    }

    /// What was asked for of each message of the selected folder that is new: those with a larger UID that the session did not add.
    pub(crate) async fn tell_new_messages(&mut self, after: u32) -> Result<(), Failure> {
        let (Some(notify), Some(selected)) = (self.notify.as_deref_mut(), self.selected.as_deref()) else {
            return Ok(());
        };
        let of_selected = &mut notify.selected;
        let after = of_selected.unfetched_after.map_or(after, |before| before.min(after));
        let is_added = |uid: u32| of_selected.added.iter().any(|run| run.contains(&uid));
        let new = selected.view.within(after.saturating_add(1)..=u32::MAX).map(|(_, entry)| entry.uid);
        let uids: Vec<u32> = new.filter(|uid| !is_added(*uid) && !selected.view.is_gone(*uid)).collect();
        let items = of_selected.asked.attributes.clone();
        if items.is_empty() || uids.is_empty() {
            of_selected.unfetched_after = None;
            of_selected.added.clear();
            return Ok(());
        }
        // Until it is done.
        of_selected.unfetched_after = Some(after);
        for uids in runs(&uids).chunks(RUNS_MAX) {
            let set: Vec<String> = uids.iter().map(|run| format!("{}:{}", run.start(), run.end())).collect();
            let Ok(set) = SequenceSet::parse(set.join(",").as_bytes()) else { continue };
            let arguments = FetchArguments {
                by_uid: true,
                set: MessageSet::Named(set),
                items: items.clone(),
                changed_since: None,
                partial: None,
                vanished: false,
            };
            match Box::pin(self.fetch(arguments)).await {
                Err(failure @ (Failure::Lost | Failure::Store(_) | Failure::Vanished)) => {
                    return Err(failure);
                }
                // What cannot be opened can be asked for, and is refused then.
                Ok(_) | Err(Failure::No(..) | Failure::Bad(_)) => {}
            }
        }
        if let Some(notify) = self.notify.as_deref_mut() {
            notify.selected.unfetched_after = None;
            notify.selected.added.clear();
        }
        Ok(())
    }
}
