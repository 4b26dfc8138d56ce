//! The commands one by one, and the order in which they are allowed (RFC 5321 §4.1.4).
//!
//! Each either answers by itself or asks the edge; a refusal comes back as `Err`.

use super::command::{self, Verb};
use super::path::{self, Direction};
use super::sasl::{self, Step};
use super::{
    Event, FAULT_LIMIT, Greeting, IDLE_LIMIT, Phase, Question, Server, Service, TlsState, parameters,
};
use mail_types::Reply;
use std::borrow::Cow;

type Outcome = Result<(), Reply>;

impl Server {
    /// Obeys one line: a command, or the next response of a SASL dialogue.
    pub(super) fn interpret(&mut self, line: &[u8]) -> Outcome {
        if let Phase::Sasl(dialogue) = std::mem::replace(&mut self.phase, Phase::Command) {
            let step = sasl::proceed(dialogue, line)?;
            return self.step(step);
        }
        let (verb, argument) = command::split(line)
            .ok_or_else(|| Reply::new(500, (5, 5, 2), "Control character in a command"))?;
        if verb.needs_tls() && self.options.tls != TlsState::Active {
            return Err(Reply::new(530, (5, 7, 0), "Must issue a STARTTLS command first"));
        }
        match verb {
            Verb::Ehlo => self.hello(argument, true),
            Verb::Helo => self.hello(argument, false),
            Verb::StartTls => self.start_tls(argument),
            Verb::Auth => self.auth(argument),
            Verb::Mail => self.mail(argument),
            Verb::Rcpt => self.rcpt(argument),
            Verb::Data => self.data(argument),
            Verb::Rset => self.rset(argument),
            Verb::Noop => self.inform(Reply::new(250, (2, 0, 0), "OK")),
            Verb::Vrfy if argument.is_empty() => Err(bad_arguments()),
            Verb::Vrfy => self.inform(Reply::new(252, (2, 5, 0), "Cannot verify; send and see")),
            Verb::Help => self.inform(Reply::new(214, (2, 0, 0), "See RFC 5321")),
            Verb::Quit => self.quit(argument),
            Verb::NotImplemented => Err(Reply::new(502, (5, 5, 1), "Command not implemented")),
            Verb::Unknown => Err(Reply::new(500, (5, 5, 1), "Command not recognised")),
        }
    }

    fn hello(&mut self, argument: &[u8], extended: bool) -> Outcome {
        if !command::is_hello_name(argument) {
            return Err(bad_arguments());
        }
        self.abandon_transaction();
        // Greetings that lead to nothing are the one command whose answer is many times its size.
        self.faults += u32::from(self.greeting == Greeting::Fresh);
        if self.faults >= FAULT_LIMIT {
            return Err(Reply::new(421, (4, 7, 0), "Too many bad commands"));
        }
        self.greeting = Greeting::Fresh;
        let mut lines: Vec<Cow<'static, str>> = vec![self.options.hostname.clone().into()];
        if extended {
            self.list_extensions(&mut lines);
        }
        self.answer(&Reply { code: 250, enhanced: None, lines });
        let name = String::from_utf8_lossy(argument).into_owned();
        self.events.push_back(Event::Hello { name, extended });
        Ok(())
    }

    fn list_extensions(&self, lines: &mut Vec<Cow<'static, str>>) {
        lines.push("PIPELINING".into());
        lines.push(format!("SIZE {}", self.options.max_message_size).into());
        lines.push("8BITMIME".into());
        lines.push("ENHANCEDSTATUSCODES".into());
        if self.options.tls == (TlsState::Clear { starttls_offered: true }) {
            lines.push("STARTTLS".into());
        }
        if self.auth_offered() {
            let mechanisms = match (self.options.passwords, self.has_certificate) {
                (true, true) => Some("AUTH PLAIN LOGIN EXTERNAL"),
                (true, false) => Some("AUTH PLAIN LOGIN"),
                (false, true) => Some("AUTH EXTERNAL"),
                (false, false) => None,
            };
            lines.extend(mechanisms.map(Cow::from));
        }
        if self.options.dsn {
            lines.push("DSN".into());
        }
    }

    fn start_tls(&mut self, argument: &[u8]) -> Outcome {
        no_argument(argument)?;
        match self.options.tls {
            TlsState::Active => Err(out_of_order("TLS is already active")),
            TlsState::Clear { starttls_offered: false } => {
                Err(Reply::new(454, (4, 7, 0), "TLS not available"))
            }
            TlsState::Clear { starttls_offered: true } => {
                self.phase = Phase::Handshake;
                self.input.clear();
                self.answer(&Reply::new(220, (2, 0, 0), "Ready to start TLS"));
                self.events.push_back(Event::StartTls);
                Ok(())
            }
        }
    }

