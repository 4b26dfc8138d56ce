//! Leaf certificates of the development PKI.

use std::net::IpAddr;

use mail_types::{Secret, Timestamp};
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::{DevelopmentPki, DevelopmentPkiError, date, random_serial};

const LEAF_VALIDITY_DAYS: i64 = 3 * 365;

/// A subject in the national scheme: `CN=host, OU=1+FINESS, O=…, ST=Departement (nn), C=FR`. Empty attributes are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectAttributes<'a> {
    /// Host name, or the name of the application.
    pub common_name: &'a str,
    /// `1` and the FINESS number of the structure, or `3` and its SIRET.
    pub organizational_unit: &'a str,
    /// Name of the structure.
    pub organization: &'a str,
    /// `Departement (nn)`.
    pub state: &'a str,
    /// Two letters.
    pub country: &'a str,
}

/// A certificate just made, with its key.
#[derive(Debug)]
pub struct IssuedCertificate {
    /// The leaf, then the issuing authority.
    pub chain_pem: String,
    /// The leaf's key, PKCS#8.
    pub key_pem: Secret<String>,
    /// The subject as a white list prints it (RFC 4514).
    pub subject_dn_rfc4514: String,
    /// The serial number, big endian, for [`DevelopmentPki::issuing_crl_pem`].
    pub serial: Vec<u8>,
}

impl DevelopmentPki {
    /// A certificate for a server that also delivers to others: serverAuth and clientAuth, for three years from the day before `now`.
    ///
    /// `names` are DNS names (`*.domain` allowed) and addresses.
    pub fn issue_server(
        &self,
        subject: &SubjectAttributes<'_>,
        names: &[&str],
        now: Timestamp,
    ) -> Result<IssuedCertificate, DevelopmentPkiError> {
        let names = names.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
        let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(subject, names, purposes, now)
    }

    /// A certificate for an application that logs in as a mailbox: clientAuth, with the address as rfc822Name.
    pub fn issue_application(
        &self,
        subject: &SubjectAttributes<'_>,
        mail_address: &str,
        now: Timestamp,
    ) -> Result<IssuedCertificate, DevelopmentPkiError> {
        let name = SanType::Rfc822Name(Ia5String::try_from(mail_address)?);
        self.issue(subject, vec![name], vec![ExtendedKeyUsagePurpose::ClientAuth], now)
    }

    fn issue(
        &self,
        subject: &SubjectAttributes<'_>,
        names: Vec<SanType>,
        purposes: Vec<ExtendedKeyUsagePurpose>,
        now: Timestamp,
    ) -> Result<IssuedCertificate, DevelopmentPkiError> {
        let key = KeyPair::generate()?;
        let serial = random_serial()?;
        let mut leaf = CertificateParams::default();
        leaf.not_before = date(now, -1)?;
        leaf.not_after = date(now, LEAF_VALIDITY_DAYS)?;
        leaf.serial_number = Some(serial.clone());
        leaf.subject_alt_names = names;
        leaf.distinguished_name = subject.to_rcgen()?;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = purposes;
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&key, &self.issuing()?)?;
        Ok(IssuedCertificate {
            chain_pem: format!("{}{}", leaf.pem(), self.issuing_cert_pem()),
            key_pem: Secret::new(key.serialize_pem()),
            subject_dn_rfc4514: subject.to_rfc4514(),
            serial: serial.to_bytes(),
        })
    }
}

impl SubjectAttributes<'_> {
    /// Widest first, as certificates are written.
    pub(crate) fn to_rcgen(self) -> Result<DistinguishedName, DevelopmentPkiError> {
        let mut name = DistinguishedName::new();
        if !self.country.is_empty() {
            // RFC 5280 appendix A: countryName is a PrintableString.
            let country = PrintableString::try_from(self.country)?;
            name.push(DnType::CountryName, DnValue::PrintableString(country));
        }
        for (kind, value) in [
            (DnType::StateOrProvinceName, self.state),
            (DnType::OrganizationName, self.organization),
            (DnType::OrganizationalUnitName, self.organizational_unit),
            (DnType::CommonName, self.common_name),
        ] {
            if !value.is_empty() {
                name.push(kind, value);
            }
        }
        Ok(name)
    }

    /// Narrowest first, as RFC 4514 prints.
    pub(super) fn to_rfc4514(self) -> String {
        let attributes = [
            ("CN", self.common_name),
            ("OU", self.organizational_unit),
            ("O", self.organization),
            ("ST", self.state),
            ("C", self.country),
        ];
        let printed = attributes.into_iter().filter(|(_, value)| !value.is_empty());
        printed.map(|(kind, value)| format!("{kind}={}", escaped(value))).collect::<Vec<_>>().join(",")
    }
}

/// A DNS name or an address, as subjectAltName.
pub(crate) fn host_name(name: &str) -> Result<SanType, DevelopmentPkiError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(Ia5String::try_from(name)?)),
    }
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    value.chars().enumerate().fold(String::new(), |mut text, (i, c)| {
        let edge = (i == 0 && matches!(c, ' ' | '#')) || (i == last && c == ' ');
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}
