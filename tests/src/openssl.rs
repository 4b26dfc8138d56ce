//! Certificates, revocation lists and clients made with OpenSSL: another implementation than the program's, to judge it by.

use crate::authority::{Certificate, now};
use mail_types::Timestamp;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const DAY_SECS: i64 = 86_400;
const P256: &str = "ec";

/// Runs `openssl`; its standard output.
///
/// # Panics
/// When it fails.
pub fn openssl(arguments: &[&str]) -> String {
    let output =
        Command::new("openssl").args(arguments).stdin(Stdio::null()).output().expect("openssl is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}:\n{errors}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A certification authority in a folder of its own, kept by `openssl ca`.
#[derive(Debug)]
pub struct OpensslAuthority {
    folder: TempDir,
    issuers_pem: String,
}

/// What a certificate is to be. Days count from now.
#[derive(Clone, Copy, Debug)]
pub struct LeafPlan<'a> {
    /// `/C=FR/…/CN=…`, widest first.
    pub subject: &'a str,
    /// subjectAltName: `DNS:mx.example,IP:127.0.0.1`.
    pub names: &'a str,
    /// extendedKeyUsage.
    pub usages: &'a str,
    /// First day of validity.
    pub from_day: i64,
    /// Last day of validity.
    pub to_day: i64,
    /// More lines of extensions.
    pub extensions: &'a str,
    /// As `openssl req -newkey` takes it.
    pub key: &'a str,
}

impl Default for LeafPlan<'_> {
    fn default() -> Self {
        Self {
            subject: "/C=FR/O=HOPITAL TIERS/CN=localhost",
            names: "DNS:localhost,IP:127.0.0.1",
            usages: "serverAuth,clientAuth",
            from_day: -1,
            to_day: 365,
            extensions: "",
            key: P256,
        }
    }
}

impl OpensslAuthority {
    /// A root.
    pub fn root(common_name: &str) -> Self {
        let authority = Self::prepare(String::new());
        let (key, cert) = (authority.file("key.pem"), authority.file("cert.pem"));
        authority.request(
            &format!("/C=FR/O=VAGUEMESTRE ESSAIS/CN={common_name}"),
            P256,
            &key,
            Some((&cert, "root")),
        );
        authority
    }

    /// An authority below this one.
    pub fn authority(&self, common_name: &str) -> Self {
        let authority = Self::prepare(self.cert_pem());
        let key = authority.file("key.pem");
        let request =
            authority.request(&format!("/C=FR/O=VAGUEMESTRE ESSAIS/CN={common_name}"), P256, &key, None);
        let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
                          subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        self.sign(&request, extensions, -1, 3650, &authority.file("cert.pem"));
        authority
    }

