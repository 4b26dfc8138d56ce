//! Somebody stays who administers the operator and each shared mailbox, whatever door a mistake comes by; who insists is let.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Answer, Api, Demo, Site};
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

async fn rule(alone: &Alone) -> String {
    let rules = alone.api.get(&format!("/applications/{}/rules", alone.id)).await.expect(200).json();
    rules["items"][0]["id"].as_str().unwrap().to_owned()
}
