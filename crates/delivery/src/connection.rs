//! One connection to another operator's server: verified before it hears of any message.

use crate::Delivery;
use crate::next_hop::Target;
use journal::{Direction, Judgement, Ruling};
use mail_types::{Domain, Reply};
use pki::Rejection;
use policy::{NextHopFacts, TrustList, Verdict};
use smtp_session::client::{Extensions, ReplyParser, ServerReply};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

/// RFC 5321 §4.5.3.2 wants five minutes for most commands, ten for the end of data; a server that is slower than this is not working.
const REPLY_TIMEOUT: Duration = Duration::from_secs(120);
const FINAL_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a judgement counts: certificates and lists expire meanwhile.
const JUDGEMENT_AGE_MAX: Duration = Duration::from_secs(60);
/// For writing one piece of content.
const WRITE_TIMEOUT: Duration = Duration::from_secs(180);

/// Why a connection did not come about, or broke. `word` is for metrics, `text` for logs and notifications: no address in either.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) word: &'static str,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, text: text.into() }
    }

    /// As if the server had said it.
    pub(crate) fn as_reply(&self) -> ServerReply {
        ServerReply::local(451, self.status(), &self.text)
    }

    /// RFC 3463 §3.5 to §3.8, RFC 5248: what kind of cause it is.
    fn status(&self) -> (u8, u16, u16) {
        match self.word {
            "connect" => (4, 4, 1),
            "broken" | "timeout" | "greeting" | "hello" => (4, 4, 2),
            "protocol" => (4, 5, 0),
            "body" => (4, 3, 0),
            "starttls" => (4, 7, 10),
            "not_listed" | "no_white_list" => (4, 7, 1),
            // What remains is said of certificates.
            _ => (4, 7, 5),
        }
    }
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// A server that may be given mail for the domain it was opened for.
pub(crate) struct Connection {
    stream: Stream,
    replies: ReplyParser,
    pub(crate) extensions: Extensions,
    pub(crate) host: String,
    /// Whether a message was sent, or tried, over it.
    pub(crate) was_used: bool,
    basis: Box<Basis>,
}

/// By what a connection was judged, and when.
struct Basis {
    changes: watch::Receiver<u64>,
    trust: Arc<TrustList>,
    at: Instant,
}

impl Basis {
    fn of(delivery: &Delivery) -> Self {
        Self { changes: delivery.pki.changes(), trust: delivery.trust.load_full(), at: Instant::now() }
    }
}

impl Connection {
    /// Connects, starts TLS, verifies the peer's certificate against trust and white list, greets again.
    pub(crate) async fn open(delivery: &Delivery, domain: &Domain, target: &Target) -> Result<Self, Failure> {
        let tcp = tokio::time::timeout(delivery.connect_timeout, TcpStream::connect(target.address))
            .await
            .map_err(|_| Failure::new("connect", format!("connection to {} timed out", target.host)))?
            .map_err(|e| Failure::new("connect", format!("connection to {} failed: {e}", target.host)))?;
        // Without it each small command waits for a delayed acknowledgement.
        let _ = tcp.set_nodelay(true);
        let mut connection = Self {
            stream: Stream::Clear(tcp),
            replies: ReplyParser::new(),
            extensions: Extensions::default(),
            host: target.host.clone(),
            was_used: false,
            // Taken before the handshake: what changes while it is under way is not missed.
            basis: Box::new(Basis::of(delivery)),
        };
        connection.expect_greeting(delivery.connect_timeout).await?;
        connection.hello(&delivery.hostname).await?;
        let connection = connection.secure(delivery, domain, target).await?;
        Ok(connection)
    }

    /// Whether it is judged by what is in force now, and not too long ago.
    pub(crate) fn is_still_judged(&self, delivery: &Delivery) -> bool {
        let basis = &self.basis;
        // A sender that is gone tells of no change any more.
        let is_unchanged = basis.changes.has_changed().is_ok_and(|has_changed| !has_changed);
        let is_recent = basis.at.elapsed() < JUDGEMENT_AGE_MAX;
        is_unchanged && is_recent && Arc::ptr_eq(&basis.trust, &delivery.trust.load())
    }

    /// A server that accepts and says nothing is not waited for as long as one that works.
    async fn expect_greeting(&mut self, limit: Duration) -> Result<(), Failure> {
        let reply = self.reply_within(limit).await?;
        if reply.code == 220 {
            Ok(())
        } else {
            Err(Failure::new("greeting", format!("{} greeted with {reply}", self.host)))
        }
    }

    async fn hello(&mut self, hostname: &str) -> Result<(), Failure> {
        self.send(format!("EHLO {hostname}\r\n").as_bytes()).await?;
        let reply = self.reply().await?;
        if !reply.is_completion() {
            return Err(Failure::new("hello", format!("{} answered EHLO with {reply}", self.host)));
        }
        self.extensions = Extensions::from_ehlo(&reply);
        Ok(())
    }

