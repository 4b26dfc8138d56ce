//! The MX on the wire: recipients, sizes, quotas, pipelining, exact reading of content.

use scenarios::{Demo, Imap, Letter, Mailbox, Site, Wire, without_trace};
use std::sync::Arc;

const SENDER: &str = "claire.martin@chu-nord.mssante.test";

/// chu-nord's server, connected to clinique-sud.
async fn from_north(demo: &Demo) -> Wire {
    Wire::mx(demo.south().ports["smtp"], &demo.client(&demo.north().certificate())).await
}

/// A transaction up to DATA.
async fn to_data(demo: &Demo, recipient: &str) -> Wire {
    let mut wire = from_north(demo).await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask(&format!("RCPT TO:<{recipient}>"), "250").await;
    wire.ask("DATA", "354").await;
    wire
}

fn used_messages(site: &Site, mailbox: &Mailbox) -> u64 {
    let shown = site.cli(&["mailbox", "show", &mailbox.address, "--json"]);
    shown.json()["quota"]["usedMessages"].as_u64().expect("a number of messages")
}

#[tokio::test]
async fn an_unknown_recipient_is_refused_and_the_others_stand() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("connu", "1M");
    let mut wire = from_north(&demo).await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask("RCPT TO:<nobody@clinique-sud.mssante.test>", "550 5.1.1").await;
    wire.ask(&format!("RCPT TO:<{}>", mailbox.address), "250 2.1.5").await;
    wire.ask("RCPT TO:<nobody2@clinique-sud.mssante.test>", "550 5.1.1").await;
    wire.ask("DATA", "354").await;
    wire.send_raw(b"Subject: x\r\n\r\nx\r\n.\r\n").await;
    wire.expect("250 2").await;
    assert_eq!(used_messages(demo.south(), &mailbox), 1);
}

#[tokio::test]
async fn nobody_relays() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask("RCPT TO:<a@elsewhere.example>", "550 5.7.1").await;
    wire.ask(&format!("RCPT TO:<{SENDER}>"), "550 5.7.1").await;
    wire.ask("RCPT TO:<a%elsewhere.example@clinique-sud.mssante.test>", "550 5.1.1").await;
    wire.ask("RCPT TO:<\"a@elsewhere.example\"@clinique-sud.mssante.test>", "550 5.1.1").await;
    wire.ask("DATA", "5").await;
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    wire.ask("RCPT TO:<paul.moreau@clinique-sud.mssante.test>", "503 5.5.1").await;
    wire.ask("DATA", "503 5.5.1").await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "503 5.5.1").await;
    wire.ask("RSET", "250 2.0.0").await;
    wire.ask("DATA", "503 5.5.1").await;
    wire.ask("FROBNICATE", "500 5.5.1").await;
    wire.ask("BDAT 3", "502 5.5.1").await;
    wire.ask("QUIT", "221 2.0.0").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn a_message_over_the_server_s_limit_is_refused_at_mail() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    let reply = wire.ask("EHLO peer.example", "250").await;
    let size = reply.lines.iter().find_map(|line| line.strip_prefix("SIZE ")).expect("SIZE is offered");
    let size: u64 = size.parse().unwrap();
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE={}", size + 1), "552 5.3.4").await;
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE=99999999999999999999999"), "5").await;
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE={size}"), "250").await;
}

#[tokio::test]
async fn content_over_the_limit_is_refused_at_its_end_and_the_session_goes_on() {
    let mut operator = scenarios::Operator::init("ville.example");
    operator.cli(&["mailbox", "create", "a@ville.example", "--kind", "personal"]).ok();
    std::fs::write(
        operator.config_file(),
        std::fs::read_to_string(operator.config_file()).unwrap() + "\n[limits]\nmessage_size_max = 65536\n",
    )
    .unwrap();
    operator.serve();
    let peer = scenarios::Certificate::issue(&operator.authority(), "ville.example", scenarios::now());
    std::fs::write(operator.file("trust/whitelist.txt"), format!("ville.example;{}\n", peer.subject))
        .unwrap();
    operator.process().signal("HUP");
    let tls = scenarios::ClientTls::with(&operator.ca_file(), &peer);
    scenarios::until("the peer is listed", async || {
        let mut wire = Wire::mx(operator.ports["smtp"], &tls).await;
        wire.send("MAIL FROM:<b@ville.example>").await;
        (wire.reply().await.code == 250).then_some(())
    })
    .await;
    let mut wire = Wire::mx(operator.ports["smtp"], &tls).await;
    let line = [&[b'x'; 98][..], b"\r\n"].concat();
    let big = [b"Subject: big\r\n\r\n".as_slice(), &line.repeat(700)].concat();
    let reply = wire.letter("b@ville.example", &["a@ville.example"], &big).await;
    assert!(reply.text().starts_with("552 5.3.4"), "{wire:?}");
    let reply = wire.letter("b@ville.example", &["a@ville.example"], b"Subject: small\r\n\r\nx\r\n").await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
}

