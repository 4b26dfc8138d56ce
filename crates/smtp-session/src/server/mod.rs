//! The server's side of a session: a state machine that asks and is answered.
//!
//! The edge's loop: give bytes while [`Server::wants_input`], take events with [`Server::poll_event`] until none is left, answer
//! those that [need a reply](Event::needs_reply), then send [`Server::output`] in one write and close when
//! [`Server::is_closing`]. Time limits are the edge's: it ends a slow session with [`Server::close`].
//!
//! Bounds: a line is at most 2,048 octets (12,288 for AUTH), input that waits at most [`INPUT_BOUND`] and one read, content
//! that waits at most [`CONTENT_BOUND`] and one read; twenty faulty commands end the session, and so do a thousand that lead to no mail.

mod command;
mod content;
mod event;
mod line;
mod order;
mod parameters;
mod path;
mod sasl;

pub use content::ContentFault;
pub use event::Event;

use content::ContentReader;
use line::{LineFault, LineReader};
use mail_types::{EnhancedCode, Reply};
use std::collections::VecDeque;
use std::fmt;

/// Octets of pipelined commands that may wait. Above the longest line, or that line could never be completed.
const INPUT_BOUND: usize = 16 * 1024;
/// Octets of content that may wait to be polled.
const CONTENT_BOUND: usize = 256 * 1024;
/// Faulty commands after which a session is closed.
const FAULT_LIMIT: u32 = 20;
/// Commands without fault that lead to no mail (NOOP, RSET, what follows a refused MAIL), after which a session is closed.
const IDLE_LIMIT: u32 = 1000;

/// Which service a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Port 25: mail from other servers. AUTH is not offered.
    Mx,
    /// Ports 587 and 465 (RFC 6409, RFC 8314): MAIL only after AUTH.
    Submission,
}

/// Whether TLS protects the session. Without it nothing but EHLO, STARTTLS, NOOP, RSET, HELP and QUIT is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsState {
    /// Not yet.
    Clear {
        /// Whether STARTTLS can be had now.
        starttls_offered: bool,
    },
    /// From the first octet (implicit TLS) or since STARTTLS.
    Active,
}

/// What a session is told at its beginning.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The name in the greeting and in the EHLO reply.
    pub hostname: String,
    /// Which service.
    pub service: Service,
    /// Whether a password is taken (AUTH PLAIN and LOGIN); else a certificate only (EXTERNAL).
    pub passwords: bool,
    /// TLS at the beginning.
    pub tls: TlsState,
    /// Octets of content, announced as SIZE. Taken literally: 0 accepts only empty messages.
    pub max_message_size: u64,
    /// Accepted recipients of one transaction; RFC 5321 §4.5.3.1.8 wants at least 100.
    pub max_recipients: usize,
    /// Whether RFC 3461 is offered.
    pub dsn: bool,
}

/// One SMTP session, from greeting to close.
pub struct Server {
    options: ServerOptions,
    phase: Phase,
    input: LineReader,
    content: Vec<u8>,
    output: Vec<u8>,
    events: VecDeque<Event>,
    awaiting: Option<Question>,
    greeting: Greeting,
    authenticated: bool,
    has_certificate: bool,
    transaction: Option<Transaction>,
    faults: u32,
    idle: u32,
}

/// How the next octets of input are read.
enum Phase {
    Command,
    Sasl(sasl::Dialogue),
    Content(ContentReader),
    /// 220 to STARTTLS was queued: what comes in clear is dropped.
    Handshake,
    Closed,
}

/// The event that waits for its reply.
#[derive(Clone, Copy)]
enum Question {
    Auth,
    Mail,
    Rcpt,
    Data,
    EndOfContent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Missing,
    /// EHLO or HELO was given, and no transaction since.
    Fresh,
    Used,
}

#[derive(Default)]
struct Transaction {
    recipient_given: bool,
    accepted: usize,
}

impl Server {
    /// A session whose greeting is queued as output.
    pub fn new(options: ServerOptions) -> Self {
        let mut output = Vec::new();
        Reply::plain(220, format!("{} ESMTP", options.hostname)).write_to(&mut output);
        Self {
            options,
            phase: Phase::Command,
            input: LineReader::default(),
            content: Vec::new(),
            output,
            events: VecDeque::new(),
            awaiting: None,
            greeting: Greeting::Missing,
            authenticated: false,
            has_certificate: false,
            transaction: None,
            faults: 0,
            idle: 0,
        }
    }

