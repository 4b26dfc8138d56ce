//! Mailboxes of others in one session: under which names they appear, what each role may do there, what goes from one to another, and how soon what
//! was taken away is gone.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Demo, Imap, Mailbox, Response, now, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Within which an open session follows.
const SOON: Duration = Duration::from_secs(5);

const LETTER: &[u8] = b"From: <c@chu.example>\r\nSubject: shared words\r\n\r\ntext\r\n";

/// A person with a mailbox of their own, and somebody else's mailbox, to which they may be given access.
struct Pair<'d> {
    demo: &'d Demo,
    api: Api,
    nurse: Mailbox,
    chief: Mailbox,
}

impl<'d> Pair<'d> {
    fn new(demo: &'d Demo, name: &str) -> Self {
        Self::with_quota(demo, name, "50000000")
    }

    fn with_quota(demo: &'d Demo, name: &str, quota: &str) -> Self {
        let site = demo.north();
        let nurse = site.new_mailbox(&format!("{name}.nurse"), "50000000");
        let chief = site.new_mailbox(&format!("{name}.chief"), quota);
        Self { demo, api: Api::admin(demo, site), nurse, chief }
    }

    fn path(&self) -> String {
        format!("/mailboxes/{}/delegations", self.chief.address)
    }

    async fn give(&self, role: &str) {
        let new = json!({"login": self.nurse.address, "role": role});
        self.api.post(&self.path(), &new).await.expect(201);
        // The letters about it.
        for mut imap in [self.nurse().await, self.chief().await] {
            if !imap.messages("INBOX").await.is_empty() {
                imap.ok("SELECT INBOX").await;
                imap.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
                imap.ok("CLOSE").await;
            }
        }
    }

    async fn take(&self) {
        let path = format!("{}/{}", self.path(), self.nurse.address);
        let etag = self.api.get(&path).await.expect(200).etag().to_owned();
        self.api.delete(&path, &etag).await.expect(204);
    }

    /// The name of the chief's mailbox as the nurse sees it.
    fn name(&self) -> String {
        format!("Other Users/{}", self.chief.address)
    }

    async fn nurse(&self) -> Imap {
        Imap::login(self.demo, self.demo.north(), &self.nurse).await
    }

    async fn chief(&self) -> Imap {
        Imap::login(self.demo, self.demo.north(), &self.chief).await
    }

    /// Rows of what others did in the chief's mailbox.
    async fn told(&self) -> Vec<String> {
        let (name, password) =
            (self.chief.username.as_deref().unwrap(), self.chief.password.as_deref().unwrap());
        let api = Api::anonymous(self.demo, self.demo.north()).with_password(name, password);
        let path = format!("/mailboxes/{}/accesses?limit=500", self.chief.address);
        let page = api.get(&path).await.expect(200).json();
        let action = |row: &Value| row["action"].as_str().unwrap().to_owned();
        let rows = page["items"].as_array().unwrap().iter().rev().map(action);
        rows.filter(|action| ["message.", "folder."].iter().any(|of| action.starts_with(of))).collect()
    }
}

/// Names of a LIST or LSUB, with their attributes.
fn names(listed: &Response) -> Vec<(String, String)> {
    let text = listed.text();
    let lines = text.lines().filter(|line| line.starts_with("* LIST") || line.starts_with("* LSUB"));
    lines
        .map(|line| {
            let (attributes, name) = line.split_once(" \"/\" ").unwrap();
            let attributes = attributes.split_once('(').unwrap().1.trim_end_matches(')');
            (name.trim_matches('"').to_owned(), attributes.to_owned())
        })
        .collect()
}

fn has(listed: &Response, name: &str) -> bool {
    names(listed).iter().any(|(known, _)| known == name)
}

