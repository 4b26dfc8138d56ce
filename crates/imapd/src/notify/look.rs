//! Looking at the mailboxes that a session follows: what it sees of each, and telling what is another thing than it was.

use super::picture::{Interest, Notice, Picture, Pictured};
use super::{FOLDERS_MAX, Followed, MAILBOXES_MAX, Notifying, Own, TOO_MUCH};
use crate::enable::Extension;
use crate::listed::under;
use crate::place::{Who, unreached};
use crate::state::{Connection, Failure};
use auth::Reached;
use imap_session::command::Events;
use imap_session::namespace::DELIMITER;
use imap_session::response::{self, ListItem};
use mail_types::{ActorId, FolderId, MailboxId, ModSeq};
use std::collections::{HashMap, HashSet};
use store::{FolderStatus, MailboxMoves, MailboxSeqs};

impl Connection {
    /// Finds the mailboxes that are asked about, and tells what stands at the beginning.
    pub(super) async fn tell_first(
        &mut self,
        notify: &mut Notifying,
        with_status: bool,
    ) -> Result<(), Failure> {
        self.follow(notify).await?;
        let mut mailboxes = std::mem::take(&mut notify.mailboxes);
        for followed in &mut mailboxes {
            followed.seqs = self.seqs(followed).await?;
            if let Some(picture) = self.picture(followed, notify).await? {
                (followed.picture, followed.is_stale) = (picture, false);
            }
        }
        must_be_few(&mailboxes)?;
        for followed in &mailboxes {
            let notices = self.interest(followed, notify).first(&followed.picture, with_status);
            self.tell(notices).await?;
        }
        notify.mailboxes = mailboxes;
        Ok(())
    }

    /// Looks where something may have changed, and tells what did. What could not be read is looked at again.
    pub(super) async fn look_again(&mut self, notify: &mut Notifying) -> Result<(), Failure> {
        if notify.reaches_more {
            self.follow(notify).await?;
            notify.reaches_more = false;
        }
        let mut mailboxes = std::mem::take(&mut notify.mailboxes);
        let mut told = Ok(());
        let mut lost = Vec::new();
        for followed in mailboxes.iter_mut().filter(|followed| followed.is_due()) {
            let moved = std::mem::take(&mut followed.moved);
            match self.tell_moved(notify, followed, &moved).await {
                Ok(is_reached) => {
                    followed.is_stale = false;
                    lost.extend((!is_reached).then_some(followed.reached.mailbox));
                }
                Err(failure) => {
                    followed.moved.add(moved);
                    told = Err(failure);
                    break;
                }
            }
        }
        notify.mailboxes = mailboxes;
        notify.lose(&lost);
        told?;
        (notify.own, notify.left) = (Own::default(), Vec::new());
        must_be_few(&notify.mailboxes)
    }

    /// Finds the mailboxes that are to be followed now. Those that are reached no more are looked at once again.
    async fn follow(&mut self, notify: &mut Notifying) -> Result<(), Failure> {
        let asks_of_others = notify.filters.asks_of_others();
        let actor = self.logged_in()?.proof.principal.actor.id;
        if let Some(watch) = notify.watch.as_mut().filter(|_| asks_of_others) {
            watch.follow_reach(actor);
        }
        let mut reached = vec![(String::new(), self.own().await?.reached)];
        if asks_of_others {
            reached.extend(self.others_asked(|name| notify.filters.may_cover(name)).await?);
        }
        if reached.len() > MAILBOXES_MAX {
            return Err(TOO_MUCH);
        }
        let there: HashSet<MailboxId> = reached.iter().map(|(_, each)| each.mailbox).collect();
        for followed in &mut notify.mailboxes {
            followed.is_stale |= !there.contains(&followed.reached.mailbox);
        }
        notify.lost.retain(|lost| !there.contains(&lost.mailbox));
        for (prefix, reached) in reached {
            if notify.mailboxes.iter().all(|followed| followed.reached.mailbox != reached.mailbox) {
                if let Some(watch) = &mut notify.watch {
                    watch.follow(reached.mailbox);
                }
                notify.mailboxes.push(Followed::new(prefix, reached));
            }
        }
        Ok(())
    }

