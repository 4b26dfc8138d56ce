//! The input side of a connection: octets in, complete commands out.
//!
//! A line ends with CRLF. A bare LF or CR, or a NUL, makes the command BAD, and reading goes on after the next CRLF: no octet is
//! ever taken for a line end that another reader would not take for one. Literals are announced, checked, then read; the messages
//! of an APPEND are handed over in pieces and never held. What was refused but comes anyway (non-synchronising literals) is
//! read and thrown away up to [`Limits::discard_max`], past which the connection ends. One that should have waited (RFC 7888, LITERAL-) is BAD.
//!
//! Nothing is read ahead of [`Decoder::poll`]: a command pipelined after IDLE, AUTHENTICATE or STARTTLS is still raw octets when
//! the edge says what the next line is ([`Decoder::expect_done`], [`Decoder::expect_response`], [`Decoder::tls_established`]).
//!
//! The decoder does not know who is logged in, and allows every command in every state.

mod buffer;
mod input;
mod limits;
mod literal;
#[cfg(test)]
mod tests;

use crate::command::{AppendLiteral, AppendStep};
use crate::{parser, sasl};
use buffer::{Buffer, Discarded, Line};
pub use input::Input;
pub use limits::Limits;
use literal::{Announced, announced, announced_at_end};
use mail_types::Secret;
use std::collections::VecDeque;
use zeroize::Zeroize;

/// See the module. `Debug` shows no content.
pub struct Decoder {
    limits: Limits,
    utf8: bool,
    buffer: Buffer,
    /// The command so far, with line ends and literals in place, as [`parser`] reads it.
    command: Vec<u8>,
    line_len: usize,
    literals_len: u64,
    discarded: u64,
    expected: Expected,
    state: State,
    /// Within an APPEND: what the text after its last literal belongs to.
    append: Option<parser::AppendPlace>,
    /// What was read of an APPEND and not given yet.
    steps: VecDeque<AppendStep>,
}

/// What the next line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Command,
    Response,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a line.
    Line,
    /// In a literal of a command; octets left.
    Literal(u64),
    /// The edge decides on octets announced in an APPEND.
    AppendDecision { size: u64, synchronising: bool, after: parser::AppendPlace },
    /// In these octets; how many are left.
    AppendContent(u64),
    /// In a literal of a refused command; octets left.
    DiscardLiteral(u64),
    /// In the rest of a refused command.
    DiscardLine,
    /// After a fatal error.
    Closed,
}

enum Step {
    Emit(Input),
    Again,
    Starved,
}

/// An AUTHENTICATE line: an initial response, and before it a tag and a mechanism.
const AUTHENTICATE_MAX: usize = sasl::LINE_MAX + 512;

