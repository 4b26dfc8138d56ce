//! `/mailboxes`: what each kind needs, what is refused and where the fault is, the life of a mailbox as others see it.

use scenarios::{Api, Demo, Imap, Mailbox, Operator, Wire, until};
use serde_json::{Value, json};

const RPPS: [&str; 3] = ["10001234565", "10001234573", "10001234581"];
const FINESS: &str = "010001238";

fn admin(demo: &Demo) -> Api {
    Api::admin(demo, demo.north())
}

fn address(demo: &Demo, name: &str) -> String {
    format!("{name}@{}", demo.north().domain)
}

fn personal(demo: &Demo, name: &str, rpps: &str) -> Value {
    json!({
        "type": "personal", "email": address(demo, name),
        "owner": {"rpps": rpps, "firstName": "Jeanne", "lastName": "Moreau", "profession": "Médecin", "specialty": "Cardiologie"},
        "authentication": "ProSanteConnect", "hideFromDirectory": false,
    })
}

/// Every fault of a problem, in order.
fn pointers(answer: &scenarios::Answer) -> Vec<String> {
    let body = answer.json();
    let errors = body["errors"].as_array().expect("errors");
    errors.iter().map(|fault| fault["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

/// What another operator hears for a recipient.
async fn rcpt(demo: &Demo, to: &str) -> String {
    let mut wire = Wire::mx(demo.north().ports["smtp"], &demo.client(&demo.south().certificate())).await;
    wire.ask(&format!("MAIL FROM:<{}>", demo.south().personal(0).address), "250").await;
    wire.send(&format!("RCPT TO:<{to}>")).await;
    wire.reply().await.text()
}

#[tokio::test]
async fn each_kind_is_made_with_the_identification_that_it_needs() {
    let demo = Demo::start();
    let api = admin(&demo);
    let made = api.post("/mailboxes", &personal(&demo, "jeanne.moreau", RPPS[0])).await.expect(201);
    let mailbox = made.json();
    assert_eq!(
        made.header("location"),
        format!("/api/v1/mailboxes/{}", mailbox["id"].as_str().expect("an id"))
    );
    assert_eq!((&mailbox["status"], &mailbox["workflow"]), (&json!("active"), &json!("created")));
    assert_eq!(mailbox["owner"]["rpps"], RPPS[0]);
    assert_eq!(mailbox["authentication"], "ProSanteConnect");
    let steps: Vec<_> =
        mailbox["steps"].as_array().expect("steps").iter().map(|step| step["step"].clone()).collect();
    assert_eq!(steps, ["requested", "validated", "created", "activated"]);
    assert_eq!(mailbox["steps"][0]["by"], "demo");
    assert!(rcpt(&demo, &address(&demo, "jeanne.moreau")).await.starts_with("250"), "it receives");
    let ward = json!({
        "type": "organizational", "email": address(&demo, "secretariat.urgences"),
        "organization": {"finess": FINESS, "name": "Service des urgences", "department": "CHU Nord"},
        "delegatedUsers": [{"rpps": RPPS[0], "role": "administrator"}],
    });
    let ward = api.post("/mailboxes", &ward).await.expect(201).json();
    assert_eq!(ward["delegatedUsers"][0]["role"], "admin");
    assert_eq!((&ward["owner"], &ward["organization"]["finess"]), (&Value::Null, &json!(FINESS)));
    let robot = json!({
        "type": "applicative", "email": address(&demo, "app.dpi"),
        "application": {"name": "DPI", "finess": FINESS, "description": "Dossier patient"},
        "authentication": "ORG_AUTH_CLI",
    });
    let robot = api.post("/mailboxes", &robot).await.expect(201).json();
    assert_eq!(
        (&robot["application"]["description"], &robot["organization"]),
        (&json!("Dossier patient"), &Value::Null)
    );
    let cabinet = json!({
        "type": "cabinet", "email": address(&demo, "cabinet.moreau"), "owner": {"rpps": RPPS[0]}, "description": "Cabinet de cardiologie",
    });
    let cabinet = api.post("/mailboxes", &cabinet).await.expect(201).json();
    assert_eq!(
        (&cabinet["owner"]["id"], &cabinet["delegatedUsers"][0]["role"]),
        (&mailbox["owner"]["id"], &json!("admin"))
    );
    let nurse = json!({
        "type": "personal", "email": address(&demo, "paul.petit"), "owner": {"firstName": "Paul", "lastName": "Petit"},
        "organization": {"finess": FINESS, "name": "CHU Nord"},
    });
    let nurse = api.post("/mailboxes", &nurse).await.expect(201).json();
    assert_eq!(
        (&nurse["owner"]["rpps"], &nurse["owner"]["login"]),
        (&Value::Null, &json!(address(&demo, "paul.petit")))
    );
}

#[tokio::test]
async fn every_fault_is_told_at_once_with_its_place() {
    let demo = Demo::start();
    let api = admin(&demo);
    let faulty = json!({
        "type": "personal", "email": "jean@elsewhere.example", "authentication": "ORG_AUTH_CLI",
        "owner": {"rpps": "10001234567", "firstName": "Jean"}, "application": {"name": "x"}, "quotaBytes": 1,
        "delegatedUsers": [{"rpps": RPPS[2], "role": "read"}, {"role": "admin"}],
    });
    let refused = api.post("/mailboxes", &faulty).await.expect(422);
    let mut told = pointers(&refused);
    told.sort();
    assert_eq!(
        told,
        [
            "/application",
            "/authentication",
            "/delegatedUsers/0/rpps",
            "/delegatedUsers/1",
            "/email",
            "/owner/lastName",
            "/owner/rpps",
            "/quotaBytes",
        ]
    );
    for (body, place) in [
        (json!({"type": "personal", "email": address(&demo, "a")}), "/owner"),
        (
            json!({"type": "organizational", "email": address(&demo, "a"), "owner": {"login": "nobody"}}),
            "/organization",
        ),
        (
            json!({"type": "applicative", "email": address(&demo, "a"), "application": {"name": "a", "finess": "010001234"}}),
            "/application/finess",
        ),
        (json!({"type": "bal", "email": address(&demo, "a")}), "/type"),
        (json!({"type": "personal", "email": address(&demo, "a"), "colour": "red"}), "/colour"),
        (json!({"type": "personal", "email": "not an address", "owner": {"login": "\u{0}"}}), "/owner/login"),
    ] {
        assert_eq!(api.post("/mailboxes", &body).await.expect(422).fault(), place, "{body}");
    }
    // Somebody known is not given another name by the way.
    api.post("/mailboxes", &personal(&demo, "jeanne.moreau", RPPS[0])).await.expect(201);
    let mut other = personal(&demo, "j.moreau", RPPS[0]);
    other["owner"]["lastName"] = json!("Marchand");
    assert_eq!(pointers(&api.post("/mailboxes", &other).await.expect(422)), ["/owner/lastName"]);
}

#[tokio::test]
async fn a_request_waits_for_its_validation() {
    let demo = Demo::start();
    let api = admin(&demo);
    let mut body = personal(&demo, "jeanne.moreau", RPPS[0]);
    body["workflow"] = json!("requested");
    let asked = api.post("/mailboxes", &body).await.expect(201).json();
    assert_eq!((&asked["status"], &asked["workflow"]), (&json!("pending"), &json!("requested")));
    let path = format!("/mailboxes/{}", asked["id"].as_str().expect("an id"));
    let to = address(&demo, "jeanne.moreau");
    assert!(rcpt(&demo, &to).await.starts_with("550 5.1.1"));
    assert_eq!(api.post(&format!("{path}/create"), &json!({})).await.expect(409).code(), "conflict");
    for (step, workflow) in [("validate", "validated"), ("create", "created"), ("publish", "published")] {
        let now = api.request("POST", &format!("{path}/{step}"), None).await.expect(200).json();
        assert_eq!((&now["workflow"], &now["status"]), (&json!(workflow), &json!("pending")));
        assert!(rcpt(&demo, &to).await.starts_with("550 5.1.1"));
    }
    api.request("POST", &format!("{path}/activate"), None).await.expect(200);
    assert!(rcpt(&demo, &to).await.starts_with("250"));
    assert_eq!(api.request("POST", &format!("{path}/reject"), None).await.expect(409).code(), "conflict");
    let mut second = personal(&demo, "luc.roux", RPPS[1]);
    second["workflow"] = json!("requested");
    let second = api.post("/mailboxes", &second).await.expect(201).json();
    let path = format!("/mailboxes/{}", second["id"].as_str().expect("an id"));
    api.request("POST", &format!("{path}/reject"), None).await.expect(204);
    api.get(&path).await.expect(404);
}

/// Whether somebody with the right password gets in.
async fn logs_in(demo: &Demo, mailbox: &Mailbox) -> bool {
    let mut wire = Wire::implicit(demo.north().ports["imaps"], &demo.anonymous()).await;
    wire.line().await;
    let (name, password) = (mailbox.username.as_deref(), mailbox.password.as_deref());
    wire.send(&format!("a LOGIN \"{}\" \"{}\"", name.expect("a login"), password.expect("a password"))).await;
    wire.line().await.starts_with("a OK")
}

#[tokio::test]
async fn each_state_refuses_what_it_should_and_gives_back_what_it_had() {
    let demo = Demo::start();
    let api = admin(&demo);
    let marie = demo.north().personal(0).clone();
    let path = format!("/mailboxes/{}", marie.address);
    let mut imap = Imap::login(&demo, demo.north(), &marie).await;
    let had = imap.messages("INBOX").await;
    imap.idle().await;
    let suspended = api.request("POST", &format!("{path}/suspend"), None).await.expect(200);
    assert_eq!(suspended.json()["status"], "suspended");
    imap.until_line("* BYE").await;
    assert!(!logs_in(&demo, &marie).await);
    assert!(rcpt(&demo, &marie.address).await.starts_with("450 4.2.1"));
    api.request("POST", &format!("{path}/activate"), None).await.expect(200);
    assert!(logs_in(&demo, &marie).await);
    let etag = api.get(&path).await.etag().to_owned();
    assert_eq!(api.request("DELETE", &path, None).await.expect(428).code(), "precondition_required");
    assert_eq!(api.delete(&path, suspended.etag()).await.expect(412).code(), "precondition_failed");
    let deleted = api.with_header("Reason", "départ").delete(&path, &etag).await.expect(200).json();
    assert!(
        deleted["restorableUntil"]
            .as_str()
            .is_some_and(|until| until > deleted["statusAt"].as_str().expect("a date"))
    );
    assert!(!logs_in(&demo, &marie).await);
    assert!(rcpt(&demo, &marie.address).await.starts_with("550 5.1.1"));
    for rpps in [RPPS[0], RPPS[1]] {
        let name = marie.address.split('@').next().expect("a local part");
        let again = api.post("/mailboxes", &personal(&demo, name, rpps)).await.expect(409);
        assert_eq!(again.code(), "tombstone");
    }
    let change = json!({"description": "x"});
    let etag = api.get(&path).await.etag().to_owned();
    assert_eq!(api.patch(&path, &etag, &change).await.expect(409).code(), "conflict");
    let restored = api.request("POST", &format!("{path}/restore"), None).await.expect(200).json();
    assert_eq!((&restored["status"], &restored["restorableUntil"]), (&json!("active"), &Value::Null));
    let mut imap = Imap::login(&demo, demo.north(), &marie).await;
    let has = imap.messages("INBOX").await;
    assert!(has.len() > had.len(), "letters tell its holder of it");
    assert_eq!(has[..had.len()], had, "it is as it was");
}

#[tokio::test]
async fn what_a_suspended_mailbox_gives_is_configured() {
    let mut operator = Operator::init("states.example");
    let states = "[mailboxes.suspended]\nlogin = true\ndelivery = \"accept\"\n\n[mailboxes.deleted]\ndelivery = \"defer\"\n\n[server]";
    operator.edit("[server]", states);
    let (marie, paul) = (operator.new_mailbox("marie"), operator.new_mailbox("paul"));
    operator.serve();
    let path = format!("/mailboxes/{}", marie.address);
    operator.cli(&["api", "POST", &format!("{path}/suspend")]).ok();
    let mut from_paul = operator.submission(&paul).await;
    let letter = b"Subject: kept\r\n\r\nfor later\r\n";
    assert_eq!(from_paul.letter(&paul.address, &[&marie.address], letter).await.code, 250);
    let mut imap = operator.imap(&marie).await;
    let is_kept = |message: &Vec<u8>| message.ends_with(b"for later\r\n");
    assert_eq!(
        imap.messages("INBOX").await.iter().filter(|message| is_kept(message)).count(),
        1,
        "she reads"
    );
    let mut from_marie = operator.submission(&marie).await;
    from_marie.ask(&format!("MAIL FROM:<{}>", marie.address), "550 5.7.1").await;
    operator.cli(&["api", "DELETE", &path, "--header", "If-Match: *"]).ok();
    from_paul.ask(&format!("MAIL FROM:<{}>", paul.address), "250").await;
    from_paul.ask(&format!("RCPT TO:<{}>", marie.address), "450 4.2.1").await;
}

#[tokio::test]
async fn the_holder_asks_to_be_hidden_and_the_operator_decides() {
    let demo = Demo::start();
    let api = admin(&demo);
    let marie = demo.north().personal(0).clone();
    let (name, password) =
        (marie.username.as_deref().expect("a login"), marie.password.as_deref().expect("a password"));
    let holder = Api::anonymous(&demo, demo.north()).with_password(name, password);
    let path = format!("/mailboxes/{}", marie.address);
    let asked = holder.request("POST", &format!("{path}/hide"), None).await.expect(200).json();
    assert_eq!((&asked["hideFromDirectory"], &asked["hideRequested"]), (&json!(false), &json!(true)));
    let decided = api.request("POST", &format!("{path}/hide"), None).await.expect(200).json();
    assert_eq!((&decided["hideFromDirectory"], &decided["hideRequested"]), (&json!(true), &Value::Null));
    assert!(rcpt(&demo, &marie.address).await.starts_with("250"), "it stays in service");
    let own = holder.get("/mailboxes").await.expect(200).json();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
    let other = format!("/mailboxes/{}", demo.north().personal(1).address);
    holder.get(&other).await.expect(404);
    holder.request("POST", &format!("{other}/hide"), None).await.expect(404);
    assert_eq!(
        holder.request("POST", &format!("{path}/suspend"), None).await.expect(403).code(),
        "forbidden"
    );
}

#[tokio::test]
async fn address_and_type_never_change_and_the_rest_changes_with_its_etag() {
    let demo = Demo::start();
    let api = admin(&demo);
    let made = api.post("/mailboxes", &personal(&demo, "jeanne.moreau", RPPS[0])).await.expect(201);
    let path = format!("/mailboxes/{}", made.json()["id"].as_str().expect("an id"));
    let refused = api
        .patch(
            &path,
            made.etag(),
            &json!({"email": address(&demo, "other"), "type": "cabinet", "organization": {"finess": "1"}}),
        )
        .await
        .expect(422);
    assert_eq!(pointers(&refused), ["/email", "/type", "/organization/finess"]);
    let change = json!({
        "email": address(&demo, "Jeanne.Moreau"), "description": "Accueil", "organization": {"finess": FINESS, "name": "CHU"}, "quotaBytes": 5_000_000,
    });
    let changed = api.patch(&path, made.etag(), &change).await.expect(200);
    let body = changed.json();
    assert_eq!((&body["description"], &body["organization"]["name"]), (&json!("Accueil"), &json!("CHU")));
    assert_eq!((&body["quota"]["bytes"], &body["quota"]["own"]), (&json!(5_000_000), &json!(true)));
    assert_eq!(api.patch(&path, made.etag(), &change).await.expect(412).code(), "precondition_failed");
    let removed = api
        .patch(&path, changed.etag(), &json!({"organization": null, "description": null}))
        .await
        .expect(200);
    assert_eq!(
        (&removed.json()["organization"], &removed.json()["description"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn mailboxes_are_listed_by_pages_filtered_and_sorted() {
    let demo = Demo::start();
    let api = admin(&demo);
    for (index, name) in ["zoe", "yann", "xavier"].into_iter().enumerate() {
        api.post("/mailboxes", &personal(&demo, name, RPPS[index])).await;
    }
    for sort in ["email", "createdAt", "-createdAt", "usedBytes", "-usedBytes"] {
        let whole = api.get(&format!("/mailboxes?sort={sort}&limit=500")).await.expect(200).json();
        let whole = whole["items"].as_array().expect("rows").clone();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/mailboxes?sort={sort}&limit=2{cursor}")).await.expect(200).json();
            seen.extend(page["items"].as_array().expect("rows").clone());
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, whole, "{sort}");
    }
    let found = async |query: &str| {
        let page = api.get(&format!("/mailboxes?{query}")).await.expect(200).json();
        page["items"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["email"].as_str().expect("an address").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("q=ANN%40").await, [address(&demo, "yann")]);
    assert_eq!(found(&format!("owner={}", RPPS[0])).await, [address(&demo, "zoe")]);
    assert_eq!(found("owner=nobody").await, [] as [String; 0]);
    assert_eq!(found("domain=elsewhere.example").await, [] as [String; 0]);
    assert!(found("type=personal&status=active").await.len() >= 3);
    assert!(found("status=deleted").await.is_empty());
    for (query, status, place) in
        [("sort=name", 400, "sort"), ("cursor=bm9uZQ&sort=createdAt", 422, "cursor"), ("q=%00", 400, "")]
    {
        assert_eq!(api.get(&format!("/mailboxes?{query}")).await.expect(status).fault(), place);
    }
}

#[tokio::test]
async fn content_is_erased_after_the_grace_and_the_address_is_given_to_nobody() {
    let mut operator = Operator::init("grace.example");
    operator.edit("[server]", "[mailboxes]\nrestore_days = 0\n\n[server]");
    let marie = operator.new_mailbox("marie");
    operator.serve();
    let path = format!("/mailboxes/{}", marie.address);
    operator.cli(&["api", "DELETE", &path, "--header", "If-Match: *"]).ok();
    let show = ["api", "GET", path.as_str()];
    let erased = until("the content to be erased", async || {
        let now = operator.cli(&show).json();
        now["erasedAt"].is_string().then_some(now)
    })
    .await;
    assert_eq!((&erased["status"], &erased["quota"]["usedMessages"]), (&json!("deleted"), &json!(0)));
    let refused = operator.cli(&["api", "POST", &format!("{path}/restore")]);
    assert!(refused.stderr.contains("conflict"), "{}", refused.stderr);
    let again =
        json!({"type": "personal", "email": marie.address, "owner": {"login": marie.address}}).to_string();
    let refused = operator.cli(&["api", "POST", "/mailboxes", "--data", &again]);
    assert!(refused.stderr.contains("tombstone"), "{}", refused.stderr);
}
