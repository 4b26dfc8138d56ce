//! LIST as clients use it that show folders at a glance (RFC 5258, RFC 5819, RFC 6154): what is selected, what is told beside a name, and by how much
//! asking.

use scenarios::{Api, Demo, Imap, Mailbox};
use serde_json::json;
use std::sync::Arc;

async fn reader(name: &str) -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for known in ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"] {
        imap.ok(&format!("UNSUBSCRIBE {known}")).await;
    }
    (demo, imap)
}

/// The untagged lines without the word that they all begin with.
async fn listed(imap: &mut Imap, arguments: &str) -> Vec<String> {
    let text = imap.ok(&format!("LIST {arguments}")).await.text();
    text.lines().map(|line| line.strip_prefix("* LIST ").unwrap_or(line).to_owned()).collect()
}

async fn refused(imap: &mut Imap, command: &str, beginning: &str) {
    let answer = imap.command(command).await.status;
    assert!(answer.starts_with(beginning), "{command}: {answer}, not {beginning}");
}

#[tokio::test]
async fn subscriptions_outlive_folders_and_what_is_above_them_says_so() {
    let (_demo, mut imap) = reader("liste.abonnements").await;
    let told = imap.ok("CAPABILITY").await.text();
    for word in [" LIST-EXTENDED ", " LIST-STATUS ", " SPECIAL-USE ", " CREATE-SPECIAL-USE "] {
        assert!(told.contains(word), "{told}");
    }
    for name in ["Fruit/Banana", "Fruit/Peach", "Vegetable/Broccoli", "Légume"] {
        imap.ok(&format!("CREATE \"{name}\"")).await;
    }
    for name in ["INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"] {
        imap.ok(&format!("SUBSCRIBE {name}")).await;
    }
    imap.ok("DELETE Fruit/Peach").await;
    let subscribed = [
        "(\\HasNoChildren \\Subscribed) \"/\" \"Fruit/Banana\"",
        "(\\NonExistent \\Subscribed) \"/\" \"Fruit/Peach\"",
        "(\\HasNoChildren \\Subscribed) \"/\" \"INBOX\"",
        "(\\HasChildren \\Subscribed) \"/\" \"Vegetable\"",
        "(\\HasNoChildren \\Subscribed) \"/\" \"Vegetable/Broccoli\"",
    ];
    assert_eq!(listed(&mut imap, "(SUBSCRIBED) \"\" *").await, subscribed);
    assert_eq!(listed(&mut imap, "(remote subscribed) \"\" (\"*\" INBOX)").await, subscribed);
    // Of a name that nothing stands behind, nothing is counted.
    let counted = listed(&mut imap, "(SUBSCRIBED) \"\" Fruit/* RETURN (STATUS (MESSAGES))").await;
    assert_eq!(counted, [subscribed[0], "* STATUS \"Fruit/Banana\" (MESSAGES 0)", subscribed[1]]);
    let fruit = "(\\HasChildren) \"/\" \"Fruit\" (\"CHILDINFO\" (\"SUBSCRIBED\"))";
    let vegetable = "(\\HasChildren \\Subscribed) \"/\" \"Vegetable\" (\"CHILDINFO\" (\"SUBSCRIBED\"))";
    let top = listed(&mut imap, "(SUBSCRIBED RECURSIVEMATCH) \"\" %").await;
    assert_eq!(top, [fruit, subscribed[2], vegetable]);
    imap.ok("DELETE Fruit/Banana").await;
    imap.ok("DELETE Fruit").await;
    let gone = "(\\NonExistent) \"/\" \"Fruit\" (\"CHILDINFO\" (\"SUBSCRIBED\"))";
    assert_eq!(listed(&mut imap, "(SUBSCRIBED RECURSIVEMATCH) \"\" F%").await, [gone]);
    assert!(listed(&mut imap, "\"\" F* RETURN (SUBSCRIBED)").await.is_empty());
    imap.ok("CREATE Fruit/Peach").await;
    let again = listed(&mut imap, "\"\" (Fruit/% L&AOk-*) RETURN (SUBSCRIBED CHILDREN)").await;
    let legume = "(\\HasNoChildren) \"/\" \"L&AOk-gume\"";
    assert_eq!(again, ["(\\HasNoChildren \\Subscribed) \"/\" \"Fruit/Peach\"", legume]);
    assert!(listed(&mut imap, "() \"\" \"\"").await.is_empty(), "only the plain form asks for the delimiter");
}

