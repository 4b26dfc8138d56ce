//! Submission: who may log in, what a user may send, what is added to a letter and what is not.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Demo, Imap, Letter, Mailbox, Wire, without_trace};

/// A connection to port 587, under TLS, greeted.
async fn port_587(demo: &Demo) -> Wire {
    let mut wire = Wire::connect(demo.north().ports["submission"]).await;
    wire.expect("220").await;
    wire.starttls(&demo.anonymous()).await.unwrap();
    wire.ask("EHLO client.example", "250").await;
    wire
}

fn credentials(mailbox: &Mailbox) -> (String, String) {
    (mailbox.username.clone().unwrap(), mailbox.password.clone().unwrap())
}

#[tokio::test]
async fn users_log_in_by_plain_and_login_on_both_ports() {
    let demo = Demo::shared();
    let (name, password) = credentials(demo.north().personal(0));
    let plain = BASE64.encode(format!("\0{name}\0{password}"));
    for is_implicit in [false, true] {
        for way in 0..4 {
            let mut wire = if is_implicit {
                let mut wire = Wire::implicit(demo.north().ports["submissions"], &demo.anonymous()).await;
                wire.expect("220").await;
                let reply = wire.ask("EHLO client.example", "250").await;
                assert!(reply.lines.iter().any(|line| line == "AUTH PLAIN LOGIN"), "{wire:?}");
                wire
            } else {
                port_587(&demo).await
            };
            match way {
                0 => drop(wire.ask(&format!("AUTH PLAIN {plain}"), "235 2.7.0").await),
                1 => {
                    wire.ask("AUTH PLAIN", "334").await;
                    wire.ask(&plain, "235 2.7.0").await;
                }
                2 => {
                    wire.ask("AUTH LOGIN", "334").await;
                    wire.ask(&BASE64.encode(&name), "334").await;
                    wire.ask(&BASE64.encode(&password), "235 2.7.0").await;
                }
                _ => {
                    wire.ask(&format!("auth login {}", BASE64.encode(&name)), "334").await;
                    wire.ask(&BASE64.encode(&password), "235 2.7.0").await;
                }
            }
            wire.ask("AUTH PLAIN AGEAYg==", "503").await;
            wire.ask(&format!("MAIL FROM:<{}>", demo.north().personal(0).address), "250 2.1.0").await;
        }
    }
}

