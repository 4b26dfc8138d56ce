//! From the name of a folder to the place that it means: in whose mailbox, which folder, and what this session may do there.
//!
//! Nothing but this decides where a name leads: a folder that its reader may not list is no folder at all (RFC 4314 §4).

use crate::state::{Connection, Failure};
use auth::{AuthError, Authenticator, Reached};
use imap_session::namespace::{self, Located, Namespace};
use imap_session::response::Code;
use mail_types::{ActorId, Address, FolderId, MailboxId, MailboxKind, Principal, Rights, SystemFlags};
use std::borrow::Cow;
use std::time::Duration;
use store::{FolderRow, MailboxKey};

/// Who acts, in which mailbox, with what rights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) mailbox: MailboxId,
    pub(crate) actor: ActorId,
    pub(crate) rights: Rights,
    /// The actor, when `\Seen` was last found to be theirs alone.
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

    fn at(reached: &Reached, rights: Rights) -> Self {
        Self {
            mailbox: reached.mailbox,
            actor: reached.actor,
            rights,
            private_seen_of: reached.private_seen.then_some(reached.actor),
            is_holder: reached.is_holder,
        }
    }

    /// In folders of a mailbox of which nothing else is said.
    pub(crate) fn at_large(reached: &Reached) -> Self {
        Self::at(reached, reached.rights())
    }

    /// In one folder of a mailbox.
    pub(crate) fn in_folder(reached: &Reached, folder: &FolderRow) -> Self {
        Self::at(reached, reached.rights_in(folder.id, is_drafts(folder)))
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

/// RFC 5530: what it is for is named elsewhere.
pub(crate) const OTHERS_NAME: Failure = Failure::No(
    Some(Code::Cannot),
    "Names under Shared and Other Users are folders of other mailboxes; choose another name",
);

/// A mailbox as this session reaches it.
pub(crate) struct Reach {
    pub(crate) reached: Reached,
    pub(crate) key: MailboxKey,
}

fn is_drafts(folder: &FolderRow) -> bool {
    folder.special_use.as_deref() == Some("\\Drafts")
}

/// What rights in a folder rest on, when that is more than the login.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    reached: Reached,
    folder: FolderId,
    is_drafts: bool,
}

impl Ground {
    fn new(reached: Reached, folder: &FolderRow) -> Box<Self> {
        let reached = reached.only_in(folder.id);
        Box::new(Self { reached, folder: folder.id, is_drafts: is_drafts(folder) })
    }

    /// What may be done in the folder now.
    pub(crate) async fn ask(
        &mut self,
        authenticator: &Authenticator,
        login: &auth::Login,
    ) -> Result<Who, AuthError> {
        let mut reached = self.reached.clone();
        authenticator.still_reaches(login, &mut reached).await?;
        self.reached = reached.only_in(self.folder);
        Ok(Who::at(&self.reached, self.reached.rights_in(self.folder, self.is_drafts)))
    }

    /// Whether it is to be asked again.
    pub(crate) fn may_have_moved(&self, authenticator: &Authenticator) -> bool {
        authenticator.may_reach_otherwise(&self.reached)
    }

    /// In how long some of it ends, if it does.
    pub(crate) fn ends_in(&self, authenticator: &Authenticator) -> Option<Duration> {
        authenticator.reach_ends_in(&self.reached)
    }
}

/// A folder that a name led to.
pub(crate) struct Place {
    pub(crate) who: Who,
    pub(crate) key: MailboxKey,
    pub(crate) folder: FolderRow,
    /// None in a person's own mailbox.
    pub(crate) ground: Option<Box<Ground>>,
}

impl Place {
    pub(crate) fn id(&self) -> FolderId {
        self.folder.id
    }
}

impl Connection {
    /// The mailbox that was logged in to.
    pub(crate) async fn own(&self) -> Result<Reach, Failure> {
        let login = self.logged_in()?;
        let reached = self.shared.authenticator.logged_in_to(&login.proof).await.map_err(unreached)?;
        Ok(Reach { reached, key: login.key.clone() })
    }

