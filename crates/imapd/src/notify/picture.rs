//! What a client that asked to be notified (RFC 5465) is told of a mailbox: the difference of two pictures of it.
//!
//! It knows no store and no wire: pictures go in, and what to tell comes out. Each name is looked at once, and the levels above it.

use super::filters::{Filters, levels_above, parent};
use super::own::Own;
use imap_session::command::{Events, StatusItem};
use mail_types::{FolderId, ModSeq};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::FolderStatus;

/// What a session saw of a mailbox.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    /// Folders that may be listed, by row.
    pub(super) folders: BTreeMap<FolderId, Pictured>,
    /// Names that are subscribed to.
    pub(super) subscribed: BTreeSet<String>,
}

/// A folder in a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pictured {
    /// As the session names it.
    pub(super) name: String,
    pub(super) is_selectable: bool,
    /// What goes on in it may be told.
    pub(super) may_read: bool,
    pub(super) status: Option<FolderStatus>,
}

/// What was asked, and what it is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interest<'a> {
    pub(super) filters: &'a Filters,
    /// The mailbox is the one that was logged in to.
    pub(super) is_own: bool,
    /// What stands before the names of its folders, and is none.
    pub(super) prefix: &'a str,
    /// The client keeps modification sequences.
    pub(super) with_modseq: bool,
    /// Its messages are told of by other means.
    pub(super) selected: Option<FolderId>,
    /// What the session itself changed.
    pub(super) own: &'a Own,
}

/// What to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// `* LIST`
    Listed { name: String, attributes: Vec<&'static str>, old_name: Option<String> },
    /// `* STATUS`
    Counted {
        name: String,
        status: FolderStatus,
        items: Vec<StatusItem>,
        /// Nothing else than the modification sequence is another, and it was this one.
        only_since: Option<ModSeq>,
    },
}

/// Names to be told, each with its old one.
type Listed<'p> = BTreeMap<&'p str, Option<&'p str>>;

impl Interest<'_> {
    fn events(&self, picture: &Picture, name: &str) -> Events {
        self.filters.events(name, self.is_own, picture.subscribed.contains(name))
    }

    /// The events that are told of a folder.
    pub(super) fn events_of(&self, picture: &Picture, folder: &Pictured) -> Events {
        self.events(picture, &folder.name)
    }

    fn asks(&self, pictures: [&Picture; 2], name: &str, events: Events) -> bool {
        pictures.into_iter().any(|picture| self.events(picture, name).has_any(events))
    }

    /// What stands at the beginning: folders that may be listed and not read, and with `with_status` the counters of the others.
    pub(super) fn first(&self, picture: &Picture, with_status: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (id, folder) in &picture.folders {
            let events = self.events_of(picture, folder);
            if events.is_empty() {
                continue;
            }
            if !folder.may_read {
                notices.push(no_access(&folder.name));
            } else if let Some(status) = folder.status.filter(|_| with_status && self.selected != Some(*id)) {
                notices.extend(counted(&folder.name, status, first_items(events, self.with_modseq), None));
            }
        }
        notices
    }

    /// What changed between two pictures.
    pub(super) fn changes(&self, before: &Picture, now: &Picture) -> Vec<Notice> {
        let mut listed = Listed::new();
        self.renamed(before, now, &mut listed);
        self.come_and_gone(before, now, &mut listed);
        self.regained(before, now, &mut listed);
        self.subscriptions(before, now, &mut listed);
        let counted = now.folders.iter().filter_map(|(id, folder)| self.of_folder(before, now, *id, folder));
        if listed.is_empty() {
            return counted.collect();
        }
        let with_children: HashSet<&str> =
            now.folders.values().flat_map(|folder| levels_above(&folder.name)).collect();
        let by_name: HashMap<&str, &Pictured> =
            now.folders.values().map(|folder| (folder.name.as_str(), folder)).collect();
        let notice = |(name, old_name): (&str, Option<&str>)| {
            let mut attributes = Vec::new();
            let folder = by_name.get(name);
            if folder.is_none_or(|folder| !folder.is_selectable) {
                attributes.push("\\NonExistent");
            }
            match (with_children.contains(name), folder) {
                (true, _) => attributes.push("\\HasChildren"),
                (false, Some(_)) => attributes.push("\\HasNoChildren"),
                (false, None) => {}
            }
            if now.subscribed.contains(name) {
                attributes.push("\\Subscribed");
            }
            Notice::Listed { name: name.to_owned(), attributes, old_name: old_name.map(str::to_owned) }
        };
        listed.into_iter().map(notice).chain(counted).collect()
    }

    /// A folder that has another name, but not what goes along below it (RFC 5465 §5.4).
    fn renamed<'p>(&self, before: &'p Picture, now: &'p Picture, listed: &mut Listed<'p>) {
        let renamed = |(id, folder): (&FolderId, &'p Pictured)| {
            let old = before.folders.get(id)?;
            (old.name != folder.name).then_some((old.name.as_str(), folder.name.as_str()))
        };
        let renames: HashMap<&str, &str> = now.folders.iter().filter_map(renamed).collect();
        let goes_along = |old: &str, new: &str| {
            levels_above(old).any(|top| {
                let rest = old.get(top.len()..).unwrap_or_default();
                renames.get(top).is_some_and(|top_new| new.strip_prefix(top_new) == Some(rest))
            })
        };
        for (&old, &new) in &renames {
            let is_asked = self.events(before, old).with(self.events(now, new)).has_any(Events::MAILBOX_NAME);
            if is_asked && !self.own.has_name(new) && !goes_along(old, new) {
                listed.insert(new, Some(old));
            }
        }
    }

    /// Folders that appeared or went, for good or as a name only, and the level above each.
    fn come_and_gone<'p>(&self, before: &'p Picture, now: &'p Picture, listed: &mut Listed<'p>) {
        let differs = |one: &Picture, id: &FolderId, folder: &Pictured| {
            one.folders.get(id).is_none_or(|other| other.is_selectable != folder.is_selectable)
        };
        let come = now.folders.iter().filter(|(id, folder)| folder.may_read && differs(before, id, folder));
        let gone = before.folders.iter().filter(|(id, folder)| folder.may_read && differs(now, id, folder));
        for (_, folder) in come.chain(gone) {
            let name = folder.name.as_str();
            let above = parent(name).filter(|above| *above != self.prefix);
            for affected in std::iter::once(name).chain(above) {
                if !self.own.has_name(affected) && self.asks([before, now], affected, Events::MAILBOX_NAME) {
                    listed.entry(affected).or_insert(None);
                }
            }
        }
    }

    /// Folders that may be read again (RFC 5465 §5.9).
    fn regained<'p>(&self, before: &Picture, now: &'p Picture, listed: &mut Listed<'p>) {
        for (id, folder) in &now.folders {
            let was_closed = before.folders.get(id).is_some_and(|old| !old.may_read);
            if was_closed && folder.may_read && !self.events_of(now, folder).is_empty() {
                listed.entry(&folder.name).or_insert(None);
            }
        }
    }

    fn subscriptions<'p>(&self, before: &'p Picture, now: &'p Picture, listed: &mut Listed<'p>) {
        for name in before.subscribed.symmetric_difference(&now.subscribed) {
            if !self.own.has_subscribed(name) && self.asks([before, now], name, Events::SUBSCRIPTION_CHANGE) {
                listed.entry(name).or_insert(None);
            }
        }
    }

    /// What is told of a folder that is there.
    fn of_folder(&self, before: &Picture, now: &Picture, id: FolderId, folder: &Pictured) -> Option<Notice> {
        let old = before.folders.get(&id);
        if !folder.may_read {
            let is_new = old.is_none_or(|old| old.may_read);
            return (is_new && !self.events_of(now, folder).is_empty()).then(|| no_access(&folder.name));
        }
        let status = folder.status.filter(|_| self.selected != Some(id))?;
        let old = old.and_then(|old| old.status);
        if old == Some(status) {
            return None;
        }
        self.counters(now, folder, old, status)
    }

    /// What is told of the counters of a folder. Of one that was made again, also its UIDVALIDITY.
    pub(super) fn counters(
        &self,
        picture: &Picture,
        folder: &Pictured,
        old: Option<FolderStatus>,
        now: FolderStatus,
    ) -> Option<Notice> {
        let events = self.events_of(picture, folder);
        let Some(old) = old else {
            return counted(&folder.name, now, first_items(events, self.with_modseq), None);
        };
        let items = changed_items(events, &old, &now, self.with_modseq);
        let is_only_modseq =
            items.iter().all(|item| matches!(item, StatusItem::HighestModSeq | StatusItem::UidValidity));
        counted(&folder.name, now, items, is_only_modseq.then_some(old.modseq))
    }
}

