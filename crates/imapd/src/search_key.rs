//! What SEARCH looks for, made ready: names to bits, sets to ranges, texts folded.
//!
//! A key is asked with what is known of a message so far. It answers yes, no, or that more must be known; what costs little is asked first.

use crate::state::Selected;
use imap_session::command::{Date, SearchKey};
use imap_session::response::ObjectId;
use imap_session::sequence::{MessageSet, Ranges};
use imap_session::view::Entry;
use mail_types::{SystemFlags, Timestamp};
use message::extract::{Extract, Folding, Needle, Reading, Signature, Sought, is_in_headline};

const DAY: i64 = 86_400;

/// What must hold.
#[derive(Debug)]
pub(crate) enum Key {
    All,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Flag(SystemFlags),
    /// Bits; none is a keyword that no message has.
    Keyword(u64),
    Recent,
    Sequence(Ranges),
    Uid(Ranges),
    /// That modification sequence or a larger one.
    ModSeq(u64),
    Internal(Days),
    /// Received at that second or later.
    InternalFrom(i64),
    /// Put in the folder.
    Saved(Days),
    Larger(u64),
    Smaller(u64),
    Sent(Days),
    /// RFC 8474; none is what no message has.
    EmailId(Option<u128>),
    /// RFC 8474; none is what no message has.
    ThreadId(Option<u128>),
    /// Field name, and what it holds.
    Field(String, Needle),
    Body(Needle),
    /// The substring as headers hold it, and as bodies do.
    Text(Needle, Needle),
}

/// Days from 1970-01-01.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Days {
    Before(i64),
    On(i64),
    Since(i64),
}

impl Days {
    fn hold(self, day: i64) -> bool {
        match self {
            Self::Before(limit) => day < limit,
            Self::On(limit) => day == limit,
            Self::Since(limit) => day >= limit,
        }
    }
}

/// How much must be known of a message to answer a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// What the session knows.
    View,
    /// Its row.
    Row,
    /// Its structure.
    Structure,
    /// Its text, that of its header included.
    Text,
}

/// What is known of a message.
pub(crate) struct Facts<'m> {
    pub(crate) seq: u32,
    pub(crate) entry: &'m Entry,
    pub(crate) row: Option<RowFacts>,
    pub(crate) structure: Option<StructureFacts>,
    /// Rules texts out, and never says that one is there.
    pub(crate) signature: Option<&'m Signature>,
    pub(crate) text: Option<Text<'m>>,
}

/// The text of a message.
#[derive(Clone, Copy)]
pub(crate) enum Text<'m> {
    /// What its headline has: some fields, and those whole.
    Headline(&'m Extract),
    /// That of its header, as it is kept.
    Header(&'m Extract),
    /// As it is kept.
    Extract(&'m Extract),
    /// What was found while the message was read.
    Read(&'m Reading<'m>),
}

/// What a row says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFacts {
    pub(crate) size: u64,
    pub(crate) internal_secs: i64,
    pub(crate) saved_secs: i64,
    /// Where identifiers are looked for.
    pub(crate) email_id: Option<u128>,
}

/// What a structure says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StructureFacts {
    /// Day of the Date field, where there is one.
    pub(crate) sent_day: Option<i64>,
    /// Where identifiers are looked for and the message has one.
    pub(crate) thread_id: Option<u128>,
}

