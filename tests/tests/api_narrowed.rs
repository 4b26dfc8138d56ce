//! What is narrowed opens nothing more by any door, and what ends gives nothing past its end: passwords, delegations, the role support.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo, Imap, Mailbox, Site, Wire, now, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Somebody with the role `admin` in the mailbox of the service, until then if there is an end.
struct Delegate {
    own: Mailbox,
    ward: Mailbox,
    path: String,
    admin: Api,
}

impl Delegate {
    async fn new(demo: &Demo, name: &str, until: &Value) -> Self {
        let site = demo.north();
        let own = site.new_mailbox(name, "1G");
        let ward = Mailbox { username: Some(site.mailbox("organizational").address.clone()), ..own.clone() };
        let ward = Mailbox { address: site.mailbox("organizational").address.clone(), ..ward };
        let path = format!("/mailboxes/{}/delegations", ward.address);
        let admin = Api::admin(demo, site);
        let new = json!({"login": own.username, "role": "admin", "expiresAt": until});
        admin.post(&path, &new).await.expect(201);
        Self { own, ward, path, admin }
    }
}

fn basic(demo: &Demo, mailbox: &Mailbox, password: &str) -> Api {
    Api::anonymous(demo, demo.north()).with_password(&mailbox.address, password)
}

fn of(mailbox: &Mailbox) -> &str {
    mailbox.password.as_deref().unwrap()
}

fn text(answer: &Answer, member: &str) -> String {
    answer.json()[member].as_str().unwrap_or_else(|| panic!("no {member}: {}", answer.json())).to_owned()
}

fn count(answer: &Answer) -> usize {
    answer.json()["items"].as_array().unwrap().len()
}

async fn imap_opens(demo: &Demo, mailbox: &Mailbox, password: &str) -> bool {
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.anonymous()).await;
    imap.command(&format!("LOGIN {} {password}", mailbox.address)).await.status.starts_with("OK")
}

async fn submission_opens(demo: &Demo, mailbox: &Mailbox, password: &str) -> bool {
    let claimed = Mailbox {
        username: Some(mailbox.address.clone()),
        password: Some(password.to_owned()),
        ..mailbox.clone()
    };
    Wire::try_login(demo.north().ports["submissions"], &demo.anonymous(), &claimed).await.is_ok()
}

async fn rest_opens(demo: &Demo, mailbox: &Mailbox, password: &str) -> bool {
    match basic(demo, mailbox, password).get("/folders").await {
        answer if answer.status == 200 => true,
        answer => {
            answer.expect(401);
            false
        }
    }
}

#[tokio::test]
async fn a_password_of_one_mailbox_opens_no_other_by_any_door() {
    let demo = Demo::shared();
    let delegate = Delegate::new(&demo, "narrowed.one", &Value::Null).await;
    let (own, ward) = (&delegate.own, &delegate.ward);
    let wide = basic(&demo, own, of(own));
    let made = wide.post("/passwords", &json!({"label": "own", "mailbox": own.address})).await.expect(201);
    let of_ward =
        wide.post("/passwords", &json!({"label": "ward", "mailbox": ward.address})).await.expect(201);
    let (for_own, for_ward) = (text(&made, "password"), text(&of_ward, "password"));
    for (mailbox, password, opens) in
        [(own, &for_own, true), (ward, &for_ward, true), (ward, &for_own, false), (own, &for_ward, false)]
    {
        assert_eq!(imap_opens(&demo, mailbox, password).await, opens, "IMAP {}", mailbox.address);
        assert_eq!(submission_opens(&demo, mailbox, password).await, opens, "submission {}", mailbox.address);
        assert_eq!(rest_opens(&demo, mailbox, password).await, opens, "REST {}", mailbox.address);
    }
    // Where it opens, it shows and sends nothing of the other.
    let narrow = basic(&demo, own, &for_own);
    assert_eq!(count(&narrow.get("/mailboxes").await.expect(200)), 1);
    narrow.get(&format!("/mailboxes/{}", ward.address)).await.expect(404);
    narrow.get(&delegate.path).await.expect(404);
    let delegations = format!("/users/{}/delegations", own.address);
    assert_eq!(count(&wide.get(&delegations).await.expect(200)), 1);
    assert_eq!(count(&narrow.get(&delegations).await.expect(200)), 0);
    assert_eq!(count(&narrow.get("/passwords").await.expect(200)), 1);
    for other in [text(&of_ward, "id"), "1".to_owned()] {
        narrow.request("DELETE", &format!("/passwords/{other}"), None).await.expect(404);
    }
    let other = json!({"label": "other", "mailbox": ward.address});
    assert_eq!(narrow.post("/passwords", &other).await.expect(422).fault(), "/mailbox");
    let narrowed = Mailbox { password: Some(for_own.clone()), ..own.clone() };
    let mut wire = Wire::login(demo.north().ports["submissions"], &demo.anonymous(), &narrowed).await;
    wire.ask(&format!("MAIL FROM:<{}>", ward.address), "550 5.7.1").await;
    let letter = |from: &str| json!({"from": {"address": from}, "to": [{"address": own.address}], "subject": "s", "text": "t"});
    wide.post("/messages", &letter(&ward.address)).await.expect(201);
    let refused = narrow.post("/messages", &letter(&ward.address)).await;
    assert!((400..500).contains(&refused.status), "{}", refused.status);
}

