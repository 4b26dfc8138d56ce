//! The audit trail over REST and the command line: searched, verified, exported, held, and shown to the holder of a mailbox.

use scenarios::{Api, Demo, Letter, Site, Wire};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The latest row of an action.
async fn latest(api: &Api, action: &str) -> Value {
    let page = api.get(&format!("/audit?action={action}&limit=1")).await.expect(200).json();
    page["items"][0].clone()
}

#[tokio::test]
async fn an_act_is_found_with_who_did_it_whence_and_why_and_the_look_is_a_row_too() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north()).with_header("Reason", "a new wing");
    let added = api.post("/domains", &json!({"name": "annexe.example"})).await.expect(201);
    let row = latest(&api, "domain.added").await;
    assert_eq!(
        (&row["category"], &row["outcome"], &row["via"]),
        (&json!("admin"), &json!("ok"), &json!("rest"))
    );
    assert!(row["target"].as_str().is_some_and(|target| target.starts_with("domain:")), "{row}");
    assert!(row["credential"].as_str().is_some_and(|credential| credential.starts_with("key:")), "{row}");
    assert_eq!(
        (&row["personal"]["whence"], &row["personal"]["why"]),
        (&json!("127.0.0.1"), &json!("a new wing"))
    );
    assert_eq!(
        row["request"].as_str(),
        Some(added.header("request-id")).filter(|id| !id.is_empty()).or(row["request"].as_str())
    );
    let look = latest(&api, "audit.searched").await;
    assert_eq!(look["detail"], "action=\"domain.added\" rows=1");
    let (chain, seq) = (row["chain"].as_str().unwrap_or_default(), &row["seq"]);
    assert_eq!(api.get(&format!("/audit/rows/{chain}/{seq}")).await.expect(200).json(), row);
    api.get(&format!("/audit/rows/{chain}/999999")).await.expect(404);
    for query in ["category=x", "actor=x", "from=yesterday", "unit=1", "limit=0", "colour=red"] {
        api.get(&format!("/audit?{query}")).await.expect(400);
    }
    api.get("/audit?cursor=AAAA").await.expect(422);
}

