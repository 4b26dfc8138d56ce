//! National white lists signed by Debian's xmlsec1, with certificates made by openssl: other implementations than those that read them.
//!
//! It knows nothing of the program, so that the tests of any crate may include it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// One entry of a list, as the publisher writes it.
#[derive(Clone, Debug)]
pub struct ListEntry {
    /// `Nom`.
    pub domain: String,
    /// `DNCertificatOperateur`.
    pub subject: String,
}

/// A list before it is signed.
#[derive(Clone, Debug)]
pub struct NationalList {
    /// `DateDeGeneration`, an xsd:dateTime.
    pub generated_at: String,
    /// In the order in which they stand.
    pub entries: Vec<ListEntry>,
}

const END: &str = "</ListeBlancheMSSante>";

impl NationalList {
    /// A list of these (domain, subject) pairs.
    pub fn new<'a>(generated_at: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entry =
            |(domain, subject): (&str, &str)| ListEntry { domain: domain.into(), subject: subject.into() };
        Self { generated_at: generated_at.into(), entries: pairs.into_iter().map(entry).collect() }
    }

    /// The document without a signature.
    pub fn unsigned(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListeBlancheMSSante xmlns=\"https://listeblanche.mssante.fr/schema\">\n",
        );
        let _ = write!(
            xml,
            "    <DateDeGeneration>{}</DateDeGeneration>\n    <ListeDomaines>\n",
            self.generated_at
        );
        for entry in &self.entries {
            entry.write(&mut xml);
        }
        xml.push_str("    </ListeDomaines>\n");
        xml.push_str(END);
        xml
    }

    /// The document, signed as the publisher signs.
    pub fn sign(&self, signer: &ListSigner) -> Vec<u8> {
        signer.sign(&self.with_signature(Self::SIGNATURE))
    }

    /// The document with this element as its last.
    pub fn with_signature(&self, signature: &str) -> String {
        self.unsigned().replace(END, &format!("{signature}{END}"))
    }

    /// The signature of the national list before it is filled.
    pub const SIGNATURE: &str = r#"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><Reference URI=""><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference></SignedInfo><SignatureValue/><KeyInfo><X509Data><X509Certificate/></X509Data></KeyInfo></Signature>"#;
}

impl ListEntry {
    fn write(&self, xml: &mut String) {
        let fields = [
            ("Nom", self.domain.as_str()),
            ("Description", "Domaine de test"),
            ("DNCertificatOperateur", &self.subject),
            ("ResponsableContact", "0100000000, resp@exemple.invalid"),
            ("SupportContact", "0100000001, support@exemple.invalid"),
            ("DateMAJ", "2026-10-30T09:12:00Z"),
        ];
        xml.push_str("        <Domaine>\n");
        for (name, value) in fields {
            let value = value.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(xml, "            <{name}>{value}</{name}>");
        }
        xml.push_str("        </Domaine>\n");
    }
}

/// A certificate for the signature of lists, with its RSA key, in a folder of its own.
#[derive(Debug)]
pub struct ListSigner {
    folder: tempfile::TempDir,
    /// Hexadecimal.
    serial: String,
}

/// What the certificate of a signer says.
#[derive(Clone, Debug)]
pub struct SignerProfile {
    /// Its CN.
    pub common_name: String,
    /// Its only subjectAltName, an e-mail address.
    pub mail: String,
    /// OpenSSL's extendedKeyUsage; none when empty.
    pub purpose: String,
    /// OpenSSL's keyUsage; none when empty.
    pub key_usage: String,
    /// Bits of the RSA key.
    pub key_bits: u32,
    /// From when to when, `YYYYMMDDHHMMSSZ`; from yesterday until in thirty days when `None`.
    pub validity: Option<(String, String)>,
}

