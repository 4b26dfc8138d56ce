//! NOTIFY (RFC 5465): what happens elsewhere is told between commands and in IDLE, to whoever may know, and to nobody else.

use scenarios::{Api, Demo, Imap, Mailbox, until};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LETTER: &[u8] = b"From: <c@chu.example>\r\nSubject: notified\r\n\r\ntext\r\n";
/// Within which an open session follows.
const SOON: Duration = Duration::from_secs(5);

/// Two sessions of one person: one listens, the other changes things.
async fn pair(name: &str) -> (Arc<Demo>, Imap, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    let listener = Imap::login(&demo, demo.north(), &mailbox).await;
    let other = Imap::login(&demo, demo.north(), &mailbox).await;
    (demo, listener, other)
}

async fn refused(imap: &mut Imap, command: &str, beginning: &str) {
    let answer = imap.command(command).await.status;
    assert!(answer.starts_with(beginning), "{command}: {answer}, not {beginning}");
}

/// What a session is told until it has been told nothing for a while: commands that change nothing are answered with what waited.
async fn told_nothing(imap: &mut Imap) {
    let told = imap.ok("CAPABILITY").await.text();
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[tokio::test]
async fn other_folders_are_counted_first_and_whenever_something_changes_there() {
    let (_demo, mut listener, mut other) = pair("avis.comptes").await;
    assert!(listener.ok("CAPABILITY").await.text().contains(" NOTIFY "));
    for name in ["Lists/Lemonade", "Lists/Im2000", "misc"] {
        other.ok(&format!("CREATE {name}")).await;
    }
    other.append("Lists/Lemonade", LETTER).await;
    listener.ok("SELECT INBOX").await;
    let events = "(MessageNew MessageExpunge FlagChange)";
    let first = listener
        .ok(&format!("NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (subtree Lists {events})"))
        .await
        .text();
    let counted = |name: &str| first.lines().filter(|line| line.contains(&format!("\"{name}\""))).count();
    assert_eq!(
        [counted("Lists"), counted("Lists/Lemonade"), counted("Lists/Im2000"), counted("misc")],
        [1, 1, 1, 0],
        "{first}"
    );
    assert!(first.contains("* STATUS \"Lists/Lemonade\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "), "{first}");
    other.append("misc", LETTER).await;
    other.append("Lists/Lemonade", LETTER).await;
    listener.until_line("* STATUS \"Lists/Lemonade\" (MESSAGES 2 UIDNEXT 3 UNSEEN 2 UIDVALIDITY ").await;
    other.ok("SELECT Lists/Lemonade").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    listener.until_line("* STATUS \"Lists/Lemonade\" (UNSEEN 1 UIDVALIDITY ").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    listener.idle().await;
    other.ok("EXPUNGE").await;
    listener.until_line("* STATUS \"Lists/Lemonade\" (MESSAGES 1 UIDNEXT 3 UIDVALIDITY ").await;
    listener.done().await;
    // Who keeps modification sequences is told of each change of them.
    listener.ok("ENABLE CONDSTORE").await;
    other.ok("STORE 1 +FLAGS.SILENT ($Junk)").await;
    listener.until_line("* STATUS \"Lists/Lemonade\" (HIGHESTMODSEQ ").await;
    listener.ok("NOTIFY NONE").await;
    other.append("Lists/Lemonade", LETTER).await;
    other.append("INBOX", LETTER).await;
    told_nothing(&mut listener).await;
    assert!(
        listener.ok("NOOP").await.text().is_empty(),
        "nothing was asked for, of the selected folder neither"
    );
}

#[tokio::test]
async fn of_the_selected_folder_new_messages_are_fetched_as_was_asked() {
    let (_demo, mut listener, mut other) = pair("avis.choisi").await;
    listener.ok("SELECT INBOX").await;
    let asked = "(MessageNew (uid body.peek[header.fields (subject)]) MessageExpunge FlagChange)";
    listener.ok(&format!("NOTIFY SET (selected {asked}) (personal (MessageNew MessageExpunge))")).await;
    other.append("INBOX", LETTER).await;
    listener.until_line("* 1 EXISTS").await;
    listener.until_line("* 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject)] ").await;
    other.append("INBOX", LETTER).await;
    listener.until_line("* 2 FETCH (UID 2 BODY[").await;
    other.ok("SELECT INBOX").await;
    other.ok("UID STORE 1 +FLAGS.SILENT (\\Flagged \\Deleted)").await;
    listener.until_line("* 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted").await;
    other.ok("EXPUNGE").await;
    listener.until_line("* 1 EXPUNGE").await;
    // In IDLE the same is told.
    listener.idle().await;
    other.append("INBOX", LETTER).await;
    listener.until_line("* 2 FETCH (UID 3 BODY[").await;
    listener.done().await;
    // What the session adds itself is not fetched for it.
    let own = listener.append("INBOX", LETTER).await;
    assert!(own.text().contains("* 3 EXISTS") && !own.text().contains("FETCH"), "{}", own.text());
    // Without FlagChange flags are not told, and with SELECTED-DELAYED what is gone waits for a command.
    listener.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))").await;
    other.ok("NOOP").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    other.append("INBOX", LETTER).await;
    listener.until_line("* 4 EXISTS").await;
    let noop = listener.ok("NOOP").await.text();
    assert!(noop.contains("* 1 EXPUNGE\n") && !noop.contains("FETCH"), "{noop}");
    // Of a folder that nothing was asked about nothing is told but what a command brings about.
    listener.ok("NOTIFY SET (personal (MailboxName))").await;
    other.append("INBOX", LETTER).await;
    assert!(listener.ok("NOOP").await.text().is_empty());
    listener.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    let gone = listener.ok("EXPUNGE").await.text();
    assert!(gone.contains("EXPUNGE"), "{gone}");
}