#[tokio::test]
async fn a_password_of_one_protocol_opens_nothing_by_the_others() {
    let demo = Demo::start();
    let own = demo.north().new_mailbox("narrowed.protocol", "1G");
    let (wide, admin) = (basic(&demo, &own, of(&own)), Api::admin(&demo, demo.north()));
    let all = ["imap", "submission", "rest"];
    let mut only = Vec::new();
    for protocol in all {
        let made =
            wide.post("/passwords", &json!({"label": protocol, "protocols": [protocol]})).await.expect(201);
        assert_eq!(made.json()["protocols"], json!([protocol]));
        only.push((protocol, text(&made, "password")));
    }
    for (protocol, password) in &only {
        // Twice: what was found right a moment ago by one door is looked at again by another.
        for _ in 0..2 {
            let opens = [
                imap_opens(&demo, &own, password).await,
                submission_opens(&demo, &own, password).await,
                rest_opens(&demo, &own, password).await,
            ];
            assert_eq!(opens, all.map(|door| door == *protocol), "{protocol}");
        }
    }
    let listed = wide.get("/passwords").await.expect(200).json();
    let listed: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().map(|row| &row["protocols"]).collect();
    assert_eq!(listed, [&json!(all), &json!(["imap"]), &json!(["submission"]), &json!(["rest"])]);
    // The trail says why, and in which mailbox, by each of the doors.
    let refused = async || {
        let rows = admin.get("/audit?action=login&outcome=refused&limit=100").await.expect(200).json();
        let rows = rows["items"].as_array().unwrap().clone();
        let of_protocol = |row: &Value| row["detail"].as_str().unwrap().starts_with("reason=other_protocol ");
        let doors = rows.iter().filter(|row| of_protocol(row) && !row["mailbox"].is_null());
        let doors: BTreeSet<&str> = doors.map(|row| row["via"].as_str().unwrap()).collect();
        (doors.len() == 3).then_some(())
    };
    until("each door tells of a refusal", refused).await;
    // What is made with a narrow one is no wider.
    let narrow = basic(&demo, &own, &only[2].1);
    let wider = json!({"label": "wider", "protocols": ["rest", "imap"]});
    assert_eq!(narrow.post("/passwords", &wider).await.expect(422).fault(), "/protocols");
    let silent = narrow.post("/passwords", &json!({"label": "silent"})).await.expect(201);
    assert_eq!(silent.json()["protocols"], json!(["rest"]));
    for wrong in [json!([]), json!(["pop"])] {
        let refused =
            wide.post("/passwords", &json!({"label": "wrong", "protocols": wrong})).await.expect(422);
        assert!(refused.fault().starts_with("/protocols"), "{}", refused.fault());
    }
}