    /// Takes octets from the wire, all of them. To be called only when [`wants_input`](Self::wants_input), which is
    /// what bounds memory. Octets that come between STARTTLS and [`tls_established`](Self::tls_established), or after the close,
    /// are dropped.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::Handshake | Phase::Closed => {}
            Phase::Content(_) if self.input.len() == 0 => self.read_content(bytes),
            _ => self.input.push(bytes),
        }
    }

    /// Whether more input can be taken now. False while pipelined commands wait for replies beyond a bound, during the TLS
    /// handshake and after the close.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Handshake | Phase::Closed => false,
            _ => self.input.len() < INPUT_BOUND && self.content.len() < CONTENT_BOUND,
        }
    }

    /// The next event. None when input or a [`reply`](Self::reply) is needed: the time to flush the output.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.awaiting.is_some() || !self.advance() {
                return None;
            }
        }
    }

    /// Answers the event that was polled last. Without such an event the reply is dropped: an answer nobody asked for would
    /// shift all later ones. A reply 421 closes the session.
    pub fn reply(&mut self, reply: Reply) {
        let Some(question) = self.awaiting.take() else { return };
        reply.write_to(&mut self.output);
        if reply.code == 421 {
            return self.shut();
        }
        match question {
            Question::Auth => self.authenticated = reply.is_positive(),
            Question::Mail if reply.is_positive() => {
                self.transaction = Some(Transaction::default());
                self.greeting = Greeting::Used;
            }
            Question::Rcpt if reply.is_positive() => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.accepted += 1;
                }
            }
            Question::Data if reply.is_positive() => {
                self.phase = Phase::Content(ContentReader::new(self.options.max_message_size));
            }
            Question::EndOfContent => {
                self.transaction = None;
                if reply.is_positive() {
                    self.idle = 0;
                }
            }
            Question::Mail | Question::Rcpt | Question::Data => {}
        }
    }

    /// Octets to send, to be drained by the edge.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Says that the handshake after [`Event::StartTls`] succeeded. Everything learnt in clear is forgotten (RFC 3207 §4.2), every
    /// octet that came in clear is discarded (CVE-2011-0411).
    pub fn tls_established(&mut self) {
        if matches!(self.phase, Phase::Handshake) {
            self.input.clear();
            self.options.tls = TlsState::Active;
            self.greeting = Greeting::Missing;
            self.phase = Phase::Command;
        }
    }

    /// Says that the client showed a certificate in the handshake and that it was found good: EXTERNAL is offered from now on.
    pub fn client_certificate_shown(&mut self) {
        self.has_certificate = true;
    }

    /// Ends the session from the edge's side: 421 4.4.2 on a time limit, 421 4.3.2 on shutdown. Any transaction is abandoned.
    pub fn close(&mut self, reply: &Reply) {
        if !self.is_closing() {
            reply.write_to(&mut self.output);
            self.shut();
        }
    }

    /// Whether what comes next is content: other time limits hold for it.
    pub fn is_in_content(&self) -> bool {
        matches!(self.phase, Phase::Content(_))
    }

    /// Whether the connection is to be closed once the output is sent.
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Reads on. False when nothing more can be done with the input at hand.
    fn advance(&mut self) -> bool {
        match &self.phase {
            Phase::Handshake | Phase::Closed => false,
            Phase::Content(_) => {
                if self.input.len() > 0 {
                    let waiting = self.input.take();
                    self.read_content(&waiting);
                }
                self.queue_content();
                !self.events.is_empty()
            }
            Phase::Command => self.advance_line(false),
            Phase::Sasl(_) => self.advance_line(true),
        }
    }

    fn advance_line(&mut self, sasl: bool) -> bool {
        let Some(line) = self.input.next_line(sasl) else { return false };
        let answer = match line {
            Ok(line) => self.interpret(line.expose()),
            Err(fault) => {
                self.phase = Phase::Command;
                Err(line_fault_reply(fault))
            }
        };
        if let Err(reply) = answer {
            self.refuse(&reply);
        }
        true
    }

    fn read_content(&mut self, bytes: &[u8]) {
        let Phase::Content(reader) = &mut self.phase else { return };
        let Some(end) = reader.read(bytes, &mut self.content) else { return };
        let fault = reader.fault();
        self.phase = Phase::Command;
        self.queue_content();
        self.ask(Question::EndOfContent, Event::EndOfContent { fault });
        self.input.push(bytes.get(end..).unwrap_or_default());
    }

    fn queue_content(&mut self) {
        if !self.content.is_empty() {
            self.events.push_back(Event::Content(std::mem::take(&mut self.content)));
        }
    }

    fn ask(&mut self, question: Question, event: Event) {
        self.awaiting = Some(question);
        self.events.push_back(event);
    }

    fn answer(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Refuses a command that never reaches the edge. Faults of the client are counted; limits and bad addresses, of which a
    /// long list may honestly have many, are not.
    fn refuse(&mut self, reply: &Reply) {
        let about_address = matches!(reply.enhanced, Some(EnhancedCode(_, 1 | 6, _)));
        let counted = reply.is_permanent() && reply.code != 552 && !about_address;
        self.faults += u32::from(counted);
        if self.faults >= FAULT_LIMIT {
            return self.close(&Reply::new(421, (4, 7, 0), "Too many bad commands"));
        }
        self.answer(reply);
        if reply.code == 421 {
            self.shut();
        }
    }

    fn shut(&mut self) {
        self.phase = Phase::Closed;
        self.awaiting = None;
        self.transaction = None;
        self.input.clear();
    }
}

fn line_fault_reply(fault: LineFault) -> Reply {
    match fault {
        LineFault::Control => Reply::new(500, (5, 5, 2), "Bare CR, bare LF or NUL in a command"),
        LineFault::TooLong => Reply::new(500, (5, 5, 2), "Line too long"),
        LineFault::AuthTooLong => Reply::new(500, (5, 5, 6), "Line too long"),
        LineFault::Endless => Reply::new(421, (4, 7, 0), "Line too long"),
    }
}

impl fmt::Debug for Server {
    /// The options only: the rest may hold mail and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}
