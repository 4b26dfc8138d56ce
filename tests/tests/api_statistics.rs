//! `/statistics`, `/health`: what was counted today, and whether all is well.

use scenarios::{Api, Demo, Letter, Wire, until};
use serde_json::Value;

async fn counts(api: &Api, query: &str) -> Value {
    api.get(&format!("/statistics{query}")).await.expect(200).json()
}

#[tokio::test]
async fn what_was_sent_received_and_relayed_today_is_counted_once() {
    let demo = Demo::start();
    let (north, south) = (demo.north(), demo.south());
    let (ours, theirs) = (Api::admin(&demo, north), Api::admin(&demo, south));
    let (before, there) = (counts(&ours, "").await, counts(&theirs, "").await);
    let (sender, letter) = (north.personal(0), Letter::new("compte", b"Bonjour\r\n"));
    let to = [north.personal(1).address.as_str(), south.personal(0).address.as_str()];
    let mut wire = Wire::submission(&demo, north, sender).await;
    wire.letter(&sender.address, &to, &letter.content).await;
    let more = |now: &Value, before: &Value, name: &str| {
        now["total"][name].as_u64().unwrap() - before["total"][name].as_u64().unwrap()
    };
    let now = until("the letter is relayed", async || {
        let now = counts(&ours, "").await;
        (more(&now, &before, "relayed") == 1).then_some(now)
    })
    .await;
    assert_eq!((more(&now, &before, "sent"), more(&now, &before, "received")), (1, 1), "{now}");
    assert!(more(&now, &before, "sentBytes") >= letter.content.len() as u64);
    until("the login is counted", async || {
        (more(&counts(&ours, "").await, &before, "logins") >= 1).then_some(())
    })
    .await;
    until("the other operator has it", async || {
        (more(&counts(&theirs, "").await, &there, "received") == 1).then_some(())
    })
    .await;
    assert_eq!(now["domains"][0]["domain"], north.domain.as_str());
    assert_eq!(
        counts(&ours, &format!("?domain={}", north.domain)).await["total"]["sent"],
        now["total"]["sent"]
    );
    assert_eq!(counts(&ours, "?domain=other.example").await["total"]["sent"], 0);
    assert_eq!(counts(&ours, "?day=2001-01-01").await["total"]["sent"], 0);
    assert_eq!(ours.get("/statistics?day=today").await.expect(400).fault(), "day");
    let id = north.cli(&["mailbox", "show", &sender.address, "--json"]).json()["id"]
        .as_str()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let days = ours.get(&format!("/statistics/mailboxes/{id}")).await.expect(200).json();
    assert_eq!((days["days"].as_array().unwrap().len(), &days["days"][0]["sent"]), (1, &1.into()), "{days}");
    ours.get("/statistics/mailboxes/999999").await.expect(404);
}

#[tokio::test]
async fn health_says_how_each_part_is() {
    let demo = Demo::start();
    let health = Api::anonymous(&demo, demo.north()).get("/health").await.expect(200).json();
    assert_eq!(health["status"], "ok", "{health}");
    for part in ["store", "queue", "trust", "certificates"] {
        assert_eq!(health["components"][part], "ok", "{health}");
    }
}
