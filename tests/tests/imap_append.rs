//! APPEND as its extensions have it: literals that do not wait, many messages, parts of messages that are here, a message in place of another
//! (RFC 7888, 3502, 4469, 8508, 7889).

use scenarios::{Demo, Imap, Mailbox, Wire};
use std::sync::Arc;

const LETTER: &[u8] = b"Subject: Re\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n\
--b\r\nContent-Type: application/x\r\n\r\nattached\r\n--b--\r\n";

fn mailbox(name: &str, quota: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, quota);
    (demo, mailbox)
}

async fn wire(name: &str, quota: &str) -> (Arc<Demo>, Mailbox, Wire) {
    let (demo, mailbox) = mailbox(name, quota);
    let wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    (demo, mailbox, wire)
}

fn letter(n: usize) -> String {
    format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(n))
}

/// `arguments {n+}` and a message for each.
fn command(tag: &str, folder: &str, letters: &[(&str, String)]) -> Vec<u8> {
    let mut octets = format!("{tag} APPEND {folder}").into_bytes();
    for (arguments, letter) in letters {
        octets.extend_from_slice(format!(" {arguments}{{{}+}}\r\n{letter}", letter.len()).as_bytes());
    }
    octets.extend_from_slice(b"\r\n");
    octets
}

#[tokio::test]
async fn literals_need_not_wait_once_logged_in_and_only_small_ones_before() {
    let (demo, mailbox) = mailbox("litteraux", "50M");
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &demo.anonymous()).await;
    let greeting = wire.line().await;
    assert!(greeting.contains(" LITERAL-") && !greeting.contains("LITERAL+"), "{greeting}");
    wire.send_raw(format!("a LOGIN {{5000+}}\r\n{} x\r\nb NOOP\r\n", "u".repeat(5000)).as_bytes()).await;
    assert!(wire.line().await.starts_with("a BAD [TOOBIG]"), "{wire:?}");
    wire.until("b OK").await;
    let (username, password) = (mailbox.username.as_deref().unwrap(), mailbox.password.as_deref().unwrap());
    // Sent ahead, with a literal that only a logged-in client may send.
    let large = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(300_000));
    let login = format!("c LOGIN {{{}+}}\r\n{username} \"{password}\"\r\n", username.len());
    wire.send_raw(login.as_bytes()).await;
    let told = wire.until("c OK").await.concat();
    assert!(told.contains(" LITERAL+") && !told.contains("LITERAL-"), "{told}");
    wire.send_raw(format!("d APPEND INBOX {{{}+}}\r\n{large}\r\ne NOOP\r\n", large.len()).as_bytes()).await;
    assert!(wire.until("d ").await.concat().contains("d OK [APPENDUID "), "{wire:?}");
    wire.until("e OK").await;
    // What is refused comes all the same, and is read past.
    wire.send_raw(format!("f APPEND nowhere {{{}+}}\r\n{large}\r\ng NOOP\r\n", large.len()).as_bytes()).await;
    assert!(wire.until("f ").await.concat().contains("f NO [TRYCREATE]"), "{wire:?}");
    wire.until("g OK").await;
    // Past what is read, it is the end.
    wire.send_raw(b"h APPEND INBOX {99999999999+}\r\n").await;
    assert!(wire.until("h ").await.concat().contains("h NO [TOOBIG]"), "{wire:?}");
    assert!(wire.line().await.starts_with("* BYE"), "{wire:?}");
}

#[tokio::test]
async fn many_messages_come_in_one_command_in_their_order() {
    let (demo, mailbox, mut wire) = wire("plusieurs", "50M").await;
    let letters: Vec<(&str, String)> = (1..=300)
        .map(|n| {
            (if n == 3 { "(\\Flagged mot) \" 9-Jan-2026 23:30:00 -0500\" " } else { "(\\Seen) " }, letter(n))
        })
        .collect();
    wire.send_raw(&command("a", "INBOX", &letters)).await;
    let told = wire.until("a ").await.concat();
    assert!(told.contains("a OK [APPENDUID ") && told.contains(" 1:300]"), "{told}");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let stored = imap.messages("INBOX").await;
    assert!(stored.iter().map(Vec::as_slice).eq(letters.iter().map(|(_, letter)| letter.as_bytes())));
    let told = imap.ok("FETCH 2:3 (FLAGS INTERNALDATE)").await.text();
    assert!(told.contains("(FLAGS (\\Seen") && told.contains("\\Flagged") && told.contains("mot"), "{told}");
    assert!(told.contains("\"10-Jan-2026 04:30:00 +0000\""), "{told}");
}

