//! The loop of one connection: input to command, command to answer.

use crate::Imapd;
use crate::deflate::Deflated;
use crate::enable::{Enabled, Extension, UID_REQUIRED};
use crate::metrics::{CauseLabel, Counted, command_word};
use crate::notify::noticed;
use crate::standing::due;
use crate::state::{Answer, Connection, Done, Failure};
use crate::sync::Telling;
use crate::transport::{Transport, Wire};
use imap_session::capability::{CapabilityTable, ConnectionState};
use imap_session::command::{Command, CommandBody};
use imap_session::decoder::{Decoder, Input, Limits};
use imap_session::response::{self, Code, Status};
use listener::Drain;
use pki::Rejection;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Commands in a row that are not understood before the connection is ended: a client that lives for weeks may try one now and then.
const BAD_MAX: u32 = 50;
/// From the first octet of a command to its last, the message of an APPEND not counted. A client that sends an octet now and then is not
/// silent, and would keep its place for ever.
const COMMAND_MAX: Duration = Duration::from_secs(300);
const UNAVAILABLE: &str = "Temporary failure; try again later";

const TOO_SLOW: &str = "Idle for too long; closing";

static CAPABILITIES: LazyLock<CapabilityTable> = LazyLock::new(CapabilityTable::standard);

/// Serves one connection to its end.
pub(crate) async fn run(shared: Arc<Imapd>, stream: TcpStream, peer: SocketAddr, drain: Drain) {
    let _counted = Counted::new(&shared.metrics.connections);
    let mut connection = Connection {
        wire: Wire::new(Transport::Clear(stream), shared.timeouts.write),
        decoder: Decoder::new(Limits::before_login()),
        peer,
        drain,
        began: Instant::now(),
        command_began: None,
        certificate: None,
        vigil: None,
        login: None,
        selected: None,
        enabled: Enabled::default(),
        notify: None,
        append: None,
        authenticating: None,
        failed_logins: 0,
        bad_commands: 0,
        shared,
    };
    if connection.shared.tls.is_implicit() && !Box::pin(connection.handshake()).await {
        return;
    }
    connection.greet();
    connection.dialogue().await;
    connection.leave_folder().await;
    let _ = timeout(Duration::from_secs(2), connection.wire.transport.close()).await;
}

/// What follows a command.
pub(crate) enum Next {
    Go,
    /// IDLE begins, under this tag.
    Idle(String),
    Close,
}

impl Connection {
    fn greet(&mut self) {
        let code = Some(Code::Capability(self.capabilities()));
        response::untagged(&mut self.wire.out, Status::Ok, code, "Vaguemestre ready");
    }

    /// Each answer is made in a future of its own on the heap: the one that waits for the next command stays small.
    async fn dialogue(&mut self) {
        loop {
            while let Some(input) = self.decoder.poll() {
                self.command_began = None;
                // What was sent ahead is not begun any more: `read` says why.
                if self.drain.is_asked() && self.append.is_none() {
                    break;
                }
                let next = match Box::pin(self.answer(input)).await {
                    Next::Idle(tag) => self.idle(tag).await,
                    next => next,
                };
                if matches!(next, Next::Close) {
                    // The client may be gone already: a goodbye is a courtesy.
                    let _ = self.wire.flush().await;
                    return;
                }
                if self.wire.spill().await.is_err() {
                    return;
                }
            }
            if self.decoder.is_within_command() {
                self.command_began.get_or_insert_with(Instant::now);
            }
            if self.wire.flush().await.is_err() || !self.read().await {
                return;
            }
        }
    }

    /// Waits for input. False at the end of the connection; silence and a drain are answered with BYE.
    async fn read(&mut self) -> bool {
        let limit = self.silence_max();
        let ends_at = Instant::now() + limit;
        let between_commands = self.append.is_none();
        let listens = between_commands && !self.decoder.is_within_command() && self.authenticating.is_none();
        let goodbye = loop {
            let mut noticed_here = None;
            tokio::select! {
                // Even to a client that never falls silent: it had its time to log in.
                biased;
                () = std::future::ready(()), if limit.is_zero() => break TOO_SLOW,
                () = self.drain.asked(), if between_commands => break "Server is restarting",
                () = due(self.vigil.as_deref_mut()), if between_commands => {}
                read = timeout_at(ends_at, self.wire.read_into(&mut self.decoder)) => match read {
                    Ok(read) => return read.is_ok_and(|count| count > 0),
                    Err(_) => break TOO_SLOW,
                },
                is_here = noticed(self.notify.as_deref(), self.selected.as_deref_mut()), if listens => {
                    noticed_here = Some(is_here);
                }
            }
            let stands = match noticed_here {
                Some(_) => self.stands_if_due().await,
                None => Box::pin(self.stands()).await,
            };
            // Nobody else is told anything between commands.
            let listens = listens && self.notify.is_some();
            let is_here = noticed_here.unwrap_or(false);
            if !stands || (listens && Box::pin(self.tell_unasked(is_here)).await.is_err()) {
                let _ = self.wire.flush().await;
                return false;
            }
        };
        self.bye(goodbye);
        let _ = self.wire.flush().await;
        false
    }

