//! Reading mail: what is offered when, and what delivered mail looks like to a client that waits for it.

use scenarios::{Demo, Imap, Letter, Mailbox, Wire, until};
use std::time::{Duration, Instant};

async fn deliver(demo: &Demo, to: &Mailbox, letter: &Letter) {
    let sender = demo.north().personal(0);
    let mut wire = Wire::submission(demo, demo.north(), sender).await;
    let reply = wire.letter(&sender.address, &[&to.address], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
}

#[tokio::test]
async fn login_is_disabled_until_tls() {
    let demo = Demo::shared();
    let mut wire = Wire::connect(demo.north().ports["imap"]).await;
    assert!(wire.line().await.starts_with("* OK"));
    wire.send("a CAPABILITY").await;
    let capabilities = wire.line().await;
    assert!(capabilities.contains(" LOGINDISABLED") && capabilities.contains(" STARTTLS"), "{capabilities}");
    assert!(!capabilities.contains("AUTH=") && capabilities.contains(" IMAP4rev2 "), "{capabilities}");
    assert!(wire.line().await.starts_with("a OK"));
    let claire = demo.north().personal(0);
    let (name, password) =
        (claire.username.as_ref().expect("a login"), claire.password.as_ref().expect("a password"));
    wire.send(&format!("b LOGIN {name} {password}")).await;
    assert!(wire.line().await.starts_with("b NO"), "{wire:?}");
    // What is injected behind STARTTLS is not heard under TLS.
    wire.send_raw(b"c STARTTLS\r\nd CAPABILITY\r\n").await;
    assert!(wire.line().await.starts_with("c OK"), "{wire:?}");
    wire.handshake(&demo.anonymous()).await.expect("the handshake succeeds");
    wire.send(&format!("e LOGIN {name} {password}")).await;
    let answer = wire.line().await;
    assert!(answer.starts_with("e OK") || answer.starts_with("* CAPABILITY"), "{wire:?}");
    assert!(!answer.contains("LOGINDISABLED"), "{answer}");
}

#[tokio::test]
async fn delivered_mail_wakes_a_client_that_idles() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("veilleur", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    for count in 1..=3 {
        deliver(&demo, &mailbox, &Letter::new(&format!("reveil-{count}"), b"a\r\n")).await;
        let begin = Instant::now();
        imap.until_line(&format!("* {count} EXISTS")).await;
        assert!(begin.elapsed() < Duration::from_secs(1), "noticed after {:?}", begin.elapsed());
    }
    imap.done().await;
}

#[tokio::test]
async fn a_letter_is_told_by_its_parts() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("structure", "10M");
    let body = b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";
    let fields = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let letter = Letter::with_fields("structure", fields, body);
    deliver(&demo, &mailbox, &letter).await;
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("SELECT INBOX").await;
    let told = imap.ok("FETCH 1 (BODYSTRUCTURE ENVELOPE RFC822.SIZE)").await.text();
    assert!(told.contains("\"TEXT\" \"PLAIN\"") || told.contains("\"text\" \"plain\""), "{told}");
    assert!(
        told.to_lowercase().contains("\"application\" \"pdf\"") && told.to_lowercase().contains("\"mixed\""),
        "{told}"
    );
    assert!(told.contains("claire.martin") && told.contains(&letter.marker), "{told}");
    assert_eq!(imap.ok("FETCH 1 BODY.PEEK[1]").await.literals.concat(), b"Bonjour");
    let whole = imap.ok("FETCH 1 BODY.PEEK[]").await.literals.concat();
    assert!(whole.ends_with(&letter.content));
    assert!(told.contains(&format!("RFC822.SIZE {}", whole.len())), "{told}");
    for (from, count) in [(0, 10), (5, 100), (whole.len() - 3, 50), (whole.len(), 10)] {
        let part = imap.ok(&format!("FETCH 1 BODY.PEEK[]<{from}.{count}>")).await;
        let end = (from + count).min(whole.len());
        let expected = &whole[from..end];
        assert!(
            expected.is_empty() || part.literals.concat() == expected,
            "<{from}.{count}>: {}",
            part.text()
        );
    }
    let flags = imap.ok("FETCH 1 FLAGS").await.text();
    assert!(!flags.contains("\\Seen"), "PEEK set a flag: {flags}");
    imap.ok("FETCH 1 BODY[1]").await;
    assert!(imap.ok("FETCH 1 FLAGS").await.text().contains("\\Seen"));
}

#[tokio::test]
async fn what_a_client_files_away_stays_where_it_put_it() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("classement", "10M");
    let letter = Letter::new("classement", &Letter::awkward_body());
    deliver(&demo, &mailbox, &letter).await;
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("CREATE \"Dossiers\"").await;
    imap.ok("SELECT INBOX").await;
    imap.ok("UID MOVE 1:* \"Dossiers\"").await;
    assert!(imap.messages("INBOX").await.is_empty());
    let moved = imap.messages("Dossiers").await;
    assert_eq!(moved.len(), 1);
    assert!(moved[0].ends_with(&letter.content));
    imap.ok("SELECT \"Dossiers\"").await;
    imap.ok("COPY 1 INBOX").await;
    imap.ok("STORE 1 +FLAGS (\\Deleted)").await;
    imap.ok("EXPUNGE").await;
    assert!(imap.messages("Dossiers").await.is_empty());
    assert_eq!(imap.letters(&letter.marker).await.len(), 1);
}

#[tokio::test]
async fn an_organizational_mailbox_is_one_for_all_its_connections() {
    let demo = Demo::shared();
    let mailbox = demo.south().mailbox("organizational");
    let mut reader = Imap::login(&demo, demo.south(), mailbox).await;
    let mut other = Imap::login(&demo, demo.south(), mailbox).await;
    reader.ok("SELECT INBOX").await;
    other.ok("SELECT INBOX").await;
    reader.ok("STORE 1 +FLAGS (\\Flagged)").await;
    until("the flag is told to the other connection", async || {
        let told = other.ok("NOOP").await.text() + &other.ok("FETCH 1 FLAGS").await.text();
        told.contains("\\Flagged").then_some(())
    })
    .await;
}
