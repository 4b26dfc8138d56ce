//! Many connections at once: one address has its share, the listener has its bound, and whoever is within both is served.

use scenarios::{ClientTls, Letter, Mailbox, Operator, Wire, until};
use std::time::Duration;

const ADDRESS: &str = "a@ville.example";
const PASSWORD: &str = "correct-horse-battery";
/// The default share of one address.
const SHARE: usize = 200;

fn operator(limits: &str) -> (Operator, ClientTls, Mailbox) {
    let mut operator = Operator::init("ville.example");
    operator
        .cli_with_input(
            &["mailbox", "create", ADDRESS, "--kind", "personal", "--password-stdin"],
            &format!("{PASSWORD}\n"),
        )
        .ok();
    let text = std::fs::read_to_string(operator.config_file()).expect("init writes a configuration");
    std::fs::write(operator.config_file(), text + limits).expect("the configuration can be edited");
    operator.serve();
    let tls = ClientTls::anonymous(&operator.ca_file());
    let mailbox = Mailbox {
        address: ADDRESS.into(),
        kind: "personal".into(),
        username: Some(ADDRESS.into()),
        password: Some(PASSWORD.into()),
    };
    (operator, tls, mailbox)
}

#[tokio::test]
async fn an_address_over_its_share_is_told_so_and_the_others_are_served() {
    let (mut operator, ..) = operator("");
    let port = operator.ports["smtp"];
    // The harness asked once whether the port answers; that connection is on its way out.
    let mut held = Vec::new();
    until("the whole share of an address", async || {
        let mut wire = Wire::connect(port).await;
        let reply = wire.reply().await;
        if reply.code == 220 {
            held.push(wire);
        }
        (held.len() == SHARE).then_some(())
    })
    .await;
    for _ in 0..100 {
        let mut wire = Wire::connect(port).await;
        wire.expect("421 4.7.0").await;
        wire.expect_closed().await;
    }
    let mut other = Wire::connect_from("127.0.0.2", port).await;
    other.expect("220").await;
    other.ask("EHLO other.example", "250").await;
    // Another listener counts for itself.
    Wire::connect(operator.ports["submission"]).await.expect("220").await;
    // Who held a place is served, and a place given back is given again.
    held[0].ask("EHLO x.example", "250").await;
    held.pop().expect("a held connection").ask("QUIT", "221").await;
    until("a place that was given back", async || {
        let mut wire = Wire::connect(port).await;
        (wire.reply().await.code == 220).then_some(())
    })
    .await;
    let log = operator.process().log();
    let told = log.matches("connections over the limit were refused").count();
    assert_eq!(told, 1, "a flood fills the log:\n{log}");
}

#[tokio::test]
async fn a_listener_that_is_full_says_so() {
    let (operator, ..) = operator("\n[limits]\nsmtp_connections_max = 5\n");
    let port = operator.ports["smtp"];
    let mut held = Vec::new();
    until("a full listener", async || {
        let mut wire = Wire::connect_from(&format!("127.0.0.{}", 2 + held.len()), port).await;
        if wire.reply().await.code == 220 {
            held.push(wire);
        }
        (held.len() == 5).then_some(())
    })
    .await;
    Wire::connect(port).await.expect("421 4.7.0").await;
    drop(held);
    until("a listener with places", async || {
        (Wire::connect(port).await.reply().await.code == 220).then_some(())
    })
    .await;
}

/// Raises the limit on open files of this process and of those that it starts.
fn allow_files(count: usize) {
    let arguments = ["--pid", &std::process::id().to_string(), &format!("--nofile={count}:")];
    let done =
        std::process::Command::new("prlimit").args(arguments).output().expect("prlimit (util-linux) runs");
    assert!(
        done.status.success(),
        "this scenario needs {count} open files: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Opens so many connections that say nothing after the greeting; each address stays within its share.
async fn crowd(count: usize, port: u16, tls: Option<&ClientTls>) -> Vec<Wire> {
    let mut crowd = Vec::with_capacity(count);
    for number in 0..count {
        let mut wire = Wire::connect_from(&format!("127.0.1.{}", 1 + number / SHARE), port).await;
        if let Some(tls) = tls {
            wire.handshake(tls).await.expect("the handshake succeeds");
        }
        wire.expect("220").await;
        crowd.push(wire);
    }
    crowd
}

#[tokio::test]
async fn five_thousand_idle_connections_cost_little_and_keep_nobody_waiting() {
    const IN_CLEAR: usize = 4_000;
    const UNDER_TLS: usize = 1_000;
    allow_files(IN_CLEAR + UNDER_TLS + 1_000);
    let (mut operator, tls, mailbox) = operator("\n[limits]\nsmtp_connections_max = 6000\n");
    let letter = |name: &str| Letter::new(name, b"a\r\n").by(ADDRESS);
    let serves = async |name: &str| {
        let mut wire = Wire::login(operator.ports["submissions"], &tls, &mailbox).await;
        let reply = wire.letter(ADDRESS, &[ADDRESS], &letter(name).content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    };
    serves("avant").await;
    let at_rest = operator.resident_kib();
    let clear = crowd(IN_CLEAR, operator.ports["smtp"], None).await;
    let with_clear = operator.resident_kib();
    let under_tls = crowd(UNDER_TLS, operator.ports["submissions"], Some(&tls)).await;
    let with_all = operator.resident_kib();
    let each = |before: u64, after: u64, count: usize| after.saturating_sub(before) * 1024 / count as u64;
    let (clear_each, tls_each) = (each(at_rest, with_clear, IN_CLEAR), each(with_clear, with_all, UNDER_TLS));
    let figures =
        format!("{clear_each} octets for each in clear, {tls_each} under TLS; {at_rest} KiB at rest");
    assert!(clear_each < 24 * 1024 && tls_each < 80 * 1024, "{figures}");
    tokio::time::timeout(Duration::from_secs(10), serves("pendant"))
        .await
        .expect("the crowd keeps others waiting");
    // Those who waited are served too.
    for mut wire in clear.into_iter().chain(under_tls).step_by(500) {
        wire.ask("EHLO patient.example", "250").await;
    }
    assert!(operator.process().ended().is_none());
}
