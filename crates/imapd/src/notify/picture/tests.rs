//! What two pictures, one taken after the other, differ in.

use super::*;
use imap_session::command::{CommandBody, EventGroup, MailboxFilter};
use mail_types::UidValidity;
use std::sync::LazyLock;

static NOTHING: LazyLock<Own> = LazyLock::new(Own::default);

fn status(id: i64, messages: u32, uid_next: u32, unseen: u32, modseq: u64) -> FolderStatus {
    FolderStatus {
        id: FolderId(id),
        uid_validity: UidValidity(1),
        uid_next,
        modseq: ModSeq(modseq),
        messages,
        recent: 0,
        unseen,
        deleted: 0,
        size_bytes: 0,
    }
}

fn folder(id: i64, name: &str) -> (FolderId, Pictured) {
    let status = Some(status(id, 0, 1, 0, 1));
    let name = name.to_owned();
    (FolderId(id), Pictured { name, is_selectable: true, may_read: true, status })
}

fn picture(folders: &[(i64, &str)], subscribed: &[&str]) -> Picture {
    Picture {
        folders: folders.iter().map(|(id, name)| folder(*id, name)).collect(),
        subscribed: subscribed.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn all() -> Events {
    Events::NAMES.into_iter().fold(Events::default(), |all, (kind, _)| all.with(kind))
}

fn asked(filter: MailboxFilter, events: Events) -> Filters {
    Filters::new(vec![EventGroup { filter, events }])
}

fn interest(filters: &Filters) -> Interest<'_> {
    Interest { filters, is_own: true, prefix: "", with_modseq: false, selected: None, own: &NOTHING }
}

/// A line for each notice.
fn lines(notices: Vec<Notice>) -> Vec<String> {
    let line = |notice| match notice {
        Notice::Listed { name, attributes, old_name } => {
            let old = old_name.map_or(String::new(), |old| format!(" was {old}"));
            format!("{name} ({}){old}", attributes.join(" "))
        }
        Notice::Counted { name, items, .. } => {
            let items: Vec<&str> = items.into_iter().map(StatusItem::as_str).collect();
            format!("{name} {}", items.join(" "))
        }
    };
    notices.into_iter().map(line).collect()
}

#[test]
fn names_that_come_go_and_change_are_told_with_the_level_above() {
    let filters = asked(MailboxFilter::Personal, Events::MAILBOX_NAME);
    let before =
        picture(&[(1, "INBOX"), (2, "Old"), (3, "Old/Below"), (4, "Gone"), (5, "Top"), (6, "Top/Last")], &[]);
    let now = picture(
        &[(1, "INBOX"), (2, "New"), (3, "New/Below"), (5, "Top"), (7, "Made/Below")],
        &["Made/Below"],
    );
    let wanted = [
        "Gone (\\NonExistent)",
        "Made (\\NonExistent \\HasChildren)",
        "Made/Below (\\HasNoChildren \\Subscribed)",
        "New (\\HasChildren) was Old",
        "Top (\\HasNoChildren)",
        "Top/Last (\\NonExistent)",
    ];
    assert_eq!(lines(interest(&filters).changes(&before, &now)), wanted);
    let mut own = Own::default();
    for name in ["Gone", "Made/Below", "New"] {
        own.add(Own::of(&CommandBody::Delete { folder: name.into() }).expect("a change of names"));
    }
    let interest = Interest { own: &own, ..interest(&filters) };
    assert_eq!(lines(interest.changes(&before, &now)), wanted[4..]);
}

#[test]
fn only_names_that_a_group_covers_are_told_of() {
    let events = Events::MAILBOX_NAME.with(Events::SUBSCRIPTION_CHANGE);
    let before = picture(&[(1, "INBOX")], &["INBOX"]);
    let now = picture(&[(1, "INBOX"), (2, "Lists"), (3, "Lists/a"), (4, "ListsToo")], &["Lists/a"]);
    let told = |filter| {
        let filters = asked(filter, events);
        lines(interest(&filters).changes(&before, &now))
    };
    let (lists, below) = ("Lists (\\HasChildren)", "Lists/a (\\HasNoChildren \\Subscribed)");
    let subtree = told(MailboxFilter::Subtree(vec!["Lists".into()]));
    assert_eq!(subtree, [lists, below]);
    assert_eq!(told(MailboxFilter::Mailboxes(vec!["Lists".into(), "nowhere".into()])), [lists]);
    assert_eq!(told(MailboxFilter::Subscribed), ["INBOX (\\HasNoChildren)", below]);
    assert_eq!(told(MailboxFilter::Inboxes), ["INBOX (\\HasNoChildren)"]);
    let filters = asked(MailboxFilter::Personal, all());
    let other = Interest { is_own: false, ..interest(&filters) };
    assert!(other.changes(&before, &now).is_empty());
}

#[test]
fn a_folder_that_becomes_a_mere_level_is_gone_and_comes_back() {
    let filters = asked(MailboxFilter::Personal, Events::MAILBOX_NAME);
    let before = picture(&[(1, "a"), (2, "a/b")], &[]);
    let mut now = before.clone();
    if let Some(folder) = now.folders.get_mut(&FolderId(1)) {
        (folder.is_selectable, folder.status) = (false, None);
    }
    assert_eq!(lines(interest(&filters).changes(&before, &now)), ["a (\\NonExistent \\HasChildren)"]);
    assert_eq!(lines(interest(&filters).changes(&now, &before)), ["a (\\HasChildren)"]);
}

#[test]
fn counters_are_told_as_far_as_they_were_asked_for() {
    let messages = Events::MESSAGE_NEW.with(Events::MESSAGE_EXPUNGE);
    let flags = messages.with(Events::FLAG_CHANGE);
    let before = status(1, 5, 10, 2, 30);
    for (now, events, with_modseq, wanted) in [
        (status(1, 6, 11, 3, 31), messages, false, "MESSAGES UIDNEXT"),
        (status(1, 6, 11, 3, 31), messages, true, "MESSAGES UIDNEXT HIGHESTMODSEQ"),
        (status(1, 4, 10, 2, 31), messages, false, "MESSAGES UIDNEXT"),
        // One came, another went.
        (status(1, 5, 11, 2, 32), messages, false, "MESSAGES UIDNEXT"),
        (status(1, 5, 10, 1, 31), messages, true, ""),
        (status(1, 5, 10, 1, 31), flags, false, "UNSEEN UIDVALIDITY"),
        (status(1, 5, 10, 2, 31), flags, false, ""),
        (status(1, 5, 10, 2, 31), flags, true, "HIGHESTMODSEQ UIDVALIDITY"),
        (before, flags, true, ""),
    ] {
        let items = changed_items(events, &before, &now, with_modseq);
        let items: Vec<&str> = items.into_iter().map(StatusItem::as_str).collect();
        assert_eq!(items.join(" "), wanted, "{now:?}");
    }
}

#[test]
fn what_may_be_listed_and_not_read_says_so_once_and_the_selected_folder_nothing() {
    let filters = asked(MailboxFilter::Personal, all());
    let (open, mut closed) = (picture(&[(1, "a"), (2, "b")], &[]), picture(&[(1, "a"), (2, "b")], &[]));
    if let Some(folder) = closed.folders.get_mut(&FolderId(1)) {
        folder.may_read = false;
    }
    let interest = Interest { selected: Some(FolderId(2)), ..interest(&filters) };
    assert_eq!(lines(interest.first(&closed, true)), ["a (\\NoAccess)"]);
    assert_eq!(lines(interest.first(&open, true)), ["a MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ"]);
    assert!(interest.first(&open, false).is_empty());
    assert_eq!(lines(interest.changes(&open, &closed)), ["a (\\NoAccess)"]);
    assert!(interest.changes(&closed, &closed).is_empty());
    let again = ["a (\\HasNoChildren)", "a MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ"];
    let mut unread = closed.clone();
    if let Some(folder) = unread.folders.get_mut(&FolderId(1)) {
        folder.status = None;
    }
    assert_eq!(lines(interest.changes(&unread, &open)), again);
    // What is gone is told of as gone, whoever took it away.
    let without = picture(&[(2, "b")], &[]);
    assert_eq!(lines(interest.changes(&open, &without)), ["a (\\NonExistent)"]);
}

#[test]
fn counters_of_which_only_the_modification_sequence_is_another_say_since_when() {
    let filters = asked(MailboxFilter::Personal, all());
    let interest = Interest { with_modseq: true, ..interest(&filters) };
    let (picture, before) = (picture(&[(1, "a")], &[]), status(1, 5, 10, 2, 30));
    let since = |now| match interest.counters(&picture, &picture.folders[&FolderId(1)], Some(before), now) {
        Some(Notice::Counted { only_since, .. }) => only_since,
        notice => panic!("{notice:?}"),
    };
    assert_eq!(since(status(1, 5, 10, 2, 31)), Some(ModSeq(30)));
    assert_eq!(since(status(1, 5, 10, 1, 31)), None);
    assert_eq!(since(status(1, 6, 11, 2, 31)), None);
}

#[test]
fn five_thousand_folders_and_a_thousand_names_are_compared_at_once() {
    let names: Vec<String> = (0..1000).map(|at| format!("top/{at}")).collect();
    let groups = [MailboxFilter::Subtree(names.clone()), MailboxFilter::Mailboxes(names)];
    let filters =
        Filters::new(groups.map(|filter| EventGroup { filter, events: all() }).into_iter().collect());
    let under = |top: &str| {
        let names: Vec<String> = (0..5000).map(|at| format!("{top}/{at}")).collect();
        let folders: Vec<(i64, &str)> = (1..).zip(names.iter().map(String::as_str)).collect();
        picture(&folders, &[])
    };
    let (before, now) = (under("top"), under("other"));
    let begin = std::time::Instant::now();
    assert_eq!(interest(&filters).changes(&before, &now).len(), 1000);
    // A comparison of each with each takes minutes here.
    assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
}
