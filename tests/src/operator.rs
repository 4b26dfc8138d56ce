//! One operator set up by hand: `init`, an edited configuration, `serve`.

use crate::authority::{self, Certificate, now};
use crate::demo::Mailbox;
use crate::disk::Disk;
use crate::engine::Rows;
use crate::imap::Imap;
use crate::postgres;
use crate::process::{Finished, Process, run, run_with_input};
use crate::tls::ClientTls;
use crate::wait::DEADLINE;
use crate::wire::Wire;
use pki::development::DevelopmentPki;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpSocket;

const USUAL_PORTS: [(&str, u16); 6] =
    [("smtp", 25), ("submission", 587), ("submissions", 465), ("imap", 143), ("imaps", 993), ("https", 8443)];

/// An operator in a folder of its own, running or not.
#[derive(Debug)]
pub struct Operator {
    /// Ports by listener.
    pub ports: BTreeMap<String, u16>,
    /// Its domain.
    pub domain: String,
    process: Option<Process>,
    // Unmounted after the server has ended and before the folder goes.
    disk: Option<Disk>,
    folder: TempDir,
    rows: Rows,
}

impl Operator {
    /// `init` on free ports of this machine, without `serve`.
    pub fn init(domain: &str) -> Self {
        Self::init_in(TempDir::new().expect("a temporary folder"), None, domain)
    }

