//! `vaguemestre demo`, described by the file that it writes.

use crate::authority::{self, Certificate, now};
use crate::engine::Rows;
use crate::fake_clock::FakeClock;
use crate::postgres::Postgres;
use crate::process::{Finished, Process, run_with_input};
use crate::tls::ClientTls;
use crate::wait::DEADLINE;
use pki::development::DevelopmentPki;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What `--describe` writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Process id.
    pub pid: u32,
    /// Anchors, root first.
    pub ca_file: PathBuf,
    /// Routes, read again at SIGHUP.
    pub routes_file: PathBuf,
    /// White list, read again at SIGHUP.
    pub whitelist_file: PathBuf,
    /// The authority.
    pub pki: Pki,
    /// The operators.
    pub operators: Vec<Site>,
}

/// The authority of the demo.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// Certificate of the issuing authority.
    pub issuing_ca_cert_file: PathBuf,
    /// Its key.
    pub issuing_ca_key_file: PathBuf,
    /// Revocation lists, read again at SIGHUP.
    pub crl_dir: PathBuf,
}

/// One operator of the demo.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its domain.
    pub domain: String,
    /// Its name in greetings.
    pub hostname: String,
    /// Its configuration.
    pub config_file: PathBuf,
    /// Its folder.
    pub data_dir: PathBuf,
    /// Ports by listener.
    pub ports: BTreeMap<String, u16>,
    /// Its certificate chain.
    pub server_cert_file: PathBuf,
    /// Its key.
    pub server_key_file: PathBuf,
    /// A token for its REST API.
    pub admin_token: String,
    /// Its mailboxes.
    pub mailboxes: Vec<Mailbox>,
    /// Its applications.
    pub applications: Vec<Application>,
}

/// One mailbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    /// Its address.
    pub address: String,
    /// Its kind.
    pub kind: String,
    /// Who logs in, unless by certificate only.
    pub username: Option<String>,
    /// The application password.
    pub password: Option<String>,
}

/// An application, which logs in with its certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The mailboxes that it opens.
    pub mailboxes: Vec<String>,
    /// Chain.
    pub cert_file: PathBuf,
    /// Key.
    pub key_file: PathBuf,
}

impl Application {
    /// What it presents.
    pub fn certificate(&self) -> Certificate {
        Certificate::read(&self.cert_file, &self.key_file)
    }
}

impl Site {
    /// Runs a command on this operator, beside its server.
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        self.cli_with_input(arguments, "")
    }

    /// The same, with this standard input.
    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let config = self.config_file.to_str().expect("paths are UTF-8");
        run_with_input(&[arguments, &["--config", config]].concat(), input)
    }

    /// The first mailbox of a kind.
    pub fn mailbox(&self, kind: &str) -> &Mailbox {
        self.mailboxes.iter().find(|mailbox| mailbox.kind == kind).expect("a mailbox of each kind")
    }

    /// The `n`-th personal mailbox.
    pub fn personal(&self, n: usize) -> &Mailbox {
        self.mailboxes.iter().filter(|mailbox| mailbox.kind == "personal").nth(n).expect("personal mailboxes")
    }

    /// What this operator presents to others.
    pub fn certificate(&self) -> Certificate {
        Certificate::read(&self.server_cert_file, &self.server_key_file)
    }

    /// A mailbox of its own for a scenario, and its holder's password, which nobody else has: of two persons with one password who may both open
    /// a mailbox, neither logs in to it. Its quota is `quota` octets.
    pub fn new_mailbox(&self, name: &str, quota: &str) -> Mailbox {
        self.new_mailbox_with(name, quota, &format!("horse-battery-of-{name}"))
    }

    /// The same with that password.
    pub fn new_mailbox_with(&self, name: &str, quota: &str, password: &str) -> Mailbox {
        let (address, password) = (format!("{name}@{}", self.domain), password.to_owned());
        let arguments =
            ["mailbox", "create", &address, "--kind", "personal", "--quota", quota, "--password-stdin"];
        self.cli_with_input(&arguments, &format!("{password}\n")).ok();
        Mailbox {
            username: Some(address.clone()),
            password: Some(password),
            kind: "personal".into(),
            address,
        }
    }
}

/// A running demo in a folder of its own.
#[derive(Debug)]
pub struct Demo {
    process: Process,
    description: Description,
    list_number: AtomicU64,
    home: Arc<Home>,
}

/// What outlives a run of the demo.
#[derive(Debug)]
struct Home {
    folder: TempDir,
    rows: Rows,
    clock: Option<FakeClock>,
}

impl Deref for Demo {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

impl Demo {
    /// Starts a demo.
    pub fn start() -> Self {
        Self::start_with(Rows::of_demo())
    }

    /// Starts a demo whose rows are kept by a PostgreSQL of the scenario's own, whatever the engine of the run.
    pub fn start_on(postgres: &Postgres) -> Self {
        Self::start_through(postgres, postgres.port())
    }

    /// The same, by way of another port of this machine that leads there.
    pub fn start_through(postgres: &Postgres, door: u16) -> Self {
        Self::start_with(Rows::of_demo_on(postgres, door))
    }

