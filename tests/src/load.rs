//! Senders that keep sending: each message again until it is acknowledged, as a mail server does.

use crate::demo::Mailbox;
use crate::tls::ClientTls;
use crate::wire::Wire;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Who sends what to whom.
#[derive(Clone, Debug)]
pub struct Route {
    /// The port of an MX listener, or of submissions.
    pub port: u16,
    /// With the certificate of another operator, or without one.
    pub tls: ClientTls,
    /// Who logs in, for submissions.
    pub login: Option<Mailbox>,
    /// The reverse-path.
    pub from: String,
    /// The forward-paths.
    pub to: Vec<String>,
    /// Octets of body in each message.
    pub size: usize,
}

/// What one sender heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Markers of the messages answered 250.
    pub acknowledged: Vec<String>,
    /// Every other answer, as code and text.
    pub refusals: Vec<String>,
    /// Connections that broke or could not be made.
    pub breaks: usize,
    /// The longest wait for an answer.
    pub longest: Duration,
}

impl Heard {
    /// What other senders heard, too.
    pub fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.refusals.extend(other.refusals);
        self.breaks += other.breaks;
        self.longest = self.longest.max(other.longest);
    }
}

/// Senders at work.
#[derive(Debug)]
pub struct Load {
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    senders: JoinSet<Heard>,
}

impl Load {
    /// `count` senders on a route. `name` must be its own in the scenario.
    pub fn begin(name: &str, route: &Route, count: usize) -> Self {
        let (is_over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut senders = JoinSet::new();
        for number in 0..count {
            let (route, is_over, acknowledged) = (route.clone(), is_over.clone(), acknowledged.clone());
            let name = format!("{name}-{number}");
            senders.spawn(async move {
                let mut sender = Sender { route, name, wire: None, heard: Heard::default() };
                let mut message = 0;
                while !is_over.load(Ordering::Relaxed) {
                    if sender.repeat(message, &is_over).await {
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                        message += 1;
                    }
                }
                sender.heard
            });
        }
        Self { is_over, acknowledged, senders }
    }

    /// Messages answered 250 so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends it: each sender after its next answer, whatever it is.
    pub async fn end(mut self) -> Heard {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Heard::default();
        while let Some(heard) = self.senders.join_next().await {
            all.add(heard.expect("a sender does not panic"));
        }
        all
    }
}

struct Sender {
    route: Route,
    name: String,
    wire: Option<Wire>,
    heard: Heard,
}

impl Sender {
    /// One message, until it is acknowledged or the load is over; whether it was.
    async fn repeat(&mut self, number: usize, is_over: &AtomicBool) -> bool {
        let marker = format!("{}-{number}.", self.name);
        loop {
            let begin = Instant::now();
            let answer = self.attempt(&marker).await;
            self.heard.longest = self.heard.longest.max(begin.elapsed());
            match answer {
                Ok(text) if text.starts_with("250") => {
                    self.heard.acknowledged.push(marker);
                    return true;
                }
                Ok(text) => {
                    // A server that says 421 closes; after any other refusal a fresh connection is as good.
                    self.wire = None;
                    self.heard.refusals.push(text);
                }
                Err(_) => {
                    self.wire = None;
                    self.heard.breaks += 1;
                }
            }
            if is_over.load(Ordering::Relaxed) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn attempt(&mut self, marker: &str) -> io::Result<String> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => match &self.route.login {
                None => Wire::try_mx(self.route.port, &self.route.tls).await?,
                Some(mailbox) => Wire::try_login(self.route.port, &self.route.tls, mailbox).await?,
            },
        };
        let content = noise_letter(marker, self.route.size);
        let reply = wire.try_letter(&self.route.from, &self.route.to, &content).await?;
        self.wire = Some(wire);
        Ok(reply.text())
    }
}

/// A letter with `marker` for its subject and `size` octets that do not compress: the same for the same marker, as a repeated message must be.
pub fn noise_letter(marker: &str, size: usize) -> Vec<u8> {
    let mut state = marker.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, octet| {
        (state ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut text = format!(
        "Date: Sat, 21 Nov 2026 09:00:00 +0100\r\nMessage-ID: <{marker}load@scenario.example>\r\nSubject: {marker}\r\n\r\n"
    )
    .into_bytes();
    for position in 0..size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        text.push(noise[usize::from((state >> 58) as u8)]);
        if position % 76 == 75 {
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}