    /// The mailbox that a name is in, and the name there.
    pub(crate) async fn within<'n>(&self, name: &'n str) -> Result<(Reach, Cow<'n, str>), Failure> {
        let (namespace, address, local) = match namespace::locate(name) {
            Located::Own(local) => return Ok((self.own().await?, Cow::Borrowed(local))),
            Located::Root(_) | Located::Mailbox(..) => return Err(NONEXISTENT),
            Located::Folder(namespace, address, local) => (namespace, address, local),
        };
        let Ok(address) = address.parse::<Address>() else { return Err(NONEXISTENT) };
        let login = self.logged_in()?;
        let reached =
            self.shared.authenticator.reach_named(&login.proof, &address).await.map_err(unreached)?;
        let reached = reached.filter(|reached| namespace_of(reached.kind) == namespace).ok_or(NONEXISTENT)?;
        let key = self.shared.store.mailbox_key(reached.mailbox).await?;
        Ok((Reach { reached, key }, local))
    }

    /// The other mailboxes that this session reaches, each under its name.
    pub(crate) async fn others(&self) -> Result<Vec<(String, Reached)>, Failure> {
        let login = self.logged_in()?;
        let reached = self.shared.authenticator.reach(&login.proof).await.map_err(unreached)?;
        let named =
            |reached: Reached| (namespace_of(reached.kind).mailbox(&reached.address.canonical()), reached);
        let mut others: Vec<_> = reached.into_iter().map(named).collect();
        others.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(others)
    }

    /// Where a name leads, also a name that only has children.
    pub(crate) async fn named(&self, name: &str) -> Result<Place, Failure> {
        let (mut reach, local) = self.within(name).await?;
        let folder = self.folder_in(&mut reach.reached, &local).await?.ok_or(NONEXISTENT)?;
        let who = Who::in_folder(&reach.reached, &folder);
        if !who.may("l") {
            return Err(NONEXISTENT);
        }
        let ground = (!reach.reached.rests_on_login()).then(|| Ground::new(reach.reached, &folder));
        Ok(Place { who, key: reach.key, folder, ground })
    }

    /// The folder of that name in a mailbox. What is said of a folder comes with it: of one that may be newer than what is known, it is asked after it.
    pub(crate) async fn folder_in(
        &self,
        reached: &mut Reached,
        local: &str,
    ) -> Result<Option<FolderRow>, Failure> {
        let folder = self.shared.store.folder(reached.mailbox, local).await?;
        if folder.as_ref().is_some_and(|folder| reached.may_miss(folder.id)) {
            self.reach_again(reached).await?;
        }
        Ok(folder)
    }

    /// All folders of a mailbox, in the same order.
    pub(crate) async fn folders_in(&self, reached: &mut Reached) -> Result<Vec<FolderRow>, Failure> {
        let folders = self.shared.store.folders(reached.mailbox).await?;
        if folders.iter().any(|folder| reached.may_miss(folder.id)) {
            self.reach_again(reached).await?;
        }
        Ok(folders)
    }

    async fn reach_again(&self, reached: &mut Reached) -> Result<(), Failure> {
        let login = self.logged_in()?;
        self.shared.authenticator.reach_again(&login.proof, reached).await.map_err(unreached)
    }

    /// Within a long answer whose client takes its time: whether a mailbox is still reached, and with what. The session as a whole is judged first.
    pub(crate) async fn still_reaches(&mut self, reached: &mut Reached) -> Result<bool, Failure> {
        if !Box::pin(self.stands_if_due()).await {
            return Err(Failure::Lost);
        }
        let authenticator = &self.shared.authenticator;
        if !authenticator.may_reach_otherwise(reached) {
            return Ok(true);
        }
        match authenticator.still_reaches(&self.logged_in()?.proof, reached).await {
            Ok(()) => Ok(true),
            Err(AuthError::Refused(_) | AuthError::Certificate(_)) => Ok(false),
            Err(error) => Err(unreached(error)),
        }
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

    /// The same of what may be done in a folder.
    pub(crate) async fn still_there(
        &mut self,
        who: Who,
        ground: Option<&mut Ground>,
    ) -> Result<Who, Failure> {
        if !Box::pin(self.stands_if_due()).await {
            return Err(Failure::Lost);
        }
        let login = self.logged_in()?;
        let authenticator = &self.shared.authenticator;
        match ground {
            None => Ok(Who::of(&login.proof.principal)),
            Some(ground) if ground.may_have_moved(authenticator) => {
                ground.ask(authenticator, &login.proof).await.map_err(unreached)
            }
            Some(_) => Ok(who),
        }
    }

    /// The same folder with the rights of now.
    pub(crate) async fn again(&self, mut place: Place) -> Result<Place, Failure> {
        let login = self.logged_in()?;
        place.who = match &mut place.ground {
            None => Who::of(&login.proof.principal),
            Some(ground) => ground.ask(&self.shared.authenticator, &login.proof).await.map_err(unreached)?,
        };
        Ok(place)
    }

    /// Refuses a folder that may not be made: `k` is asked where the lowest level stands that is there (RFC 4314 §4). What may not be listed
    /// takes no folders, and no other in its place.
    pub(crate) async fn must_take_folder(&self, reached: &Reached, local: &str) -> Result<(), Failure> {
        if reached.rests_on_login() && reached.rights() == Rights::ALL {
            return Ok(());
        }
        let mailbox = reached.mailbox;
        if let Some(there) = self.shared.store.folder(mailbox, local).await?
            && !Who::in_folder(reached, &there).may("l")
        {
            return Err(NO_RIGHT);
        }
        let mut above = local;
        while let Some((level, _)) = above.rsplit_once(namespace::DELIMITER) {
            if let Some(folder) = self.shared.store.folder(mailbox, level).await? {
                return Who::in_folder(reached, &folder).must("lk");
            }
            above = level;
        }
        Who::at_large(reached).must("k")
    }
}

fn namespace_of(kind: MailboxKind) -> Namespace {
    match kind {
        MailboxKind::Personal => Namespace::OtherUsers,
        _ => Namespace::Shared,
    }
}

/// A mailbox that is not reached is none.
pub(crate) fn unreached(error: AuthError) -> Failure {
    match error {
        AuthError::Unavailable(_) | AuthError::Held(_) => {
            tracing::error!(%error, "what a session may reach could not be decided");
            Failure::No(Some(Code::Unavailable), "Temporary failure; try again later")
        }
        AuthError::Refused(_) | AuthError::Certificate(_) => NONEXISTENT,
    }
}
