//! Wake-ups for sessions that follow whole mailboxes. A notice says where something changed, and nothing of what: the session reads it again.
//!
//! What this process commits is told of at once, and what another one does by [`Store::follow_mailboxes`](crate::Store::follow_mailboxes), which looks
//! from time to time for everybody: no session asks the database by itself.

use crate::MailboxSeqs;
use mail_types::{ActorId, FolderId, MailboxId, ModSeq};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Folders of one mailbox of which a session is told one by one; past it all of them may have changed.
const FOLDERS_MAX: usize = 1_000;

/// What may have changed in a mailbox since it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxMoves {
    /// Names, subscriptions or annotations: how far is to be asked ([`Store::mailbox_seqs`](crate::Store::mailbox_seqs)).
    pub is_named: bool,
    /// How far those were when somebody looked.
    pub seqs: Option<MailboxSeqs>,
    /// Folders in which messages came, went or changed; where it is known, the modification sequence that they came to.
    pub folders: BTreeMap<FolderId, Option<ModSeq>>,
    /// It may be more of them than are named.
    pub all_folders: bool,
}

impl MailboxMoves {
    /// A folder in which messages may have changed.
    pub fn add_folder(&mut self, folder: FolderId, modseq: Option<ModSeq>) {
        if self.all_folders {
            return;
        }
        let known = self.folders.entry(folder).or_insert(modseq);
        // Of one that is not known the later is not known either.
        *known = known.zip(modseq).map(|(one, other)| one.max(other));
        if self.folders.len() > FOLDERS_MAX {
            self.folders.clear();
            self.all_folders = true;
        }
    }

    /// What came before, or after: of two looks the later counts.
    pub fn add(&mut self, other: Self) {
        self.is_named |= other.is_named;
        self.seqs = self.seqs.max(other.seqs);
        if other.all_folders {
            self.folders.clear();
            self.all_folders = true;
        }
        for (folder, modseq) in other.folders {
            self.add_folder(folder, modseq);
        }
    }
}

/// What a session hears at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxNews {
    /// The mailboxes in which something may have changed.
    pub mailboxes: BTreeMap<MailboxId, MailboxMoves>,
    /// The actor may reach another mailbox than before.
    pub reaches_more: bool,
}

impl MailboxNews {
    fn is_empty(&self) -> bool {
        self.mailboxes.is_empty() && !self.reaches_more
    }
}

/// Mailboxes that somebody follows.
#[derive(Debug, Default)]
pub(crate) struct MailboxNotices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    mailboxes: HashMap<MailboxId, Followed>,
    /// Commits name only the folders in which messages changed.
    of_folders: HashMap<FolderId, MailboxId>,
    /// Who hears of mailboxes that are given.
    of_actors: HashMap<ActorId, Vec<Arc<Signal>>>,
}

/// A mailbox that somebody follows.
#[derive(Debug, Default)]
struct Followed {
    /// Each with whether it hears of messages.
    signals: Vec<(Arc<Signal>, bool)>,
    folders: HashSet<FolderId>,
}

impl Followed {
    fn tell(&self, mailbox: MailboxId, is_of_messages: bool, tell: impl Fn(&mut MailboxMoves)) {
        for (signal, hears_messages) in &self.signals {
            if *hears_messages || !is_of_messages {
                tell(signal.news().mailboxes.entry(mailbox).or_default());
                signal.woken.notify_one();
            }
        }
    }
}

/// What one session hears.
#[derive(Debug, Default)]
struct Signal {
    woken: tokio::sync::Notify,
    news: Mutex<MailboxNews>,
}

impl Signal {
    fn news(&self) -> MutexGuard<'_, MailboxNews> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MailboxNotices {
    /// Wakes everyone who follows one of these mailboxes, in which names, subscriptions or annotations changed, or the mailbox of one of these
    /// folders, in which messages did.
    pub(crate) fn publish(&self, mailboxes: &[MailboxId], folders: &[FolderId]) {
        let known = self.lock();
        for mailbox in mailboxes {
            if let Some(followed) = known.mailboxes.get(mailbox) {
                followed.tell(*mailbox, false, |moved| moved.is_named = true);
            }
        }
        for folder in folders {
            let Some(mailbox) = known.of_folders.get(folder) else { continue };
            if let Some(followed) = known.mailboxes.get(mailbox) {
                followed.tell(*mailbox, true, |moved| moved.add_folder(*folder, None));
            }
        }
    }

