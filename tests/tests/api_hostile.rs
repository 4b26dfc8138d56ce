//! Requests that no honest client sends: each gets a problem that names its fault, none a failure of the server.

use scenarios::{Answer, Api, Demo, Wire};
use serde_json::{Value, json};

/// A refusal is a problem of its status, in the language that was asked for.
fn refused(answer: Answer, status: u16, code: &str, fault: &str) {
    let answer = answer.expect(status);
    assert_eq!((answer.code().as_str(), answer.fault().as_str()), (code, fault));
    assert_eq!(answer.json()["status"], status);
    assert_eq!(answer.header("content-language"), "fr");
    assert!(!answer.header("request-id").is_empty());
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_their_place() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let post = async |body: &[u8]| api.request("POST", "/domains", Some(body)).await;
    let long = format!("{{\"name\":\"{}\"}}", "a".repeat(1024 * 1024));
    refused(post(long.as_bytes()).await, 413, "too_large", "");
    refused(post("[".repeat(200_000).as_bytes()).await, 422, "invalid", "");
    refused(post("{\"name\":".repeat(50_000).as_bytes()).await, 422, "invalid", "/name");
    refused(post(b"").await, 400, "malformed_json", "");
    refused(post(b"{\"name\":\"a.example\"} x").await, 400, "malformed_json", "");
    refused(post(b"{\"name\":\"\xff\"}").await, 400, "malformed_json", "");
    refused(post(b"{\"name\":\"\\ud800\"}").await, 400, "malformed_json", "");
    refused(post(b"{\"name\":\"\\ud800\\u0041\"}").await, 400, "malformed_json", "");
    refused(post(b"{\"name\":\"a\\u0000.example\"}").await, 422, "invalid", "/name");
    refused(post(b"{\"name\":\"a.example\",\"name\":\"b.example\"}").await, 422, "invalid", "/name");
    refused(post(b"{}").await, 422, "invalid", "/name");
    refused(post(b"{\"name\":\"a.example\",\"a~/b\":1}").await, 422, "invalid", "/a~0~1b");
    for wrong in ["null", "1", "1e999", "[]", "{}", "true"] {
        let answer = post(format!("{{\"name\":{wrong}}}").as_bytes()).await;
        assert!([400, 422].contains(&answer.status), "{wrong}: {}", answer.status);
        answer.code();
    }
    refused(post(b"[\"a.example\"]").await, 422, "invalid", "");
    let patch = async |body: &[u8]| {
        api.with_header("If-Match", "*")
            .request("PATCH", &format!("/domains/{}", demo.north().domain), Some(body))
            .await
    };
    let member = "/allocationMaxBytes";
    for wrong in ["-1", "1.5", "9007199254740992", "18446744073709551616", "1e3", "\"5\"", "[]"] {
        let body = format!("{{\"allocationMaxBytes\":{wrong}}}");
        refused(patch(body.as_bytes()).await, 422, "invalid", member);
    }
}

#[tokio::test]
async fn hostile_heads_are_refused() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let body = Some(b"{\"name\":\"a.example\"}".as_slice());
    for kind in [
        "text/plain",
        "application/json; charset=latin1",
        "application/merge-patch+json",
        "application/jsonx",
    ] {
        let answer = api.with_header("Content-Type", kind).request("POST", "/domains", body).await;
        refused(answer, 415, "unsupported_media_type", "");
    }
    refused(api.get("/domains?limit=x").await, 400, "invalid_parameter", "limit");
    refused(api.get("/domains?limit=1&limit=2").await, 400, "invalid_parameter", "limit");
    refused(api.get("/domains?limite=2").await, 400, "invalid_parameter", "limite");
    refused(api.get("/domains?cursor=%00").await, 400, "invalid_parameter", "");
    refused(api.get("/domains?cursor=%21").await, 422, "foreign_cursor", "cursor");
    refused(api.get("/domains/%FF").await, 400, "invalid_parameter", "");
    refused(api.get("/domains/a%00b").await, 400, "invalid_parameter", "");
    refused(api.get("/nothing").await, 404, "not_found", "");
    refused(api.request("TRACE", "/domains", None).await, 405, "method_not_allowed", "");
    let reason = api.with_header("Reason", &"r".repeat(501)).get("/domains").await;
    refused(reason, 400, "invalid_header", "Reason");
    let odd = api.with_header("Accept-Language", ";;;q=,fr;q=x,*;q=9").get("/nothing").await;
    assert_eq!(odd.status, 404);
    let huge = api.with_header("X-Filler", &"f".repeat(40_000)).get("/domains").await;
    assert_eq!(huge.status, 431);
}

