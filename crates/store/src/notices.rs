//! Wake-ups for sessions that wait on a folder. A notice carries no data: the session re-reads the change log.

use crate::mailbox_watch::MailboxNotices;
use mail_types::FolderId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Folders that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    folders: Mutex<HashMap<FolderId, Watched>>,
    queue: tokio::sync::Notify,
    pub(crate) mailboxes: Arc<MailboxNotices>,
}

/// A folder that somebody watches.
#[derive(Debug)]
struct Watched {
    changes: watch::Sender<u64>,
    /// Messages with a smaller UID were told as recent to some session of this process.
    recent_from: u32,
}

impl Notices {
    /// Wakes everyone who watches `folder`.
    pub(crate) fn publish(&self, folder: FolderId) {
        if let Some(watched) = self.lock().get(&folder) {
            watched.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Wakes the queue runner; a wake-up with nobody waiting is kept for the next who waits.
    pub(crate) fn publish_queue(&self) {
        self.queue.notify_one();
    }

    pub(crate) async fn queue_changed(&self) {
        self.queue.notified().await;
    }

    pub(crate) fn watch(self: &Arc<Self>, folder: FolderId) -> FolderWatch {
        let new = || Watched { changes: watch::Sender::new(0), recent_from: 0 };
        let receiver = self.lock().entry(folder).or_insert_with(new).changes.subscribe();
        FolderWatch { folder, receiver: Some(receiver), notices: self.clone() }
    }

    /// The UID from which on no session of this process was told of a message as recent; 0 when none watches.
    pub(crate) fn recent_from(&self, folder: FolderId) -> u32 {
        self.lock().get(&folder).map_or(0, |watched| watched.recent_from)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FolderId, Watched>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered interest in one folder, until dropped.
#[derive(Debug)]
pub struct FolderWatch {
    folder: FolderId,
    receiver: Option<watch::Receiver<u64>>,
    notices: Arc<Notices>,
}

impl FolderWatch {
    /// Returns once something was committed in the folder since the last return (or since the watch began).
    pub async fn changed(&mut self) {
        if let Some(receiver) = self.receiver.as_mut()
            && receiver.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Whether something was committed since the last return of [`FolderWatch::changed`] or call of this; takes note of it.
    pub fn take(&mut self) -> bool {
        self.receiver.as_mut().is_some_and(|receiver| {
            let changed = receiver.has_changed().unwrap_or(false);
            receiver.mark_unchanged();
            changed
        })
    }

    /// Messages with a UID from here on were told as recent to no session of this process yet.
    pub fn recent_from(&self) -> u32 {
        self.notices.recent_from(self.folder)
    }

    /// The same, and from now on those below `up_to` were told to the caller. It is kept as long as somebody watches the folder:
    /// [`crate::Store::claim_recent`] keeps it for good.
    pub fn claim_recent(&self, up_to: u32) -> u32 {
        let mut folders = self.notices.lock();
        let Some(watched) = folders.get_mut(&self.folder) else { return 0 };
        let from = watched.recent_from;
        watched.recent_from = from.max(up_to);
        from
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.receiver = None;
        let mut folders = self.notices.lock();
        if folders.get(&self.folder).is_some_and(|watched| watched.changes.receiver_count() == 0) {
            folders.remove(&self.folder);
        }
    }
}
