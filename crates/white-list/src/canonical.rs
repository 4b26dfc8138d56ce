//! What the verifying library sees of a document: its signature, and the octets that the signature covers, both in exclusive canonical form.
//!
//! The canonical form has no comments, no CDATA sections and no entities left, and says by its octets alone what is in the document. So what
//! is read from it cannot differ from what was signed, even where two XML parsers would.

use bergshamra::c14n::{C14nMode, canonicalize_doc};
use bergshamra::dsig::verify::verify_document_with_source;
use bergshamra::keys::loader::load_x509_cert_der;
use bergshamra::xml::{Document, NodeId, NodeSet, uppsala};
use bergshamra::{DsigContext, KeysManager, VerifyResult};

use crate::ListFault;
use crate::xml::DSIG;

const UNREADABLE: ListFault = ListFault::Wrapping("two parsers do not read it alike");

/// A document as the verifier parsed it.
pub(crate) struct SignedDocument<'a> {
    text: &'a str,
    document: Document<'a>,
    signature: NodeId,
}

impl<'a> SignedDocument<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, ListFault> {
        let document = uppsala::parse(text).map_err(|_| UNREADABLE)?;
        let signatures = document.get_elements_by_tag_name_ns(DSIG, "Signature");
        match signatures.as_slice() {
            [] => Err(ListFault::NoSignature),
            [signature] => Ok(Self { text, signature: *signature, document }),
            _ => Err(ListFault::SeveralSignatures),
        }
    }

    /// The signature element.
    pub(crate) fn signature(&self) -> Result<String, ListFault> {
        self.canonical(&NodeSet::tree_without_comments(self.signature, &self.document))
    }

    /// The document without its signature: what `URI=""` with the enveloped-signature transform stands for.
    pub(crate) fn content(&self) -> Result<String, ListFault> {
        let mut nodes = NodeSet::all_without_comments(&self.document);
        nodes.remove_id(self.signature);
        self.document.descendants(self.signature).into_iter().for_each(|node| nodes.remove_id(node));
        self.canonical(&nodes)
    }

    fn canonical(&self, nodes: &NodeSet) -> Result<String, ListFault> {
        let prefixes: [&str; 0] = [];
        let octets = canonicalize_doc(&self.document, C14nMode::Exclusive, Some(nodes), &prefixes);
        octets.ok().and_then(|octets| String::from_utf8(octets).ok()).ok_or(UNREADABLE)
    }

    /// Verifies the signature with the key of this certificate and no other: what the document brings is not asked.
    pub(crate) fn verify(&self, certificate: &[u8]) -> Result<(), ListFault> {
        let mut keys = KeysManager::new();
        keys.add_key(load_x509_cert_der(certificate).map_err(|_| ListFault::NoCertificate)?);
        // `new`, not `new_permissive`: keys of the document are never used, references stand for the root only, every digest is computed.
        let context = DsigContext::new(keys);
        let result = verify_document_with_source(&context, &self.document, Some(self.text));
        let result = result.map_err(|_| ListFault::BadSignature)?;
        let covers_all = result.all_reference_digests_verified();
        match result {
            VerifyResult::Valid { signature_node, references, .. } => {
                let is_whole =
                    references.len() == 1 && references.iter().all(|reference| reference.uri.is_empty());
                if covers_all && is_whole && signature_node == self.signature {
                    Ok(())
                } else {
                    Err(ListFault::BadSignature)
                }
            }
            VerifyResult::Invalid { .. } => Err(ListFault::BadSignature),
        }
    }
}
