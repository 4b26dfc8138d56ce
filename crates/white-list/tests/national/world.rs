//! A health PKI, a signer of lists, and lists that it signed with xmlsec1.

use mail_types::{DistinguishedName, Domain, Timestamp};
use pki::development::DevelopmentPki;
use pki::{TrustSnapshot, UnixTime};
use policy::WhiteList;
use white_list::{EntryFault, ListFault, national};

use crate::national_list::{ListSigner, NationalList, SignerProfile};

pub(crate) const SIGNER: &str = "alb.test.example";
pub(crate) const GENERATED_AT: &str = "2026-11-02T08:00:00Z";
pub(crate) const SUBJECT: &str =
    "CN=smtp-1.ch-exemple.example,OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR";
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(i64::try_from(UnixTime::now().as_secs()).unwrap())
}

pub(crate) struct World {
    pub(crate) pki: DevelopmentPki,
    pub(crate) signer: ListSigner,
}

impl World {
    pub(crate) fn new() -> Self {
        let pki = DevelopmentPki::generate(now().plus_secs(-900 * DAY)).unwrap();
        let signer = issue(&pki, &SignerProfile::default());
        Self { pki, signer }
    }

    pub(crate) fn issue(&self, profile: &SignerProfile) -> ListSigner {
        issue(&self.pki, profile)
    }

    /// Everything in order but these serial numbers.
    pub(crate) fn authorities(&self, revoked: &[Vec<u8>]) -> TrustSnapshot {
        let lists =
            [self.pki.root_crl_pem(now()).unwrap(), self.pki.issuing_crl_pem(now(), revoked, 2).unwrap()];
        self.authorities_with(&lists)
    }

    pub(crate) fn authorities_with(&self, lists: &[String]) -> TrustSnapshot {
        let lists: Vec<_> = lists.iter().map(|list| list.clone().into_bytes()).collect();
        let (snapshot, faults) =
            TrustSnapshot::build(&[self.pki.trust_pem().into_bytes()], &lists, now()).unwrap();
        assert_eq!(faults, []);
        snapshot
    }

    /// As the server reads a fetched list.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
        national::read(bytes, &self.authorities(&[]), SIGNER, now())
    }

    /// The label of the fault, or `taken`.
    pub(crate) fn label(&self, bytes: &[u8]) -> &'static str {
        self.read(bytes).map_or_else(|fault| fault.label(), |_| "taken")
    }
}

fn issue(pki: &DevelopmentPki, profile: &SignerProfile) -> ListSigner {
    ListSigner::issue(pki.issuing_cert_pem(), pki.issuing_key_pem().expose(), profile)
}

pub(crate) fn list() -> NationalList {
    NationalList::new(
        GENERATED_AT,
        [
            ("ch-exemple.mssante.example", SUBJECT),
            (
                "ch-exemple.mssante.example",
                "CN=smtp-2.ch-exemple.example,OU=1990000001,O=\"CH  EXEMPLE\",ST=Exemple (99),C=FR",
            ),
            ("labo.example", "CN=labo.example, OU=318751275100020, O=LABO & FILS, L=Exemple (99), C=FR"),
        ],
    )
}

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

pub(crate) fn dn(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}
