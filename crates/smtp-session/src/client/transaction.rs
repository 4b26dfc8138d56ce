//! One mail transaction as a client: MAIL, RCPT for each recipient, DATA, and what became of each recipient.
//!
//! With PIPELINING (RFC 2920) the commands leave together, at most [`WINDOW`] unanswered at a time, so that neither side can
//! block on a full socket buffer. It does not send the content: it says when. It does not know time: a lost or slow
//! connection is told to it with [`Transaction::abandon`].

use super::{Extensions, ServerReply};
use mail_types::{
    BodyKind, DsnNotify, DsnRet, EnhancedCode, ForwardPath, MailParameters, RcptParameters, ReversePath,
};
use std::fmt;

/// Commands sent and not yet answered, with PIPELINING.
const WINDOW: usize = 100;

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the message for this recipient: it is responsible now.
    Accepted,
    /// Try again later.
    Transient,
    /// Never try this again.
    Permanent,
}

/// What became of one recipient, and the words of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientOutcome {
    /// Which of the recipients, in the order given.
    pub index: usize,
    /// The reply that decided: to MAIL, RCPT, DATA or the content.
    pub reply: ServerReply,
    /// How to take it. Not always the class of the code (RFC 5321 §4.5.3.1.10).
    pub outcome: Outcome,
}

/// What a transaction waits for, once [`Transaction::poll_transmit`] gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A reply: [`Transaction::handle_reply`].
    NeedReply,
    /// The content, stuffed, with its terminator; then [`Transaction::content_sent`].
    SendContent,
    /// Nothing: every recipient has its outcome and no reply is outstanding.
    Done,
}

/// One transaction on a connection that has been greeted.
pub struct Transaction {
    /// Command lines: MAIL, RCPT…, DATA.
    commands: Vec<Vec<u8>>,
    sent: usize,
    answered: usize,
    window: usize,
    phase: Phase,
    recipients: Vec<Fate>,
    mail_accepted: bool,
    broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Commands,
    /// 354 came though no recipient was accepted: the lone dot is to be sent.
    EmptyContent,
    Content,
    FinalReply,
    Done,
}

#[derive(Clone, Debug)]
enum Fate {
    Open,
    /// RCPT was accepted; the content decides.
    Willing,
    Decided(ServerReply, Outcome),
}

impl Transaction {
    /// Prepares a transaction. Parameters are sent as far as `extensions` has them; whether 8-bit content may go to a server
    /// without 8BITMIME, or a message over its SIZE, is to be asked before.
    pub fn new(
        reverse_path: &ReversePath,
        parameters: &MailParameters,
        recipients: &[(ForwardPath, RcptParameters)],
        extensions: &Extensions,
    ) -> Self {
        let mail = mail_command(reverse_path, parameters, extensions);
        let rcpts = recipients.iter().map(|(path, parameters)| rcpt_command(path, parameters, extensions));
        let mut commands = vec![mail];
        commands.extend(rcpts);
        commands.push(b"DATA\r\n".to_vec());
        Self {
            commands,
            sent: 0,
            answered: 0,
            window: if extensions.pipelining { WINDOW } else { 1 },
            phase: if recipients.is_empty() { Phase::Done } else { Phase::Commands },
            recipients: vec![Fate::Open; recipients.len()],
            mail_accepted: false,
            broken: false,
        }
    }

