//! What others than its holder read, change and remove in a mailbox, over IMAP and over REST: in the audit trail, and shown to the holder.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Demo, Imap, Mailbox};
use serde_json::{Value, json};

/// A personal mailbox of its own, with its holder, and somebody to whom it is delegated.
struct Shared {
    holder: Mailbox,
    delegate: Mailbox,
}

impl Shared {
    async fn new(demo: &Demo, name: &str) -> Self {
        let site = demo.north();
        let holder = site.new_mailbox(name, "50000000");
        let (login, password) = (format!("delegate-of-{name}"), format!("password-of-{name}"));
        site.cli_with_input(&["user", "create", &login, "--password-stdin"], &format!("{password}\n")).ok();
        let path = format!("/mailboxes/{}/delegations", holder.address);
        Api::admin(demo, site).post(&path, &json!({"login": login, "role": "admin"})).await.expect(201);
        // The letter about the delegation.
        let mut imap = Imap::login(demo, site, &holder).await;
        imap.ok("SELECT INBOX").await;
        imap.ok("STORE 1 +FLAGS (\\Deleted)").await;
        imap.ok("EXPUNGE").await;
        let username = Some(holder.address.clone());
        let delegate = Mailbox { username, password: Some(password), ..holder.clone() };
        Self { holder, delegate }
    }

    /// Rows of what others did, the oldest first, as the holder is shown them: action and detail.
    async fn told(&self, demo: &Demo) -> Vec<(String, String)> {
        let path = format!("/mailboxes/{}/accesses?limit=500", self.holder.address);
        let page = rest(demo, &self.holder).get(&path).await.expect(200).json();
        let rows = page["items"].as_array().unwrap().iter().rev();
        rows.filter(|row| ["message.", "folder."].iter().any(|of| text(row, "action").starts_with(of)))
            .inspect(|row| {
                assert!(text(row, "credential").starts_with("password:"), "{row}");
                assert_eq!(row["personal"]["whence"], "127.0.0.1", "{row}");
            })
            .map(|row| (text(row, "action").to_owned(), text(row, "detail").to_owned()))
            .collect()
    }

    async fn actions(&self, demo: &Demo) -> Vec<String> {
        self.told(demo).await.into_iter().map(|(action, _)| action).collect()
    }
}

