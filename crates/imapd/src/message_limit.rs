//! How many messages one command may be about (RFC 9738), where the operator says so.
//!
//! It does not know what commands do with the messages that it leaves them.

use crate::search_key::{Key, all};
use crate::search_return::Message;
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::response::{self, Code, Status};

/// Leaves the messages with the highest UIDs, as many as the limit lets. What is then to be told, when that left some out.
pub(crate) fn cut(limit: Option<u32>, messages: &mut Vec<Message>) -> Option<Code> {
    let (limit, lowest) = exceeded(limit, messages)?;
    messages.retain(|(_, uid)| *uid >= lowest);
    Some(Code::MessageLimit(limit, Some(lowest)))
}

/// The limit, and the lowest UID within it, when there are more messages than that. They stand in ascending order.
pub(crate) fn exceeded(limit: Option<u32>, messages: &[Message]) -> Option<(u32, u32)> {
    let limit = limit?;
    let over = messages.len().checked_sub(usize::try_from(limit).ok()?).filter(|over| *over > 0)?;
    messages.get(over).map(|(_, lowest)| (limit, *lowest))
}

impl Connection {
    /// How a command ends that left messages out, when it did. Another code has the tagged answer for itself, and so does EXPUNGEISSUED, with OK
    /// (RFC 9738 §3.1).
    pub(crate) fn cut_short(&mut self, cut: Option<Code>, answer: Answer) -> Answer {
        const TEXT: &str = "Done for the messages of the highest UIDs; send it again for the others";
        let Some(code) = cut else { return answer };
        let answer = match answer {
            Ok(Done { code: None, .. }) => return Ok(Done::with(code, TEXT)),
            Err(Failure::No(Some(Code::ExpungeIssued), text)) => Ok(Done::with(Code::ExpungeIssued, text)),
            answer @ (Ok(_) | Err(Failure::No(..))) => answer,
            answer => return answer,
        };
        response::untagged(&mut self.wire.out, Status::No, Some(code), TEXT);
        answer
    }
}

impl Key {
    /// Whether a message in that place is among those that are searched; `None` where its place does not tell.
    pub(crate) fn holds_at(&self, (seq, uid): Message) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::And(keys) => all(keys.iter().map(|key| key.holds_at((seq, uid)))),
            Self::Or(one, other) => match one.holds_at((seq, uid)) {
                Some(true) => Some(true),
                Some(false) => other.holds_at((seq, uid)),
                None => other.holds_at((seq, uid)).filter(|holds| *holds),
            },
            Self::Not(key) => key.holds_at((seq, uid)).map(|holds| !holds),
            Self::Sequence(ranges) => Some(ranges.contains(seq)),
            Self::Uid(ranges) => Some(ranges.contains(uid)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap_session::sequence::Ranges;
    use mail_types::SystemFlags;

    #[test]
    fn the_messages_of_the_highest_uids_stay() {
        let all = [(1, 10), (2, 20), (3, 30)];
        for (limit, left, told) in
            [(None, 3, None), (Some(3), 3, None), (Some(2), 2, Some(Code::MessageLimit(2, Some(20))))]
        {
            let mut messages = all.to_vec();
            assert_eq!(cut(limit, &mut messages), told);
            assert_eq!(messages, all[3 - left..]);
        }
    }

    #[test]
    fn a_message_is_searched_unless_its_place_rules_it_out() {
        let uids = |first, last| Key::Uid(Ranges::from_pairs(vec![(first, last)]));
        let seen = || Key::Flag(SystemFlags::SEEN);
        let or = |one, other| Key::Or(Box::new(one), Box::new(other));
        let not = |key| Key::Not(Box::new(key));
        let at = |key: Key| key.holds_at((1, 10));
        assert_eq!(at(Key::And(vec![seen(), uids(20, 30)])), Some(false));
        assert_eq!(at(Key::And(vec![seen(), uids(1, 10)])), None);
        assert_eq!(at(or(seen(), uids(20, 30))), None);
        assert_eq!(at(or(uids(2, 3), uids(20, 30))), Some(false));
        assert_eq!(at(not(uids(1, 10))), Some(false));
        assert_eq!(at(not(seen())), None);
    }
}
