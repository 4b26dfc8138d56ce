//! THREAD (RFC 5256 §3): what a search found, as who answers whom.

use crate::attending::Progress;
use crate::enable::Extension;
use crate::headings::Headings;
use crate::search_return::Message;
use crate::sort::{INLINE_MAX, bounded_casemap, sent};
use crate::state::{Answer, Connection, Failure};
use imap_session::command::{ThreadAlgorithm, ThreadArguments};
use imap_session::response;
use imap_session::thread::{self, Threadable};
use message::structure::Structure;
use message::subject::base_subject;
use std::hash::{BuildHasher as _, RandomState};
use store::MessageRow;

/// Ancestors of all messages of one answer that are kept; beyond, only the parent of each message is.
const ANCESTORS_MAX: usize = 1_000_000;

impl Connection {
    /// THREAD.
    pub(crate) async fn thread(&mut self, tag: &str, arguments: ThreadArguments) -> Answer {
        let ThreadArguments { by_uid, algorithm, charset, criteria } = arguments;
        if criteria.names_modseq() {
            self.turn_on(Extension::CondStore);
        }
        let found = self.matching(tag, Some(&charset), criteria).await?.whole()?;
        let (selected, shared, attending) = self.at_work()?;
        let progress = Progress::of(found.messages.len() as u64);
        let reading = read(Headings { selected, shared }, &found.messages, by_uid, &progress);
        let worked = attending.to(tag, &progress, reading).await;
        let messages = self.after_work(worked).await??;
        let is_long = messages.len() > INLINE_MAX;
        let threads = move || match algorithm {
            ThreadAlgorithm::OrderedSubject => thread::ordered_subject(&messages),
            ThreadAlgorithm::References => thread::references(&messages),
        };
        let forest = if is_long {
            let threaded = tokio::task::spawn_blocking(threads).await;
            threaded.map_err(|_| Failure::Store(store::Error::Closing))?
        } else {
            threads()
        };
        response::thread(&mut self.wire.out, &forest);
        found.ended("THREAD completed")
    }
}

async fn read(
    headings: Headings<'_>,
    found: &[Message],
    by_uid: bool,
    progress: &Progress,
) -> Result<Vec<Threadable>, Failure> {
    let mut ids = Ids { hasher: RandomState::new(), left: ANCESTORS_MAX };
    let mut messages = Vec::with_capacity(found.len());
    let mut unknown = Vec::new();
    let take = |(seq, uid): Message, row: &MessageRow, structure: Option<Structure>| {
        if structure.as_ref().is_some_and(|structure| !structure.knows_references()) {
            unknown.push((messages.len(), uid));
        }
        let number = if by_uid { uid } else { seq };
        messages.push(threadable(number, row, structure.as_ref(), &mut ids));
        progress.add(1);
    };
    headings.read_each(found, true, take).await?;
    for (at, uid) in unknown {
        let ancestors = headings.ancestors(uid).await?;
        if let Some(message) = messages.get_mut(at) {
            message.references = ids.of(&ancestors);
        }
    }
    Ok(messages)
}

/// Message-IDs as numbers. The key of the hash is new for each command: nobody can make two Message-IDs one.
struct Ids {
    hasher: RandomState,
    left: usize,
}

impl Ids {
    fn one(&self, id: &[u8]) -> u64 {
        self.hasher.hash_one(id)
    }

    fn of(&mut self, ancestors: &[Vec<u8>]) -> Box<[u64]> {
        let count = if ancestors.len() <= self.left { ancestors.len() } else { 1.min(ancestors.len()) };
        self.left = self.left.saturating_sub(count);
        ancestors.iter().skip(ancestors.len() - count).map(|id| self.one(id)).collect()
    }
}

fn threadable(number: u32, row: &MessageRow, structure: Option<&Structure>, ids: &mut Ids) -> Threadable {
    let heading = structure.map(Structure::heading).unwrap_or_default();
    let subject = base_subject(heading.subject.as_deref().unwrap_or_default());
    Threadable {
        number,
        sent: sent(row, structure),
        subject: bounded_casemap(&subject.text),
        is_reply: subject.is_reply,
        id: heading.message_id.map(|id| ids.one(&id)),
        references: ids.of(&heading.references),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_bound_only_parents_are_kept() {
        let mut ids = Ids { hasher: RandomState::new(), left: 3 };
        let ancestors = [b"1@a".to_vec(), b"2@a".to_vec()];
        assert_eq!(ids.of(&ancestors).len(), 2);
        let parent = ids.one(b"2@a");
        assert_eq!(&*ids.of(&ancestors), [parent]);
        assert_eq!(&*ids.of(&ancestors), [parent]);
        assert!(ids.of(&[]).is_empty());
    }
}