#[tokio::test]
async fn a_full_mailbox_defers_and_a_message_over_the_whole_quota_is_refused() {
    let demo = Demo::shared();
    let south = demo.south();
    let mailbox = south.new_mailbox("etroit", "10M");
    let rcpt = format!("RCPT TO:<{}>", mailbox.address);
    let body = b"x".repeat(90).into_iter().chain(*b"\r\n").collect::<Vec<u8>>().repeat(500);
    let mut wire = from_north(&demo).await;
    let reply = wire.letter(SENDER, &[&mailbox.address], &Letter::new("quota", &body).content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    // While `serve` runs, and from the next recipient on.
    south.cli(&["mailbox", "set-quota", &mailbox.address, "60000"]).ok();
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE=60001"), "250").await;
    wire.ask(&rcpt, "552 5.2.2").await;
    wire.ask("RSET", "250").await;
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE=50000"), "250").await;
    wire.ask(&rcpt, "452 4.2.2").await;
    wire.ask("RSET", "250").await;
    south.cli(&["mailbox", "set-quota", &mailbox.address, "40000"]).ok();
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask(&rcpt, "452 4.2.2").await;
    wire.ask("RSET", "250").await;
    south.cli(&["mailbox", "set-quota", &mailbox.address, "1M"]).ok();
    wire.ask(&format!("MAIL FROM:<{SENDER}> SIZE=50000"), "250").await;
    wire.ask(&rcpt, "250 2.1.5").await;
}

#[tokio::test]
async fn a_recipient_accepted_at_rcpt_gets_the_message_even_if_the_quota_shrank_meanwhile() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("retreci", "10M");
    let mut wire = to_data(&demo, &mailbox.address).await;
    demo.south().cli(&["mailbox", "set-quota", &mailbox.address, "1"]).ok();
    wire.send_raw(b"Subject: x\r\n\r\nmore than one octet\r\n.\r\n").await;
    wire.expect("250").await;
    assert_eq!(used_messages(demo.south(), &mailbox), 1);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("tuyau", "1M");
    let mut wire = from_north(&demo).await;
    let two = format!(
        "MAIL FROM:<{SENDER}>\r\nRCPT TO:<nobody@clinique-sud.mssante.test>\r\nRCPT TO:<{0}>\r\nDATA\r\n",
        mailbox.address
    );
    for number in 1..=2 {
        wire.send_raw(two.as_bytes()).await;
        for beginning in ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354"] {
            wire.expect(beginning).await;
        }
        wire.send_raw(format!("Subject: {number}\r\n\r\nx\r\n.\r\nNOOP\r\n").as_bytes()).await;
        wire.expect("250 2").await;
        wire.expect("250 2.0.0").await;
    }
    wire.send_raw(b"RSET\r\nNOOP\r\nQUIT\r\n").await;
    for beginning in ["250", "250", "221"] {
        wire.expect(beginning).await;
    }
    assert_eq!(used_messages(demo.south(), &mailbox), 2);
}

#[tokio::test]
async fn what_another_program_takes_for_the_end_of_content_smuggles_nothing() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("contrebande", "1M");
    let lookalikes: [&[u8]; 9] = [
        b"\r\n.\r\r\n",
        b"\n.\n",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n.\0\r\n",
        b"\r\n\0.\r\n",
    ];
    for lookalike in lookalikes {
        let mut wire = to_data(&demo, &mailbox.address).await;
        let smuggled =
            format!("MAIL FROM:<{SENDER}>\r\nRCPT TO:<{}>\r\nDATA\r\nSubject: 2\r\n\r\n", mailbox.address);
        wire.send_raw(&[b"Subject: 1\r\n\r\nx", lookalike, smuggled.as_bytes(), b"\r\n.\r\n"].concat()).await;
        wire.expect("554 5.6.0").await;
        // No other reply is on its way: this one answers NOOP.
        wire.ask("HELP", "214").await;
    }
    assert_eq!(used_messages(demo.south(), &mailbox), 0);
}