    /// Tells what changed in a mailbox of what may have. False when it is reached no more.
    async fn tell_moved(
        &mut self,
        notify: &Notifying,
        followed: &mut Followed,
        moved: &MailboxMoves,
    ) -> Result<bool, Failure> {
        let mut seqs = followed.seqs;
        if followed.is_stale || moved.is_named || moved.seqs > Some(seqs) {
            seqs = self.seqs(followed).await?;
        }
        if followed.is_stale || seqs.folders != followed.seqs.folders {
            let picture = self.picture(followed, notify).await?;
            let is_reached = picture.is_some();
            self.tell_difference(notify, followed, picture.unwrap_or_default()).await?;
            if !is_reached {
                return Ok(false);
            }
        } else {
            if seqs.subscriptions != followed.seqs.subscriptions && notify.filters.needs_subscriptions() {
                let mut picture = followed.picture.clone();
                self.see_subscriptions(followed, &mut picture).await?;
                self.tell_difference(notify, followed, picture).await?;
            }
            self.tell_counters(notify, followed, moved).await?;
        }
        if seqs.annotations != followed.seqs.annotations {
            self.tell_annotations(notify, followed).await?;
        }
        followed.seqs = seqs;
        Ok(true)
    }

    async fn tell_difference(
        &mut self,
        notify: &Notifying,
        followed: &mut Followed,
        picture: Picture,
    ) -> Result<(), Failure> {
        let notices = self.interest(followed, notify).changes(&followed.picture, &picture);
        let notices = self.untold(notices, notify, followed).await?;
        followed.picture = picture;
        self.tell(notices).await
    }

    /// Tells the counters of folders in which messages came, went or changed.
    async fn tell_counters(
        &mut self,
        notify: &Notifying,
        followed: &mut Followed,
        moved: &MailboxMoves,
    ) -> Result<(), Failure> {
        let folders = self.interest(followed, notify).uncounted(&followed.picture, moved);
        if folders.is_empty() {
            return Ok(());
        }
        let (mailbox, private_seen_of) = (followed.reached.mailbox, private_seen_of(&followed.reached));
        let store = &self.shared.store;
        let statuses = store.folder_statuses_of(mailbox, private_seen_of, &folders).await?;
        let interest = self.interest(followed, notify);
        let mut notices = Vec::new();
        for status in &statuses {
            if let Some(folder) = followed.picture.folders.get(&status.id) {
                notices.extend(interest.counters(&followed.picture, folder, folder.status, *status));
            }
        }
        let notices = self.untold(notices, notify, followed).await?;
        for status in statuses {
            if let Some(folder) = followed.picture.folders.get_mut(&status.id) {
                folder.status = Some(status);
            }
        }
        self.tell(notices).await
    }

    fn interest<'a>(&self, followed: &'a Followed, notify: &'a Notifying) -> Interest<'a> {
        Interest {
            filters: &notify.filters,
            is_own: followed.prefix.is_empty(),
            prefix: &followed.prefix,
            with_modseq: self.enabled.has(Extension::CondStore),
            selected: self.selected.as_deref().map(|selected| selected.folder),
            own: &notify.own,
        }
    }

    async fn seqs(&self, followed: &Followed) -> Result<MailboxSeqs, Failure> {
        let mailbox = followed.reached.mailbox;
        let seqs = self.shared.store.mailbox_seqs(&[mailbox]).await?;
        Ok(seqs.get(&mailbox).copied().unwrap_or(followed.seqs))
    }

