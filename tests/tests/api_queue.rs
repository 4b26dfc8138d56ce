//! `/queue`: what waits for other operators, seen and changed by REST.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo, Imap, Letter, Wire, until};
use serde_json::{Value, json};

/// A domain that is listed and that no server answers for.
const DOMAIN: &str = "third.example";

/// A demo with letters from chu-nord to somebody whose server is away, each put off once.
async fn waiting(to: &[&str]) -> (Demo, Api, Letter) {
    let demo = Demo::start();
    let certificate = demo.certificate(DOMAIN);
    demo.list(DOMAIN, &certificate.subject);
    demo.route(DOMAIN, 1);
    demo.reload();
    let (site, letter) = (demo.north(), Letter::new("waiting", b"Bonjour\r\n"));
    let sender = site.personal(0);
    let mut wire = Wire::submission(&demo, site, sender).await;
    wire.letter(&sender.address, to, &letter.content).await;
    let api = Api::admin(&demo, site);
    until("every entry is put off", async || {
        let rows = entries(&api, "").await;
        (rows.len() == to.len() && rows.iter().all(|row| row["state"] == "deferred")).then_some(())
    })
    .await;
    (demo, api, letter)
}

async fn entries(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("/queue?{query}")).await.expect(200).json()["items"].as_array().unwrap().clone()
}

fn id(entry: &Value) -> String {
    entry["id"].as_str().unwrap().to_owned()
}

async fn act(api: &Api, entry: &str, act: &str) -> Answer {
    api.request("POST", &format!("/queue/{entry}/{act}"), None).await
}

#[tokio::test]
async fn what_waits_is_listed_by_pages_and_filters_without_content() {
    let (demo, api, _) = waiting(&["a@third.example", "b@third.example", "c@third.example"]).await;
    let page = api.get("/queue?limit=2&sort=nextAttemptAt").await.expect(200).json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = entries(&api, &format!("limit=2&sort=nextAttemptAt&cursor={cursor}")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), rest.len()), (2, 1));
    let entry = &rest[0];
    let sender = &demo.north().personal(0).address;
    assert_eq!((entry["sender"].as_str(), entry["attempts"].as_u64()), (Some(sender.as_str()), Some(1)));
    assert!(entry["lastReply"].as_str().unwrap().starts_with('4'), "{entry}");
    assert_eq!(api.get(&format!("/queue/{}", id(entry))).await.expect(200).json()["id"], entry["id"]);
    assert!(!entry.to_string().contains("Bonjour"));
    assert_eq!(entries(&api, "domain=third.example").await.len(), 3);
    assert!(entries(&api, "domain=fourth.example").await.is_empty());
    assert!(entries(&api, "state=held").await.is_empty());
    let mailbox = entry["senderMailboxId"].as_str().unwrap();
    assert_eq!(entries(&api, &format!("senderMailboxId={mailbox}")).await.len(), 3);
    assert!(entries(&api, "senderMailboxId=999999").await.is_empty());
    api.get("/queue?state=lost").await.expect(400);
    assert_eq!(api.get("/queue?domain=not%20a%20domain").await.expect(422).fault(), "domain");
    assert_eq!(api.get("/queue?cursor=AAAA").await.expect(422).fault(), "cursor");
    api.get("/queue/999999").await.expect(404);
}

#[tokio::test]
async fn an_entry_is_held_released_and_tried_again() {
    let (_demo, api, _) = waiting(&["a@third.example", "b@third.example"]).await;
    let first = id(&entries(&api, "").await[0]);
    let held = act(&api, &first, "hold").await.expect(200).json();
    assert_eq!((&held["state"], &held["heldFor"]), (&"held".into(), &"administrator".into()));
    assert_eq!(act(&api, &first, "hold").await.expect(409).code(), "conflict");
    let retried = api.post("/queue/retry", &json!({"domain": DOMAIN})).await.expect(200).json();
    assert_eq!(retried["entries"], 1, "what is held stays");
    assert_eq!(entries(&api, "heldFor=administrator").await.len(), 1);
    assert_eq!(
        api.post("/queue/release", &json!({"heldFor": "administrator"})).await.expect(200).json()["entries"],
        1
    );
    until("the released entry is tried", async || {
        let entry = api.get(&format!("/queue/{first}")).await.json();
        (entry["state"] == "deferred" && entry["attempts"].as_u64() >= Some(2)).then_some(())
    })
    .await;
    assert_eq!(
        api.post("/queue/hold", &json!({"domain": "third..example"})).await.expect(422).fault(),
        "/domain"
    );
}

#[tokio::test]
async fn an_entry_is_dropped_with_a_reason_and_its_sender_told_unless_silence_is_asked_for() {
    let (demo, api, letter) = waiting(&["a@third.example", "b@third.example"]).await;
    let rows = entries(&api, "").await;
    let (told, silent) = (format!("/queue/{}", id(&rows[0])), format!("/queue/{}", id(&rows[1])));
    assert_eq!(api.request("DELETE", &told, None).await.expect(400).fault(), "Reason");
    let api = api.with_header("Reason", "sent by mistake");
    api.request("DELETE", &format!("{silent}?notify=false"), None).await.expect(204);
    api.request("DELETE", &told, None).await.expect(204);
    assert_eq!(api.request("DELETE", &told, None).await.expect(409).code(), "conflict");
    assert!(entries(&api, "").await.is_empty());
    assert_eq!(entries(&api, "state=dropped").await.len(), 2);
    let site = demo.north();
    let mut imap = Imap::login(&demo, site, site.personal(0)).await;
    let notices = imap.letters(&letter.marker).await;
    let notice = String::from_utf8(notices[0].clone()).unwrap();
    assert_eq!(notices.len(), 1, "one notification, of the one that was not dropped in silence");
    assert!(notice.contains("a@third.example") && notice.contains("5.7.1"), "{notice}");
}
