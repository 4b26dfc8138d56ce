//! A login by an application password, from the name to the principal.

use crate::cache::Proof;
use crate::login::{Asked, Credential};
use crate::record::Entry;
use crate::tally::Key;
use crate::throttle::{Guess, Held, Restraint, Turn};
use crate::{AuthError, Authenticator, Login, Unproven, Via, Whence, unavailable};
use mail_types::{ActorId, Address, MailboxId, Protocol, Protocols, Secret, Timestamp};
use std::time::Duration;
use store::{ApplicationPassword, LoginActor, LoginMailbox, LoginTrace};
use tokio::time::{Instant, sleep_until};

/// Refusals are answered at multiples of this after their examination began: what it took tells nothing of how many passwords there are.
const GRID: Duration = Duration::from_millis(500);
/// An account seen at an address so long ago is written down again.
const SEEN_MS: i64 = 86_400_000;

/// What a client sent.
struct Claim {
    /// By which door.
    via: Via,
    authzid: String,
    name: String,
    password: Secret<String>,
}

impl Claim {
    /// The name that selects the mailbox.
    fn selected(&self) -> &str {
        if self.authzid.is_empty() { &self.name } else { &self.authzid }
    }

    /// Whether a password lets in by the door that was taken.
    fn is_for(&self, password: &ApplicationPassword) -> bool {
        let protocol = match self.via {
            Via::Submission => Protocol::Submission,
            Via::Imap => Protocol::Imap,
            Via::Rest => Protocol::Rest,
            Via::Mx | Via::CommandLine | Via::System => return password.protocols == Protocols::ALL,
        };
        password.protocols.contain(protocol)
    }

    /// The selected name in the one form that its failures are counted under.
    fn account(&self) -> String {
        account_of(self.selected())
    }
}

fn account_of(name: &str) -> String {
    let name = name.trim();
    name.parse::<Address>().map_or_else(|_| name.to_lowercase(), |address| address.canonical())
}

/// What became of a claim before any hashing.
enum Admitted {
    Proven(Login),
    Guess(Admission),
}

/// A guess whose turn it is.
struct Admission {
    turn: Turn,
    trace: LoginTrace,
    known_since: Option<Timestamp>,
    asked: Asked,
}

/// Who a claim turned out to be.
struct Proven {
    mailbox: LoginMailbox,
    actor: LoginActor,
    password: ApplicationPassword,
    /// As [`Proof::others`] has them.
    others: Vec<i64>,
}

impl Proven {
    fn login(&self, asked: Asked) -> Login {
        let credential = Credential::Password(self.password.id);
        Login::new(&self.mailbox, &self.actor, credential, asked).with_password(&self.password)
    }

    fn proof(&self) -> Proof {
        Proof { actor: self.actor.actor.id, password: self.password.id, others: self.others.clone() }
    }
}

