//! Somebody stays who administers the operator and each shared mailbox, whatever door a mistake comes by; who insists is let.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Certificate, Demo, Site};
use serde_json::{Value, json};

/// The one application of a site, which is its only administrator: as it calls, and its number.
struct Alone {
    api: Api,
    name: String,
    id: String,
}

impl Alone {
    /// Gives the role `operator` to an application of the demo, and revokes the key of the demo.
    async fn at(demo: &Demo, site: &Site) -> Self {
        let admin = Api::admin(demo, site);
        let application = &site.applications[0];
        let roles = format!("/applications/{}/roles", application.name);
        let none = admin.get(&roles).await.expect(200);
        put(&admin, &roles, none.etag(), &json!({"roles": [{"role": "operator"}]})).await.expect(200);
        let key = admin.get("/keys").await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        let key = format!("/keys/{key}");
        admin.delete(&key, admin.get(&key).await.expect(200).etag()).await.expect(204);
        admin.get("/service").await.expect(401);
        let api = Api::anonymous(demo, site).with_tls(demo.client(&application.certificate()));
        let found = api.get(&format!("/applications?name={}", application.name)).await.expect(200).json();
        let id = found["items"][0]["id"].as_str().unwrap().to_owned();
        Self { api, name: application.name.clone(), id }
    }

    /// The doors by which it could shut itself out: method and path after a query of `force` or none, with what is sent.
    async fn doors(&self) -> Vec<(&'static str, String, Option<Value>)> {
        let rules = format!("/applications/{}/rules", self.id);
        let rule =
            self.api.get(&rules).await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        let certificates = self.api.get("/certificates?holder=application").await.expect(200).json();
        let is_own = |row: &&Value| row["applicationId"] == self.id.as_str();
        let own = certificates["items"].as_array().unwrap().iter().find(is_own).unwrap()["id"].clone();
        vec![
            ("DELETE", format!("{rules}/{rule}"), None),
            ("POST", format!("/certificates/{}/withdraw", own.as_str().unwrap()), None),
            ("DELETE", format!("/applications/{}", self.id), None),
            ("PUT", format!("/applications/{}/roles", self.name), Some(json!({"roles": []}))),
        ]
    }

    async fn ask(&self, (method, path, body): &(&str, String, Option<Value>), query: &str) -> Answer {
        let body = body.as_ref().map(ToString::to_string);
        let api = self.api.with_header("If-Match", "*");
        api.request(method, &format!("{path}{query}"), body.as_deref().map(str::as_bytes)).await
    }
}

async fn put(api: &Api, path: &str, etag: &str, body: &Value) -> Answer {
    api.with_header("If-Match", etag).request("PUT", path, Some(body.to_string().as_bytes())).await
}

#[tokio::test]
async fn an_application_that_alone_administers_the_operator_shuts_itself_out_by_no_door_unless_it_insists() {
    let demo = Demo::start();
    let alone = Alone::at(&demo, demo.north()).await;
    for door in alone.doors().await {
        let answer = alone.ask(&door, "").await;
        assert_eq!(answer.status, 409, "{door:?}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.code(), "last_administrator", "{door:?}");
        alone.api.get("/keys").await.expect(200);
    }
    let command = ["application", "certificate", "remove", &alone.name, &rule(&alone).await];
    let refused = demo.north().cli(&command);
    assert!(!refused.is_success && refused.stderr.contains("--force"), "{refused:?}");
    // With a key beside it, it goes.
    let key = json!({"name": "second", "roles": [{"role": "operator"}]});
    alone.api.post("/keys", &key).await.expect(201);
    let doors = alone.doors().await;
    alone.ask(&doors[0], "").await.expect(204);
    alone.api.get("/keys").await.expect(401);
}

#[tokio::test]
async fn whoever_insists_shuts_the_last_administrator_out() {
    let demo = Demo::start();
    let alone = Alone::at(&demo, demo.north()).await;
    let doors = alone.doors().await;
    alone.ask(&doors[1], "?force=true").await.expect(200);
    alone.api.get("/keys").await.expect(401);
}

#[tokio::test]
async fn nobody_lets_an_application_in_that_administers_more_than_they_do() {
    let demo = Demo::start();
    let (site, admin) = (demo.north(), Api::admin(&demo, demo.north()));
    let scopes = json!(["certificates:read", "certificates:write"]);
    let key = json!({"name": "narrow", "roles": [{"role": "operator"}], "scopes": scopes});
    let made = admin.post("/keys", &key).await.expect(201).json();
    let narrow = Api::anonymous(&demo, site).with_key(made["key"].as_str().unwrap());
    let application = narrow.post("/applications", &json!({"name": "robot"})).await.expect(201).json();
    let id = application["id"].as_str().unwrap();
    let rules = format!("/applications/{id}/rules");
    let certificate = |name: &str| {
        let issued =
            Certificate::issue_application(&demo.authority(), name, &format!("{name}@{}", site.domain));
        json!({"certificate": issued.chain_pem})
    };
    let first = certificate("robot");
    narrow.post(&rules, &first).await.expect(201);
    let roles = json!({"roles": [{"role": "operator"}]});
    put(&admin, "/applications/robot/roles", "*", &roles).await.expect(200);
    assert_eq!(narrow.post(&rules, &certificate("intruder")).await.expect(403).code(), "forbidden");
    // Nor do they give it another name.
    let itself = format!("/applications/{id}");
    let renamed = narrow.patch(&itself, "*", &json!({"name": "other"})).await.expect(403);
    assert_eq!(renamed.code(), "forbidden");
    // Nor do they bring back what was withdrawn.
    let listed = narrow.get("/certificates?holder=application").await.expect(200).json();
    let own = listed["items"].as_array().unwrap().iter().find(|row| row["applicationId"] == id).unwrap();
    let path = format!("/certificates/{}/withdraw", own["id"].as_str().unwrap());
    narrow.request("POST", &path, None).await.expect(200);
    let again = json!({"certificate": first["certificate"], "applicationId": id});
    narrow.post("/certificates", &again).await.expect(403);
    admin.post("/certificates", &again).await.expect(201);
    admin.post(&rules, &certificate("second")).await.expect(201);
}

#[tokio::test]
async fn the_last_administrator_of_a_service_is_not_barred_by_mistake() {
    let demo = Demo::start();
    let (site, admin) = (demo.north(), Api::admin(&demo, demo.north()));
    let ward = &site.mailbox("organizational").address;
    let page = admin.get(&format!("/mailboxes/{ward}/delegations")).await.expect(200).json();
    let disable = format!("/users/{}/disable", page["items"][0]["user"]["login"].as_str().unwrap());
    let key = json!({"name": "structure", "roles": [{"role": "domain", "domain": site.domain}]});
    let made = admin.post("/keys", &key).await.expect(201).json();
    let structure = Api::anonymous(&demo, site).with_key(made["key"].as_str().unwrap());
    for api in [&admin, &structure] {
        assert_eq!(api.request("POST", &disable, None).await.expect(409).code(), "last_administrator");
    }
    let forced = format!("{disable}?force=true");
    structure.request("POST", &forced, None).await.expect(403);
    let barred = admin.request("POST", &forced, None).await.expect(200).json();
    assert_eq!(barred["status"], "disabled");
}

async fn rule(alone: &Alone) -> String {
    let rules = alone.api.get(&format!("/applications/{}/rules", alone.id)).await.expect(200).json();
    rules["items"][0]["id"].as_str().unwrap().to_owned()
}