    fn auth(&mut self, argument: &[u8]) -> Outcome {
        if !self.auth_offered() {
            return Err(Reply::new(502, (5, 5, 1), "AUTH is not offered"));
        }
        self.require_greeting()?;
        if self.authenticated {
            return Err(out_of_order("Already authenticated"));
        }
        if self.transaction.is_some() {
            return Err(out_of_order("AUTH is not allowed in a mail transaction"));
        }
        let argument = std::str::from_utf8(argument).map_err(|_| bad_arguments())?;
        let step = sasl::begin(argument, self.options.passwords, self.has_certificate)?;
        self.step(step)
    }

    fn step(&mut self, step: Step) -> Outcome {
        match step {
            Step::Challenge(text, dialogue) => {
                self.answer(&Reply::plain(334, text));
                self.phase = Phase::Sasl(dialogue);
            }
            Step::Finished(sasl::Credentials { authzid, authcid, password }) => {
                self.ask(Question::Auth, Event::AuthPlain { authzid, authcid, password });
            }
            Step::External(authzid) => self.ask(Question::Auth, Event::AuthExternal { authzid }),
        }
        Ok(())
    }

    fn mail(&mut self, argument: &[u8]) -> Outcome {
        self.require_greeting()?;
        if self.options.service == Service::Submission && !self.authenticated {
            return Err(Reply::new(530, (5, 7, 0), "Authentication required"));
        }
        if self.transaction.is_some() {
            return Err(out_of_order("A mail transaction is already open"));
        }
        let (inside, after) = path::split(argument, Direction::Reverse)?;
        let path = path::reverse(inside)?;
        let parameters = parameters::mail(after, self.offered())?;
        if parameters.size.is_some_and(|size| size > self.options.max_message_size) {
            return Err(Reply::new(552, (5, 3, 4), "Message too big"));
        }
        self.ask(Question::Mail, Event::Mail { path, parameters });
        Ok(())
    }

    fn rcpt(&mut self, argument: &[u8]) -> Outcome {
        let offered = self.offered();
        let Some(transaction) = &mut self.transaction else {
            return self.inform(out_of_order("MAIL comes first"));
        };
        transaction.recipient_given = true;
        let (inside, after) = path::split(argument, Direction::Forward)?;
        let path = path::forward(inside)?;
        let parameters = parameters::rcpt(after, offered)?;
        if transaction.accepted >= self.options.max_recipients {
            return Err(Reply::new(452, (4, 5, 3), "Too many recipients"));
        }
        self.ask(Question::Rcpt, Event::Rcpt { path, parameters });
        Ok(())
    }

    fn data(&mut self, argument: &[u8]) -> Outcome {
        no_argument(argument)?;
        match &self.transaction {
            None => self.inform(out_of_order("MAIL comes first")),
            Some(transaction) if transaction.accepted > 0 => {
                self.ask(Question::Data, Event::Data);
                Ok(())
            }
            Some(transaction) if transaction.recipient_given => {
                self.inform(Reply::new(554, (5, 5, 1), "No valid recipients"))
            }
            Some(_) => Err(out_of_order("RCPT comes first")),
        }
    }

    fn rset(&mut self, argument: &[u8]) -> Outcome {
        no_argument(argument)?;
        self.abandon_transaction();
        self.inform(Reply::new(250, (2, 0, 0), "OK"))
    }

    fn quit(&mut self, argument: &[u8]) -> Outcome {
        no_argument(argument)?;
        self.close(&Reply::new(221, (2, 0, 0), "Bye"));
        self.events.push_back(Event::Quit);
        Ok(())
    }

    /// Answers without counting a fault: for what succeeds, and for what a pipelining client cannot help sending after a
    /// refused MAIL or refused recipients.
    fn inform(&mut self, reply: Reply) -> Outcome {
        self.idle += 1;
        if self.idle > IDLE_LIMIT {
            return Err(Reply::new(421, (4, 7, 0), "Too many commands without mail"));
        }
        self.answer(&reply);
        Ok(())
    }

    fn abandon_transaction(&mut self) {
        if self.transaction.take().is_some() {
            self.events.push_back(Event::Reset);
        }
    }

    fn require_greeting(&self) -> Outcome {
        if self.greeting == Greeting::Missing { Err(out_of_order("EHLO comes first")) } else { Ok(()) }
    }

    fn auth_offered(&self) -> bool {
        self.options.service == Service::Submission && self.options.tls == TlsState::Active
    }

    fn offered(&self) -> parameters::Offered {
        parameters::Offered { auth: self.auth_offered(), dsn: self.options.dsn }
    }
}

fn no_argument(argument: &[u8]) -> Outcome {
    if argument.is_empty() { Ok(()) } else { Err(bad_arguments()) }
}

fn bad_arguments() -> Reply {
    Reply::new(501, (5, 5, 4), "Syntax error in arguments")
}

fn out_of_order(text: &'static str) -> Reply {
    Reply::new(503, (5, 5, 1), text)
}