#[tokio::test]
async fn names_subscriptions_and_annotations_that_change_are_told_to_the_other_session_only() {
    let (_demo, mut listener, mut other) = pair("avis.noms").await;
    let all = "(MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)";
    for imap in [&mut listener, &mut other] {
        imap.ok(&format!("NOTIFY SET (personal {all})")).await;
    }
    other.ok("CREATE Old/Below").await;
    listener.until_line("* LIST (\\HasChildren) \"/\" \"Old\"").await;
    listener.until_line("* LIST (\\HasNoChildren) \"/\" \"Old/Below\"").await;
    other.ok("RENAME Old \"Émis\"").await;
    listener.until_line("* LIST (\\HasChildren) \"/\" \"&AMk-mis\" (\"OLDNAME\" (\"Old\"))").await;
    other.ok("SUBSCRIBE \"Émis\"").await;
    listener.until_line("* LIST (\\HasChildren \\Subscribed) \"/\" \"&AMk-mis\"").await;
    other.ok("SETMETADATA \"Émis\" (/shared/comment \"x\" /private/comment \"y\")").await;
    listener.until_line("* METADATA \"&AMk-mis\" /private/comment").await;
    listener.until_line("* METADATA \"&AMk-mis\" /shared/comment").await;
    other.ok("SETMETADATA \"Émis\" (/shared/comment NIL)").await;
    listener.until_line("* METADATA \"&AMk-mis\" /shared/comment").await;
    other.ok("SETMETADATA \"\" (/private/a \"x\")").await;
    listener.until_line("* METADATA \"\" /private/a").await;
    other.ok("DELETE \"Émis/Below\"").await;
    listener.until_line("* LIST (\\HasNoChildren \\Subscribed) \"/\" \"&AMk-mis\"").await;
    listener.until_line("* LIST (\\NonExistent) \"/\" \"&AMk-mis/Below\"").await;
    other.ok("DELETE \"Émis\"").await;
    listener.until_line("* LIST (\\NonExistent \\Subscribed) \"/\" \"&AMk-mis\"").await;
    told_nothing(&mut other).await;
    other.ok("UNSUBSCRIBE INBOX").await;
    listener.until_line("* LIST (\\HasNoChildren) \"/\" \"INBOX\"").await;
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let (_demo, mut imap, _) = pair("avis.refus").await;
    let unsupported =
        imap.command("NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))").await.status;
    assert!(
        unsupported.starts_with("NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "),
        "{unsupported}"
    );
    for bad in [
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET STATUS",
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (everything NONE)",
    ] {
        refused(&mut imap, bad, "BAD").await;
    }
    let names = |count: usize| (0..count).map(|at| format!("n{at}")).collect::<Vec<_>>().join(" ");
    let (half, rest) = (names(600), names(500));
    refused(
        &mut imap,
        &format!("NOTIFY SET (mailboxes ({half}) (MailboxName)) (subtree ({rest}) (MailboxName))"),
        "BAD",
    )
    .await;
    imap.ok(&format!("NOTIFY SET (mailboxes ({half}) (MailboxName))")).await;
    imap.ok("NOTIFY SET (mailboxes (nowhere \"Shared/nobody@x.example/INBOX\") (MessageNew MessageExpunge))")
        .await;
}

