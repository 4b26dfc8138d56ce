//! `/trust`, `/whitelist`, `/crls`, `/journal`: what is trusted, seen and changed by REST.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Certificate, Demo, Wire, until};
use serde_json::{Value, json};

const DOMAIN: &str = "third.example";

/// A demo that lists a third operator.
fn listed() -> (Demo, Api, Certificate) {
    let demo = Demo::start();
    let certificate = demo.certificate(DOMAIN);
    demo.list(DOMAIN, &certificate.subject);
    demo.reload();
    let api = Api::admin(&demo, demo.north());
    (demo, api, certificate)
}

async fn items(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200).json()["items"].as_array().unwrap().clone()
}

/// What a job found that a POST starts.
async fn done(api: &Api, path: &str, body: &Value) -> Value {
    let started = api.post(path, body).await.expect(202);
    let job = started.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    until("the end of the job", async || {
        let job = api.get(&job).await.expect(200).json();
        (job["state"] == "succeeded").then(|| job["result"].clone())
    })
    .await
}

/// The reply of chu-nord to a letter of the third operator.
async fn mail(demo: &Demo, certificate: &Certificate) -> u16 {
    let mut wire = Wire::mx(demo.north().ports["smtp"], &demo.client(certificate)).await;
    wire.send(&format!("MAIL FROM:<a@{DOMAIN}>")).await;
    wire.reply().await.code
}