#[tokio::test]
async fn a_grant_makes_a_mailbox_appear_at_once_in_an_open_session_and_its_end_makes_it_go() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "appear");
    let mut nurse = pair.nurse().await;
    let namespace = nurse.ok("NAMESPACE").await.text();
    assert_eq!(namespace, "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\n");
    let before = nurse.ok("LIST \"\" *").await;
    assert!(!before.text().contains("Other Users"), "{}", before.text());
    pair.give("read").await;
    let listed = nurse.ok("LIST \"\" *").await;
    let mine = names(&before).len();
    let other = names(&listed)[mine..].to_vec();
    let of = |name: &str, attributes: &str| (name.to_owned(), attributes.to_owned());
    let below = |folder: &str| of(&format!("{}/{folder}", pair.name()), "\\HasNoChildren");
    let wanted = [
        of("Other Users", "\\Noselect \\HasChildren"),
        of(&pair.name(), "\\Noselect \\HasChildren"),
        below("Archive"),
        below("Drafts"),
        below("INBOX"),
        below("Junk"),
        below("Sent"),
        below("Trash"),
    ];
    assert_eq!(other, wanted);
    let top = nurse.ok("LIST \"\" %").await;
    assert!(has(&top, "Other Users") && !has(&top, "Shared") && !has(&top, &pair.name()));
    assert!(has(&nurse.ok("LIST \"Other Users/\" %").await, &pair.name()));
    let inbox = nurse.ok(&format!("LIST \"{}\" \"/INBOX\"", pair.name())).await;
    assert_eq!(names(&inbox), [below("INBOX")]);
    for command in ["SELECT", "EXAMINE", "DELETE"] {
        for name in [pair.name(), "Other Users".to_owned()] {
            let answer = nurse.command(&format!("{command} \"{name}\"")).await;
            assert!(answer.status.starts_with("NO [NONEXISTENT]"), "{command} {name}: {}", answer.status);
        }
    }
    pair.take().await;
    let after = nurse.ok("LIST \"\" *").await;
    assert_eq!(names(&after), names(&before));
    let answer = nurse.command(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    assert!(answer.status.starts_with("NO [NONEXISTENT]"), "{}", answer.status);
}

#[tokio::test]
async fn the_mailbox_of_a_service_appears_as_shared_and_each_name_leads_to_one_mailbox_only() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "ward");
    let ward = demo.north().mailbox("organizational").address.clone();
    let path = format!("/mailboxes/{ward}/delegations");
    pair.api.post(&path, &json!({"login": pair.nurse.address, "role": "write"})).await.expect(201);
    let mut nurse = pair.nurse().await;
    let listed = nurse.ok("LIST \"\" Shared/*").await;
    assert!(has(&listed, &format!("Shared/{ward}/INBOX")), "{}", listed.text());
    let appended = nurse.append(&format!("\"Shared/{ward}/inbox\""), LETTER).await;
    assert!(appended.status.starts_with("OK [APPENDUID"), "{}", appended.status);
    nurse.ok(&format!("STATUS \"Shared/{ward}/INBOX\" (MESSAGES UIDNEXT)")).await;
    for other in [format!("Other Users/{ward}/INBOX"), format!("Shared/{}/INBOX", pair.nurse.address)] {
        let answer = nurse.command(&format!("SELECT \"{other}\"")).await;
        assert!(answer.status.starts_with("NO [NONEXISTENT]"), "{other}: {}", answer.status);
    }
}

/// What a role does to a folder of the other mailbox, and which rights that takes.
const TRIED: [(&str, &str); 12] = [
    ("STATUS \"{INBOX}\" (MESSAGES)", "r"),
    ("STORE 1 +FLAGS (\\Seen)", "s"),
    ("STORE 1 +FLAGS (\\Flagged)", "w"),
    ("STORE 1 +FLAGS (urgent)", "w"),
    ("STORE 1 +FLAGS (\\Deleted)", "t"),
    ("COPY 1 \"{Archive}\"", "i"),
    ("MOVE 1 \"{Archive}\"", "tei"),
    ("EXPUNGE", "e"),
    ("CREATE \"{Tri}\"", "k"),
    ("CREATE \"{Archive}/2026\"", "k"),
    ("RENAME \"{Archive}\" \"{Autre}\"", "xk"),
    ("DELETE \"{Junk}\"", "x"),
];