/// Changes whether readers have a `\Seen` of their own, which concerns every session in the mailbox.
async fn keep_seen_apart(demo: &Demo, mailbox: &Mailbox, private_seen: bool) {
    let api = Api::admin(demo, demo.north());
    let path = format!("/mailboxes/{}", mailbox.address);
    let etag = api.get(&path).await.expect(200).etag().to_owned();
    api.patch(&path, &etag, &json!({"privateSeen": private_seen})).await.expect(200);
}

#[tokio::test]
async fn a_client_that_never_asked_is_told_nothing_between_commands() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("avis.muet", "50M");
    let mut silent = Imap::login(&demo, demo.north(), &mailbox).await;
    let mut other = Imap::login(&demo, demo.north(), &mailbox).await;
    for _ in 0..3 {
        other.append("INBOX", LETTER).await;
    }
    for imap in [&mut silent, &mut other] {
        imap.ok("SELECT INBOX").await;
    }
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    // What moves the directory wakes the session to be judged again; nothing else comes of it.
    keep_seen_apart(&demo, &mailbox, true).await;
    silent.hears_nothing_for(SOON).await;
    // The numbers are those that the client knows.
    let answer = silent.command("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    assert!(!answer.text().contains("EXPUNGE"), "{}", answer.text());
    assert!(silent.ok("NOOP").await.text().contains("* 1 EXPUNGE"));
    assert_eq!(silent.ok("UID SEARCH FLAGGED").await.text(), "* SEARCH 2\n");
}

#[tokio::test]
async fn what_others_add_meanwhile_is_fetched_after_a_command_that_adds_messages_itself() {
    let (_demo, mut listener, mut other) = pair("avis.ensemble").await;
    listener.ok("SELECT INBOX").await;
    listener.ok("NOTIFY SET (selected (MessageNew (uid flags) MessageExpunge))").await;
    // The session is within a command: nothing is told meanwhile.
    listener.begin(&format!("own APPEND INBOX {{{}}}", LETTER.len())).await;
    listener.until_line("+").await;
    other.append("INBOX", LETTER).await;
    listener.begin(&String::from_utf8_lossy(LETTER)).await;
    listener.until_line("* 2 EXISTS").await;
    listener.until_line("* 1 FETCH (UID 1 FLAGS (").await;
    listener.until_line("own OK [APPENDUID ").await;
    let mut last = 2;
    for _ in 0..8 {
        // Whatever comes first of the notice and the command.
        other.append("INBOX", LETTER).await;
        listener.begin("own UID COPY 1 INBOX").await;
        let added = last + 1;
        listener.until_line(&format!("* {added} FETCH (UID {added} ")).await;
        last += 2;
        listener.ok("NOOP").await;
        assert_eq!(listener.ok("UID SEARCH ALL").await.text().split(' ').count(), last + 2);
    }
    let copies = format!("{listener:?}").lines().filter(|line| line.contains("FETCH (UID 4 ")).count();
    assert_eq!(copies, 0, "what the session adds itself is not fetched\n{listener:?}");
}

#[tokio::test]
async fn what_a_session_did_not_manage_to_do_itself_is_told_when_another_does_it() {
    let (_demo, mut listener, mut other) = pair("avis.echec").await;
    other.ok("CREATE Old").await;
    listener.ok("NOTIFY SET (personal (MailboxName))").await;
    refused(&mut listener, "CREATE Old", "NO [ALREADYEXISTS]").await;
    other.ok("DELETE Old").await;
    listener.until_line("* LIST (\\NonExistent) \"/\" \"Old\"").await;
}