#[tokio::test]
async fn nothing_is_served_before_tls_and_no_mail_before_login() {
    let demo = Demo::shared();
    let mut wire = Wire::connect(demo.north().ports["submission"]).await;
    wire.expect("220").await;
    let reply = wire.ask("EHLO client.example", "250").await;
    assert!(reply.lines.iter().all(|line| !line.starts_with("AUTH")), "AUTH in clear: {wire:?}");
    wire.ask("AUTH PLAIN AGEAYg==", "530 5.7.0").await;
    wire.ask("MAIL FROM:<claire.martin@chu-nord.mssante.test>", "530 5.7.0").await;
    let mut wire = port_587(&demo).await;
    wire.ask("MAIL FROM:<claire.martin@chu-nord.mssante.test>", "530 5.7.0").await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_alike() {
    let demo = Demo::shared();
    let (name, password) = credentials(demo.north().personal(0));
    let application = &demo.north().mailbox("applicative").address;
    let mut wire = port_587(&demo).await;
    for text in [
        format!("\0{name}\0wrong"),
        format!("\0nobody@chu-nord.mssante.test\0{password}"),
        format!("\0{application}\0{password}"),
        format!("hugo.bernard@chu-nord.mssante.test\0{name}\0{password}"),
    ] {
        wire.ask(&format!("AUTH PLAIN {}", BASE64.encode(text)), "535 5.7.8").await;
    }
    wire.ask("AUTH LOGIN", "334").await;
    wire.ask("*", "501").await;
    wire.ask("AUTH GSSAPI", "504").await;
    wire.ask("AUTH PLAIN !!!", "501").await;
    wire.ask(&format!("AUTH PLAIN {}", BASE64.encode(format!("\0{name}\0{password}"))), "235").await;
}

#[tokio::test]
async fn a_very_long_auth_line_is_answered() {
    let demo = Demo::shared();
    let (name, _) = credentials(demo.north().personal(0));
    let token = BASE64.encode(format!("\0{name}\0{}", "p".repeat(4470)));
    assert!(token.len() > 5_990);
    let mut wire = port_587(&demo).await;
    wire.ask(&format!("AUTH PLAIN {token}"), "535 5.7.8").await;
    wire.ask("AUTH PLAIN", "334").await;
    wire.ask(&token, "535 5.7.8").await;
    wire.ask(&format!("AUTH PLAIN {}", "A".repeat(14_000)), "500").await;
    wire.ask("NOOP", "250").await;
}

#[tokio::test]
async fn a_user_sends_with_an_address_of_its_own_only() {
    let demo = Demo::shared();
    let north = demo.north();
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    for other in
        ["hugo.bernard@chu-nord.mssante.test", "paul.moreau@clinique-sud.mssante.test", "", "x@y.example"]
    {
        wire.ask(&format!("MAIL FROM:<{other}>"), "550 5.7.1").await;
    }
    wire.ask("MAIL FROM:<Claire.Martin@CHU-NORD.mssante.test>", "250").await;
}

#[tokio::test]
async fn the_administrator_of_an_organizational_mailbox_sends_and_reads_as_that_mailbox() {
    let demo = Demo::shared();
    let mailbox = demo.north().mailbox("organizational");
    assert_ne!(mailbox.username.as_ref(), Some(&mailbox.address));
    let letter = Letter::new("secretariat", b"Bonjour\r\n").by(&mailbox.address);
    let mut wire = Wire::submission(&demo, demo.north(), mailbox).await;
    let reply = wire.letter(&mailbox.address, &[&mailbox.address], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    let mut imap = Imap::login(&demo, demo.north(), mailbox).await;
    assert_eq!(imap.letters(&letter.marker).await.len(), 1);
}

#[tokio::test]
async fn a_complete_letter_reaches_local_recipients_unchanged_and_at_once() {
    let demo = Demo::shared();
    let north = demo.north();
    let letter =
        Letter::with_fields("locale", "X-MSS-Inconnu: oui\r\nSUBJECT : x\r\n", &Letter::awkward_body());
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    let (hugo, cabinet) = (north.personal(1), north.mailbox("cabinet"));
    let to = [hugo.address.as_str(), &cabinet.address, &hugo.address];
    let reply = wire.letter(&north.personal(0).address, &to, &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    for reader in [hugo, cabinet] {
        // No wait: who got the 250 can tell the recipient to look.
        let stored = Imap::login(&demo, north, reader).await.letters(&letter.marker).await;
        assert_eq!(stored.len(), 1, "{}", reader.address);
        let (trace, content) = without_trace(&stored[0]);
        assert_eq!(trace, ["Return-Path", "Received"]);
        assert!(content == letter.content, "changed: {}", content.escape_ascii());
        let trace = String::from_utf8_lossy(&stored[0][..stored[0].len() - content.len()]).into_owned();
        assert!(trace.contains(" with ESMTPSA ") && !trace.contains("127.0.0.1"), "{trace}");
    }
}

#[tokio::test]
async fn from_date_and_message_id_are_added_and_bcc_removed_and_nothing_else() {
    let demo = Demo::shared();
    let north = demo.north();
    let mailbox = north.new_mailbox("incomplet", "1M");
    let marker = Letter::new("incomplet", b"").marker;
    let before = format!("X-Marker: {marker}\r\nSubject:  two  blanks\r\n");
    let content = format!(
        "{before}Bcc: secret@x.example,\r\n other@x.example\r\nbcc:\r\nTo: a@b.example\r\n\r\nBcc: body\r\n.\r\n"
    );
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    let reply = wire.letter(&north.personal(0).address, &[&mailbox.address], content.as_bytes()).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    let stored = Imap::login(&demo, north, &mailbox).await.letter(&marker).await;
    let (_, stored) = without_trace(&stored);
    let text = String::from_utf8(stored.to_vec()).unwrap();
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "Bcc: body\r\n.\r\n");
    let kept: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with("Date: ") && !line.starts_with("Message-ID: <"))
        .collect();
    let from = format!("From: <{}>", north.personal(0).address);
    assert_eq!(kept, [&format!("X-Marker: {marker}"), "Subject:  two  blanks", "To: a@b.example", &from]);
    assert_eq!(header.lines().count(), 6, "{header}");
}

#[tokio::test]
async fn a_user_writes_in_their_own_name_only() {
    let demo = Demo::shared();
    let north = demo.north();
    let (claire, mailbox) = (north.personal(0), north.new_mailbox("auteur", "1M"));
    let mut wire = Wire::submission(&demo, north, claire).await;
    let own = &claire.address;
    let other = "hugo.bernard@chu-nord.mssante.test";
    for originators in [
        format!("From: <{other}>"),
        format!("From: Claire Martin <{other}>"),
        format!("From: \"{own}\" <x@y.example>"),
        format!("From: <{own}>, <{other}>\r\nSender: <{own}>"),
        format!("From: <{other}>\r\nSender: <{own}>"),
        format!("From: <{own}>\r\nSender: <{other}>"),
        format!("From: <{own}>\r\nFrom: <{other}>"),
        format!("From: <{own}>\r\nfrom : <{own}>"),
        format!("From:\r\n <{other}>"),
        "From: nobody at all".to_owned(),
        format!("From: undisclosed:;\r\nX-From: <{own}>"),
        "From: ".to_owned(),
    ] {
        let content = format!("{originators}\r\nSubject: x\r\n\r\nx\r\n");
        let reply = wire.letter(own, &[&mailbox.address], content.as_bytes()).await;
        assert!(reply.text().starts_with("550 5.7.1"), "{originators}: {wire:?}");
    }
    let mut imap = Imap::login(&demo, north, &mailbox).await;
    assert!(imap.messages("INBOX").await.is_empty(), "a refused letter was delivered");
    for originators in [
        format!("From: <{own}>"),
        format!("from : Docteur Martin <{}>\r\nSender: <{own}>", own.to_uppercase()),
        format!("From: =?utf-8?Q?Cl=C3=A9?=\r\n\t<{own}>"),
    ] {
        let letter = format!("{originators}\r\nSubject: x\r\n\r\n{}\r\n", originators.len());
        let reply = wire.letter(own, &[&mailbox.address], letter.as_bytes()).await;
        assert!(reply.text().starts_with("250"), "{originators}: {wire:?}");
    }
    assert_eq!(imap.messages("INBOX").await.len(), 3);
}

#[tokio::test]
async fn a_deleted_mailbox_neither_logs_in_nor_receives() {
    let demo = Demo::shared();
    let north = demo.north();
    let mailbox = north.new_mailbox("partie", "1M");
    let (name, password) = credentials(&mailbox);
    let auth = format!("AUTH PLAIN {}", BASE64.encode(format!("\0{name}\0{password}")));
    port_587(&demo).await.ask(&auth, "235").await;
    north.cli(&["mailbox", "delete", &mailbox.address]).ok();
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    wire.ask(&format!("MAIL FROM:<{}>", north.personal(0).address), "250").await;
    wire.ask(&format!("RCPT TO:<{}>", mailbox.address), "550 5.1.1").await;
    // Verified credentials are remembered for a short while, and forgotten at a reload.
    demo.reload();
    port_587(&demo).await.ask(&auth, "535 5.7.8").await;
    assert!(
        !north.cli(&["mailbox", "create", &mailbox.address, "--kind", "personal"]).is_success,
        "the address is given again"
    );
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one() {
    let demo = Demo::shared();
    let north = demo.north();
    let mailbox = north.new_mailbox("motdepasse", "1M");
    let arguments = ["user", "create", &mailbox.address, "--password-stdin"];
    north.cli_with_input(&arguments, "another-long-secret\n").ok();
    let auth = |password: &str| {
        format!("AUTH PLAIN {}", BASE64.encode(format!("\0{}\0{password}", mailbox.address)))
    };
    scenarios::until("the new password is good", async || {
        let mut wire = port_587(&demo).await;
        wire.send(&auth("another-long-secret")).await;
        (wire.reply().await.code == 235).then_some(())
    })
    .await;
    let old = mailbox.password.as_deref().unwrap();
    port_587(&demo).await.ask(&auth(old), "535").await;
}
