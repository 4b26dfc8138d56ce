//! `/folders` and `/messages`: one's own mailbox by REST, beside IMAP and SMTP on the same one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Answer, Api, Demo, Imap, Mailbox};
use serde_json::{Value, json};

/// The REST client of a mailbox's holder.
fn holder(demo: &Demo, mailbox: &Mailbox) -> Api {
    let name = mailbox.username.as_deref().expect("somebody logs in");
    let password = mailbox.password.as_deref().expect("with a password");
    Api::anonymous(demo, demo.north()).with_password(name, password)
}

/// A mailbox of its own, and its holder's client.
fn new_holder(demo: &Demo, name: &str) -> (Mailbox, Api) {
    let mailbox = demo.north().new_mailbox(name, "50000000");
    let api = holder(demo, &mailbox);
    (mailbox, api)
}

/// The identifier of the folder of that name.
async fn folder(api: &Api, name: &str) -> String {
    let page = api.get("/folders?limit=500").await.expect(200).json();
    let items = page["items"].as_array().expect("folders").clone();
    let found = items.iter().find(|folder| folder["name"] == name).expect("the folder is there");
    found["id"].as_str().expect("an identifier").to_owned()
}

async fn messages(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/messages{query}")).await.expect(200).json();
    page["items"].as_array().expect("messages").clone()
}

fn subjects(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["subject"].as_str().unwrap_or_default()).collect()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}"))
}

const LETTER: &[u8] = "From: =?utf-8?Q?C=C3=A9cile?= <c@chu.example>\r\nTo: x@chu.example\r\nSubject: =?iso-8859-1?Q?R=E9sultat?=\r\n\
    Date: Fri, 20 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@chu.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n\
    --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n=E9t=E9\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>x</script>\r\n--a--\r\n\
    --m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''..%2Fr%C3%A9sultat.pdf\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nJVBERi0x\r\nLjQK\r\n--m--\r\n"
    .as_bytes();

#[tokio::test]
async fn folders_are_made_renamed_and_deleted_as_imap_sees_them() {
    let demo = Demo::shared();
    let (mailbox, api) = new_holder(&demo, "rest.folders");
    let made = api.post("/folders", &json!({"name": "Patients/Été"})).await.expect(201);
    assert_eq!((text(&made.json(), "name"), text(&made.json(), "parent")), ("Patients/Été", "Patients"));
    assert_eq!(api.post("/folders", &json!({"name": "Patients/Été"})).await.expect(409).code(), "conflict");
    for bad in ["", "a//b", "a*", "a\u{0}b"] {
        assert_eq!(api.post("/folders", &json!({"name": bad})).await.expect(422).fault(), "/name", "{bad:?}");
    }
    let path = made.header("location").strip_prefix("/api/v1").expect("a path").to_owned();
    let renamed = api.patch(&path, made.etag(), &json!({"name": "Dossiers"})).await.expect(200);
    assert_eq!(
        api.patch(&path, made.etag(), &json!({"name": "x"})).await.expect(412).code(),
        "precondition_failed"
    );
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let listed = imap.ok("LIST \"\" *").await.text();
    assert!(listed.contains("\"Dossiers\"") && listed.contains("\"Patients\""), "{listed}");
    let inbox = folder(&api, "INBOX").await;
    let shown = api.get(&format!("/folders/{inbox}")).await.expect(200);
    for answer in [
        api.delete(&format!("/folders/{inbox}"), shown.etag()).await,
        api.patch(&format!("/folders/{inbox}"), shown.etag(), &json!({"name": "x"})).await,
    ] {
        assert_eq!(answer.expect(409).code(), "conflict");
    }
    api.delete(&path, renamed.etag()).await.expect(204);
    api.get(&path).await.expect(404);
    assert!(!imap.ok("LIST \"\" *").await.text().contains("Dossiers"));
    // Folders of others are not there.
    let (_, other) = new_holder(&demo, "rest.folders2");
    other.get(&format!("/folders/{inbox}")).await.expect(404);
    other.get(&format!("/messages?folder={inbox}")).await.expect(404);
}

