//! Octets that no well-behaved client sends: the server answers cleanly, keeps serving the others, stores nothing by mistake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Demo, Imap, Letter, Mailbox, Wire, without_trace};
use std::collections::BTreeMap;

const SENDER: &str = "claire.martin@chu-nord.mssante.test";
/// A well-formed message of which nothing may be read as commands.
const SMUGGLED: &str = "MAIL FROM:<claire.martin@chu-nord.mssante.test>\r\nRCPT TO:<claire.martin@chu-nord.mssante.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";

/// chu-nord's server, connected to clinique-sud.
async fn from_north(demo: &Demo) -> Wire {
    Wire::mx(demo.south().ports["smtp"], &demo.client(&demo.north().certificate())).await
}

/// Both doors, each with a mailbox of its own behind it, and who sends.
async fn both_doors(demo: &Demo, name: &str) -> BTreeMap<&'static str, (Wire, Mailbox)> {
    let (north, south) = (demo.north(), demo.south());
    let submission = Wire::submission(demo, north, north.personal(0)).await;
    BTreeMap::from([
        ("mx", (from_north(demo).await, south.new_mailbox(name, "100M"))),
        ("submission", (submission, north.new_mailbox(name, "100M"))),
    ])
}

async fn to_data(wire: &mut Wire, mailbox: &Mailbox) {
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask(&format!("RCPT TO:<{}>", mailbox.address), "250").await;
    wire.ask("DATA", "354").await;
}

async fn inbox(demo: &Demo, door: &str, mailbox: &Mailbox) -> Vec<Vec<u8>> {
    let site = if door == "mx" { demo.south() } else { demo.north() };
    Imap::login(demo, site, mailbox).await.messages("INBOX").await
}

/// Somebody else is served meanwhile.
async fn others_are_served(demo: &Demo) {
    let mut wire = from_north(demo).await;
    wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
    wire.ask("RSET", "250").await;
}

#[tokio::test]
async fn a_command_line_is_bounded_and_the_session_goes_on() {
    let demo = Demo::shared();
    let mut clear = Wire::connect(demo.south().ports["smtp"]).await;
    clear.expect("220").await;
    let mut doors = both_doors(&demo, "ligne").await;
    let (mut mx, mut submission) = (doors.remove("mx").unwrap().0, doors.remove("submission").unwrap().0);
    for wire in [&mut clear, &mut mx, &mut submission] {
        // 2,048 octets with the line end, and one more.
        wire.ask(&format!("NOOP {}", "x".repeat(2041)), "250").await;
        wire.ask(&format!("NOOP {}", "x".repeat(2042)), "500 5.5.2").await;
        wire.ask(&format!("NOOP {}", "x".repeat(100_000)), "500 5.5.2").await;
        wire.ask("NOOP", "250").await;
    }
}

#[tokio::test]
async fn a_command_line_that_never_ends_is_given_up() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    for _ in 0..17 {
        wire.send_raw(&[b'x'; 64 * 1024]).await;
    }
    wire.expect("421 4.7.0").await;
    others_are_served(&demo).await;
}

#[tokio::test]
async fn control_characters_spoil_a_command_and_end_none() {
    let demo = Demo::shared();
    let mut doors = both_doors(&demo, "commande").await;
    for (wire, _) in doors.values_mut() {
        for fault in ["NOOP\nNOOP", "NOOP\rNOOP", "NOOP\0", "\nNOOP", "NOOP\r\r", "\0", "NOOP \r\rx"] {
            wire.ask(fault, "500 5.5.2").await;
            // One reply for one line, whatever stood in it.
            wire.ask("HELP", "214").await;
        }
    }
}

