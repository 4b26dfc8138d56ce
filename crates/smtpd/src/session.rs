//! One SMTP connection.

use crate::judgements::{Basis, Judgements};
use crate::metrics::{ReasonLabel, ServiceLabel};
use crate::patience::Patience;
use crate::standing::due;
use crate::transport::{Transport, secure};
use crate::{Service, Smtpd};
use auth::Login;
use intake::{AuthorMarking, Conclusion, Origin, Refusal, Session, Transaction};
use journal::Ruling;
use listener::{Drain, Vigil};
use mail_types::{Domain, MailParameters, PeerIdentity, Reply, ReversePath};
use pki::{LastJudgement, Rejection};
use smtp_session::{ContentFault, Event, Server, ServerOptions, TlsState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Octets of content read at a time.
const CONTENT_READ: usize = 32 * 1024;
/// Octets of commands read at a time: thousands of clients may be waited for.
const COMMAND_READ: usize = 4 * 1024;

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
        peer_port: peer.port(),
        judgements: Judgements::new(shared.journal.clone(), shared.service, peer.ip()),
        hello: String::new(),
        certificate: None,
        vigil: None,
        last_judgement: LastJudgement::default(),
        failed_logins: 0,
        unknown_recipients: 0,
        login: None,
        protocol: "",
        transaction: None,
        patience: Patience::default(),
        drain,
        shared,
    };
    let is_ready = !implicit || Box::pin(connection.handshake()).await;
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
        passwords: shared.passwords,
        tls,
        max_message_size: shared.message_size_max,
        max_recipients: shared.recipients_max,
        dsn: false,
    }
}

pub(crate) struct Connection {
    pub(crate) shared: Arc<Smtpd>,
    server: Server,
    pub(crate) transport: Transport,
    pub(crate) peer_ip: IpAddr,
    pub(crate) peer_port: u16,
    pub(crate) judgements: Judgements,
    pub(crate) hello: String,
    pub(crate) certificate: Option<Arc<PeerIdentity>>,
    /// Of a session with a certificate or a login: when it is to be judged again.
    pub(crate) vigil: Option<Box<Vigil>>,
    pub(crate) last_judgement: LastJudgement,
    pub(crate) failed_logins: u32,
    unknown_recipients: u32,
    pub(crate) login: Option<Login>,
    protocol: &'static str,
    pub(crate) transaction: Option<Transaction>,
    patience: Patience,
    drain: Drain,
}

/// Why a dialogue ends before QUIT.
enum End {
    Closed,
    Handshake,
}