    /// A certificate, followed in its chain by the authorities below the root.
    pub fn issue(&self, plan: &LeafPlan<'_>) -> Certificate {
        let serial = self.next();
        let key = self.file(&format!("leaf-{serial}.key"));
        let request = self.request(plan.subject, plan.key, &key, None);
        let leaf = self.file(&format!("leaf-{serial}.pem"));
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={}\nsubjectAltName={}\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{}\n",
            plan.usages, plan.names, plan.extensions
        );
        self.sign(&request, &extensions, plan.from_day, plan.to_day, &leaf);
        let issuer = if self.issuers_pem.is_empty() { String::new() } else { self.cert_pem() };
        read(&leaf, &key, &issuer)
    }

    /// A revocation list of exactly these, with this number.
    pub fn list(&self, revoked: &[&Certificate], number: u64) -> String {
        self.list_between(revoked, number, -1, 30)
    }

    /// The same, issued and due on these days.
    pub fn list_between(&self, revoked: &[&Certificate], number: u64, from_day: i64, to_day: i64) -> String {
        let serials: Vec<String> = revoked.iter().map(|certificate| hex(&certificate.serial)).collect();
        self.list_of_serials(&serials, number, from_day, to_day)
    }

    /// A list of `count` certificates that do not exist, and of these.
    pub fn huge_list(&self, count: u32, revoked: &[&Certificate], number: u64) -> String {
        let mut serials: Vec<String> = (0..count).map(|n| format!("7E{n:030X}")).collect();
        serials.extend(revoked.iter().map(|certificate| hex(&certificate.serial)));
        self.list_of_serials(&serials, number, -1, 30)
    }

    fn list_of_serials(&self, serials: &[String], number: u64, from_day: i64, to_day: i64) -> String {
        let (expiry, revoked, mut index) = (date(365, 2), date(-1, 2), String::new());
        for serial in serials {
            let _ = writeln!(index, "R\t{expiry}\t{revoked}\t{serial}\tunknown\t/CN=revoked");
        }
        std::fs::write(self.file("revoked.txt"), index).expect("an index can be written");
        let digits = format!("{number:X}");
        let even = if digits.len() % 2 == 0 { digits } else { format!("0{digits}") };
        std::fs::write(self.file("number"), even + "\n").expect("a number can be written");
        let out = self.file("list.pem");
        let config = self.file("lists.cnf");
        openssl(&[
            "ca",
            "-gencrl",
            "-config",
            text(&config),
            "-crl_lastupdate",
            &date(from_day, 4),
            "-crl_nextupdate",
            &date(to_day, 4),
            "-out",
            text(&out),
        ]);
        std::fs::read_to_string(out).expect("a list was written")
    }

    /// Its certificate.
    pub fn cert_pem(&self) -> String {
        std::fs::read_to_string(self.cert_file()).expect("an authority has a certificate")
    }

    /// Its certificate and key, to be revoked or misused.
    pub fn certificate(&self) -> Certificate {
        read(&self.cert_file(), &self.key_file(), "")
    }

    /// The file of its certificate.
    pub fn cert_file(&self) -> PathBuf {
        self.file("cert.pem")
    }

    /// The file of its key.
    pub fn key_file(&self) -> PathBuf {
        self.file("key.pem")
    }

    fn prepare(issuers_pem: String) -> Self {
        let authority = Self { folder: TempDir::new().expect("a temporary folder"), issuers_pem };
        let dir = authority.folder.path().display().to_string();
        for (name, database) in [("ca.cnf", "index.txt"), ("lists.cnf", "revoked.txt")] {
            File::create(authority.file(database)).expect("an index can be made");
            let text = format!(
                "[ca]\ndefault_ca=this\n[this]\ndatabase={dir}/{database}\ncrlnumber={dir}/number\nrand_serial=yes\ncertificate={dir}/cert.pem\n\
                 private_key={dir}/key.pem\nnew_certs_dir={dir}\ndefault_md=sha256\nunique_subject=no\npreserve=yes\npolicy=any\n\
                 crl_extensions=list\n[any]\nC=optional\nST=optional\nO=optional\nOU=optional\nCN=optional\n[list]\nauthorityKeyIdentifier=keyid\n\
                 [req]\nprompt=no\ndistinguished_name=none\nstring_mask=utf8only\nutf8=yes\n[none]\n[root]\nbasicConstraints=critical,CA:TRUE\n\
                 keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n[alone]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                 extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"
            );
            std::fs::write(authority.file(name), text).expect("a configuration can be written");
        }
        authority
    }

    /// A new key and a request for it, or a certificate that it signs itself.
    fn request(&self, subject: &str, kind: &str, key: &Path, self_signed: Option<(&Path, &str)>) -> PathBuf {
        let out = self_signed.map_or_else(|| self.file("request.pem"), |(cert, _)| cert.to_owned());
        let config = self.file("ca.cnf");
        let curve = if kind == P256 { &["-pkeyopt", "ec_paramgen_curve:P-256"][..] } else { &[] };
        let common: [&str; 11] = [
            "req",
            "-new",
            "-newkey",
            kind,
            "-nodes",
            "-config",
            text(&config),
            "-keyout",
            text(key),
            "-out",
            text(&out),
        ];
        let own: [&str; 4] = ["-utf8", "-multivalue-rdn", "-subj", subject];
        let alone = self_signed.map(|(_, section)| ["-x509", "-days", "3650", "-extensions", section]);
        openssl(&[&common[..], curve, &own, alone.as_ref().map_or(&[][..], |words| words)].concat());
        out
    }

    fn sign(&self, request: &Path, extensions: &str, from_day: i64, to_day: i64, out: &Path) {
        let (config, file) = (self.file("ca.cnf"), self.file("extensions.cnf"));
        std::fs::write(&file, extensions).expect("extensions can be written");
        openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-utf8",
            "-config",
            text(&config),
            "-startdate",
            &date(from_day, 4),
            "-enddate",
            &date(to_day, 4),
            "-extfile",
            text(&file),
            "-in",
            text(request),
            "-out",
            text(out),
        ]);
    }

    fn next(&self) -> usize {
        std::fs::read_dir(self.folder.path()).expect("the folder can be read").count()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A certificate that vouches for itself, and says that it is no authority.
pub fn self_signed(subject: &str) -> Certificate {
    let folder = OpensslAuthority::prepare(String::new());
    let (key, cert) = (folder.file("key.pem"), folder.file("cert.pem"));
    folder.request(subject, P256, &key, Some((&cert, "alone")));
    read(&cert, &key, "")
}

fn read(leaf: &Path, key: &Path, issuers_pem: &str) -> Certificate {
    let name_options = "RFC2253,-esc_msb,utf8";
    let told =
        openssl(&["x509", "-in", text(leaf), "-noout", "-serial", "-subject", "-nameopt", name_options]);
    let after = |name: &str| {
        told.lines().find_map(|line| line.strip_prefix(name)).expect("openssl names it").to_owned()
    };
    let contents = |path: &Path| std::fs::read_to_string(path).expect("openssl wrote it");
    Certificate {
        chain_pem: contents(leaf) + issuers_pem,
        key_pem: contents(key),
        subject: after("subject="),
        serial: bytes(&after("serial=")),
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, so many days from now.
fn date(days: i64, year_digits: usize) -> String {
    let Timestamp(ms) = now().plus_secs(days * DAY_SECS);
    let secs = (ms / 1000).to_string();
    let format = if year_digits == 2 { "+%y%m%d%H%M%SZ" } else { "+%Y%m%d%H%M%SZ" };
    let output = Command::new("date")
        .args(["-u", "-d", &format!("@{secs}"), format])
        .output()
        .expect("date is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths are UTF-8")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len() / 2).map(|n| digits(2 * n)).collect()
}