#[tokio::test]
async fn too_many_faults_end_a_session() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    for _ in 0..19 {
        wire.ask("FROB", "500").await;
    }
    wire.ask("FROB", "421 4.7.0").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn commands_that_lead_to_nothing_end_a_session() {
    let demo = Demo::shared();
    let mut wire = from_north(&demo).await;
    let noops = b"NOOP\r\n".repeat(1000);
    wire.send_raw(&noops).await;
    for _ in 0..1000 {
        wire.expect("250").await;
    }
    wire.ask("RSET", "421 4.7.0").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn faults_of_content_are_refused_however_they_are_cut_and_nothing_of_it_is_a_command() {
    let demo = Demo::shared();
    let mut doors = both_doors(&demo, "fautes").await;
    let faults: [&[u8]; 16] = [
        b"\r\n.\r\r\n",
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r\n.\n",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n.\0\r\n",
        b"\r\n\0.\r\n",
        b"a\nb",
        b"a\rb",
        b"a\0b",
        b"\r\r\n",
        b"\n\r\n",
        b"\r\n\r",
        b"\0",
    ];
    for (door, (wire, mailbox)) in &mut doors {
        for fault in faults {
            to_data(wire, mailbox).await;
            wire.send_raw(b"Subject: x\r\n\r\nx").await;
            for octet in fault {
                wire.send_raw(&[*octet]).await;
            }
            wire.send_raw(format!("{SMUGGLED}\r\n.\r\n").as_bytes()).await;
            wire.expect("554 5.6.0").await;
            wire.ask("HELP", "214").await;
        }
        // A fault in the header, and one after much text.
        let text = "x".repeat(300_000);
        for content in ["Subject: x\0\r\n\r\nx\r\n".to_owned(), format!("Subject: x\r\n\r\n{text}\n\r\n")] {
            to_data(wire, mailbox).await;
            wire.send_raw((content + ".\r\n").as_bytes()).await;
            wire.expect("554 5.6.0").await;
        }
        assert!(inbox(&demo, door, mailbox).await.is_empty(), "{door}: a faulty message was stored");
        let letter = Letter::new(&format!("apres-{door}"), b"x\r\n");
        let reply = wire.letter(SENDER, &[&mailbox.address], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }
}

#[tokio::test]
async fn chunking_is_neither_offered_nor_done() {
    let demo = Demo::shared();
    let mut doors = both_doors(&demo, "morceaux").await;
    for (wire, mailbox) in doors.values_mut() {
        let reply = wire.ask("EHLO peer.example", "250").await;
        assert!(reply.lines.iter().all(|line| line != "CHUNKING" && line != "BINARYMIME"), "{wire:?}");
        wire.ask(&format!("MAIL FROM:<{SENDER}> BODY=BINARYMIME"), "5").await;
        wire.ask(&format!("MAIL FROM:<{SENDER}>"), "250").await;
        wire.ask(&format!("RCPT TO:<{}>", mailbox.address), "250").await;
        wire.ask("BDAT 6 LAST", "502 5.5.1").await;
        wire.ask("RSET", "250").await;
    }
}

#[tokio::test]
async fn an_empty_message_is_accepted_by_both_doors() {
    let demo = Demo::shared();
    let mut doors = both_doors(&demo, "vides").await;
    for (door, (wire, mailbox)) in &mut doors {
        for content in [&b".\r\n"[..], b"\r\n.\r\n"] {
            to_data(wire, mailbox).await;
            wire.send_raw(content).await;
            wire.expect("250").await;
        }
        assert_eq!(inbox(&demo, door, mailbox).await.len(), 2, "{door}");
    }
}

#[tokio::test]
async fn an_auth_line_split_over_many_reads_is_read_whole_up_to_its_bound() {
    let demo = Demo::shared();
    let north = demo.north();
    let claire = north.personal(0);
    let port = north.ports["submissions"];
    let mut wire = Wire::implicit(port, &demo.anonymous()).await;
    wire.expect("220").await;
    wire.ask("EHLO client.example", "250").await;
    // A line at the bound of 12,288 octets is understood, one over it is not.
    let fixed = "AUTH PLAIN \r\n".len();
    wire.ask(&format!("AUTH PLAIN {}", "A".repeat(12_288 - fixed)), "5").await;
    let at_bound = wire.ask(&format!("AUTH PLAIN {}", "A".repeat(12_288 - fixed)), "5").await;
    assert!(!at_bound.text().contains("too long"), "{wire:?}");
    wire.ask(&format!("AUTH PLAIN {}", "A".repeat(12_288 - fixed + 1)), "500 5.5.6").await;
    // The longest password that we give has 256 characters: this one is read whole, and wrong.
    let (name, password) = (claire.username.as_ref().unwrap(), claire.password.as_ref().unwrap());
    for (password, answer) in [(&"p".repeat(4470), "535 5.7.8"), (password, "235 2.7.0")] {
        let line = format!("AUTH PLAIN {}\r\n", BASE64.encode(format!("\0{name}\0{password}")));
        for piece in line.as_bytes().chunks(61) {
            wire.send_raw(piece).await;
        }
        wire.expect(answer).await;
    }
    wire.ask(&format!("MAIL FROM:<{}>", claire.address), "250").await;
}

#[tokio::test]
async fn a_nest_of_40_000_messages_harms_nobody() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("poupees", "100M");
    let marker = Letter::new("poupees", b"").marker;
    let nest = "Content-Type: message/rfc822\r\n\r\n".repeat(40_000);
    let content = format!("X-Marker: {marker}\r\n{nest}Subject: au fond\r\n\r\nx\r\n");
    assert!(content.len() > 1_250_000);
    harmless(&demo, &mailbox, &marker, content.as_bytes()).await;
}

#[tokio::test]
async fn a_nest_of_40_000_multiparts_harms_nobody() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("gigogne", "100M");
    let marker = Letter::new("gigogne", b"").marker;
    let mut content = format!("X-Marker: {marker}\r\n");
    for depth in 0..40_000 {
        content += &format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    content += "\r\nx\r\n";
    harmless(&demo, &mailbox, &marker, content.as_bytes()).await;
}

#[tokio::test]
async fn a_message_of_20_000_parts_harms_nobody() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("mosaique", "100M");
    let marker = Letter::new("mosaique", b"").marker;
    let parts = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n".repeat(20_000);
    let content =
        format!("X-Marker: {marker}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    harmless(&demo, &mailbox, &marker, content.as_bytes()).await;
}

#[tokio::test]
async fn a_header_of_a_mebibyte_and_a_header_line_of_a_mebibyte_harm_nobody() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("entete", "100M");
    let fields = format!("X-Champ: {}\r\n", "y".repeat(60)).repeat(1024 * 1024 / 70);
    let line = format!("X-Long: {}\r\n", "z".repeat(1024 * 1024));
    for (name, header) in [("entete-champs", fields), ("entete-ligne", line)] {
        let marker = Letter::new(name, b"").marker;
        let content = format!("X-Marker: {marker}\r\n{header}Subject: fin\r\n\r\ntexte\r\n");
        assert!(content.len() > 1024 * 1024);
        harmless(&demo, &mailbox, &marker, content.as_bytes()).await;
    }
}