    /// Octets to send now, if any. To be asked again after each reply.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if self.phase == Phase::EmptyContent {
            self.phase = Phase::FinalReply;
            return Some(b".\r\n".to_vec());
        }
        let mut out = Vec::new();
        while self.may_send() {
            out.extend_from_slice(self.commands.get(self.sent)?);
            self.sent += 1;
        }
        (!out.is_empty()).then_some(out)
    }

    /// What is waited for.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Commands | Phase::EmptyContent | Phase::FinalReply => State::NeedReply,
            Phase::Content => State::SendContent,
            Phase::Done => State::Done,
        }
    }

    /// Takes the next reply of the server.
    pub fn handle_reply(&mut self, reply: ServerReply) {
        if reply.code == 421 {
            self.broken = true;
            self.decide_rest(&reply);
            self.phase = Phase::Done;
            return;
        }
        match self.phase {
            Phase::Commands => self.handle_command_reply(reply),
            Phase::FinalReply => {
                self.decide_rest(&reply);
                self.mail_accepted = false;
                self.phase = Phase::Done;
            }
            // A reply before the end of the content: what the server still reads as content is not known.
            Phase::Content | Phase::EmptyContent => {
                self.broken = true;
                let reply = if reply.is_completion() { out_of_step() } else { reply };
                self.decide_rest(&reply);
                self.phase = Phase::Done;
            }
            Phase::Done => self.broken = true,
        }
    }

    /// Says that the content and its terminator were written.
    pub fn content_sent(&mut self) {
        if self.phase == Phase::Content {
            self.phase = Phase::FinalReply;
        }
    }

    /// Ends the transaction early: recipients without an outcome get `reply`, to be a 4yz made with [`ServerReply::local`]. The
    /// connection cannot be used again.
    pub fn abandon(&mut self, reply: &ServerReply) {
        self.broken = true;
        self.decide_rest(reply);
        self.phase = Phase::Done;
    }

    /// The outcomes, one for each recipient in the order given, once [`State::Done`].
    pub fn into_outcomes(self) -> Vec<RecipientOutcome> {
        let decided = |(index, fate)| match fate {
            Fate::Decided(reply, outcome) => RecipientOutcome { index, reply, outcome },
            Fate::Open | Fate::Willing => {
                RecipientOutcome { index, reply: out_of_step(), outcome: Outcome::Transient }
            }
        };
        self.recipients.into_iter().enumerate().map(decided).collect()
    }

    /// Whether the connection must be closed and not used for another transaction.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the server has answered anything but 421. Until then nothing was said of the message, only of the connection.
    pub fn is_answered(&self) -> bool {
        self.answered > 0
    }

    /// Whether RSET must come before another transaction: MAIL was accepted and no content followed.
    pub fn needs_reset(&self) -> bool {
        self.mail_accepted
    }

    /// Whether the next command may leave. Commands that what is known makes useless never do.
    fn may_send(&self) -> bool {
        let in_window = self.sent - self.answered < self.window;
        let useful = self.sent == 0 || self.recipients.iter().any(|fate| !matches!(fate, Fate::Decided(..)));
        self.phase == Phase::Commands && self.sent < self.commands.len() && in_window && useful
    }

    fn handle_command_reply(&mut self, reply: ServerReply) {
        let command = self.answered;
        if command >= self.sent {
            return self.abandon(&out_of_step());
        }
        self.answered += 1;
        if command == 0 {
            self.handle_mail_reply(&reply);
        } else if command + 1 == self.commands.len() {
            return self.handle_data_reply(&reply);
        } else if let Some(fate @ Fate::Open) = self.recipients.get_mut(command - 1) {
            *fate = if reply.is_completion() { Fate::Willing } else { decide_rcpt(reply) };
        }
        if self.answered == self.sent && !self.may_send() {
            self.phase = Phase::Done;
        }
    }

    fn handle_mail_reply(&mut self, reply: &ServerReply) {
        self.mail_accepted = reply.is_completion();
        if !self.mail_accepted {
            self.decide_rest(reply);
        }
    }

    fn handle_data_reply(&mut self, reply: &ServerReply) {
        let wanted = self.recipients.iter().any(|fate| matches!(fate, Fate::Willing));
        if reply.code == 354 {
            self.phase = if wanted { Phase::Content } else { Phase::EmptyContent };
            return;
        }
        self.broken |= reply.is_completion();
        let reply = if reply.is_completion() { &out_of_step() } else { reply };
        self.decide_rest(reply);
        self.phase = Phase::Done;
    }

    fn decide_rest(&mut self, reply: &ServerReply) {
        for fate in &mut self.recipients {
            if !matches!(fate, Fate::Decided(..)) {
                *fate = decide(reply.clone());
            }
        }
    }
}

impl fmt::Debug for Transaction {
    /// Counts only: commands hold addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Transaction");
        out.field("phase", &self.phase).field("sent", &self.sent).field("answered", &self.answered);
        out.finish_non_exhaustive()
    }
}

fn decide(reply: ServerReply) -> Fate {
    match reply.code {
        200..=299 => Fate::Decided(reply, Outcome::Accepted),
        500..=599 => Fate::Decided(reply, Outcome::Permanent),
        400..=499 => Fate::Decided(reply, Outcome::Transient),
        _ => Fate::Decided(out_of_step(), Outcome::Transient),
    }
}

/// RFC 5321 §4.5.3.1.10: 552 to RCPT may mean too many recipients, which is to be tried again.
fn decide_rcpt(reply: ServerReply) -> Fate {
    let too_many = reply.code == 552 && matches!(reply.enhanced, None | Some(EnhancedCode(5, 5, 3)));
    if too_many { Fate::Decided(reply, Outcome::Transient) } else { decide(reply) }
}

fn out_of_step() -> ServerReply {
    ServerReply::local(451, (4, 5, 0), "The server's reply does not fit the protocol")
}

fn mail_command(path: &ReversePath, parameters: &MailParameters, extensions: &Extensions) -> Vec<u8> {
    let mut line = format!("MAIL FROM:<{path}>");
    if let (Some(size), Some(_)) = (parameters.size, extensions.size) {
        line += &format!(" SIZE={size}");
    }
    if extensions.eight_bit_mime && parameters.body == BodyKind::EightBitMime {
        line += " BODY=8BITMIME";
    }
    if extensions.dsn {
        line += match parameters.ret {
            Some(DsnRet::Full) => " RET=FULL",
            Some(DsnRet::Hdrs) => " RET=HDRS",
            None => "",
        };
        line += &parameter("ENVID", parameters.envid.as_deref());
    }
    (line + "\r\n").into_bytes()
}

fn rcpt_command(path: &ForwardPath, parameters: &RcptParameters, extensions: &Extensions) -> Vec<u8> {
    let mut line = match path {
        ForwardPath::Postmaster => "RCPT TO:<postmaster>".to_owned(),
        ForwardPath::Address(address) => format!("RCPT TO:<{address}>"),
    };
    if extensions.dsn {
        line += &parameter("NOTIFY", parameters.notify.map(notify_value).as_deref());
        line += &parameter("ORCPT", parameters.orcpt.as_deref());
    }
    (line + "\r\n").into_bytes()
}

/// ` keyword=value`, or nothing when the value could not stand in a command: it must not be able to end the line.
fn parameter(keyword: &str, value: Option<&str>) -> String {
    match value {
        Some(value) if !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'=') => {
            format!(" {keyword}={value}")
        }
        _ => String::new(),
    }
}

fn notify_value(notify: DsnNotify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let asked: Vec<&str> = words.iter().filter(|(asked, _)| *asked).map(|(_, word)| *word).collect();
    if asked.is_empty() { "NEVER".to_owned() } else { asked.join(",") }
}
