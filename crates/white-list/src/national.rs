//! The national list: XML with an enveloped signature.
//!
//! # What is believed
//!
//! A list is believed when its signature is valid under the key of a certificate that (1) leads to the authorities given, (2) is valid at the
//! instant given, (3) is meant for signatures, (4) is not revoked, by current revocation lists, and (5) has the pinned name as its CN or as a subjectAltName. The key itself
//! is not pinned, because the publisher renews it. The certificate comes from KeyInfo, which nobody signed: it is a proposal, judged by
//! `pki`, and its key alone is then given to the verifier. Without (5) anybody with a certificate of the same authority could sign a list.
//!
//! The signer must be good when a list is *taken*, not when it was made: a list is fetched each hour, so an expired signer is a publisher that
//! must renew, and a date inside the list is written by whoever holds the key. A list in force stays in force when its signer expires, and
//! [`read_kept`] lets it survive a restart.
//!
//! # How wrapping is excluded
//!
//! A wrapped signature is valid, but over something else than what is read. Here (1) there is exactly one signature, it is the last child of
//! the root, and nothing of its namespace stands elsewhere; (2) it has one shape only, `URI=""` with the transforms enveloped-signature and exclusive
//! C14N, so that it covers the whole document but itself; (3) what is read is not the file but the canonical octets whose digest is the one
//! signed. Even two XML parsers that disagree about the file cannot make us read an octet that was not signed. Comments and CDATA
//! sections do not exist in that form: a value interrupted by a comment is read whole, as it was signed.

use mail_types::{PeerIdentity, RevocationState, Timestamp};
use pki::{TrustSnapshot, UnixTime, Usage};
use policy::WhiteList;
use std::time::Duration;

use crate::canonical::SignedDocument;
use crate::signature::Signature;
use crate::{EntryFault, ListFault, schema, xml};

/// Reads a list that was fetched now. `signer` is the CN or a subjectAltName (DNS name or e-mail address) of the signer's certificate.
pub fn read(
    bytes: &[u8],
    authorities: &TrustSnapshot,
    signer: &str,
    now: Timestamp,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    read_signed(bytes, authorities, signer, now, false)
}

/// Reads a list that was believed at `adopted_at` and kept by us since. Dates are judged as of then, and doubt about revocation is
/// no fault; a signer that is revoked now is one.
pub fn read_kept(
    bytes: &[u8],
    authorities: &TrustSnapshot,
    signer: &str,
    adopted_at: Timestamp,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    read_signed(bytes, authorities, signer, adopted_at, true)
}

fn read_signed(
    bytes: &[u8],
    authorities: &TrustSnapshot,
    signer: &str,
    at: Timestamp,
    is_kept: bool,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    let text = xml::text(bytes)?;
    let lines_before = {
        let document = xml::parse(text)?;
        xml::check_shape(&document)?;
        document.text_pos_at(document.root_element().range().start).row as usize
    };
    let signed = SignedDocument::parse(text)?;
    let signature = Signature::read(&signed.signature()?)?;
    let content = signed.content()?;
    let identity = judge(&signature, authorities, at)?;
    check_name(&identity, signer)?;
    if let (RevocationState::Unknown(cause), false) = (&identity.revocation, is_kept) {
        return Err(ListFault::SignerUnverifiable(cause));
    }
    if !signature.covers(&content) {
        return Err(ListFault::BadDigest);
    }
    let certificate = signature.certificates.first().ok_or(ListFault::NoCertificate)?;
    signed.verify(certificate)?;
    // The root of the canonical form stands on its first line, unless processing instructions precede it.
    schema::read(&content, lines_before.saturating_sub(1), at)
}

fn judge(
    signature: &Signature,
    authorities: &TrustSnapshot,
    at: Timestamp,
) -> Result<PeerIdentity, ListFault> {
    let secs = u64::try_from(at.secs()).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(secs));
    authorities.judge(&signature.certificates, Usage::Signer, at).map_err(ListFault::UnknownSigner)
}

/// The CN or a subjectAltName, in any case of letters.
fn check_name(identity: &PeerIdentity, signer: &str) -> Result<(), ListFault> {
    let common_names = identity.subject.attributes().filter(|(kind, _)| *kind == "CN").map(|(_, name)| name);
    let names = common_names.chain(identity.dns_names.iter().chain(&identity.mail_names).map(String::as_str));
    let names: Vec<_> = names.collect();
    if names.iter().any(|name| !name.is_empty() && name.to_lowercase() == signer.trim().to_lowercase()) {
        return Ok(());
    }
    let found = if names.is_empty() { "a certificate without a name".to_owned() } else { names.join(", ") };
    Err(ListFault::OtherSigner { expected: signer.to_owned(), found })
}