/// Another operator's message is accepted, comes back octet for octet, and can be asked for its structure; others are served meanwhile.
async fn harmless(demo: &Demo, mailbox: &Mailbox, marker: &str, content: &[u8]) {
    let mut wire = from_north(demo).await;
    let to = [mailbox.address.as_str()];
    let (reply, ()) =
        tokio::join!(Box::pin(wire.letter(SENDER, &to, content)), Box::pin(others_are_served(demo)));
    assert!(reply.text().starts_with("250"), "{wire:?}");
    let mut imap = Imap::login(demo, demo.south(), mailbox).await;
    let stored = imap.letter(marker).await;
    assert!(without_trace(&stored).1 == content, "{marker} was changed");
    let (response, ()) = tokio::join!(
        imap.ok("FETCH 1:* (UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1])"),
        Box::pin(others_are_served(demo))
    );
    assert!(response.text().contains("BODYSTRUCTURE ("), "no structure of {marker}");
}

#[tokio::test]
async fn a_user_s_header_is_bounded() {
    let demo = Demo::shared();
    let north = demo.north();
    let mailbox = north.new_mailbox("bavard", "100M");
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    let field = format!("X-Champ: {}\r\n", "y".repeat(59));
    for (octets, answer) in [(1_000_000, "250"), (1_100_000, "552 5.3.4"), (5_000_000, "552 5.3.4")] {
        let content = format!("From: <{SENDER}>\r\n{}\r\nx\r\n", field.repeat(octets / field.len()));
        let reply = wire.letter(SENDER, &[&mailbox.address], content.as_bytes()).await;
        assert!(reply.text().starts_with(answer), "{octets}: {wire:?}");
    }
    // Text without a header's end, in one line.
    let endless = [b"x".repeat(3_000_000).as_slice(), b"\r\n"].concat();
    let reply = wire.letter(SENDER, &[&mailbox.address], &endless).await;
    assert!(reply.text().starts_with("552 5.3.4"), "{wire:?}");
    assert_eq!(inbox(&demo, "submission", &mailbox).await.len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_within_content_leaves_nothing_and_holds_nothing() {
    let demo = Demo::shared();
    for round in 0..20 {
        let mut doors = BTreeMap::new();
        if round == 0 {
            doors = both_doors(&demo, "raccroche").await;
        } else {
            let north = demo.north();
            let named = |site: &scenarios::Site| Mailbox {
                address: format!("raccroche@{}", site.domain),
                ..north.personal(0).clone()
            };
            doors.insert("mx", (from_north(&demo).await, named(demo.south())));
            doors.insert(
                "submission",
                (Wire::submission(&demo, north, north.personal(0)).await, named(north)),
            );
        }
        for (wire, mailbox) in doors.values_mut() {
            to_data(wire, mailbox).await;
            wire.send_raw(format!("From: <{SENDER}>\r\nSubject: x\r\n\r\n").as_bytes()).await;
            wire.send_raw(&b"half of it\r\n".repeat(30_000)).await;
            // The end of content but for its last octet.
            wire.send_raw(b".\r").await;
        }
    }
    others_are_served(&demo).await;
    for site in &demo.operators {
        let shown = site.cli(&["mailbox", "show", &format!("raccroche@{}", site.domain), "--json"]).json();
        assert_eq!(
            (shown["quota"]["usedMessages"].as_u64(), shown["quota"]["usedBytes"].as_u64()),
            (Some(0), Some(0)),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn faults_are_logged_without_what_they_carried() {
    let demo = Demo::start();
    let mut wire = from_north(&demo).await;
    wire.ask("RCPT TO:<indiscret.patient@clinique-sud.mssante.test>", "503").await;
    wire.ask("NOOP indiscret\0", "500").await;
    wire.ask(&format!("indiscret{}", "x".repeat(5000)), "500").await;
    let mailbox = demo.south().personal(0);
    to_data(&mut wire, mailbox).await;
    wire.send_raw(b"Subject: SujetIndiscret\r\n\r\nCorpsIndiscret\n\r\n.\r\n").await;
    wire.expect("554 5.6.0").await;
    let north = demo.north();
    let mut wire = Wire::submission(&demo, north, north.personal(0)).await;
    let usurped = b"From: <indiscret.patient@chu-nord.mssante.test>\r\nSubject: SujetIndiscret\r\n\r\nCorpsIndiscret\r\n";
    let reply = wire.letter(SENDER, &[&north.personal(1).address], usurped).await;
    assert!(reply.text().starts_with("550 5.7.1"), "{wire:?}");
    let log = demo.log();
    assert!(log.contains("refused") && log.contains("not_author"), "refusals are not told of:\n{log}");
    for secret in ["ndiscret", "claire.martin", &mailbox.address] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