#[tokio::test]
async fn each_role_does_exactly_what_its_rights_allow() {
    let demo = Demo::shared();
    for (role, rights) in
        [("read", "lr"), ("write", "lrswip"), ("manage", "lrswipkte"), ("admin", "lrswipkxtea")]
    {
        let pair = Pair::new(&demo, &format!("role.{role}"));
        pair.give(role).await;
        pair.chief().await.append("INBOX", LETTER).await;
        pair.chief().await.append("INBOX", LETTER).await;
        let mut nurse = pair.nurse().await;
        let inbox = format!("{}/INBOX", pair.name());
        let selected = nurse.ok(&format!("SELECT \"{inbox}\"")).await;
        let mode = if role == "read" { "[READ-ONLY]" } else { "[READ-WRITE]" };
        assert!(selected.status.contains(mode), "{role}: {}", selected.status);
        assert_eq!(nurse.ok("FETCH 1 (FLAGS BODY.PEEK[])").await.literals, [LETTER], "{role}");
        for (command, needed) in TRIED {
            let command = command.replace('{', &format!("{}/", pair.name())).replace('}', "");
            let may = needed.chars().all(|right| rights.contains(right));
            let answer = nurse.command(&command).await;
            assert_eq!(answer.status.starts_with("OK"), may, "{role}: {command}: {}", answer.status);
            assert!(may || answer.status.starts_with("NO ["), "{role}: {command}: {}", answer.status);
        }
        let appended = nurse.append(&format!("\"{}/Sent\"", pair.name()), LETTER).await;
        assert_eq!(appended.status.starts_with("OK"), rights.contains('i'), "{role}: {}", appended.status);
    }
}