    fn silence_max(&self) -> Duration {
        let timeouts = self.shared.timeouts;
        let Some(_) = self.login else { return timeouts.login.saturating_sub(self.began.elapsed()) };
        match (&self.append, self.command_began) {
            (Some(append), _) => append.pace.left(timeouts.idle),
            (None, Some(began)) => timeouts.idle.min(COMMAND_MAX).saturating_sub(began.elapsed()),
            (None, None) => timeouts.idle,
        }
    }

    async fn answer(&mut self, input: Input) -> Next {
        match input {
            Input::Continue => {
                response::continuation(&mut self.wire.out, "OK");
                Next::Go
            }
            Input::Command(command) => self.command(command).await,
            Input::Append(step) => self.append_step(step).await,
            Input::AppendContent(content) => {
                self.append_content(&content).await;
                Next::Go
            }
            Input::Response(line) => self.authenticate_response(&line).await,
            Input::Bad { tag, text } => {
                let waiting = self.append.take().map(|append| append.tag);
                let waiting = waiting.or_else(|| self.authenticating.take().map(|dialogue| dialogue.tag));
                self.bad(tag.or(waiting).as_deref(), text)
            }
            Input::Done => self.bad(None, "DONE without IDLE"),
            Input::Fatal(text) => self.bye(text),
        }
    }

    async fn command(&mut self, Command { tag, body }: Command) -> Next {
        if let Some(next) = self.next_if_fallen().await {
            return next;
        }
        self.shared.metrics.count_command(command_word(&body));
        if let Err(text) = self.is_timely(&body) {
            return self.bad(Some(&tag), text);
        }
        match body {
            CommandBody::Logout => {
                self.bye("Goodbye");
                response::tagged(&mut self.wire.out, &tag, Status::Ok, None, "LOGOUT completed");
                Next::Close
            }
            CommandBody::StartTls => self.starttls(&tag).await,
            CommandBody::Compress(mechanism) => self.compress(&tag, &mechanism).await,
            CommandBody::Authenticate { mechanism, initial_response } => {
                self.authenticate(tag, &mechanism, initial_response).await
            }
            CommandBody::Idle => Next::Idle(tag),
            body => {
                let telling = Telling::after(&body);
                let own = self.own_doing(&body);
                let answer = self.perform(&tag, body).await;
                if let (Ok(_), Some(own)) = (&answer, own) {
                    self.note_own_doing(*own);
                }
                let next = self.finish(&tag, answer, telling).await;
                self.end_if_hopeless(next)
            }
        }
    }

