//! An open session judged again: what its certificate and its login are worth now.
//!
//! A session with a certificate is judged each time trust or the directory changes, and now and then because dates pass. One with a password is
//! judged when the directory changes and when a date comes at which its password or grant ends; also in IDLE and within a long FETCH.
//!
//! A certificate that cannot be checked any more (its revocation list is past its date) ends a session that rests on it too, with words that say
//! that it is for a time: what could not begin now does not go on.

use crate::Imapd;
use crate::place::{Ground, Who};
use crate::session::Next;
use crate::state::Connection;
use crate::transport::Transport;
use auth::AuthError;
use imap_session::response::{self, Code, Status};
use journal::{Direction, Judgement, Ruling};
use listener::Vigil;
use mail_types::{ActorId, CertificateClaim, PeerIdentity, RevocationState};
use pki::LastJudgement;
use std::future::pending;
use std::time::Duration;

/// Between two judgements of a session that nothing else concerned.
const EVERY: Duration = Duration::from_secs(55);

/// The same, of a session without a certificate: what it rests on tells of each change.
const RARELY: Duration = Duration::from_secs(3600);

/// Sessions that follow the same ask within so many milliseconds of a change, not all at once.
const SPREAD_MS: u16 = 1500;

/// When a session that could not be judged is judged again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// A certificate that was found good.
pub(crate) struct Shown {
    pub(crate) peer: PeerIdentity,
    /// TLS version and cipher suite.
    tls: (&'static str, &'static str),
    last: LastJudgement,
}

/// Returns when a session is to be judged again; never before a certificate or a login. The future is small, and what it waits for on the heap.
pub(crate) async fn due(vigil: Option<&mut Vigil>) {
    match vigil {
        Some(vigil) => Box::pin(vigil.due()).await,
        None => pending().await,
    }
}

/// What a long answer rests on while it is written.
pub(crate) struct Watch<'c> {
    vigil: Option<&'c mut Vigil>,
    shared: &'c Imapd,
    proof: &'c auth::Login,
    peer: Option<&'c PeerIdentity>,
    /// What the open folder rests on, but in the actor's own mailbox.
    ground: Option<Box<Ground>>,
    /// It was asked within a message, and the session is to be judged as a whole after it.
    is_owed: bool,
    /// What the login rests on is being asked.
    is_asking: bool,
}

/// What a watch tells.
pub(crate) enum Turn {
    /// The certificate is to be judged now; the login is asked next.
    Due,
    /// The login, or what the open folder rests on, does not stand any more.
    Fallen,
}

impl<'c> Watch<'c> {
    pub(crate) fn new(
        vigil: Option<&'c mut Vigil>,
        shared: &'c Imapd,
        proof: &'c auth::Login,
        peer: Option<&'c PeerIdentity>,
        ground: Option<Box<Ground>>,
    ) -> Self {
        Self { vigil, shared, proof, peer, ground, is_owed: false, is_asking: false }
    }

    /// Whether the session is to be judged again.
    pub(crate) fn is_due(&mut self) -> bool {
        self.is_owed || self.vigil.as_deref_mut().is_some_and(Vigil::is_due)
    }

    /// Whether a message may be sent further whose literal has begun.
    pub(crate) async fn may_go_on(&mut self, transport: &Transport) -> bool {
        if !self.vigil.as_deref_mut().is_some_and(Vigil::is_due) {
            return true;
        }
        self.is_owed = true;
        self.certificate_stands(transport) && self.still_stands().await
    }

    /// Returns when it is due, then once that is asked if what it rests on does not stand any more. What is cancelled within the question is asked again.
    pub(crate) async fn turn(&mut self) -> Turn {
        loop {
            if !self.is_asking {
                due(self.vigil.as_deref_mut()).await;
                (self.is_owed, self.is_asking) = (true, true);
                return Turn::Due;
            }
            let stands = self.still_stands().await;
            self.is_asking = false;
            if !stands {
                return Turn::Fallen;
            }
        }
    }

    /// Whether the certificate of the connection, if it has one, is still accepted. The session judges it again as a whole: nothing is kept of this.
    pub(crate) fn certificate_stands(&self, transport: &Transport) -> bool {
        match self.shared.tls.judge_again(transport, &mut LastJudgement::default()) {
            None => true,
            Some(Ok(peer)) => doubt(self.proof, &peer).is_none(),
            Some(Err(_)) => false,
        }
    }

