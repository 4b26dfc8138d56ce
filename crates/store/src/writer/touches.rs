//! What a unit of work will change, known before it runs: which writer it goes to, and which rows its batch locks first.

use crate::Acceptance;
use mail_types::{FolderId, MailboxId};
use std::sync::Arc;

/// Mailboxes, named by themselves or by one of their folders. A unit that changes none of either has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touches {
    pub(super) mailboxes: Vec<MailboxId>,
    pub(super) folders: Vec<FolderId>,
}

impl Touches {
    /// Nothing in a mailbox.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// Every mailbox that a message is delivered to, and that which keeps a copy of what it sends.
    pub(crate) fn of(acceptance: &Acceptance) -> Self {
        let local = acceptance.local.iter().map(|delivery| delivery.mailbox);
        let sent = acceptance.sent_copy.iter().map(|copy| copy.to.mailbox);
        Self { mailboxes: local.chain(sent).collect(), folders: Vec::new() }
    }

    /// The same, with every mailbox that letters are delivered to.
    pub(crate) fn and(mut self, letters: &[Arc<Acceptance>]) -> Self {
        self.mailboxes.extend(letters.iter().flat_map(|letter| Self::of(letter).mailboxes));
        self
    }

    /// Which of `count` writers the unit goes to: that of its first mailbox, so that what is done in one mailbox shares batches.
    pub(super) fn shard(&self, count: usize) -> usize {
        let mailbox = self.mailboxes.first().map(|id| id.0);
        let key = mailbox.or(self.folders.first().map(|id| id.0)).unwrap_or(0);
        usize::try_from(key.unsigned_abs() % count.max(1) as u64).unwrap_or(0)
    }
}

impl From<MailboxId> for Touches {
    fn from(mailbox: MailboxId) -> Self {
        Self { mailboxes: vec![mailbox], folders: Vec::new() }
    }
}

impl From<[MailboxId; 2]> for Touches {
    fn from(mailboxes: [MailboxId; 2]) -> Self {
        Self { mailboxes: mailboxes.to_vec(), folders: Vec::new() }
    }
}

impl From<FolderId> for Touches {
    fn from(folder: FolderId) -> Self {
        Self { mailboxes: Vec::new(), folders: vec![folder] }
    }
}
