//! Folder names as clients write them: modified UTF-7, UTF-8, composed or not, INBOX in any case (RFC 3501 §5.1.3, RFC 6855).

use scenarios::{Demo, Imap};

#[tokio::test]
async fn one_folder_is_found_under_every_spelling_of_its_name() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("noms", "50M");
    let mut legacy = Imap::login(&demo, demo.north(), &mailbox).await;
    let mut modern = Imap::login(&demo, demo.north(), &mailbox).await;
    assert!(modern.ok("ENABLE UTF8=ACCEPT X-NOTHING").await.text().starts_with("* ENABLED UTF8=ACCEPT"));
    legacy.ok("CREATE &AMk-t&AOk-").await;
    legacy.ok("CREATE inBox/R&AOk-sultats").await;
    for name in ["Été", "E\u{301}te\u{301}", "Ét\u{e9}"] {
        let told = modern.ok(&format!("STATUS \"{name}\" (MESSAGES)")).await.text();
        assert!(told.contains("* STATUS \"Été\" (MESSAGES 0)"), "{name}: {told}");
    }
    // A client that did not enable it may write UTF-8 all the same; it reads modified UTF-7.
    for name in ["\"Été\"", "E&AwE-te&AwE-", "&AMk-t&AOk-"] {
        let told = legacy.ok(&format!("STATUS {name} (MESSAGES)")).await.text();
        assert!(told.contains("* STATUS \"&AMk-t&AOk-\" (MESSAGES 0)"), "{name}: {told}");
    }
    assert!(legacy.ok("LIST \"\" &AMk-%").await.text().contains(" \"&AMk-t&AOk-\""));
    let told = modern.ok("LIST \"\" \"É%\"").await.text();
    assert!(told.contains(" \"Été\"") && !told.contains('&'), "{told}");
    assert!(modern.ok("LIST \"\" \"inbox/*\"").await.text().contains(" \"INBOX/Résultats\""));
    modern.ok("SUBSCRIBE \"Été\"").await;
    assert!(modern.ok("LSUB \"\" *").await.text().contains(" \"Été\""));
    assert!(legacy.ok("LSUB \"\" *").await.text().contains(" \"&AMk-t&AOk-\""));
    // What looks like modified UTF-7 is a name as any other.
    modern.ok("CREATE \"A&B\"").await;
    assert!(legacy.ok("LIST \"\" A*").await.text().contains(" \"A&-B\""));
    assert!(legacy.command("STATUS A&B (MESSAGES)").await.status.starts_with("BAD"));
    assert!(modern.command("CREATE Été").await.status.starts_with("BAD"), "an atom is ASCII");
    let status = modern.command("CREATE \"E\u{301}te\u{301}\"").await.status;
    assert!(status.starts_with("NO [ALREADYEXISTS]"), "{status}");
    modern.ok("SELECT \"iNbOx\"").await;
}

#[tokio::test]
async fn a_message_with_a_utf8_header_is_taken_and_given_as_it_is() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("entetes", "50M");
    let mut wire = scenarios::Wire::imap(&demo, demo.north(), &mailbox).await;
    let letter = "Subject: Été\r\nFrom: é@nord.example\r\n\r\nx\r\n";
    let append =
        |tag: &str| format!("{tag} APPEND INBOX (\\Seen) UTF8 (~{{{}+}}\r\n{letter})\r\n", letter.len());
    wire.send_raw(append("a").as_bytes()).await;
    assert!(wire.until("a ").await.concat().contains("a BAD UTF8 needs UTF8=ACCEPT"), "{wire:?}");
    wire.send("b ENABLE UTF8=ACCEPT").await;
    wire.until("b OK").await;
    wire.send_raw(append("c").as_bytes()).await;
    assert!(wire.until("c ").await.concat().contains("c OK [APPENDUID"), "{wire:?}");
    let mut legacy = Imap::login(&demo, demo.north(), &mailbox).await;
    assert_eq!(legacy.messages("INBOX").await, [letter.as_bytes()]);
    let told = legacy.ok("FETCH 1 ENVELOPE").await;
    assert_eq!(told.literals[0], "Été".as_bytes());
}