#[tokio::test]
async fn a_message_is_listed_read_and_downloaded_decoded_and_stays_unseen() {
    let demo = Demo::shared();
    let (mailbox, api) = new_holder(&demo, "rest.read");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.append("INBOX (\\Flagged urgent)", LETTER).await;
    let listed = messages(&api, "").await;
    let [message] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(text(message, "subject"), "Résultat");
    assert_eq!(message["from"], json!([{"address": "c@chu.example", "name": "Cécile"}]));
    assert_eq!((&message["hasAttachments"], &message["keywords"]), (&json!(true), &json!(["urgent"])));
    assert_eq!(text(message, "date"), "2026-11-20T09:00:00.000Z");
    let path = format!("/messages/{}", text(message, "id"));
    let shown = api.get(&path).await.expect(200).json();
    assert_eq!((text(&shown, "text").trim(), text(&shown, "html").trim()), ("été", "<script>x</script>"));
    assert_eq!(text(&shown["headers"][2], "value"), "Résultat");
    let attachment = &shown["attachments"][0];
    assert_eq!((text(attachment, "part"), text(attachment, "contentType")), ("2", "application/pdf"));
    let part = api.get(&format!("{path}/attachments/2")).await.expect(200);
    assert_eq!(part.body, b"%PDF-1.4\n");
    assert_eq!(
        part.header("content-disposition"),
        "attachment; filename=\"r_sultat.pdf\"; filename*=UTF-8''r%C3%A9sultat.pdf"
    );
    assert_eq!(
        (part.header("x-content-type-options"), part.header("content-type")),
        ("nosniff", "application/pdf")
    );
    assert!(part.header("content-security-policy").starts_with("sandbox"));
    let raw = api.get(&format!("{path}/raw")).await.expect(200);
    assert_eq!((raw.body.as_slice(), raw.header("content-type")), (LETTER, "message/rfc822"));
    for wrong in ["/attachments/9", "/attachments/x", "/attachments/1"] {
        api.get(&format!("{path}{wrong}")).await.expect(404);
    }
    assert_eq!(messages(&api, "").await[0]["flags"]["seen"], false);
    let (_, other) = new_holder(&demo, "rest.read2");
    for path in [path.clone(), format!("{path}/raw"), format!("{path}/attachments/2")] {
        other.get(&path).await.expect(404);
    }
    let gone = path.replace("-1", "-9");
    api.get(&gone).await.expect(404);
}