#[tokio::test]
async fn an_open_session_of_a_narrow_password_stands_through_changes_that_are_none_of_its() {
    let demo = Demo::start();
    let own = demo.north().new_mailbox("narrowed.session", "1G");
    let made = Api::admin(&demo, demo.north())
        .post(&format!("/users/{}/passwords", own.address), &json!({"label": "imap", "protocols": ["imap"]}))
        .await
        .expect(201);
    let narrow = Mailbox { password: Some(text(&made, "password")), ..own.clone() };
    let mut imap = Imap::login(&demo, demo.north(), &narrow).await;
    imap.ok("SELECT INBOX").await;
    let wide = basic(&demo, &own, of(&own));
    let other = wide.post("/passwords", &json!({"label": "other"})).await.expect(201);
    wide.request("DELETE", &format!("/passwords/{}", text(&other, "id")), None).await.expect(204);
    imap.ok("NOOP").await;
    imap.idle().await;
    wide.request("DELETE", &format!("/passwords/{}", text(&made, "id")), None).await.expect(204);
    imap.until_line("* BYE").await;
}

#[tokio::test]
async fn a_password_with_an_end_makes_none_that_lasts_longer_and_ends_with_its_sessions() {
    let demo = Demo::shared();
    let own = demo.north().new_mailbox("narrowed.until", "1G");
    let wide = basic(&demo, &own, of(&own));
    let end = now().plus_secs(6).secs();
    let new = json!({"label": "visit", "mailbox": own.address, "expiresAt": instant(end)});
    let password = text(&wide.post("/passwords", &new).await.expect(201), "password");
    let narrow = basic(&demo, &own, &password);
    for expiry in [Value::Null, json!("2090-01-01T00:00:00Z")] {
        let label = format!("after {expiry}");
        let made = narrow.post("/passwords", &json!({"label": label, "expiresAt": expiry})).await.expect(201);
        assert_eq!(text(&made, "expiresAt")[..19], instant(end)[..19]);
    }
    let ending = Mailbox { password: Some(password.clone()), ..own.clone() };
    let mut imap = Imap::login(&demo, demo.north(), &ending).await;
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    let mut wire = Wire::login(demo.north().ports["submissions"], &demo.anonymous(), &ending).await;
    assert!(now().secs() < end, "this machine is too slow for the scenario");
    imap.until_line("* BYE").await;
    wire.expect("421 4.7.0").await;
    assert!((0..5).contains(&(now().secs() - end)), "{} s after the end", now().secs() - end);
    narrow.get("/folders").await.expect(401);
    assert!(!imap_opens(&demo, &own, &password).await && !submission_opens(&demo, &own, &password).await);
    wide.get("/folders").await.expect(200);
}

