//! What SEARCH returns and keeps: ESEARCH (RFC 4731), `$` (RFC 5182), ages and dates (RFC 5032, RFC 8514).

use scenarios::{Demo, Imap, Mailbox, Wire, until};
use std::sync::Arc;

/// Six messages: 2, 3 and 5 are flagged; UIDs and numbers are the same until one goes.
async fn six(name: &str) -> (Arc<Demo>, Mailbox, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for n in 1..=6 {
        let flags = if [2, 3, 5].contains(&n) { "(\\Flagged)" } else { "()" };
        let content = format!("Subject: letter {n}\r\n\r\nx\r\n");
        imap.append(&format!("INBOX {flags}"), content.as_bytes()).await;
    }
    imap.ok("SELECT INBOX").await;
    (demo, mailbox, imap)
}

/// What an ESEARCH says after its tag.
async fn returned(imap: &mut Imap, command: &str) -> String {
    let told = imap.ok(command).await.text();
    let rest = told.strip_prefix("* ESEARCH (TAG \"t").unwrap_or_else(|| panic!("{command}: {told}"));
    let (_tag, rest) = rest.split_once("\")").expect("a tag");
    rest.trim().to_owned()
}

#[tokio::test]
async fn a_search_returns_what_is_asked_of_it() {
    let (_demo, _mailbox, mut imap) = six("retours").await;
    for (command, expected) in [
        ("SEARCH RETURN (MIN COUNT) FLAGGED", "MIN 2 COUNT 3"),
        ("SEARCH RETURN (max) FLAGGED", "MAX 5"),
        ("SEARCH RETURN () FLAGGED", "ALL 2:3,5"),
        ("SEARCH RETURN (ALL MIN MAX COUNT) CHARSET UTF-8 FLAGGED", "MIN 2 MAX 5 COUNT 3 ALL 2:3,5"),
        ("UID SEARCH RETURN (ALL) FLAGGED", "UID ALL 2:3,5"),
        ("SEARCH RETURN (MIN MAX ALL) ANSWERED", ""),
        ("SEARCH RETURN (COUNT) ANSWERED", "COUNT 0"),
        ("UID SEARCH RETURN (MIN) ANSWERED", "UID"),
        ("UID SEARCH RETURN (PARTIAL -1:-2) FLAGGED", "UID PARTIAL (-1:-2 3,5)"),
        ("SEARCH RETURN (PARTIAL 2:500 COUNT) FLAGGED", "COUNT 3 PARTIAL (2:500 3,5)"),
        ("SEARCH RETURN (PARTIAL 24:30) FLAGGED", "PARTIAL (24:30 NIL)"),
    ] {
        assert_eq!(returned(&mut imap, command).await, expected, "{command}");
    }
    assert_eq!(imap.ok("SEARCH FLAGGED").await.text(), "* SEARCH 2 3 5\n");
    for bad in ["RETURN (ALL PARTIAL 1:2) ALL", "RETURN (EVERYTHING) ALL", "RETURN MIN ALL", "RETURN (MIN)"] {
        let status = imap.command(&format!("SEARCH {bad}")).await.status;
        assert!(status.starts_with("BAD"), "{bad}: {status}");
    }
}

#[tokio::test]
async fn a_tag_is_repeated_as_a_string_whatever_its_letters() {
    let (demo, mailbox, _imap) = six("etiquettes").await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("s SELECT INBOX").await;
    wire.until("s OK").await;
    wire.send("A]b/'c SEARCH RETURN (COUNT) ALL").await;
    let told = wire.until("A]b/'c OK").await;
    assert!(told.contains(&"* ESEARCH (TAG \"A]b/'c\") COUNT 6".to_owned()), "{wire:?}");
}

