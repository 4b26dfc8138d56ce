//! Wake-ups for sessions that wait on a folder. A notice carries no data: the session re-reads the change log.

use mail_types::FolderId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Folders that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    folders: Mutex<HashMap<FolderId, watch::Sender<u64>>>,
    queue: tokio::sync::Notify,
}

impl Notices {
    /// Wakes everyone who watches `folder`.
    pub(crate) fn publish(&self, folder: FolderId) {
        if let Some(sender) = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(&folder) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
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
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = folders.entry(folder).or_insert_with(|| watch::Sender::new(0)).subscribe();
        FolderWatch { folder, receiver: Some(receiver), notices: self.clone() }
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
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.receiver = None;
        let mut folders = self.notices.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.get(&self.folder).is_some_and(|sender| sender.receiver_count() == 0) {
            folders.remove(&self.folder);
        }
    }
}
