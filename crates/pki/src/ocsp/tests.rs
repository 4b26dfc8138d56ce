//! Answers made by OpenSSL, read and acted upon.

mod answers;
mod handshakes;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use mail_types::Timestamp;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType,
    SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use tempfile::TempDir;

use super::answer::{CertificateStatus, OcspAnswer};
use super::question::OcspQuestion;
use super::*;
use crate::development::DevelopmentPki;
use crate::{OwnIdentity, TrustSnapshot, Usage};

const HOST: &str = "mx.ch.example";
const HOUR: i64 = 3_600;
const NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

fn now() -> Timestamp {
    Timestamp::from_secs(i64::try_from(UnixTime::now().as_secs()).unwrap())
}

/// What the responder is to say of a certificate.
#[derive(Clone, Copy)]
enum Entry {
    Valid,
    Revoked,
    Absent,
}

/// A certificate with its key, in files.
struct Leaf {
    chain_pem: String,
    key_pem: String,
    serial: Vec<u8>,
    dir: TempDir,
}

impl Leaf {
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).map(Result::unwrap).collect()
    }

    fn identity(&self) -> Arc<OwnIdentity> {
        Arc::new(OwnIdentity::from_pem(self.chain_pem.as_bytes(), self.key_pem.as_bytes()).unwrap())
    }
}

/// One authority and its responder, whatever the certificates say of where it is.
struct World {
    pki: DevelopmentPki,
}

impl World {
    fn new() -> Self {
        Self { pki: DevelopmentPki::generate(now()).unwrap() }
    }

    /// A certificate by the issuing authority, or by the same with another key.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let mut serial = [0x41; 16];
        aws_lc_rs::rand::fill(&mut serial[1..]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name.push(DnType::CommonName, HOST);
        params.not_before = time::OffsetDateTime::from_unix_timestamp(now().secs() - 24 * HOUR).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(now().secs() + 240 * HOUR).unwrap();
        change(&mut params);
        let issuing_key = KeyPair::from_pem(self.pki.issuing_key_pem().expose()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(self.pki.issuing_cert_pem(), issuing_key).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Leaf {
            chain_pem: format!("{}{}", certificate.pem(), self.pki.issuing_cert_pem()),
            key_pem: key.serialize_pem(),
            serial: serial.to_vec(),
            dir: TempDir::new().unwrap(),
        }
    }

    /// A server's certificate that names a responder.
    fn server(&self) -> Leaf {
        self.issue(|params| {
            params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().unwrap())];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            params.custom_extensions = vec![responder_at("http://ocsp.example/")];
        })
    }

    /// A responder's certificate, with ocsp-nocheck.
    fn responder(&self) -> Leaf {
        self.issue(|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            params.custom_extensions = vec![CustomExtension::from_oid_content(NO_CHECK, vec![5, 0])];
        })
    }

    fn snapshot(&self, revoked: &[Vec<u8>]) -> TrustSnapshot {
        let lists = [
            self.pki.root_crl_pem(now()).unwrap().into_bytes(),
            self.pki.issuing_crl_pem(now(), revoked, 1).unwrap().into_bytes(),
        ];
        TrustSnapshot::build(&[self.pki.trust_pem().into_bytes()], &lists, now()).unwrap().0
    }

    fn question(&self, leaf: &Leaf) -> OcspQuestion {
        self.snapshot(&[])
            .judge_chain(&leaf.chain(), Usage::Server, UnixTime::now())
            .unwrap()
            .question
            .unwrap()
    }

    /// `openssl ocsp`, signing with `signer` or with the authority's own key.
    fn answer(
        &self,
        leaf: &Leaf,
        entry: Entry,
        signer: Option<&Leaf>,
        request: &[u8],
        more: &[&str],
    ) -> Vec<u8> {
        let dir = TempDir::new().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let serial: String = leaf.serial.iter().map(|byte| format!("{byte:02X}")).collect();
        let index = match entry {
            Entry::Valid => format!("V\t991231235959Z\t\t{serial}\tunknown\t/CN=x\n"),
            Entry::Revoked => format!("R\t991231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=x\n"),
            Entry::Absent => String::new(),
        };
        let (index, request) = (file("index", index.as_bytes()), file("request", request));
        let authority = file("authority.pem", self.pki.issuing_cert_pem().as_bytes());
        let own_key = self.pki.issuing_key_pem().expose();
        let (signer_pem, key_pem) = signer
            .map_or((self.pki.issuing_cert_pem(), own_key.as_str()), |signer| {
                (signer.chain_pem.as_str(), signer.key_pem.as_str())
            });
        let (signer, key) =
            (file("signer.pem", signer_pem.as_bytes()), file("signer.key", key_pem.as_bytes()));
        let out = file("answer", b"");
        let arguments = [
            "ocsp", "-index", &index, "-CA", &authority, "-rsigner", &signer, "-rkey", &key, "-reqin",
            &request, "-respout", &out,
        ];
        let done = Command::new("openssl").args(arguments).args(more).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(out).unwrap()
    }

    /// Asks and reads, with everything usual but what is given.
    fn ask(&self, leaf: &Leaf, entry: Entry, signer: Option<&Leaf>) -> Result<CertificateStatus, OcspFault> {
        let question = self.question(leaf);
        let bytes =
            self.answer(leaf, entry, signer, &question.request(b"a nonce").unwrap(), &["-nmin", "30"]);
        read(&bytes, &question, &self.snapshot(&[]), now())
    }
}

fn read(
    bytes: &[u8],
    question: &OcspQuestion,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<CertificateStatus, OcspFault> {
    OcspAnswer::read(bytes, question, Some(b"a nonce"), trust, now).map(|answer| answer.status)
}

/// AuthorityInfoAccess of one OCSP address.
fn responder_at(url: &str) -> CustomExtension {
    let uri = [&[0x86, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat();
    let method = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01";
    let access = crate::der::sequence(&[&method[..], &uri].concat());
    CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, crate::der::sequence(&access))
}
