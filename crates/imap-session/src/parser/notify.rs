//! NOTIFY (RFC 5465 §8). As the examples of the RFC have it, the parentheses around the events of a group may be missing.

use super::{Cursor, Parsed, fetch, folder};
use crate::command::{
    CommandBody, EventGroup, Events, FetchItem, MailboxFilter, Notify, NotifySet, SelectedEvents,
};

/// Groups, and folders named in all of them together.
const GROUPS_MAX: usize = 100;
const NAMES_MAX: usize = 1000;
/// What is fetched of a new message.
const ATTRIBUTES_MAX: usize = 64;

/// `SP (notify-set / notify-none)`
pub(super) fn notify(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    match cursor.keyword()?.as_str() {
        "NONE" => Ok(CommandBody::Notify(Notify::None)),
        "SET" => set(cursor).map(CommandBody::Notify),
        _ => Err("Expected SET or NONE"),
    }
}

fn set(cursor: &mut Cursor<'_>) -> Parsed<Notify> {
    let mut set = NotifySet::default();
    let (mut is_supported, mut count) = (true, 0);
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        if !cursor.eat_word("STATUS") {
            return Err("Expected STATUS or a group of events");
        }
        set.with_status = true;
        cursor.space()?;
    }
    loop {
        count += 1;
        if count > GROUPS_MAX {
            return Err("Too many groups of events");
        }
        is_supported &= group(cursor, &mut set)?;
        if names_in(&set) > NAMES_MAX {
            return Err("Too many folders");
        }
        if !cursor.eat(b' ') {
            break;
        }
    }
    Ok(if is_supported { Notify::Set(set) } else { Notify::Unsupported })
}

fn names_in(set: &NotifySet) -> usize {
    let names = |group: &EventGroup| match &group.filter {
        MailboxFilter::Subtree(names) | MailboxFilter::Mailboxes(names) => names.len(),
        MailboxFilter::Personal | MailboxFilter::Inboxes | MailboxFilter::Subscribed => 0,
    };
    set.groups.iter().map(names).sum()
}

/// `"(" filter-mailboxes SP events ")"`; whether every event is known.
fn group(cursor: &mut Cursor<'_>, set: &mut NotifySet) -> Parsed<bool> {
    cursor.expect(b'(', "Expected a group of events")?;
    let filter = filter(cursor)?;
    cursor.space()?;
    let asked = events(cursor)?;
    cursor.expect(b')', "Unclosed group of events")?;
    if !asked.events.is_whole() {
        return Err("MessageNew and MessageExpunge stand together, and FlagChange with both");
    }
    match filter {
        Filter::Selected { is_delayed } => {
            if set.selected.is_some() {
                return Err("SELECTED and SELECTED-DELAYED stand once");
            }
            if !asked.events.is_of_messages_only() {
                return Err("Of the selected folder only message events are told");
            }
            let Asked { events, attributes, .. } = asked;
            set.selected = Some(SelectedEvents { is_delayed, events, attributes });
        }
        Filter::Others(filter) => {
            if !asked.attributes.is_empty() {
                return Err("Messages are fetched of the selected folder only");
            }
            set.groups.push(EventGroup { filter, events: asked.events });
        }
    }
    Ok(asked.is_supported)
}

enum Filter {
    Selected { is_delayed: bool },
    Others(MailboxFilter),
}

fn filter(cursor: &mut Cursor<'_>) -> Parsed<Filter> {
    Ok(match cursor.keyword()?.as_str() {
        "SELECTED" => Filter::Selected { is_delayed: false },
        "SELECTED-DELAYED" => Filter::Selected { is_delayed: true },
        "PERSONAL" => Filter::Others(MailboxFilter::Personal),
        "INBOXES" => Filter::Others(MailboxFilter::Inboxes),
        "SUBSCRIBED" => Filter::Others(MailboxFilter::Subscribed),
        "SUBTREE" => Filter::Others(MailboxFilter::Subtree(names(cursor)?)),
        "MAILBOXES" => Filter::Others(MailboxFilter::Mailboxes(names(cursor)?)),
        _ => return Err("Unknown kind of folders"),
    })
}

/// `SP one-or-more-mailbox`
fn names(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.space()?;
    let names =
        if cursor.peek() == Some(b'(') { cursor.list(folder::name)? } else { vec![folder::name(cursor)?] };
    if names.is_empty() || names.len() > NAMES_MAX { Err("Too few or too many folders") } else { Ok(names) }
}

struct Asked {
    events: Events,
    attributes: Vec<FetchItem>,
    is_supported: bool,
}

/// `("(" event *(SP event) ")") / "NONE"`
fn events(cursor: &mut Cursor<'_>) -> Parsed<Asked> {
    let mut asked = Asked { events: Events::default(), attributes: Vec::new(), is_supported: true };
    if cursor.eat_word("NONE") {
        return Ok(asked);
    }
    let in_parentheses = cursor.eat(b'(');
    loop {
        event(cursor, &mut asked)?;
        if !cursor.eat(b' ') {
            break;
        }
    }
    if in_parentheses {
        cursor.expect(b')', "Unclosed list of events")?;
    }
    Ok(asked)
}

fn event(cursor: &mut Cursor<'_>, asked: &mut Asked) -> Parsed<()> {
    let name = cursor.atom()?;
    let Some(event) = Events::named(name) else {
        asked.is_supported = false;
        return Ok(());
    };
    asked.events = asked.events.with(event);
    if event == Events::MESSAGE_NEW && cursor.followed_by(b" (") {
        cursor.space()?;
        asked.attributes = cursor.list(fetch::item)?;
        if asked.attributes.is_empty() || asked.attributes.len() > ATTRIBUTES_MAX {
            return Err("Too few or too many items");
        }
    }
    Ok(())
}
