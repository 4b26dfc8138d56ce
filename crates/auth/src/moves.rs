//! Whom the latest changes of the directory concern, so that of thousands of open sessions only those ask the store that may have to end.
//!
//! It knows no database: who follows the directory tells it.

use mail_types::{ActorId, MailboxId, Principal};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use store::Concern;

/// Changes that are remembered; whoever was judged before the oldest asks.
const MOVES_MAX: usize = 4096;

/// The latest moves of the directory.
#[derive(Debug, Default)]
pub(crate) struct Moves(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    /// Every move after this revision is known.
    after: u64,
    moves: VecDeque<(u64, Concern)>,
}

impl Moves {
    /// The directory moved on to a revision. `None`: whom that concerns is not known.
    pub(crate) fn learn(&self, to: u64, concerns: Option<Vec<(i64, Concern)>>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(concerns) = concerns else {
            *latest = Latest { after: to, moves: VecDeque::new() };
            return;
        };
        latest
            .moves
            .extend(concerns.into_iter().map(|(revision, concern)| (revision.unsigned_abs(), concern)));
        while latest.moves.len() > MOVES_MAX {
            if let Some((revision, _)) = latest.moves.pop_front() {
                latest.after = revision;
            }
        }
    }

    /// Whether anything that changed since a revision may concern somebody's session.
    pub(crate) fn may_concern(&self, principal: &Principal, since: u64) -> bool {
        self.may_concern_in(principal.actor.id, principal.mailbox, since)
    }

    /// The same, of what an actor has open in a mailbox.
    pub(crate) fn may_concern_in(&self, actor: ActorId, mailbox: MailboxId, since: u64) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moves = latest.moves.iter().rev().take_while(|(revision, _)| *revision > since);
        since < latest.after || moves.any(|(_, concern)| concerns(*concern, actor, mailbox))
    }
}

fn concerns(concern: Concern, actor: ActorId, mailbox: MailboxId) -> bool {
    match concern {
        Concern::Actor(concerned) => concerned == actor,
        Concern::Mailbox(concerned) => concerned == mailbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{Actor, ActorKind, MailboxKind, Rights, UserId};

    fn principal(actor: i64, mailbox: i64) -> Principal {
        Principal {
            actor: Actor { id: ActorId(actor), kind: ActorKind::User(UserId(actor)) },
            mailbox: MailboxId(mailbox),
            address: "claire@ch.example".parse().unwrap(),
            kind: MailboxKind::Personal,
            rights: Rights::ALL,
            may_send: true,
            private_seen: false,
            is_holder: true,
            only_here: false,
        }
    }

    #[test]
    fn a_change_concerns_its_actor_or_its_mailbox_and_only_whoever_was_judged_before() {
        let moves = Moves::default();
        moves.learn(10, None);
        let changes = [Concern::Actor(ActorId(1)), Concern::Mailbox(MailboxId(2))];
        moves.learn(12, Some((11..).zip(changes).collect()));
        for (actor, mailbox, since) in [(1, 9, 10), (9, 2, 11), (9, 9, 9), (1, 2, 10)] {
            assert!(moves.may_concern(&principal(actor, mailbox), since), "{actor} {mailbox} {since}");
        }
        for (actor, mailbox, since) in [(1, 9, 11), (9, 2, 12), (9, 9, 10), (2, 1, 10)] {
            assert!(!moves.may_concern(&principal(actor, mailbox), since), "{actor} {mailbox} {since}");
        }
        // What is not known concerns everybody.
        moves.learn(13, None);
        assert!(moves.may_concern(&principal(9, 9), 12) && !moves.may_concern(&principal(9, 9), 13));
    }

    #[test]
    fn whoever_was_judged_before_the_oldest_that_is_remembered_asks() {
        let moves = Moves::default();
        moves.learn(1, None);
        let many = i64::try_from(MOVES_MAX).unwrap() + 5;
        moves.learn(
            many.unsigned_abs() + 1,
            Some((2..many + 2).map(|at| (at, Concern::Actor(ActorId(7)))).collect()),
        );
        assert!(moves.may_concern(&principal(9, 9), 5) && !moves.may_concern(&principal(9, 9), 6));
    }
}