impl Key {
    pub(crate) fn new(key: SearchKey, selected: &Selected, now: Timestamp, folding: Folding) -> Self {
        let not = |key| Self::Not(Box::new(key));
        let field =
            |name: &str, value: String| Self::Field(name.to_owned(), Needle::in_header(&value, folding));
        let seen = Self::Flag(SystemFlags::SEEN);
        let from = |interval: u32| Self::InternalFrom(now.secs() - i64::from(interval));
        let largest_uid = selected.view.last_uid();
        match key {
            SearchKey::All => Self::All,
            SearchKey::And(keys) => {
                let mut keys: Vec<_> =
                    keys.into_iter().map(|key| Self::new(key, selected, now, folding)).collect();
                keys.sort_by_key(Self::depth);
                Self::And(keys)
            }
            SearchKey::Or(one, other) => Self::Or(
                Box::new(Self::new(*one, selected, now, folding)),
                Box::new(Self::new(*other, selected, now, folding)),
            ),
            SearchKey::Not(key) => not(Self::new(*key, selected, now, folding)),
            SearchKey::Has(flag) => Self::Flag(flag),
            SearchKey::Lacks(flag) => not(Self::Flag(flag)),
            SearchKey::Keyword(name) => Self::Keyword(bit(&name, selected)),
            SearchKey::Unkeyword(name) => not(Self::Keyword(bit(&name, selected))),
            SearchKey::New => Self::And(vec![Self::Recent, not(seen)]),
            SearchKey::Old => not(Self::Recent),
            SearchKey::Recent => Self::Recent,
            SearchKey::Bcc(value) => field("bcc", value),
            SearchKey::Cc(value) => field("cc", value),
            SearchKey::From(value) => field("from", value),
            SearchKey::To(value) => field("to", value),
            SearchKey::Subject(value) => field("subject", value),
            SearchKey::Header { name, value } => field(&name.to_ascii_lowercase(), value),
            // Every message holds nothing, one without any text too.
            SearchKey::Body(value) | SearchKey::Text(value) if value.is_empty() => Self::All,
            SearchKey::Body(value) => Self::Body(Needle::in_body(&value, folding)),
            SearchKey::Text(value) => {
                Self::Text(Needle::in_header(&value, folding), Needle::in_body(&value, folding))
            }
            SearchKey::Before(date) => Self::Internal(Days::Before(day(date))),
            SearchKey::On(date) => Self::Internal(Days::On(day(date))),
            SearchKey::Since(date) => Self::Internal(Days::Since(day(date))),
            SearchKey::SentBefore(date) => Self::Sent(Days::Before(day(date))),
            SearchKey::SentOn(date) => Self::Sent(Days::On(day(date))),
            SearchKey::SentSince(date) => Self::Sent(Days::Since(day(date))),
            SearchKey::Younger(interval) => from(interval),
            SearchKey::Older(interval) => not(from(interval)),
            SearchKey::SavedBefore(date) => Self::Saved(Days::Before(day(date))),
            SearchKey::SavedOn(date) => Self::Saved(Days::On(day(date))),
            SearchKey::SavedSince(date) => Self::Saved(Days::Since(day(date))),
            SearchKey::SaveDateSupported => Self::All,
            SearchKey::Larger(size) => Self::Larger(size),
            SearchKey::Smaller(size) => Self::Smaller(size),
            SearchKey::Sequence(MessageSet::Named(set)) => Self::Sequence(set.resolve(selected.view.len())),
            SearchKey::Uid(MessageSet::Named(set)) => Self::Uid(set.resolve(largest_uid)),
            SearchKey::Sequence(MessageSet::Saved) | SearchKey::Uid(MessageSet::Saved) => {
                Self::Uid(selected.saved.clone())
            }
            SearchKey::UidAfter(uid) => Self::Uid(above(uid)),
            SearchKey::UidBefore(uid) => not(Self::Uid(above(uid - 1))),
            SearchKey::ModSeq(least) => Self::ModSeq(least),
            SearchKey::EmailId(id) => Self::EmailId(ObjectId::message(&id)),
            SearchKey::ThreadId(id) => Self::ThreadId(ObjectId::thread(&id)),
        }
    }

    /// The deepest that this key may look.
    pub(crate) fn depth(&self) -> Depth {
        match self {
            Self::And(keys) => keys.iter().map(Self::depth).max().unwrap_or(Depth::View),
            Self::Or(one, other) => one.depth().max(other.depth()),
            Self::Not(key) => key.depth(),
            Self::Internal(_)
            | Self::InternalFrom(_)
            | Self::Saved(_)
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::EmailId(_) => Depth::Row,
            Self::Sent(_) | Self::ThreadId(_) => Depth::Structure,
            Self::Field(..) | Self::Body(_) | Self::Text(..) => Depth::Text,
            Self::All
            | Self::Flag(_)
            | Self::Keyword(_)
            | Self::Recent
            | Self::Sequence(_)
            | Self::Uid(_)
            | Self::ModSeq(_) => Depth::View,
        }
    }

