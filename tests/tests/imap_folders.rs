//! Folders: names, hierarchy, subscriptions, STATUS (RFC 3501 §5.1, §6.3).

use scenarios::{Demo, Imap, Response, Wire};
use std::sync::Arc;

async fn reader(name: &str) -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "10M");
    let imap = Imap::login(&demo, demo.north(), &mailbox).await;
    (demo, imap)
}

/// The names listed, as they are written, in order.
fn names(response: &Response) -> Vec<String> {
    let text = response.text();
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.rsplit_once("\"/\" "))
        .map(|(_, name)| name.replace('"', ""))
        .collect();
    names.sort();
    names
}

fn number(text: &str, word: &str) -> u64 {
    let after = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {text}"));
    let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word} in {text}"))
}

async fn refused(imap: &mut Imap, command: &str, beginning: &str) {
    let answer = imap.command(command).await.status;
    assert!(answer.starts_with(beginning), "{command}: {answer}, not {beginning}");
}

#[tokio::test]
async fn the_levels_above_a_new_folder_are_made_with_it() {
    let (_demo, mut imap) = reader("hierarchie").await;
    imap.ok("CREATE Patients/2026/Novembre/").await;
    assert_eq!(
        names(&imap.ok("LIST \"\" Patients*").await),
        ["Patients", "Patients/2026", "Patients/2026/Novembre"]
    );
    assert_eq!(names(&imap.ok("LIST Patients/ %").await), ["Patients/2026"]);
    assert_eq!(names(&imap.ok("LIST \"\" Patients/%/%").await), ["Patients/2026/Novembre"]);
    let told = imap.ok("LIST \"\" Patients").await.text();
    assert!(told.contains("\\HasChildren"), "{told}");
    assert!(imap.ok("LIST \"\" Patients/2026/Novembre").await.text().contains("\\HasNoChildren"));
    let root = imap.ok("LIST \"\" \"\"").await.text();
    assert_eq!(root, "* LIST (\\Noselect) \"/\" \"\"\n");
    refused(&mut imap, "CREATE Patients/2026", "NO [ALREADYEXISTS]").await;
    for bad in ["CREATE \"\"", "CREATE /a", "CREATE a//b", "CREATE \"a*b\"", "CREATE \"a%b\""] {
        refused(&mut imap, bad, "NO [CANNOT]").await;
    }
}

#[tokio::test]
async fn a_deleted_folder_with_children_stays_as_a_name_that_cannot_be_selected() {
    let (_demo, mut imap) = reader("noselect").await;
    imap.ok("CREATE a/b").await;
    let first = number(&imap.ok("STATUS a (UIDVALIDITY)").await.text(), "UIDVALIDITY");
    imap.ok("DELETE a").await;
    let told = imap.ok("LIST \"\" a").await.text();
    assert!(told.contains("\\Noselect") && told.contains("\\HasChildren"), "{told}");
    refused(&mut imap, "SELECT a", "NO").await;
    refused(&mut imap, "STATUS a (MESSAGES)", "NO").await;
    refused(&mut imap, "DELETE a", "NO").await;
    refused(&mut imap, "APPEND a {3}", "NO [TRYCREATE]").await;
    assert_eq!(names(&imap.ok("LIST \"\" a*").await), ["a", "a/b"]);
    imap.ok("CREATE a").await;
    assert!(!imap.ok("LIST \"\" a").await.text().contains("\\Noselect"));
    imap.ok("DELETE a/b").await;
    imap.ok("DELETE a").await;
    imap.ok("CREATE a").await;
    let later = number(&imap.ok("STATUS a (UIDVALIDITY)").await.text(), "UIDVALIDITY");
    assert!(later > first, "a new folder of an old name has a UIDVALIDITY of its own: {first}, {later}");
    refused(&mut imap, "DELETE INBOX", "NO [CANNOT]").await;
    refused(&mut imap, "DELETE nowhere", "NO [NONEXISTENT]").await;
}