fn counted(
    name: &str,
    status: FolderStatus,
    items: Vec<StatusItem>,
    only_since: Option<ModSeq>,
) -> Option<Notice> {
    (!items.is_empty()).then(|| Notice::Counted { name: name.to_owned(), status, items, only_since })
}

fn no_access(name: &str) -> Notice {
    Notice::Listed { name: name.to_owned(), attributes: vec!["\\NoAccess"], old_name: None }
}

/// RFC 5465 §3.1
fn first_items(events: Events, with_modseq: bool) -> Vec<StatusItem> {
    let mut items = Vec::new();
    if events.has_any(Events::MESSAGE_NEW) {
        items.extend([StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity]);
    }
    if events.has_any(Events::FLAG_CHANGE) {
        items.push(StatusItem::Unseen);
    }
    // The RFC wants it for FlagChange from whoever supports CONDSTORE.
    if events.has_any(Events::FLAG_CHANGE) || (with_modseq && !items.is_empty()) {
        items.push(StatusItem::HighestModSeq);
    }
    items
}

/// RFC 5465 §5.1 to §5.3
fn changed_items(
    events: Events,
    before: &FolderStatus,
    now: &FolderStatus,
    with_modseq: bool,
) -> Vec<StatusItem> {
    let mut items = Vec::new();
    let is_new = now.uid_next > before.uid_next;
    let is_other_count = now.messages != before.messages;
    if events.has_any(Events::MESSAGE_NEW) && (is_new || is_other_count) {
        items.extend([StatusItem::Messages, StatusItem::UidNext]);
    }
    let watches_flags = events.has_any(Events::FLAG_CHANGE);
    if watches_flags && now.unseen != before.unseen {
        items.push(StatusItem::Unseen);
    }
    if with_modseq && now.modseq != before.modseq && (watches_flags || !items.is_empty()) {
        items.push(StatusItem::HighestModSeq);
    }
    if watches_flags && !items.is_empty() {
        items.push(StatusItem::UidValidity);
    }
    items
}

#[cfg(test)]
mod tests;
