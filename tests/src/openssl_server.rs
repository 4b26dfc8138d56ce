//! The servers of foreign operators, with the TLS of OpenSSL (by way of Python's).

use crate::authority::Certificate;
use crate::wait::DEADLINE;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One server that is to be.
#[derive(Clone, Debug)]
pub struct ServerPlan<'a> {
    /// Its name.
    pub name: String,
    /// What it presents.
    pub certificate: &'a Certificate,
    /// `usual`, `clear`, `stripped`, `refused` or `injecting`.
    pub behaviour: &'a str,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: &'a str,
}

/// What one server saw.
#[derive(Clone, Debug, Default)]
pub struct ServerSight {
    /// Where it listens.
    pub port: Option<u16>,
    /// Connections that were opened.
    pub opened: usize,
    /// Connections that are over.
    pub ended: usize,
    /// Commands, in clear or under TLS.
    pub commands: Vec<String>,
    /// Handshakes that were finished: version, and the client's certificate if one was shown.
    pub handshakes: Vec<String>,
    /// What ended connections.
    pub failures: Vec<String>,
    /// Contents that were taken.
    pub messages: Vec<String>,
    /// A reply in clear was believed under TLS.
    pub believed: bool,
}

impl ServerSight {
    /// Whether it was tried, and nobody is trying now.
    pub fn was_tried(&self) -> bool {
        self.opened > 0 && self.opened == self.ended
    }

    /// Commands that tell of a message, or hold an address.
    pub fn leaks(&self) -> Vec<&String> {
        let harmless = ["EHLO ", "STARTTLS", "QUIT", "NOOP"];
        let is_leak =
            |line: &&String| line.contains('@') || !harmless.iter().any(|word| line.starts_with(word));
        self.commands.iter().filter(is_leak).collect()
    }
}

#[derive(Deserialize)]
struct Event {
    name: String,
    what: String,
    told: serde_json::Value,
}

/// Running servers; they end when dropped.
#[derive(Debug)]
pub struct OpensslServers {
    child: Child,
    _input: ChildStdin,
    sights: Arc<Mutex<BTreeMap<String, ServerSight>>>,
    _folder: TempDir,
}

impl OpensslServers {
    /// Starts them. They ask for a certificate of an authority of `ca_file`.
    ///
    /// # Panics
    /// When Python is not there or one of them does not start.
    pub fn start(plans: &[ServerPlan<'_>], ca_file: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let entries = plans.iter().map(|plan| {
            let file = |kind: &str, content: &str| {
                let path = folder.path().join(format!("{}.{kind}", plan.name));
                std::fs::write(&path, content).expect("an identity can be written");
                path
            };
            json!({
                "name": plan.name,
                "cert": file("pem", &plan.certificate.chain_pem),
                "key": file("key", &plan.certificate.key_pem),
                "ca": ca_file,
                "behaviour": plan.behaviour,
                "version": plan.version,
            })
        });
        let list = folder.path().join("servers.json");
        let text = serde_json::Value::Array(entries.collect()).to_string();
        std::fs::write(&list, text).expect("the list of servers can be written");
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("openssl_server.py")]).arg(list);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 is installed");
        let input = child.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let sights = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = sights.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                note(&mut lock(&shared), &line);
            }
        });
        let servers = Self { child, _input: input, sights, _folder: folder };
        servers.wait("every server listens", |sights| {
            sights.len() == plans.len() && sights.values().all(|sight| sight.port.is_some())
        });
        servers
    }

    /// What a server saw so far.
    pub fn sight(&self, name: &str) -> ServerSight {
        lock(&self.sights).get(name).cloned().unwrap_or_default()
    }

    /// Where a server listens.
    pub fn port(&self, name: &str) -> u16 {
        self.sight(name).port.expect("the server listens")
    }

    /// Waits until what they saw is as wanted.
    ///
    /// # Panics
    /// At the deadline.
    pub fn wait(&self, what: &str, is_so: impl Fn(&BTreeMap<String, ServerSight>) -> bool) {
        let begin = Instant::now();
        while !is_so(&lock(&self.sights)) {
            assert!(begin.elapsed() < DEADLINE, "waited in vain: {what}: {:#?}", lock(&self.sights));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for OpensslServers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(sights: &Mutex<BTreeMap<String, ServerSight>>) -> MutexGuard<'_, BTreeMap<String, ServerSight>> {
    sights.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(sights: &mut BTreeMap<String, ServerSight>, line: &str) {
    let Event { name, what, told } = serde_json::from_str(line).expect("the servers say what they promised");
    let sight = sights.entry(name).or_default();
    let text = || told.as_str().unwrap_or_default().to_owned();
    match what.as_str() {
        "port" => sight.port = told.as_u64().and_then(|port| port.try_into().ok()),
        "opened" => sight.opened += 1,
        "ended" => sight.ended += 1,
        "command" => sight.commands.push(text()),
        "handshake" => sight.handshakes.push(told.to_string()),
        "failed" => sight.failures.push(text()),
        "message" => sight.messages.push(text()),
        "believed" => sight.believed = true,
        other => panic!("the servers say {other}"),
    }
}