#[tokio::test]
async fn what_happens_in_the_selected_folder_is_told_of_by_its_counters_once_it_is_left() {
    let (_demo, mut listener, mut other) = pair("avis.quitte").await;
    other.ok("CREATE misc").await;
    listener.ok("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))").await;
    listener.ok("SELECT misc").await;
    other.append("misc", LETTER).await;
    other.append("Archive", LETTER).await;
    listener.until_line("* STATUS \"Archive\" (MESSAGES 1 ").await;
    assert!(!format!("{listener:?}").contains("STATUS \"misc\""), "{listener:?}");
    listener.ok("UNSELECT").await;
    listener.until_line("* STATUS \"misc\" (MESSAGES 1 UIDNEXT 2 ").await;
    // Who is told of all that happens in it knows.
    let events = "(MessageNew MessageExpunge FlagChange)";
    listener.ok(&format!("NOTIFY SET (selected {events}) (personal {events})")).await;
    listener.ok("SELECT Sent").await;
    other.append("Sent", LETTER).await;
    listener.until_line("* 1 EXISTS").await;
    listener.ok("CLOSE").await;
    other.append("Archive", LETTER).await;
    listener.until_line("* STATUS \"Archive\" (MESSAGES 2 ").await;
    assert!(!format!("{listener:?}").contains("STATUS \"Sent\""), "{listener:?}");
    // And hears of what happens afterwards.
    other.append("Sent", LETTER).await;
    listener.until_line("* STATUS \"Sent\" (MESSAGES 2 ").await;
}

#[tokio::test]
async fn what_another_has_seen_is_nobodys_business() {
    let demo = Demo::shared();
    let site = demo.north();
    let nurse = site.new_mailbox("avis.discret.lit", "50M");
    let owner = site.new_mailbox("avis.discret", "50M");
    keep_seen_apart(&demo, &owner, true).await;
    let (mut chief, mut imap) =
        (Imap::login(&demo, site, &owner).await, Imap::login(&demo, site, &nurse).await);
    give(&demo, &owner, &nurse, "read").await;
    chief.append("Sent", LETTER).await;
    let sent = format!("Other Users/{}/Sent", owner.address);
    imap.ok("ENABLE CONDSTORE").await;
    imap.ok(&format!("NOTIFY SET (mailboxes \"{sent}\" (MessageNew MessageExpunge FlagChange))")).await;
    chief.ok("SELECT Sent").await;
    chief.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    imap.hears_nothing_for(SOON).await;
    chief.ok("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    imap.until_line(&format!("* STATUS \"{sent}\" (HIGHESTMODSEQ ")).await;
    imap.ok(&format!("SELECT \"{sent}\"")).await;
    assert_eq!(imap.ok("SEARCH UNSEEN").await.text(), "* SEARCH 1\n");
}