#[tokio::test]
async fn a_large_attachment_comes_whole() {
    let demo = Demo::shared();
    let (mailbox, api) = new_holder(&demo, "rest.large");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let encoded = BASE64.encode(&content);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let letter = format!(
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    );
    Imap::login(&demo, demo.north(), &mailbox).await.append("INBOX", letter.as_bytes()).await;
    let listed = messages(&api, "").await;
    let path = format!("/messages/{}", text(&listed[0], "id"));
    assert!(api.get(&format!("{path}/attachments/1")).await.expect(200).body == content);
    assert!(api.get(&format!("{path}/raw")).await.expect(200).body == letter.as_bytes());
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged() {
    let demo = Demo::shared();
    let (mailbox, api) = new_holder(&demo, "rest.list");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for n in 0..70 {
        let flags = if n % 2 == 0 { "(\\Seen)" } else { "(\\Flagged)" };
        let day = 1 + n % 28;
        let letter = format!("Subject: n{n}\r\n\r\n{}\r\n", "x".repeat(n * 10));
        imap.append(&format!("INBOX {flags} \"{day:02}-Oct-2026 12:00:00 +0000\""), letter.as_bytes()).await;
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=40".to_owned());
    loop {
        let page = api.get(&format!("/messages{query}")).await.expect(200).json();
        let items = page["items"].as_array().expect("messages").clone();
        seen.extend(items.iter().map(|message| text(message, "subject").to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=40&cursor={cursor}");
    }
    let all: Vec<String> = (0..70).rev().map(|n| format!("n{n}")).collect();
    assert_eq!(seen, all);
    assert_eq!(subjects(&messages(&api, "?sort=arrival&limit=2").await), ["n0", "n1"]);
    assert_eq!(messages(&api, "?unread=true&limit=500").await.len(), 35);
    assert_eq!(messages(&api, "?unread=false&flagged=true").await.len(), 0);
    let of_a_day = "?since=2026-10-28T00:00:00Z&before=2026-10-29T00:00:00%2B00:00&sort=arrival";
    assert_eq!(subjects(&messages(&api, of_a_day).await), ["n27", "n55"]);
    let small = messages(&api, "?maxSize=50&sort=arrival").await;
    assert!(small.iter().all(|message| message["size"].as_u64() <= Some(50)) && !small.is_empty());
    for (query, parameter) in [("sort=size", "sort"), ("folder=x", "folder"), ("limit=0", "limit")] {
        assert_eq!(api.get(&format!("/messages?{query}")).await.expect(400).fault(), parameter);
    }
    assert_eq!(api.get("/messages?cursor=%21").await.expect(422).fault(), "cursor");
    api.get("/messages?from=x").await.expect(400);
    api.get("/messages?since=yesterday").await.expect(400);
}

#[tokio::test]
async fn flags_folder_and_end_of_a_message_change_by_what_was_read() {
    let demo = Demo::shared();
    let (mailbox, api) = new_holder(&demo, "rest.change");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.append("INBOX (old)", b"Subject: a\r\n\r\nb\r\n").await;
    let path = format!("/messages/{}", text(&messages(&api, "").await[0], "id"));
    let read = api.get(&path).await.expect(200);
    let change = json!({"flags": {"seen": true, "flagged": true}, "keywords": ["new"]});
    let changed = api.patch(&path, read.etag(), &change).await.expect(200);
    assert_eq!(changed.json()["keywords"], json!(["new"]));
    assert_eq!(api.patch(&path, read.etag(), &change).await.expect(412).code(), "precondition_failed");
    imap.ok("SELECT INBOX").await;
    let flags = imap.ok("FETCH 1 (FLAGS)").await.text();
    assert!(flags.contains("\\Seen") && flags.contains("\\Flagged") && flags.contains("new"), "{flags}");
    assert!(!flags.contains("old"), "{flags}");
    for (patch, pointer) in [
        (json!({"keywords": ["a b"]}), "/keywords/0"),
        (json!({"folder": "999999"}), "/folder"),
        (json!({"flags": {"recent": true}}), "/flags/recent"),
    ] {
        assert_eq!(api.patch(&path, changed.etag(), &patch).await.expect(422).fault(), pointer);
    }
    let archive = folder(&api, "Archive").await;
    let moved =
        api.patch(&path, changed.etag(), &json!({"folder": archive, "flags": {"flagged": false}})).await;
    let moved = moved.expect(200);
    assert_eq!(
        (text(&moved.json(), "folder"), &moved.json()["flags"]["flagged"]),
        (archive.as_str(), &json!(false))
    );
    api.get(&path).await.expect(404);
    let path = format!("/messages/{}", text(&moved.json(), "id"));
    let trashed = api.delete(&path, moved.etag()).await.expect(200).json();
    let path = format!("/messages/{}", text(&trashed, "id"));
    let there = api.get(&path).await.expect(200);
    assert_eq!(text(&there.json(), "folder"), folder(&api, "Trash").await);
    api.delete(&path, there.etag()).await.expect(204);
    api.get(&path).await.expect(404);
    imap.append("INBOX", b"Subject: c\r\n\r\nd\r\n").await;
    let path = format!("/messages/{}", text(&messages(&api, "").await[0], "id"));
    api.delete(&format!("{path}?permanent=true"), "*").await.expect(204);
    assert!(messages(&api, "").await.is_empty());
}

#[tokio::test]
async fn a_message_is_sent_to_colleagues_and_other_operators_with_a_copy_kept() {
    let demo = Demo::shared();
    let (sender, api) = new_holder(&demo, "rest.sender");
    let (near, near_api) = new_holder(&demo, "rest.near");
    let far = demo.operators[1].new_mailbox("rest.far", "50000000");
    let letter = json!({
        "from": {"address": sender.address, "name": "Dr Élise"},
        "to": [{"address": near.address}], "bcc": [{"address": far.address}],
        "subject": "Compte rendu de Mme É.", "text": "Voici.\n.\n", "html": "<p>Voici.</p>",
        "attachments": [{"filename": "résultat.pdf", "contentType": "application/pdf", "contentBase64": BASE64.encode(b"%PDF\r\n\0")}],
    });
    let sent = api.post("/messages", &letter).await.expect(201);
    let recipients = sent.json()["recipients"].as_array().expect("recipients").clone();
    assert!(recipients.iter().all(|one| one["accepted"] == true && text(one, "code") == "2.1.5"));
    // 201 was said after the commit: the colleague has it.
    let got = messages(&near_api, "").await;
    assert_eq!(subjects(&got), ["Compte rendu de Mme É."]);
    assert_eq!((&got[0]["messageId"], &got[0]["cc"]), (&sent.json()["messageId"], &json!([])));
    let path = format!("/messages/{}", text(&got[0], "id"));
    let shown = near_api.get(&path).await.expect(200).json();
    assert_eq!((text(&shown, "text").trim(), &shown["bcc"]), ("Voici.\r\n.", &json!([])));
    assert_eq!(text(&shown["attachments"][0], "filename"), "résultat.pdf");
    let part = text(&shown["attachments"][0], "part");
    assert_eq!(near_api.get(&format!("{path}/attachments/{part}")).await.expect(200).body, b"%PDF\r\n\0");
    // The copy is where the answer says, seen.
    assert_eq!(sent.header("location"), format!("/api/v1/messages/{}", text(&sent.json(), "id")));
    let copy = api.get(&format!("/messages/{}", text(&sent.json(), "id"))).await.expect(200).json();
    assert_eq!(
        (&copy["flags"]["seen"], text(&copy, "folder")),
        (&json!(true), folder(&api, "Sent").await.as_str())
    );
    let mut imap = Imap::login(&demo, &demo.operators[1], &far).await;
    imap.letter("Compte").await;
}

#[tokio::test]
async fn a_message_goes_to_all_or_to_nobody_unless_it_may_go_to_some() {
    let demo = Demo::shared();
    let (sender, api) = new_holder(&demo, "rest.some");
    let (near, near_api) = new_holder(&demo, "rest.some2");
    let nobody = format!("nobody@{}", demo.north().domain);
    let letter =
        json!({"to": [{"address": near.address}], "cc": [{"address": nobody}], "subject": "s", "text": "t"});
    let refused = api.post("/messages", &letter).await.expect(422);
    assert_eq!((refused.code().as_str(), refused.fault().as_str()), ("invalid", "/cc/0"));
    assert!(String::from_utf8_lossy(&refused.body).contains("550 5.1.1"), "{}", refused.json());
    assert!(messages(&near_api, "").await.is_empty());
    let sent = api.post("/messages?partial=true&copy=false", &letter).await.expect(201).json();
    assert_eq!(
        (&sent["recipients"][1]["accepted"], text(&sent["recipients"][1], "code")),
        (&json!(false), "5.1.1")
    );
    assert_eq!(sent["id"], Value::Null);
    assert_eq!(messages(&near_api, "").await.len(), 1);
    let only_nobody = json!({"to": [{"address": nobody}], "text": "t"});
    api.post("/messages?partial=true", &only_nobody).await.expect(422);
    for (member, value, pointer) in [
        ("to", json!([]), "/to"),
        ("to", json!([{"address": "x"}]), "/to/0/address"),
        ("subject", json!("a\r\nBcc: x@y.example"), "/subject"),
        ("body", json!("x"), "/body"),
    ] {
        let mut letter = json!({"to": [{"address": near.address}]});
        letter[member] = value;
        assert_eq!(api.post("/messages", &letter).await.expect(422).fault(), pointer);
    }
    let not_mine = json!({"from": {"address": near.address}, "to": [{"address": near.address}]});
    assert_eq!(api.post("/messages", &not_mine).await.expect(403).code(), "forbidden");
    drop(sender);
}

#[tokio::test]
async fn a_whole_message_is_sent_as_it_is() {
    let demo = Demo::shared();
    let (sender, api) = new_holder(&demo, "rest.whole");
    let (near, near_api) = new_holder(&demo, "rest.whole2");
    let (hidden, hidden_api) = new_holder(&demo, "rest.whole3");
    let raw = async |content: &str| -> Answer {
        let api = api.with_header("Content-Type", "message/rfc822");
        api.request("POST", "/messages", Some(content.as_bytes())).await
    };
    let letter = format!(
        "From: {}\r\nTo: {}\r\nBcc: {}\r\nSubject: whole\r\nX-Own: 1\r\n\r\nbonjour\r\n",
        sender.address, near.address, hidden.address
    );
    raw(&letter).await.expect(201);
    for api in [&near_api, &hidden_api] {
        let got = messages(api, "").await;
        let octets = api.get(&format!("/messages/{}/raw", text(&got[0], "id"))).await.expect(200).body;
        let content = String::from_utf8(octets).expect("ASCII");
        assert!(content.contains("X-Own: 1\r\n") && !content.contains("Bcc"), "{content}");
        assert!(content.contains(" with HTTP "), "{content}");
    }
    assert_eq!(raw(&letter.replace("\r\n", "\n")).await.expect(422).code(), "invalid");
    assert_eq!(raw("Subject: x\r\n\r\n").await.expect(422).fault(), "/to");
    let spoofed = letter.replace(&format!("From: {}", sender.address), &format!("From: {}", near.address));
    assert_eq!(raw(&spoofed).await.expect(403).code(), "forbidden");
    let other = api.with_header("Content-Type", "text/plain").request("POST", "/messages", Some(b"x")).await;
    assert_eq!(other.expect(415).code(), "unsupported_media_type");
}

#[tokio::test]
async fn administrators_read_no_message() {
    let demo = Demo::shared();
    let admin = Api::admin(&demo, demo.north());
    for path in ["/messages", "/folders", "/messages/1-1-1", "/messages/1-1-1/raw"] {
        assert_eq!(admin.get(path).await.expect(403).code(), "forbidden");
    }
}

/// A person who was given a role in a service's mailbox, as they open it.
async fn delegate(demo: &Demo, login: &str, role: &str) -> Api {
    let site = demo.north();
    let password = format!("password-of-{login}");
    site.cli_with_input(&["user", "create", login, "--password-stdin"], &format!("{password}\n")).ok();
    let ward = &site.mailbox("organizational").address;
    let given = json!({"login": login, "role": role});
    Api::admin(demo, site).post(&format!("/mailboxes/{ward}/delegations"), &given).await.expect(201);
    Api::anonymous(demo, site).with_password(ward, &password)
}

#[tokio::test]
async fn a_reader_reads_and_an_editor_sends_for_a_service() {
    let demo = Demo::shared();
    let ward = demo.north().mailbox("organizational").address.clone();
    let (near, near_api) = new_holder(&demo, "rest.patient");
    let reader = delegate(&demo, "rest-reader", "read").await;
    let editor = delegate(&demo, "rest-editor", "write").await;
    let letter =
        json!({"to": [{"address": near.address}, {"address": ward}], "subject": "Convocation", "text": "t"});
    assert_eq!(reader.post("/messages", &letter).await.expect(403).code(), "forbidden");
    let sent = editor.post("/messages", &letter).await.expect(201).json();
    assert_eq!(messages(&near_api, "").await[0]["from"], json!([{"address": ward}]));
    // The copy was read by whoever sent it, by nobody else.
    let copy = format!("/messages/{}", text(&sent, "id"));
    for (api, is_seen) in [(&editor, true), (&reader, false)] {
        assert_eq!(api.get(&copy).await.expect(200).json()["flags"]["seen"], is_seen);
    }
    let got = messages(&reader, "").await;
    let one = got.iter().find(|message| message["subject"] == "Convocation").expect("it came");
    let path = format!("/messages/{}", text(one, "id"));
    let read = reader.get(&path).await.expect(200);
    reader.patch(&path, read.etag(), &json!({"flags": {"seen": true}})).await.expect(200);
    assert_eq!(editor.get(&path).await.expect(200).json()["flags"]["seen"], false);
    for refused in [
        reader.patch(&path, "*", &json!({"flags": {"flagged": true}})).await,
        reader.delete(&path, "*").await,
        reader.post("/folders", &json!({"name": "x"})).await,
        editor.delete(&path, "*").await,
    ] {
        assert_eq!(refused.expect(403).code(), "forbidden");
    }
    editor.patch(&path, "*", &json!({"flags": {"flagged": true}})).await.expect(200);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_again_and_comes_once() {
    let demo = Demo::shared();
    let (_, api) = new_holder(&demo, "rest.again");
    let (near, near_api) = new_holder(&demo, "rest.again2");
    let attachment = BASE64.encode(vec![7_u8; 2_000_000]);
    let letter = json!({
        "to": [{"address": near.address}], "subject": "once", "text": "t",
        "attachments": [{"filename": "a.bin", "contentType": "application/octet-stream", "contentBase64": attachment}],
    });
    let keyed = api.with_header("Idempotency-Key", "rest-again-1");
    // The connection is cut as soon as the request is out: nobody hears the answer.
    let lost = tokio::time::timeout(std::time::Duration::from_millis(60), keyed.post("/messages", &letter));
    let _ = lost.await;
    let again = async || loop {
        let answer = keyed.post("/messages", &letter).await;
        // The first one may be under way still.
        if answer.status != 409 {
            break answer.expect(201);
        }
        tokio::task::yield_now().await;
    };
    let (first, second) = (again().await, again().await);
    assert_eq!(first.json(), second.json());
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(subjects(&messages(&near_api, "").await), ["once"]);
    assert_eq!(messages(&api, &format!("?folder={}", folder(&api, "Sent").await)).await.len(), 1);
    let other = json!({"to": [{"address": near.address}], "subject": "other", "text": "t"});
    assert_eq!(keyed.post("/messages", &other).await.expect(409).code(), "idempotency_conflict");
    // What goes elsewhere stays small.
    let large = json!({"name": "x".repeat(2_000_000)});
    assert_eq!(api.post("/folders", &large).await.expect(413).code(), "too_large");
}
