//! A job over REST: begun, looked at while it runs, cancelled, its result kept; by whom it is seen.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Certificate, Operator, Page, WebServer, now, until};
use serde_json::{Value, json};

/// An operator whose white list comes from a server that never ends its answer.
struct Slow {
    operator: Operator,
    _web: WebServer,
}

impl Slow {
    fn start() -> Self {
        let mut operator = Operator::init("jobs.example");
        let web = WebServer::start_tls(&Certificate::issue(&operator.authority(), "list.example", now()));
        web.serve("/list.xml", Page::Dribble);
        operator.edit(
            "whitelist_file = \"trust/whitelist.txt\"\nwhitelist_format = \"pairs\"\n",
            &format!(
                "whitelist_url = \"{}\"\nwhitelist_signer = \"alb.test.example\"\n",
                web.url("/list.xml")
            ),
        );
        operator.serve();
        Self { operator, _web: web }
    }

    /// Somebody with a key of that role.
    fn key(&self, name: &str, more: &[&str]) -> Api {
        let made = self.operator.cli(&[&["key", "create", name], more].concat()).ok();
        let key = made
            .split_whitespace()
            .find(|word| word.starts_with("vgm_"))
            .unwrap()
            .trim_matches('"')
            .to_owned();
        Api::new(self.operator.ports["https"], self.operator.anonymous()).with_key(&key)
    }
}

async fn cancel(api: &Api, job: &str) -> Answer {
    api.request("DELETE", job, None).await
}

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("/jobs{query}")).await.expect(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_is_begun_seen_by_those_who_may_ask_for_its_findings_cancelled_and_kept() {
    let slow = Slow::start();
    let operator = slow.key("operator", &["--role", "operator"]);
    let second = slow.key("second", &["--role", "operator"]);
    let auditor = slow.key("auditor", &["--role", "auditor"]);
    let domain = slow.key("domain", &["--role", "domain:jobs.example"]);
    let support = slow.key("support", &["--role", "support"]).with_header("Reason", "ticket 42");
    let begun = operator.post("/whitelist/sync", &json!({})).await.expect(202);
    let job = begun.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    assert_eq!((begun.json()["state"].as_str(), job.starts_with("/jobs/")), (Some("queued"), true));
    let running = until("the job runs", async || {
        let shown = operator.get(&job).await.expect(200).json();
        (shown["state"] == "running").then_some(shown)
    })
    .await;
    assert_eq!(
        (&running["kind"], &running["result"], &running["endedAt"]),
        (&json!("white_list.sync"), &Value::Null, &Value::Null)
    );
    assert!(running["startedBy"].is_string() && running["done"].is_u64(), "{running}");
    // Its findings are of the whole operator: whoever may ask for them sees it, others are not told that it is there.
    for api in [&second, &support] {
        api.get(&job).await.expect(200);
        assert_eq!(listed(api, "?state=running").await.len(), 1);
    }
    for api in [&auditor, &domain] {
        assert_eq!(api.get(&job).await.expect(404).code(), "not_found");
        assert!(listed(api, "").await.is_empty());
        cancel(api, &job).await.expect(404);
    }
    cancel(&support, &job).await.expect(403);
    let cancelled = cancel(&second, &job).await.expect(200).json();
    assert_eq!((&cancelled["state"], &cancelled["result"]), (&json!("cancelled"), &Value::Null));
    assert!(cancelled["endedAt"].is_string(), "{cancelled}");
    assert_eq!(cancel(&operator, &job).await.expect(409).code(), "conflict");
    assert_eq!(listed(&operator, "?state=cancelled").await.len(), 1);
    assert!(listed(&operator, "?state=running").await.is_empty());
    let row = &operator.get("/audit?action=job.started").await.expect(200).json()["items"][0];
    assert_eq!(
        (&row["detail"], &row["target"]),
        (&json!("kind=white_list.sync"), &json!(job.replace("/jobs/", "job:"))),
        "{row}"
    );
    let row = &operator.get("/audit?action=job.cancelled").await.expect(200).json()["items"][0];
    assert!(row["credential"].as_str().is_some_and(|credential| credential.starts_with("key:")), "{row}");
}

#[tokio::test]
async fn the_findings_of_a_job_stay_and_are_shown_to_its_owner_whatever_they_may_ask_for_later() {
    let slow = Slow::start();
    let (auditor, domain) =
        (slow.key("auditor", &["--role", "auditor"]), slow.key("domain", &["--role", "domain:jobs.example"]));
    let begun = auditor.post("/audit/verify", &json!({})).await.expect(202);
    let job = begun.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    let done = until("the job ends", async || {
        let shown = auditor.get(&job).await.expect(200).json();
        (shown["state"] == "succeeded").then_some(shown)
    })
    .await;
    assert_eq!(done["result"]["sound"], true, "{done}");
    assert_eq!(auditor.get(&job).await.expect(200).json(), done);
    assert!(done["total"].is_null() || done["done"] == done["total"], "{done}");
    domain.get(&job).await.expect(404);
    cancel(&auditor, &job).await.expect(409);
    for path in ["/jobs/0", "/jobs/x", "/jobs/99999999999999999999"] {
        auditor.get(path).await.expect(404);
    }
    auditor.get("/jobs?state=unknown").await.expect(400);
    auditor.get("/jobs?cursor=AAAA").await.expect(422);
}
