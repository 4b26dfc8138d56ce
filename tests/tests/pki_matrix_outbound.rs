//! To whom we hand mail, judged from the outside: servers with the TLS of OpenSSL, with certificates and lists made by it.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Letter, OpensslServers, ServerPlan, ServerSight, TrustWorld, until};
use serde_json::Value;

/// What is to come of a letter for the domain of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is delivered.
    Delivered,
    /// The server is tried and hears nothing of it; it waits in the queue.
    Withheld,
}
use Verdict::{Delivered, Withheld};

/// Case, what its server does, and what is to come of it.
const CASES: [(&str, &str, Verdict); 25] = [
    ("valid", "usual", Delivered),
    ("rsa", "usual", Delivered),
    ("reordered", "usual", Delivered),
    ("crowded", "usual", Delivered),
    ("server-only", "usual", Delivered),
    ("expired", "usual", Withheld),
    ("early", "usual", Withheld),
    ("revoked", "usual", Withheld),
    ("under-revoked", "usual", Withheld),
    ("crowded-revoked", "usual", Withheld),
    ("client-only", "usual", Withheld),
    ("foreign", "usual", Withheld),
    ("twin", "usual", Withheld),
    ("self-signed", "usual", Withheld),
    ("misnamed", "usual", Withheld),
    ("other-dn", "usual", Withheld),
    ("elsewhere", "usual", Withheld),
    ("silent", "usual", Withheld),
    ("outdated", "usual", Withheld),
    ("forged", "usual", Withheld),
    ("distant", "usual", Withheld),
    ("clear", "clear", Withheld),
    ("stripped", "stripped", Withheld),
    ("refused", "refused", Withheld),
    ("injecting", "injecting", Withheld),
];

/// Prefix of the domains whose servers speak this version.
const VERSIONS: [(&str, &str); 2] = [("", "TLSv1_3"), ("old-", "TLSv1_2")];

#[tokio::test]
async fn every_server_hears_of_a_letter_only_when_it_may_in_both_versions_of_tls() {
    let mut world = TrustWorld::start_with_crowd(200_000);
    let rows: Vec<_> = VERSIONS
        .iter()
        .flat_map(|(prefix, version)| CASES.map(|case| (format!("{prefix}{}", case.0), *version, case)))
        .collect();
    let plans: Vec<_> = rows
        .iter()
        .map(|(name, version, (case, behaviour, _))| ServerPlan {
            name: name.clone(),
            certificate: world.certificate(case),
            behaviour,
            version,
        })
        .chain([ServerPlan {
            name: "unlisted".to_owned(),
            certificate: world.certificate("unlisted"),
            behaviour: "usual",
            version: "TLSv1_3",
        }])
        .collect();
    let servers = OpensslServers::start(&plans, &world.ca_file());
    // The route of a domain that nobody lists leads to a server that would take the letter.
    let mut routes: String =
        rows.iter().map(|(name, ..)| format!("{name}.example 127.0.0.1:{}\n", servers.port(name))).collect();
    routes += &format!("unlisted.example 127.0.0.1:{}\n", servers.port("unlisted"));
    world.replace("trust/routes.txt", &routes);
    world.reload();
    let mut wire = world.operator.submission(&world.mailbox).await;
    for (name, ..) in &rows {
        let letter = Letter::new(name, b"Bonjour\r\n").by(&world.mailbox.address);
        let reply =
            wire.letter(&world.mailbox.address, &[&format!("x@{name}.example")], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{name}: {wire:?}");
    }
    wire.ask(&format!("MAIL FROM:<{}>", world.mailbox.address), "250").await;
    wire.ask("RCPT TO:<x@unlisted.example>", "550 5.7.1").await;
    servers.wait("every server is tried", |sights| {
        rows.iter().all(|(name, _, (_, _, verdict))| match verdict {
            Delivered => !sights[name].messages.is_empty(),
            Withheld => sights[name].was_tried(),
        })
    });
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(name, version, (_, _, verdict))| {
            fault(&servers.sight(name), version, *verdict).map(|fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(servers.sight("unlisted").opened, 0, "a domain that nobody lists is tried");
    let expected: Vec<(String, &str)> = sorted(
        rows.iter()
            .map(|(name, _, (_, _, verdict))| (format!("x@{name}.example"), state(*verdict)))
            .collect(),
    );
    let queue = until("every attempt is recorded", async || {
        let list = world.operator.cli(&["queue", "list", "--all", "--json"]).json();
        list.as_array().unwrap().iter().all(|entry| entry["state"] != "queued").then_some(list)
    })
    .await;
    assert_eq!(recorded(&queue), expected);
}

/// What a server saw that it must not have, or missed.
fn fault(sight: &ServerSight, version: &str, verdict: Verdict) -> Option<String> {
    let shown = format!("[\"{}\",\"mx.ville.example\"]", version.replace('_', "."));
    let is_well = match verdict {
        Delivered => sight.messages.len() == 1 && !sight.believed && sight.handshakes == [shown],
        Withheld => sight.leaks().is_empty() && sight.messages.is_empty(),
    };
    (!is_well).then(|| format!("{sight:?}"))
}

fn state(verdict: Verdict) -> &'static str {
    match verdict {
        Delivered => "relayed",
        // What could be repaired: nothing here is given up.
        Withheld => "deferred",
    }
}

fn recorded(queue: &Value) -> Vec<(String, &str)> {
    let entries = queue.as_array().unwrap().iter();
    sorted(
        entries
            .map(|entry| (entry["recipient"].as_str().unwrap().to_owned(), entry["state"].as_str().unwrap()))
            .collect(),
    )
}

fn sorted(mut pairs: Vec<(String, &str)>) -> Vec<(String, &str)> {
    pairs.sort();
    pairs
}
