//! A guess is examined to its end, whoever hangs up.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use auth::{AuthMetrics, Authenticator, Settings, Via, Whence};
use mail_types::{Secret, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use store::{BodyOptions, Clock, Store, StoreOptions};

const WHENCE: Whence = Whence { via: Via::Rest, ip: IpAddr::V4(Ipv4Addr::LOCALHOST) };

fn refused(registry: &Registry) -> u64 {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let line = text.lines().find(|line| line.contains("outcome=\"refused\""));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_guess_counts_whose_client_hung_up_while_it_was_examined() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        url: "sqlite:store.db".to_owned(),
        data_dir: dir.path().join("data"),
        bodies: BodyOptions::default(),
        key_dir: dir.path().join("keys"),
        writers: 1,
        clock: Clock::fixed(Timestamp::from_secs(1_900_000_000)),
        audits_mail: true,
    };
    Store::create(&options).await.unwrap();
    let store = Store::open(&options).await.unwrap();
    let mut registry = Registry::default();
    let metrics = AuthMetrics::register(&mut registry);
    let authenticator = Authenticator::new(store, Settings::default(), metrics);

    let password = Secret::new("guessed".to_owned());
    let guess = authenticator.password(WHENCE, "", "nobody@ch.example", &password);
    // A refusal is answered after half a second at the earliest: by then its client is gone.
    assert!(tokio::time::timeout(Duration::from_millis(250), guess).await.is_err());
    assert_eq!(refused(&registry), 0);

    let deadline = Instant::now() + Duration::from_secs(20);
    while refused(&registry) == 0 {
        assert!(Instant::now() < deadline, "the guess was not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(refused(&registry), 1);
}