    /// The same, with its folder on a disk of `mib` MiB of its own.
    ///
    /// # Panics
    /// When this process may not mount.
    pub fn init_on_small_disk(domain: &str, mib: u32) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let disk = Disk::mount(&folder.path().join("operator"), mib);
        Self::init_in(folder, Some(disk), domain)
    }

    fn init_in(folder: TempDir, disk: Option<Disk>, domain: &str) -> Self {
        let operator = Self {
            ports: free_ports(),
            domain: domain.to_owned(),
            process: None,
            disk,
            folder,
            rows: Rows::of_operator(),
        };
        operator.init_again();
        for (name, usual) in USUAL_PORTS {
            let port = operator.ports[name];
            operator.edit(&format!("0.0.0.0:{usual}\""), &format!("127.0.0.1:{port}\""));
        }
        operator
    }

    /// The same `init` once more.
    pub fn init_again(&self) {
        let dir = self.dir();
        let arguments = ["init", "--domain", &self.domain, "--dir", dir.to_str().expect("paths are UTF-8")];
        run(&[&arguments, self.rows.arguments().as_slice()].concat()).ok();
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    /// Its configuration.
    pub fn config_file(&self) -> PathBuf {
        self.dir().join("vaguemestre.toml")
    }

    /// Replaces a text of the configuration that must be there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config_file()).expect("init writes a configuration");
        assert!(text.contains(from), "`{from}` is not in the configuration:\n{text}");
        std::fs::write(self.config_file(), text.replace(from, to)).expect("the configuration can be edited");
    }

    /// Runs a command on it.
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        self.cli_with_input(arguments, "")
    }

    /// The same, with this standard input.
    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let config = self.config_file();
        run_with_input(&[arguments, &["--config", config.to_str().expect("paths are UTF-8")]].concat(), input)
    }

    /// `serve`, until its listeners answer.
    pub fn serve(&mut self) {
        let config = self.config_file();
        let arguments = ["serve", "--config", config.to_str().expect("paths are UTF-8")];
        let mut process = Process::start(&arguments, &self.folder.path().join("stderr.log"));
        let begin = Instant::now();
        while self.ports.values().any(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            assert!(process.ended().is_none(), "`serve` ended at its start:\n{}", process.log());
            assert!(begin.elapsed() < DEADLINE, "not every listener answers:\n{}", process.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }

    /// The running server.
    ///
    /// # Panics
    /// Before [`Operator::serve`].
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("`serve` runs")
    }

    /// Its own disk.
    ///
    /// # Panics
    /// Unless it has one.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("made by `init_on_small_disk`")
    }

    /// Runs a statement on its rows, behind the program's back.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, statement: &str) {
        if let Some(url) = &self.rows.url {
            postgres::sql(url, statement);
            return;
        }
        const SCRIPT: &str = "import sqlite3, sys; rows = sqlite3.connect(sys.argv[1]); rows.execute(sys.argv[2]); rows.commit()";
        let file = self.file("vaguemestre.db");
        let done = Command::new("python3").args(["-c", SCRIPT]).arg(file).arg(statement).status();
        assert!(done.is_ok_and(|status| status.success()), "{statement}");
    }

    /// A personal mailbox, and its holder's password.
    pub fn new_mailbox(&self, name: &str) -> Mailbox {
        let (address, password) = (format!("{name}@{}", self.domain), "correct-horse-battery".to_owned());
        let arguments =
            ["mailbox", "create", &address, "--kind", "personal", "--quota", "1G", "--password-stdin"];
        self.cli_with_input(&arguments, &format!("{password}\n")).ok();
        Mailbox {
            username: Some(address.clone()),
            password: Some(password),
            kind: "personal".into(),
            address,
        }
    }

    /// A client without a certificate.
    pub fn anonymous(&self) -> ClientTls {
        ClientTls::anonymous(&self.ca_file())
    }

    /// A connection to its submissions port, logged in.
    pub async fn submission(&self, mailbox: &Mailbox) -> Wire {
        Wire::login(self.ports["submissions"], &self.anonymous(), mailbox).await
    }

    /// A connection to its IMAP port, logged in.
    pub async fn imap(&self, mailbox: &Mailbox) -> Imap {
        let (Some(username), Some(password)) = (&mailbox.username, &mailbox.password) else {
            panic!("{} has no password", mailbox.address)
        };
        let mut imap = Imap::connect(self.ports["imaps"], &self.anonymous()).await;
        imap.ok(&format!("LOGIN \"{username}\" \"{password}\"")).await;
        imap
    }

    /// Resident memory of the running server, KiB.
    ///
    /// # Panics
    /// Before [`Operator::serve`].
    pub fn resident_kib(&self) -> u64 {
        self.process.as_ref().expect("`serve` runs").resident_kib()
    }

    /// What `init` trusts.
    pub fn ca_file(&self) -> PathBuf {
        self.dir().join("trust/anchors.pem")
    }

    /// The development authority that `init` made.
    pub fn authority(&self) -> DevelopmentPki {
        let anchors = std::fs::read_to_string(self.ca_file()).expect("init writes anchors");
        let issuing = authority::certificates(&anchors)
            .nth(1)
            .expect("the root, then the issuing authority")
            .to_owned();
        authority::load(&self.ca_file(), &issuing, &self.dir().join("trust/development-issuing.key"))
    }

    /// A client with a certificate of its authority for `domain`.
    pub fn client(&self, domain: &str) -> ClientTls {
        ClientTls::with(&self.ca_file(), &Certificate::issue(&self.authority(), domain, now()))
    }

    /// A file of its folder.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }
}

fn free_ports() -> BTreeMap<String, u16> {
    USUAL_PORTS.map(|(name, _)| (name.to_owned(), free_port())).into()
}

/// A port that nobody listens on, below the range that the system gives from, and never the same twice: it is held until this process ends,
/// so that no other scenario takes it, by a socket that lets others listen there.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static HELD: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let begin = u16::try_from(std::process::id() % 1000).expect("below a thousand") * 12;
    loop {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let socket = TcpSocket::new_v4().expect("a socket");
        // Alone at first: this fails where anybody is, and whoever holds a port in the same way is somebody.
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if socket.set_reuseaddr(false).and_then(|()| socket.bind(address)).is_ok() {
            socket.set_reuseaddr(true).expect("an option of every socket");
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
            return port;
        }
    }
}