#[tokio::test]
async fn an_editor_replaces_drafts_and_removes_nothing_elsewhere() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "drafts");
    pair.give("write").await;
    let mut nurse = pair.nurse().await;
    for (folder, may) in [("Drafts", true), ("Sent", false)] {
        let name = format!("{}/{folder}", pair.name());
        nurse.append(&format!("\"{name}\" (\\Draft)"), LETTER).await;
        nurse.ok(&format!("SELECT \"{name}\"")).await;
        for command in ["STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
            let answer = nurse.command(command).await;
            assert_eq!(answer.status.starts_with("OK"), may, "{folder} {command}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn messages_go_from_one_mailbox_to_another_and_are_read_there() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "cross");
    pair.give("manage").await;
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    let other = |folder: &str| format!("{}/{folder}", pair.name());
    nurse.append("INBOX (\\Seen \\Flagged urgent)", LETTER).await;
    nurse.append("INBOX", LETTER).await;
    nurse.ok("SELECT INBOX").await;
    let copied = nurse.ok(&format!("COPY 1 \"{}\"", other("INBOX"))).await;
    assert!(copied.status.starts_with("OK [COPYUID "), "{}", copied.status);
    assert_eq!(chief.messages("INBOX").await, [LETTER]);
    let flags = chief.ok("FETCH 1 (FLAGS)").await.text();
    assert!(["\\Seen", "\\Flagged", "urgent"].iter().all(|flag| flags.contains(flag)), "{flags}");
    let moved = nurse.ok(&format!("MOVE 1 \"{}\"", other("Archive"))).await;
    assert!(moved.text().contains("* OK [COPYUID ") && moved.text().contains("* 1 EXPUNGE"), "{moved:?}");
    assert_eq!(chief.messages("Archive").await, [LETTER]);
    // And back.
    nurse.ok(&format!("SELECT \"{}\"", other("Archive"))).await;
    assert_eq!(nurse.ok("UID FETCH 1:* (BODY[])").await.literals, [LETTER]);
    assert!(nurse.ok("SEARCH SUBJECT words").await.text().contains("* SEARCH 1"));
    nurse.ok("MOVE 1 INBOX").await;
    assert_eq!(nurse.messages("INBOX").await, [LETTER, LETTER]);
    assert!(chief.messages("Archive").await.is_empty());
    let wanted = ["message.added", "message.added", "folder.opened", "message.changed"];
    assert_eq!(pair.told().await, wanted, "what came and what was moved away");
    demo.north().cli(&["fsck"]).ok();
}

#[tokio::test]
async fn the_quota_of_the_mailbox_that_messages_go_to_is_asked() {
    let demo = Demo::shared();
    let pair = Pair::with_quota(&demo, "full", "4000");
    pair.give("manage").await;
    let mut nurse = pair.nurse().await;
    let large = [LETTER, &vec![b'x'; 6000], b"\r\n"].concat();
    nurse.append("INBOX", &large).await;
    nurse.ok("SELECT INBOX").await;
    let target = format!("{}/INBOX", pair.name());
    for command in ["COPY", "MOVE"] {
        let answer = nurse.command(&format!("{command} 1 \"{target}\"")).await;
        assert!(answer.status.starts_with("NO [OVERQUOTA]"), "{command}: {}", answer.status);
    }
    let answer = nurse.append(&format!("\"{target}\""), &large).await;
    assert!(answer.status.starts_with("NO [OVERQUOTA]"), "{}", answer.status);
    assert_eq!(nurse.messages("INBOX").await.len(), 1);
    assert!(pair.chief().await.letters("shared words").await.is_empty());
}

#[tokio::test]
async fn what_a_long_move_did_before_the_mailbox_was_full_is_told() {
    let demo = Demo::shared();
    let pair = Pair::with_quota(&demo, "half", "30000");
    pair.give("manage").await;
    let mut nurse = pair.nurse().await;
    let letters: Vec<String> = (1000..3500).map(|n| format!("Subject: {n}\r\n\r\nx\r\n")).collect();
    nurse.append_all("INBOX", &letters).await;
    nurse.ok("SELECT INBOX").await;
    let answer = nurse.command(&format!("UID MOVE 1:* \"{}/Archive\"", pair.name())).await;
    assert!(answer.status.starts_with("NO [OVERQUOTA]"), "{}", answer.status);
    let told = answer.text();
    assert_eq!(told.matches("[COPYUID ").count(), 1, "{told}");
    assert!(told.contains(" 1:1000] ") && told.matches(" EXPUNGE").count() == 1000, "{told}");
}

#[tokio::test]
async fn a_folder_stays_in_its_mailbox_and_nobody_makes_one_where_other_mailboxes_appear() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "stays");
    pair.give("admin").await;
    let mut nurse = pair.nurse().await;
    let other = |folder: &str| format!("{}/{folder}", pair.name());
    nurse.ok(&format!("CREATE \"{}\"", other("Tri/2026"))).await;
    assert!(has(&pair.chief().await.ok("LIST \"\" *").await, "Tri/2026"));
    for command in [
        format!("RENAME \"{}\" Tri", other("Tri")),
        format!("RENAME Junk \"{}\"", other("Indesirables")),
        "CREATE Shared".to_owned(),
        "CREATE Shared/Tri".to_owned(),
        "CREATE \"Other Users/nobody@chu-nord.example/INBOX\"".to_owned(),
        format!("CREATE \"{}\"", other("Shared/Tri")),
        format!("RENAME \"{}\" \"{}\"", other("Tri"), other("Other Users")),
        "RENAME Junk \"Other Users/Tri\"".to_owned(),
    ] {
        let answer = nurse.command(&command).await;
        assert!(answer.status.starts_with("NO [CANNOT]"), "{command}: {}", answer.status);
    }
    nurse.ok(&format!("RENAME \"{}\" \"{}\"", other("Tri"), other("Trié"))).await;
    nurse.ok(&format!("SELECT \"{}\"", other("Trié/2026"))).await;
    assert!(nurse.ok(&format!("DELETE \"{}\"", other("Trié/2026"))).await.text().contains("[CLOSED]"));
    assert_eq!(pair.told().await, ["folder.created", "folder.renamed", "folder.opened", "folder.removed"]);
}

