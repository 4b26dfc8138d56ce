//! The audit cases: the eight of the national test tool, and what else may go wrong between two operators.

/// What the certificate of a case is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// In order.
    Well,
    /// Past its end.
    Expired,
    /// Not valid yet.
    Early,
    /// On its issuer's revocation list.
    Revoked,
    /// In order, for another host.
    ForAnotherHost,
    /// By an authority of another name.
    ByForeigner,
    /// By an authority with the names of the right one, and another key.
    ByLookAlike,
    /// By nobody.
    ByItself,
}

/// What the white list says of the domain of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// The certificate's subject.
    AsItIs,
    /// The certificate's subject, its attributes in another order and with blanks.
    Rewritten,
    /// A subject with the same CN and another O.
    WithAnotherName,
    /// The subject of the first case; this certificate's own stands for another domain.
    WithAnotherCertificate,
    /// Nothing.
    Not,
}

/// How the MX of a case behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Usual,
    /// Does not offer STARTTLS.
    WithoutStarttls,
    /// Offers something else in its place, and does not know STARTTLS: what a man in the middle makes of it.
    StarttlsStripped,
    /// Offers STARTTLS and refuses it.
    StarttlsRefused,
    /// Sends replies in clear behind the one to STARTTLS.
    InjectsReplies,
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// First label of its audit domain.
    pub(super) name: &'static str,
    pub(super) made: Made,
    pub(super) listed: Listed,
    pub(super) behaviour: Behaviour,
}

const fn case(name: &'static str, made: Made, listed: Listed, behaviour: Behaviour) -> Case {
    Case { name, made, listed, behaviour }
}

/// The domain for which the certificate of a case is listed that is listed for another domain.
pub(super) const OTHER_DOMAIN: &str = "autre-domaine";

/// The normal exchange.
pub(super) const EXCHANGE: &str = "tests-operateur";

/// A domain that nobody lists.
pub(super) const UNLISTED: &str = "hors-liste-audit";

/// The eight audit cases first.
pub(super) const CASES: [Case; 17] = [
    case("cert-valide-audit", Made::Well, Listed::AsItIs, Behaviour::Usual),
    case("cert-expire-audit", Made::Expired, Listed::AsItIs, Behaviour::Usual),
    case("cert-revoque-audit", Made::Revoked, Listed::AsItIs, Behaviour::Usual),
    case("cert-no-match-audit", Made::ForAnotherHost, Listed::AsItIs, Behaviour::Usual),
    case("cert-non-igc-audit", Made::ByForeigner, Listed::AsItIs, Behaviour::Usual),
    case("cert-cn-diff-dn-audit", Made::Well, Listed::WithAnotherName, Behaviour::Usual),
    case("sans-tls-audit", Made::Well, Listed::AsItIs, Behaviour::WithoutStarttls),
    case(EXCHANGE, Made::Well, Listed::AsItIs, Behaviour::Usual),
    case("cert-futur-audit", Made::Early, Listed::AsItIs, Behaviour::Usual),
    case("cert-imitation-audit", Made::ByLookAlike, Listed::AsItIs, Behaviour::Usual),
    case("cert-autosigne-audit", Made::ByItself, Listed::AsItIs, Behaviour::Usual),
    case("cert-autre-domaine-audit", Made::Well, Listed::WithAnotherCertificate, Behaviour::Usual),
    case("dn-reecrit-audit", Made::Well, Listed::Rewritten, Behaviour::Usual),
    case("starttls-efface-audit", Made::Well, Listed::AsItIs, Behaviour::StarttlsStripped),
    case("starttls-refuse-audit", Made::Well, Listed::AsItIs, Behaviour::StarttlsRefused),
    case("injection-audit", Made::Well, Listed::AsItIs, Behaviour::InjectsReplies),
    case(UNLISTED, Made::Well, Listed::Not, Behaviour::Usual),
];

/// What a server must do with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Take its mail, hand it mail.
    Exchange,
    /// End the handshake.
    RefuseCertificate,
    /// Finish the handshake and refuse what the domain is about.
    RefuseDomain,
    /// Say nothing without TLS.
    StaySilent,
    /// Believe no reply that came in clear.
    Disbelieve,
}

impl Case {
    /// When its certificate is shown by a client.
    pub(super) fn inbound(&self) -> Duty {
        match (self.made, self.listed) {
            // The names of a client are compared with nothing: its subject counts.
            (Made::Well | Made::ForAnotherHost, Listed::AsItIs | Listed::Rewritten) => Duty::Exchange,
            (Made::Well | Made::ForAnotherHost, _) => Duty::RefuseDomain,
            _ => Duty::RefuseCertificate,
        }
    }

    /// When its certificate is shown by a server.
    pub(super) fn outbound(&self) -> Duty {
        match self.behaviour {
            Behaviour::WithoutStarttls | Behaviour::StarttlsStripped | Behaviour::StarttlsRefused => {
                Duty::StaySilent
            }
            Behaviour::InjectsReplies => Duty::Disbelieve,
            Behaviour::Usual if self.made == Made::ForAnotherHost => Duty::RefuseCertificate,
            Behaviour::Usual => self.inbound(),
        }
    }
}
