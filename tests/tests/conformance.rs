//! The auditing operator: finds a server in order that is, and finds out one that is not.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Demo, FakeServer, Finished, Script, free_port, run};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// How many MX servers the auditor runs.
const SERVERS: u16 = 17;

/// The first of as many free ports.
fn free_ports() -> u16 {
    let (mut first, mut last) = (free_port(), 0);
    while last + 1 < first + SERVERS {
        let port = free_port();
        if last > 0 && port != last + 1 || last == 0 && port != first + 1 {
            (first, last) = (port, 0);
        } else {
            last = port;
        }
    }
    first
}

fn prepare(demo: &Demo, pack: &Path) {
    let (description, base) = (demo.description_file(), free_ports().to_string());
    let [description, pack] = [&description, pack].map(|path| path.to_str().unwrap());
    run(&["conformance", "prepare", "--demo", description, "--out", pack, "--mail-port-base", &base]).ok();
}

fn audit(demo: &Demo, pack: &Path) -> Finished {
    let description = demo.description_file();
    let [description, pack] = [&description, pack].map(|path| path.to_str().unwrap());
    run(&["conformance", "run", "--json", "--demo", description, "--pack", pack])
}

/// Case and direction of each finding with this outcome.
fn cases(report: &Value, outcome: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["outcome"] == outcome)
        .map(|finding| {
            format!("{} {}", finding["direction"].as_str().unwrap(), finding["case"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_demo_conforms_in_every_case_and_not_before_it_has_loaded_what_it_must() {
    let (demo, folder) = (Demo::start(), TempDir::new().unwrap());
    let pki = demo.ca_file.parent().unwrap().to_str().unwrap();
    let (mx, recipient) =
        (format!("127.0.0.1:{}", demo.north().ports["smtp"]), &demo.north().personal(0).address);
    // A pack whose lists nobody gave to the demo, which looks at its files every few seconds.
    let unknown = folder.path().join("unknown").to_str().unwrap().to_owned();
    run(&["conformance", "prepare", "--pki", pki, "--out", &unknown]).ok();
    let target = ["--target", &mx, "--recipient", recipient, "--pack", &unknown];
    let early = run(&[&["conformance", "run", "--json"], target.as_slice()].concat());
    let failed = cases(&early.json(), "fail");
    assert!(!early.is_success, "{early:?}");
    for case in
        ["inbound cert-valide-audit", "inbound cert-revoque-audit", "inbound tests-operateur (message)"]
    {
        assert!(failed.iter().any(|failed| failed == case), "{case} passed before it was loaded: {failed:?}");
    }
    let pack = folder.path().join("audit");
    prepare(&demo, &pack);
    demo.reload();
    let report = audit(&demo, &pack);
    let json = report.json();
    assert_eq!(cases(&json, "fail"), Vec::<String>::new(), "{}", report.stdout);
    assert_eq!(cases(&json, "skipped"), Vec::<String>::new());
    assert!(report.is_success && cases(&json, "pass").len() >= 39, "{}", report.stdout);
}

#[tokio::test]
async fn a_server_that_checks_nothing_is_found_out() {
    let (demo, folder) = (Demo::shared(), TempDir::new().unwrap());
    let pack = folder.path().join("audit");
    let pki = demo.ca_file.parent().unwrap().to_str().unwrap().to_owned();
    let told = run(&["conformance", "prepare", "--pki", &pki, "--out", pack.to_str().unwrap()]).ok();
    assert!(told.contains("cert-valide-audit") && told.contains("127.0.0.1:14400"), "{told}");
    let server = FakeServer::start(&demo.certificate("third.example"), Script::default()).await;
    let (target, pack) = (format!("127.0.0.1:{}", server.port), pack.to_str().unwrap().to_owned());
    let arguments = ["conformance", "run", "--json", "--target", &target, "--pack", &pack].map(str::to_owned);
    let report =
        tokio::task::spawn_blocking(move || run(&arguments.each_ref().map(String::as_str))).await.unwrap();
    let json = report.json();
    assert!(!report.is_success && json["pass"] == false, "{}", report.stdout);
    let failed = cases(&json, "fail");
    for case in [
        "cert-expire-audit",
        "cert-revoque-audit",
        "cert-non-igc-audit",
        "cert-cn-diff-dn-audit",
        "cert-futur-audit",
        "cert-imitation-audit",
        "cert-autosigne-audit",
        "cert-autre-domaine-audit",
        "hors-liste-audit",
        "sans-tls-audit",
        "no certificate",
        "null sender",
    ] {
        assert!(failed.contains(&format!("inbound {case}")), "{case} was not found out: {failed:?}");
    }
    assert_eq!(json["skipped"], 19, "the outbound half and two messages: {}", report.stdout);
}