#[tokio::test]
async fn each_reader_of_a_mailbox_subscribes_for_themselves() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "subscribed");
    pair.give("read").await;
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    let (inbox, sent) = (format!("{}/INBOX", pair.name()), format!("{}/Sent", pair.name()));
    nurse.ok(&format!("UNSUBSCRIBE \"{sent}\"")).await;
    let theirs = names(&chief.ok("LSUB \"\" *").await);
    nurse.ok(&format!("SUBSCRIBE \"{inbox}\"")).await;
    let lsub = nurse.ok("LSUB \"\" \"Other Users/*\"").await;
    assert_eq!(names(&lsub), [(inbox.clone(), String::new())]);
    let listed = nurse.ok("LIST (SUBSCRIBED) \"\" \"Other Users/*\" RETURN (STATUS (MESSAGES))").await;
    assert_eq!(names(&listed), [(inbox.clone(), "\\HasNoChildren \\Subscribed".to_owned())]);
    assert!(listed.text().contains(&format!("* STATUS \"{inbox}\" (MESSAGES 0)")), "{}", listed.text());
    assert_eq!(names(&chief.ok("LSUB \"\" *").await), theirs);
    pair.take().await;
    assert!(names(&nurse.ok("LSUB \"\" \"Other Users/*\"").await).is_empty());
}

#[tokio::test]
async fn a_password_of_one_mailbox_reaches_no_other() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "narrow");
    pair.give("admin").await;
    let path = format!("/users/{}/passwords", pair.nurse.address);
    let new = json!({"label": "phone", "mailbox": pair.nurse.address});
    let made = pair.api.post(&path, &new).await.expect(201).json();
    let password = made["password"].as_str().unwrap().to_owned();
    let narrowed = Mailbox { password: Some(password), ..pair.nurse.clone() };
    let mut imap = Imap::login(&demo, demo.north(), &narrowed).await;
    assert!(!imap.ok("LIST \"\" *").await.text().contains("Other Users"));
    let answer = imap.command(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    assert!(answer.status.starts_with("NO [NONEXISTENT]"), "{}", answer.status);
}

#[tokio::test]
async fn a_mailbox_that_is_suspended_is_not_reached() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "suspended");
    pair.give("read").await;
    let mut nurse = pair.nurse().await;
    nurse.ok(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    nurse.idle().await;
    let begin = Instant::now();
    let path = format!("/mailboxes/{}/suspend", pair.chief.address);
    pair.api.request("POST", &path, None).await.expect(200);
    nurse.until_line("* BYE").await;
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    let mut nurse = pair.nurse().await;
    assert!(!nurse.ok("LIST \"\" *").await.text().contains("Other Users"));
}

#[tokio::test]
async fn a_lost_right_closes_the_folder_that_it_opened_and_nothing_else() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "lost");
    pair.give("read").await;
    let (mut there, mut at_home) = (pair.nurse().await, pair.nurse().await);
    there.ok(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    there.idle().await;
    at_home.ok("SELECT INBOX").await;
    at_home.idle().await;
    let begin = Instant::now();
    pair.take().await;
    there.until_line("* BYE").await;
    there.expect_closed().await;
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    at_home.done().await;
    at_home.ok("NOOP").await;
}

#[tokio::test]
async fn a_grant_that_ends_closes_what_it_opened_at_that_instant() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "until");
    let end = now().plus_secs(6);
    let at = time_of(end.secs());
    let new = json!({"login": pair.nurse.address, "role": "read", "expiresAt": at});
    pair.api.post(&pair.path(), &new).await.expect(201);
    let mut nurse = pair.nurse().await;
    nurse.ok(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    nurse.idle().await;
    nurse.until_line("* BYE").await;
    let late = now().secs() - end.secs();
    assert!((0..5).contains(&late), "{late} s after the end");
}

