//! A client transaction against replies that our own server would not give.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use mail_types::{DsnNotify, DsnRet, ForwardPath, MailParameters, RcptParameters, ReversePath};
use smtp_session::client::{Extensions, Outcome, ReplyParser, State, Transaction};

fn pipelined() -> Extensions {
    Extensions { pipelining: true, ..Extensions::default() }
}

fn two_recipients(extensions: &Extensions) -> Transaction {
    let address = "b@mx.test".parse().unwrap();
    let recipients = [ForwardPath::Address(address), ForwardPath::Postmaster]
        .map(|path| (path, RcptParameters::default()));
    Transaction::new(&ReversePath::Null, &MailParameters::default(), &recipients, extensions)
}

fn feed(transaction: &mut Transaction, replies: &str) {
    let mut parser = ReplyParser::new();
    parser.push(replies.as_bytes());
    while let Some(reply) = parser.poll() {
        transaction.handle_reply(reply.unwrap());
    }
}

fn outcomes(transaction: Transaction) -> Vec<(u16, Outcome)> {
    transaction.into_outcomes().into_iter().map(|o| (o.reply.code, o.outcome)).collect()
}

#[test]
fn a_354_that_nobody_wants_is_answered_with_a_lone_dot() {
    let mut sending = two_recipients(&pipelined());
    let sent = sending.poll_transmit().unwrap();
    assert_eq!(sent, b"MAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\nRCPT TO:<postmaster>\r\nDATA\r\n");
    feed(&mut sending, "250 a\n550 b\n450 c\n354 go\n");
    assert_eq!(sending.poll_transmit().as_deref(), Some(&b".\r\n"[..]));
    assert_eq!((sending.poll_transmit(), sending.state()), (None, State::NeedReply));
    feed(&mut sending, "250 taken\n");
    assert_eq!(sending.state(), State::Done);
    assert_eq!(outcomes(sending), [(550, Outcome::Permanent), (450, Outcome::Transient)]);
}

#[test]
fn a_refused_sender_decides_for_all_once_all_replies_are_in() {
    let mut sending = two_recipients(&pipelined());
    sending.poll_transmit();
    feed(&mut sending, "550 5.7.1 no\n503 b\n503 c\n");
    assert_eq!(sending.state(), State::NeedReply);
    feed(&mut sending, "503 d\n");
    assert_eq!((sending.state(), sending.needs_reset(), sending.is_broken()), (State::Done, false, false));
    assert_eq!(outcomes(sending), [(550, Outcome::Permanent); 2]);
}

#[test]
fn a_refused_sender_stops_a_transaction_without_pipelining() {
    let mut sending = two_recipients(&Extensions::default());
    assert_eq!(sending.poll_transmit().as_deref(), Some(&b"MAIL FROM:<>\r\n"[..]));
    assert_eq!(sending.poll_transmit(), None);
    feed(&mut sending, "451 later\n");
    assert_eq!((sending.poll_transmit(), sending.state()), (None, State::Done));
    assert_eq!(outcomes(sending), [(451, Outcome::Transient); 2]);
}

#[test]
fn closing_421_is_transient_for_who_has_no_outcome_yet() {
    let mut sending = two_recipients(&pipelined());
    sending.poll_transmit();
    feed(&mut sending, "250 a\n550 b\n421 bye\n");
    assert!(sending.is_broken() && sending.state() == State::Done);
    assert_eq!(outcomes(sending), [(550, Outcome::Permanent), (421, Outcome::Transient)]);
}

#[test]
fn a_reply_that_does_not_fit_is_never_taken_for_acceptance() {
    for replies in [
        "250 a\n250 b\n250 c\n250 d\n",
        "250 a\n250 b\n250 c\n354 d\n250 e\n",
        "354 a\n250 b\n250 c\n250 d\n",
    ] {
        let mut sending = two_recipients(&pipelined());
        sending.poll_transmit();
        feed(&mut sending, replies);
        assert_eq!((sending.state(), sending.is_broken()), (State::Done, true), "{replies}");
        assert_eq!(outcomes(sending), [(451, Outcome::Transient); 2], "{replies}");
    }
}

#[test]
fn a_552_to_rcpt_means_later_unless_it_says_what_is_full() {
    for (reply, outcome) in [
        ("552 too many", Outcome::Transient),
        ("552 5.5.3 too many", Outcome::Transient),
        ("552 5.2.2 mailbox full", Outcome::Permanent),
    ] {
        let mut sending = two_recipients(&pipelined());
        sending.poll_transmit();
        feed(&mut sending, &format!("250 a\n{reply}\n250 c\n354 go\n"));
        sending.content_sent();
        feed(&mut sending, "250 taken\n");
        assert_eq!(outcomes(sending), [(552, outcome), (250, Outcome::Accepted)]);
    }
}

#[test]
fn parameters_are_sent_only_where_offered_and_cannot_end_the_line() {
    let parameters = MailParameters {
        size: Some(10),
        body: mail_types::BodyKind::EightBitMime,
        ret: Some(DsnRet::Hdrs),
        envid: Some("a\r\nQUIT".into()),
    };
    let notify = Some(DsnNotify { success: true, failure: false, delay: true });
    let recipient = RcptParameters { notify, orcpt: Some("rfc822;b".into()) };
    let recipients = [(ForwardPath::Postmaster, recipient)];
    let sent = |extensions| {
        let mut sending = Transaction::new(&ReversePath::Null, &parameters, &recipients, &extensions);
        String::from_utf8(sending.poll_transmit().unwrap()).unwrap()
    };
    assert_eq!(sent(pipelined()), "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n");
    let all = Extensions { eight_bit_mime: true, size: Some(0), dsn: true, ..pipelined() };
    assert_eq!(
        sent(all),
        "MAIL FROM:<> SIZE=10 BODY=8BITMIME RET=HDRS\r\n\
         RCPT TO:<postmaster> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b\r\nDATA\r\n"
    );
}
