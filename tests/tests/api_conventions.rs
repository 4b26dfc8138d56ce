//! What every operation of the REST API has in common.

use scenarios::{Api, Demo};

#[tokio::test]
async fn the_api_describes_itself_and_can_be_tried_in_a_browser() {
    let demo = Demo::start();
    let api = Api::anonymous(&demo, demo.north());
    let document = api.get("/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/v1/domains"]["post"]["operationId"], "addDomain");
    let changes = api.get("/changes").await.expect(200).json();
    assert_eq!(changes["version"], document["info"]["version"]);
    assert_eq!(changes["changes"][0]["version"], changes["version"]);
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

#[tokio::test]
async fn every_answer_has_a_number_and_is_not_kept() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let (shown, refused) = (api.get("/domains").await.expect(200), api.get("/nothing").await.expect(404));
    assert_ne!(shown.header("request-id"), refused.header("request-id"));
    for answer in [&shown, &refused] {
        assert!(!answer.header("request-id").is_empty());
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("vary"), "Accept-Language");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let head = api.request("HEAD", "/domains", None).await.expect(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), shown.body.len().to_string());
}

#[tokio::test]
async fn a_caller_is_told_what_is_left_and_a_stranger_who_hurries_waits() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let answer = api.get("/domains").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), "\"caller\";q=400;w=2");
    assert_eq!(answer.header("ratelimit"), "\"caller\";r=399;t=1");
    let stranger = Api::anonymous(&demo, demo.north());
    let one = "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let hurried = stranger.exchange(format!("{}{last}", one.repeat(299)).as_bytes()).await;
    let hurried = String::from_utf8_lossy(&hurried).into_owned();
    let count = |status: &str| hurried.matches(&format!("HTTP/1.1 {status}")).count();
    assert!(count("200") >= 100 && count("429") > 0, "{} and {}", count("200"), count("429"));
    assert!(hurried.contains("ratelimit-policy: \"address\";q=100;w=5\r\n"));
    assert!(hurried.contains("\"code\":\"rate_limited\""));
    assert!(hurried.contains("retry-after: 1\r\n"));
    stranger.from_address("127.0.0.2").get("/health").await.expect(200);
    api.get("/domains").await.expect(200);
}