fn time_of(secs: i64) -> String {
    let arguments = ["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%SZ"];
    let output = std::process::Command::new("date").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn what_arrives_in_another_mailbox_wakes_who_idles_there() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "wakes");
    pair.give("read").await;
    let mut nurse = pair.nurse().await;
    nurse.ok(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    nurse.idle().await;
    pair.chief().await.append("INBOX", LETTER).await;
    nurse.until_line("* 1 EXISTS").await;
    nurse.done().await;
    until("the folder is known as opened", async || {
        pair.told().await.contains(&"folder.opened".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rights_in_one_folder_are_given_changed_and_taken_away_by_the_acl_commands() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "acl");
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    let told = chief.ok("CAPABILITY").await.text();
    assert!(
        told.contains(" ACL ") && told.contains(" RIGHTS=texk ") && told.contains(" LIST-MYRIGHTS"),
        "{told}"
    );
    let (owner, person) = (&pair.chief.address, &pair.nurse.address);
    let mine = format!("* ACL \"Archive\" \"{owner}\" \"lrswipkxteacd\"");
    assert_eq!(chief.ok("GETACL Archive").await.text(), format!("{mine}\n"));
    chief.ok(&format!("SETACL Archive {person} lr")).await;
    chief.ok(&format!("SETACL Archive {person} +wd")).await;
    chief.ok(&format!("SETACL Archive {person} -t")).await;
    let listed = chief.ok("GETACL Archive").await.text();
    assert_eq!(listed, format!("{mine} \"{person}\" \"lrwed\"\n"));
    let rights = chief.ok(&format!("LISTRIGHTS Archive {person}")).await.text();
    assert_eq!(rights, format!("* LISTRIGHTS \"Archive\" \"{person}\" \"\" l r s w i p k x t e a\n"));
    let rights = chief.ok(&format!("LISTRIGHTS Archive {owner}")).await.text();
    assert_eq!(rights, format!("* LISTRIGHTS \"Archive\" \"{owner}\" \"lrswipkxtea\"\n"));
    // Of the whole mailbox the nurse sees this folder, and nothing else.
    let there = format!("{}/Archive", pair.name());
    let listed = nurse.ok("LIST \"\" \"Other Users/*\" RETURN (MYRIGHTS)").await;
    let of = |name: &str, attributes: &str| (name.to_owned(), attributes.to_owned());
    assert_eq!(names(&listed), [of(&pair.name(), "\\Noselect \\HasChildren"), of(&there, "\\HasNoChildren")]);
    assert!(listed.text().contains(&format!("* MYRIGHTS \"{there}\" \"lrwed\"")), "{}", listed.text());
    assert!(nurse.ok(&format!("MYRIGHTS \"{there}\"")).await.text().ends_with("\"lrwed\"\n"));
    for command in
        ["GETACL \"{}\"", "SETACL \"{}\" someone lr", "DELETEACL \"{}\" someone", "LISTRIGHTS \"{}\" someone"]
    {
        let answer = nurse.command(&command.replace("{}", &there)).await;
        assert!(answer.status.starts_with("NO [NOPERM]"), "{command}: {}", answer.status);
    }
    nurse.ok(&format!("SELECT \"{there}\"")).await;
    nurse.idle().await;
    let begin = Instant::now();
    chief.ok(&format!("DELETEACL Archive {person}")).await;
    nurse.until_line("* BYE").await;
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    assert!(!pair.nurse().await.ok("LIST \"\" *").await.text().contains("Other Users"));
    let page = pair.api.get("/audit?action=grant.changed&limit=100").await.expect(200).json();
    let rows = page["items"].as_array().unwrap();
    assert!(
        rows.iter().any(|row| row["via"] == "imap" && row["personal"]["after"]["rights"] == "lrwte"),
        "{page}"
    );
}

#[tokio::test]
async fn a_folder_s_rights_override_the_mailbox_s_and_what_may_not_be_listed_answers_as_what_is_not_there() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "hidden");
    pair.give("manage").await;
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    chief.ok("CREATE Secret").await;
    chief.ok("CREATE Visible").await;
    chief.ok(&format!("DELETEACL Secret {}", pair.nurse.address)).await;
    chief.ok("CREATE Secret/Below").await;
    chief.ok(&format!("SETACL Visible {} l", pair.nurse.address)).await;
    nurse.append("INBOX", LETTER).await;
    nurse.ok("SELECT INBOX").await;
    let name = |folder: &str| format!("\"{}/{folder}\"", pair.name());
    for command in [
        "SELECT {}",
        "EXAMINE {}",
        "STATUS {} (MESSAGES)",
        "DELETE {}",
        "RENAME {} Autre",
        "SUBSCRIBE {}",
        "UNSUBSCRIBE {}",
        "MYRIGHTS {}",
        "GETACL {}",
        "SETACL {} anyone lr",
        "COPY 1 {}",
        "LIST \"\" {}",
        "LSUB \"\" {}",
    ] {
        nurse.ok("SELECT INBOX").await;
        let mut answers = Vec::new();
        for folder in ["Nowhere", "Secret", "Secret/Below"] {
            let answer = nurse.command(&command.replace("{}", &name(folder))).await;
            let text = if command.starts_with("SELECT") { String::new() } else { answer.text() };
            answers.push((answer.status, text));
            nurse.ok("SELECT INBOX").await;
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{command}: {answers:?}");
    }
    let hidden = nurse.append(&name("Secret"), LETTER).await.status;
    assert_eq!(hidden, nurse.append(&name("Nowhere"), LETTER).await.status);
    // What is listed and may not be read says so.
    for command in ["SELECT {}", "STATUS {} (MESSAGES)"] {
        let answer = nurse.command(&command.replace("{}", &name("Visible"))).await;
        assert!(answer.status.starts_with("NO [NOPERM]"), "{command}: {}", answer.status);
    }
    // Nothing is made in what is hidden, nor in its place.
    for folder in ["Secret", "Secret/Other"] {
        let answer = nurse.command(&format!("CREATE {}", name(folder))).await;
        assert!(answer.status.starts_with("NO [NOPERM]"), "{folder}: {}", answer.status);
    }
}

#[tokio::test]
async fn rights_are_given_to_persons_by_whoever_administers_and_has_them_and_the_owner_keeps_all() {
    let demo = Demo::shared();
    let (pair, other) = (Pair::new(&demo, "giver"), Pair::new(&demo, "taker"));
    let mut chief = pair.chief().await;
    let (owner, person) = (&pair.chief.address, &pair.nurse.address);
    for identifier in ["anyone", "$ward", "\"-x@y.example\"", "nobody@chu-nord.example", "\"\""] {
        let answer = chief.command(&format!("SETACL INBOX {identifier} lr")).await;
        assert!(answer.status.starts_with("NO "), "{identifier}: {}", answer.status);
    }
    for command in [format!("SETACL INBOX {owner} lr"), format!("DELETEACL INBOX {owner}")] {
        let answer = chief.command(&command).await;
        assert!(answer.status.starts_with("NO [CANNOT]"), "{command}: {}", answer.status);
    }
    assert!(chief.command(&format!("SETACL INBOX {person} lrZ")).await.status.starts_with("BAD"));
    chief.ok(&format!("SETACL Sent {person} lra")).await;
    let mut nurse = pair.nurse().await;
    let sent = format!("\"{}/Sent\"", pair.name());
    let third = &other.nurse.address;
    let answer = nurse.command(&format!("SETACL {sent} {third} lrw")).await;
    assert!(answer.status.starts_with("NO [NOPERM]"), "{}", answer.status);
    nurse.ok(&format!("SETACL {sent} {third} lr")).await;
    assert!(has(&other.nurse().await.ok("LIST \"\" *").await, sent.trim_matches('"')));
}

#[tokio::test]
async fn the_last_administrator_of_a_service_stays_one_in_every_folder() {
    let demo = Demo::start();
    let site = demo.north();
    let ward = site.mailbox("organizational");
    let mut chief = Imap::login(&demo, site, ward).await;
    let listed = chief.ok("GETACL INBOX").await.text();
    let mut words = listed.trim_end().split(' ').skip(3).map(|word| word.trim_matches('"'));
    let administrator = words.next().unwrap().to_owned();
    let answer = chief.command(&format!("SETACL INBOX {administrator} lr")).await;
    assert!(answer.status.starts_with("NO [CANNOT]"), "{}\n{listed}", answer.status);
}

#[tokio::test]
async fn readers_of_a_mailbox_have_a_seen_of_their_own_while_it_says_so() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "seen");
    pair.give("read").await;
    let path = format!("/mailboxes/{}", pair.chief.address);
    let keep_apart = async |private_seen: bool| {
        let etag = pair.api.get(&path).await.expect(200).etag().to_owned();
        let changed = pair.api.patch(&path, &etag, &json!({"privateSeen": private_seen})).await.expect(200);
        assert_eq!(changed.json()["privateSeen"], private_seen);
    };
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    for _ in 0..3 {
        chief.append("INBOX", LETTER).await;
    }
    chief.ok("SELECT INBOX").await;
    chief.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    let inbox = format!("\"{}/INBOX\"", pair.name());
    assert!(nurse.ok(&format!("SELECT {inbox}")).await.text().contains("PERMANENTFLAGS ()"));
    assert!(nurse.command("STORE 2 +FLAGS (\\Seen)").await.status.starts_with("NO"));
    keep_apart(true).await;
    until("the nurse may mark what she has seen", async || {
        let opened = nurse.ok(&format!("SELECT {inbox}")).await.text();
        opened.contains("PERMANENTFLAGS (\\Seen)").then_some(())
    })
    .await;
    nurse.ok("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(nurse.ok("SEARCH SEEN").await.text(), "* SEARCH 1 2\n");
    nurse.ok("STORE 1 -FLAGS (\\Seen)").await;
    chief.ok("NOOP").await;
    assert_eq!(chief.ok("SEARCH SEEN").await.text(), "* SEARCH 1\n");
    let status = nurse.ok(&format!("STATUS {inbox} (UNSEEN)")).await.text();
    assert!(status.contains("(UNSEEN 2)"), "{status}");
    keep_apart(false).await;
    until("the chief is told", async || chief.ok("NOOP").await.text().contains("* 2 FETCH (").then_some(()))
        .await;
    assert_eq!(chief.ok("SEARCH SEEN").await.text(), "* SEARCH 1 2\n");
    until("the nurse sees the same", async || {
        (nurse.ok("SEARCH SEEN").await.text() == "* SEARCH 1 2\n").then_some(())
    })
    .await;
    demo.north().cli(&["fsck"]).ok();
}