#[tokio::test]
async fn a_delegate_whose_delegation_ends_gives_and_keeps_nothing_past_it() {
    let demo = Demo::start();
    let end = "2090-01-01T00:00:00.000Z";
    let delegate = Delegate::new(&demo, "narrowed.delegate", &json!(end)).await;
    let nurse = json!({"login": "nurse", "firstName": "Paul", "lastName": "Petit"});
    delegate.admin.post("/users", &nurse).await.expect(201);
    let ward = basic(&demo, &delegate.ward, of(&delegate.own));
    let path = &delegate.path;
    let given = |expiry: Value| json!({"login": "nurse", "role": "read", "expiresAt": expiry});
    for expiry in [Value::Null, json!("2090-01-01T00:00:01Z")] {
        assert_eq!(ward.post(path, &given(expiry)).await.expect(403).code(), "forbidden");
    }
    let made = ward.post(path, &given(json!("2089-01-01T00:00:00Z"))).await.expect(201);
    let of_nurse = format!("{path}/nurse");
    for expiry in [Value::Null, json!("2090-01-01T00:00:01Z")] {
        ward.patch(&of_nurse, made.etag(), &json!({"expiresAt": expiry})).await.expect(403);
    }
    let own = format!("{path}/{}", delegate.own.address);
    let read = ward.get(&own).await.expect(200);
    for change in [json!({"expiresAt": null}), json!({"expiresAt": "2091-01-01T00:00:00Z"})] {
        ward.patch(&own, read.etag(), &change).await.expect(403);
    }
    assert_eq!(delegate.admin.get(&own).await.expect(200).json()["expiresAt"], end);
    // Nor do they put those out who stay.
    let page = ward.get(path).await.expect(200).json();
    let chief = page["items"].as_array().unwrap().iter().find(|row| row["expiresAt"].is_null()).unwrap();
    let chief = format!("{path}/{}", chief["user"]["login"].as_str().unwrap());
    let read = ward.get(&chief).await.expect(200);
    assert_eq!(ward.delete(&chief, read.etag()).await.expect(409).code(), "last_administrator");
    ward.delete(&format!("{chief}?force=true"), read.etag()).await.expect(403);
    let demoted = ward.patch(&chief, read.etag(), &json!({"role": "read"})).await;
    assert!([403, 409].contains(&demoted.status), "{}", demoted.status);
    // Once it has ended, nothing is left of it.
    let soon = delegate.admin.get(&own).await.expect(200);
    let at = now().plus_secs(2).secs();
    delegate.admin.patch(&own, soon.etag(), &json!({"expiresAt": instant(at)})).await.expect(200);
    let begin = Instant::now();
    while ward.get("/folders").await.status == 200 {
        assert!(begin.elapsed() < Duration::from_secs(7), "the delegation outlives its end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ward.get(path).await.expect(401);
    ward.post(path, &given(json!("2089-01-01T00:00:00Z"))).await.expect(401);
    delegate.admin.get(&own).await.expect(404);
    let again = json!({"login": delegate.own.username, "role": "read"});
    delegate.admin.post(path, &again).await.expect(201);
}

/// A key with these roles, narrowed to these scopes.
async fn key(demo: &Demo, site: &Site, name: &str, roles: Value, scopes: Value) -> Api {
    let body = json!({"name": name, "roles": roles, "scopes": scopes});
    let made = Api::admin(demo, site).post("/keys", &body).await.expect(201);
    Api::anonymous(demo, site).with_key(&text(&made, "key"))
}

#[tokio::test]
async fn support_says_why_wherever_no_other_role_opens_the_whole_operator() {
    let demo = Demo::start();
    let site = demo.north();
    let domain = json!({"role": "domain", "domain": site.domain});
    let support = json!({"role": "support"});
    let with_domain = key(&demo, site, "with-domain", json!([support, domain]), json!([])).await;
    let with_auditor =
        key(&demo, site, "with-auditor", json!([support, {"role": "auditor"}]), json!([])).await;
    let with_operator =
        key(&demo, site, "with-operator", json!([support, {"role": "operator"}]), json!([])).await;
    let narrow =
        key(&demo, site, "narrow", json!([support, {"role": "operator"}]), json!(["queue:read"])).await;
    let claire = format!("/users/{}", site.personal(0).address);
    for path in ["/users", "/mailboxes", "/queue", &claire] {
        for api in [&with_domain, &with_auditor] {
            assert_eq!(api.get(path).await.expect(403).code(), "reason_required", "{path}");
            api.with_header("Reason", "ticket 42").get(path).await.expect(200);
        }
        with_operator.get(path).await.expect(200);
    }
    // What another role opens alone needs none, nor what anybody may.
    with_auditor.get("/audit?limit=1").await.expect(200);
    with_domain.get("/service").await.expect(200);
    narrow.get("/queue").await.expect(200);
    narrow.get("/users").await.expect(403);
    with_domain.with_header("Reason", "").get("/users").await.expect(400);
}

fn instant(secs: i64) -> String {
    let arguments = ["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%SZ"];
    let output = std::process::Command::new("date").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
