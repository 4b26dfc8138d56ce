//! A certificate as the proof of a login (SASL EXTERNAL, RFC 4422 appendix A; the same for any protocol).
//!
//! Who acts comes from the certificate or the login fails (CVE-2019-3814): rules say which application it stands for, grants say which mailboxes
//! that application opens. The authorization identity only chooses among these.

use crate::login::Credential;
use crate::record::Entry;
use crate::{AuthError, Authenticator, Login, Whence, unavailable};
use mail_types::{ActorId, Address, MailboxStatus, PeerIdentity, RevocationState, Timestamp};
use store::LoginMailbox;

/// Why a certificate that is good opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum CertificateRefusal {
    /// It is past its last valid instant.
    Expired,
    /// No rule matches it.
    NoRule,
    /// Rules of several applications match it: it proves none of them.
    Ambiguous,
    /// Its application opens no mailbox that is in service.
    NoMailbox,
    /// It opens several mailboxes and the client named none.
    SeveralMailboxes,
    /// It does not open the mailbox that was named, or there is none of that name.
    OtherMailbox,
}

impl CertificateRefusal {
    /// A word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NoRule => "no_rule",
            Self::Ambiguous => "ambiguous",
            Self::NoMailbox => "no_mailbox",
            Self::SeveralMailboxes => "several_mailboxes",
            Self::OtherMailbox => "other_mailbox",
        }
    }

    /// A sentence for the client, who proved to hold the certificate.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Expired => "The certificate has expired",
            Self::NoRule => "No application logs in with this certificate",
            Self::Ambiguous => "The certificate stands for several applications; ask the operator",
            Self::NoMailbox => "The application of this certificate opens no mailbox",
            Self::SeveralMailboxes => {
                "The certificate opens several mailboxes; name one as authorization identity"
            }
            Self::OtherMailbox => "The certificate does not open the mailbox named as authorization identity",
        }
    }
}

impl Authenticator {
    /// Logs an application in by the certificate that it showed. `authzid` is the address of one of its mailboxes, whatever the case of its
    /// letters, or empty for the only one. When this returns, the login is written down.
    ///
    /// # Errors
    /// [`AuthError::Certificate`], or [`AuthError::Unavailable`] when it could not be decided: also while nobody can say whether the
    /// certificate is revoked.
    pub async fn certificate(
        &self,
        whence: Whence,
        authzid: &str,
        peer: &PeerIdentity,
    ) -> Result<Login, AuthError> {
        let outcome = self.enter_by_certificate(whence, authzid, peer).await;
        if let Err(error) = &outcome {
            self.turned_away(whence, None, error);
        }
        outcome
    }

    async fn enter_by_certificate(
        &self,
        whence: Whence,
        authzid: &str,
        peer: &PeerIdentity,
    ) -> Result<Login, AuthError> {
        let login = self.by_certificate(authzid, peer).await?;
        let (actor, mailbox) = (login.principal.actor.id, Some(login.principal.mailbox));
        let credential = peer.credential();
        let entry = Entry { actor, mailbox, credential, password: None, trace: None };
        self.entered(whence, "certificate", entry).await?;
        Ok(login)
    }

    pub(crate) async fn by_certificate(
        &self,
        authzid: &str,
        peer: &PeerIdentity,
    ) -> Result<Login, AuthError> {
        let asked = self.asking();
        let now = self.store.now();
        let (actor, until) = self.application_of(peer, now).await?;
        let mailbox = self.mailbox_of(actor, authzid, now).await?;
        // The store answers with the one actor that was asked for.
        let opened = mailbox.actors.iter().find(|candidate| candidate.actor.id == actor);
        let opened = opened.ok_or(AuthError::Certificate(CertificateRefusal::NoMailbox))?;
        let login = Login::new(&mailbox, opened, Credential::Certificate, asked);
        Ok(login.until(until).until(Some(peer.not_after)))
    }

    /// The one application that a certificate stands for, whether it opens a mailbox or none. Nobody is let in yet.
    ///
    /// # Errors
    /// As [`Authenticator::certificate`].
    pub async fn application(&self, whence: Whence, peer: &PeerIdentity) -> Result<ActorId, AuthError> {
        let outcome = self.application_of(peer, self.store.now()).await;
        if let Err(error) = &outcome {
            self.turned_away(whence, None, error);
        }
        outcome.map(|(actor, _)| actor)
    }

    /// The application, and until when its rule says so.
    async fn application_of(
        &self,
        peer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<(ActorId, Option<Timestamp>), AuthError> {
        if let RevocationState::Unknown(cause) = peer.revocation {
            return Err(AuthError::Unavailable(format!("the certificate cannot be checked: {cause}")));
        }
        if peer.not_after < now {
            return Err(AuthError::Certificate(CertificateRefusal::Expired));
        }
        let rules = self.store.certificate_rules_for(peer, now).await.map_err(unavailable)?;
        let Some(first) = rules.first() else {
            return Err(AuthError::Certificate(CertificateRefusal::NoRule));
        };
        if let Some(other) = rules.iter().find(|rule| rule.actor != first.actor) {
            tracing::error!(
                subject = %peer.subject, first = first.application, first_rule = first.id, other = other.application, other_rule = other.id,
                "a certificate matches rules of two applications and logs nobody in; remove one of the rules"
            );
            return Err(AuthError::Certificate(CertificateRefusal::Ambiguous));
        }
        // As long as one of them stands, the certificate does.
        let dates: Option<Vec<_>> = rules.iter().map(|rule| rule.expires_at).collect();
        Ok((first.actor, dates.and_then(|dates| dates.into_iter().max())))
    }

    /// The mailbox that was named, or the only one.
    async fn mailbox_of(
        &self,
        actor: ActorId,
        authzid: &str,
        now: Timestamp,
    ) -> Result<LoginMailbox, AuthError> {
        let refused = |refusal| Err(AuthError::Certificate(refusal));
        let named = match authzid {
            "" => None,
            name => match name.parse::<Address>() {
                Ok(address) => Some(address),
                Err(_) => return refused(CertificateRefusal::OtherMailbox),
            },
        };
        let states = MailboxStatus::ALL.iter().copied().filter(|status| self.life_cycle.of(*status).login);
        let states: Vec<_> = states.collect();
        let opened = self.store.application_mailboxes(actor, named.as_ref(), &states, now, 2);
        let opened = opened.await.map_err(unavailable)?;
        let mut opened = opened.into_iter().filter_map(|mailbox| self.opened(mailbox));
        match (opened.next(), opened.next(), named) {
            (Some(mailbox), None, _) => Ok(mailbox),
            (Some(_), Some(_), _) => refused(CertificateRefusal::SeveralMailboxes),
            (None, _, Some(_)) => refused(CertificateRefusal::OtherMailbox),
            (None, _, None) => refused(CertificateRefusal::NoMailbox),
        }
    }
}