#[tokio::test]
async fn a_delegate_of_a_mailbox_whose_readers_have_a_seen_of_their_own_marks_for_themselves() {
    let demo = Demo::shared();
    let pair = Pair::new(&demo, "own-seen");
    let path = format!("/mailboxes/{}", pair.chief.address);
    let etag = pair.api.get(&path).await.expect(200).etag().to_owned();
    pair.api.patch(&path, &etag, &json!({"privateSeen": true})).await.expect(200);
    pair.give("manage").await;
    let (mut nurse, mut chief) = (pair.nurse().await, pair.chief().await);
    chief.append("INBOX", LETTER).await;
    chief.append("INBOX", LETTER).await;
    nurse.ok(&format!("SELECT \"{}/INBOX\"", pair.name())).await;
    nurse.ok("STORE 1 +FLAGS (\\Seen \\Flagged)").await;
    chief.ok("SELECT INBOX").await;
    assert_eq!(chief.ok("SEARCH SEEN").await.text(), "* SEARCH\n");
    assert_eq!(chief.ok("SEARCH FLAGGED").await.text(), "* SEARCH 1\n");
    assert_eq!(nurse.ok("SEARCH SEEN").await.text(), "* SEARCH 1\n");
    chief.ok("STORE 2 +FLAGS (\\Seen)").await;
    nurse.ok("NOOP").await;
    assert_eq!(nurse.ok("SEARCH SEEN").await.text(), "* SEARCH 1\n");
}
