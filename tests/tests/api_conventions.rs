//! What every operation of the REST API has in common.

use scenarios::{Api, Demo};

#[tokio::test]
async fn the_api_describes_itself_and_can_be_tried_in_a_browser() {
    let demo = Demo::start();
    let api = Api::anonymous(&demo, demo.north());
    let document = api.get("/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/v1/domains"]["post"]["operationId"], "addDomain");
    let page = api.get("/docs/").await.expect(200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
    for file in text.split('"').filter_map(|word| word.strip_prefix("./")) {
        let file = api.get(&format!("/docs/{file}")).await.expect(200);
        assert!(!file.body.is_empty() && !file.header("content-type").starts_with("text/html"));
    }
    assert!(!text.contains("//"), "the page names another place");
    assert_eq!(api.get("/docs").await.expect(308).header("location"), "docs/");
    assert_eq!(api.get("/docs/swagger-initializer.js").await.expect(404).code(), "not_found");
}