    /// Starts a demo whose wall clock can be set: see [`Demo::clock`].
    pub fn start_with_clock() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self::start_in(Arc::new(Home { folder, rows: Rows::of_demo(), clock: Some(FakeClock::new()) }))
    }

    fn start_with(rows: Rows) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self::start_in(Arc::new(Home { folder, rows, clock: None }))
    }

    /// One demo for all scenarios of a file that run at the same time. For those that disturb nobody.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Demo>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let demo = Arc::new(Self::start());
            *shared = Arc::downgrade(&demo);
            demo
        })
    }

    fn start_in(home: Arc<Home>) -> Self {
        let path = |name: &str| home.folder.path().join(name).to_str().expect("paths are UTF-8").to_owned();
        let (data, file, log) = (path("data"), path("description.json"), path("stderr.log"));
        // The description of an earlier run must not be taken for this one's.
        let _ = std::fs::remove_file(&file);
        let arguments = ["demo", "--data", &data, "--port-base", "0", "--describe", &file, "--log", "info"];
        let arguments = [&arguments, home.rows.arguments().as_slice()].concat();
        let environment = home.clock.as_ref().map(FakeClock::environment).unwrap_or_default();
        let mut process = Process::start_with(&arguments, Path::new(&log), &environment);
        let begin = Instant::now();
        while !Path::new(&file).exists() {
            assert!(process.ended().is_none(), "the demo ended at its start:\n{}", process.log());
            assert!(begin.elapsed() < DEADLINE, "the demo did not describe itself:\n{}", process.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read_to_string(&file).expect("the description can be read");
        let description = serde_json::from_str(&text).expect("the description has the promised form");
        let list_number = AtomicU64::new(now().secs().unsigned_abs() + 1000);
        Self { process, description, list_number, home }
    }

    /// Ends it and starts it again on the same folder, after `meanwhile`.
    pub fn restarted(mut self, end: impl FnOnce(&mut Process), meanwhile: impl FnOnce(&Description)) -> Self {
        end(&mut self.process);
        meanwhile(&self.description);
        Self::start_in(self.home.clone())
    }

    /// chu-nord.
    pub fn north(&self) -> &Site {
        &self.operators[0]
    }

    /// clinique-sud.
    pub fn south(&self) -> &Site {
        &self.operators[1]
    }

    /// Its wall clock.
    ///
    /// # Panics
    /// Unless it was started with one.
    pub fn clock(&self) -> &FakeClock {
        self.home.clock.as_ref().expect("started by `start_with_clock`")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything written to standard error.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The description file.
    pub fn description_file(&self) -> PathBuf {
        self.home.folder.path().join("description.json")
    }

    /// The issuing authority.
    pub fn authority(&self) -> DevelopmentPki {
        let issuing =
            std::fs::read_to_string(&self.pki.issuing_ca_cert_file).expect("the issuing certificate");
        authority::load(&self.ca_file, &issuing, &self.pki.issuing_ca_key_file)
    }

    /// A certificate of the authority for the server of a domain.
    pub fn certificate(&self, domain: &str) -> Certificate {
        Certificate::issue(&self.authority(), domain, now())
    }

    /// A client of the demo without a certificate.
    pub fn anonymous(&self) -> ClientTls {
        ClientTls::anonymous(&self.ca_file)
    }

    /// A client of the demo with a certificate.
    pub fn client(&self, certificate: &Certificate) -> ClientTls {
        ClientTls::with(&self.ca_file, certificate)
    }

    /// Adds a pair to the white list; in force after [`Demo::reload`].
    pub fn list(&self, domain: &str, subject: &str) {
        append(&self.whitelist_file, &format!("{domain};{subject}\n"));
    }

    /// Adds a route to a port of this machine; in force after [`Demo::reload`].
    pub fn route(&self, domain: &str, port: u16) {
        append(&self.routes_file, &format!("{domain} 127.0.0.1:{port}\n"));
    }

    /// Publishes a list that revokes exactly these; in force after [`Demo::reload`].
    pub fn revoke(&self, certificates: &[&Certificate]) {
        let serials: Vec<Vec<u8>> =
            certificates.iter().map(|certificate| certificate.serial.clone()).collect();
        let number = self.list_number.fetch_add(1, Ordering::Relaxed);
        let list = self.authority().issuing_crl_pem(now(), &serials, number).expect("a list can be made");
        std::fs::write(self.pki.crl_dir.join("issuing.pem"), list).expect("a list can be written");
    }

    /// SIGHUP, until both operators say that they have reloaded.
    pub fn reload(&self) {
        let count = |log: &str| log.matches("reloaded").count();
        let before = count(&self.log());
        self.process.signal("HUP");
        let begin = Instant::now();
        while count(&self.log()) < before + self.operators.len() {
            assert!(begin.elapsed() < DEADLINE, "no reload after SIGHUP:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn append(file: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("a shared file can be opened");
    file.write_all(line.as_bytes()).expect("a line can be added");
}