impl Authenticator {
    /// Verifies an application password. `authzid`, when not empty, must select the same mailbox as the name. A guess that follows failures waits
    /// first. When this returns, the login is written down.
    ///
    /// # Errors
    /// [`AuthError::Refused`]; [`AuthError::Held`] unseen; or [`AuthError::Unavailable`] when it could not be decided.
    pub async fn password(
        &self,
        whence: Whence,
        authzid: &str,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Login, AuthError> {
        let (authzid, name, password) = (authzid.to_owned(), name.to_owned(), password.clone());
        let claim = Claim { via: whence.via, authzid, name, password };
        match Box::pin(self.admitted(whence, &claim)).await {
            Ok(Admitted::Proven(login)) => Ok(login),
            Ok(Admitted::Guess(guess)) => {
                // Whoever hangs up meanwhile has guessed all the same: it ends, is counted and is written down.
                let examined = tokio::spawn(self.clone().examined(whence, claim, guess));
                examined.await.map_err(|_| AuthError::Unavailable("the examination failed".to_owned()))?
            }
            Err(error) => {
                self.turned_away(whence, None, &error);
                Err(error)
            }
        }
    }

    /// Whoever was proven lately is let in at once; others wait for their turn.
    async fn admitted(&self, whence: Whence, claim: &Claim) -> Result<Admitted, AuthError> {
        let asked = self.asking();
        if let Some(proven) = self.proven_lately(claim).await? {
            let login = proven.login(asked);
            self.entered(whence, "password", entry(&login, proven.password.id, None)).await?;
            return Ok(Admitted::Proven(login));
        }
        let trace = self.store.login_trace(&claim.account(), whence.ip);
        let known_since = self.store.known_since(&trace, self.store.now()).await.map_err(unavailable)?;
        let turn = self.turn(whence, &trace, known_since.is_some()).await?;
        Ok(Admitted::Guess(Admission { turn, trace, known_since, asked }))
    }

    async fn examined(self, whence: Whence, claim: Claim, guess: Admission) -> Result<Login, AuthError> {
        let mut mailbox = None;
        let outcome = self.examine(whence, &claim, guess, &mut mailbox).await;
        if let Err(error) = &outcome {
            self.turned_away(whence, mailbox, error);
        }
        outcome
    }

    async fn examine(
        &self,
        whence: Whence,
        claim: &Claim,
        guess: Admission,
        concerned: &mut Option<MailboxId>,
    ) -> Result<Login, AuthError> {
        let Admission { turn, trace, known_since, asked } = guess;
        // While it waited, another connection may have proven the same.
        let proven = match self.proven_lately(claim).await? {
            Some(proven) => proven,
            None => self.look_at(claim, &turn, known_since.is_some(), concerned).await?,
        };
        let now = self.store.now();
        let is_new = known_since.is_none_or(|since| now.0 - since.0 >= SEEN_MS);
        let login = proven.login(asked);
        let trace = is_new.then_some(trace);
        self.entered(whence, "password", entry(&login, proven.password.id, trace)).await?;
        Ok(login)
    }

    /// Waits for the turn of a guess.
    async fn turn(&self, whence: Whence, trace: &LoginTrace, is_known: bool) -> Result<Turn, AuthError> {
        let (account, address) = (beginning(&trace.account), beginning(&trace.address));
        let mut pair = [0; 16];
        for (index, octet) in pair.iter_mut().enumerate() {
            *octet = account[index] ^ address[15 - index].rotate_left(3);
        }
        let guess = Guess { account, address, pair, is_known };
        self.metrics.waiting.set(i64::try_from(self.throttle.waiting()).unwrap_or(i64::MAX));
        let turn = self.throttle.turn(guess, || self.store.now()).await;
        self.metrics.waiting.set(i64::try_from(self.throttle.waiting()).unwrap_or(i64::MAX));
        let turn = turn.map_err(AuthError::Held)?;
        if !turn.waited.is_zero() {
            self.metrics.delayed(whence);
        }
        Ok(turn)
    }

    /// Looks at a guess whose turn it is.
    async fn look_at(
        &self,
        claim: &Claim,
        turn: &Turn,
        is_known: bool,
        concerned: &mut Option<MailboxId>,
    ) -> Result<Proven, AuthError> {
        let begin = Instant::now();
        let mailbox = self.selected(claim).await?;
        *concerned = mailbox.as_ref().map(|mailbox| mailbox.id);
        let proven = match mailbox {
            Some(mailbox) => self.prove(mailbox, claim, is_known).await?,
            None => {
                self.verify(None, &claim.password, is_known).await?;
                Err(Unproven::Credentials)
            }
        };
        let now = self.store.now();
        let (selected, name) = (claim.selected(), claim.name.as_str());
        match proven {
            Ok(proven) => {
                self.cache.insert(selected, name, &claim.password, proven.proof(), now);
                Ok(proven)
            }
            Err(unproven) => {
                // The same wrong password once more, by a client that was not told of a new one, is no further guess.
                if self.wrong.find(selected, name, &claim.password, now).is_none() {
                    turn.failed(now);
                    self.wrong.insert(selected, name, &claim.password, (), now);
                }
                let past = u32::try_from(begin.elapsed().as_millis() / GRID.as_millis()).unwrap_or(0);
                sleep_until(begin + GRID * past.saturating_add(1)).await;
                Err(AuthError::Refused(unproven))
            }
        }
    }

    /// The mailbox that both names select, if it may be opened.
    async fn selected(&self, claim: &Claim) -> Result<Option<LoginMailbox>, AuthError> {
        let now = self.store.now();
        let mailbox = self.store.login_mailbox(claim.selected(), now).await.map_err(unavailable)?;
        let Some(mailbox) = mailbox.and_then(|mailbox| self.opened(mailbox)) else { return Ok(None) };
        if claim.authzid.is_empty() {
            return Ok(Some(mailbox));
        }
        let other = self.store.login_mailbox(&claim.name, now).await.map_err(unavailable)?;
        Ok(other.is_some_and(|other| other.id == mailbox.id).then_some(mailbox))
    }

    /// Who it is, when the same name and password were verified lately, everything that the login rests on stands, and it can still be nobody else:
    /// a password or a grant that another person was given since is looked at anew.
    async fn proven_lately(&self, claim: &Claim) -> Result<Option<Proven>, AuthError> {
        let proof = self.cache.find(claim.selected(), &claim.name, &claim.password, self.store.now());
        let Some(proof) = proof else { return Ok(None) };
        let Some(mailbox) = self.selected(claim).await? else { return Ok(None) };
        let Some(actor) = mailbox.actors.iter().find(|actor| actor.actor.id == proof.actor).cloned() else {
            return Ok(None);
        };
        let mut candidates = self.candidates(&mailbox, &claim.password).await?;
        candidates.retain(|(_, known)| claim.is_for(known));
        let (own, others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|(actor, _)| *actor == proof.actor);
        if others.iter().any(|(_, other)| !proof.others.contains(&other.id)) {
            return Ok(None);
        }
        let password =
            own.into_iter().map(|(_, password)| password).find(|password| password.id == proof.password);
        Ok(password.map(|password| Proven { mailbox, actor, password, others: proof.others }))
    }

    /// The password of that row, if it is in force and opens the mailbox.
    pub(crate) async fn password_of(
        &self,
        mailbox: &LoginMailbox,
        actor: ActorId,
        password: i64,
    ) -> Result<Option<ApplicationPassword>, AuthError> {
        let passwords = self.passwords(mailbox, actor, self.store.now()).await?;
        Ok(passwords.into_iter().find(|known| known.id == password))
    }

    /// The passwords that open the mailbox and that this one may be, with whose they are.
    async fn candidates(
        &self,
        mailbox: &LoginMailbox,
        password: &Secret<String>,
    ) -> Result<Vec<(ActorId, ApplicationPassword)>, AuthError> {
        let actors: Vec<ActorId> = mailbox.actors.iter().map(|actor| actor.actor.id).collect();
        let candidates = self.store.password_candidates(mailbox.id, &actors, password, self.store.now());
        candidates.await.map_err(unavailable)
    }

    async fn passwords(
        &self,
        mailbox: &LoginMailbox,
        actor: ActorId,
        now: Timestamp,
    ) -> Result<Vec<ApplicationPassword>, AuthError> {
        let mut passwords = self.store.application_passwords(actor, now).await.map_err(unavailable)?;
        passwords.retain(|password| password.mailbox.is_none_or(|only| only == mailbox.id));
        Ok(passwords)
    }

    /// The actor of the mailbox whose password this is, if it is that of one alone (decision 0021). However many passwords open it, a guess is
    /// compared with one hash: another one only where the short tag of a password happens to fit.
    async fn prove(
        &self,
        mailbox: LoginMailbox,
        claim: &Claim,
        is_known: bool,
    ) -> Result<Result<Proven, Unproven>, AuthError> {
        let password = &claim.password;
        let candidates = self.candidates(&mailbox, password).await?;
        if candidates.is_empty() {
            self.verify(None, password, is_known).await?;
        }
        let mut unproven = Unproven::Credentials;
        let mut found: Option<(ActorId, ApplicationPassword)> = None;
        let mut others = Vec::new();
        for (id, known) in candidates {
            match &found {
                // Another row of the same person proves no more than the first.
                Some((actor, _)) if *actor == id => {}
                _ if !self.verify(Some(known.hash.clone()), password, is_known).await? => {
                    others.push(known.id);
                }
                _ if !claim.is_for(&known) => unproven = Unproven::OtherProtocol,
                Some((first, _)) => {
                    several(&mailbox, *first, id);
                    return Ok(Err(Unproven::SeveralPersons));
                }
                None => found = Some((id, known)),
            }
        }
        let Some((id, password)) = found else { return Ok(Err(unproven)) };
        let actor = mailbox.actors.iter().find(|actor| actor.actor.id == id).cloned();
        Ok(actor.map(|actor| Proven { mailbox, actor, password, others }).ok_or(Unproven::Credentials))
    }

    /// Whether the account of a name logged in from that address before, lately. It says nothing of a password.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn is_known(&self, whence: Whence, name: &str) -> Result<bool, AuthError> {
        let trace = self.store.login_trace(&account_of(name), whence.ip);
        let since = self.store.known_since(&trace, self.store.now()).await.map_err(unavailable)?;
        Ok(since.is_some())
    }