#[tokio::test]
async fn a_folder_is_renamed_with_everything_below_it_and_keeps_its_messages() {
    let (_demo, mut imap) = reader("renommage").await;
    imap.ok("CREATE old/sub").await;
    imap.append("old/sub", b"Subject: kept\r\n\r\nx\r\n").await;
    let before = imap.ok("STATUS old/sub (UIDVALIDITY UIDNEXT MESSAGES)").await.text();
    imap.ok("RENAME old deep/er/new").await;
    let listed = names(&imap.ok("LIST \"\" deep*").await);
    assert_eq!(listed, ["deep", "deep/er", "deep/er/new", "deep/er/new/sub"]);
    let after = imap.ok("STATUS deep/er/new/sub (UIDVALIDITY UIDNEXT MESSAGES)").await.text();
    assert_eq!(before.replace("old/sub", "deep/er/new/sub"), after);
    assert!(names(&imap.ok("LIST \"\" old*").await).is_empty());
    refused(&mut imap, "RENAME nowhere x", "NO [NONEXISTENT]").await;
    refused(&mut imap, "RENAME deep inbox", "NO").await;
    refused(&mut imap, "RENAME deep Sent", "NO [ALREADYEXISTS]").await;
    refused(&mut imap, "RENAME deep deep/inside", "NO").await;
    // What is below must stay within the bounds of a name.
    imap.ok(&format!("CREATE long/{}", "x".repeat(400))).await;
    refused(&mut imap, &format!("RENAME long {}", "y".repeat(400)), "NO [CANNOT]").await;
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages_and_leaves_its_children() {
    let (_demo, mut imap) = reader("inbox").await;
    imap.ok("CREATE inbox/child").await;
    imap.append("INBOX", b"Subject: one\r\n\r\nx\r\n").await;
    imap.append("iNbOx (\\Flagged)", b"Subject: two\r\n\r\nx\r\n").await;
    imap.ok("RENAME INBOX elsewhere").await;
    assert_eq!(number(&imap.ok("STATUS INBOX (MESSAGES)").await.text(), "MESSAGES"), 0);
    assert_eq!(number(&imap.ok("STATUS elsewhere (MESSAGES)").await.text(), "MESSAGES"), 2);
    assert_eq!(names(&imap.ok("LIST \"\" INBOX*").await), ["INBOX", "INBOX/child"]);
    assert_eq!(names(&imap.ok("LIST \"\" inbox/%").await), ["INBOX/child"]);
    imap.ok("EXAMINE elsewhere").await;
    assert!(imap.ok("FETCH 2 FLAGS").await.text().contains("\\Flagged"));
    refused(&mut imap, "RENAME INBOX elsewhere", "NO [ALREADYEXISTS]").await;
    refused(&mut imap, "CREATE inbox", "NO [ALREADYEXISTS]").await;
}

#[tokio::test]
async fn accents_travel_in_modified_utf7_and_other_spellings_are_refused() {
    let (_demo, mut imap) = reader("accents").await;
    imap.ok("CREATE \"Envoy&AOk-s\"").await;
    imap.ok("CREATE \"R&-D\"").await;
    imap.ok("CREATE \"Dossier (2) \\\"urgent\\\"\"").await;
    assert_eq!(names(&imap.ok("LIST \"\" \"Envoy*\"").await), ["Envoy&AOk-s"]);
    assert_eq!(names(&imap.ok("LIST \"\" \"R&-*\"").await), ["R&-D"]);
    assert!(imap.ok("LIST \"\" Dossier*").await.text().contains("\"Dossier (2) \\\"urgent\\\"\""));
    assert!(imap.ok("STATUS \"Envoy&AOk-s\" (MESSAGES)").await.text().contains("\"Envoy&AOk-s\""));
    // 8-bit octets can only mean UTF-8.
    imap.ok("SELECT \"Envoyés\"").await;
    for bad in ["R&D", "a&b-", "&AOk", "&AGE-", "&U,BTFw-&ZeVnLIqe-", "&2D0-", "&AOl-"] {
        refused(&mut imap, &format!("CREATE \"{bad}\""), "BAD").await;
        assert!(names(&imap.ok(&format!("LIST \"\" \"{bad}\"")).await).is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn lsub_tells_of_subscriptions_and_of_the_levels_above_them() {
    let (_demo, mut imap) = reader("abonnements").await;
    for name in names(&imap.ok("LSUB \"\" *").await) {
        imap.ok(&format!("UNSUBSCRIBE {name}")).await;
    }
    imap.ok("CREATE a/b/c").await;
    imap.ok("SUBSCRIBE a/b/c").await;
    imap.ok("SUBSCRIBE inbox").await;
    imap.ok("SUBSCRIBE INBOX").await;
    refused(&mut imap, "SUBSCRIBE nowhere", "NO [NONEXISTENT]").await;
    assert_eq!(names(&imap.ok("LSUB \"\" *").await), ["INBOX", "a/b/c"]);
    let top = imap.ok("LSUB \"\" %").await.text();
    assert_eq!(top, "* LSUB () \"/\" \"INBOX\"\n* LSUB (\\Noselect) \"/\" \"a\"\n");
    assert_eq!(imap.ok("LSUB a/ %").await.text(), "* LSUB (\\Noselect) \"/\" \"a/b\"\n");
    // RFC 3501 §6.3.9: a name stays subscribed when its folder goes.
    imap.ok("DELETE a/b/c").await;
    assert_eq!(names(&imap.ok("LSUB \"\" *").await), ["INBOX", "a/b/c"]);
    imap.ok("UNSUBSCRIBE a/b/c").await;
    assert_eq!(names(&imap.ok("LSUB \"\" *").await), ["INBOX"]);
}

#[tokio::test]
async fn status_counts_what_is_there_also_in_the_selected_folder() {
    let (_demo, mut imap) = reader("comptes").await;
    let (one, two) = (b"Subject: one\r\n\r\nx\r\n", b"Subject: two\r\n\r\nmore\r\n");
    imap.append("INBOX (\\Seen \\Deleted)", one).await;
    imap.append("INBOX", two).await;
    imap.ok("SELECT INBOX").await;
    let all = "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE DELETED APPENDLIMIT)";
    let told = imap.ok(&format!("STATUS inbox {all}")).await.text();
    assert_eq!(number(&told, "MESSAGES"), 2, "{told}");
    assert_eq!(
        (number(&told, "RECENT"), number(&told, "UIDNEXT"), number(&told, "UNSEEN")),
        (0, 3, 1),
        "{told}"
    );
    assert_eq!(number(&told, "SIZE"), (one.len() + two.len()) as u64, "{told}");
    assert_eq!(number(&told, "DELETED"), 1, "{told}");
    assert!(imap.ok("CAPABILITY").await.text().contains(" STATUS=SIZE"));
    imap.ok("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(number(&imap.ok("STATUS INBOX (UNSEEN)").await.text(), "UNSEEN"), 0);
    for bad in ["STATUS INBOX ()", "STATUS INBOX (NOTHING)", "STATUS INBOX MESSAGES", "STATUS INBOX"] {
        refused(&mut imap, bad, "BAD").await;
    }
    refused(&mut imap, "STATUS nowhere (MESSAGES)", "NO [NONEXISTENT]").await;
}

#[tokio::test]
async fn a_folder_name_may_come_in_a_literal() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("litteral", "10M");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("a CREATE {7}").await;
    assert!(wire.line().await.starts_with('+'), "{wire:?}");
    wire.send_raw(b"a b\"c\\d\r\nb RENAME {7+}\r\na b\"c\\d {5+}\r\nplain\r\nc LIST \"\" {1+}\r\n*\r\n")
        .await;
    let lines = wire.until("c OK").await;
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("a OK [MAILBOXID (F") && line.ends_with(")] CREATE completed")),
        "{wire:?}"
    );
    assert!(lines.iter().any(|line| line == "b OK RENAME completed"), "{wire:?}");
    assert!(lines.iter().any(|line| line.ends_with("\"plain\"")), "{wire:?}");
}
