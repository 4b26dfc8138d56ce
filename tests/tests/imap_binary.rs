//! Parts without their transfer encoding (RFC 3516).

use scenarios::{Demo, Imap, Wire};

fn letter(large: &str) -> String {
    format!(
        "Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=89t=C3=A9 =\r\nfini\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: BASE64\r\n\r\nAAECA2FiYw==\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{large}\r\n\
         --b\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ninner\r\n--i--\r\n\
         --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n--b--\r\n"
    )
}

/// 1,200,000 octets of `abc` in base64, in lines.
fn large() -> String {
    let line = "YWJj".repeat(19) + "\r\n";
    line.repeat(400_000 / 19) + &"YWJj".repeat(400_000 % 19)
}

#[tokio::test]
async fn a_part_is_given_without_its_transfer_encoding() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("binaire", "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let letter = letter(&large());
    imap.append("INBOX", letter.as_bytes()).await;
    imap.ok("SELECT INBOX").await;
    let told = imap
        .ok("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[3] BINARY.SIZE[4] BINARY.SIZE[])")
        .await
        .text();
    let sizes = format!(
        "(BINARY.SIZE[1] 10 BINARY.SIZE[2] 7 BINARY.SIZE[3] 1200000 BINARY.SIZE[4] 19 BINARY.SIZE[] {})",
        letter.len()
    );
    assert!(told.contains(&sizes), "{told}");
    for (item, octets) in [
        ("[1]", "Été fini".as_bytes()),
        ("[1]<3.4>", "é f".as_bytes()),
        ("[1]<90.4>", b""),
        ("[3]<599999.6>", b"cabcab"),
        ("[4]", b"--i\r\n\r\ninner\r\n--i--"),
    ] {
        let response = imap.ok(&format!("FETCH 1 BINARY.PEEK{item}")).await;
        let label = item.split_once('.').map_or(item.to_owned(), |(start, _)| format!("{start}>"));
        assert!(response.text().contains(&format!("(BINARY{label} ")), "{}", response.text());
        assert_eq!(response.literals.concat(), octets, "{item}");
    }
    assert!(!imap.ok("FETCH 1 FLAGS").await.text().contains("\\Seen"), "PEEK does not set it");
    let response = imap.ok("FETCH 1 BINARY[3]").await;
    assert!(response.literals.concat() == b"abc".repeat(400_000), "not what was sent");
    assert!(response.text().contains("FLAGS (\\Seen"), "what fetching changed is told");
    assert!(imap.ok("FETCH 1 BINARY.PEEK[9]").await.text().contains("BINARY[9] NIL"));
    assert!(imap.ok("FETCH 1 BINARY.SIZE[9]").await.text().contains("BINARY.SIZE[9] 0"));
    for item in ["BINARY[5]", "BINARY.SIZE[5]", "(FLAGS BINARY.PEEK[5])"] {
        let response = imap.command(&format!("FETCH 1 {item}")).await;
        assert!(response.status.starts_with("NO [UNKNOWN-CTE]"), "{item}: {response:?}");
        assert!(!response.text().contains("BINARY"), "{item}: {response:?}");
    }
    assert_eq!(imap.ok("FETCH 1 BINARY.PEEK[]").await.literals.concat(), letter.as_bytes());
}

#[tokio::test]
async fn nul_is_given_in_a_literal8_and_kept_only_in_base64() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("binaire-nul", "50M");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    let letter = letter("");
    wire.send_raw(format!("a APPEND INBOX ~{{{}+}}\r\n{letter}\r\n", letter.len()).as_bytes()).await;
    wire.until("a OK").await;
    wire.send("b SELECT INBOX").await;
    wire.until("b OK").await;
    for (command, told) in [
        ("BINARY[2]", "* 1 FETCH (BINARY[2] ~{7}"),
        ("BINARY[2]<4.9>", "* 1 FETCH (BINARY[2]<4> {3}"),
        ("BINARY[2]<1.3>", "* 1 FETCH (BINARY[2]<1> {3}"),
    ] {
        wire.send(&format!("c FETCH 1 {command}")).await;
        assert_eq!(wire.line().await, told, "{command}");
        wire.until("c OK").await;
    }
    wire.send_raw(b"d APPEND INBOX ~{9+}\r\na: b\r\n\r\n\0\r\n").await;
    assert!(wire.until("d ").await.concat().contains("d NO [UNKNOWN-CTE]"), "{wire:?}");
}