    /// Whether signatures can rule any message out, or in.
    pub(crate) fn is_told_by_signatures(&self) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(Self::is_told_by_signatures),
            Self::Or(one, other) => one.is_told_by_signatures() || other.is_told_by_signatures(),
            Self::Not(key) => key.is_told_by_signatures(),
            Self::Field(_, text) | Self::Body(text) => text.is_told(),
            Self::Text(in_header, in_body) => in_header.is_told() && in_body.is_told(),
            _ => false,
        }
    }

    /// Whether some key is answered exactly there.
    pub(crate) fn looks_at(&self, depth: Depth) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(|key| key.looks_at(depth)),
            Self::Or(one, other) => one.looks_at(depth) || other.looks_at(depth),
            Self::Not(key) => key.looks_at(depth),
            key => key.depth() == depth,
        }
    }

    /// Whether the message is what is looked for; `None` when more must be known.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::And(keys) => all(keys.iter().map(|key| key.holds(facts))),
            Self::Or(one, other) => match one.holds(facts) {
                Some(true) => Some(true),
                Some(false) => other.holds(facts),
                None => other.holds(facts).filter(|holds| *holds),
            },
            Self::Not(key) => key.holds(facts).map(|holds| !holds),
            Self::Flag(flag) => Some(facts.entry.flags.contains(*flag)),
            Self::Keyword(bit) => Some(facts.entry.keywords & bit != 0),
            Self::Recent => Some(facts.entry.recent),
            Self::Sequence(ranges) => Some(ranges.contains(facts.seq)),
            Self::Uid(ranges) => Some(ranges.contains(facts.entry.uid)),
            Self::ModSeq(least) => Some(facts.entry.modseq.0 >= *least),
            Self::Internal(days) => facts.row.map(|row| days.hold(row.internal_secs.div_euclid(DAY))),
            Self::InternalFrom(secs) => facts.row.map(|row| row.internal_secs >= *secs),
            Self::Saved(days) => facts.row.map(|row| days.hold(row.saved_secs.div_euclid(DAY))),
            Self::Larger(size) => facts.row.map(|row| row.size > *size),
            Self::Smaller(size) => facts.row.map(|row| row.size < *size),
            Self::Sent(days) => {
                facts.structure.map(|structure| structure.sent_day.is_some_and(|day| days.hold(day)))
            }
            Self::EmailId(id) => facts.row.map(|row| id.is_some() && row.email_id == *id),
            Self::ThreadId(id) => facts.structure.map(|structure| id.is_some() && structure.thread_id == *id),
            Self::Field(name, value) => match facts.text {
                Some(Text::Header(extract) | Text::Extract(extract)) => {
                    Some(extract.field_holds(name, value))
                }
                Some(Text::Headline(extract)) if is_in_headline(name) => {
                    Some(extract.field_holds(name, value))
                }
                Some(Text::Read(reading)) => Some(reading.has_found(value)),
                Some(Text::Headline(_)) | None => ruled_out(facts, [value]),
            },
            Self::Body(text) => match facts.text {
                Some(Text::Extract(extract)) => Some(extract.body_holds(text)),
                Some(Text::Read(reading)) => Some(reading.has_found(text)),
                Some(Text::Headline(_) | Text::Header(_)) | None => ruled_out(facts, [text]),
            },
            Self::Text(in_header, in_body) => match facts.text {
                Some(Text::Extract(extract)) => {
                    Some(extract.header_holds(in_header) || extract.body_holds(in_body))
                }
                Some(Text::Read(reading)) => Some(reading.has_found(in_header) || reading.has_found(in_body)),
                Some(Text::Header(extract)) if extract.header_holds(in_header) => Some(true),
                Some(Text::Header(_)) => ruled_out(facts, [in_body]),
                Some(Text::Headline(_)) | None => ruled_out(facts, [in_header, in_body]),
            },
        }
    }

    /// Whether some key is answered by fields of the header.
    pub(crate) fn looks_at_fields(&self) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(Self::looks_at_fields),
            Self::Or(one, other) => one.looks_at_fields() || other.looks_at_fields(),
            Self::Not(key) => key.looks_at_fields(),
            key => matches!(key, Self::Field(..)),
        }
    }

    /// Whether some key is answered by what the headline tells of.
    pub(crate) fn looks_at_headlines(&self) -> bool {
        self.sought().iter().any(|sought| matches!(sought, Sought::Field(name, _) if is_in_headline(name)))
    }

    /// The texts that are looked for, each where it is.
    pub(crate) fn sought(&self) -> Vec<Sought<'_>> {
        match self {
            Self::And(keys) => keys.iter().flat_map(Self::sought).collect(),
            Self::Or(one, other) => [one.sought(), other.sought()].concat(),
            Self::Not(key) => key.sought(),
            Self::Field(name, value) => vec![Sought::Field(name, value)],
            Self::Body(text) => vec![Sought::Body(text)],
            Self::Text(in_header, in_body) => vec![Sought::Header(in_header), Sought::Body(in_body)],
            _ => Vec::new(),
        }
    }

    /// Whether messages are looked for by identifiers, which are made for it.
    pub(crate) fn names_objects(&self) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(Self::names_objects),
            Self::Or(one, other) => one.names_objects() || other.names_objects(),
            Self::Not(key) => key.names_objects(),
            key => matches!(key, Self::EmailId(_) | Self::ThreadId(_)),
        }
    }

    /// How many keys there are in it.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::And(keys) => keys.iter().map(Self::count).sum(),
            Self::Or(one, other) => one.count() + other.count(),
            Self::Not(key) => key.count(),
            _ => 1,
        }
    }
}

