//! A health PKI for development: a root, an issuing authority, certificates and revocation lists shaped like the national ones.
//!
//! **Never for production.** Its keys are made in memory, kept in plain PEM by whoever asked for them, and protected by nothing. It exists
//! for `vaguemestre demo` and for tests. Its authorities say TEST in their names, so that a server of the production environment refuses them.
//!
//! Keys are PKCS#8 PEM, so that `openssl x509 -req -CA` and `openssl ca -gencrl` can go on with them.

mod audit;
mod issue;

use std::fmt;

use mail_types::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

pub(crate) use issue::host_name;
pub use issue::{IssuedCertificate, SubjectAttributes};

const DAY_SECS: i64 = 86_400;
const CA_VALIDITY_DAYS: i64 = 3_652;
const CRL_VALIDITY_DAYS: i64 = 30;

const ROOT: SubjectAttributes<'static> = authority("TEST AC RACINE VAGUEMESTRE DEV");
const ISSUING: SubjectAttributes<'static> = authority("TEST AC VAGUEMESTRE DEV ORGANISATIONS");

const fn authority(common_name: &'static str) -> SubjectAttributes<'static> {
    SubjectAttributes {
        common_name,
        organizational_unit: "",
        organization: "VAGUEMESTRE DEVELOPPEMENT",
        state: "",
        country: "FR",
    }
}

/// Why the development PKI cannot do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentPkiError {
    /// The root's key was not loaded.
    #[error("the key of the development root is not at hand")]
    RootKeyAbsent,
    /// An instant lies outside the years a certificate can name.
    #[error("the instant cannot be written in a certificate")]
    Time,
    /// The random source failed.
    #[error("the random source failed")]
    Random,
    /// A certificate, key or name cannot be read or made.
    #[error("a certificate of the development PKI cannot be read or made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The two authorities of a development PKI. Never for production.
pub struct DevelopmentPki {
    root_cert_pem: String,
    root_key_pem: Option<Secret<String>>,
    issuing_cert_pem: String,
    issuing_key_pem: Secret<String>,
}

impl DevelopmentPki {
    /// Makes a root and an issuing authority, with ECDSA P-256 keys, valid for ten years from the day before `now`.
    pub fn generate(now: Timestamp) -> Result<Self, DevelopmentPkiError> {
        Self::generate_named(&ROOT, &ISSUING, now)
    }

    fn generate_named(
        root: &SubjectAttributes<'_>,
        issuing: &SubjectAttributes<'_>,
        now: Timestamp,
    ) -> Result<Self, DevelopmentPkiError> {
        let (root_key, issuing_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let root = authority_params(root, 1, now)?;
        let root_cert_pem = root.self_signed(&root_key)?.pem();
        let root_key_pem = Secret::new(root_key.serialize_pem());
        let issuing = authority_params(issuing, 0, now)?;
        let issuing_cert_pem = issuing.signed_by(&issuing_key, &Issuer::new(root, root_key))?.pem();
        Ok(Self {
            root_cert_pem,
            root_key_pem: Some(root_key_pem),
            issuing_cert_pem,
            issuing_key_pem: Secret::new(issuing_key.serialize_pem()),
        })
    }

    /// Goes on with authorities made earlier. Without the root's key everything works but [`Self::root_crl_pem`].
    pub fn load(
        root_cert_pem: &str,
        root_key_pem: Option<&str>,
        issuing_cert_pem: &str,
        issuing_key_pem: &str,
    ) -> Result<Self, DevelopmentPkiError> {
        let loaded = Self {
            root_cert_pem: root_cert_pem.to_owned(),
            root_key_pem: root_key_pem.map(|key| Secret::new(key.to_owned())),
            issuing_cert_pem: issuing_cert_pem.to_owned(),
            issuing_key_pem: Secret::new(issuing_key_pem.to_owned()),
        };
        loaded.issuing()?;
        match loaded.root() {
            Ok(_) | Err(DevelopmentPkiError::RootKeyAbsent) => Ok(loaded),
            Err(error) => Err(error),
        }
    }

    /// The root's certificate: the trust anchor.
    pub fn root_cert_pem(&self) -> &str {
        &self.root_cert_pem
    }

    /// The root's key, PKCS#8.
    pub fn root_key_pem(&self) -> Option<&Secret<String>> {
        self.root_key_pem.as_ref()
    }

    /// The issuing authority's certificate.
    pub fn issuing_cert_pem(&self) -> &str {
        &self.issuing_cert_pem
    }

    /// The issuing authority's key, PKCS#8.
    pub fn issuing_key_pem(&self) -> &Secret<String> {
        &self.issuing_key_pem
    }

    /// Both certificates, as a trust file.
    pub fn trust_pem(&self) -> String {
        format!("{}{}", self.root_cert_pem, self.issuing_cert_pem)
    }

    /// The root's revocation list, empty, valid for thirty days.
    pub fn root_crl_pem(&self, now: Timestamp) -> Result<String, DevelopmentPkiError> {
        let number = u64::try_from(now.secs()).map_err(|_| DevelopmentPkiError::Time)?;
        crl_pem(&self.root()?, now, &[], number)
    }

    /// The issuing authority's list of these serial numbers (big endian), valid for thirty days.
    pub fn issuing_crl_pem(
        &self,
        now: Timestamp,
        revoked: &[Vec<u8>],
        number: u64,
    ) -> Result<String, DevelopmentPkiError> {
        crl_pem(&self.issuing()?, now, revoked, number)
    }

    fn root(&self) -> Result<Issuer<'static, KeyPair>, DevelopmentPkiError> {
        let key = self.root_key_pem.as_ref().ok_or(DevelopmentPkiError::RootKeyAbsent)?;
        Ok(Issuer::from_ca_cert_pem(&self.root_cert_pem, KeyPair::from_pem(key.expose())?)?)
    }

    fn issuing(&self) -> Result<Issuer<'static, KeyPair>, DevelopmentPkiError> {
        let key = KeyPair::from_pem(self.issuing_key_pem.expose())?;
        Ok(Issuer::from_ca_cert_pem(&self.issuing_cert_pem, key)?)
    }
}

