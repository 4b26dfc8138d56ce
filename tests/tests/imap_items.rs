//! What FETCH tells of messages beside their octets: previews (RFC 8970), identifiers that last (RFC 8474), some of many (RFC 9394), each once; and that
//! what was marked as seen is told, whatever else comes of it.

use scenarios::{Api, Demo, Imap, Mailbox, Operator};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

async fn holding(name: &str, letters: &[&str]) -> (Arc<Demo>, Mailbox, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for letter in letters {
        let status = imap.append("INBOX", letter.as_bytes()).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    (demo, mailbox, imap)
}

/// What stands in parentheses after `word`, once in each line.
fn ids(text: &str, word: &str) -> Vec<String> {
    let id = |line: &str| line.split(&format!("{word} (")).nth(1)?.split(')').next().map(ToOwned::to_owned);
    text.lines().filter_map(id).collect()
}

async fn fetched(imap: &mut Imap, set: &str, word: &str) -> Vec<String> {
    ids(&imap.ok(&format!("FETCH {set} ({word})")).await.text(), word)
}

#[tokio::test]
async fn the_first_words_of_a_message_are_shown() {
    let html = "Subject: h\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        <html><head><style>p { color: red }</style></head><p>R=C3=A9sultats   du <b>bilan</b></p></html>\r\n";
    let long = format!("Subject: l\r\n\r\n{}\r\n", "un mot ".repeat(20_000));
    let letters = [
        "Subject: s\r\n\r\nBonjour,\r\n\r\nvoici.\r\n",
        html,
        "Subject: v\r\nContent-Type: image/png\r\n\r\nxx\r\n",
        &long,
    ];
    let (_demo, _mailbox, mut imap) = holding("apercu", &letters).await;
    let told = imap.ok("FETCH 1:3 (PREVIEW)").await.text();
    let expected = [
        "* 1 FETCH (PREVIEW \"Bonjour, voici.\")",
        "* 2 FETCH (PREVIEW Résultats du bilan)",
        "* 3 FETCH (PREVIEW \"\")",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    let shown = imap.ok("FETCH 4 PREVIEW (LAZY)").await.text();
    let shown = shown.split('"').nth(1).unwrap().to_owned();
    assert_eq!((shown.chars().count(), shown.starts_with("un mot un mot")), (200, true), "{shown}");
    let told = imap.ok("UID FETCH 1 (PREVIEW (LAZY) FLAGS)").await.text();
    assert!(told.contains("(UID 1 PREVIEW \"Bonjour, voici.\" FLAGS (\\Recent))"), "{told}");
    for bad in ["FETCH 1 PREVIEW ()", "FETCH 1 (PREVIEW (EAGER))"] {
        assert!(imap.command(bad).await.status.starts_with("BAD"), "{bad}");
    }
}

#[tokio::test]
async fn some_of_many_messages_are_fetched_by_their_place() {
    let letters: Vec<String> = (1..=6).map(|n| format!("Subject: {n}\r\n\r\nx\r\n")).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    let (_demo, _mailbox, mut imap) = holding("certains", &letters).await;
    imap.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("EXPUNGE").await;
    for (command, expected) in [
        ("UID FETCH 1:* (UID) (PARTIAL 1:2)", "1 3"),
        ("UID FETCH 1:* (UID) (PARTIAL -1:-2)", "5 6"),
        ("UID FETCH 3:5 (UID) (PARTIAL -3:-2)", "3 4"),
        ("UID FETCH 1:* (UID) (PARTIAL 9:12)", ""),
        ("UID FETCH 1:* (UID) (PARTIAL 4:9)", "5 6"),
        ("FETCH 1:* (UID) (PARTIAL 2:2)", "3"),
    ] {
        let told = imap.ok(command).await.text();
        let uids: Vec<&str> =
            told.lines().map(|line| line.split("UID ").nth(1).unwrap().trim_end_matches(')')).collect();
        assert_eq!(uids.join(" "), expected, "{command}");
    }
    let since = imap.ok("STATUS INBOX (HIGHESTMODSEQ)").await.text();
    let since: u64 = since.rsplit(' ').next().unwrap().trim_end_matches([')', '\n']).parse().unwrap();
    imap.ok("UID STORE 1,6 +FLAGS.SILENT (\\Flagged)").await;
    let told = imap.ok(&format!("UID FETCH 1:* (FLAGS) (PARTIAL -1:-3 CHANGEDSINCE {since})")).await.text();
    assert!(told.contains("UID 6") && !told.contains("UID 1 "), "{told}");
    for bad in [
        "UID FETCH 1 (UID) (PARTIAL 0:1)",
        "UID FETCH 1 (UID) (PARTIAL 1:-1)",
        "UID FETCH 1 (UID) (PARTIAL 1:2 PARTIAL 1:2)",
    ] {
        assert!(imap.command(bad).await.status.starts_with("BAD"), "{bad}");
    }
}

#[tokio::test]
async fn what_a_message_is_called_lasts_when_it_goes_elsewhere() {
    let letters = [
        "Message-ID: <1@nord.example>\r\nSubject: un\r\n\r\nx\r\n",
        "Message-ID: <2@nord.example>\r\nIn-Reply-To: <1@nord.example>\r\nSubject: deux\r\n\r\nx\r\n",
        "Message-ID: <3@nord.example>\r\nReferences: <1@nord.example> <2@nord.example>\r\nSubject: trois\r\n\r\nx\r\n",
        "Subject: seul\r\n\r\nx\r\n",
    ];
    let (_demo, _mailbox, mut imap) = holding("identifiants", &letters).await;
    let emails = fetched(&mut imap, "1:4", "EMAILID").await;
    assert_eq!(emails.iter().collect::<BTreeSet<_>>().len(), 4, "{emails:?}");
    let threads = fetched(&mut imap, "1:4", "THREADID").await;
    assert_eq!((threads.len(), threads.iter().collect::<BTreeSet<_>>().len()), (3, 1), "{threads:?}");
    assert!(imap.ok("FETCH 4 THREADID").await.text().contains("THREADID NIL"));
    for (key, expected) in [
        (format!("EMAILID {}", emails[1]), "* SEARCH 2\n"),
        (format!("OR EMAILID {} EMAILID {}", emails[0], emails[3]), "* SEARCH 1 4\n"),
        (format!("THREADID {}", threads[0]), "* SEARCH 1 2 3\n"),
        (format!("NOT THREADID {}", threads[0]), "* SEARCH 4\n"),
        (format!("EMAILID {}", threads[0]), "* SEARCH\n"),
        ("EMAILID x".to_owned(), "* SEARCH\n"),
        ("NOT EMAILID x".to_owned(), "* SEARCH 1 2 3 4\n"),
    ] {
        assert_eq!(imap.ok(&format!("SEARCH {key}")).await.text(), expected, "{key}");
    }
    imap.ok("COPY 2 Archive").await;
    imap.ok("MOVE 3 Archive").await;
    imap.ok("SELECT Archive").await;
    assert_eq!(fetched(&mut imap, "1:2", "EMAILID").await, emails[1..3]);
    assert_eq!(fetched(&mut imap, "1:2", "THREADID").await, threads[1..3]);
}

#[tokio::test]
async fn a_folder_keeps_its_identifier_under_another_name() {
    let (_demo, _mailbox, mut imap) = holding("dossiers-id", &[]).await;
    let created = imap.ok("CREATE Bilans").await.status;
    let id = ids(&created, "MAILBOXID").pop().unwrap();
    assert!(created.starts_with("OK [MAILBOXID (F"), "{created}");
    imap.ok("RENAME Bilans Archive/Bilans").await;
    let status = imap.ok("STATUS Archive/Bilans (MESSAGES MAILBOXID)").await.text();
    assert_eq!(status, format!("* STATUS \"Archive/Bilans\" (MESSAGES 0 MAILBOXID ({id}))\n"));
    for command in ["SELECT Archive/Bilans", "EXAMINE Archive/Bilans"] {
        let told = imap.ok(command).await.text();
        assert!(told.contains(&format!("* OK [MAILBOXID ({id})]")), "{told}");
    }
    let listed = imap.ok("LIST \"\" * RETURN (STATUS (MAILBOXID))").await.text();
    let ids = ids(&listed, "MAILBOXID");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{listed}");
    assert!(ids.contains(&id), "{listed}");
    imap.ok("DELETE Archive/Bilans").await;
    assert!(!imap.ok("CREATE Archive/Bilans").await.status.contains(&format!("({id})")));
}

#[tokio::test]
async fn nobody_learns_from_an_identifier_what_another_mailbox_holds() {
    let demo = Demo::shared();
    let (chief, nurse) =
        (demo.north().new_mailbox("id.chief", "50M"), demo.north().new_mailbox("id.nurse", "50M"));
    let mut owner = Imap::login(&demo, demo.north(), &chief).await;
    owner.append("INBOX", b"Message-ID: <1@nord.example>\r\n\r\nx\r\n").await;
    let api = Api::admin(&demo, demo.north());
    let path = format!("/mailboxes/{}/delegations", chief.address);
    api.post(&path, &json!({"login": nurse.address, "role": "read"})).await.expect(201);
    let mut imap = Imap::login(&demo, demo.north(), &nurse).await;
    imap.ok(&format!("SELECT \"Other Users/{}/INBOX\"", chief.address)).await;
    let found = imap.ok("SEARCH HEADER Message-ID 1@nord.example").await.text();
    let number = found.trim().rsplit(' ').next().unwrap().to_owned();
    let there = [fetched(&mut imap, &number, "EMAILID").await, fetched(&mut imap, &number, "THREADID").await];
    imap.ok(&format!("COPY {number} INBOX")).await;
    imap.ok("SELECT INBOX").await;
    let here = [fetched(&mut imap, "*", "EMAILID").await, fetched(&mut imap, "*", "THREADID").await];
    assert!(there[0] != here[0] && there[1] != here[1] && here[0].len() == 1, "{there:?} {here:?}");
}

#[tokio::test]
async fn what_is_asked_twice_is_told_once() {
    let (_demo, _mailbox, mut imap) = holding("doublons", &["Subject: s\r\n\r\ntexte\r\n"]).await;
    let told = imap.ok("FETCH 1 (UID BODY.PEEK[TEXT] FLAGS UID BODY.PEEK[TEXT] FLAGS)").await.text();
    assert_eq!(told, "* 1 FETCH (UID 1 BODY[TEXT] texte\r\n FLAGS (\\Recent))\n");
    let told = imap.ok("FETCH 1 (BODY.PEEK[TEXT] BODY[TEXT] BODY[TEXT]<0.2>)").await.text();
    assert!(told.contains("(BODY[TEXT] texte\r\n BODY[TEXT]<0> te FLAGS (\\Seen"), "{told}");
}

#[tokio::test]
async fn a_message_that_is_marked_as_seen_and_cannot_be_told_is_told_as_seen() {
    let unknown = "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-secret\r\n\r\ntexte\r\n";
    let (_demo, _mailbox, mut imap) = holding("codage", &[unknown]).await;
    let response = imap.command("UID FETCH 1 (UID BINARY[1])").await;
    assert!(response.status.starts_with("NO [UNKNOWN-CTE]"), "{response:?}");
    let told = response.text();
    assert!(told.starts_with("* 1 FETCH (UID 1 FLAGS (\\Seen") && told.lines().count() == 1, "{told}");

    let mut operator = Operator::init("nord.mssante.test");
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    for n in 1..=2 {
        imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await;
    }
    operator.process().terminate();
    operator.sql("UPDATE bodies SET container = (SELECT structure FROM structures WHERE body_id = id) WHERE id IN (SELECT body_id FROM messages WHERE uid = 1)");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    imap.ok("SELECT INBOX").await;
    let response = imap.command("FETCH 1:2 (BODY[TEXT])").await;
    assert!(response.status.starts_with("NO [CONTACTADMIN]"), "{response:?}");
    let told = response.text();
    assert!(told.starts_with("* 2 FETCH (BODY[TEXT] x") && told.contains("\\Seen"), "{told}");
    assert!(!imap.ok("FETCH 1 (FLAGS)").await.text().contains("\\Seen"), "nobody could read it");
}

#[tokio::test]
async fn many_messages_that_lie_apart_are_copied_moved_and_removed() {
    let letters: Vec<String> = (1..=1400).map(|n| format!("Subject: {n}\r\n\r\nx\r\n")).collect();
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("eparses", "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("SELECT INBOX").await;
    imap.append_all("INBOX", &letters[..1000]).await;
    imap.append_all("INBOX", &letters[1000..]).await;
    imap.ok("NOOP").await;
    let odd: Vec<String> = (1..=1400).step_by(2).map(|n| n.to_string()).collect();
    let odd = odd.join(",");
    let copied = imap.ok(&format!("COPY {odd} Archive")).await.status;
    assert!(copied.starts_with("OK [COPYUID "), "{copied}");
    assert!(copied.contains(&format!(" {odd} 1:700]")), "{copied}");
    imap.ok(&format!("UID MOVE {odd} Trash")).await;
    imap.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    let every_fourth: Vec<String> = (4..=1400).step_by(4).map(|n| n.to_string()).collect();
    imap.ok(&format!("UID EXPUNGE {}", every_fourth.join(","))).await;
    let status = imap.ok("STATUS INBOX (MESSAGES DELETED)").await.text();
    assert_eq!(status, "* STATUS \"INBOX\" (MESSAGES 350 DELETED 350)\n");
    let status = imap.ok("STATUS Trash (MESSAGES)").await.text();
    assert_eq!(status, "* STATUS \"Trash\" (MESSAGES 700)\n");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_message_hides_neither_its_rest_nor_that_it_is_there() {
    let mut operator = Operator::init("nord.mssante.test");
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    for n in 1..=3 {
        let letter = format!("Date: Thu, 1 Jan 2026 10:00:00 +0100\r\nSubject: lettre {n}\r\n\r\nun mot\r\n");
        imap.append("INBOX", letter.as_bytes()).await;
    }
    operator.process().terminate();
    let of = |uid: u32| format!("(SELECT body_id FROM messages WHERE uid = {uid})");
    operator.sql(&format!(
        "UPDATE bodies SET container = (SELECT structure FROM structures WHERE body_id = id) WHERE id IN {}",
        of(1)
    ));
    operator.sql(&format!("DELETE FROM structures WHERE body_id IN {}", of(2)));
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    imap.ok("SELECT INBOX").await;
    for (item, word) in [("PREVIEW", "PREVIEW \"\")"), ("PREVIEW (LAZY)", "PREVIEW NIL)")] {
        let told = imap.ok(&format!("FETCH 1,3 (FLAGS ENVELOPE {item})")).await.text();
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].contains("lettre 1") && lines[0].ends_with(word), "{told}");
        assert!(lines[1].contains("lettre 3") && lines[1].ends_with("PREVIEW \"un mot\")"), "{told}");
    }
    let response = imap.command("FETCH 1 (PREVIEW BODY.PEEK[])").await;
    assert!(response.status.starts_with("NO [CONTACTADMIN]") && response.untagged.is_empty(), "{response:?}");
    for (command, told) in [("SEARCH SENTON 1-Jan-2026", "* SEARCH 1 3\n"), ("FETCH 2 (PREVIEW)", "")] {
        let response = imap.command(command).await;
        assert!(response.status.starts_with("NO [CONTACTADMIN]"), "{command}: {response:?}");
        assert_eq!(response.text(), told, "{command}");
    }
    let response = imap.command("FETCH 1:3 (ENVELOPE)").await;
    assert!(response.status.starts_with("NO [CONTACTADMIN]") && response.untagged.len() == 2, "{response:?}");
}