    /// The same of what somebody found who looked.
    pub(crate) fn publish_seqs(&self, mailbox: MailboxId, seqs: MailboxSeqs) {
        if let Some(followed) = self.lock().mailboxes.get(&mailbox) {
            followed.tell(mailbox, false, |moved| moved.seqs = moved.seqs.max(Some(seqs)));
        }
    }

    /// The same, of folders of one mailbox.
    pub(crate) fn publish_modseqs(&self, mailbox: MailboxId, folders: &[(FolderId, ModSeq)]) {
        if let Some(followed) = self.lock().mailboxes.get(&mailbox) {
            followed.tell(mailbox, true, |moved| {
                folders.iter().for_each(|(folder, modseq)| moved.add_folder(*folder, Some(*modseq)));
            });
        }
    }

    /// Wakes those who follow what this actor reaches.
    pub(crate) fn publish_reach(&self, actor: ActorId) {
        for signal in self.lock().of_actors.get(&actor).into_iter().flatten() {
            signal.news().reaches_more = true;
            signal.woken.notify_one();
        }
    }

    /// Wakes all who follow what they reach.
    pub(crate) fn publish_all_reach(&self) {
        for signal in self.lock().of_actors.values().flatten() {
            signal.news().reaches_more = true;
            signal.woken.notify_one();
        }
    }

    /// The mailboxes that somebody follows.
    pub(crate) fn followed(&self) -> Vec<MailboxId> {
        self.lock().mailboxes.keys().copied().collect()
    }

