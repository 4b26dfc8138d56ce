//! A small world of certificates for the tests: one health PKI, its look-alike, and connections in memory.

use std::sync::Arc;

use mail_types::{DistinguishedName, Timestamp};
use pki::development::{DevelopmentPki, IssuedCertificate, SubjectAttributes};
use pki::{
    Accepted, CertificateDer, HandshakeFailure, MxServerTls, OwnIdentity, PeerClientTls, PeerConnected,
    ReferenceNames, Trust, TrustSnapshot, UnixTime,
};
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, Issuer, KeyIdMethod,
    KeyPair, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use tokio::io::DuplexStream;

pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOST: &str = "mx.ch.example";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(i64::try_from(UnixTime::now().as_secs()).unwrap())
}

pub(crate) fn days_ago(days: i64) -> Timestamp {
    now().plus_secs(-days * DAY)
}

pub(crate) fn subject(common_name: &str) -> SubjectAttributes<'_> {
    SubjectAttributes {
        common_name,
        organizational_unit: "1990000001",
        organization: "CH \"ÉTÉ\", Nord + Sud",
        state: "Departement (99)",
        country: "FR",
    }
}

pub(crate) fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

pub(crate) fn identity(certificate: &IssuedCertificate) -> Arc<OwnIdentity> {
    let key = certificate.key_pem.expose().as_bytes();
    Arc::new(OwnIdentity::from_pem(certificate.chain_pem.as_bytes(), key).unwrap())
}

pub(crate) fn dn(certificate: &IssuedCertificate) -> DistinguishedName {
    certificate.subject_dn_rfc4514.parse().unwrap()
}

/// A list of the root with these entries; the development PKI itself only makes empty ones.
pub(crate) fn root_crl(pki: &DevelopmentPki, at: Timestamp, revoked: &[Vec<u8>], number: u64) -> Vec<u8> {
    let key = pki.root_key_pem().unwrap().expose();
    signed_list(pki.root_cert_pem(), key, crl(at, revoked, number))
}

/// An empty list of the issuing authority, for one distribution point if one is given.
pub(crate) fn issuing_crl(pki: &DevelopmentPki, point: Option<&str>) -> Vec<u8> {
    let mut list = crl(now(), &[], 1);
    list.issuing_distribution_point = point.map(|uri| CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec![uri.into()] },
        scope: None,
    });
    signed_list(pki.issuing_cert_pem(), pki.issuing_key_pem().expose(), list)
}

fn crl(at: Timestamp, revoked: &[Vec<u8>], number: u64) -> CertificateRevocationListParams {
    let this_update = time::OffsetDateTime::from_unix_timestamp(at.secs()).unwrap();
    let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: this_update,
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update,
        next_update: this_update + time::Duration::days(30),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn signed_list(issuer: &str, key: &str, list: CertificateRevocationListParams) -> Vec<u8> {
    let issuer = Issuer::from_ca_cert_pem(issuer, KeyPair::from_pem(key).unwrap()).unwrap();
    list.signed_by(&issuer).unwrap().pem().unwrap().into_bytes()
}

/// A list of the issuing authority as `openssl ca -gencrl` makes it, with these lines in the section of its extensions.
pub(crate) fn openssl_list(pki: &DevelopmentPki, extensions: &str) -> Vec<u8> {
    let dir = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("ca.pem", pki.issuing_cert_pem());
    write("ca.key", pki.issuing_key_pem().expose());
    write("index.txt", "");
    write("crlnumber", "0A\n");
    let config = "[ca]\ndefault_ca = a\n[a]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\n\
                  default_crl_days = 30\ncertificate = ca.pem\nprivate_key = ca.key\ncrl_extensions = e\n[e]\n";
    write("ca.cnf", &format!("{config}{extensions}\n"));
    let made = std::process::Command::new("openssl")
        .args(["ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(dir.path().join("list.pem")).unwrap()
}

/// A certificate of the issuing authority that names these distribution points.
pub(crate) fn with_points(pki: &DevelopmentPki, uris: &[&str]) -> IssuedCertificate {
    let key = KeyPair::from_pem(pki.issuing_key_pem().expose()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(pki.issuing_cert_pem(), key).unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["mx.points.example".to_owned()]).unwrap();
    leaf.crl_distribution_points =
        uris.iter().map(|uri| CrlDistributionPoint { uris: vec![(*uri).to_owned()] }).collect();
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    IssuedCertificate {
        chain_pem: format!("{}{}", leaf.pem(), pki.issuing_cert_pem()),
        key_pem: mail_types::Secret::new(key.serialize_pem()),
        subject_dn_rfc4514: String::new(),
        serial: vec![],
    }
}

pub(crate) struct World {
    pub(crate) pki: DevelopmentPki,
    pub(crate) server: IssuedCertificate,
    pub(crate) client: IssuedCertificate,
}

impl World {
    pub(crate) fn new() -> Self {
        let pki = DevelopmentPki::generate(days_ago(5 * 365)).unwrap();
        let server = pki.issue_server(&subject(HOST), &[HOST, "192.0.2.1"], now()).unwrap();
        let client = pki.issue_server(&subject("mx.other.example"), &["mx.other.example"], now()).unwrap();
        Self { pki, server, client }
    }

    /// Everything in order but these serial numbers.
    pub(crate) fn snapshot(&self, revoked: &[Vec<u8>]) -> TrustSnapshot {
        let (snapshot, faults) = self.snapshot_of(&[self.root_list(), self.issuing_list(now(), revoked, 2)]);
        assert_eq!(faults, []);
        snapshot
    }

    pub(crate) fn snapshot_of(&self, crls: &[Vec<u8>]) -> (TrustSnapshot, Vec<pki::CrlFault>) {
        TrustSnapshot::build(&[self.pki.trust_pem().into_bytes()], crls, now()).unwrap()
    }

    pub(crate) fn root_list(&self) -> Vec<u8> {
        self.pki.root_crl_pem(now()).unwrap().into_bytes()
    }

    pub(crate) fn issuing_list(&self, at: Timestamp, revoked: &[Vec<u8>], number: u64) -> Vec<u8> {
        self.pki.issuing_crl_pem(at, revoked, number).unwrap().into_bytes()
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust::new(self.snapshot(&[])))
    }

    pub(crate) fn mx(&self, trust: &Arc<Trust>) -> MxServerTls {
        MxServerTls::new(identity(&self.server), trust.clone())
    }

    pub(crate) fn peer(&self, certificate: &IssuedCertificate) -> PeerClientTls {
        PeerClientTls::new(identity(certificate), self.trust())
    }
}

pub(crate) fn named(host: &str) -> ReferenceNames {
    ReferenceNames { hosts: vec![host.into()], ..ReferenceNames::default() }
}

pub(crate) type Both =
    (Result<Accepted<DuplexStream>, HandshakeFailure>, Result<PeerConnected<DuplexStream>, HandshakeFailure>);

/// One connection in memory between the two ends.
pub(crate) async fn connect(server: &MxServerTls, client: &PeerClientTls, names: &ReferenceNames) -> Both {
    let (near, far) = tokio::io::duplex(32 * 1024);
    tokio::join!(server.accept(near), client.connect(far, names))
}
