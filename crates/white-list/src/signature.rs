//! The one shape of signature that is accepted, read from its canonical form.
//!
//! Enveloped XML-DSig over the whole document: one Reference with `URI=""`, the transforms enveloped-signature then exclusive C14N, RSA with
//! SHA-256 or longer, the certificate in KeyInfo/X509Data. Anything else, however valid, could cover something else than what is read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bergshamra::crypto::digest;
use pki::CertificateDer;
use roxmltree::{Document, Node};

use crate::ListFault;
use crate::xml::{DSIG, elements, simple_text};

const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SIGNATURES: [&str; 3] = [
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
];
const DIGESTS: [&str; 3] = [
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
];

/// Octets of an RSA signature by a key of 2048 bits.
const SIGNATURE_MIN: usize = 256;

/// Certificates in one signature: the signer's, and the chain that may follow it.
const CERTIFICATES_MAX: usize = 8;

/// What a signature of the accepted shape says.
#[derive(Debug)]
pub(crate) struct Signature {
    digest_method: String,
    digest: Vec<u8>,
    /// The signer's first. Claims until they are judged.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl Signature {
    /// Reads the canonical form of a signature element.
    pub(crate) fn read(canonical: &str) -> Result<Self, ListFault> {
        let document = Document::parse(canonical).map_err(|_| ListFault::Wrapping("it cannot be read"))?;
        let [signed_info, value, key_info] =
            children(document.root_element(), ["SignedInfo", "SignatureValue", "KeyInfo"])?;
        let [canonicalization, method, reference] =
            children(signed_info, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
        if algorithm(canonicalization)? != EXC_C14N {
            return Err(ListFault::Algorithm("canonicalization other than exclusive C14N"));
        }
        if !SIGNATURES.contains(&algorithm(method)?) {
            return Err(ListFault::Algorithm("signature other than RSA with SHA-256, SHA-384 or SHA-512"));
        }
        if base64(value)?.len() < SIGNATURE_MIN {
            return Err(ListFault::Algorithm("RSA key of fewer than 2048 bits"));
        }
        let (digest_method, digest) = whole_document(reference)?;
        Ok(Self { digest_method, digest, certificates: certificates(key_info)? })
    }

    /// Whether this is the text that was signed.
    pub(crate) fn covers(&self, content: &str) -> bool {
        digest::digest(&self.digest_method, content.as_bytes()).is_ok_and(|digest| digest == self.digest)
    }
}

/// The digest of a reference that stands for the whole document without the signature.
fn whole_document(reference: Node<'_, '_>) -> Result<(String, Vec<u8>), ListFault> {
    let mut attributes = reference.attributes();
    let is_whole = attributes.next().is_some_and(|only| only.name() == "URI" && only.value().is_empty());
    if !is_whole || attributes.next().is_some() {
        return Err(ListFault::Wrapping("its reference is not URI=\"\""));
    }
    let [transforms, method, value] = children(reference, ["Transforms", "DigestMethod", "DigestValue"])?;
    let [enveloped, canonicalization] = children(transforms, ["Transform", "Transform"])?;
    if algorithm(enveloped)? != ENVELOPED || algorithm(canonicalization)? != EXC_C14N {
        return Err(ListFault::Wrapping("its transforms are not enveloped-signature and exclusive C14N"));
    }
    let method = algorithm(method)?;
    if !DIGESTS.contains(&method) {
        return Err(ListFault::Algorithm("digest other than SHA-256, SHA-384 or SHA-512"));
    }
    Ok((method.to_owned(), base64(value)?))
}

fn certificates(key_info: Node<'_, '_>) -> Result<Vec<CertificateDer<'static>>, ListFault> {
    let [data] = children(key_info, ["X509Data"]).map_err(|_| ListFault::NoCertificate)?;
    let certificates = elements(data).ok_or(ListFault::NoCertificate)?;
    let are_certificates = certificates.iter().all(|node| node.has_tag_name((DSIG, "X509Certificate")));
    if certificates.is_empty() || certificates.len() > CERTIFICATES_MAX || !are_certificates {
        return Err(ListFault::NoCertificate);
    }
    let read =
        |node: Node<'_, '_>| base64(node).map(CertificateDer::from).map_err(|_| ListFault::NoCertificate);
    certificates.into_iter().map(read).collect()
}

/// Exactly these children, in this order, of the namespace of signatures.
fn children<'a, 'input, const N: usize>(
    parent: Node<'a, 'input>,
    names: [&str; N],
) -> Result<[Node<'a, 'input>; N], ListFault> {
    const OTHER: ListFault = ListFault::Wrapping(
        "it has other elements than SignedInfo with one Reference, SignatureValue and KeyInfo",
    );
    let children: [Node<'a, 'input>; N] =
        elements(parent).and_then(|children| children.try_into().ok()).ok_or(OTHER)?;
    let are_named = children.iter().zip(names).all(|(child, name)| child.has_tag_name((DSIG, name)));
    if are_named { Ok(children) } else { Err(OTHER) }
}

/// The algorithm of an element that has no parameters.
fn algorithm<'a>(element: Node<'a, '_>) -> Result<&'a str, ListFault> {
    let has_parameters =
        element.children().any(|child| child.is_element()) || element.attributes().len() != 1;
    match element.attribute("Algorithm") {
        Some(algorithm) if !has_parameters => Ok(algorithm),
        _ => Err(ListFault::Wrapping("an algorithm has parameters")),
    }
}

/// Lines of base64, as signers break them: with carriage returns too.
fn base64(element: Node<'_, '_>) -> Result<Vec<u8>, ListFault> {
    let text = simple_text(element).ok_or(ListFault::Wrapping("a value is interrupted"))?;
    let digits: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).map_err(|_| ListFault::Wrapping("a value is not base64"))
}
