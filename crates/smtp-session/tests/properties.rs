//! What holds for all inputs.

use mail_types::Reply;
use proptest::prelude::*;
use smtp_session::client::{DotStuffer, ReplyParser};
use smtp_session::{Event, Server, ServerOptions, Service, TlsState};

fn server() -> Server {
    Server::new(ServerOptions {
        hostname: "mx.test".into(),
        service: Service::Mx,
        passwords: true,
        tls: TlsState::Active,
        max_message_size: 1 << 30,
        max_recipients: 10,
        dsn: true,
    })
}

/// A server in DATA.
fn receiving() -> Server {
    let mut server = server();
    server.handle_input(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n");
    while let Some(event) = server.poll_event() {
        match event {
            Event::Data => server.reply(Reply::plain(354, "Go ahead")),
            event if event.needs_reply() => server.reply(Reply::new(250, (2, 0, 0), "OK")),
            _ => {}
        }
    }
    server
}

/// Gives `bytes` in pieces of the given lengths, then the rest at once; `taken` hears every event.
fn feed(server: &mut Server, mut bytes: &[u8], pieces: &[usize], mut taken: impl FnMut(&mut Server, Event)) {
    for length in pieces.iter().copied().chain([usize::MAX]) {
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        server.handle_input(piece);
        while let Some(event) = server.poll_event() {
            taken(server, event);
        }
    }
}

/// Lines, of which many begin with or consist of dots.
fn clean_body() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof!["[.]{0,3}", "[.]{0,2}[a-z \u{e9}.]{0,80}"];
    prop::collection::vec(line, 0..40)
        .prop_map(|lines| lines.into_iter().flat_map(|line| (line + "\r\n").into_bytes()).collect())
}

proptest! {
    #[test]
    fn stuffed_content_is_read_back(
        body in clean_body(),
        chunk in 1usize..50,
        pieces in prop::collection::vec(0usize..20, 0..200),
    ) {
        let (mut stuffer, mut wire) = (DotStuffer::new(), Vec::new());
        body.chunks(chunk).for_each(|chunk| stuffer.stuff(chunk, &mut wire));
        stuffer.finish(&mut wire);
        wire.extend_from_slice(b"QUIT\r\n");
        let (mut content, mut ended) = (Vec::new(), Vec::new());
        feed(&mut receiving(), &wire, &pieces, |server, event| match event {
            Event::Content(bytes) => content.extend(bytes),
            Event::EndOfContent { .. } => {
                ended.push(event);
                server.reply(Reply::new(250, (2, 0, 0), "OK"));
            }
            event => ended.push(event),
        });
        prop_assert_eq!(content, body);
        prop_assert_eq!(ended, [Event::EndOfContent { fault: None }, Event::Quit]);
    }

    /// Whatever is stuffed, our strict reader finds no fault in it and one end.
    #[test]
    fn what_leaves_is_always_clean(body in prop::collection::vec(prop::sample::select(b"\r\n.ab".to_vec()), 0..60)) {
        let (mut stuffer, mut wire) = (DotStuffer::new(), Vec::new());
        stuffer.stuff(&body, &mut wire);
        stuffer.finish(&mut wire);
        let mut faults = Vec::new();
        feed(&mut receiving(), &wire, &[], |server, event| {
            if let Event::EndOfContent { fault } = event {
                faults.push(fault);
                server.reply(Reply::new(250, (2, 0, 0), "OK"));
            }
        });
        prop_assert_eq!(faults, [None]);
    }

    #[test]
    fn arbitrary_input_never_panics_and_waits_within_bounds(
        words in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "EHLO a\r\n", "MAIL FROM:<a@b.c>", "RCPT TO:<", "DATA\r\n", "RSET\r\n", "AUTH PLAIN ", "\r\n", ".\r\n",
                "SIZE=", "\"", "@", ">", " ", "\r", "\n", "STARTTLS\r\n",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..30),
        ], 0..60),
        pieces in prop::collection::vec(0usize..20, 0..60),
        code in 200u16..600,
    ) {
        let mut server = server();
        feed(&mut server, &words.concat(), &pieces, |server, event| {
            if event.needs_reply() {
                server.reply(Reply::plain(code, "x"));
            }
        });
        prop_assert!(server.wants_input() || server.is_closing());
    }

    #[test]
    fn arbitrary_replies_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut parser = ReplyParser::new();
        parser.push(&bytes);
        for _ in 0..bytes.len() {
            if !matches!(parser.poll(), Some(Ok(_))) {
                break;
            }
        }
    }
}

#[test]
fn pipelined_commands_wait_behind_a_question_and_hold_back_input() {
    let mut server = server();
    server.handle_input(b"EHLO a\r\nMAIL FROM:<>\r\n");
    while server.poll_event().is_some() {}
    server.output().clear();
    let mut given = 0;
    while server.wants_input() {
        server.handle_input(b"NOOP that takes some room in the buffer\r\n");
        given += 1;
        assert!(given < 10_000);
    }
    assert!(server.poll_event().is_none() && server.output().is_empty());
    server.reply(Reply::new(250, (2, 1, 0), "OK"));
    assert!(server.poll_event().is_none() && server.wants_input());
    assert_eq!(server.output().split(|&b| b == b'\n').count() - 1, given + 1);
}

#[test]
fn commands_that_lead_to_nothing_end_the_session_and_mail_does_not() {
    let mut server = receiving();
    for _ in 0..3 {
        server.handle_input(b".\r\n");
        while server.poll_event().is_some() {
            server.reply(Reply::new(250, (2, 0, 0), "OK"));
        }
        server.handle_input(&b"RSET\r\n".repeat(900));
        while server.poll_event().is_some() {}
        assert!(!server.is_closing());
        server.handle_input(b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n");
        while let Some(event) = server.poll_event() {
            let code = if matches!(event, Event::Data) { 354 } else { 250 };
            server.reply(Reply::plain(code, "OK"));
        }
    }
    server.handle_input(b".\r\n");
    while server.poll_event().is_some() {
        server.reply(Reply::new(451, (4, 3, 0), "Later"));
    }
    server.handle_input(&b"NOOP\r\n".repeat(101));
    while server.poll_event().is_some() {}
    assert!(server.is_closing(), "900 and 101 without mail");
    assert!(server.output().ends_with(b"421 4.7.0 Too many commands without mail\r\n"));
}

#[test]
fn greetings_that_lead_to_nothing_end_the_session() {
    let mut server = server();
    server.handle_input(&b"EHLO a\r\n".repeat(50));
    while server.poll_event().is_some() {}
    assert!(server.is_closing() && server.output().len() < 4096);
    assert!(server.output().ends_with(b"421 4.7.0 Too many bad commands\r\n"));
}
