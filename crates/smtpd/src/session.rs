//! One SMTP connection.

use crate::judgements::{Basis, Judgements};
use crate::metrics::{ReasonLabel, ServiceLabel};
use crate::patience::Patience;
use crate::transport::{Tls, Transport, secure};
use crate::{Service, Smtpd};
use auth::AuthError;
use intake::{AuthorMarking, Conclusion, Origin, Refusal, Session, Transaction};
use journal::Ruling;
use listener::Drain;
use mail_types::{Domain, MailParameters, PeerIdentity, Principal, Reply, ReversePath, Secret};
use pki::{LastJudgement, Rejection};
use smtp_session::{ContentFault, Event, Server, ServerOptions, TlsState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Octets of content read at a time.
const CONTENT_READ: usize = 32 * 1024;
/// Octets of commands read at a time: thousands of clients may be waited for.
const COMMAND_READ: usize = 4 * 1024;

/// Failed logins in one session.
const FAILED_LOGINS_MAX: u32 = 5;
/// Recipients refused for good in one session.
const UNKNOWN_RECIPIENTS_MAX: u32 = 100;

/// Serves one connection to its end.
pub(crate) async fn run(shared: Arc<Smtpd>, stream: TcpStream, peer: SocketAddr, drain: Drain) {
    let connections =
        shared.metrics.connections.get_or_create(&ServiceLabel { service: shared.service.as_str() }).clone();
    connections.inc();
    let implicit = shared.tls.is_implicit();
    let tls = if implicit { TlsState::Active } else { TlsState::Clear { starttls_offered: true } };
    let mut connection = Connection {
        server: Server::new(options(&shared, tls)),
        transport: Transport::Clear(stream),
        peer_ip: peer.ip(),
        judgements: Judgements::new(shared.journal.clone(), shared.service, peer.ip()),
        hello: String::new(),
        certificate: None,
        last_judgement: LastJudgement::default(),
        failed_logins: 0,
        unknown_recipients: 0,
        principal: None,
        protocol: "",
        transaction: None,
        patience: Patience::default(),
        drain,
        shared,
    };
    let is_ready = !implicit || connection.handshake().await;
    if is_ready {
        connection.dialogue().await;
        let _ = tokio::time::timeout(Duration::from_secs(2), connection.transport.close()).await;
    }
    connections.dec();
}

fn options(shared: &Smtpd, tls: TlsState) -> ServerOptions {
    ServerOptions {
        hostname: shared.hostname.to_string(),
        service: match shared.service {
            Service::Mx => smtp_session::Service::Mx,
            Service::Submission => smtp_session::Service::Submission,
        },
        tls,
        max_message_size: shared.message_size_max,
        max_recipients: shared.recipients_max,
        dsn: false,
    }
}

struct Connection {
    shared: Arc<Smtpd>,
    server: Server,
    transport: Transport,
    peer_ip: IpAddr,
    judgements: Judgements,
    hello: String,
    certificate: Option<Arc<PeerIdentity>>,
    last_judgement: LastJudgement,
    failed_logins: u32,
    unknown_recipients: u32,
    principal: Option<Principal>,
    protocol: &'static str,
    transaction: Option<Transaction>,
    patience: Patience,
    drain: Drain,
}

/// Why a dialogue ends before QUIT.
enum End {
    Closed,
    Handshake,
}

impl Connection {
    async fn dialogue(&mut self) {
        let mut buffer = Vec::new();
        loop {
            if self.answer_events().await.is_err() || self.flush().await.is_err() || self.server.is_closing()
            {
                return;
            }
            let wanted = if self.server.is_in_content() { CONTENT_READ } else { COMMAND_READ };
            if buffer.len() != wanted {
                buffer = vec![0; wanted];
            }
            match self.read(&mut buffer).await {
                Some(0) | None => return,
                Some(count) => self.server.handle_input(&buffer[..count]),
            }
        }
    }

    /// Reads what comes next. Silence, a trickle and a drain are answered with 421; `None` ends the session.
    async fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let timeouts = &self.shared.timeouts;
        let limit = if self.server.is_in_content() {
            self.patience.for_content(timeouts, self.shared.data_rate_min)
        } else {
            self.patience.for_command(timeouts)
        };
        let is_busy = self.transaction.is_some();
        let begin = Instant::now();
        tokio::select! {
            read = tokio::time::timeout(limit, self.transport.read(buffer)) => match read {
                Ok(read) => {
                    let count = read.ok()?;
                    self.patience.note(begin.elapsed(), count);
                    return Some(count);
                }
                Err(_) => self.server.close(&Reply::new(421, (4, 4, 2), "Timeout; closing connection")),
            },
            () = self.drain.asked(), if !is_busy => self.server.close(&Reply::new(421, (4, 3, 2), "Server is restarting; try again")),
        }
        // The peer may be gone already: the goodbye is a courtesy.
        let _ = self.flush().await;
        None
    }

    async fn flush(&mut self) -> Result<(), End> {
        let output = std::mem::take(self.server.output());
        if output.is_empty() {
            return Ok(());
        }
        // Every reply follows a whole command or a whole message.
        self.patience.renew();
        let written =
            tokio::time::timeout(self.shared.timeouts.write, self.transport.write_all(&output)).await;
        if matches!(written, Ok(Ok(()))) { Ok(()) } else { Err(End::Closed) }
    }

    async fn answer_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Hello { name, .. } => {
                    self.hello = name;
                    self.transaction = None;
                }
                Event::StartTls => {
                    self.flush().await?;
                    if !self.handshake().await {
                        return Err(End::Handshake);
                    }
                    self.server.tls_established();
                }
                Event::AuthPlain { authzid, authcid, password } => {
                    let reply = self.login(&authzid, &authcid, &password).await;
                    self.server.reply(reply);
                }
                Event::Mail { path, parameters } => {
                    if !self.is_still_trusted() {
                        self.server.reply(Reply::new(
                            421,
                            (4, 7, 0),
                            "Certificate is no longer accepted; closing connection",
                        ));
                        continue;
                    }
                    let reply = self.begin(path, parameters);
                    self.server.reply(reply);
                }
                Event::Rcpt { path, parameters } => {
                    let added = match self.transaction.as_mut() {
                        Some(transaction) => transaction.rcpt(path, parameters).await,
                        None => Err(out_of_order()),
                    };
                    let reply = self.recipient_reply(added);
                    self.server.reply(reply);
                }
                Event::Data => {
                    let begun = match self.transaction.as_mut() {
                        Some(transaction) => transaction.begin_content().await,
                        None => Err(out_of_order()),
                    };
                    let reply = begun.map_or_else(
                        |refusal| self.refuse(refusal),
                        |()| Reply::plain(354, "End data with <CR><LF>.<CR><LF>"),
                    );
                    self.server.reply(reply);
                }
                Event::Content(chunk) => {
                    if let Some(transaction) = self.transaction.as_mut() {
                        transaction.write(&chunk).await;
                    }
                }
                Event::EndOfContent { fault } => {
                    let reply = self.end_of_content(fault).await;
                    self.server.reply(reply);
                }
                Event::Reset | Event::Quit => self.transaction = None,
            }
        }
        Ok(())
    }

    fn begin(&mut self, path: ReversePath, parameters: MailParameters) -> Reply {
        let domain = path.address().map(|address| address.domain().clone());
        let begun = self.session().and_then(|session| self.shared.intake.begin(&session, path, parameters));
        match begun {
            Ok(transaction) => {
                self.transaction = Some(transaction);
                self.judged(Ruling::Accepted, "listed", domain.as_ref());
                Reply::new(250, (2, 1, 0), "Sender OK")
            }
            Err(refusal) => {
                self.judged(Ruling::of_code(refusal.reply.code), refusal.reason, domain.as_ref());
                self.refuse(refusal)
            }
        }
    }

    /// Notes how another operator's certificate was judged; our users are judged by other means.
    fn judged(&mut self, ruling: Ruling, reason: &'static str, domain: Option<&Domain>) {
        if self.shared.service == Service::Mx {
            let basis = basis(&self.shared, self.certificate.as_deref(), &self.hello);
            self.judgements.judged(ruling, reason, domain, basis);
        }
    }

    /// A peer that names unknown mailboxes without end is listing ours.
    fn recipient_reply(&mut self, added: Result<(), Refusal>) -> Reply {
        let refusal = match added {
            Ok(()) => return Reply::new(250, (2, 1, 5), "Recipient OK"),
            Err(refusal) => refusal,
        };
        self.unknown_recipients += u32::from(refusal.reply.code == 550);
        if self.unknown_recipients > UNKNOWN_RECIPIENTS_MAX {
            return Reply::new(421, (4, 7, 0), "Too many unknown recipients; closing connection");
        }
        self.refuse(refusal)
    }

    async fn end_of_content(&mut self, fault: Option<ContentFault>) -> Reply {
        let transaction = self.transaction.take();
        if let Some(fault) = fault {
            return self.refuse(Refusal { reply: fault.reply(), reason: "content" });
        }
        let concluded = match transaction {
            Some(transaction) => transaction.commit().await,
            None => Conclusion { outcome: Err(out_of_order()), author: None },
        };
        if let Some(mark) = &concluded.author {
            let ruling = match mark.marking {
                AuthorMarking::Tagged => Ruling::Tagged,
                AuthorMarking::Deferred => Ruling::Deferred,
                AuthorMarking::Rejected => Ruling::Rejected,
            };
            self.judged(ruling, mark.reason, mark.domain.as_ref());
        }
        match concluded.outcome {
            Ok(reply) => {
                self.shared
                    .metrics
                    .accepted
                    .get_or_create(&ServiceLabel { service: self.shared.service.as_str() })
                    .inc();
                tracing::debug!(service = self.shared.service.as_str(), reply = %reply, "message accepted");
                reply
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Judges the peer of an open connection by the trust that is in force now. False when its certificate is no longer accepted.
    fn is_still_trusted(&mut self) -> bool {
        let (Tls::Mx(tls), Transport::Tls(stream)) = (&self.shared.tls, &self.transport) else { return true };
        match tls.judge_again(stream, &mut self.last_judgement) {
            None => true,
            Some(Ok(peer)) => {
                self.certificate = Some(Arc::new(peer));
                true
            }
            Some(Err(rejection)) => {
                self.judged(Ruling::Ended, rejection.as_str(), None);
                tracing::warn!(peer = %self.peer_ip, cause = rejection.cause(), "the certificate of an open connection is no longer accepted");
                false
            }
        }
    }

    /// What `intake` needs to know of this connection.
    fn session(&self) -> Result<Session, Refusal> {
        let origin = match self.shared.service {
            Service::Mx => Origin::Mx { peer: self.certificate.clone() },
            Service::Submission => {
                Origin::Submission { principal: self.principal.clone().ok_or_else(out_of_order)? }
            }
        };
        Ok(Session { origin, hello: self.hello.clone(), peer_ip: self.peer_ip, tls: self.protocol })
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        let service = self.shared.service.as_str();
        self.shared.metrics.refused.get_or_create(&ReasonLabel { service, reason: refusal.reason }).inc();
        tracing::info!(service, reason = refusal.reason, code = refusal.reply.code, peer = %self.peer_ip, "refused");
        refusal.reply
    }

    async fn login(&mut self, authzid: &str, authcid: &str, password: &Secret<String>) -> Reply {
        let outcome = self.shared.authenticator.password(authzid, authcid, password).await;
        let service = self.shared.service.as_str();
        let (reason, reply) = match outcome {
            Ok(principal) => {
                self.principal = Some(principal);
                ("ok", Reply::new(235, (2, 7, 0), "Authentication successful"))
            }
            Err(AuthError::Refused) => {
                ("refused", Reply::new(535, (5, 7, 8), "Authentication credentials invalid"))
            }
            Err(AuthError::Unavailable(error)) => {
                tracing::error!(error, "a login could not be decided");
                (
                    "unavailable",
                    Reply::new(454, (4, 7, 0), "Temporary authentication failure; try again later"),
                )
            }
        };
        self.shared.metrics.logins.get_or_create(&ReasonLabel { service, reason }).inc();
        if reason == "ok" {
            return reply;
        }
        tracing::info!(service, reason, peer = %self.peer_ip, "login failed");
        self.failed_logins += 1;
        // Guessing gets slower, and then ends.
        tokio::time::sleep(Duration::from_millis(250 << self.failed_logins.min(4))).await;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            return Reply::new(421, (4, 7, 0), "Too many failed logins; closing connection");
        }
        reply
    }

    /// Takes the connection under TLS. False ends it: there is no way back to clear text.
    async fn handshake(&mut self) -> bool {
        let Transport::Clear(stream) = std::mem::replace(&mut self.transport, Transport::Gone) else {
            return false;
        };
        let service = self.shared.service.as_str();
        let failure = match tokio::time::timeout(
            self.shared.timeouts.handshake,
            secure(&self.shared.tls, stream),
        )
        .await
        {
            Ok(Ok(secured)) => {
                self.transport = Transport::Tls(Box::new(secured.stream));
                self.certificate = secured.peer.map(Arc::new);
                self.protocol = secured.protocol;
                let basis = basis(&self.shared, self.certificate.as_deref(), &self.hello);
                self.judgements.shook_hands((secured.protocol, secured.suite), basis);
                return true;
            }
            Ok(Err(failure)) => failure,
            Err(_) => {
                self.shared
                    .metrics
                    .handshake_failures
                    .get_or_create(&ReasonLabel { service, reason: "timeout" })
                    .inc();
                self.judgements.handshake_failed("timeout", None);
                return false;
            }
        };
        let reason = failure.rejection.map_or("protocol", Rejection::as_str);
        self.shared.metrics.handshake_failures.get_or_create(&ReasonLabel { service, reason }).inc();
        let presented = failure.presented.as_ref().map(ToString::to_string);
        tracing::warn!(service, peer = %self.peer_ip, cause = %failure.cause(), presented, "TLS handshake failed");
        self.judgements.handshake_failed(reason, failure.presented);
        false
    }
}

/// By what a peer is judged now.
fn basis<'b>(shared: &Smtpd, certificate: Option<&'b PeerIdentity>, hello: &'b str) -> Basis<'b> {
    Basis { certificate, white_list: shared.intake.white_list_date(), hello }
}

fn out_of_order() -> Refusal {
    Refusal { reply: Reply::new(503, (5, 5, 1), "Bad sequence of commands"), reason: "order" }
}
