//! A name server that knows a handful of names (RFC 1035), for mail routing.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const A: u16 = 1;
const MX: u16 = 15;

/// What the server answers about a name.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// MX records: preference and host, `.` for none (RFC 7505).
    pub mx: Vec<(u16, &'static str)>,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// The server fails.
    pub fails: bool,
}

/// A server on a port of its own; it is gone when dropped. Names that it was not told do not exist.
#[derive(Debug)]
pub struct FakeDns {
    /// Where it listens.
    pub address: SocketAddr,
    names: Arc<Mutex<HashMap<&'static str, Name>>>,
    task: JoinHandle<()>,
}

impl FakeDns {
    /// Starts a server.
    pub async fn start(names: &[(&'static str, Name)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("a bound port");
        let names = Arc::new(Mutex::new(names.iter().cloned().collect::<HashMap<_, _>>()));
        let known = names.clone();
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((count, peer)) = socket.recv_from(&mut query).await {
                let answer = answer(&query[..count], &known.lock().unwrap_or_else(PoisonError::into_inner));
                if let Some(answer) = answer {
                    // An answer that is lost is asked for again.
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self { address, names, task }
    }

    /// Answers otherwise from now on.
    pub fn set(&self, name: &'static str, facts: Name) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name, facts);
    }
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a query of one question.
fn answer(query: &[u8], names: &HashMap<&'static str, Name>) -> Option<Vec<u8>> {
    let (name, after) = name(query, 12)?;
    let question = query.get(12..after + 4)?;
    let kind = u16::from_be_bytes([*query.get(after)?, *query.get(after + 1)?]);
    let facts = names.get(name.as_str());
    let records: Vec<Vec<u8>> = match (kind, facts) {
        (MX, Some(facts)) => facts
            .mx
            .iter()
            .map(|(preference, host)| [&preference.to_be_bytes()[..], &labels(host)].concat())
            .collect(),
        (A, Some(facts)) => facts.address.iter().map(|address| address.octets().to_vec()).collect(),
        _ => Vec::new(),
    };
    let code = match facts {
        None => 3,
        Some(facts) if facts.fails => 2,
        Some(_) => 0,
    };
    let count = u16::try_from(records.len()).ok()?;
    let mut out =
        [&query[..2], &[0x81, 0x80 | code, 0, 1], &count.to_be_bytes(), &[0, 0, 0, 0], question].concat();
    for record in records {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 1]);
        out.extend_from_slice(&u16::try_from(record.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&record);
    }
    Some(out)
}

/// The name at an offset, in small letters, and what follows it.
fn name(query: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_ascii_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
}

fn labels(host: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in host.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("labels are short"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}
