//! Annotations of folders and of the server (RFC 5464): who sees them, what becomes of them, how many there may be.

use scenarios::{Api, Demo, Imap, Mailbox};
use serde_json::json;
use std::sync::Arc;

async fn reader(name: &str) -> (Arc<Demo>, Imap) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    let imap = Imap::login(&demo, demo.north(), &mailbox).await;
    (demo, imap)
}

/// GETMETADATA: what was told, and how it ended.
async fn get(imap: &mut Imap, arguments: &str) -> (String, String) {
    let response = imap.ok(&format!("GETMETADATA {arguments}")).await;
    (response.text().replace("* METADATA ", ""), response.status)
}

async fn told(imap: &mut Imap, arguments: &str) -> String {
    get(imap, arguments).await.0
}

async fn refused(imap: &mut Imap, command: &str, beginning: &str) {
    let answer = imap.command(command).await.status;
    assert!(answer.starts_with(beginning), "{command}: {answer}, not {beginning}");
}

async fn give(demo: &Demo, chief: &Mailbox, nurse: &Mailbox, role: &str) {
    let new = json!({"login": nurse.address, "role": role});
    let path = format!("/mailboxes/{}/delegations", chief.address);
    Api::admin(demo, demo.north()).post(&path, &new).await.expect(201);
}

/// RFC 5464 §4.2, §4.3.
#[tokio::test]
async fn annotations_are_set_read_by_depth_and_size_and_removed() {
    let (_demo, mut imap) = reader("annotations").await;
    assert!(imap.ok("CAPABILITY").await.text().contains(" METADATA "));
    let comments = "(/shared/comment /private/comment)";
    let none = "\"INBOX\" (/private/comment NIL /shared/comment NIL)\n";
    assert_eq!(told(&mut imap, &format!("INBOX {comments}")).await, none);
    imap.ok(
        "SETMETADATA inbox (/Private/Comment \"My own comment\" /shared/comment \"Shared \\\"comment\\\"\")",
    )
    .await;
    let both = "\"INBOX\" (/private/comment \"My own comment\" /shared/comment \"Shared \\\"comment\\\"\")\n";
    assert_eq!(told(&mut imap, &format!("INBOX {comments}")).await, both);
    let own = "\"INBOX\" (/private/comment \"My own comment\")\n";
    for arguments in ["(MAXSIZE 14) INBOX", "INBOX (MAXSIZE 14)"] {
        let (text, status) = get(&mut imap, &format!("{arguments} {comments}")).await;
        assert_eq!(text, own);
        assert!(status.starts_with("OK [METADATA LONGENTRIES 16]"), "{status}");
    }
    assert_eq!(told(&mut imap, "(MAXSIZE 0) INBOX /shared/comment").await, "");
    // Some lines, any octets, and nothing at all.
    imap.ok("SETMETADATA INBOX (/private/filters/values/small {12+}\r\nSMALLER 5000 /private/filters/values/boss/first {2+}\r\na\n /private/vendor/x ~{3+}\r\n\0\u{1}b)").await;
    let small = "/private/filters/values/small \"SMALLER 5000\"";
    let boss = "/private/filters/values/boss/first a\n";
    assert_eq!(
        told(&mut imap, "INBOX (DEPTH 1) (/private/filters/values)").await,
        format!("\"INBOX\" ({small})\n")
    );
    let all = format!("\"INBOX\" ({boss} {small})\n");
    assert_eq!(told(&mut imap, "(DEPTH infinity) INBOX /private/filters").await, all);
    assert_eq!(told(&mut imap, "(DEPTH 1) INBOX /private/none").await, "\"INBOX\" (/private/none NIL)\n");
    let octets = imap.ok("GETMETADATA INBOX /private/vendor/x").await;
    assert_eq!(octets.literals, [b"\0\x01b"]);
    assert!(octets.text().contains("/private/vendor/x ~"), "{}", octets.text());
    imap.ok("SETMETADATA INBOX (/private/comment NIL /private/none NIL /shared/comment \"\")").await;
    let left = "\"INBOX\" (/private/comment NIL /shared/comment \"\")\n";
    assert_eq!(told(&mut imap, &format!("INBOX {comments}")).await, left);
    for missing in ["GETMETADATA nowhere /private/comment", "SETMETADATA nowhere (/private/comment \"x\")"] {
        refused(&mut imap, missing, "NO [NONEXISTENT]").await;
    }
    for bad in [
        "GETMETADATA INBOX /comment",
        "GETMETADATA INBOX /private/*",
        "SETMETADATA INBOX (/private NIL)",
        "GETMETADATA (DEPTH 2) INBOX /private",
    ] {
        refused(&mut imap, bad, "BAD").await;
    }
}