#[tokio::test]
async fn a_message_is_told_of_with_the_door_and_the_credential_it_came_by() {
    let demo = Demo::start();
    let (north, api) = (demo.north(), Api::admin(&demo, demo.north()));
    let mailbox = north.personal(0);
    let (name, password) = (mailbox.username.clone().unwrap(), mailbox.password.clone().unwrap());
    let by_password = |row: &Value| {
        row["credential"].as_str().is_some_and(|credential| credential.starts_with("password:"))
    };
    let letter = Letter::new("told", b"Bonjour\r\n").by(&mailbox.address);
    let mut wire = Wire::submission(&demo, north, mailbox).await;
    let reply = wire.letter(&mailbox.address, &[&mailbox.address], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    for action in ["message.accepted", "message.delivered"] {
        let row = latest(&api, action).await;
        assert!(by_password(&row) && row["via"] == "submission" && row["request"].is_null(), "{row}");
    }
    let holder = Api::anonymous(&demo, north).with_password(&name, &password);
    let letter = json!({
        "from": {"address": mailbox.address}, "to": [{"address": mailbox.address}],
        "subject": "Bonjour", "text": "Bonjour",
    });
    holder.post("/messages", &letter).await.expect(201);
    for action in ["message.accepted", "message.delivered", "message.filed"] {
        let row = latest(&api, action).await;
        assert!(by_password(&row) && row["via"] == "rest" && row["request"].is_string(), "{row}");
    }
}

#[tokio::test]
async fn a_message_of_another_operator_bears_its_certificate_as_credential() {
    let demo = Demo::start();
    let (south, api) = (demo.south(), Api::admin(&demo, demo.south()));
    let third = demo.certificate("third.example");
    demo.list("third.example", &third.subject);
    demo.reload();
    let to = &south.personal(0).address;
    let letter = Letter::new("foreign", b"Bonjour\r\n").by("a@third.example");
    let mut wire = Wire::mx(south.ports["smtp"], &demo.client(&third)).await;
    let reply = wire.letter("a@third.example", &[to], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    let accepted = latest(&api, "message.accepted").await;
    let credential = accepted["credential"].as_str().unwrap_or_default();
    assert!(credential.starts_with("certificate:") && accepted["via"] == "mx", "{accepted}");
    assert_eq!(latest(&api, "message.delivered").await["credential"], credential);
}

#[tokio::test]
async fn a_verification_is_a_job_that_finds_the_trail_sound() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let started = api.post("/audit/verify", &json!({})).await.expect(202).json();
    let path = format!("/jobs/{}", started["id"].as_str().unwrap_or_default());
    let deadline = Instant::now() + Duration::from_secs(30);
    let job = loop {
        let job = api.get(&path).await.expect(200).json();
        if job["state"] == "succeeded" {
            break job;
        }
        assert!(Instant::now() < deadline, "{job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&job["result"]["sound"], &job["result"]["faultsTotal"]), (&json!(true), &json!(0)), "{job}");
    assert!(job["result"]["rows"].as_u64().is_some_and(|rows| rows > 10), "{job}");
    let told = latest(&api, "audit.verified").await;
    assert_eq!((&told["outcome"], &told["via"]), (&json!("ok"), &json!("rest")), "{told}");
    api.post("/audit/verify", &json!({"seal": "1:ab"})).await.expect(422);
    let seal = api.get("/audit/seal").await.expect(200).json();
    let mark = seal["mark"].as_str().expect("a seal is made at the start").to_owned();
    let verify = |mark: &str| demo.north().cli(&["audit", "verify", "--json", "--seal", mark]);
    assert_eq!(verify(&mark).json()["sound"], true);
    let other = format!("{}:{}", seal["sequence"], "0".repeat(64));
    let found = verify(&other).json();
    assert_eq!((&found["sound"], &found["faults"][0]["kind"]), (&json!(false), &json!("known_seal_absent")));
    let told = latest(&api, "audit.verified").await;
    assert_eq!((&told["outcome"], &told["via"]), (&json!("unsound"), &json!("cli")), "{told}");
    assert!(told["credential"].as_str().is_some_and(|account| account.starts_with("uid:")), "{told}");
}

#[tokio::test]
async fn an_export_is_verified_by_the_command_alone_and_a_changed_one_is_not() {
    let demo = Demo::start();
    let site = demo.north();
    let api = Api::admin(&demo, site);
    let key = site.cli(&["audit", "key"]).ok();
    for (format, kind) in [("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")] {
        let answer = api.get(&format!("/audit/export?format={format}")).await.expect(200);
        assert_eq!(answer.header("content-type"), kind);
        let file = site.config_file.with_file_name(format!("export.{format}"));
        std::fs::write(&file, &answer.body).expect("the folder can be written");
        let path = file.to_str().expect("paths are UTF-8");
        scenarios::run(&["audit", "verify-export", path, "--key", key.trim()]).ok();
        let mut changed = answer.body.clone();
        changed[200] ^= 1;
        std::fs::write(&file, changed).expect("the folder can be written");
        assert!(!scenarios::run(&["audit", "verify-export", path]).is_success);
    }
    let file = site.config_file.with_file_name("command.csv");
    let path = file.to_str().expect("paths are UTF-8");
    site.cli(&["audit", "export", "--format", "csv", "--category", "admin", "--output", path]).ok();
    let text = std::fs::read_to_string(&file).expect("the file is there");
    assert!(text.starts_with("\u{feff}at;category;action;") && text.contains(";mailbox.created;"), "{text}");
    assert!(!text.contains(";mail;"), "{text}");
}

#[tokio::test]
async fn a_hold_is_ordered_with_a_reason_and_released_as_it_was_read() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let address = &demo.north().personal(0).address;
    let order = json!({"reason": "procedure 2027/123", "mailbox": address, "category": "mail"});
    let added = api.post("/audit/holds", &order).await.expect(201);
    let path = added.header("location").trim_start_matches("/api/v1").to_owned();
    assert_eq!(added.json()["reason"], "procedure 2027/123");
    assert_eq!(api.post("/audit/holds", &json!({"reason": " "})).await.expect(422).fault(), "/reason");
    let unknown = json!({"reason": "x", "mailbox": "nobody@nowhere.example"});
    assert_eq!(api.post("/audit/holds", &unknown).await.expect(422).fault(), "/mailbox");
    let past = json!({"reason": "x", "until": "2001-01-01T00:00:00Z"});
    assert_eq!(api.post("/audit/holds", &past).await.expect(422).fault(), "/until");
    api.delete(&path, "\"77\"").await.expect(412);
    api.delete(&path, added.etag()).await.expect(204);
    let ended = api.get(&path).await.expect(200);
    assert!(ended.json()["endedAt"].is_string());
    api.delete(&path, ended.etag()).await.expect(409);
    let held = latest(&api, "audit.held").await;
    assert_eq!(held["personal"]["why"], "procedure 2027/123");
    let rows = demo.north().cli(&["audit", "holds", "--json"]).json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_holder_of_a_mailbox_sees_who_else_opened_it_and_nobody_elses() {
    let demo = Demo::start();
    let site: &Site = demo.north();
    let (mine, other) = (site.personal(0), site.personal(1));
    let holder = Api::anonymous(&demo, site).with_password(
        mine.username.as_deref().expect("a person logs in"),
        mine.password.as_deref().expect("with a password"),
    );
    let page = holder.get(&format!("/mailboxes/{}/accesses", mine.address)).await.expect(200).json();
    assert!(page["items"].is_array(), "{page}");
    holder.get(&format!("/mailboxes/{}/accesses", other.address)).await.expect(404);
    let api = Api::admin(&demo, site);
    let seen = api.get(&format!("/mailboxes/{}/accesses", mine.address)).await.expect(200).json();
    assert!(seen["items"].is_array(), "{seen}");
    let again = holder.get(&format!("/mailboxes/{}/accesses", mine.address)).await.expect(200).json();
    let looked =
        again["items"].as_array().into_iter().flatten().any(|row| row["action"] == "audit.accesses_shown");
    assert!(looked, "the administrator's look at the accesses is one: {again}");
}