    /// Whether the command belongs to the state of the connection (RFC 3501 §3).
    fn is_timely(&self, body: &CommandBody) -> Result<(), &'static str> {
        use CommandBody as C;
        match body {
            C::Unknown(_) => Err("Unknown command"),
            C::Capability | C::Noop | C::Logout | C::Id(_) => Ok(()),
            C::StartTls if self.is_secure() => Err("TLS is active already"),
            C::StartTls | C::Login { .. } | C::Authenticate { .. } => {
                if self.login.is_some() {
                    Err("Already logged in")
                } else {
                    Ok(())
                }
            }
            _ if self.login.is_none() => Err("Log in first"),
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge
            | C::UidExpunge { .. }
            | C::Search(_)
            | C::Sort(_)
            | C::Thread(_)
            | C::Fetch(_)
            | C::Store(_)
            | C::Copy { .. }
            | C::Move { .. }
                if self.selected.is_none() =>
            {
                Err("Select a folder first")
            }
            body if self.enabled.has(Extension::UidOnly) && body.names_numbers() => Err(UID_REQUIRED),
            _ => Ok(()),
        }
    }

    async fn perform(&mut self, tag: &str, body: CommandBody) -> Answer {
        match body {
            CommandBody::Capability => {
                let capabilities = self.capabilities();
                response::capability(&mut self.wire.out, &capabilities);
                Ok(Done::new("CAPABILITY completed"))
            }
            CommandBody::Noop => Ok(Done::new("NOOP completed")),
            CommandBody::Check => Ok(Done::new("CHECK completed")),
            CommandBody::Id(_) => {
                let fields = [("name", "Vaguemestre"), ("version", env!("CARGO_PKG_VERSION"))];
                response::id(&mut self.wire.out, &fields);
                Ok(Done::new("ID completed"))
            }
            CommandBody::Enable(names) => self.enable(&names),
            CommandBody::Unauthenticate => self.unauthenticate().await,
            CommandBody::Login { username, password } => self.login(&username, &password).await,
            CommandBody::Select { folder, spelling, parameters } => {
                let answer = self.select(&folder, parameters, false).await;
                self.with_spelling(&folder, spelling, answer)
            }
            CommandBody::Examine { folder, spelling, parameters } => {
                let answer = self.select(&folder, parameters, true).await;
                self.with_spelling(&folder, spelling, answer)
            }
            CommandBody::Create { folder, spelling, special_use } => {
                let answer = self.create(&folder, &special_use).await;
                self.with_spelling(&folder, spelling, answer)
            }
            CommandBody::Delete { folder } => self.delete(&folder).await,
            CommandBody::Rename { from, to } => self.rename(&from, &to).await,
            CommandBody::Subscribe { folder } => self.subscribe(&folder).await,
            CommandBody::Unsubscribe { folder } => self.unsubscribe(&folder).await,
            CommandBody::List(arguments) => self.list(arguments).await,
            CommandBody::Lsub { reference, pattern } => self.lsub(&reference, &pattern).await,
            CommandBody::Namespace => self.namespace(),
            CommandBody::Status { folder, items } => self.status(&folder, &items).await,
            CommandBody::SetAcl { folder, identifier, change } => {
                self.set_acl(&folder, &identifier, change).await
            }
            CommandBody::DeleteAcl { folder, identifier } => self.delete_acl(&folder, &identifier).await,
            CommandBody::GetAcl { folder } => self.acl(&folder).await,
            CommandBody::ListRights { folder, identifier } => self.list_rights(&folder, &identifier).await,
            CommandBody::MyRights { folder } => self.my_rights(&folder).await,
            CommandBody::GetQuota { root } => self.quota(&root).await,
            CommandBody::GetQuotaRoot { folder } => self.quota_roots(&folder).await,
            CommandBody::SetQuota => self.set_quota(),
            CommandBody::Notify(asked) => self.notify(asked).await,
            CommandBody::GetMetadata(asked) => self.annotations(&asked).await,
            CommandBody::SetMetadata(asked) => self.set_metadata(asked).await,
            CommandBody::Close => self.close().await,
            CommandBody::Unselect => self.unselect().await,
            CommandBody::Expunge => self.expunge(tag, None).await,
            CommandBody::UidExpunge { uids } => self.expunge(tag, Some(&uids)).await,
            CommandBody::Search(arguments) => Box::pin(self.search(tag, arguments)).await,
            CommandBody::Sort(arguments) => Box::pin(self.sort(tag, arguments)).await,
            CommandBody::Thread(arguments) => Box::pin(self.thread(tag, arguments)).await,
            CommandBody::Fetch(arguments) => self.fetch(arguments).await,
            CommandBody::Store(arguments) => self.store_flags(tag, arguments).await,
            CommandBody::Copy { by_uid, set, folder } => self.copy(tag, (&set, by_uid), &folder).await,
            CommandBody::Move { by_uid, set, folder } => self.move_to(tag, (&set, by_uid), &folder).await,
            // Answered before they come here.
            CommandBody::Logout
            | CommandBody::StartTls
            | CommandBody::Compress(_)
            | CommandBody::Authenticate { .. }
            | CommandBody::Idle
            | CommandBody::Unknown(_) => Err(Failure::Bad("Unknown command")),
        }
    }

    /// Tells what changed in the selected folder, then how the command ended.
    pub(crate) async fn finish(&mut self, tag: &str, answer: Answer, telling: Telling) -> Next {
        // Nothing is told to one who is gone, or who was told goodbye.
        if matches!(answer, Err(Failure::Lost)) {
            return Next::Close;
        }
        match self.tell_changes(telling).await {
            Err(Failure::Lost) => return Next::Close,
            Err(Failure::Vanished) => return self.bye("The selected folder is gone"),
            Err(Failure::Store(error)) => tracing::error!(%error, "the change log could not be read"),
            Ok(()) | Err(Failure::No(..) | Failure::Bad(_)) => {}
        }
        if self.notify.is_some() && Box::pin(self.tell_notices()).await.is_err() {
            return Next::Close;
        }
        let (status, code, text) = match answer {
            Ok(Done { code, text }) => {
                self.bad_commands = 0;
                let stands = self.where_it_stands(telling);
                if code.is_some() && stands.is_some() {
                    response::untagged(&mut self.wire.out, Status::Ok, stands.clone(), "Told up to here");
                }
                (Status::Ok, code.or(stands), text)
            }
            Err(Failure::No(code, text)) => (Status::No, code, text),
            Err(Failure::Bad(text)) => return self.bad(Some(tag), text),
            Err(Failure::Store(error)) => {
                tracing::error!(%error, "a command failed; the client is asked to try again");
                (Status::No, Some(Code::Unavailable), UNAVAILABLE)
            }
            Err(Failure::Vanished) => return self.bye("The selected folder is gone"),
            Err(Failure::Lost) => return Next::Close,
        };
        response::tagged(&mut self.wire.out, tag, status, code, text);
        Next::Go
    }

    /// After all that was told: a client that resynchronises need not ask again for what went by its own command (RFC 7162 §3.2.7).
    fn where_it_stands(&self, telling: Telling) -> Option<Code> {
        let selected = self.selected.as_deref()?;
        let is_told = telling.ends_with_modseq && self.enabled.has(Extension::QResync);
        is_told.then_some(Code::HighestModSeq(selected.modseq.0))
    }

    pub(crate) fn bad(&mut self, tag: Option<&str>, text: &str) -> Next {
        match tag {
            Some(tag) => response::tagged(&mut self.wire.out, tag, Status::Bad, None, text),
            None => response::untagged(&mut self.wire.out, Status::Bad, None, text),
        }
        self.bad_commands += 1;
        if self.bad_commands < BAD_MAX { Next::Go } else { self.bye("Too many invalid commands") }
    }

    pub(crate) fn bye(&mut self, text: &str) -> Next {
        response::untagged(&mut self.wire.out, Status::Bye, None, text);
        Next::Close
    }

    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.wire.transport, Transport::Tls(_))
    }

    pub(crate) fn capabilities(&self) -> String {
        let tls = self.is_secure();
        let state = ConnectionState {
            tls,
            authenticated: self.login.is_some(),
            login_disabled: !tls || !self.shared.passwords,
            client_certificate: self.certificate.is_some(),
        };
        let limit = self.shared.message_size_max;
        let mut capabilities = format!("{} APPENDLIMIT={limit}", CAPABILITIES.text(state));
        // RFC 9738 §3: one or the other.
        let _ = match self.shared.message_limit {
            Some(limit) => write!(capabilities, " MESSAGELIMIT={limit}"),
            None => write!(capabilities, " SAVELIMIT={}", self.shared.save_limit),
        };
        if self.shared.compress && self.login.is_some() && self.wire.deflated.is_none() {
            capabilities.push_str(" COMPRESS=DEFLATE");
        }
        capabilities
    }

    async fn starttls(&mut self, tag: &str) -> Next {
        response::tagged(&mut self.wire.out, tag, Status::Ok, None, "Begin TLS negotiation now");
        if self.wire.flush().await.is_err() || !self.handshake().await {
            return Next::Close;
        }
        self.decoder.tls_established();
        Next::Go
    }

    /// COMPRESS: from behind the answer on, both ways.
    async fn compress(&mut self, tag: &str, mechanism: &str) -> Next {
        const ACTIVE: Failure =
            Failure::No(Some(Code::CompressionActive), "The connection is compressed already");
        let refusal = if !self.shared.compress {
            Some(Failure::Bad("Compression is not offered here"))
        } else if mechanism != "DEFLATE" {
            Some(Failure::Bad("The only mechanism is DEFLATE"))
        } else if self.wire.deflated.is_some() {
            Some(ACTIVE)
        } else if self.decoder.is_within_command() {
            Some(Failure::Bad("Wait for the answer to COMPRESS before you send more"))
        } else {
            None
        };
        if let Some(failure) = refusal {
            return self.finish(tag, Err(failure), Telling::default()).await;
        }
        response::tagged(&mut self.wire.out, tag, Status::Ok, None, "DEFLATE active");
        if self.wire.flush().await.is_err() {
            return Next::Close;
        }
        self.wire.deflated = Some(Box::new(Deflated::new()));
        Next::Go
    }

    /// Takes the connection under TLS. False ends it: there is no way back to clear text.
    async fn handshake(&mut self) -> bool {
        let clear = std::mem::replace(&mut self.wire.transport, Transport::Gone);
        let Transport::Clear(stream) = clear else { return false };
        let vigil = self.vigil();
        let cause = match timeout(self.shared.timeouts.handshake, self.shared.tls.secure(stream)).await {
            Ok(Ok(accepted)) => {
                self.wire.transport = Transport::Tls(Box::new(accepted.stream));
                if let Some(peer) = accepted.peer {
                    self.shown(peer, (accepted.protocol, accepted.suite), vigil);
                }
                return true;
            }
            Ok(Err(failure)) => {
                tracing::debug!(peer = %self.peer.ip(), cause = %failure.cause(), "TLS handshake failed");
                let cause = failure.rejection.map_or("protocol", Rejection::as_str);
                if failure.rejection.is_some() {
                    self.note_failed_handshake(cause, failure.presented);
                }
                cause
            }
            Err(_) => "timeout",
        };
        self.shared.metrics.handshake_failures.get_or_create(&CauseLabel { cause }).inc();
        false
    }
}