impl fmt::Debug for DevelopmentPki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentPki").finish_non_exhaustive()
    }
}

fn authority_params(
    subject: &SubjectAttributes<'_>,
    path_length: u8,
    now: Timestamp,
) -> Result<CertificateParams, DevelopmentPkiError> {
    let mut authority = CertificateParams::default();
    authority.not_before = date(now, -1)?;
    authority.not_after = date(now, CA_VALIDITY_DAYS)?;
    authority.serial_number = Some(random_serial()?);
    authority.distinguished_name = subject.to_rcgen()?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.use_authority_key_identifier_extension = true;
    Ok(authority)
}

fn crl_pem(
    issuer: &Issuer<'_, KeyPair>,
    now: Timestamp,
    revoked: &[Vec<u8>],
    number: u64,
) -> Result<String, DevelopmentPkiError> {
    let this_update = date(now, 0)?;
    let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: this_update,
        reason_code: Some(RevocationReason::CessationOfOperation),
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update,
        next_update: date(now, CRL_VALIDITY_DAYS)?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(issuer)?.pem()?)
}

fn date(now: Timestamp, days: i64) -> Result<OffsetDateTime, DevelopmentPkiError> {
    let secs = now.plus_secs(days.saturating_mul(DAY_SECS)).secs();
    OffsetDateTime::from_unix_timestamp(secs).map_err(|_| DevelopmentPkiError::Time)
}

/// Sixteen random bytes, positive and without a leading zero (RFC 5280 §4.1.2.2).
fn random_serial() -> Result<SerialNumber, DevelopmentPkiError> {
    let mut serial = [0u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| DevelopmentPkiError::Random)?;
    serial[0] = (serial[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}