#[tokio::test]
async fn annotations_follow_their_folder_and_go_with_it() {
    let (_demo, mut imap) = reader("annotations.suite").await;
    imap.ok("CREATE Old/Below").await;
    imap.ok("SETMETADATA Old (/shared/comment \"old\")").await;
    imap.ok("SETMETADATA INBOX (/private/comment \"letters\")").await;
    imap.ok("RENAME Old New").await;
    assert_eq!(told(&mut imap, "New /shared/comment").await, "\"New\" (/shared/comment \"old\")\n");
    // INBOX stays, with what is said of it.
    imap.ok("RENAME INBOX 2026").await;
    for name in ["INBOX", "2026"] {
        assert_eq!(
            told(&mut imap, &format!("{name} /private/comment")).await,
            format!("\"{name}\" (/private/comment \"letters\")\n")
        );
    }
    imap.ok("DELETE New").await;
    assert_eq!(told(&mut imap, "New /shared/comment").await, "\"New\" (/shared/comment NIL)\n");
    imap.ok("SETMETADATA New (/shared/comment \"only a level\")").await;
    imap.ok("DELETE 2026").await;
    imap.ok("CREATE 2026").await;
    assert_eq!(told(&mut imap, "2026 /private/comment").await, "\"2026\" (/private/comment NIL)\n");
}

#[tokio::test]
async fn a_list_of_annotations_is_bounded_and_what_does_not_fit_changes_nothing() {
    let (_demo, mut imap) = reader("annotations.bornes").await;
    imap.ok("SETMETADATA INBOX (/private/comment \"kept\")").await;
    let large = "x".repeat(64 * 1024);
    let set = |value: &str| {
        format!("SETMETADATA INBOX (/private/comment \"new\" /shared/big {{{}+}}\r\n{value})", value.len())
    };
    refused(&mut imap, &set(&format!("{large}y")), "NO [METADATA MAXSIZE 65536]").await;
    let many: Vec<String> = (0..101).map(|n| format!("/private/vendor/{n} \"\"")).collect();
    refused(&mut imap, &format!("SETMETADATA INBOX ({})", many.join(" ")), "NO [METADATA TOOMANY]").await;
    let kept = "\"INBOX\" (/private/comment \"kept\" /private/vendor/0 NIL /shared/big NIL)\n";
    assert_eq!(told(&mut imap, "INBOX (/private/comment /shared/big /private/vendor/0)").await, kept);
    // One mailbox's hold 4 MiB.
    let mut fits = 0;
    for folder in 0..5 {
        imap.ok(&format!("CREATE F{folder}")).await;
        for name in 0..15 {
            let command = format!("SETMETADATA F{folder} (/shared/{name} {{65536+}}\r\n{large})");
            let answer = imap.command(&command).await.status;
            assert!(answer.starts_with("OK") || answer.starts_with("NO [METADATA TOOMANY]"), "{answer}");
            fits += usize::from(answer.starts_with("OK"));
        }
    }
    assert_eq!(fits, 63, "each is sealed, which takes some octets more");
    imap.ok("SETMETADATA F0 (/shared/0 NIL)").await;
    imap.ok("SETMETADATA F4 (/shared/last \"x\")").await;
}

#[tokio::test]
async fn the_server_says_whom_to_reach_and_keeps_what_each_user_says_to_themselves() {
    let (_demo, mut imap) = reader("annotations.serveur").await;
    let admin = told(&mut imap, "\"\" /shared/admin").await;
    assert!(admin.starts_with("\"\" (/shared/admin \"mailto:") && admin.contains('@'), "{admin}");
    assert_eq!(told(&mut imap, "\"\" /shared/comment").await, "\"\" (/shared/comment NIL)\n");
    for entry in ["/shared/admin", "/shared/comment", "/shared/vendor/x"] {
        refused(&mut imap, &format!("SETMETADATA \"\" (/private/a \"x\" {entry} \"y\")"), "NO [NOPERM]")
            .await;
    }
    assert_eq!(told(&mut imap, "\"\" /private/a").await, "\"\" (/private/a NIL)\n");
    imap.ok("SETMETADATA \"\" (/private/a \"mine\")").await;
    let (demo, mut other) = reader("annotations.autre").await;
    assert_eq!(told(&mut other, "(DEPTH infinity) \"\" /private").await, "\"\" (/private NIL)\n");
    assert_eq!(told(&mut imap, "(DEPTH infinity) \"\" /private").await, "\"\" (/private/a \"mine\")\n");
    assert_eq!(told(&mut imap, "(DEPTH infinity) INBOX /private").await, "\"INBOX\" (/private NIL)\n");
    demo.north().cli(&["fsck"]).ok();
}