#[tokio::test]
async fn the_white_list_is_shown_with_its_entries_and_fetched_now() {
    let (_demo, api, certificate) = listed();
    let entry = until("the new list", async || {
        let answer = api.get(&format!("/whitelist/entries/{DOMAIN}")).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(entry["standing"], "listed");
    assert_eq!(entry["subjects"].as_array().unwrap().len(), 1);
    let state = api.get("/whitelist").await.expect(200).json();
    assert_eq!((&state["isInForce"], &state["standing"]), (&true.into(), &"fresh".into()), "{state}");
    let page = api.get("/whitelist/entries?limit=1").await.expect(200).json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let next = items(&api, &format!("/whitelist/entries?limit=1&cursor={cursor}")).await;
    assert!(page["items"][0]["domain"].as_str() < next[0]["domain"].as_str());
    assert_eq!(items(&api, "/whitelist/entries?q=THIRD").await.len(), 1);
    let cn = certificate.subject.split("CN=").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(items(&api, &format!("/whitelist/entries?q={cn}")).await.len(), 1);
    api.get("/whitelist/entries/nowhere.example").await.expect(404);
    let synced = done(&api, "/whitelist/sync", &json!({})).await;
    assert_eq!(synced["outcome"], "confirmed", "{synced}");
    let diff = api.get("/whitelist/diff").await.expect(200).json();
    assert_eq!(diff["domainsAdded"]["items"], json!([DOMAIN]), "{diff}");
    assert_eq!(diff["waitsForConfirmation"], false);
}

#[tokio::test]
async fn a_list_that_lost_much_is_taken_once_it_is_confirmed() {
    let (demo, api, certificate) = listed();
    (0..10).for_each(|n| demo.list(&format!("d{n}.example"), &certificate.subject));
    let config = &demo.north().config_file;
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(
        config,
        text.replace("whitelist_shrink_max_percent = 100", "whitelist_shrink_max_percent = 20"),
    )
    .unwrap();
    demo.reload();
    until("the whole list", async || {
        (api.get("/whitelist/entries/d9.example").await.status == 200).then_some(())
    })
    .await;
    let state = api.get("/whitelist").await.json();
    let file = state["source"].as_str().unwrap().to_owned();
    let whole = std::fs::read_to_string(&file).unwrap();
    let own = demo.north().domain.as_str();
    let less: String =
        whole.lines().filter(|line| line.contains(own)).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, less).unwrap();
    let refused = done(&api, "/whitelist/sync", &json!({})).await;
    assert_eq!((&refused["outcome"], &refused["code"]), (&"failed".into(), &"shrinkage".into()), "{refused}");
    assert_eq!(api.get("/whitelist/diff").await.json()["waitsForConfirmation"], true);
    let taken = done(&api, "/whitelist/sync", &json!({"confirm": true})).await;
    assert_eq!(taken["outcome"], "adopted", "{taken}");
    let departures = items(&api, "/trust/departures").await;
    assert!(
        departures.iter().any(|row| row["domain"] == DOMAIN && row["isGivenUp"] == false),
        "{departures:?}"
    );
    api.post(&format!("/trust/departures/{DOMAIN}/give-up"), &json!({"reason": "it closed"}))
        .await
        .expect(204);
    until("it is given up", async || {
        let departures = items(&api, "/trust/departures").await;
        departures.iter().any(|row| row["domain"] == DOMAIN && row["isGivenUp"] == true).then_some(())
    })
    .await;
    let path = "/trust/departures/nowhere.example/give-up";
    api.post(path, &json!({"reason": "never was"})).await.expect(404);
}

#[tokio::test]
async fn a_quarantine_closes_and_its_release_opens_again() {
    let (demo, api, certificate) = listed();
    until("the third operator is let in", async || (mail(&demo, &certificate).await == 250).then_some(()))
        .await;
    let quarantine = json!({"kind": "quarantineDomain", "domain": DOMAIN, "reason": "a burst of spam"});
    let made = api.post("/trust/rulings", &quarantine).await.expect(201);
    let path = made.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    until("the quarantine is in force", async || (mail(&demo, &certificate).await == 451).then_some(()))
        .await;
    let shown = api.get(&path).await.expect(200).json();
    assert_eq!((&shown["domain"], &shown["reason"]), (&DOMAIN.into(), &"a burst of spam".into()));
    assert_eq!(items(&api, "/trust/rulings").await.len(), 1);
    api.request("DELETE", &path, None).await.expect(204);
    assert_eq!(api.request("DELETE", &path, None).await.expect(409).code(), "conflict");
    until("the release", async || (mail(&demo, &certificate).await == 250).then_some(())).await;
    assert!(items(&api, "/trust/rulings").await.is_empty());
    assert_eq!(items(&api, "/trust/rulings?all=true").await.len(), 1);
}

#[tokio::test]
async fn a_decision_that_says_too_little_or_too_much_is_refused_with_its_place() {
    let (_demo, api, certificate) = listed();
    for (body, place) in [
        (json!({"kind": "quarantineDomain", "reason": "x"}), "/domain"),
        (
            json!({"kind": "quarantineDomain", "domain": "a.example", "subject": "CN=a", "reason": "x"}),
            "/subject",
        ),
        (json!({"kind": "quarantineCertificate", "reason": "x"}), "/subject"),
        (json!({"kind": "quarantineCertificate", "keyPin": "00", "reason": "x"}), "/keyPin"),
        (json!({"kind": "partner", "domain": "a.example", "subject": "CN=a", "reason": "x"}), "/until"),
        (json!({"kind": "quarantineDomain", "domain": "a.example", "reason": " "}), "/reason"),
        (
            json!({"kind": "quarantineDomain", "domain": "a.example", "until": "2001-01-01T00:00:00Z", "reason": "x"}),
            "/until",
        ),
        (json!({"kind": "quarantineCertificate", "certificate": "no", "reason": "x"}), "/certificate"),
    ] {
        assert_eq!(api.post("/trust/rulings", &body).await.expect(422).fault(), place, "{body}");
    }
    let partner = json!({"kind": "partner", "domain": "a.example", "certificate": certificate.chain_pem,
        "until": "2099-01-01T00:00:00+01:00", "reason": "a pilot"});
    let made = api.post("/trust/rulings", &partner).await.expect(201).json();
    assert_eq!(made["until"], "2098-12-31T23:00:00.000Z");
    let serial =
        json!({"kind": "quarantineCertificate", "certificate": certificate.chain_pem, "reason": "lost key"});
    assert!(api.post("/trust/rulings", &serial).await.expect(201).json()["serial"].is_string());
}

#[tokio::test]
async fn a_certificate_is_judged_with_every_reason() {
    let (demo, api, certificate) = listed();
    let check = async |pem: &str, domain: &str| {
        let question = json!({"certificate": pem, "domain": domain});
        api.post("/trust/check", &question).await.expect(200).json()
    };
    until("the third operator is listed", async || {
        (check(&certificate.chain_pem, DOMAIN).await["verdict"] == "accepted").then_some(())
    })
    .await;
    let good = check(&certificate.chain_pem, DOMAIN).await;
    assert_eq!((&good["chain"], &good["revocation"]["state"]), (&"good".into(), &"good".into()), "{good}");
    assert_eq!(good["listedFor"], json!([DOMAIN]));
    let other = check(&certificate.chain_pem, "other.example").await;
    assert_eq!(other["verdict"], "refused", "{other}");
    demo.revoke(&[&certificate]);
    until("the revocation", async || {
        (check(&certificate.chain_pem, DOMAIN).await["revocation"]["state"] == "revoked").then_some(())
    })
    .await;
    assert_eq!(
        api.post("/trust/check", &json!({"certificate": "x"})).await.expect(422).fault(),
        "/certificate"
    );
}

#[tokio::test]
async fn revocation_lists_are_shown_and_fetched_now() {
    let (_demo, api, _) = listed();
    let lists = api.get("/crls").await.expect(200).json();
    let list = &lists["lists"][0];
    assert_eq!((&list["standing"], list["nextUpdate"].is_string()), (&"current".into(), true), "{lists}");
    assert!(done(&api, "/crls/sync", &json!({})).await["sources"].is_array());
    let trust = api.get("/trust").await.expect(200).json();
    assert!(
        trust["authorities"].as_array().unwrap().iter().any(|authority| authority["isAnchor"] == true),
        "{trust}"
    );
}

#[tokio::test]
async fn judgements_are_listed_newest_first_by_pages() {
    let (demo, api, certificate) = listed();
    until("the third operator is let in", async || (mail(&demo, &certificate).await == 250).then_some(()))
        .await;
    let rows = until("its rows", async || {
        let rows = items(&api, "/journal").await;
        rows.iter().any(|row| row["domain"] == DOMAIN && row["outcome"] == "accepted").then_some(rows)
    })
    .await;
    let first = api.get("/journal?limit=1").await.json();
    let second =
        items(&api, &format!("/journal?limit=1&cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_ne!(first["items"][0], second[0]);
    assert!(rows.windows(2).all(|two| two[0]["writtenAt"].as_str() >= two[1]["writtenAt"].as_str()));
    assert_eq!(api.get("/journal?cursor=bm9uZQ").await.expect(422).fault(), "cursor");
}