#[tokio::test]
async fn options_that_are_unknown_or_stand_wrongly_are_bad() {
    let (_demo, mut imap) = reader("liste.options").await;
    for bad in [
        "LIST (RECURSIVEMATCH) \"\" *",
        "LIST (RECURSIVEMATCH REMOTE SPECIAL-USE) \"\" *",
        "LIST (OTHER) \"\" *",
        "LIST \"\" * RETURN (OTHER)",
        "LIST \"\" * RETURN (STATUS)",
        "LIST \"\" * RETURN (STATUS (OTHER))",
        "LIST \"\" () RETURN ()",
        "LIST \"\" * CHILDREN",
    ] {
        refused(&mut imap, bad, "BAD").await;
    }
}

#[tokio::test]
async fn a_folder_is_made_for_a_use_that_no_other_has() {
    let (_demo, mut imap) = reader("usages").await;
    let used = |attributes: &str, name: &str| format!("(\\HasNoChildren {attributes}) \"/\" \"{name}\"");
    let defaults = ["Archive", "Drafts", "Junk", "Sent", "Trash"];
    let wanted: Vec<String> = defaults.iter().map(|name| used(&format!("\\{name}"), name)).collect();
    assert_eq!(listed(&mut imap, "(SPECIAL-USE) \"\" *").await, wanted);
    for refusal in [
        "CREATE New/Old (USE (\\Archive))",
        "CREATE New (USE (\\All))",
        "CREATE New (USE (\\Flagged))",
        "CREATE New (USE (\\Important))",
        "CREATE New (USE (\\Ours))",
        "CREATE New (USE (\\Archive \\Sent))",
    ] {
        refused(&mut imap, refusal, "NO [USEATTR]").await;
    }
    assert!(listed(&mut imap, "\"\" New*").await.is_empty(), "nothing is made of what was refused");
    for bad in ["CREATE New (USE \\Archive)", "CREATE New (USE (Archive))", "CREATE New (OTHER (\\Archive))"]
    {
        refused(&mut imap, bad, "BAD").await;
    }
    imap.ok("DELETE Archive").await;
    imap.ok("CREATE \"Archives (2026)\" (use (\\ARCHIVE))").await;
    imap.ok("CREATE Plain (USE ())").await;
    let now = listed(&mut imap, "(SPECIAL-USE) \"\" A* RETURN (SPECIAL-USE)").await;
    assert_eq!(now, [used("\\Archive", "Archives (2026)")]);
    imap.ok("RENAME \"Archives (2026)\" Archives").await;
    let plain = "(\\HasNoChildren) \"/\" \"Plain\"".to_owned();
    assert_eq!(listed(&mut imap, "\"\" (Archives Plain)").await, [used("\\Archive", "Archives"), plain]);
}

