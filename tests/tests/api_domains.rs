//! `/domains`, and what every resource has in common.

use scenarios::{Api, Demo};
use serde_json::json;

#[tokio::test]
async fn a_domain_is_added_shown_changed_and_listed_by_whoever_may() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let added = api.post("/domains", &json!({"name": "annexe.example"})).await.expect(201);
    assert_eq!(added.header("location"), "/api/v1/domains/annexe.example");
    assert_eq!(api.post("/domains", &json!({"name": "annexe.example"})).await.expect(409).code(), "conflict");
    let change = json!({"allocationMaxBytes": 5_000_000});
    let path = "/domains/annexe.example";
    assert_eq!(api.request("PATCH", path, Some(b"{}")).await.expect(428).code(), "precondition_required");
    let changed = api.patch(path, added.etag(), &change).await.expect(200);
    assert_eq!(changed.json()["allocationMaxBytes"], 5_000_000);
    assert_eq!(api.patch(path, added.etag(), &change).await.expect(412).code(), "precondition_failed");
    let page = api.get("/domains?limit=1").await.expect(200).json();
    let cursor = page["nextCursor"].as_str().expect("there is a second page").to_owned();
    let second = api.get(&format!("/domains?limit=1&cursor={cursor}")).await.expect(200).json();
    assert_ne!(page["items"][0], second["items"][0]);
}

#[tokio::test]
async fn a_fault_is_told_with_its_place_in_the_language_of_the_reader() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let answer = api.post("/domains", &json!({"name": "a.example", "nom": 1})).await.expect(422);
    assert_eq!((answer.code().as_str(), answer.fault().as_str()), ("invalid", "/nom"));
    assert_eq!(api.get("/domains?limit=0").await.expect(400).fault(), "limit");
    let french = api.get("/domains/none.example").await.expect(404);
    let english = api.with_header("Accept-Language", "en-GB, fr;q=0.5").get("/domains/none.example").await;
    assert_eq!((french.header("content-language"), english.header("content-language")), ("fr", "en"));
    assert_ne!(french.json()["title"], english.json()["title"]);
    assert_eq!(api.request("DELETE", "/domains", None).await.expect(405).code(), "method_not_allowed");
}

#[tokio::test]
async fn nobody_gets_in_without_a_credential_that_stands() {
    let demo = Demo::start();
    let nobody = Api::anonymous(&demo, demo.north());
    nobody.get("/health").await.expect(200);
    assert_eq!(nobody.get("/domains").await.expect(401).code(), "unauthenticated");
    assert_eq!(nobody.with_key("guessed").get("/domains").await.expect(401).code(), "unauthenticated");
    assert!(!nobody.get("/domains").await.header("www-authenticate").is_empty());
}
