//! The certificate that an applicative mailbox is made with: a rule for the application that it stands for. It judges no certificate.

use super::shape::{MailboxType, NewCertificate};
use crate::access::{Caller, Permission};
use crate::api::Api;
use crate::faults::Faults;
use crate::instant::Instant;
use crate::problem::{Code, Problem};
use mail_types::{Address, CertificateCriteria, DistinguishedName};
use store::{CertificateRequest, DirectoryError};

/// What the request of a mailbox says of its certificate.
///
/// # Errors
/// [`Code::Forbidden`]: whoever makes mailboxes does not let applications in by that alone.
pub(super) fn certificate(
    api: &Api,
    caller: &Caller,
    faults: &mut Faults,
    (kind, is_requested): (MailboxType, bool),
    address: Option<&Address>,
    new: Option<&NewCertificate>,
) -> Result<Option<CertificateRequest>, Problem> {
    let Some(new) = new else { return Ok(None) };
    if kind != MailboxType::Applicative {
        faults.add(
            "/certificate",
            "only an applicative mailbox is opened by one",
            "seule une boîte applicative s'ouvre par un certificat",
        );
        return Ok(None);
    }
    if !caller.has(Permission::CertificatesWrite) {
        return Err(Problem::new(Code::Forbidden).detail(
            "you do not have certificates:write, which lets applications in: leave certificate out, and ask for it",
            "vous n'avez pas certificates:write, qui laisse entrer les applications : omettez certificate, et demandez-le",
        ));
    }
    if is_requested {
        faults.add(
            "/certificate",
            "is given once the mailbox is created, with its application: not with workflow requested",
            "se donne une fois la boîte créée, avec son application : pas avec workflow requested",
        );
    }
    let valid_until = new.valid_until.map(|Instant(at)| at);
    if valid_until.is_some_and(|at| at <= api.store.now()) {
        faults.add("/certificate/validUntil", "is in the past", "est passé");
    }
    let criteria = criteria(faults, new);
    // Under the name that the mailbox begins with: what people call the application may be any words.
    let application = address.map_or_else(String::new, |address| address.local_part().to_owned());
    Ok(criteria.map(|criteria| CertificateRequest { criteria, expires_at: valid_until, application }))
}

fn criteria(faults: &mut Faults, new: &NewCertificate) -> Option<CertificateCriteria> {
    let serial = serial(&new.serial);
    if serial.is_none() {
        faults.add(
            "/certificate/serial",
            "must be hexadecimal digits, two for each octet",
            "doit être en chiffres hexadécimaux, deux par octet",
        );
    }
    let mut name = |pointer: &str, text: &str| {
        let name = text.parse::<DistinguishedName>().ok();
        if name.is_none() {
            faults.add(
                pointer,
                "is not a distinguished name (RFC 4514), CN=…,O=…,C=FR",
                "n'est pas un nom distinctif (RFC 4514), CN=…,O=…,C=FR",
            );
        }
        name
    };
    let issuer = name("/certificate/issuer", &new.issuer);
    let subject = name("/certificate/subject", &new.subject);
    CertificateCriteria::new(Some(issuer?), Some(subject?), None, Some(serial?), None).ok()
}

fn serial(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|digit| !matches!(digit, ':' | ' ')).collect();
    let octet = |pair: &[u8]| match pair {
        [_, _] if pair.iter().all(u8::is_ascii_hexdigit) => {
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
        }
        _ => None,
    };
    let octets: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(octet).collect();
    octets.filter(|octets| octets.iter().any(|octet| *octet != 0))
}

/// A refusal to make the application of a certificate, with the way out.
pub(super) fn refused(refusal: DirectoryError) -> Problem {
    let way_out = (
        "make the mailbox without certificate, then give it to an application by PUT /applications/{id}/mailboxes/{mailbox}",
        "créez la boîte sans certificate, puis donnez-la à une application par PUT /applications/{id}/mailboxes/{mailbox}",
    );
    match refusal {
        DirectoryError::ApplicationTaken => Problem::new(Code::Conflict).detail(
            format!("there is an application of the name that the address begins with, and the certificate is not one of its own: {}", way_out.0),
            format!("il y a une application du nom par lequel l'adresse commence, et le certificat n'est pas l'un des siens : {}", way_out.1),
        ),
        DirectoryError::ApplicationName => Problem::invalid(
            "/certificate",
            format!("no application can be called as the address begins: {}", way_out.0),
            format!("aucune application ne peut s'appeler comme l'adresse commence : {}", way_out.1),
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_as_tools_print_it() {
        for text in ["1A2B3C", "1a:2b:3c", "1A 2B 3C"] {
            assert_eq!(serial(text), Some(vec![0x1a, 0x2b, 0x3c]), "{text}");
        }
        for text in ["", "1A2", "0x1A", "1G", "+1", "é", "00"] {
            assert_eq!(serial(text), None, "{text}");
        }
    }
}