const TOO_BIG: &str = "[TOOBIG] Literal too large";
const WAIT: &str = "[TOOBIG] A literal of more than 4096 octets must wait for the continuation";
const TOO_LONG: &str = "Line too long";
const BARE_CONTROL: &str = "Bare CR, bare LF or NUL in a line";
const FATAL_DISCARD: &str = "Too much data after a refused command";

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            utf8: false,
            buffer: Buffer::default(),
            command: Vec::new(),
            line_len: 0,
            literals_len: 0,
            discarded: 0,
            expected: Expected::Command,
            state: State::Line,
            append: None,
            steps: VecDeque::new(),
        }
    }

    /// Other bounds from the next line on: [`Limits::authenticated`] after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether folder names are UTF-8 (after ENABLE of UTF8=ACCEPT or IMAP4rev2) and not modified UTF-7, and APPEND takes `UTF8 (…)`.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// Whether they are, and so how they are to be written.
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// Takes octets from the connection. Read no more of them while [`Decoder::wants_input`] is false: that is what bounds memory.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if self.state != State::Closed {
            self.buffer.push(bytes);
        }
    }

    /// Whether more octets are welcome. Always true when [`Decoder::poll`] gave `None` for lack of them.
    pub fn wants_input(&self) -> bool {
        let longest = self.limits.line_max.max(AUTHENTICATE_MAX);
        self.state != State::Closed && self.buffer.len() < longest.saturating_add(2)
    }

    /// Whether part of a command is here and the rest is not.
    pub fn is_within_command(&self) -> bool {
        self.state != State::Line
            || self.append.is_some()
            || !self.command.is_empty()
            || self.buffer.len() > 0
    }

    /// The next thing the client sent, or `None` until more octets or a decision on an APPEND come.
    pub fn poll(&mut self) -> Option<Input> {
        loop {
            match self.step() {
                Step::Emit(input) => return Some(input),
                Step::Again => {}
                Step::Starved => return None,
            }
        }
    }

    /// Throws away all that was received in the clear, as RFC 3501 §6.2.1 and command injection ask.
    pub fn tls_established(&mut self) {
        self.buffer.clear();
        self.end_command();
        self.expected = Expected::Command;
        self.state = State::Line;
    }

    /// The next line answers a challenge.
    pub fn expect_response(&mut self) {
        self.expected = Expected::Response;
    }

    /// The next line must be DONE.
    pub fn expect_done(&mut self) {
        self.expected = Expected::Done;
    }

    /// The next line is a command: an exchange or an IDLE was ended by the server.
    pub fn expect_command(&mut self) {
        self.expected = Expected::Command;
    }

    /// Lets the announced octets come. For a synchronising literal, send `+ ` and a line end after this call.
    pub fn accept_append(&mut self) {
        if let State::AppendDecision { size, after, .. } = self.state {
            self.reset_text();
            self.append = Some(after);
            self.state = State::AppendContent(size);
        }
    }

    /// Refuses the announced octets and with them the command: answer it at once. A non-synchronising literal and what follows it is read and
    /// thrown away without a further [`Input`], unless it is so large that [`Input::Fatal`] comes instead.
    pub fn refuse_append(&mut self) {
        if let State::AppendDecision { size, synchronising, .. } = self.state {
            self.end_command();
            self.discarded = 0;
            self.state = if synchronising { State::Line } else { State::DiscardLiteral(size) };
        }
    }

    fn step(&mut self) -> Step {
        if let Some(step) = self.steps.pop_front() {
            if self.steps.is_empty() {
                // A long line long ago must not weigh on a connection that idles.
                self.steps = VecDeque::new();
            }
            return Step::Emit(Input::Append(step));
        }
        match self.state {
            State::Line => self.read_line(),
            State::Literal(left) => self.read_literal(left),
            State::AppendDecision { .. } | State::Closed => Step::Starved,
            State::AppendContent(left) => self.read_content(left),
            State::DiscardLiteral(left) => self.discard_literal(left),
            State::DiscardLine => self.discard_line(),
        }
    }

    fn read_line(&mut self) -> Step {
        match self.buffer.line(self.line_bound()) {
            Line::Incomplete => Step::Starved,
            Line::Complete(line) => self.complete_line(line),
            Line::BareLineFeed(start) => self.abandon_line(&start, BARE_CONTROL),
            Line::TooLong(start) => self.abandon_line(&start, TOO_LONG),
        }
    }

    fn line_bound(&self) -> usize {
        match self.expected {
            Expected::Command if self.is_at_start() && parser::is_authenticate(self.buffer.head()) => {
                self.limits.line_max.max(AUTHENTICATE_MAX)
            }
            Expected::Command => self.limits.line_max.saturating_sub(self.line_len),
            Expected::Response | Expected::Done => sasl::LINE_MAX,
        }
    }

    fn complete_line(&mut self, mut line: Vec<u8>) -> Step {
        if memchr::memchr2(b'\r', 0, &line).is_some() {
            return self.refuse_line(&line, BARE_CONTROL);
        }
        match std::mem::replace(&mut self.expected, Expected::Command) {
            Expected::Response => Step::Emit(Input::Response(Secret::new(line))),
            Expected::Done if line.eq_ignore_ascii_case(b"DONE") => Step::Emit(Input::Done),
            Expected::Done => {
                self.expected = Expected::Done;
                self.refuse_line(&line, "Expected DONE")
            }
            Expected::Command => {
                self.line_len += line.len();
                self.command.extend_from_slice(&line);
                let step = match announced(&line) {
                    Some(literal) => self.begin_literal(literal, line.len()),
                    None => self.finish_command(),
                };
                line.zeroize();
                step
            }
        }
    }

    /// Whether the next octet begins a command.
    fn is_at_start(&self) -> bool {
        self.command.is_empty() && self.append.is_none()
    }

    fn finish_command(&mut self) -> Step {
        match parser::append_stretch(&self.command, self.utf8, self.append, true) {
            parser::AppendStretch::Other => {}
            parser::AppendStretch::Read { steps, .. } => {
                self.end_command();
                self.steps.extend(steps);
                return Step::Again;
            }
            parser::AppendStretch::Malformed(text) => {
                let tag = self.tag();
                self.end_command();
                return Step::Emit(Input::Bad { tag, text });
            }
        }
        let parsed = parser::command(&self.command, self.utf8);
        self.end_command();
        Step::Emit(match parsed {
            Ok(command) => Input::Command(command),
            Err(failure) => Input::Bad { tag: failure.tag, text: failure.text },
        })
    }

    fn begin_literal(&mut self, literal: Announced, line_len: usize) -> Step {
        let brace = self.command.len() - line_len + literal.at;
        if !literal.synchronising && literal.size > self.limits.non_synchronising_max {
            return self.refuse_literal(literal, WAIT);
        }
        let before = self.command.get(..brace).unwrap_or_default();
        match parser::append_stretch(before, self.utf8, self.append, false) {
            // Only the end of a line ends a command.
            parser::AppendStretch::Other
            | parser::AppendStretch::Read { then: parser::AppendThen::End, .. } => {}
            parser::AppendStretch::Read { steps, then: parser::AppendThen::Argument(place) } => {
                if !self.admits(literal) {
                    return self.refuse_literal(literal, TOO_BIG);
                }
                if let Some(place) = place {
                    // What was read is not read again with each argument that comes in a literal.
                    self.steps.extend(steps);
                    self.command.drain(..brace);
                    self.append = Some(place);
                }
            }
            parser::AppendStretch::Read { steps, then: parser::AppendThen::Content(after) } => {
                let Announced { size, synchronising, .. } = literal;
                self.steps.extend(steps);
                self.steps.push_back(AppendStep::Literal(AppendLiteral { size, synchronising }));
                self.state = State::AppendDecision { size, synchronising, after };
                return Step::Again;
            }
            parser::AppendStretch::Malformed(text) => return self.refuse_literal(literal, text),
        }
        if !self.admits(literal) {
            return self.refuse_literal(literal, TOO_BIG);
        }
        self.literals_len += literal.size;
        self.command.extend_from_slice(b"\r\n");
        self.state = State::Literal(literal.size);
        if literal.synchronising { Step::Emit(Input::Continue) } else { Step::Again }
    }

    /// Whether an argument may come in this literal.
    fn admits(&self, literal: Announced) -> bool {
        let total = self.literals_len.saturating_add(literal.size);
        literal.size <= self.limits.literal_max && total <= self.limits.literals_max
    }

    fn read_literal(&mut self, left: u64) -> Step {
        let mut taken = self.buffer.take(left);
        let left = left - taken.len() as u64;
        self.command.extend_from_slice(&taken);
        taken.zeroize();
        self.state = if left == 0 { State::Line } else { State::Literal(left) };
        if left == 0 { Step::Again } else { Step::Starved }
    }

    fn read_content(&mut self, left: u64) -> Step {
        if left == 0 {
            self.state = State::Line;
            return Step::Again;
        }
        let taken = self.buffer.take(left);
        if taken.is_empty() {
            return Step::Starved;
        }
        self.state = State::AppendContent(left - taken.len() as u64);
        Step::Emit(Input::AppendContent(taken))
    }

    /// Refuses the command whose last line is `line`, complete.
    fn refuse_line(&mut self, line: &[u8], text: &'static str) -> Step {
        let tag = self.tag_with(line);
        self.refuse(announced(line), tag, text)
    }

    fn refuse_literal(&mut self, literal: Announced, text: &'static str) -> Step {
        let tag = self.tag();
        self.refuse(Some(literal), tag, text)
    }

    /// Says BAD after a complete line. A client that does not wait for `+` sends its literal and the rest of its command all the same.
    fn refuse(&mut self, literal: Option<Announced>, tag: Option<String>, text: &'static str) -> Step {
        self.end_command();
        self.discarded = 0;
        self.expected = Expected::Command;
        self.state = match literal {
            Some(Announced { size, synchronising: false, .. }) if size > self.limits.discard_max => {
                return self.fatal(TOO_BIG);
            }
            Some(Announced { size, synchronising: false, .. }) => State::DiscardLiteral(size),
            _ => State::Line,
        };
        Step::Emit(Input::Bad { tag, text })
    }

    /// Refuses the command in the middle of a line that begins with `start`.
    fn abandon_line(&mut self, start: &[u8], text: &'static str) -> Step {
        let tag = self.tag_with(start);
        self.abandon(tag, text)
    }

    fn abandon(&mut self, tag: Option<String>, text: &'static str) -> Step {
        self.end_command();
        self.discarded = 0;
        self.expected = Expected::Command;
        self.state = State::DiscardLine;
        Step::Emit(Input::Bad { tag, text })
    }

    /// The tag of the command of which `line` is the last line; none in an exchange, an IDLE or an APPEND, whose tag the edge knows.
    fn tag_with(&self, line: &[u8]) -> Option<String> {
        match self.expected {
            Expected::Response | Expected::Done => None,
            Expected::Command if self.is_at_start() => parser::tag_of(line),
            Expected::Command => self.tag(),
        }
    }

    /// The tag of the command begun; none in an APPEND, whose tag the edge knows.
    fn tag(&self) -> Option<String> {
        if self.append.is_some() { None } else { parser::tag_of(&self.command) }
    }

    fn discard_literal(&mut self, left: u64) -> Step {
        if self.discarded.saturating_add(left) > self.limits.discard_max {
            return self.fatal(FATAL_DISCARD);
        }
        let gone = self.buffer.discard(left);
        self.discarded += gone;
        self.state = State::DiscardLiteral(left - gone);
        if gone == left {
            self.state = State::DiscardLine;
            return Step::Again;
        }
        Step::Starved
    }

    fn discard_line(&mut self) -> Step {
        match self.buffer.discard_line() {
            Discarded::Part { count, kept } => {
                self.discarded = self.discarded.saturating_add(count);
                if self.discarded.saturating_add(kept) > self.limits.discard_max {
                    return self.fatal(FATAL_DISCARD);
                }
                Step::Starved
            }
            Discarded::Line { tail, count } => {
                self.discarded = self.discarded.saturating_add(count);
                if self.discarded > self.limits.discard_max {
                    return self.fatal(FATAL_DISCARD);
                }
                self.state = match announced_at_end(&tail) {
                    Some(Announced { size, synchronising: false, .. }) => State::DiscardLiteral(size),
                    _ => State::Line,
                };
                Step::Again
            }
        }
    }

    fn fatal(&mut self, text: &'static str) -> Step {
        self.buffer.clear();
        self.end_command();
        self.state = State::Closed;
        Step::Emit(Input::Fatal(text))
    }

    /// Nothing is left of the command.
    fn end_command(&mut self) {
        self.append = None;
        self.reset_text();
    }

    /// Wipes the text of the command, which may hold a password, and gives back the room of a large one.
    fn reset_text(&mut self) {
        self.command.zeroize();
        self.command.shrink_to(4096);
        (self.line_len, self.literals_len) = (0, 0);
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("state", &self.state)
            .field("expected", &self.expected)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}
