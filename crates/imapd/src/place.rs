//! From the name of a folder to the place that it means: in whose mailbox, which folder, and what this session may do there.
//!
//! Nothing but this decides where a name leads: a folder that its reader may not list is no folder at all (RFC 4314 §4).

use crate::state::{Connection, Failure};
use imap_session::response::Code;
use mail_types::{ActorId, FolderId, MailboxId, Principal, Rights, SystemFlags};
use store::{FolderRow, MailboxKey};

/// Who acts, in which mailbox, with what rights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) mailbox: MailboxId,
    pub(crate) actor: ActorId,
    pub(crate) rights: Rights,
    /// The actor, when `\Seen` is theirs alone.
    pub(crate) private_seen_of: Option<ActorId>,
    /// Whether the mailbox is the actor's own: what others do there is told of.
    pub(crate) is_holder: bool,
}

impl Who {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self {
            mailbox: principal.mailbox,
            actor: principal.actor.id,
            rights: principal.rights,
            private_seen_of: principal.private_seen.then_some(principal.actor.id),
            is_holder: principal.is_holder,
        }
    }

    /// Whether every right of these letters is there (RFC 4314 §2.1).
    pub(crate) fn may(self, letters: &str) -> bool {
        letters.chars().all(|letter| self.rights.has(letter))
    }

    /// Refuses who lacks one of the rights of these letters.
    pub(crate) fn must(self, letters: &str) -> Result<(), Failure> {
        if self.may(letters) { Ok(()) } else { Err(NO_RIGHT) }
    }

    /// The system flags that may be changed (RFC 4314 §2.1: `s`, `t`, `w`).
    pub(crate) fn changeable(self) -> SystemFlags {
        let all = SystemFlags::NAMES.into_iter().map(|(flag, _)| flag);
        all.filter(|flag| self.rights.has(right_of(*flag))).fold(SystemFlags::default(), SystemFlags::union)
    }
}

fn right_of(flag: SystemFlags) -> char {
    match flag {
        SystemFlags::SEEN => 's',
        SystemFlags::DELETED => 't',
        _ => 'w',
    }
}

pub(crate) const NO_RIGHT: Failure = Failure::No(Some(Code::NoPerm), "You have no right to do this");

pub(crate) const NONEXISTENT: Failure = Failure::No(Some(Code::NonExistent), "No such folder");

/// A mailbox as this session reaches it.
pub(crate) struct Reach {
    /// Rights are those in folders of which nothing else is said.
    pub(crate) who: Who,
    pub(crate) key: MailboxKey,
}

impl Reach {
    /// What may be done in one folder of the mailbox.
    pub(crate) fn in_folder(&self, _folder: &FolderRow) -> Who {
        self.who
    }
}

/// A folder that a name led to.
pub(crate) struct Place {
    pub(crate) who: Who,
    pub(crate) key: MailboxKey,
    pub(crate) folder: FolderRow,
}

impl Place {
    pub(crate) fn id(&self) -> FolderId {
        self.folder.id
    }
}

impl Connection {
    /// Who acts in the mailbox that was logged in to.
    pub(crate) fn mine(&self) -> Result<Who, Failure> {
        Ok(Who::of(&self.logged_in()?.proof.principal))
    }

    /// The mailbox that a name is in, and the name there.
    pub(crate) async fn within<'n>(&self, name: &'n str) -> Result<(Reach, &'n str), Failure> {
        let login = self.logged_in()?;
        Ok((Reach { who: Who::of(&login.proof.principal), key: login.key.clone() }, name))
    }

    /// Where a name leads, also a name that only has children.
    pub(crate) async fn named(&self, name: &str) -> Result<Place, Failure> {
        let (reach, local) = self.within(name).await?;
        let folder = self.shared.store.folder(reach.who.mailbox, local).await?.ok_or(NONEXISTENT)?;
        let who = reach.in_folder(&folder);
        if who.may("l") { Ok(Place { who, key: reach.key, folder }) } else { Err(NONEXISTENT) }
    }

    /// The folder of that name that can hold messages.
    pub(crate) async fn place(&self, name: &str) -> Result<Place, Failure> {
        let place = self.named(name).await?;
        if place.folder.selectable { Ok(place) } else { Err(NONEXISTENT) }
    }

    /// The folder that messages go to.
    pub(crate) async fn target(&self, name: &str) -> Result<Place, Failure> {
        let place = self.place(name).await.map_err(|failure| match failure {
            Failure::No(Some(Code::NonExistent), text) => Failure::No(Some(Code::TryCreate), text),
            failure => failure,
        })?;
        place.who.must("i")?;
        Ok(place)
    }

    /// The same folder with the rights of now.
    pub(crate) async fn again(&self, place: Place) -> Result<Place, Failure> {
        let who = self.mine()?;
        Ok(Place { who, ..place })
    }
}
