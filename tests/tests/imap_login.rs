//! Ways to log in and out, and what is said out of season (RFC 3501 §3, §6.1, §6.2; RFC 4616, 4959).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Demo, Imap, Mailbox, Operator, Wire};

async fn greeted(demo: &Demo) -> Wire {
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &demo.anonymous()).await;
    let greeting = wire.line().await;
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4rev1 ") && greeting.contains(" AUTH=PLAIN"),
        "{greeting}"
    );
    wire
}

fn credentials(mailbox: &Mailbox) -> (&str, &str) {
    (mailbox.username.as_deref().expect("a login"), mailbox.password.as_deref().expect("a password"))
}

fn plain(authzid: &str, name: &str, password: &str) -> String {
    BASE64.encode(format!("{authzid}\0{name}\0{password}"))
}

/// The next tagged line must begin like this.
async fn answered(wire: &mut Wire, beginning: &str) {
    let line = wire.line().await;
    assert!(line.starts_with(beginning), "expected {beginning}:\n{wire:?}");
}

#[tokio::test]
async fn authenticate_plain_takes_its_response_at_once_or_when_asked() {
    let demo = Demo::shared();
    let (name, password) = credentials(demo.north().personal(0));
    for authzid in ["", name] {
        let mut wire = greeted(&demo).await;
        wire.send(&format!("a AUTHENTICATE PLAIN {}", plain(authzid, name, password))).await;
        answered(&mut wire, "a OK [CAPABILITY IMAP4rev1 ").await;
        let mut wire = greeted(&demo).await;
        wire.send("a authenticate plain").await;
        answered(&mut wire, "+ ").await;
        wire.send(&plain(authzid, name, password)).await;
        answered(&mut wire, "a OK").await;
    }
    // Pipelined behind it, the response and a command find their place.
    let mut wire = greeted(&demo).await;
    let all =
        format!("a AUTHENTICATE PLAIN\r\n{}\r\nb SELECT INBOX\r\nc LOGOUT\r\n", plain("", name, password));
    wire.send_raw(all.as_bytes()).await;
    answered(&mut wire, "+ ").await;
    answered(&mut wire, "a OK").await;
    wire.until("b OK [READ-WRITE]").await;
    answered(&mut wire, "* BYE").await;
    answered(&mut wire, "c OK").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn an_exchange_can_be_cancelled_and_nonsense_is_bad() {
    let demo = Demo::shared();
    let (name, password) = credentials(demo.north().personal(0));
    let mut wire = greeted(&demo).await;
    for response in ["*", "not base64!", "QUJD", "", &BASE64.encode("a\0b"), &BASE64.encode("\0a\0b\0c")] {
        wire.send("a AUTHENTICATE PLAIN").await;
        answered(&mut wire, "+ ").await;
        wire.send(response).await;
        answered(&mut wire, "a BAD").await;
    }
    for (line, beginning) in [
        ("b AUTHENTICATE CRAM-MD5", "b NO"),
        ("b AUTHENTICATE PLAIN =", "b BAD"),
        ("b AUTHENTICATE PLAIN !!", "b BAD"),
        ("b AUTHENTICATE", "b BAD"),
        ("b LOGIN onlyname", "b BAD"),
        ("b LOGIN a b c", "b BAD"),
        ("b SELECT INBOX", "b BAD"),
        ("b FETCH 1 FLAGS", "b BAD"),
        ("b STARTTLS", "b BAD"),
        ("b NONSENSE", "b BAD"),
        ("b", "b BAD"),
        ("+ NOOP", "* BAD"),
        ("", "* BAD"),
        ("b NOOP", "b OK"),
    ] {
        wire.send(line).await;
        answered(&mut wire, beginning).await;
    }
    wire.send(&format!("c LOGIN \"{name}\" \"{password}x\"")).await;
    answered(&mut wire, "c NO [AUTHENTICATIONFAILED]").await;
    wire.send(&format!("d LOGIN \"{name}\" \"{password}\"")).await;
    answered(&mut wire, "d OK [CAPABILITY ").await;
    for late in [
        "LOGIN a b",
        "AUTHENTICATE PLAIN",
        "STARTTLS",
        "FETCH 1 FLAGS",
        "CLOSE",
        "EXPUNGE",
        "CHECK",
        "UID SEARCH ALL",
    ] {
        wire.send(&format!("e {late}")).await;
        answered(&mut wire, "e BAD").await;
    }
}

#[tokio::test]
async fn a_name_and_a_password_may_be_quoted_or_literals() {
    let demo = Demo::shared();
    let odd = r#"p "a" \b\ (c) {7} *"#;
    let address = format!("guillemets@{}", demo.north().domain);
    let arguments =
        ["mailbox", "create", &address, "--kind", "personal", "--quota", "1M", "--password-stdin"];
    demo.north().cli_with_input(&arguments, &format!("{odd}\n")).ok();
    let escaped = odd.replace('\\', "\\\\").replace('"', "\\\"");
    let mut wire = greeted(&demo).await;
    wire.send(&format!("a login \"{address}\" \"{escaped}\"")).await;
    answered(&mut wire, "a OK").await;
    let mut wire = greeted(&demo).await;
    wire.send(&format!("a LOGIN {{{}}}", address.len())).await;
    answered(&mut wire, "+ ").await;
    wire.send(&format!("{address} {{{}}}", odd.len())).await;
    answered(&mut wire, "+ ").await;
    wire.send(odd).await;
    answered(&mut wire, "a OK").await;
    let mut wire = greeted(&demo).await;
    wire.send_raw(
        format!("a LOGIN {{{}+}}\r\n{address} {{{}+}}\r\n{odd}\r\nb LOGOUT\r\n", address.len(), odd.len())
            .as_bytes(),
    )
    .await;
    answered(&mut wire, "a OK").await;
    wire.until("b OK").await;
}

#[tokio::test]
async fn five_failures_end_the_connection() {
    let demo = Demo::shared();
    let mut wire = greeted(&demo).await;
    for n in 1..=5 {
        wire.send(&format!("a{n} LOGIN nobody@chu-nord.mssante.test wrong")).await;
        answered(&mut wire, &format!("a{n} NO [AUTHENTICATIONFAILED]")).await;
    }
    answered(&mut wire, "* BYE").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn a_session_says_who_it_is_and_what_it_offers() {
    let demo = Demo::shared();
    let mut imap = Imap::login(&demo, demo.north(), demo.north().personal(0)).await;
    assert!(imap.ok("ID (\"name\" \"x\" \"version\" NIL)").await.text().contains("\"Vaguemestre\""));
    imap.ok("ID NIL").await;
    assert_eq!(
        imap.ok("NAMESPACE").await.text(),
        "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\n"
    );
    assert_eq!(imap.ok("ENABLE X-NOTHING").await.text(), "* ENABLED\n");
    let told = imap.ok("CAPABILITY").await.text();
    assert!(told.starts_with("* CAPABILITY IMAP4rev1 ") && !told.contains("AUTH="), "{told}");
    for bad in ["NOOP x", "CAPABILITY x", "LOGOUT x", "ID", "ENABLE", "UID NOOP", "UID"] {
        assert!(imap.command(bad).await.status.starts_with("BAD"), "{bad}");
    }
}

#[tokio::test]
async fn a_connection_is_given_back_and_logged_in_again_as_somebody_else() {
    let demo = Demo::shared();
    let [first, second] = ["rendue-une", "rendue-deux"].map(|name| demo.north().new_mailbox(name, "50M"));
    let mut imap = Imap::login(&demo, demo.north(), &first).await;
    imap.append("INBOX", b"Subject: first\r\n\r\nx\r\n").await;
    imap.ok("SELECT INBOX").await;
    assert!(imap.ok("CAPABILITY").await.text().contains(" UNAUTHENTICATE"));
    let status = imap.ok("UNAUTHENTICATE").await.status;
    assert!(status.contains(" AUTH=PLAIN") && !status.contains("UNAUTHENTICATE]"), "{status}");
    for command in ["FETCH 1 BODY[]", "SELECT INBOX", "UNAUTHENTICATE", "STATUS INBOX (MESSAGES)"] {
        assert!(imap.command(command).await.status.starts_with("BAD"), "{command}");
    }
    let (username, password) = (second.username.as_deref().unwrap(), second.password.as_deref().unwrap());
    imap.ok(&format!("LOGIN \"{username}\" \"{password}\"")).await;
    assert!(imap.command("FETCH 1 BODY[]").await.status.starts_with("BAD"), "nothing is selected");
    assert!(imap.ok("STATUS INBOX (MESSAGES)").await.text().contains("MESSAGES 0"));
}

#[tokio::test]
async fn a_listener_that_takes_no_passwords_says_so_and_another_one_takes_them() {
    let mut operator = Operator::init("cartes.example");
    let only = "client_certificates = \"request\"\npasswords = false\n";
    for listener in ["imaps", "submissions"] {
        let begins = format!("[listeners.{listener}]\n");
        operator.edit(&begins, &format!("{begins}{only}"));
    }
    let holder = operator.new_mailbox("holder");
    operator.serve();
    let (name, password) = credentials(&holder);
    let mut imap = Wire::implicit(operator.ports["imaps"], &operator.anonymous()).await;
    let greeting = imap.line().await;
    assert!(greeting.contains(" LOGINDISABLED") && !greeting.contains("AUTH="), "{greeting}");
    for command in
        [format!("a LOGIN {name} {password}"), format!("a AUTHENTICATE PLAIN {}", plain("", name, password))]
    {
        imap.send(&command).await;
        answered(&mut imap, "a NO [CANNOT] No passwords here").await;
    }
    let mut submission = Wire::implicit(operator.ports["submissions"], &operator.anonymous()).await;
    submission.expect("220").await;
    submission.ask("EHLO a.example", "250").await;
    submission.ask(&format!("AUTH PLAIN {}", plain("", name, password)), "504 5.5.4 No passwords here").await;
    let mut open = Wire::connect(operator.ports["imap"]).await;
    open.line().await;
    open.send("a STARTTLS").await;
    answered(&mut open, "a OK").await;
    open.handshake(&operator.anonymous()).await.expect("TLS");
    open.send(&format!("b LOGIN {name} {password}")).await;
    answered(&mut open, "b OK").await;
}