/// What waits for a command is held by thousands of sessions at a time: whatever else they do lies on the heap while it lasts.
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
        let (is_busy, is_in_content) = (self.transaction.is_some(), self.server.is_in_content());
        let begin = Instant::now();
        let goodbye = loop {
            tokio::select! {
                () = due(self.vigil.as_deref_mut()), if !is_in_content => {}
                read = timeout_at(begin + limit, self.transport.read(buffer)) => match read {
                    Ok(read) => {
                        let count = read.ok()?;
                        self.patience.note(begin.elapsed(), count);
                        return Some(count);
                    }
                    Err(_) => break Reply::new(421, (4, 4, 2), "Timeout; closing connection"),
                },
                () = self.drain.asked(), if !is_busy => break Reply::new(421, (4, 3, 2), "Server is restarting; try again"),
            }
            if let Err(goodbye) = Box::pin(self.judge_again()).await {
                break goodbye;
            }
        };
        self.server.close(&goodbye);
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
                    if !Box::pin(self.handshake()).await {
                        return Err(End::Handshake);
                    }
                    self.server.tls_established();
                }
                Event::AuthPlain { authzid, authcid, password } => {
                    let reply = Box::pin(self.login(&authzid, &authcid, &password)).await;
                    self.server.reply(reply);
                }
                Event::AuthExternal { authzid } => {
                    let reply = Box::pin(self.login_by_certificate(&authzid)).await;
                    self.server.reply(reply);
                }
                Event::Mail { path, parameters } => {
                    let reply = match self.judge_if_due().await {
                        Ok(()) => Box::pin(self.begin(path, parameters)).await,
                        Err(goodbye) => goodbye,
                    };
                    self.server.reply(reply);
                }
                Event::Rcpt { path, parameters } => {
                    let added = match self.transaction.as_mut() {
                        Some(transaction) => Box::pin(transaction.rcpt(path, parameters)).await,
                        None => Err(out_of_order()),
                    };
                    let reply = self.recipient_reply(added);
                    self.server.reply(reply);
                }
                Event::Data => {
                    let begun = match self.transaction.as_mut() {
                        Some(transaction) => Box::pin(transaction.begin_content()).await,
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
                    let reply = Box::pin(self.end_of_content(fault)).await;
                    self.server.reply(reply);
                }
                Event::Reset | Event::Quit => self.transaction = None,
            }
        }
        Ok(())
    }

    async fn begin(&mut self, path: ReversePath, parameters: MailParameters) -> Reply {
        let domain = path.address().map(|address| address.domain().clone());
        let begun = match self.session() {
            Ok(session) => self.shared.intake.begin(&session, path, parameters).await,
            Err(refusal) => Err(refusal),
        };
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
        if let Some(fault) = fault {
            self.transaction = None;
            return self.refuse(Refusal { reply: fault.reply(), reason: "content" });
        }
        // What was revoked while the message came is not accepted any more, and what was withdrawn in part is asked again.
        let standing = self.judge_if_due().await;
        let transaction = self.transaction.take();
        if let Err(goodbye) = standing {
            return goodbye;
        }
        let concluded = match transaction {
            Some(transaction) => transaction.commit().await,
            None => Conclusion { outcome: Err(out_of_order()), author: None, sent_copy: None },
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

    /// What `intake` needs to know of this connection.
    fn session(&self) -> Result<Session, Refusal> {
        let (protocol, origin, credential) = match self.shared.service {
            Service::Mx => {
                let credential = self.certificate.as_deref().map(PeerIdentity::credential);
                ("ESMTPS", Origin::Mx { peer: self.certificate.clone() }, credential)
            }
            Service::Submission => {
                let login = self.login.as_ref().ok_or_else(out_of_order)?;
                let credential = login.credential_name(self.certificate.as_deref());
                ("ESMTPSA", Origin::Submission { principal: login.principal.clone() }, credential)
            }
        };
        let (hello, tls) = (self.hello.clone(), Some(self.protocol));
        Ok(Session { origin, hello, peer_ip: self.peer_ip, tls, protocol, credential })
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        let service = self.shared.service.as_str();
        self.shared.metrics.refused.get_or_create(&ReasonLabel { service, reason: refusal.reason }).inc();
        tracing::info!(service, reason = refusal.reason, code = refusal.reply.code, peer = %self.peer_ip, "refused");
        refusal.reply
    }

    /// Takes the connection under TLS. False ends it: there is no way back to clear text.
    async fn handshake(&mut self) -> bool {
        let Transport::Clear(stream) = std::mem::replace(&mut self.transport, Transport::Gone) else {
            return false;
        };
        let service = self.shared.service.as_str();
        let vigil = self.vigil();
        let failure = match tokio::time::timeout(
            self.shared.timeouts.handshake,
            secure(&self.shared.tls, stream),
        )
        .await
        {
            Ok(Ok(secured)) => {
                self.transport = Transport::Tls(Box::new(secured.stream));
                self.certificate = secured.peer.map(Arc::new);
                if self.certificate.is_some() {
                    self.vigil = Some(Box::new(vigil));
                    self.server.client_certificate_shown();
                }
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
                self.judgements.handshake_failed("timeout", None, self.shared.intake.white_list_date());
                return false;
            }
        };
        let reason = failure.rejection.map_or("protocol", Rejection::as_str);
        self.shared.metrics.handshake_failures.get_or_create(&ReasonLabel { service, reason }).inc();
        let presented = failure.presented.as_ref().map(|claim| claim.subject.to_string());
        tracing::warn!(service, peer = %self.peer_ip, cause = %failure.cause(), presented, "TLS handshake failed");
        let white_list = self.shared.intake.white_list_date();
        self.judgements.handshake_failed(reason, failure.presented, white_list);
        false
    }
}

/// By what a peer is judged now.
pub(crate) fn basis<'b>(shared: &Smtpd, certificate: Option<&'b PeerIdentity>, hello: &'b str) -> Basis<'b> {
    Basis { certificate, white_list: shared.intake.white_list_date(), hello }
}

fn out_of_order() -> Refusal {
    Refusal { reply: Reply::new(503, (5, 5, 1), "Bad sequence of commands"), reason: "order" }
}