#[tokio::test]
async fn what_was_saved_is_named_by_a_dollar_in_every_command() {
    let (_demo, _mailbox, mut imap) = six("garde").await;
    assert_eq!(imap.ok("SEARCH RETURN (SAVE) FLAGGED").await.text(), "");
    let uids = "* 2 FETCH (UID 2)\n* 3 FETCH (UID 3)\n* 5 FETCH (UID 5)\n";
    assert_eq!(imap.ok("FETCH $ UID").await.text(), uids);
    assert_eq!(imap.ok("UID FETCH $ UID").await.text(), uids);
    assert_eq!(imap.ok("SEARCH $ NOT 3").await.text(), "* SEARCH 2 5\n");
    assert_eq!(imap.ok("UID SEARCH UID $").await.text(), "* SEARCH 2 3 5\n");
    assert_eq!(imap.ok("SEARCH (OR $ 1,6)").await.text(), "* SEARCH 1 2 3 5 6\n");
    assert_eq!(imap.ok("SEARCH NOT $").await.text(), "* SEARCH 1 4 6\n");
    let stored = imap.ok("STORE $ +FLAGS (\\Answered)").await.text();
    assert_eq!(stored.matches("\\Answered").count(), 3, "{stored}");
    imap.ok("UID STORE $ +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(imap.ok("SEARCH SEEN").await.text(), "* SEARCH 2 3 5\n");
    imap.ok("CREATE Copies").await;
    let copied = imap.ok("COPY $ Copies").await.status;
    assert!(copied.contains("COPYUID") && copied.contains(" 2:3,5 1:3]"), "{copied}");
    imap.ok("UID COPY $ Copies").await;
    // What goes is not meant any more, and the others keep being meant under their new numbers.
    imap.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("UID EXPUNGE 3").await;
    assert_eq!(imap.ok("FETCH $ UID").await.text(), "* 2 FETCH (UID 2)\n* 4 FETCH (UID 5)\n");
    imap.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(imap.ok("UID EXPUNGE $").await.text(), "* 4 EXPUNGE\n* 2 EXPUNGE\n");
    assert_eq!(imap.ok("FETCH $ UID").await.text(), "");
    imap.ok("COPY $ Copies").await;
    imap.ok("MOVE $ Copies").await;
    assert_eq!(imap.ok("SEARCH $").await.text(), "* SEARCH\n");
    imap.ok("UID SEARCH RETURN (SAVE) UID 6").await;
    let moved = imap.ok("MOVE $ Copies").await.text();
    assert!(moved.contains("COPYUID") && moved.ends_with("* 3 EXPUNGE\n"), "{moved}");
}

#[tokio::test]
async fn what_is_saved_is_what_is_returned_or_all() {
    let (_demo, _mailbox, mut imap) = six("choix").await;
    for (options, told, kept) in [
        ("SAVE MIN", "MIN 2", "2"),
        ("MAX SAVE", "MAX 5", "5"),
        ("MAX SAVE MIN", "MIN 2 MAX 5", "2 5"),
        ("MAX SAVE MIN COUNT", "MIN 2 MAX 5 COUNT 3", "2 3 5"),
        ("ALL SAVE MIN", "MIN 2 ALL 2:3,5", "2 3 5"),
        ("SAVE PARTIAL -1:-2", "PARTIAL (-1:-2 3,5)", "3 5"),
        ("SAVE PARTIAL 2:2 MIN", "MIN 2 PARTIAL (2:2 3)", "2 3"),
        ("SAVE PARTIAL 2:2 COUNT", "COUNT 3 PARTIAL (2:2 3)", "2 3 5"),
    ] {
        assert_eq!(returned(&mut imap, &format!("SEARCH RETURN ({options}) FLAGGED")).await, told);
        assert_eq!(imap.ok("SEARCH $").await.text(), format!("* SEARCH {kept}\n"), "{options}");
    }
}

#[tokio::test]
async fn a_saved_result_lives_until_a_search_that_saves_fails_or_another_folder_is_selected() {
    let (_demo, _mailbox, mut imap) = six("duree").await;
    imap.ok("SEARCH RETURN (SAVE) FLAGGED").await;
    // Neither a search that keeps nothing nor one that is not understood changes it.
    imap.ok("SEARCH RETURN (ALL) 1").await;
    imap.ok("SEARCH 1").await;
    assert!(imap.command("SEARCH RETURN (SAVE) NONSENSE").await.status.starts_with("BAD"));
    assert!(imap.command("SEARCH CHARSET X-NONE SUBJECT x").await.status.starts_with("NO"));
    assert_eq!(imap.ok("SEARCH $").await.text(), "* SEARCH 2 3 5\n");
    assert!(imap.command("SEARCH RETURN (SAVE) CHARSET X-NONE SUBJECT x").await.status.starts_with("NO"));
    assert_eq!(imap.ok("SEARCH $").await.text(), "* SEARCH\n");
    imap.ok("SEARCH RETURN (SAVE) FLAGGED").await;
    imap.ok("SELECT INBOX").await;
    assert_eq!(imap.ok("SEARCH $").await.text(), "* SEARCH\n");
}

#[tokio::test]
async fn commands_sent_ahead_take_the_result_of_the_one_before() {
    let (demo, mailbox, _imap) = six("avance").await;
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("s SELECT INBOX").await;
    wire.until("s OK").await;
    wire.send_raw(
        b"F1 SEARCH RETURN (SAVE) FLAGGED\r\nF2 SEARCH RETURN (SAVE) $ NOT 3\r\nF3 STORE $ +FLAGS.SILENT (\\Answered)\r\n\
          F4 UID SEARCH ANSWERED\r\n",
    )
    .await;
    assert!(wire.until("F4 OK").await.contains(&"* SEARCH 2 5".to_owned()), "{wire:?}");
}

#[tokio::test]
async fn a_message_that_another_session_removes_is_passed_over() {
    let (demo, mailbox, mut imap) = six("tiers").await;
    imap.ok("SEARCH RETURN (SAVE) FLAGGED").await;
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let status = imap.command("FETCH $ (UID RFC822.SIZE)").await.status;
    assert!(status.starts_with("OK"), "{status}");
    imap.ok("CREATE Autres").await;
    let copied = imap.ok("COPY $ Autres").await.status;
    assert!(copied.contains(" 2,5 1:2]"), "{copied}");
}

#[tokio::test]
async fn ages_are_counted_from_now_and_from_the_internal_date() {
    let (_demo, _mailbox, mut imap) = six("ages").await;
    imap.append("INBOX \"01-Jan-2015 18:50:53 +0100\"", b"Subject: old\r\n\r\nx\r\n").await;
    imap.ok("NOOP").await;
    for (keys, expected) in [
        ("YOUNGER 3600", "1 2 3 4 5 6"),
        ("OLDER 3600", "7"),
        ("OLDER 86400 YOUNGER 4294967295", "7"),
        ("OR YOUNGER 3600 OLDER 3600", "1 2 3 4 5 6 7"),
        ("NOT YOUNGER 3600", "7"),
    ] {
        assert_eq!(
            imap.ok(&format!("SEARCH {keys}")).await.text(),
            format!("* SEARCH {expected}\n"),
            "{keys}"
        );
    }
    for bad in ["YOUNGER 0", "OLDER -1", "YOUNGER", "OLDER 4294967296"] {
        assert!(imap.command(&format!("SEARCH {bad}")).await.status.starts_with("BAD"), "{bad}");
    }
}

#[tokio::test]
async fn the_save_date_is_when_a_message_came_to_its_folder() {
    let (_demo, _mailbox, mut imap) = six("rangement").await;
    imap.append("INBOX \"01-Jan-2015 18:50:53 +0100\"", b"Subject: old\r\n\r\nx\r\n").await;
    imap.ok("NOOP").await;
    let save_date = |told: String| {
        let (_, date) = told.split_once("SAVEDATE \"").unwrap_or_else(|| panic!("{told}"));
        date.split('"').next().expect("a date").to_owned()
    };
    let first = save_date(imap.ok("FETCH 7 SAVEDATE").await.text());
    assert!(first.ends_with(" +0000") && !first.contains("2015"), "{first}");
    imap.ok("CREATE Classement").await;
    // A copy has a date of its own; the message keeps its.
    let copied = until("a copy with another date", async || {
        imap.ok("COPY 7 Classement").await;
        imap.ok("SELECT Classement").await;
        let copied = save_date(imap.ok("FETCH * (INTERNALDATE SAVEDATE)").await.text());
        imap.ok("SELECT INBOX").await;
        Some(copied).filter(|copied| *copied != first)
    })
    .await;
    assert_ne!(copied, first);
    assert_eq!(save_date(imap.ok("UID FETCH 7 (SAVEDATE)").await.text()), first);
    let day = first.split(' ').next().expect("a day").trim_start_matches('0');
    for (keys, expected) in [
        ("SAVEDATESUPPORTED", "* SEARCH 1 2 3 4 5 6 7"),
        ("NOT SAVEDATESUPPORTED", "* SEARCH"),
        ("SAVEDBEFORE 2-Jan-2015", "* SEARCH"),
        ("SAVEDSINCE 2-Jan-2015 BEFORE 2-Jan-2015", "* SEARCH 7"),
        (&format!("7 SAVEDON {day}"), "* SEARCH 7"),
        (&format!("7 SAVEDBEFORE {day}"), "* SEARCH"),
    ] {
        assert_eq!(imap.ok(&format!("SEARCH {keys}")).await.text().trim_end(), expected, "{keys}");
    }
}
