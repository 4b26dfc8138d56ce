//! What a client asked to hear of which folders (RFC 5465 §6), made ready to be asked of many names.

use imap_session::command::{EventGroup, Events, MailboxFilter};
use imap_session::namespace::{DELIMITER, Namespace};
use std::collections::HashMap;

/// The groups of one NOTIFY together. A folder that several of them cover is told of as each of them asks.
#[derive(Debug, Default)]
pub(super) struct Filters {
    personal: Events,
    inboxes: Events,
    subscribed: Events,
    /// Of these names.
    mailboxes: HashMap<String, Events>,
    /// Of these and all below them.
    subtrees: HashMap<String, Events>,
    all: Events,
}

impl Filters {
    pub(super) fn new(groups: Vec<EventGroup>) -> Self {
        let mut filters = Self::default();
        // What asks for nothing is not looked for.
        for EventGroup { filter, events } in groups.into_iter().filter(|group| !group.events.is_empty()) {
            filters.all = filters.all.with(events);
            match filter {
                MailboxFilter::Personal => filters.personal = filters.personal.with(events),
                MailboxFilter::Inboxes => filters.inboxes = filters.inboxes.with(events),
                MailboxFilter::Subscribed => filters.subscribed = filters.subscribed.with(events),
                MailboxFilter::Mailboxes(names) => add(&mut filters.mailboxes, names, events),
                MailboxFilter::Subtree(names) => add(&mut filters.subtrees, names, events),
            }
        }
        filters
    }

    /// The events that are told of a name.
    pub(super) fn events(&self, name: &str, is_own: bool, is_subscribed: bool) -> Events {
        let mut events = self.mailboxes.get(name).copied().unwrap_or_default();
        if is_own {
            events = events.with(self.personal);
            if name == "INBOX" {
                events = events.with(self.inboxes);
            }
        }
        if is_subscribed {
            events = events.with(self.subscribed);
        }
        if self.subtrees.is_empty() {
            return events;
        }
        let tops = levels_above(name).chain(std::iter::once(name));
        tops.filter_map(|top| self.subtrees.get(top)).fold(events, |events, more| events.with(*more))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any of these events is told of any folder.
    pub(super) fn asks(&self, events: Events) -> bool {
        self.all.has_any(events)
    }

    /// Whether it makes a difference what is subscribed to.
    pub(super) fn needs_subscriptions(&self) -> bool {
        !self.subscribed.is_empty() || self.asks(Events::MAILBOX_NAME.with(Events::SUBSCRIPTION_CHANGE))
    }

    /// Whether other mailboxes than the session's own are asked about.
    pub(super) fn asks_of_others(&self) -> bool {
        [Namespace::OtherUsers, Namespace::Shared]
            .map(Namespace::root)
            .iter()
            .any(|root| self.may_cover(root))
    }

    /// Whether something is told of a name below this one, which is a level of another's mailbox.
    pub(super) fn may_cover(&self, level: &str) -> bool {
        !self.subscribed.is_empty()
            || self.mailboxes.keys().any(|name| is_within(name, level))
            || self.subtrees.keys().any(|top| is_within(top, level) || is_within(level, top))
    }
}

fn add(known: &mut HashMap<String, Events>, names: Vec<String>, events: Events) {
    for name in names {
        let asked = known.entry(name).or_default();
        *asked = asked.with(events);
    }
}

/// Whether a name is `top` or below it.
fn is_within(name: &str, top: &str) -> bool {
    name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(DELIMITER))
}

/// The levels above a name, from the top.
pub(super) fn levels_above(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    name.match_indices(DELIMITER).map(|(end, _)| name.get(..end).unwrap_or_default())
}

/// The level right above a name.
pub(super) fn parent(name: &str) -> Option<&str> {
    name.rsplit_once(DELIMITER).map(|(above, _)| above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(groups: &[(MailboxFilter, Events)]) -> Filters {
        Filters::new(
            groups
                .iter()
                .map(|(filter, events)| EventGroup { filter: filter.clone(), events: *events })
                .collect(),
        )
    }

    #[test]
    fn a_name_is_told_of_as_every_group_asks_that_covers_it() {
        let (names, subscriptions) = (Events::MAILBOX_NAME, Events::SUBSCRIPTION_CHANGE);
        let filters = filters(&[
            (MailboxFilter::Subtree(vec!["Lists".into()]), names),
            (MailboxFilter::Mailboxes(vec!["Lists/a".into(), "nowhere".into()]), subscriptions),
            (MailboxFilter::Inboxes, Events::MESSAGE_NEW),
            (MailboxFilter::Subscribed, Events::FLAG_CHANGE),
        ]);
        for (name, is_own, is_subscribed, wanted) in [
            ("Lists", true, false, names),
            ("Lists/a", true, false, names.with(subscriptions)),
            ("Lists/a/b", true, true, names.with(Events::FLAG_CHANGE)),
            ("Listsx", true, false, Events::default()),
            ("INBOX", true, false, Events::MESSAGE_NEW),
            ("INBOX", false, false, Events::default()),
        ] {
            assert_eq!(filters.events(name, is_own, is_subscribed), wanted, "{name}");
        }
    }

    #[test]
    fn only_mailboxes_are_followed_in_which_something_is_asked_about() {
        let one = |filter| filters(&[(filter, Events::MAILBOX_NAME)]);
        for (filter, wanted) in [
            (MailboxFilter::Personal, false),
            (MailboxFilter::Subscribed, true),
            (MailboxFilter::Subtree(vec!["Other Users".into()]), true),
            (MailboxFilter::Subtree(vec!["Other Users/a@x".into()]), true),
            (MailboxFilter::Subtree(vec!["Other Users/b@x".into()]), false),
            (MailboxFilter::Mailboxes(vec!["Other Users/a@x/INBOX".into()]), true),
            (MailboxFilter::Mailboxes(vec!["Other Users/a@xy/INBOX".into(), "a".into()]), false),
        ] {
            assert_eq!(one(filter.clone()).may_cover("Other Users/a@x"), wanted, "{filter:?}");
        }
        assert!(!one(MailboxFilter::Subtree(vec!["Lists".into()])).asks_of_others());
        assert!(one(MailboxFilter::Mailboxes(vec!["Shared/a@x/INBOX".into()])).asks_of_others());
        assert!(filters(&[(MailboxFilter::Personal, Events::default())]).is_empty());
    }
}
