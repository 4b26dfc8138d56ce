//! The journal of judgements: each connection and each new question leaves a row, failed handshakes included.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Certificate, Demo, Site, Wire, now, until};
use serde_json::Value;

const DAY_SECS: i64 = 86_400;

fn rows(site: &Site) -> Vec<Value> {
    site.cli(&["journal", "--limit", "1000", "--json"]).json().as_array().unwrap().clone()
}

/// The rows about a certificate whose subject holds this, oldest first, once there are that many.
async fn rows_of(site: &Site, subject: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} rows of {subject}"), async || {
        let is_its = |row: &Value| row["subject"].as_str().is_some_and(|named| named.contains(subject));
        let mut rows: Vec<Value> = rows(site).into_iter().filter(is_its).collect();
        rows.reverse();
        (rows.len() >= count).then_some(rows)
    })
    .await
}

#[tokio::test]
async fn a_connection_leaves_one_row_for_its_handshake_and_one_for_each_new_answer() {
    let demo = Demo::start();
    let third = demo.certificate("third.example");
    demo.list("third.example", &third.subject);
    demo.reload();
    let mut wire = Wire::mx(demo.south().ports["smtp"], &demo.client(&third)).await;
    for _ in 0..3 {
        wire.ask("MAIL FROM:<a@third.example>", "250 2.1.0").await;
        wire.ask("RSET", "250").await;
        wire.ask("MAIL FROM:<b@other.example>", "550 5.7.1").await;
        wire.ask("MAIL FROM:<>", "250 2.1.0").await;
        wire.ask("RSET", "250").await;
    }
    let rows = rows_of(demo.south(), "CN=mx.third.example", 4).await;
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            (row["outcome"].as_str().unwrap(), row["reason"].as_str().unwrap(), row["domain"].as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("accepted", "handshake", None),
            ("accepted", "listed", Some("third.example")),
            ("rejected", "not_listed", Some("other.example")),
            ("accepted", "listed", None),
        ]
    );
    for row in &rows {
        assert_eq!((&row["direction"], &row["peer"]), (&"inbound".into(), &"127.0.0.1".into()), "{row}");
        assert_eq!((&row["tls"], &row["verified"]), (&"TLSv1.3".into(), &true.into()), "{row}");
        assert_eq!(row["serial"], hexadecimal(&third.serial), "{row}");
        assert!(row["suite"].as_str().unwrap().starts_with("TLS"), "{row}");
        assert!(row["whiteListAt"].is_string(), "{row}");
    }
    // In the audit trail the address is sealed with the other personal fields, and the certificate is the credential.
    let page = Api::admin(&demo, demo.south()).get("/audit?action=trust.judged&limit=500").await.expect(200);
    let told: Vec<Value> = page.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["detail"].as_str().unwrap().contains("CN=mx.third.example"))
        .cloned()
        .collect();
    assert_eq!(told.len(), 4);
    for row in &told {
        assert!(!row["detail"].as_str().unwrap().contains("127.0.0.1"), "{row}");
        assert_eq!(row["personal"]["whence"], "127.0.0.1", "{row}");
        assert!(row["credential"].as_str().unwrap().starts_with("certificate:"), "{row}");
        assert_eq!(row["credential"], told[0]["credential"], "{row}");
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_failed_handshake_leaves_a_row_with_what_was_claimed() {
    let demo = Demo::shared();
    let expired =
        Certificate::issue(&demo.authority(), "expired.example", now().plus_secs(-4 * 365 * DAY_SECS));
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    wire.handshake_is_refused(&demo.client(&expired)).await;
    let rows = rows_of(demo.south(), "CN=mx.expired.example", 1).await;
    assert_eq!((&rows[0]["outcome"], &rows[0]["reason"]), (&"handshake_failed".into(), &"expired".into()));
    assert_eq!(
        (&rows[0]["verified"], &rows[0]["serial"]),
        (&false.into(), &hexadecimal(&expired.serial).into())
    );
}

#[tokio::test]
async fn a_peer_without_certificate_leaves_a_row() {
    let demo = Demo::start();
    let mut wire = Wire::mx(demo.south().ports["smtp"], &demo.anonymous()).await;
    wire.ask("MAIL FROM:<a@third.example>", "550 5.7.1").await;
    let rows = until("two rows", async || Some(rows(demo.south())).filter(|rows| rows.len() >= 2)).await;
    let seen: Vec<_> = rows.iter().map(|row| (&row["outcome"], &row["reason"])).collect();
    assert_eq!(
        seen,
        [(&"rejected".into(), &"no_certificate".into()), (&"accepted".into(), &"no_certificate".into())]
    );
}

#[tokio::test]
async fn a_peer_that_comes_without_end_gets_some_rows_and_one_count_and_a_stop_writes_it() {
    let demo = Demo::start();
    let unlisted = demo.certificate("unlisted.example");
    let tls = demo.client(&unlisted);
    for _ in 0..40 {
        let mut wire = Wire::mx(demo.south().ports["smtp"], &tls).await;
        wire.ask("MAIL FROM:<a@unlisted.example>", "550 5.7.1").await;
    }
    let mut rejected = Vec::new();
    let demo = demo.restarted(
        |process| {
            process.terminate();
        },
        |description| {
            let rows = rows(&description.operators[1]);
            rejected = rows.into_iter().filter(|row| row["outcome"] == "rejected").collect();
        },
    );
    let repeats: Vec<u64> =
        rejected.iter().filter_map(|row| row["repeats"].as_u64()).filter(|more| *more > 0).collect();
    assert_eq!((rejected.len(), repeats), (31, vec![10]), "{}", demo.log());
}