    async fn still_stands(&mut self) -> bool {
        let mut proof = self.proof.clone();
        let authenticator = &self.shared.authenticator;
        let asked = authenticator.still_stands(&mut proof, self.peer).await;
        let asked = match (asked, &mut self.ground) {
            (Ok(()), Some(ground)) => ground.ask(authenticator, &proof).await.map(|who| who.may("lr")),
            (asked, _) => asked.map(|()| true),
        };
        !matches!(asked, Ok(false) | Err(AuthError::Refused(_) | AuthError::Certificate(_)))
    }
}

/// Why it is not known whether the certificate is revoked that a login rests on.
fn doubt(proof: &auth::Login, peer: &PeerIdentity) -> Option<&'static str> {
    match &peer.revocation {
        RevocationState::Unknown(cause) if proof.is_by_certificate() => Some(*cause),
        _ => None,
    }
}

/// What a session hears that is not to go on.
struct Goodbye {
    code: Option<Code>,
    text: &'static str,
}

impl Connection {
    /// A vigil over what a certificate is judged by, from now on.
    pub(crate) fn vigil(&self) -> Vigil {
        let sources = [self.shared.trust_changes.clone(), self.shared.authenticator.changes()];
        Vigil::new(sources, EVERY).spread(self.spread())
    }

    fn spread(&self) -> Duration {
        Duration::from_millis(u64::from(self.peer.port() % SPREAD_MS))
    }

    /// Follows what a login rests on, from now on.
    pub(crate) fn watch_login(&mut self, proof: &auth::Login) {
        let authenticator = &self.shared.authenticator;
        let spread = self.spread();
        let vigil = self
            .vigil
            .get_or_insert_with(|| Box::new(Vigil::over(authenticator.changes(), RARELY).spread(spread)));
        vigil.set_end(authenticator.ends_in(proof));
        if authenticator.may_have_changed(proof) {
            vigil.ask_again_in(Duration::ZERO);
        }
    }

    /// Keeps what the handshake showed.
    pub(crate) fn shown(&mut self, peer: PeerIdentity, tls: (&'static str, &'static str), vigil: Vigil) {
        self.certificate = Some(Box::new(Shown { peer, tls, last: LastJudgement::default() }));
        self.vigil = Some(Box::new(vigil));
        self.note_judgement(Ruling::Accepted, "handshake", None);
    }

    /// Judges the session again if anything that it rests on may have changed since. False when it was told goodbye.
    pub(crate) async fn stands_if_due(&mut self) -> bool {
        let is_due = self.vigil.as_deref_mut().is_some_and(Vigil::is_due);
        let login = self.login.as_deref();
        let authenticator = &self.shared.authenticator;
        let ground = self.selected.as_deref().and_then(|selected| selected.ground.as_deref());
        let may_have_changed = || {
            login.is_some_and(|login| authenticator.may_have_changed(&login.proof))
                || ground.is_some_and(|ground| ground.may_have_moved(authenticator))
        };
        if is_due || may_have_changed() { Box::pin(self.stands()).await } else { true }
    }

    /// The same before a command.
    pub(crate) async fn next_if_fallen(&mut self) -> Option<Next> {
        if self.stands_if_due().await { None } else { Some(Next::Close) }
    }

    /// Judges the session again. False when it was told goodbye.
    pub(crate) async fn stands(&mut self) -> bool {
        let Err(Goodbye { code, text }) = self.judge().await else { return true };
        response::untagged(&mut self.wire.out, Status::Bye, code, text);
        false
    }

    async fn judge(&mut self) -> Result<(), Goodbye> {
        self.judge_certificate()?;
        let Some(login) = self.login.as_deref_mut() else { return Ok(()) };
        let peer = self.certificate.as_deref().map(|shown| &shown.peer);
        if let Some(cause) = peer.and_then(|peer| doubt(&login.proof, peer)) {
            let text = "Your certificate cannot be checked now; try again later";
            return Err(self.goodbye(Ruling::Deferred, cause, Some(Code::Unavailable), text));
        }
        match self.shared.authenticator.still_stands(&mut login.proof, peer).await {
            Ok(()) => {
                self.watch_ends();
                self.judge_selected().await
            }
            Err(AuthError::Refused(_) | AuthError::Certificate(_)) => Err(self.withdrawn()),
            Err(error @ (AuthError::Unavailable(_) | AuthError::Held(_))) => {
                self.ask_later(&error);
                Ok(())
            }
        }
    }