#[tokio::test]
async fn a_client_that_waits_is_asked_for_each_message() {
    let (_demo, _mailbox, mut wire) = wire("attentes", "50M").await;
    wire.send("a APPEND INBOX {3}").await;
    assert!(wire.line().await.starts_with("+ "), "{wire:?}");
    wire.send("one (\\Seen) {3}").await;
    assert!(wire.line().await.starts_with("+ "), "{wire:?}");
    wire.send("two").await;
    assert!(wire.until("a ").await.concat().contains(" 1:2]"), "{wire:?}");
}

#[tokio::test]
async fn of_many_messages_all_are_kept_or_none() {
    let (_demo, _mailbox, mut wire) = wire("tout-ou-rien", "20000").await;
    let fits = || ("", letter(6000));
    for (tag, letters, answer) in [
        ("a", vec![fits(), fits(), fits(), fits()], "a NO [OVERQUOTA]"),
        ("b", vec![fits(), ("", "nul \0 nul".to_owned()), fits()], "b NO"),
        ("c", vec![fits(), ("(\\Recent) ", letter(1))], "c BAD"),
        ("d", vec![fits(), ("\"31-Feb-2026 00:00:00 +0000\" ", letter(1))], "d BAD"),
        ("e", vec![fits(), ("", String::new())], "e NO"),
    ] {
        wire.send_raw(&command(tag, "INBOX", &letters)).await;
        let told = wire.until(&format!("{tag} ")).await.concat();
        assert!(told.contains(answer), "{told}");
    }
    wire.send_raw(b"f APPEND INBOX {6+}\r\nbroken  nothing\r\n").await;
    assert!(wire.until("f ").await.concat().contains("f BAD"), "{wire:?}");
    // A client that waits is told before it sends in vain.
    wire.send("g APPEND INBOX {3}").await;
    assert!(wire.line().await.starts_with("+ "), "{wire:?}");
    wire.send("one {30000}").await;
    assert!(wire.until("g ").await.concat().contains("g NO [OVERQUOTA]"), "{wire:?}");
    wire.send("h STATUS INBOX (MESSAGES SIZE)").await;
    assert!(wire.until("h OK").await.concat().contains("MESSAGES 0 SIZE 0"), "{wire:?}");
    wire.send_raw(&command("i", "INBOX", &[fits(), fits(), fits()])).await;
    assert!(wire.until("i ").await.concat().contains("i OK [APPENDUID"), "{wire:?}");
}