    /// What the session sees of a mailbox now; nothing when it is reached no more.
    async fn picture(&self, followed: &mut Followed, notify: &Notifying) -> Result<Option<Picture>, Failure> {
        let store = &self.shared.store;
        let rows = store.folders(followed.reached.mailbox).await?;
        // Asked after the folders: one that was made meanwhile came with what was given and denied there.
        let Some(reached) = self.reached_now(followed).await? else { return Ok(None) };
        if let Some(watch) = &notify.watch {
            watch.has_folders(reached.mailbox, rows.iter().map(|folder| folder.id));
        }
        let mut statuses = if notify.filters.asks(Events::OF_MESSAGES) {
            store.folder_statuses(reached.mailbox, private_seen_of(&reached), false).await?
        } else {
            HashMap::new()
        };
        // What happens in the selected folder is told of by its counters once it is selected no more.
        if let Some(selected) = self.selected.as_deref()
            && let Some(known) = followed.picture.folders.get(&selected.folder).and_then(|known| known.status)
        {
            statuses.insert(selected.folder, known);
        }
        let mut picture = Picture::default();
        for folder in rows {
            let who = Who::in_folder(&reached, &folder);
            if who.may("l") {
                let may_read = who.may("r");
                let status = statuses.remove(&folder.id).filter(|_| may_read && folder.selectable);
                let name = under(&followed.prefix, &folder.name);
                let pictured = Pictured { name, is_selectable: folder.selectable, may_read, status };
                picture.folders.insert(folder.id, pictured);
            }
        }
        followed.reached = reached;
        if notify.filters.needs_subscriptions() {
            self.see_subscriptions(followed, &mut picture).await?;
        }
        Ok(Some(picture))
    }

    async fn see_subscriptions(&self, followed: &Followed, picture: &mut Picture) -> Result<(), Failure> {
        let Reached { mailbox, actor, .. } = followed.reached;
        let subscribed = self.shared.store.subscriptions(mailbox, actor).await?;
        picture.subscribed = subscribed.iter().map(|name| under(&followed.prefix, name)).collect();
        Ok(())
    }

    /// What may be done in a mailbox now; none when it is reached no more.
    async fn reached_now(&self, followed: &Followed) -> Result<Option<Reached>, Failure> {
        if followed.prefix.is_empty() {
            return Ok(Some(self.own().await?.reached));
        }
        let proof = &self.logged_in()?.proof;
        let address = &followed.reached.address;
        self.shared.authenticator.reach_named(proof, address).await.map_err(unreached)
    }

    /// Names of annotations that others changed (RFC 5465 §5.6, §5.7).
    async fn tell_annotations(&mut self, notify: &Notifying, followed: &Followed) -> Result<(), Failure> {
        // Of a mailbox that is seen for the first time what was before is not new.
        let is_first = followed.seqs == MailboxSeqs::default();
        let asked = Events::MAILBOX_METADATA_CHANGE.with(Events::SERVER_METADATA_CHANGE);
        if is_first || !notify.filters.asks(asked) {
            return Ok(());
        }
        let Reached { mailbox, actor, .. } = followed.reached;
        let since = followed.seqs.annotations;
        let changed = self.shared.store.annotations_since(mailbox, actor, since).await?;
        let interest = self.interest(followed, notify);
        let told = |(folder, entry): (Option<FolderId>, String)| {
            let name = interest.annotated(&followed.picture, folder)?;
            (!notify.own.has_annotation(name, &entry)).then_some((name, entry))
        };
        for (name, entry) in changed.into_iter().filter_map(told) {
            response::metadata_changed(&mut self.wire.out, name, self.decoder.is_utf8(), &entry);
            self.wire.spill().await?;
        }
        Ok(())
    }

