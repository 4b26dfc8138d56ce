//! Certificate signing requests (PKCS#10, RFC 2986): what an operator hands to the authority to get or renew a certificate.

use mail_types::Secret;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType};

use crate::development::{DevelopmentPkiError, SubjectAttributes, host_name};

/// The key of a request.
#[derive(Clone, Copy, Debug)]
pub enum RequestKey<'a> {
    /// A new RSA key of 2048 bits.
    NewRsa2048,
    /// A new RSA key of 3072 bits.
    NewRsa3072,
    /// A new key on the curve P-256.
    NewP256,
    /// A key that is there already, PKCS#8 PEM.
    Existing(&'a Secret<String>),
}

/// A request, and its key where that was made for it.
#[derive(Debug)]
pub struct CertificateRequest {
    /// PKCS#10, PEM.
    pub request_pem: String,
    /// PKCS#8, PEM; `None` for a key that was there already.
    pub new_key_pem: Option<Secret<String>>,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The country is not two letters.
    #[error("the country must be two letters (ISO 3166), such as FR")]
    Country,
    /// An attribute cannot be written.
    #[error("the subject cannot be written: {0}")]
    Subject(#[source] DevelopmentPkiError),
    /// A name is not ASCII.
    #[error("`{0}` is neither a DNS name, nor an address, nor a mail address in ASCII")]
    Name(String),
    /// The existing key cannot be read or used.
    #[error("the key cannot be used; it must be an unencrypted PKCS#8 key (PEM), RSA or ECDSA: {0}")]
    Key(#[source] rcgen::Error),
    /// The random source or the signature failed.
    #[error("the request cannot be made: {0}")]
    Signature(#[source] rcgen::Error),
}

/// Makes a request. `names` become subjectAltName: DNS names, addresses and mail addresses. Nothing else is asked for: usages and dates are the authority's.
///
/// An RSA key takes a second or more to make: not for an async thread.
pub fn certificate_request(
    subject: &SubjectAttributes<'_>,
    names: &[String],
    key: RequestKey<'_>,
) -> Result<CertificateRequest, RequestError> {
    let country = subject.country;
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !(country.is_empty() || is_code) {
        return Err(RequestError::Country);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject.to_rcgen().map_err(RequestError::Subject)?;
    params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map_err(RequestError::Signature);
    let pair = match key {
        RequestKey::NewRsa2048 => rsa(RsaKeySize::_2048)?,
        RequestKey::NewRsa3072 => rsa(RsaKeySize::_3072)?,
        RequestKey::NewP256 => {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(RequestError::Signature)?
        }
        RequestKey::Existing(pem) => KeyPair::from_pem(pem.expose()).map_err(RequestError::Key)?,
    };
    let request = params.serialize_request(&pair).map_err(RequestError::Signature)?;
    let is_new = !matches!(key, RequestKey::Existing(_));
    Ok(CertificateRequest {
        request_pem: request.pem().map_err(RequestError::Signature)?,
        new_key_pem: is_new.then(|| Secret::new(pair.serialize_pem())),
    })
}

fn alternative_name(name: &str) -> Result<SanType, RequestError> {
    let made = if name.contains('@') {
        Ia5String::try_from(name).map(SanType::Rfc822Name).map_err(DevelopmentPkiError::from)
    } else {
        host_name(name)
    };
    made.map_err(|_| RequestError::Name(name.to_owned()))
}