impl Default for SignerProfile {
    /// As the national signer's.
    fn default() -> Self {
        Self {
            common_name: "alb.test.example".into(),
            mail: "alb@test.example".into(),
            purpose: "emailProtection".into(),
            key_usage: "critical,digitalSignature,nonRepudiation".into(),
            key_bits: 2_048,
            validity: None,
        }
    }
}

impl ListSigner {
    /// Asks this authority (PEM) for a certificate.
    pub fn issue(authority_cert_pem: &str, authority_key_pem: &str, profile: &SignerProfile) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        write(&at("ca.pem"), authority_cert_pem);
        write(&at("ca.key"), authority_key_pem);
        write(&at("index.txt"), "");
        let serial = serial();
        write(&at("serial"), &serial);
        write(&at("ca.cnf"), &profile.configuration(folder.path()));
        let subject = format!("/C=FR/O=ANS TEST/OU=318751275100020/CN={}", profile.common_name);
        let bits = format!("rsa:{}", profile.key_bits);
        run(
            folder.path(),
            "openssl",
            &[
                "req",
                "-new",
                "-newkey",
                &bits,
                "-noenc",
                "-keyout",
                "signer.key",
                "-out",
                "signer.csr",
                "-subj",
                &subject,
            ],
        );
        let mut arguments =
            vec!["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "signer.csr", "-out", "signer.pem"];
        // A list signed at once is read at once, by a clock that was asked before.
        let yesterday = run(folder.path(), "date", &["-u", "-d", "1 day ago", "+%Y%m%d%H%M%SZ"]);
        match &profile.validity {
            Some((from, to)) => arguments.extend(["-startdate", from, "-enddate", to]),
            None => arguments.extend(["-startdate", yesterday.trim()]),
        }
        run(folder.path(), "openssl", &arguments);
        Self { folder, serial }
    }

    /// The number of its certificate, big endian, for a revocation list.
    pub fn serial(&self) -> Vec<u8> {
        let digits = self.serial.as_bytes().chunks(2);
        let octet = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        digits.map(|digits| octet(digits).expect("a serial is hexadecimal")).collect()
    }

    /// Fills the signature of a document with xmlsec1. `Id` attributes of the root can be referred to.
    pub fn sign(&self, document: &str) -> Vec<u8> {
        let at = |name: &str| self.folder.path().join(name);
        write(&at("list.xml"), document);
        let root = "https://listeblanche.mssante.fr/schema:ListeBlancheMSSante";
        let arguments = [
            "--sign",
            "--id-attr:Id",
            root,
            "--privkey-pem",
            "signer.key,signer.pem",
            "--output",
            "signed.xml",
            "list.xml",
        ];
        run(self.folder.path(), "xmlsec1", &arguments);
        std::fs::read(at("signed.xml")).expect("xmlsec1 has written the list")
    }
}

impl SignerProfile {
    fn configuration(&self, folder: &Path) -> String {
        let folder = folder.display();
        let mut text = format!(
            "[ca]\ndefault_ca=ca_default\n[ca_default]\ndatabase={folder}/index.txt\nserial={folder}/serial\nnew_certs_dir={folder}\n\
             certificate={folder}/ca.pem\nprivate_key={folder}/ca.key\ndefault_md=sha256\ndefault_days=30\npolicy=any\nx509_extensions=signer\n\
             unique_subject=no\n[any]\ncountryName=optional\norganizationName=optional\norganizationalUnitName=optional\n\
             commonName=supplied\n[signer]\nbasicConstraints=CA:false\n"
        );
        for (name, value) in [("extendedKeyUsage", &self.purpose), ("keyUsage", &self.key_usage)] {
            if !value.is_empty() {
                let _ = writeln!(text, "{name}={value}");
            }
        }
        let _ = writeln!(text, "subjectAltName=email:{}", self.mail);
        text
    }
}

/// Sixteen hexadecimal digits that no other signer of this machine has.
fn serial() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016X}", (RandomState::new().build_hasher().finish() >> 1) | 1 << 62)
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file can be written");
}

/// What it printed.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); tests/packages.sh test installs it")
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