    /// Those of them that the client was not told by other means and that are its business.
    async fn untold(
        &self,
        notices: Vec<Notice>,
        notify: &Notifying,
        followed: &Followed,
    ) -> Result<Vec<Notice>, Failure> {
        let private_seen_of = private_seen_of(&followed.reached);
        let mut untold = Vec::with_capacity(notices.len());
        for notice in notices {
            let is_untold = match (&notice, private_seen_of) {
                (Notice::Counted { status, .. }, _) if notify.knows(status) => false,
                // What another has seen is nobody's business, though it moves the modification sequence.
                (Notice::Counted { status, only_since: Some(since), .. }, Some(actor)) => {
                    self.shared.store.has_changed_for(status.id, actor, *since).await?
                }
                _ => true,
            };
            untold.extend(is_untold.then_some(notice));
        }
        Ok(untold)
    }

    async fn tell(&mut self, notices: Vec<Notice>) -> Result<(), Failure> {
        let utf8 = self.decoder.is_utf8();
        for notice in notices {
            match notice {
                Notice::Listed { name, attributes, old_name } => {
                    let item = old_name.as_deref().map(ListItem::OldName);
                    response::list_with(&mut self.wire.out, &attributes, Some(DELIMITER), &name, utf8, item);
                }
                Notice::Counted { name, status, items, .. } => self.tell_status(&name, &status, 0, &items),
            }
            self.wire.spill().await?;
        }
        Ok(())
    }
}

fn private_seen_of(reached: &Reached) -> Option<ActorId> {
    reached.private_seen.then_some(reached.actor)
}

fn must_be_few(mailboxes: &[Followed]) -> Result<(), Failure> {
    let folders: usize = mailboxes.iter().map(|followed| followed.picture.folders.len()).sum();
    if folders > FOLDERS_MAX { Err(TOO_MUCH) } else { Ok(()) }
}

impl Notifying {
    /// Whether the folder was selected, and the client was told then of all that led to these counters.
    fn knows(&self, status: &FolderStatus) -> bool {
        self.left.iter().any(|(folder, modseq)| *folder == status.id && status.modseq <= *modseq)
    }

    fn lose(&mut self, lost: &[MailboxId]) {
        for mailbox in lost {
            if let Some(watch) = &mut self.watch {
                watch.leave(*mailbox);
            }
        }
        let is_lost = |followed: &mut Followed| lost.contains(&followed.reached.mailbox);
        self.lost.extend(self.mailboxes.extract_if(.., is_lost).map(|followed| followed.reached));
        self.lost.truncate(MAILBOXES_MAX);
    }
}

impl Interest<'_> {
    /// The folders that are to be counted again, of those in which something may have changed: the selected one is told of by other means.
    fn uncounted(&self, picture: &Picture, moved: &MailboxMoves) -> Vec<FolderId> {
        let is_asked = |id: FolderId, folder: &Pictured, modseq: Option<ModSeq>| {
            let is_later = match (folder.status, modseq) {
                (Some(known), Some(modseq)) => modseq > known.modseq,
                _ => true,
            };
            is_later
                && folder.may_read
                && folder.is_selectable
                && self.selected != Some(id)
                && self.events_of(picture, folder).has_any(Events::OF_MESSAGES)
        };
        let all = picture.folders.keys().map(|id| (*id, None)).filter(|_| moved.all_folders);
        let some = moved.folders.iter().map(|(id, modseq)| (*id, *modseq));
        let folders = all.chain(some);
        let asked = folders.filter(|(id, modseq)| {
            picture.folders.get(id).is_some_and(|folder| is_asked(*id, folder, *modseq))
        });
        asked.map(|(id, _)| id).collect()
    }

    /// The name of a folder of which annotations are told, or of the server, which is empty.
    fn annotated<'p>(&self, picture: &'p Picture, folder: Option<FolderId>) -> Option<&'p str> {
        let Some(folder) = folder else {
            let is_asked = self.is_own && self.filters.asks(Events::SERVER_METADATA_CHANGE);
            return is_asked.then_some("");
        };
        let folder = picture.folders.get(&folder)?;
        let is_asked = self.events_of(picture, folder).has_any(Events::MAILBOX_METADATA_CHANGE);
        (folder.may_read && is_asked).then_some(folder.name.as_str())
    }
}