/// What the signature rules out is not there.
fn ruled_out<const N: usize>(facts: &Facts<'_>, needles: [&Needle; N]) -> Option<bool> {
    let may_be = |signature| needles.iter().any(|needle| needle.may_be_in(signature));
    facts.signature.map(may_be).filter(|may_be| !may_be)
}

/// The UIDs above that one, if any.
fn above(uid: u32) -> Ranges {
    Ranges::from_pairs(uid.checked_add(1).map(|next| (next, u32::MAX)).into_iter().collect())
}

pub(crate) fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_known = true;
    for answer in answers {
        match answer {
            Some(false) => return Some(false),
            Some(true) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(true)
}

fn bit(name: &str, selected: &Selected) -> u64 {
    let at = selected.keywords.iter().position(|known| known.eq_ignore_ascii_case(name));
    at.and_then(|at| u32::try_from(at).ok()).and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

fn day(date: Date) -> i64 {
    let number = message::date::day_number(date.year.into(), date.month.into(), date.day.into());
    // The parser lets no other day through.
    number.unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::ModSeq;
    use message::extract::ExtractBuilder;

    const ENTRY: Entry =
        Entry { uid: 7, flags: SystemFlags::SEEN, keywords: 2, modseq: ModSeq(5), recent: false };

    const KNOWN: Facts<'_> =
        Facts { seq: 1, entry: &ENTRY, row: None, structure: None, signature: None, text: None };

    fn body(text: &str) -> Key {
        Key::Body(Needle::in_body(text, Folding::Unaccented))
    }

    fn or(one: Key, other: Key) -> Key {
        Key::Or(Box::new(one), Box::new(other))
    }

    #[test]
    fn a_cheap_no_and_a_cheap_yes_need_no_more() {
        let body = || body("x");
        let unseen = || Key::Not(Box::new(Key::Flag(SystemFlags::SEEN)));
        let known = KNOWN;
        assert_eq!(Key::And(vec![body(), unseen()]).holds(&known), Some(false));
        assert_eq!(or(body(), Key::All).holds(&known), Some(true));
        assert_eq!(or(unseen(), body()).holds(&known), None);
        assert_eq!(Key::Not(Box::new(body())).holds(&known), None);
        assert_eq!(Key::Keyword(2).holds(&known), Some(true));
        assert_eq!(Key::Keyword(0).holds(&known), Some(false));
    }

    #[test]
    fn a_signature_says_no_and_an_extract_says_which() {
        let mut builder = ExtractBuilder::default();
        builder.push_text("en hiver");
        let extract = builder.finish();
        let signature = extract.signature();
        let opened = extract.opened(Folding::Unaccented);
        let passed = Facts { signature: Some(&signature), ..KNOWN };
        let read = Facts { text: Some(Text::Extract(&opened)), ..passed };
        for (text, told, found) in [
            ("hiver", None, true),
            ("printemps", Some(false), false),
            ("été", Some(false), false),
            ("ét", None, false),
        ] {
            assert_eq!(body(text).holds(&passed), told, "{text}");
            assert_eq!(body(text).holds(&Facts { signature: None, ..passed }), None, "{text}");
            assert_eq!(body(text).holds(&read), Some(found), "{text}");
            let not = Key::Not(Box::new(body(text)));
            assert_eq!(
                (not.holds(&passed), not.holds(&read)),
                (told.map(|told| !told), Some(!found)),
                "{text}"
            );
        }
        assert!(or(Key::All, body("hiver")).is_told_by_signatures() && !body("et").is_told_by_signatures());
    }

    #[test]
    fn a_headline_tells_of_its_fields_and_of_nothing_else() {
        let mut builder = ExtractBuilder::default();
        builder.push_text("en hiver");
        let headline = builder.finish().opened(Folding::Unaccented).headline();
        let known = Facts { text: Some(Text::Headline(&headline)), ..KNOWN };
        let field = |name: &str| Key::Field(name.to_owned(), Needle::in_header("hiver", Folding::Unaccented));
        assert_eq!(field("subject").holds(&known), Some(false), "it has no such field");
        assert_eq!(field("received").holds(&known), None);
        assert_eq!(body("hiver").holds(&known), None);
        assert_eq!(body("printemps").holds(&known), None);
        assert!(or(Key::All, field("cc")).looks_at_headlines() && !field("received").looks_at_headlines());
    }
}