    /// Notes that an API key was none. Nobody guesses 256 random bits: neither its address nor anybody behind it is held back for it.
    pub fn failed_key(&self, whence: Whence) -> AuthError {
        let error = AuthError::Refused(Unproven::Credentials);
        self.turned_away(whence, None, &error);
        error
    }

    /// Notes that a credential was not even looked at, since too many came from its address.
    pub fn held_by_rate(&self, whence: Whence, retry_after_secs: u64) -> AuthError {
        let error = AuthError::Held(Held { by: Restraint::Rate, retry_after_secs });
        self.turned_away(whence, None, &error);
        error
    }
}

/// Lets the operator know whose passwords they are: nobody else can mend it.
fn several(mailbox: &LoginMailbox, first: ActorId, other: ActorId) {
    tracing::error!(
        mailbox = %mailbox.id, %first, %other,
        "a password is that of two persons who may open a mailbox and logs nobody in; make another password for one of them and revoke this one"
    );
}

fn entry(login: &Login, password: i64, trace: Option<LoginTrace>) -> Entry {
    Entry {
        actor: login.principal.actor.id,
        mailbox: Some(login.principal.mailbox),
        credential: format!("password:{password}"),
        password: Some(password),
        trace,
    }
}

fn beginning(digest: &[u8; 32]) -> Key {
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}
