//! What a login reaches beside the mailbox that it was made in: the mailboxes in which its actor was given something.
//!
//! A credential that opens one mailbox only reaches no other. A mailbox whose state would refuse a login is not reached either. What is reached is
//! asked anew for each use, so that a new grant is seen at once; what stays open is asked again as logins are ([`Authenticator::still_reaches`]).

use crate::login::{Asked, Login, PASSWORD_STANDS_MS};
use crate::{AuthError, Authenticator, Unproven, unavailable};
use mail_types::{
    ActorId, ActorKind, Address, FolderFacts, FolderId, Grant, MailboxId, MailboxKind, Rights, Role,
    Timestamp,
};
use std::time::Duration;
use store::{GivenMailbox, Reaching};

/// A mailbox in which a login may act, and what it may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Row.
    pub mailbox: MailboxId,
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: MailboxKind,
    /// Who acts.
    pub actor: ActorId,
    /// Whether `\Seen` is kept for each actor apart.
    pub private_seen: bool,
    /// Whether the mailbox is the actor's own. What others read in it is told of.
    pub is_holder: bool,
    grant: Option<Grant>,
    folders: Vec<(FolderId, Grant)>,
    asked: Asked,
    until: Option<Timestamp>,
    rests_on_login: bool,
}

impl Reached {
    fn new(actor: ActorId, given: GivenMailbox, asked: Asked) -> Self {
        let grant = if given.belongs { Some(Grant::Role(Role::Administrator)) } else { given.grant };
        Self {
            mailbox: given.mailbox,
            address: given.address,
            kind: given.kind,
            actor,
            private_seen: given.private_seen,
            is_holder: given.is_holder,
            grant,
            // What belongs to the actor is theirs in every folder.
            folders: if given.belongs { Vec::new() } else { given.folders },
            asked,
            until: if given.belongs { None } else { given.until },
            rests_on_login: false,
        }
    }

    /// The mailbox that a login was made in, when it is the actor's own.
    fn own(login: &Login) -> Self {
        let principal = &login.principal;
        Self {
            mailbox: principal.mailbox,
            address: principal.address.clone(),
            kind: principal.kind,
            actor: principal.actor.id,
            private_seen: principal.private_seen,
            is_holder: true,
            grant: Some(Grant::Custom(principal.rights)),
            folders: Vec::new(),
            asked: login.asked(),
            until: None,
            rests_on_login: true,
        }
    }

    /// What may be done in folders of which nothing else is said.
    pub fn rights(&self) -> Rights {
        Grant::resolve(None, self.grant, self.facts(false))
    }

    /// What may be done in one folder.
    pub fn rights_in(&self, folder: FolderId, is_drafts: bool) -> Rights {
        let at = self.folders.binary_search_by_key(&folder, |(folder, _)| *folder).ok();
        let in_folder = at.and_then(|at| self.folders.get(at)).map(|(_, grant)| *grant);
        Grant::resolve(in_folder, self.grant, self.facts(is_drafts))
    }

    /// Whether what may be done is what the login says, in every folder: in a person's own mailbox. An application has what was given to it.
    pub fn rests_on_login(&self) -> bool {
        self.rests_on_login
    }

    /// Whether something else may be said of that folder than of the whole, for all that is known: of some it is, and of this one nothing.
    pub fn may_miss(&self, folder: FolderId) -> bool {
        !self.folders.is_empty() && self.folders.binary_search_by_key(&folder, |(folder, _)| *folder).is_err()
    }

    /// When some of it ends, if it does.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The same, knowing of one folder only: what is kept for as long as that folder is open.
    #[must_use]
    pub fn only_in(mut self, folder: FolderId) -> Self {
        self.folders.retain(|(known, _)| *known == folder);
        self.folders.shrink_to_fit();
        self
    }

    fn facts(&self, is_drafts: bool) -> FolderFacts {
        FolderFacts { private_seen: self.private_seen, is_drafts }
    }
}

impl Authenticator {
    /// The mailbox that a login was made in, with what is said of its folders.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when it is reached no more; [`AuthError::Unavailable`].
    pub async fn logged_in_to(&self, login: &Login) -> Result<Reached, AuthError> {
        let is_person = matches!(login.principal.actor.kind, ActorKind::User(_));
        if login.principal.is_holder && is_person {
            return Ok(Reached::own(login));
        }
        self.given(login, Reaching::Mailbox(login.principal.mailbox))
            .await?
            .pop()
            .ok_or(AuthError::Refused(Unproven::Credentials))
    }