fn rest(demo: &Demo, who: &Mailbox) -> Api {
    let (name, password) = (who.username.as_deref().unwrap(), who.password.as_deref().unwrap());
    Api::anonymous(demo, demo.north()).with_password(name, password)
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

const LETTER: &[u8] = b"From: <c@chu.example>\r\nSubject: s\r\n\r\ntext\r\n";

async fn filled(demo: &Demo, shared: &Shared, count: usize) {
    let mut imap = Imap::login(demo, demo.north(), &shared.holder).await;
    for _ in 0..count {
        imap.append("INBOX", LETTER).await;
    }
}

/// All that changes messages and folders, over IMAP.
async fn change_over_imap(demo: &Demo, who: &Mailbox) {
    let mut imap = Imap::login(demo, demo.north(), who).await;
    imap.ok("CREATE Tri").await;
    imap.ok("SELECT INBOX").await;
    for command in [
        "STORE 1:2 +FLAGS (\\Flagged)",
        "STORE 1:2 +FLAGS (\\Flagged)",
        "MOVE 1 Tri",
        "STORE 1 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
        "STORE 1 +FLAGS (\\Deleted)",
        "CLOSE",
        "RENAME Tri Autre",
        "DELETE Autre",
    ] {
        imap.ok(command).await;
    }
}

#[tokio::test]
async fn what_a_delegate_changes_over_imap_is_shown_to_the_holder_and_what_the_holder_does_is_not() {
    let demo = Demo::shared();
    let shared = Shared::new(&demo, "others.imap").await;
    filled(&demo, &shared, 3).await;
    change_over_imap(&demo, &shared.holder).await;
    assert_eq!(shared.told(&demo).await, []);
    filled(&demo, &shared, 3).await;
    change_over_imap(&demo, &shared.delegate).await;
    let (flagged, deleted) = ("set=\\Flagged", "set=\\Deleted");
    let told = shared.told(&demo).await;
    let to = told[3].1.rsplit_once(" to=").unwrap().1.to_owned();
    let wanted = [
        ("folder.created", String::new()),
        ("folder.opened", String::new()),
        ("message.changed", format!("count=2 uids=5,6 {flagged}")),
        ("message.changed", format!("count=1 uids=5 to={to}")),
        ("message.changed", format!("count=1 uids=6 {deleted}")),
        ("message.removed", "count=1 uids=6".to_owned()),
        ("message.changed", format!("count=1 uids=7 {deleted}")),
        ("message.removed", "count=1 uids=7".to_owned()),
        ("folder.renamed", "folders_below=0".to_owned()),
        ("folder.removed", "messages=1".to_owned()),
    ];
    assert_eq!(told, wanted.map(|(action, detail)| (action.to_owned(), detail)));
}

/// All that changes messages and folders, over REST.
async fn change_over_rest(demo: &Demo, who: &Mailbox) {
    let api = rest(demo, who);
    let messages = api.get("/messages?limit=3").await.expect(200).json();
    let ids: Vec<String> =
        messages["items"].as_array().unwrap().iter().map(|item| text(item, "id").to_owned()).collect();
    let one = format!("/messages/{}", ids[0]);
    let etag = async |path: &str| api.get(path).await.expect(200).etag().to_owned();
    let flags = json!({"flags": {"flagged": true}, "keywords": ["urgent"]});
    api.patch(&one, &etag(&one).await, &flags).await.expect(200);
    let made = api.post("/folders", &json!({"name": "Tri"})).await.expect(201);
    let folder = json!({"folder": made.json()["id"]});
    api.patch(&one, &etag(&one).await, &folder).await.expect(200);
    for (id, query) in [(&ids[1], ""), (&ids[2], "?permanent=true")] {
        let path = format!("/messages/{id}");
        api.delete(&format!("{path}{query}"), &etag(&path).await).await;
    }
    let path = made.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    let renamed = api.patch(&path, made.etag(), &json!({"name": "Autre"})).await.expect(200);
    api.delete(&path, renamed.etag()).await.expect(204);
}

#[tokio::test]
async fn what_a_delegate_reads_and_changes_over_rest_is_shown_to_the_holder_and_what_the_holder_does_is_not()
{
    let demo = Demo::shared();
    let shared = Shared::new(&demo, "others.rest").await;
    filled(&demo, &shared, 3).await;
    change_over_rest(&demo, &shared.holder).await;
    assert_eq!(shared.told(&demo).await, []);
    filled(&demo, &shared, 3).await;
    change_over_rest(&demo, &shared.delegate).await;
    let changes: Vec<String> =
        shared.actions(&demo).await.into_iter().filter(|action| action != "message.read").collect();
    let wanted = [
        "folder.listed",
        "message.changed",
        "folder.created",
        "message.changed",
        "message.changed",
        "message.removed",
        "folder.renamed",
        "folder.removed",
    ];
    assert_eq!(changes, wanted);
}

#[tokio::test]
async fn each_message_that_a_delegate_is_shown_over_rest_has_a_row() {
    let demo = Demo::shared();
    let shared = Shared::new(&demo, "others.read").await;
    filled(&demo, &shared, 1).await;
    for who in [&shared.holder, &shared.delegate] {
        let api = rest(&demo, who);
        let messages = api.get("/messages").await.expect(200).json();
        let one = format!("/messages/{}", text(&messages["items"][0], "id"));
        let shown = api.get(&one).await.expect(200);
        for path in [format!("{one}/raw"), format!("{one}/attachments/1")] {
            api.get(&path).await.expect(200);
        }
        let nothing = api.patch(&one, shown.etag(), &json!({})).await.expect(200);
        assert_eq!(nothing.json()["subject"], "s");
        api.patch(&one, "\"0\"", &json!({})).await.expect(412);
    }
    let told = shared.told(&demo).await;
    let (folder, _) = told[1].1.split_once(' ').unwrap();
    let read = |what: &str| ("message.read".to_owned(), format!("{folder} uid=2 what={what}"));
    let listed = ("folder.listed".to_owned(), folder.to_owned());
    assert_eq!(told, [listed, read("content"), read("raw"), read("part 1"), read("summary")]);
}

#[tokio::test]
async fn each_folder_that_a_delegate_opens_over_imap_has_a_row_in_each_session() {
    let demo = Demo::shared();
    let shared = Shared::new(&demo, "others.open").await;
    filled(&demo, &shared, 1).await;
    let opened = "folder.opened".to_owned();
    let mut imap = Imap::login(&demo, demo.north(), &shared.delegate).await;
    imap.ok("SELECT INBOX").await;
    imap.ok("FETCH 1 BODY[]").await;
    imap.ok("EXAMINE INBOX").await;
    assert_eq!(shared.actions(&demo).await, [opened.clone(), "message.changed".to_owned()]);
    imap.ok("EXAMINE Sent").await;
    imap.ok("SELECT INBOX").await;
    let mut again = Imap::login(&demo, demo.north(), &shared.delegate).await;
    again.ok("EXAMINE INBOX").await;
    let told = shared.actions(&demo).await;
    assert_eq!(told.iter().filter(|action| **action == opened).count(), 3, "{told:?}");
}

#[tokio::test]
async fn what_was_given_in_a_folder_holds_over_rest_too() {
    let demo = Demo::shared();
    let shared = Shared::new(&demo, "others.folders").await;
    let mut holder = Imap::login(&demo, demo.north(), &shared.holder).await;
    for folder in ["INBOX", "Archive", "Drafts"] {
        holder.append(folder, LETTER).await;
    }
    let login = "delegate-of-others.folders";
    holder.ok(&format!("SETACL Archive {login} lr")).await;
    holder.ok(&format!("SETACL Drafts {login} \"\"")).await;

    let folders = async |api: &Api| {
        let mut found = Vec::new();
        let mut path = "/folders?limit=2".to_owned();
        loop {
            let page = api.get(&path).await.expect(200).json();
            for item in page["items"].as_array().unwrap() {
                found.push((text(item, "name").to_owned(), text(item, "id").to_owned()));
            }
            let Some(next) = page["nextCursor"].as_str() else { return found };
            path = format!("/folders?limit=2&cursor={next}");
        }
    };
    let (own, api) = (rest(&demo, &shared.holder), rest(&demo, &shared.delegate));
    let (all, mut listed) = (folders(&own).await, folders(&api).await);
    let id = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().1.clone();
    listed.push(("Drafts".to_owned(), id("Drafts")));
    listed.sort();
    assert_eq!(listed, all, "all but the one of which nothing was given");

    let in_folder = |name: &str| format!("/messages?folder={}", id(name));
    let first = async |name: &str| {
        let found = api.get(&in_folder(name)).await.expect(200).json();
        format!("/messages/{}", text(&found["items"][0], "id"))
    };
    for path in [format!("/folders/{}", id("Drafts")), in_folder("Drafts")] {
        api.get(&path).await.expect(404);
    }
    let flag = json!({"flags": {"flagged": true}});
    for (name, status) in [("INBOX", 200), ("Archive", 403)] {
        let path = first(name).await;
        let etag = api.get(&path).await.expect(200).etag().to_owned();
        api.patch(&path, &etag, &flag).await.expect(status);
    }
    let path = first("Archive").await;
    let etag = api.get(&path).await.expect(200).etag().to_owned();
    api.delete(&path, &etag).await.expect(403);
    let path = first("INBOX").await;
    let etag = api.get(&path).await.expect(200).etag().to_owned();
    for target in ["Archive", "Drafts"] {
        let answer = api.patch(&path, &etag, &json!({"folder": id(target)})).await;
        answer.expect(if target == "Archive" { 403 } else { 422 });
    }
    let refused = api.post("/folders", &json!({"name": "Tri"})).await.expect(403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("IMAP"), "{}", refused.json());
    let path = format!("/mailboxes/{}/delegations/{login}", shared.holder.address);
    assert_eq!(own.get(&path).await.expect(200).json()["foldersApart"], 2);
}