    async fn secure(
        mut self,
        delivery: &Delivery,
        domain: &Domain,
        target: &Target,
    ) -> Result<Self, Failure> {
        if !self.extensions.starttls {
            journal(delivery, domain, target, Ruling::Deferred, "starttls", |_| {});
            return Err(Failure::new("starttls", format!("{} does not offer STARTTLS", self.host)));
        }
        self.send(b"STARTTLS\r\n").await?;
        let reply = self.reply().await?;
        // Octets after the 220 would be read as if they came under TLS.
        if reply.code != 220 || !self.replies.is_empty() {
            return Err(Failure::new("starttls", format!("{} answered STARTTLS with {reply}", self.host)));
        }
        let Stream::Clear(tcp) = self.stream else {
            return Err(Failure::new("starttls", "TLS is active already"));
        };
        let connected =
            tokio::time::timeout(delivery.connect_timeout, delivery.tls.connect(tcp, &target.names))
                .await
                .map_err(|_| {
                    Failure::new("handshake", format!("TLS handshake with {} timed out", target.host))
                })?
                .map_err(|failure| {
                    let word = failure.rejection.map_or("handshake", Rejection::as_str);
                    journal(delivery, domain, target, Ruling::HandshakeFailed, word, |judgement| {
                        judgement.certificate = failure.presented.clone().map(Into::into);
                    });
                    Failure::new(
                        word,
                        format!("TLS handshake with {} failed: {}", target.host, failure.cause()),
                    )
                })?;
        let trust = delivery.trust.load();
        let facts = NextHopFacts { peer: &connected.peer, trust: &trust, now: delivery.store.now(), domain };
        let verdict = policy::next_hop(&facts);
        let (ruling, reason) = match verdict {
            Verdict::Accept => (Ruling::Accepted, "listed"),
            Verdict::Defer(reason) => (Ruling::Deferred, reason.as_str()),
            Verdict::Reject(reason) => (Ruling::Rejected, reason.as_str()),
        };
        journal(delivery, domain, target, ruling, reason, |judgement| {
            judgement.certificate = Some((&connected.peer).into());
            judgement.tls = Some((connected.protocol, connected.suite));
        });
        if let Verdict::Defer(reason) | Verdict::Reject(reason) = verdict {
            return Err(Failure::new(
                reason.as_str(),
                format!("certificate of {} is not trusted for this domain: {}", target.host, reason.as_str()),
            ));
        }
        let mut secured = Self {
            stream: Stream::Tls(Box::new(connected.stream)),
            replies: ReplyParser::new(),
            extensions: Extensions::default(),
            host: self.host,
            was_used: false,
            basis: self.basis,
        };
        secured.hello(&delivery.hostname).await?;
        Ok(secured)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure::new("broken", format!("connection to {} broke: {e}", self.host))),
            Err(_) => Err(Failure::new("timeout", format!("{} stopped reading", self.host))),
        }
    }

    pub(crate) async fn reply(&mut self) -> Result<ServerReply, Failure> {
        self.reply_within(REPLY_TIMEOUT).await
    }

    /// The reply to the end of data, which may take its time.
    pub(crate) async fn final_reply(&mut self) -> Result<ServerReply, Failure> {
        self.reply_within(FINAL_TIMEOUT).await
    }

    async fn reply_within(&mut self, limit: Duration) -> Result<ServerReply, Failure> {
        let mut buffer = vec![0; 4096];
        loop {
            match self.replies.poll() {
                Some(Ok(reply)) => return Ok(reply),
                Some(Err(_)) => {
                    return Err(Failure::new("protocol", format!("{} sent what is not a reply", self.host)));
                }
                None => {}
            }
            match tokio::time::timeout(limit, self.stream.read(&mut buffer)).await {
                Ok(Ok(0)) => {
                    return Err(Failure::new("broken", format!("{} closed the connection", self.host)));
                }
                Ok(Ok(count)) => self.replies.push(&buffer[..count]),
                Ok(Err(e)) => {
                    return Err(Failure::new("broken", format!("connection to {} broke: {e}", self.host)));
                }
                Err(_) => {
                    return Err(Failure::new("timeout", format!("{} did not answer in time", self.host)));
                }
            }
        }
    }

    /// Says QUIT; a server that is gone needs none.
    pub(crate) async fn quit(mut self) {
        if self.send(b"QUIT\r\n").await.is_ok() {
            let _ = self.reply_within(Duration::from_secs(5)).await;
        }
        if let Stream::Tls(stream) = &mut self.stream {
            let _ = tokio::time::timeout(Duration::from_secs(2), stream.shutdown()).await;
        }
    }
}

/// Notes how a server was judged; `more` adds what is known beside the domain and the host.
fn journal(
    delivery: &Delivery,
    domain: &Domain,
    target: &Target,
    ruling: Ruling,
    reason: &'static str,
    more: impl FnOnce(&mut Judgement),
) {
    let mut judgement = Judgement {
        peer: Some(target.address.ip()),
        host: Some(target.host.clone()),
        domain: Some(domain.clone()),
        white_list: delivery.trust.load().white_list_date(),
        ..Judgement::new(Direction::Outbound, ruling, reason)
    };
    more(&mut judgement);
    delivery.journal.record(judgement);
}

/// A refusal of ours, in the shape of a server's reply.
pub(crate) fn local_reply(reply: &Reply) -> ServerReply {
    let enhanced = reply.enhanced.map_or((5, 0, 0), |code| (code.0, code.1, code.2));
    ServerReply::local(reply.code, enhanced, &reply.lines.join(" "))
}