    /// The other mailboxes that a login reaches, by address.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn reach(&self, login: &Login) -> Result<Vec<Reached>, AuthError> {
        if login.principal.only_here {
            return Ok(Vec::new());
        }
        let mut reached = self.given(login, Reaching::All).await?;
        reached.retain(|reached| reached.mailbox != login.principal.mailbox);
        Ok(reached)
    }

    /// The other mailbox of that address, if a login reaches it.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn reach_named(&self, login: &Login, address: &Address) -> Result<Option<Reached>, AuthError> {
        if login.principal.only_here {
            return Ok(None);
        }
        let reached = self.given(login, Reaching::Address(address)).await?.pop();
        Ok(reached.filter(|reached| reached.mailbox != login.principal.mailbox))
    }

    /// Whether the directory changed since a mailbox was last found to be reached, or a date passed. It costs nothing to ask.
    pub fn may_reach_otherwise(&self, reached: &Reached) -> bool {
        reached.asked.revision != self.revision()
            || reached.until.is_some_and(|until| until <= self.store.now())
    }

    /// Whether something changed in the directory, since this was asked last or the mailbox was found to be reached, that may concern that, or a
    /// date passed. It is said once: whoever is told so has to ask what is reached now. It costs nothing to ask.
    pub fn has_moved(&self, reached: &mut Reached) -> bool {
        let revision = self.revision();
        let since = std::mem::replace(&mut reached.asked.revision, revision);
        let has_ended = reached.until.is_some_and(|until| until <= self.store.now());
        if has_ended {
            reached.until = None;
        }
        has_ended || (since != revision && self.moves.may_concern_in(reached.actor, reached.mailbox, since))
    }

    /// In how long something ends that the reach of a mailbox rests on, if anything does.
    pub fn reach_ends_in(&self, reached: &Reached) -> Option<Duration> {
        let left = reached.until?.0.saturating_sub(self.store.now().0).max(0);
        Some(Duration::from_millis(left.unsigned_abs()))
    }

    /// Asks whether a mailbox is still reached by a login that stands; what may be done there becomes that of now. The store is asked only where
    /// something changed that may concern it.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when it is reached no more; [`AuthError::Unavailable`].
    pub async fn still_reaches(&self, login: &Login, reached: &mut Reached) -> Result<(), AuthError> {
        let now = self.asking();
        let lately = (0..PASSWORD_STANDS_MS).contains(&(now.at.0 - reached.asked.at.0));
        let ended = reached.until.is_some_and(|until| until <= now.at);
        let since = reached.asked.revision;
        if lately && !ended && !self.moves.may_concern_in(reached.actor, reached.mailbox, since) {
            reached.asked.revision = now.revision;
            return Ok(());
        }
        self.metrics.asked_again.inc();
        self.reach_again(login, reached).await
    }

    /// The same, whatever is known of changes.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when it is reached no more; [`AuthError::Unavailable`].
    pub async fn reach_again(&self, login: &Login, reached: &mut Reached) -> Result<(), AuthError> {
        let is_other = reached.mailbox != login.principal.mailbox;
        if is_other && login.principal.only_here {
            return Err(AuthError::Refused(Unproven::Credentials));
        }
        *reached = if is_other {
            self.given(login, Reaching::Mailbox(reached.mailbox))
                .await?
                .pop()
                .ok_or(AuthError::Refused(Unproven::Credentials))?
        } else {
            self.logged_in_to(login).await?
        };
        Ok(())
    }

    async fn given(&self, login: &Login, which: Reaching<'_>) -> Result<Vec<Reached>, AuthError> {
        let asked = self.asking();
        let actor = login.principal.actor.id;
        let given = self.store.given_mailboxes(actor, which, asked.at).await.map_err(unavailable)?;
        let may_open = |given: &GivenMailbox| self.life_cycle.of(given.status).login;
        Ok(given.into_iter().filter(may_open).map(|given| Reached::new(actor, given, asked)).collect())
    }
}