#[tokio::test]
async fn every_folder_is_counted_in_one_answer() {
    let (_demo, mut imap) = reader("liste.comptes").await;
    let commands: Vec<String> = (0..150).map(|n| format!("CREATE Patients/{n:04}")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    for response in imap.pipelined(&commands).await {
        assert!(response.status.starts_with("OK"), "{}", response.status);
    }
    let letter = b"Subject: x\r\n\r\nx\r\n";
    imap.append("Patients/0007 (\\Seen)", letter).await;
    imap.append("Patients/0007 (\\Deleted)", letter).await;
    imap.append("Patients/0149", letter).await;
    imap.ok("DELETE Patients").await;
    let items =
        "MESSAGES RECENT UNSEEN DELETED SIZE UIDNEXT UIDVALIDITY HIGHESTMODSEQ APPENDLIMIT DELETED-STORAGE";
    let listed = imap.ok(&format!("LIST \"\" (INBOX Patients*) RETURN (STATUS ({items}))")).await.text();
    let lines: Vec<&str> = listed.lines().collect();
    let counted = lines.iter().filter(|line| line.starts_with("* STATUS ")).count();
    assert_eq!(counted, 151, "of a name that holds no messages none are counted");
    for name in ["INBOX", "Patients/0007", "Patients/0149"] {
        let at = lines.iter().position(|line| line.starts_with("* LIST") && line.contains(name)).expect(name);
        let alone = imap.ok(&format!("STATUS {name} ({items})")).await.text();
        assert_eq!(lines[at + 1], alone.trim_end(), "the STATUS follows its LIST");
    }
    assert!(listed.contains("(MESSAGES 2 RECENT 2 UNSEEN 1 DELETED 1 "), "{listed}");
    // Who asks for modification sequences keeps them from then on.
    imap.ok("SELECT Patients/0007").await;
    assert!(imap.ok("STORE 1 +FLAGS (\\Flagged)").await.text().contains("MODSEQ"));
}

async fn give(demo: &Demo, chief: &Mailbox, nurse: &Mailbox, role: &str) {
    let api = Api::admin(demo, demo.north());
    let new = json!({"login": nurse.address, "role": role});
    api.post(&format!("/mailboxes/{}/delegations", chief.address), &new).await.expect(201);
}

#[tokio::test]
async fn a_delegate_is_told_of_what_they_may_list_and_no_more() {
    let demo = Demo::shared();
    let site = demo.north();
    let nurse = site.new_mailbox("liste.infirmiere", "50M");
    let owner = site.new_mailbox("liste.chef", "50M");
    let mut chief = Imap::login(&demo, site, &owner).await;
    give(&demo, &owner, &nurse, "write").await;
    for name in ["Secret/Shown", "Secret/Deep/Shown", "Open"] {
        chief.ok(&format!("CREATE {name}")).await;
    }
    for name in ["Secret", "Secret/Deep"] {
        chief.ok(&format!("DELETEACL {name} {}", nurse.address)).await;
    }
    let mut imap = Imap::login(&demo, site, &nurse).await;
    let prefix = format!("Other Users/{}", owner.address);
    let plain = listed(&mut imap, &format!("\"\" \"{prefix}/S%\"")).await;
    let level = |attributes: &str| format!("({attributes} \\HasChildren) \"/\" \"{prefix}/Secret\"");
    let sent = format!("(\\HasNoChildren) \"/\" \"{prefix}/Sent\"");
    assert_eq!(plain, [level("\\Noselect"), sent.clone()]);
    let extended =
        listed(&mut imap, &format!("\"\" \"{prefix}/S%\" RETURN (STATUS (MESSAGES) MYRIGHTS)")).await;
    let rights = format!("* MYRIGHTS \"{prefix}/Sent\" \"lrswip\"");
    let status = format!("* STATUS \"{prefix}/Sent\" (MESSAGES 0)");
    assert_eq!(extended, [level("\\NonExistent"), sent, rights, status]);
    let all = imap.ok(&format!("LIST () \"{prefix}/\" * RETURN (STATUS (MESSAGES))")).await.text();
    assert!(
        !all.contains("Secret\"") && !all.contains("Deep\"") && all.contains("Secret/Deep/Shown"),
        "{all}"
    );
    // The uses of another's folders are not the reader's, and nobody makes a folder for one there.
    assert!(listed(&mut imap, "(SPECIAL-USE) \"\" \"Other*\"").await.is_empty());
    chief.ok("DELETE Junk").await;
    refused(&mut imap, &format!("CREATE \"{prefix}/Junk\" (USE (\\Junk))"), "NO").await;
    // A subscription to a folder that is hidden later shows no more than one whose folder is gone.
    for name in ["Open", "Drafts"] {
        imap.ok(&format!("SUBSCRIBE \"{prefix}/{name}\"")).await;
    }
    chief.ok(&format!("DELETEACL Open {}", nurse.address)).await;
    chief.ok("DELETE Drafts").await;
    let subscribed = listed(&mut imap, "(SUBSCRIBED) \"\" Oth* RETURN (STATUS (MESSAGES) MYRIGHTS)").await;
    let gone = |name: &str| format!("(\\NonExistent \\Subscribed) \"/\" \"{prefix}/{name}\"");
    assert_eq!(subscribed, [gone("Drafts"), gone("Open")]);
    let above = listed(&mut imap, "(SUBSCRIBED RECURSIVEMATCH) \"\" (% \"Other Users/%\")").await;
    let below =
        |name: &str| format!("(\\Noselect \\HasChildren) \"/\" \"{name}\" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    let mut above: Vec<String> = above.into_iter().filter(|line| line.contains("Other")).collect();
    above.sort();
    assert_eq!(above, [below("Other Users"), below(&prefix)]);
}