#[tokio::test]
async fn the_largest_message_is_told_before_it_is_sent() {
    let (demo, mailbox) = mailbox("limite", "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let told = imap.ok("CAPABILITY").await.text();
    let limit: u64 = told
        .split("APPENDLIMIT=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("a limit");
    let told = imap.ok("STATUS INBOX (APPENDLIMIT)").await.text();
    assert!(told.contains(&format!("APPENDLIMIT {limit})")), "{told}");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send(&format!("a APPEND INBOX {{{}}}", limit + 1)).await;
    assert!(wire.line().await.starts_with("a NO [TOOBIG]"), "{wire:?}");
}

#[tokio::test]
async fn a_message_is_made_of_parts_that_are_here_and_of_new_text() {
    let (demo, mailbox) = mailbox("morceaux", "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let status = imap.append("INBOX", LETTER).await.status;
    let validity: u32 =
        status.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("UIDVALIDITY");
    imap.ok("CREATE &AMk-t&AOk-").await;
    imap.append("&AMk-t&AOk-", b"Subject: other\r\n\r\nx\r\n").await;
    // RFC 4469 §4, with URLs of ours.
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send_raw(
        format!(
            "a APPEND Drafts (\\Draft) CATENATE (TEXT {{12+}}\r\nSubject: n\r\n URL \"/INBOX;UIDVALIDITY={validity}/;UID=1/;section=TEXT\" \
             TEXT {{2+}}\r\n\r\n URL {{13+}}\r\n/inbox/;uid=1 URL \"/%C3%89t%C3%A9/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)\" \
             URL \"/INBOX/;UID=1/;SECTION=2/;PARTIAL=2.3\") (\\Seen) {{3+}}\r\nend\r\n"
        )
        .as_bytes(),
    )
    .await;
    assert!(wire.until("a ").await.concat().contains(" 1:2]"), "{wire:?}");
    let text = LETTER.split(|b| *b == b'\n').skip(3).collect::<Vec<_>>().join(&b'\n');
    let expected =
        [b"Subject: n\r\n".as_slice(), &text, b"\r\n", LETTER, b"Subject: other\r\n\r\n", b"tac"].concat();
    assert_eq!(imap.messages("Drafts").await, [expected, b"end".to_vec()]);
    // Relative to the folder that is selected.
    wire.send("b SELECT INBOX").await;
    wire.until("b OK").await;
    wire.send("c APPEND Drafts CATENATE (URL ;UID=1/;SECTION=1)").await;
    assert!(wire.until("c ").await.concat().contains(" 3]"), "{wire:?}");
    assert_eq!(imap.messages("Drafts").await[2], b"first");
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_named_and_nothing_is_stored() {
    let (demo, mailbox) = mailbox("nulle-part", "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.append("INBOX", LETTER).await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    for url in [
        "/nowhere/;UID=1",
        "/INBOX/;UID=9",
        "/INBOX;UIDVALIDITY=1/;UID=1",
        "/INBOX/;UID=1/;SECTION=9",
        "imap://elsewhere.example/INBOX/;UID=1",
        ";UID=1",
    ] {
        wire.send(&format!("a APPEND INBOX CATENATE (URL /INBOX/;UID=1 URL \"{url}\" URL /INBOX/;UID=1)"))
            .await;
        let told = wire.until("a ").await.concat();
        assert!(told.contains(&format!("a NO [BADURL {url}]")), "{told}");
        // Said before more octets are sent in vain.
        wire.send(&format!("b APPEND INBOX CATENATE (URL \"{url}\" TEXT {{5}}")).await;
        assert!(wire.line().await.starts_with("b NO [BADURL "), "{wire:?}");
    }
    wire.send("c APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;SECTION=9]\")").await;
    assert!(wire.until("c ").await.concat().contains("c NO [BADURL]"), "{wire:?}");
    wire.send("d STATUS INBOX (MESSAGES)").await;
    assert!(wire.until("d OK").await.concat().contains("MESSAGES 1"), "{wire:?}");
}

#[tokio::test]
async fn a_message_gives_way_to_the_one_that_replaces_it() {
    let (_demo, _mailbox, mut wire) = wire("remplace", "20000").await;
    let draft = |n: usize| ("(\\Draft) ", letter(n));
    wire.send_raw(&command("a", "Drafts", &[draft(4000), draft(4001), draft(4002)])).await;
    wire.until("a OK").await;
    wire.send("b SELECT Drafts").await;
    wire.until("b OK").await;
    let replace = |tag: &str, which: &str, folder: &str, content: &str| {
        format!("{tag} {which} {folder} (\\Draft) {{{}+}}\r\n{content}\r\n", content.len()).into_bytes()
    };
    // It needs no room for both: RFC 8508.
    wire.send_raw(&replace("c", "REPLACE 2", "Drafts", &letter(11_000))).await;
    let told = wire.until("c ").await;
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let place = |what: &str| {
        told.iter().position(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{told:?}"))
    };
    assert!(
        place("* OK [APPENDUID ") < place("* 2 EXPUNGE") && place("* 2 EXPUNGE") < place("c OK"),
        "{told:?}"
    );
    assert!(told.concat().contains(" 4]"), "{told:?}");
    wire.send_raw(&replace("d", "UID REPLACE 4", "INBOX", &letter(5))).await;
    assert!(wire.until("d OK").await.concat().contains("EXPUNGE"), "{wire:?}");
    wire.send("e UID FETCH 1:* RFC822.SIZE").await;
    let told = wire.until("e OK").await.concat();
    assert!(told.contains("UID 1") && told.contains("UID 3") && !told.contains("UID 4"), "{told}");
    for (tag, which, content, answer) in [
        ("f", "REPLACE 3", letter(1), "f BAD"),
        ("g", "UID REPLACE 2", letter(1), "g NO [NONEXISTENT]"),
        ("h", "REPLACE 1", letter(30_000), "h NO [OVERQUOTA]"),
        ("i", "REPLACE 1:2", letter(1), "i BAD"),
        ("j", "REPLACE 1", String::new(), "j NO"),
    ] {
        wire.send_raw(&replace(tag, which, "Drafts", &content)).await;
        let told = wire.until(&format!("{tag} ")).await.concat();
        assert!(told.contains(answer), "{told}");
    }
    wire.send_raw(&replace("k", "REPLACE 1", "nowhere", &letter(1))).await;
    assert!(wire.until("k ").await.concat().contains("k NO [TRYCREATE]"), "{wire:?}");
    wire.send("l EXAMINE Drafts").await;
    assert!(wire.until("l OK").await.concat().contains("* 2 EXISTS"), "{wire:?}");
    wire.send_raw(&replace("m", "REPLACE 1", "Drafts", &letter(1))).await;
    assert!(wire.until("m ").await.concat().contains("m NO [READ-ONLY]"), "{wire:?}");
}
