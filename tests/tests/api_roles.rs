//! Every operation of the API, asked by everybody: what opens to whom stands in `roles.csv`, and a new operation needs a line there.
//!
//! Operations on one thing name things of the domain `chu-nord.mssante.test`, except those that begin something (POST, PUT): they name nothing that
//! is there, so that nothing is changed by asking. Cells: `in` when the gate lets the request through, whatever becomes of it; `404` when it
//! does and there is nothing there for this caller; `open` for either; `401` or `403` when it does not.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Certificate, Demo, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const EXPECTED: &str = include_str!("../roles.csv");

/// Who asks, in the order of the columns.
const STANDINGS: [&str; 12] = [
    "nobody",
    "operator",
    "domain",
    "other_domain",
    "auditor",
    "support",
    "support_reason",
    "narrowed",
    "password",
    "certificate",
    "revoked",
    "expired",
];

/// The other domain of the operator.
const OTHER: &str = "annexe.example";

struct World {
    demo: Demo,
    standings: Vec<Api>,
}

impl World {
    async fn new() -> Self {
        let demo = Demo::start();
        let site = demo.north();
        let admin = Api::admin(&demo, site);
        let nobody = Api::anonymous(&demo, site);
        admin.post("/domains", &json!({"name": OTHER})).await.expect(201);
        let of_domain = |domain: &str| json!([{"role": "domain", "domain": domain}]);
        let only = |role: &str| json!([{"role": role}]);
        let (revoked, etag) = make_key(&admin, "revoked", &only("operator"), &json!({})).await;
        let soon = json!({"expiresAt": in_three_seconds()});
        let (expired, _) = make_key(&admin, "expired", &only("operator"), &soon).await;
        let narrow = json!({"scopes": ["domains:read"]});
        let keys = [
            make_key(&admin, "of-domain", &of_domain(&site.domain), &json!({})).await.0,
            make_key(&admin, "of-other-domain", &of_domain(OTHER), &json!({})).await.0,
            make_key(&admin, "auditor", &only("auditor"), &json!({})).await.0,
            make_key(&admin, "support", &only("support"), &json!({})).await.0,
            make_key(&admin, "narrowed", &only("operator"), &narrow).await.0,
        ];
        let [domain, other_domain, auditor, support, narrowed] = keys.map(|(key, _)| nobody.with_key(&key));
        let revoked_id = revoked.1.clone();
        admin.delete(&format!("/keys/{revoked_id}"), &etag).await.expect(204);
        let expired = nobody.with_key(&expired.0);
        until("a key expires", async || (expired.get("/service").await.status == 401).then_some(())).await;
        let holder = site.personal(0);
        let (name, password) = (holder.username.as_deref().unwrap(), holder.password.as_deref().unwrap());
        let application = &site.applications[0];
        let certificate: Certificate = application.certificate();
        let standings = vec![
            nobody.clone(),
            admin,
            domain,
            other_domain,
            auditor,
            support.clone(),
            support.with_header("Reason", "ticket 42"),
            narrowed,
            nobody.with_password(name, password),
            nobody.with_tls(demo.client(&certificate)),
            nobody.with_key(&revoked.0),
            expired,
        ];
        Self { demo, standings }
    }

    /// A path of the description with what there is in the place of its parameters.
    fn named(&self, method: &str, path: &str) -> String {
        let is_beginning = ["POST", "PUT"].contains(&method);
        let holder = self.demo.north().personal(0);
        let mut segments: Vec<String> = Vec::new();
        for segment in path.split('/') {
            let resource = segments.last().cloned().unwrap_or_default();
            segments.push(match (segment.starts_with('{'), resource.as_str()) {
                (false, _) => segment.to_owned(),
                (true, "domains") if !is_beginning => self.demo.north().domain.clone(),
                (true, "mailboxes") if !is_beginning => holder.address.clone(),
                (true, "users") if !is_beginning => holder.username.clone().unwrap(),
                (true, _) => "0".to_owned(),
            });
        }
        segments.join("/")
    }