    /// Whether somebody follows what an actor reaches.
    pub(crate) fn has_actors(&self) -> bool {
        !self.lock().of_actors.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's interest in mailboxes, until dropped.
#[derive(Debug)]
pub struct MailboxWatch {
    notices: Arc<MailboxNotices>,
    signal: Arc<Signal>,
    hears_messages: bool,
    mailboxes: BTreeSet<MailboxId>,
    actor: Option<ActorId>,
}

impl MailboxWatch {
    pub(crate) fn new(notices: Arc<MailboxNotices>, hears_messages: bool) -> Self {
        Self { notices, signal: Arc::default(), hears_messages, mailboxes: BTreeSet::new(), actor: None }
    }

    /// Follows a mailbox from now on. To be called before it is read.
    pub fn follow(&mut self, mailbox: MailboxId) {
        if self.mailboxes.insert(mailbox) {
            let signal = (self.signal.clone(), self.hears_messages);
            self.notices.lock().mailboxes.entry(mailbox).or_default().signals.push(signal);
        }
    }

    /// Follows what an actor reaches from now on. To be called before that is asked.
    pub fn follow_reach(&mut self, actor: ActorId) {
        if self.actor.is_none() {
            self.actor = Some(actor);
            self.notices.lock().of_actors.entry(actor).or_default().push(self.signal.clone());
        }
    }

    /// Says which folders a mailbox has that is followed, all of them. To be called before their messages are counted.
    pub fn has_folders(&self, mailbox: MailboxId, folders: impl Iterator<Item = FolderId>) {
        let there: HashSet<FolderId> = folders.collect();
        let last = there.iter().max().copied();
        let mut known = self.notices.lock();
        let Known { mailboxes, of_folders, .. } = &mut *known;
        let Some(followed) = mailboxes.get_mut(&mailbox) else { return };
        // One with a larger number may have been made after these were read, and another session know of it.
        followed.folders.retain(|folder| {
            let stays = there.contains(folder) || Some(*folder) > last;
            if !stays {
                of_folders.remove(folder);
            }
            stays
        });
        for folder in there {
            if followed.folders.insert(folder) {
                of_folders.insert(folder, mailbox);
            }
        }
    }

    /// Follows a mailbox no more.
    pub fn leave(&mut self, mailbox: MailboxId) {
        if self.mailboxes.remove(&mailbox) {
            self.forget(mailbox);
        }
    }

    /// Returns once something was committed in a mailbox that is followed, and at once until [`MailboxWatch::take`] is called. May be cancelled
    /// without loss.
    pub async fn changed(&self) {
        while !self.has_changed() {
            self.signal.woken.notified().await;
        }
    }

    /// Whether [`MailboxWatch::changed`] returns at once.
    pub fn has_changed(&self) -> bool {
        !self.signal.news().is_empty()
    }

    /// What happened since the last call.
    pub fn take(&self) -> MailboxNews {
        std::mem::take(&mut *self.signal.news())
    }

    fn forget(&self, mailbox: MailboxId) {
        let mut known = self.notices.lock();
        let Some(followed) = known.mailboxes.get_mut(&mailbox) else { return };
        followed.signals.retain(|(signal, _)| !Arc::ptr_eq(signal, &self.signal));
        if !followed.signals.is_empty() {
            return;
        }
        if let Some(Followed { folders, .. }) = known.mailboxes.remove(&mailbox) {
            for folder in folders {
                known.of_folders.remove(&folder);
            }
        }
    }

    fn forget_actor(&self, actor: ActorId) {
        let mut known = self.notices.lock();
        let Some(signals) = known.of_actors.get_mut(&actor) else { return };
        signals.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
        if signals.is_empty() {
            known.of_actors.remove(&actor);
        }
    }
}

impl Drop for MailboxWatch {
    fn drop(&mut self) {
        for mailbox in std::mem::take(&mut self.mailboxes) {
            self.forget(mailbox);
        }
        if let Some(actor) = self.actor.take() {
            self.forget_actor(actor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(notices: &Arc<MailboxNotices>, mailboxes: &[i64], hears_messages: bool) -> MailboxWatch {
        let mut watch = MailboxWatch::new(notices.clone(), hears_messages);
        mailboxes.iter().for_each(|mailbox| watch.follow(MailboxId(*mailbox)));
        watch
    }

    fn folders(folders: &[i64]) -> impl Iterator<Item = FolderId> {
        folders.iter().copied().map(FolderId)
    }

    fn moved_in(watch: &MailboxWatch, mailbox: i64) -> Option<MailboxMoves> {
        watch.take().mailboxes.remove(&MailboxId(mailbox))
    }

    #[test]
    fn whoever_follows_a_mailbox_hears_of_its_names_and_of_its_folders() {
        let notices = Arc::new(MailboxNotices::default());
        let mut one = watch(&notices, &[1], true);
        let (other, names) = (watch(&notices, &[2], true), watch(&notices, &[1], false));
        one.has_folders(MailboxId(1), folders(&[10, 11]));
        notices.publish(&[MailboxId(2), MailboxId(3)], &[FolderId(11), FolderId(12)]);
        let wanted = MailboxMoves { folders: [(FolderId(11), None)].into(), ..MailboxMoves::default() };
        assert_eq!(moved_in(&one, 1), Some(wanted));
        assert!(
            !one.has_changed() && other.has_changed() && !names.has_changed(),
            "who asked hears of messages"
        );
        notices.publish(&[MailboxId(1)], &[]);
        assert!(moved_in(&names, 1).is_some_and(|moved| moved.is_named));
        one.take();
        one.leave(MailboxId(1));
        notices.publish(&[MailboxId(1)], &[FolderId(10)]);
        assert!(!one.has_changed());
        one.follow_reach(ActorId(7));
        notices.publish_reach(ActorId(8));
        assert!(!one.has_changed());
        notices.publish_reach(ActorId(7));
        assert!(one.take().reaches_more);
        drop((one, other, names));
        let known = notices.lock();
        assert!(known.mailboxes.is_empty() && known.of_folders.is_empty() && known.of_actors.is_empty());
    }

    #[test]
    fn folders_that_went_are_forgotten_and_none_that_is_newer_than_what_was_read() {
        let notices = Arc::new(MailboxNotices::default());
        let (one, other) = (watch(&notices, &[1], true), watch(&notices, &[1], true));
        one.has_folders(MailboxId(1), folders(&[10, 11, 13]));
        // Read before 13 was made, and after 10 was deleted.
        other.has_folders(MailboxId(1), folders(&[11, 12]));
        let mut known: Vec<i64> = notices.lock().of_folders.keys().map(|folder| folder.0).collect();
        known.sort_unstable();
        assert_eq!(known, [11, 12, 13]);
    }

    #[test]
    fn what_comes_together_is_told_together_and_within_a_bound() {
        let mut moved = MailboxMoves::default();
        for (folder, modseq) in [(1, Some(5)), (1, Some(4)), (2, Some(9)), (2, None), (3, None), (3, Some(7))]
        {
            moved.add_folder(FolderId(folder), modseq.map(ModSeq));
        }
        let wanted = [(FolderId(1), Some(ModSeq(5))), (FolderId(2), None), (FolderId(3), None)];
        assert_eq!(moved.folders, wanted.into());
        let seqs = |folders| Some(MailboxSeqs { folders, ..MailboxSeqs::default() });
        moved.add(MailboxMoves { is_named: true, seqs: seqs(2), ..MailboxMoves::default() });
        moved.add(MailboxMoves { seqs: seqs(1), ..MailboxMoves::default() });
        assert!(moved.is_named && moved.seqs == seqs(2));
        (0..2 * FOLDERS_MAX as i64).for_each(|folder| moved.add_folder(FolderId(folder), None));
        assert!(moved.all_folders && moved.folders.is_empty());
    }
}