#[tokio::test]
async fn nul_and_bare_line_ends_are_refused_in_content_and_in_commands() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("controle", "1M");
    for body in [&b"a\0b"[..], b"a\rb", b"a\nb", b"a\r\r", b"\n", b"\0"] {
        let mut wire = to_data(&demo, &mailbox.address).await;
        wire.send_raw(&[b"Subject: x\r\n\r\n", body, b"\r\n.\r\n"].concat()).await;
        wire.expect("554 5.6.0").await;
        wire.ask("NOOP", "250").await;
    }
    let mut wire = from_north(&demo).await;
    wire.ask("NOOP a\0b", "500").await;
    wire.ask("NOOP a\nNOOP", "500").await;
    wire.ask("NOOP a\rNOOP", "500").await;
    wire.ask(&format!("NOOP {}", "x".repeat(3000)), "500").await;
    wire.ask("NOOP", "250").await;
    assert_eq!(used_messages(demo.south(), &mailbox), 0);
}

#[tokio::test]
async fn an_empty_message_is_accepted() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("vide", "1M");
    let mut wire = to_data(&demo, &mailbox.address).await;
    wire.send_raw(b".\r\n").await;
    wire.expect("250").await;
    assert_eq!(used_messages(demo.south(), &mailbox), 1);
}

#[tokio::test]
async fn the_same_message_sent_again_by_the_same_peer_is_stored_once() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("doublon", "10M");
    let letter = Letter::new("doublon", b"once\r\n");
    for _ in 0..3 {
        let mut wire = from_north(&demo).await;
        let reply = wire.letter(SENDER, &[&mailbox.address], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }
    assert_eq!(used_messages(demo.south(), &mailbox), 1);
    let other = Letter::new("autre", b"once\r\n");
    from_north(&demo).await.letter(SENDER, &[&mailbox.address], &other.content).await;
    assert_eq!(used_messages(demo.south(), &mailbox), 2);
    // Another envelope is another message.
    from_north(&demo)
        .await
        .letter("hugo.bernard@chu-nord.mssante.test", &[&mailbox.address], &letter.content)
        .await;
    assert_eq!(used_messages(demo.south(), &mailbox), 3);
}

#[tokio::test]
async fn a_loop_of_fifty_hops_is_cut() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("boucle", "1M");
    let content = "Received: by x.example; Sat, 21 Nov 2026 09:00:00 +0100\r\n".repeat(60) + "\r\nx\r\n";
    let reply = from_north(&demo).await.letter(SENDER, &[&mailbox.address], content.as_bytes()).await;
    assert!(reply.text().starts_with("554 5.4.6"), "{reply:?}");
}

#[tokio::test]
async fn a_connection_cut_within_the_content_leaves_nothing() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("coupe", "1M");
    let mut wire = to_data(&demo, &mailbox.address).await;
    wire.send_raw(b"Subject: x\r\n\r\nhalf of it\r\n").await;
    drop(wire);
    let mut wire = to_data(&demo, &mailbox.address).await;
    wire.send_raw(b"Subject: y\r\n\r\nwhole\r\n.\r\n").await;
    wire.expect("250").await;
    assert_eq!(used_messages(demo.south(), &mailbox), 1);
}

#[tokio::test]
async fn content_arrives_byte_for_byte_behind_one_return_path_and_one_received_field() {
    let demo: Arc<Demo> = Demo::shared();
    let mailbox = demo.south().new_mailbox("fidele", "10M");
    let letters = [
        Letter::with_fields(
            "awkward",
            "X-MSS-Inconnu: =?x?Q?y?=\r\nBcc: <x@y.example>\r\n",
            &Letter::awkward_body(),
        ),
        Letter::new("dots", b".\r\n..\r\n...\r\n....\r\n"),
        Letter::new("empty-body", b""),
    ];
    for letter in &letters {
        let reply = from_north(&demo).await.letter(SENDER, &[&mailbox.address], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{reply:?}");
    }
    let mut imap = Imap::login(&demo, demo.south(), &mailbox).await;
    for letter in &letters {
        let stored = imap.letter(&letter.marker).await;
        let (trace, content) = without_trace(&stored);
        assert_eq!(trace, ["Return-Path", "Received"], "{}", letter.marker);
        assert!(content == letter.content, "{} was changed: {}", letter.marker, content.escape_ascii());
        assert!(stored.starts_with(format!("Return-Path: <{SENDER}>\r\n").as_bytes()));
        assert!(
            !String::from_utf8_lossy(&stored).contains(" for <"),
            "a `for` clause tells recipients of one another"
        );
    }
}
