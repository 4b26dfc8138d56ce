//! An OCSP responder of an OpenSSL authority: HTTP of our own around answers that `openssl ocsp` makes.

use crate::authority::Certificate;
use crate::openssl::{OpensslAuthority, openssl};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How the responder answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// Truly, for half an hour.
    Truly,
    /// Truly, without nextUpdate.
    Undated,
    /// The connection is closed.
    Closed,
    /// The connection is held open and nothing is said.
    Silent,
    /// tryLater.
    TryLater,
    /// `500 Internal Server Error`.
    HttpError,
    /// More than anybody should read.
    Huge,
    /// About the same certificate, but signed by somebody who may not.
    WrongSigner,
}

/// A running responder; it is gone when dropped.
#[derive(Debug)]
pub struct OcspResponder {
    /// Where it listens.
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    folder: TempDir,
    /// Serial number and letter of the index: V or R.
    entries: Vec<(String, char)>,
    answering: Answering,
    asked: usize,
    stranger: Certificate,
    authority_cert: PathBuf,
    signer: (PathBuf, PathBuf),
}

impl OcspResponder {
    /// A responder that signs with the authority's own key and knows no certificate yet.
    pub async fn of(authority: &OpensslAuthority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let state = Arc::new(Mutex::new(State {
            folder: TempDir::new().expect("a temporary folder"),
            entries: Vec::new(),
            answering: Answering::Truly,
            asked: 0,
            stranger: authority.issue(&crate::openssl::LeafPlan::default()),
            authority_cert: authority.cert_file(),
            signer: (authority.cert_file(), authority.key_file()),
        }));
        let known = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, known.clone()));
            }
        });
        Self { port, state, task }
    }

    /// The extension by which a certificate names it.
    pub fn extension(&self) -> String {
        format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{}/", self.port)
    }

    /// It says that this certificate is good.
    pub fn vouch(&self, certificate: &Certificate) {
        self.enter(certificate, 'V');
    }

    /// It says that this certificate is revoked.
    pub fn revoke(&self, certificate: &Certificate) {
        self.enter(certificate, 'R');
    }

    /// How it answers from now on.
    pub fn answer(&self, answering: Answering) {
        self.state().answering = answering;
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    fn enter(&self, certificate: &Certificate, letter: char) {
        let serial = certificate.serial.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        });
        let mut state = self.state();
        state.entries.retain(|(known, _)| *known != serial);
        state.entries.push((serial, letter));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OcspResponder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, state: Arc<Mutex<State>>) {
    let Some(request) = read_post(&mut client).await else { return };
    let answering = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        state.answering
    };
    let (status, body) = match answering {
        Answering::Closed => return,
        Answering::Silent => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
        Answering::TryLater => ("200 OK", vec![0x30, 3, 0x0a, 1, 3]),
        Answering::HttpError => ("500 Internal Server Error", Vec::new()),
        Answering::Huge => ("200 OK", vec![0x30; 1 << 20]),
        Answering::Truly | Answering::Undated | Answering::WrongSigner => {
            let made = tokio::task::spawn_blocking(move || {
                state.lock().unwrap_or_else(PoisonError::into_inner).made(&request)
            });
            ("200 OK", made.await.expect("openssl answers"))
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that has read enough goes away.
    let _ = client.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = client.shutdown().await;
}

impl State {
    fn made(&self, request: &[u8]) -> Vec<u8> {
        let file = |name: &str| self.folder.path().join(name);
        let write = |name: &str, content: &[u8]| {
            std::fs::write(file(name), content).expect("a file can be written");
            file(name)
        };
        let index = self.entries.iter().fold(String::new(), |mut index, (serial, letter)| {
            let revoked = if *letter == 'R' { "200101000000Z" } else { "" };
            let _ = writeln!(index, "{letter}\t991231235959Z\t{revoked}\t{serial}\tunknown\t/CN={serial}");
            index
        });
        let (cert, key) = if self.answering == Answering::WrongSigner {
            (
                write("stranger.pem", self.stranger.chain_pem.as_bytes()),
                write("stranger.key", self.stranger.key_pem.as_bytes()),
            )
        } else {
            self.signer.clone()
        };
        let (index, request) = (write("index", index.as_bytes()), write("request", request));
        let out = file("answer");
        let text = |path: &std::path::Path| path.to_str().expect("paths are UTF-8").to_owned();
        let words = [&index, &self.authority_cert, &cert, &key, &request, &out].map(|path| text(path));
        let [index, authority, cert, key, request, out_file] = &words;
        let mut arguments = vec![
            "ocsp", "-index", index, "-CA", authority, "-rsigner", cert, "-rkey", key, "-reqin", request,
            "-respout", out_file,
        ];
        if self.answering != Answering::Undated {
            arguments.extend(["-nmin", "30"]);
        }
        openssl(&arguments);
        std::fs::read(out).expect("openssl wrote an answer")
    }
}

/// The body of one POST of an OCSP request, as RFC 6960 appendix A.1 has it.
async fn read_post(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > 16_384 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    assert!(head.starts_with("post "), "{head}");
    assert!(head.contains("content-type: application/ocsp-request\r\n"), "{head}");
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
    while bytes.len() < head_end + length {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes[head_end..].to_vec())
}