/// Values that are no good, and some that might be, from a sequence that is the same in each run.
struct Values(u64);

impl Values {
    fn number(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.number(if depth == 0 { 9 } else { 12 }) {
            0 => Value::Null,
            1 => json!(self.number(2) == 0),
            2 => json!(i64::MIN),
            3 => json!(u64::MAX),
            4 => json!(-1.5e300),
            5 => json!(""),
            6 => json!("\u{0}\u{feff}\u{202e}é\r\n"),
            7 => json!("a".repeat(usize::try_from(self.number(5000)).expect("a length"))),
            8 => json!(self.number(1000)),
            9 => (0..self.number(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let members = (0..self.number(4)).map(|n| (format!("m{n}"), self.value(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }

    /// An object with some of these members.
    fn object(&mut self, names: &[String]) -> Value {
        let members = names.iter().filter(|_| !self.0.is_multiple_of(3)).cloned().collect::<Vec<_>>();
        Value::Object(members.into_iter().map(|name| (name, self.value(3))).collect())
    }
}

/// Every operation of the description that takes JSON: method, path with parameters that lead nowhere, names of the members.
fn operations(document: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["post", "put", "patch"] {
            let schema = &item[method]["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
            let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
            let members = schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned());
            let path = path.strip_prefix("/api/v1").expect("the base");
            let path = path.split('/').map(|part| if part.starts_with('{') { "999999" } else { part });
            found.push((method.to_uppercase(), path.collect::<Vec<_>>().join("/"), members.collect()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_makes_an_operation_fail() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north()).with_header("If-Match", "*");
    let operations = operations(&api.get("/openapi.json").await.expect(200).json());
    assert!(operations.len() >= 2);
    let mut values = Values(20_261_121);
    for (method, path, members) in operations {
        let mut bodies: Vec<Vec<u8>> = [b"".as_slice(), b"[", b"null", b"[]", b"\"\"", b"{\"\":0}", b"\xff"]
            .map(<[u8]>::to_vec)
            .to_vec();
        bodies.extend((0..12).map(|_| values.object(&members).to_string().into_bytes()));
        for body in bodies {
            let answer = api.request(&method, &path, Some(&body)).await;
            let said = || format!("{method} {path} {}", String::from_utf8_lossy(&body));
            assert!(answer.status < 500 || answer.status == 501, "{} {}", answer.status, said());
            if answer.status >= 400 {
                assert_eq!(answer.header("content-type"), "application/problem+json", "{}", said());
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_read_by_a_client_that_sends_its_whole_body_first_and_the_connection_goes_on() {
    let demo = Demo::start();
    let mut wire = Wire::implicit(demo.north().ports["https"], &demo.anonymous()).await;
    for _ in 0..2 {
        let body = vec![b' '; 900_000];
        let head = format!(
            "POST /api/v1/domains HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        wire.send_raw(head.as_bytes()).await;
        wire.send_raw(&body).await;
        wire.until("HTTP/1.1 401").await;
        let mut length = 0;
        loop {
            let line = wire.line().await.to_ascii_lowercase();
            if line.trim().is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("content-length: ") {
                length = said.trim().parse().expect("a length");
            }
        }
        let said = wire.octets(length).await;
        assert!(String::from_utf8_lossy(&said).contains("unauthenticated"));
    }
}

#[tokio::test]
async fn what_passes_a_bound_of_the_description_is_refused_with_its_place() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let long = "x".repeat(300);
    let answer = api.get(&format!("/applications?name={long}")).await.expect(400);
    assert_eq!(answer.fault(), "name");
    let reason = "pour vérifier".chars().map(|letter| letter as u8).collect::<Vec<_>>();
    let mut wire = Wire::implicit(demo.north().ports["https"], &demo.anonymous()).await;
    let head = format!(
        "GET /api/v1/service HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nReason: ",
        demo.north().admin_token
    );
    wire.send_raw(head.as_bytes()).await;
    wire.send_raw(&reason).await;
    wire.send_raw(b"\r\n\r\n").await;
    wire.until("HTTP/1.1 200").await;
}

#[tokio::test]
async fn whoever_asks_before_sending_a_body_is_refused_without_it() {
    let demo = Demo::start();
    let mut wire = Wire::implicit(demo.north().ports["https"], &demo.anonymous()).await;
    let head = "POST /api/v1/domains HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 900000\r\n\r\n";
    wire.send_raw(head.as_bytes()).await;
    let line = wire.line().await;
    assert!(line.starts_with("HTTP/1.1 401"), "{line}");
}