    /// What becomes of a request, as a cell says it.
    async fn outcome(&self, standing: usize, method: &str, path: &str) -> String {
        let api = self.standings[standing].with_header("If-Match", "\"never\"");
        // A body that no operation takes, and a change of nothing: nothing is changed by asking.
        let body = match method {
            "POST" | "PUT" => Some("[]".as_bytes()),
            "PATCH" => Some("{}".as_bytes()),
            _ => None,
        };
        let asked = format!("{} {method} {path}", STANDINGS[standing]);
        let answer = until(&asked, async || {
            let answer = api.request(method, path, body).await;
            if answer.status == 429 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                return None;
            }
            Some(answer)
        })
        .await;
        assert!(answer.status < 500, "{asked}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        match answer.status {
            401 | 403 | 404 => answer.status.to_string(),
            _ => "in".to_owned(),
        }
    }
}

/// A key's secret and number, and its entity tag.
async fn make_key(api: &Api, name: &str, roles: &Value, more: &Value) -> ((String, String), String) {
    let mut new = json!({"name": name, "roles": roles});
    more.as_object().unwrap().iter().for_each(|(member, value)| new[member] = value.clone());
    let made = api.post("/keys", &new).await.expect(201);
    let text = |member: &str| made.json()[member].as_str().unwrap().to_owned();
    let id = text("id");
    let etag = api.get(&format!("/keys/{id}")).await.expect(200).etag().to_owned();
    ((text("key"), id), etag)
}

fn in_three_seconds() -> String {
    let secs = scenarios::now().secs() + 3;
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// The lines of the file: method, path, and a cell for each standing.
fn expected() -> BTreeMap<(String, String), Vec<String>> {
    let mut lines = EXPECTED.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let heading: Vec<&str> = lines.next().unwrap().split(';').collect();
    assert_eq!(heading[..2], ["method", "path"]);
    assert_eq!(heading[2..], STANDINGS);
    let mut table = BTreeMap::new();
    for line in lines {
        let cells: Vec<String> = line.split(';').map(str::to_owned).collect();
        assert_eq!(cells.len(), 2 + STANDINGS.len(), "{line}");
        let former = table.insert((cells[0].clone(), cells[1].clone()), cells[2..].to_vec());
        assert!(former.is_none(), "twice: {line}");
    }
    table
}

#[tokio::test]
async fn every_operation_opens_to_those_that_the_table_names_and_to_nobody_else() {
    let world = World::new().await;
    let description = world.standings[0].get("/openapi.json").await.expect(200).json();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        for method in item.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                operations.push((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    let table = expected();
    let mut faults = Vec::new();
    for operation in &operations {
        let (method, path) = operation;
        let named = world.named(method, path);
        let mut cells = Vec::new();
        for standing in 0..STANDINGS.len() {
            cells.push(world.outcome(standing, method, &named).await);
        }
        // `open` is `in` or `404`.
        let agrees = |(cell, found): (&String, &String)| {
            cell == found || (cell == "open" && ["in", "404"].contains(&found.as_str()))
        };
        if !table.get(operation).is_some_and(|expected| expected.iter().zip(&cells).all(agrees)) {
            faults.push(format!("{method};{path};{}", cells.join(";")));
        }
    }
    let gone = table.keys().filter(|operation| !operations.contains(operation));
    faults.extend(gone.map(|(method, path)| format!("{method};{path}: there is no such operation any more")));
    assert!(
        faults.is_empty(),
        "these are not as tests/roles.csv says; look at each before you write it there:\n{}",
        faults.join("\n")
    );
}

#[tokio::test]
async fn an_administrator_of_a_domain_sees_and_changes_that_domain_alone() {
    let world = World::new().await;
    let [operator, own, other] = [1, 2, 3].map(|standing| &world.standings[standing]);
    let (north, mailbox) =
        (world.demo.north().domain.clone(), world.demo.north().personal(0).address.clone());
    let names = |answer: scenarios::Answer| {
        let items = answer.expect(200).json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(own.get("/domains").await), std::slice::from_ref(&north));
    assert_eq!(names(other.get("/domains").await), [OTHER]);
    assert_eq!(names(operator.get("/domains").await).len(), 2);
    own.get(&format!("/domains/{north}")).await.expect(200);
    other.get(&format!("/domains/{north}")).await.expect(404);
    let delegations = format!("/mailboxes/{mailbox}/delegations");
    own.get(&delegations).await.expect(200);
    other.get(&delegations).await.expect(404);
    let new = json!({"login": "nobody", "role": "read"});
    other.post(&delegations, &new).await.expect(404);
    assert_ne!(own.post(&delegations, &new).await.status, 404);
}
