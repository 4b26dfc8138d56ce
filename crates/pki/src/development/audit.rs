//! What an auditor needs besides: another PKI, a certificate that vouches for itself, and a list that goes on from the one in force.

use mail_types::{Secret, Timestamp};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls_pki_types::pem::SectionKind;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{
    DevelopmentPki, DevelopmentPkiError, IssuedCertificate, SubjectAttributes, authority, date, issue,
};
use crate::encoding;

const FOREIGN_ROOT: SubjectAttributes<'static> = authority("TEST AC RACINE ETRANGERE");
const FOREIGN_ISSUING: SubjectAttributes<'static> = authority("TEST AC ETRANGERE ORGANISATIONS");
const SELF_SIGNED_DAYS: i64 = 365;

impl DevelopmentPki {
    /// A PKI whose authorities have other names. (One of [`DevelopmentPki::generate`] has the names of every other, and keys of its own.)
    pub fn generate_foreign(now: Timestamp) -> Result<Self, DevelopmentPkiError> {
        Self::generate_named(&FOREIGN_ROOT, &FOREIGN_ISSUING, now)
    }

    /// A certificate of a server that no authority vouches for.
    pub fn self_signed(
        subject: &SubjectAttributes<'_>,
        names: &[&str],
        now: Timestamp,
    ) -> Result<IssuedCertificate, DevelopmentPkiError> {
        let key = KeyPair::generate()?;
        let serial = super::random_serial()?;
        let mut leaf = CertificateParams::default();
        leaf.not_before = date(now, -1)?;
        leaf.not_after = date(now, SELF_SIGNED_DAYS)?;
        leaf.serial_number = Some(serial.clone());
        leaf.subject_alt_names = names.iter().map(|name| issue::host_name(name)).collect::<Result<_, _>>()?;
        leaf.distinguished_name = subject.to_rcgen()?;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(IssuedCertificate {
            chain_pem: leaf.self_signed(&key)?.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            subject_dn_rfc4514: subject.to_rfc4514(),
            serial: serial.to_bytes(),
        })
    }

    /// The issuing authority's list after `previous` (PEM or DER), with these serial numbers added and a greater number.
    pub fn issuing_crl_after(
        &self,
        previous: &[u8],
        now: Timestamp,
        revoked: &[Vec<u8>],
    ) -> Result<String, DevelopmentPkiError> {
        let (mut serials, mut number) = (revoked.to_vec(), u64::try_from(now.secs()).unwrap_or(1));
        for der in encoding::objects(previous, SectionKind::Crl).into_iter().flatten() {
            let Ok((_, list)) = CertificateRevocationList::from_der(&der) else { continue };
            serials.extend(list.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()));
            let digits = list.crl_number().map(x509_parser::num_bigint::BigUint::to_u64_digits);
            if let Some([before]) = digits.as_deref() {
                number = number.max(before.saturating_add(1));
            }
        }
        serials.sort();
        serials.dedup();
        self.issuing_crl_pem(now, &serials, number)
    }
}