    /// The login stands; what it may do in the folder that is open may be another thing than it was.
    async fn judge_selected(&mut self) -> Result<(), Goodbye> {
        let (Some(login), Some(selected)) = (self.login.as_deref(), self.selected.as_deref_mut()) else {
            return Ok(());
        };
        let asked = match selected.ground.as_deref_mut() {
            None => Ok(Who::of(&login.proof.principal)),
            Some(ground) => ground.ask(&self.shared.authenticator, &login.proof).await,
        };
        match asked {
            Ok(who) => {
                selected.who = who;
                self.watch_ends();
                // What is open is read without being asked each time.
                if who.may("lr") { Ok(()) } else { Err(self.withdrawn()) }
            }
            Err(AuthError::Refused(_) | AuthError::Certificate(_)) => Err(self.withdrawn()),
            Err(error @ (AuthError::Unavailable(_) | AuthError::Held(_))) => {
                self.ask_later(&error);
                Ok(())
            }
        }
    }

    fn withdrawn(&self) -> Goodbye {
        self.goodbye(Ruling::Ended, "withdrawn", None, "Your access was withdrawn")
    }

    /// The store fails every command meanwhile; the session is asked about again soon.
    fn ask_later(&mut self, error: &AuthError) {
        tracing::warn!(%error, "whether an open session still stands could not be decided");
        if let Some(vigil) = self.vigil.as_deref_mut() {
            vigil.ask_again_in(ASK_AGAIN);
        }
    }

    /// A folder was opened: what that rests on is followed too.
    pub(crate) fn watch_selected(&mut self) {
        if self.selected.as_deref().is_some_and(|selected| selected.ground.is_some()) {
            self.watch_ends();
        }
    }

    /// The session is judged again at the first date at which something ends that it rests on.
    fn watch_ends(&mut self) {
        let authenticator = &self.shared.authenticator;
        let of_login = self.login.as_deref().and_then(|login| authenticator.ends_in(&login.proof));
        let ground = self.selected.as_deref().and_then(|selected| selected.ground.as_deref());
        let of_ground = ground.and_then(|ground| ground.ends_in(authenticator));
        let ends_in = [of_login, of_ground].into_iter().flatten().min();
        if let Some(vigil) = self.vigil.as_deref_mut() {
            vigil.set_end(ends_in);
        }
    }

    fn judge_certificate(&mut self) -> Result<(), Goodbye> {
        let Some(shown) = self.certificate.as_deref_mut() else { return Ok(()) };
        match self.shared.tls.judge_again(&self.wire.transport, &mut shown.last) {
            None => Ok(()),
            Some(Ok(peer)) => {
                shown.peer = peer;
                Ok(())
            }
            Some(Err(rejection)) => {
                tracing::warn!(peer = %self.peer.ip(), cause = rejection.cause(), "the certificate of an open connection is no longer accepted");
                let text = "Your certificate is no longer accepted";
                Err(self.goodbye(Ruling::Ended, rejection.as_str(), None, text))
            }
        }
    }

    fn goodbye(
        &self,
        ruling: Ruling,
        reason: &'static str,
        code: Option<Code>,
        text: &'static str,
    ) -> Goodbye {
        tracing::info!(peer = %self.peer.ip(), reason, "an open session is ended");
        self.note_judgement(ruling, reason, None);
        Goodbye { code, text }
    }

    /// Writes into the journal how a client's certificate was judged. Who showed none was judged by other means.
    pub(crate) fn note_judgement(&self, ruling: Ruling, reason: &'static str, actor: Option<ActorId>) {
        let Some(shown) = self.certificate.as_deref() else { return };
        self.shared.journal.record(Judgement {
            peer: Some(self.peer.ip()),
            certificate: Some((&shown.peer).into()),
            tls: Some(shown.tls),
            actor,
            ..Judgement::new(Direction::Access, ruling, reason)
        });
    }

    /// Writes into the journal that a handshake failed, with the subject that the client claimed.
    pub(crate) fn note_failed_handshake(&self, reason: &'static str, presented: Option<CertificateClaim>) {
        self.shared.journal.record(Judgement {
            peer: Some(self.peer.ip()),
            certificate: presented.map(Into::into),
            ..Judgement::new(Direction::Access, Ruling::HandshakeFailed, reason)
        });
    }
}