/// RFC 6154 §5.4.
#[tokio::test]
async fn the_use_of_a_folder_is_an_annotation_of_it() {
    let (_demo, mut imap) = reader("annotations.usage").await;
    imap.ok("CREATE SavedDrafts").await;
    let drafts = "(/private/specialuse \"\\\\Drafts\")";
    assert_eq!(told(&mut imap, "Drafts /private/specialuse").await, format!("\"Drafts\" {drafts}\n"));
    assert_eq!(told(&mut imap, "(DEPTH 1) Drafts /private").await, format!("\"Drafts\" {drafts}\n"));
    refused(
        &mut imap,
        "SETMETADATA SavedDrafts (/private/specialuse \"\\\\Drafts\" /private/a \"x\")",
        "NO [USEATTR]",
    )
    .await;
    for other in ["\\\\All", "\\\\Archive \\\\Sent", "Drafts"] {
        refused(
            &mut imap,
            &format!("SETMETADATA SavedDrafts (/private/specialuse \"{other}\")"),
            "NO [USEATTR]",
        )
        .await;
    }
    assert_eq!(told(&mut imap, "SavedDrafts /private/a").await, "\"SavedDrafts\" (/private/a NIL)\n");
    imap.ok("SETMETADATA Drafts (/private/specialuse NIL)").await;
    imap.ok(&format!("SETMETADATA SavedDrafts {drafts}")).await;
    let listed = imap.ok("LIST (SPECIAL-USE) \"\" *Drafts").await.text();
    assert_eq!(listed, "* LIST (\\HasNoChildren \\Drafts) \"/\" \"SavedDrafts\"\n");
}

#[tokio::test]
async fn in_another_s_mailbox_what_is_shared_is_seen_and_what_is_private_is_each_reader_s() {
    let demo = Demo::shared();
    let site = demo.north();
    // Both have the same password: who logs in to the chief's mailbox is whoever got theirs last.
    let nurse = site.new_mailbox("annotations.ide", "50M");
    let owner = site.new_mailbox("annotations.chef", "50M");
    give(&demo, &owner, &nurse, "read").await;
    let (mut chief, mut imap) =
        (Imap::login(&demo, site, &owner).await, Imap::login(&demo, site, &nurse).await);
    let name = |folder: &str| format!("\"Other Users/{}/{folder}\"", owner.address);
    chief.ok("SETMETADATA Sent (/shared/comment \"to all\" /private/comment \"to me\")").await;
    for folder in ["Secret", "Named"] {
        chief.ok(&format!("CREATE {folder}")).await;
        chief.ok(&format!("SETMETADATA {folder} (/shared/comment \"hidden\")")).await;
    }
    chief.ok(&format!("DELETEACL Secret {}", nurse.address)).await;
    chief.ok(&format!("SETACL Named {} l", nurse.address)).await;
    let sent = name("Sent");
    let seen = told(&mut imap, &format!("(DEPTH infinity) {sent} (/shared /private)")).await;
    assert_eq!(seen, format!("{sent} (/shared/comment \"to all\")\n"));
    imap.ok(&format!("SETMETADATA {sent} (/private/comment \"the nurse's\")")).await;
    assert_eq!(
        told(&mut imap, &format!("{sent} /private/comment")).await,
        format!("{sent} (/private/comment \"the nurse's\")\n")
    );
    assert_eq!(told(&mut chief, "Sent /private/comment").await, "\"Sent\" (/private/comment \"to me\")\n");
    refused(
        &mut imap,
        &format!("SETMETADATA {sent} (/private/a \"x\" /shared/comment \"mine\")"),
        "NO [NOPERM]",
    )
    .await;
    refused(&mut imap, &format!("SETMETADATA {sent} (/private/specialuse \"\\\\Archive\")"), "NO [USEATTR]")
        .await;
    imap.ok(&format!("SETMETADATA {sent} (/private/specialuse NIL)")).await;
    assert!(told(&mut chief, "Sent /private/specialuse").await.contains("Sent\")"), "the owner's use stays");
    for command in ["GETMETADATA {} /shared/comment", "SETMETADATA {} (/private/comment \"x\")"] {
        let answer = imap.command(&command.replace("{}", &name("Nowhere"))).await;
        let hidden = imap.command(&command.replace("{}", &name("Secret"))).await;
        assert_eq!((hidden.text(), hidden.status), (answer.text(), answer.status), "{command}");
        refused(&mut imap, &command.replace("{}", &name("Named")), "NO [NOPERM]").await;
    }
    // Neither does who logs in to the mailbox itself take a use away without the right to remove the folder.
    let (login, password) = ("annotations.reader", "a-password-of-its-own");
    site.cli_with_input(&["user", "create", login, "--password-stdin"], &format!("{password}\n")).ok();
    let path = format!("/mailboxes/{}/delegations", owner.address);
    Api::admin(&demo, site).post(&path, &json!({"login": login, "role": "read"})).await.expect(201);
    let (username, password) = (Some(owner.address.clone()), Some(password.to_owned()));
    let mut there = Imap::login(&demo, site, &Mailbox { username, password, ..owner.clone() }).await;
    refused(&mut there, "SETMETADATA Sent (/private/specialuse NIL)", "NO [NOPERM]").await;
    // Who may write there does, and the owner finds out who it was.
    chief.ok(&format!("SETACL Sent {} +w", nurse.address)).await;
    imap.ok(&format!("SETMETADATA {sent} (/shared/comment \"by the nurse\")")).await;
    assert!(told(&mut chief, "Sent /shared/comment").await.contains("by the nurse"));
    let page =
        Api::admin(&demo, site).get("/audit?action=folder.annotated&limit=100").await.expect(200).json();
    let rows = page["items"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{page}");
    assert!(rows[0]["detail"].as_str().unwrap().contains("count=1"), "{page}");
}
