//! A client transaction and a server session joined in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use mail_types::{ForwardPath, MailParameters, RcptParameters, Reply, ReversePath};
use smtp_session::client::{DotStuffer, Extensions, Outcome, ReplyParser, ServerReply, State, Transaction};
use smtp_session::{Event, Server, ServerOptions, Service, TlsState};

/// The edge's side of the test: refuses recipients whose local part begins with `no` (5yz) or `later` (4yz).
struct Pair {
    server: Server,
    replies: ReplyParser,
    content: Vec<u8>,
    deliveries: usize,
    verdict: Reply,
    /// Round trips so far.
    turns: usize,
}

impl Pair {
    fn new() -> Self {
        let server = Server::new(ServerOptions {
            hostname: "mx.test".into(),
            service: Service::Mx,
            passwords: true,
            tls: TlsState::Active,
            max_message_size: 1_000_000,
            max_recipients: 1000,
            dsn: true,
        });
        let verdict = Reply::new(250, (2, 0, 0), "Taken");
        let replies = ReplyParser::new();
        Self { server, replies, content: Vec::new(), deliveries: 0, verdict, turns: 0 }
    }

    fn greeted() -> (Self, Extensions) {
        let mut pair = Self::new();
        let replies = pair.exchange(b"EHLO a.example\r\n");
        assert_eq!(replies[0].code, 220);
        let extensions = Extensions::from_ehlo(&replies[1]);
        (pair, extensions)
    }

    fn exchange(&mut self, bytes: &[u8]) -> Vec<ServerReply> {
        self.turns += 1;
        self.server.handle_input(bytes);
        while let Some(event) = self.server.poll_event() {
            self.answer(event);
        }
        self.replies.push(self.server.output());
        self.server.output().clear();
        std::iter::from_fn(|| self.replies.poll()).map(Result::unwrap).collect()
    }

    fn answer(&mut self, event: Event) {
        let reply = match event {
            Event::Mail { .. } => Reply::new(250, (2, 1, 0), "OK"),
            Event::Rcpt { path: ForwardPath::Address(a), .. } if a.local_part().starts_with("no") => {
                Reply::new(550, (5, 1, 1), "No such mailbox")
            }
            Event::Rcpt { path: ForwardPath::Address(a), .. } if a.local_part().starts_with("later") => {
                Reply::new(450, (4, 2, 1), "Later")
            }
            Event::Rcpt { .. } => Reply::new(250, (2, 1, 5), "OK"),
            Event::Data => Reply::plain(354, "Go ahead"),
            Event::EndOfContent { fault: None } => {
                self.deliveries += 1;
                self.verdict.clone()
            }
            Event::Content(bytes) => return self.content.extend(bytes),
            Event::Hello { .. } => return,
            other => panic!("unexpected {other:?}"),
        };
        self.server.reply(reply);
    }

    fn send(&mut self, transaction: &mut Transaction, content: &[u8]) {
        loop {
            let bytes = match (transaction.poll_transmit(), transaction.state()) {
                (Some(bytes), _) => bytes,
                (None, State::SendContent) => {
                    transaction.content_sent();
                    stuffed(content)
                }
                (None, State::NeedReply) => panic!("both sides wait"),
                (None, State::Done) => return,
            };
            for reply in self.exchange(&bytes) {
                transaction.handle_reply(reply);
            }
        }
    }
}

fn stuffed(content: &[u8]) -> Vec<u8> {
    let (mut stuffer, mut out) = (DotStuffer::new(), Vec::new());
    stuffer.stuff(content, &mut out);
    stuffer.finish(&mut out);
    out
}

fn transaction(recipients: &[&str], extensions: &Extensions) -> Transaction {
    let recipients: Vec<_> = recipients
        .iter()
        .map(|local| format!("{local}@mx.test").parse().unwrap())
        .map(|address| (ForwardPath::Address(address), RcptParameters::default()))
        .collect();
    let from = ReversePath::Address("a@a.example".parse().unwrap());
    Transaction::new(&from, &MailParameters::default(), &recipients, extensions)
}

fn outcomes(transaction: Transaction) -> Vec<(u16, Outcome)> {
    transaction.into_outcomes().into_iter().map(|o| (o.reply.code, o.outcome)).collect()
}

const MIXED: [&str; 4] = ["b", "nobody", "later", "c"];
const MIXED_OUTCOMES: [(u16, Outcome); 4] = [
    (250, Outcome::Accepted),
    (550, Outcome::Permanent),
    (450, Outcome::Transient),
    (250, Outcome::Accepted),
];

#[test]
fn each_recipient_has_its_own_outcome_in_two_round_trips() {
    let (mut pair, extensions) = Pair::greeted();
    let mut sending = transaction(&MIXED, &extensions);
    pair.turns = 0;
    pair.send(&mut sending, b".\r\nx");
    assert_eq!(outcomes(sending), MIXED_OUTCOMES);
    assert_eq!((pair.content.as_slice(), pair.turns), (&b".\r\nx\r\n"[..], 2));
}

#[test]
fn a_server_without_pipelining_is_asked_one_thing_at_a_time() {
    let (mut pair, extensions) = Pair::greeted();
    let mut sending = transaction(&MIXED, &Extensions { pipelining: false, ..extensions });
    pair.turns = 0;
    pair.send(&mut sending, b"x");
    assert_eq!(outcomes(sending), MIXED_OUTCOMES);
    assert_eq!(pair.turns, 7);
}

#[test]
fn the_final_reply_counts_for_every_willing_recipient() {
    let (mut pair, extensions) = Pair::greeted();
    pair.verdict = Reply::new(451, (4, 3, 0), "Later");
    let mut sending = transaction(&["b", "no", "c"], &extensions);
    pair.send(&mut sending, b"x");
    assert!(!sending.needs_reset() && !sending.is_broken());
    let expected = [(451, Outcome::Transient), (550, Outcome::Permanent), (451, Outcome::Transient)];
    assert_eq!(outcomes(sending), expected);
}

#[test]
fn nothing_is_delivered_when_all_recipients_are_refused() {
    for pipelining in [true, false] {
        let (mut pair, extensions) = Pair::greeted();
        let mut sending = transaction(&["no1", "no2"], &Extensions { pipelining, ..extensions });
        pair.send(&mut sending, b"x");
        assert!(sending.needs_reset());
        assert_eq!((outcomes(sending), pair.deliveries), (vec![(550, Outcome::Permanent); 2], 0));
    }
}

#[test]
fn many_recipients_are_sent_in_windows() {
    let (mut pair, extensions) = Pair::greeted();
    let names: Vec<String> = (0..350).map(|n| format!("u{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sending = transaction(&names, &extensions);
    pair.send(&mut sending, b"x");
    assert_eq!(outcomes(sending), vec![(250, Outcome::Accepted); 350]);
}
