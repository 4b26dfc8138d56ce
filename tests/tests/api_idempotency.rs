//! A POST that is sent again with its Idempotency-Key is carried out once.

use scenarios::{Api, Demo, Process};
use serde_json::{Value, json};

fn keyed(api: &Api, key: &str) -> Api {
    api.with_header("Idempotency-Key", key)
}

fn new_domain(name: &str) -> Value {
    json!({ "name": name })
}

#[tokio::test]
async fn the_first_answer_comes_again() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    let once = keyed(&api, "8e03978e-40d5-43dd-bc93-6894a57f9324");
    let first = once.post("/domains", &new_domain("annexe.example")).await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = once.post("/domains", &new_domain("annexe.example")).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(
        (again.json(), again.etag(), again.header("location")),
        (first.json(), first.etag(), first.header("location"))
    );
    let other = once.post("/domains", &new_domain("autre.example")).await.expect(409);
    assert_eq!(other.code(), "idempotency_conflict");
    assert_eq!(api.post("/domains", &new_domain("annexe.example")).await.expect(409).code(), "conflict");
}

#[tokio::test]
async fn a_request_that_did_nothing_may_be_corrected_under_its_key() {
    let demo = Demo::start();
    let once = keyed(&Api::admin(&demo, demo.north()), "correction");
    once.post("/domains", &new_domain("not a domain")).await.expect(422);
    once.post("/domains", &new_domain("annexe.example")).await.expect(201);
}

#[tokio::test]
async fn a_key_has_1_to_255_visible_characters() {
    let demo = Demo::start();
    let api = Api::admin(&demo, demo.north());
    for key in ["", "two words", "clé", &"k".repeat(256)] {
        let refused = keyed(&api, key).post("/domains", &new_domain("annexe.example")).await.expect(400);
        assert_eq!(
            (refused.code().as_str(), refused.fault().as_str()),
            ("invalid_header", "Idempotency-Key")
        );
    }
    keyed(&api, &"k".repeat(255)).post("/domains", &new_domain("annexe.example")).await.expect(201);
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let demo = Demo::start();
    let once = keyed(&Api::admin(&demo, demo.north()), "crowd");
    let crowd = (0..12).map(|_| {
        let once = once.clone();
        tokio::spawn(async move { once.post("/domains", &new_domain("annexe.example")).await })
    });
    let mut made = 0;
    for answer in crowd.collect::<Vec<_>>() {
        let answer = answer.await.expect("a request ends");
        match answer.status {
            201 if answer.header("idempotent-replayed").is_empty() => made += 1,
            201 => {}
            409 => {
                assert_eq!(answer.code(), "idempotency_conflict");
                assert!(!answer.header("retry-after").is_empty());
            }
            status => panic!("{status}"),
        }
    }
    assert_eq!(made, 1);
    once.post("/domains", &new_domain("annexe.example")).await.expect(201);
}

/// Whatever a SIGKILL cuts off, asking again with the same keys leaves each domain there once, and nobody is told that it was there already.
#[tokio::test]
async fn a_kill_between_the_steps_neither_loses_nor_repeats_a_request() {
    const REQUESTS: usize = 60;
    let mut demo = Demo::start();
    for round in 0..3 {
        let api = Api::admin(&demo, demo.north());
        let name = move |n: usize| format!("r{round}n{n}.example");
        let asked: Vec<_> = (0..REQUESTS)
            .map(|n| {
                let once = keyed(&api, &format!("{round}-{n}"));
                tokio::spawn(async move { once.try_post("/domains", &new_domain(&name(n))).await })
            })
            .collect();
        let mut answered = 0;
        // The kill falls while answers come.
        for request in asked {
            answered += usize::from(
                request.await.expect("a request ends").is_some_and(|answer| answer.status == 201),
            );
            if answered == 3 + 7 * round {
                break;
            }
        }
        demo = demo.restarted(Process::kill, |_| {});
        assert!(answered > 0, "the kill came before anything was answered");
        let api = Api::admin(&demo, demo.north());
        for n in 0..REQUESTS {
            let again = keyed(&api, &format!("{round}-{n}")).post("/domains", &new_domain(&name(n))).await;
            match again.status {
                201 => {}
                409 => assert_eq!(
                    again.code(),
                    "idempotency_conflict",
                    "domain {n} was made and its key does not know"
                ),
                status => panic!("{status}: {}", String::from_utf8_lossy(&again.body)),
            }
            api.get(&format!("/domains/{}", name(n))).await.expect(200);
        }
    }
}