#[tokio::test]
async fn what_was_enabled_says_how_things_are_told_between_commands() {
    let (_demo, mut listener, mut other) = pair("avis.modes").await;
    for _ in 0..3 {
        other.append("INBOX", LETTER).await;
    }
    other.ok("CREATE \"Reçus\"").await;
    listener.ok("ENABLE QRESYNC UTF8=ACCEPT").await;
    listener.ok("SELECT INBOX").await;
    let events = "(MessageNew MessageExpunge FlagChange)";
    listener
        .ok(&format!("NOTIFY SET (selected {events}) (personal (MailboxName MessageNew MessageExpunge))"))
        .await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    listener.until_line("* 2 FETCH (UID 2 FLAGS (\\Deleted").await;
    other.ok("EXPUNGE").await;
    listener.until_line("* VANISHED 2").await;
    other.append("\"Reçus\"", LETTER).await;
    listener.until_line("* STATUS \"Reçus\" (MESSAGES 1 ").await;
    listener.ok("ENABLE UIDONLY").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    listener.until_line("* 1 UIDFETCH (FLAGS (\\Flagged").await;
    // Of one who logged out nothing is left.
    listener.ok("UNAUTHENTICATE").await;
    other.append("INBOX", LETTER).await;
    other.ok("CREATE Later").await;
    listener.hears_nothing_for(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn what_another_process_gives_is_told_of() {
    let demo = Demo::shared();
    let site = demo.north();
    let (nurse, owner) =
        (site.new_mailbox("avis.ailleurs.lit", "50M"), site.new_mailbox("avis.ailleurs", "50M"));
    let mut imap = Imap::login(&demo, site, &nurse).await;
    imap.ok("NOTIFY SET (subtree \"Other Users\" (MailboxName MessageNew MessageExpunge))").await;
    let given = json!({"login": nurse.address, "role": "write"}).to_string();
    site.cli(&["api", "POST", &format!("/mailboxes/{}/delegations", owner.address), "--data", &given]).ok();
    let prefix = format!("Other Users/{}", owner.address);
    imap.wait_for_line(&format!("* LIST (\\HasNoChildren) \"/\" \"{prefix}/Sent\""), Duration::from_secs(15))
        .await;
    // From now on its folders are followed.
    let mut chief = Imap::login(&demo, site, &owner).await;
    chief.append("Sent", LETTER).await;
    imap.until_line(&format!("* STATUS \"{prefix}/Sent\" (MESSAGES 1 ")).await;
}

async fn give(demo: &Demo, chief: &Mailbox, nurse: &Mailbox, role: &str) -> String {
    let api = Api::admin(demo, demo.north());
    let path = format!("/mailboxes/{}/delegations", chief.address);
    api.post(&path, &json!({"login": nurse.address, "role": role})).await.expect(201);
    format!("{path}/{}", nurse.address)
}

#[tokio::test]
async fn a_delegate_is_told_of_what_they_may_read_for_as_long_as_they_may() {
    let demo = Demo::shared();
    let site = demo.north();
    let nurse = site.new_mailbox("avis.infirmiere", "50M");
    let owner = site.new_mailbox("avis.chef", "50M");
    let (mut chief, mut imap) =
        (Imap::login(&demo, site, &owner).await, Imap::login(&demo, site, &nurse).await);
    let path = give(&demo, &owner, &nurse, "read").await;
    chief.ok("CREATE Secret").await;
    chief.ok("CREATE Named").await;
    chief.ok(&format!("DELETEACL Secret {}", nurse.address)).await;
    chief.ok(&format!("SETACL Named {} l", nurse.address)).await;
    let prefix = format!("Other Users/{}", owner.address);
    let events = "(MessageNew MessageExpunge FlagChange MailboxName MailboxMetadataChange)";
    let set =
        format!("NOTIFY SET STATUS (subtree \"{prefix}\" {events}) (mailboxes \"{prefix}/Secret\" {events})");
    let first = imap.ok(&set).await.text();
    assert!(first.contains(&format!("* LIST (\\NoAccess) \"/\" \"{prefix}/Named\"")), "{first}");
    assert!(
        first.contains(&format!("* STATUS \"{prefix}/Sent\" (MESSAGES 0 ")) && !first.contains("Secret"),
        "{first}"
    );
    assert!(!first.contains("STATUS \"INBOX\""), "{first}");
    imap.idle().await;
    for folder in ["Secret", "Named"] {
        chief.append(folder, LETTER).await;
        chief.ok(&format!("SETMETADATA {folder} (/shared/comment \"x\")")).await;
    }
    chief.ok("CREATE Secret/Below").await;
    chief.ok("SETMETADATA Sent (/private/comment \"the chief's own\")").await;
    chief.append("Sent", LETTER).await;
    imap.until_line(&format!("* STATUS \"{prefix}/Sent\" (MESSAGES 1 ")).await;
    chief.ok("SETMETADATA Sent (/shared/comment \"to all\")").await;
    imap.until_line(&format!("* METADATA \"{prefix}/Sent\" /shared/comment")).await;
    // A right that is taken away, and the whole of it.
    let begin = Instant::now();
    chief.ok(&format!("DELETEACL Junk {}", nurse.address)).await;
    imap.until_line(&format!("* LIST (\\NonExistent) \"/\" \"{prefix}/Junk\"")).await;
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    let begin = Instant::now();
    let api = Api::admin(&demo, site);
    let etag = api.get(&path).await.expect(200).etag().to_owned();
    api.delete(&path, &etag).await.expect(204);
    imap.until_line(&format!("* LIST (\\NonExistent) \"/\" \"{prefix}/Sent\"")).await;
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    chief.append("Sent", LETTER).await;
    imap.done().await;
    told_nothing(&mut imap).await;
    let dialogue = format!("{imap:?}");
    let leaked = dialogue.lines().any(|line| line.starts_with("S:") && line.contains("Secret"));
    assert!(!leaked && !dialogue.contains("/private/comment"), "{dialogue}");
    // And given again, in time.
    give(&demo, &owner, &nurse, "read").await;
    until("the folders are there again", async || {
        let told = imap.ok("NOOP").await.text();
        told.contains(&format!("\"{prefix}/Sent\"")).then_some(())
    })
    .await;
}
