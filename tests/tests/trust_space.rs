//! The trust space keeps itself fresh: lists come from the web, bad ones change nothing, good ones outlive a restart, administrators decide.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use pki::development::DevelopmentPki;
use scenarios::{Certificate, ClientTls, Operator, Page, WebServer, Wire, get, now, until};
use serde_json::Value;

const DAY_SECS: i64 = 86_400;
const DOMAIN: &str = "ville.example";
const PEER: &str = "autre.example";

/// An operator that gets the list of its issuing authority from the web alone, and knows one peer.
fn operator(web: &WebServer) -> (Operator, ClientTls) {
    let operator = Operator::init(DOMAIN);
    let peer = Certificate::issue(&operator.authority(), PEER, now());
    list(&operator, PEER, &peer.subject);
    std::fs::remove_file(operator.file("trust/crl/issuing.pem")).unwrap();
    let url = web.url("/issuing.crl");
    operator.edit("crl_files", &format!("crl_urls = [\"{url}\"]\ncrl_refresh_secs = 1\ncrl_files"));
    let tls = ClientTls::with(&operator.ca_file(), &peer);
    (operator, tls)
}

fn list(operator: &Operator, domain: &str, subject: &str) {
    let file = operator.file("trust/whitelist.txt");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{before}{domain};{subject}\n")).unwrap();
}

/// A list of the operator's authority, dated so many seconds from now.
fn crl(authority: &DevelopmentPki, from_now_secs: i64, revoked: &[&Certificate], number: u64) -> Vec<u8> {
    let serials: Vec<Vec<u8>> = revoked.iter().map(|certificate| certificate.serial.clone()).collect();
    authority.issuing_crl_pem(now().plus_secs(from_now_secs), &serials, number).unwrap().into_bytes()
}

/// The code of the reply to MAIL.
async fn code(operator: &Operator, tls: &ClientTls, domain: &str) -> u16 {
    let mut wire = Wire::mx(operator.ports["smtp"], tls).await;
    wire.send(&format!("MAIL FROM:<a@{domain}>")).await;
    wire.reply().await.code
}

async fn until_code(operator: &Operator, tls: &ClientTls, domain: &str, expected: u16) {
    until(&format!("{expected} for {domain}"), async || {
        (code(operator, tls, domain).await == expected).then_some(())
    })
    .await;
}

fn status(operator: &Operator) -> Value {
    operator.cli(&["trust", "status", "--json"]).json()
}

/// Waits until the status says so.
async fn until_status(operator: &Operator, what: &str, says: impl Fn(&Value) -> bool) -> Value {
    until(what, async || Some(status(operator)).filter(&says)).await
}

fn alarms(status: &Value) -> Vec<&str> {
    status["alarms"].as_array().unwrap().iter().map(|alarm| alarm["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_that_appears_at_its_url_counts_without_a_restart_and_outlives_one_without_network() {
    let web = WebServer::start();
    let (mut operator, tls) = operator(&web);
    operator.serve();
    assert_eq!(code(&operator, &tls, PEER).await, 451, "no list of the issuing authority yet");
    web.serve("/issuing.crl", Page::Whole(crl(&operator.authority(), 0, &[], 7)));
    until_code(&operator, &tls, PEER, 250).await;
    until("a conditional request", async || {
        web.asked("/issuing.crl")
            .iter()
            .any(|asked| asked.status == 304 && asked.if_none_match.is_some())
            .then_some(())
    })
    .await;
    let healthy = status(&operator);
    let source = &healthy["sources"][0];
    assert_eq!((source["number"].as_str(), source["failures"].as_u64()), (Some("07"), Some(0)), "{source}");
    assert!(alarms(&healthy).is_empty(), "{healthy}");
    assert!(operator.cli(&["trust", "status"]).is_success);
    web.serve("/issuing.crl", Page::Down);
    operator.process().terminate();
    operator.serve();
    assert_eq!(code(&operator, &tls, PEER).await, 250, "the list that was kept is in force again");
}

#[tokio::test]
async fn a_list_that_is_not_good_never_replaces_the_one_in_force() {
    let web = WebServer::start();
    let (mut operator, tls) = operator(&web);
    operator.edit("crl_urls", "crl_size_max = 4096\ncrl_urls");
    let authority = operator.authority();
    let good = crl(&authority, 0, &[], 7);
    web.serve("/issuing.crl", Page::Whole(good.clone()));
    operator.serve();
    until_code(&operator, &tls, PEER, 250).await;
    // The same names, another key.
    let foreign = DevelopmentPki::generate(now()).unwrap();
    let elsewhere = web.url("/loop");
    web.serve("/loop", Page::Redirect(elsewhere.clone()));
    let cases = [
        ("forged", Page::Whole(crl(&foreign, 60, &[], 9)), "signature"),
        ("older", Page::Whole(crl(&authority, -DAY_SECS, &[], 6)), "older"),
        ("cut off", Page::CutOff(crl(&authority, 60, &[], 9)), "cut off"),
        ("half a file", Page::Whole(good[..good.len() / 2].to_vec()), "cannot be read"),
        ("no list", Page::Whole(b"<html>".to_vec()), "no revocation list"),
        ("endless", Page::Endless(10_000), "larger than 4096"),
        ("announced huge", Page::Whole(vec![b'x'; 5_000]), "larger than 4096"),
        ("sent in a circle", Page::Redirect(elsewhere), "elsewhere"),
        ("sent to another scheme", Page::Redirect("https://127.0.0.1:1/list".to_owned()), "elsewhere"),
        ("sent to a file", Page::Redirect("file:///etc/passwd".to_owned()), "302"),
        ("gone", Page::Status(404), "404"),
    ];
    for (name, page, cause) in cases {
        web.serve("/issuing.crl", page);
        let told = until_status(&operator, name, |status| {
            status["sources"][0]["last_error"].as_str().is_some_and(|text| text.contains(cause))
        })
        .await;
        assert_eq!(told["sources"][0]["number"], "07", "{name}: {told}");
        assert_eq!(code(&operator, &tls, PEER).await, 250, "{name}");
        web.serve("/issuing.crl", Page::Whole(good.clone()));
        operator.cli(&["trust", "sync", "crl"]).ok();
        until_status(&operator, "the good list again", |status| status["sources"][0]["failures"] == 0).await;
    }
    let (_, metrics) = get(operator.ports["https"], &operator.anonymous(), "/metrics").await;
    for line in [
        "revocation_list_failures_total{cause=\"bad_signature\"} 1",
        "revocation_list_failures_total{cause=\"older\"} 1",
        "revocation_list_failures_total{cause=\"too_large\"} 2",
        "revocation_list_sources_failing 0",
        "trust_alarms 0",
    ] {
        // Failures are repeated until the good list is there again.
        let (name, least) = line.rsplit_once(' ').unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
        assert!(
            value >= least.parse().ok() && (value == Some(0)) == (least == "0"),
            "{line} is not in:\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_revocation_list_in_a_file_is_noticed_without_a_reload() {
    let mut operator = Operator::init(DOMAIN);
    let authority = operator.authority();
    let peer = Certificate::issue(&authority, PEER, now());
    list(&operator, PEER, &peer.subject);
    operator.serve();
    let tls = ClientTls::with(&operator.ca_file(), &peer);
    assert_eq!(code(&operator, &tls, PEER).await, 250);
    std::fs::write(operator.file("trust/crl/issuing.pem"), crl(&authority, 1, &[&peer], 2)).unwrap();
    until("the revocation is in force", async || {
        let status = status(&operator);
        let lists = status["lists"].as_array().unwrap();
        lists.iter().any(|list| list["number"] == "02" && list["entries"] == 1).then_some(())
    })
    .await;
    let mut wire = Wire::connect(operator.ports["smtp"]).await;
    wire.expect("220").await;
    let cause = wire.handshake_is_refused(&tls).await;
    assert!(cause.contains("Revoked"), "{cause}");
}

#[tokio::test]
async fn a_certificate_is_revoked_by_the_list_that_is_fetched_next() {
    let web = WebServer::start();
    let (mut operator, tls) = operator(&web);
    let authority = operator.authority();
    let other = Certificate::issue(&authority, "third.example", now());
    list(&operator, "third.example", &other.subject);
    web.serve("/issuing.crl", Page::Whole(crl(&authority, -60, &[], 1)));
    operator.serve();
    let third = ClientTls::with(&operator.ca_file(), &other);
    until_code(&operator, &third, "third.example", 250).await;
    web.serve("/issuing.crl", Page::Whole(crl(&authority, 0, &[&other], 2)));
    until_status(&operator, "the new list", |status| status["sources"][0]["number"] == "02").await;
    let mut wire = Wire::connect(operator.ports["smtp"]).await;
    wire.expect("220").await;
    let cause = wire.handshake_is_refused(&third).await;
    assert!(cause.contains("Revoked"), "{cause}");
    assert_eq!(code(&operator, &tls, PEER).await, 250, "another certificate is not concerned");
}

#[tokio::test]
async fn past_its_next_update_a_list_defers_and_alarms_unless_there_is_a_grace() {
    let web = WebServer::start();
    let (mut operator, tls) = operator(&web);
    // The lists of the development authority live for thirty days.
    web.serve("/issuing.crl", Page::Whole(crl(&operator.authority(), -30 * DAY_SECS + 15, &[], 1)));
    operator.serve();
    until_code(&operator, &tls, PEER, 250).await;
    web.serve("/issuing.crl", Page::Dribble);
    until_code(&operator, &tls, PEER, 451).await;
    let told =
        until_status(&operator, "the alarm", |status| alarms(status).contains(&"revocation_list_past")).await;
    assert!(told["lists"].as_array().unwrap().iter().any(|list| list["standing"] == "past"), "{told}");
    assert!(!operator.cli(&["trust", "status"]).is_success, "an alarm is an exit code");
    operator.edit("crl_urls", "crl_grace_secs = 3600\ncrl_urls");
    operator.process().signal("HUP");
    until_code(&operator, &tls, PEER, 250).await;
}

#[tokio::test]
async fn a_file_of_pairs_is_noticed_and_the_good_one_outlives_its_loss() {
    let mut operator = Operator::init(DOMAIN);
    operator.edit("whitelist_format", "whitelist_shrink_max_percent = 50\nwhitelist_format");
    let peer = Certificate::issue(&operator.authority(), PEER, now());
    let tls = ClientTls::with(&operator.ca_file(), &peer);
    operator.serve();
    assert_eq!(code(&operator, &tls, PEER).await, 550);
    list(&operator, PEER, &peer.subject);
    until_code(&operator, &tls, PEER, 250).await;
    let changed = operator.cli(&["trust", "diff", "--json"]).json();
    assert_eq!(changed["domains_added"], serde_json::json!([PEER]), "{changed}");
    // Emptied, then gone: neither closes the network, nor does a restart.
    std::fs::write(operator.file("trust/whitelist.txt"), "").unwrap();
    until_status(&operator, "the empty file is refused", |status| {
        status["white_list"]["last_error_label"] == "no_domain"
            && alarms(status).contains(&"white_list_refused")
    })
    .await;
    std::fs::remove_file(operator.file("trust/whitelist.txt")).unwrap();
    operator.process().terminate();
    operator.serve();
    assert_eq!(code(&operator, &tls, PEER).await, 250);
}

#[tokio::test]
async fn a_domain_that_left_is_departing_until_it_is_given_up_or_comes_back() {
    let mut operator = Operator::init(DOMAIN);
    operator.edit("whitelist_format", "whitelist_shrink_max_percent = 50\nwhitelist_format");
    let file = operator.file("trust/whitelist.txt");
    let without = std::fs::read_to_string(&file).unwrap();
    list(&operator, PEER, "CN=mx.autre.example,O=AUTRE,C=FR");
    let with = std::fs::read_to_string(&file).unwrap();
    operator.serve();
    std::fs::write(&file, &without).unwrap();
    let told = until_status(&operator, "the departure", |status| {
        status["departures"][0]["standing"] == "departing" && alarms(status).contains(&"domain_departing")
    })
    .await;
    assert_eq!(told["departures"][0]["domain"], PEER);
    let stranger = operator.cli(&["trust", "give-up", "stranger.example"]);
    assert!(!stranger.is_success && stranger.stderr.contains("did not leave"), "{stranger:?}");
    operator.cli(&["trust", "give-up", PEER, "--reason", "closed"]).ok();
    until_status(&operator, "the domain is given up", |status| {
        status["departures"][0]["standing"] == "departed"
    })
    .await;
    std::fs::write(&file, &with).unwrap();
    until_status(&operator, "the domain is back", |status| {
        status["departures"].as_array().unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_administrator_decides_beside_the_white_list_and_is_obeyed_within_seconds() {
    let mut operator = Operator::init(DOMAIN);
    let authority = operator.authority();
    let (peer, third) =
        (Certificate::issue(&authority, PEER, now()), Certificate::issue(&authority, "third.example", now()));
    list(&operator, PEER, &peer.subject);
    operator.serve();
    let (tls, third_tls) =
        (ClientTls::with(&operator.ca_file(), &peer), ClientTls::with(&operator.ca_file(), &third));
    assert_eq!(code(&operator, &tls, PEER).await, 250);
    let quarantined =
        operator.cli(&["trust", "quarantine", "domain", PEER, "--reason", "an incident", "--json"]).json();
    until_code(&operator, &tls, PEER, 451).await;
    operator.cli(&["trust", "release", &quarantined["id"].to_string()]).ok();
    until_code(&operator, &tls, PEER, 250).await;
    let pem = operator.file("peer.pem");
    std::fs::write(&pem, &peer.chain_pem).unwrap();
    let pem = pem.to_str().unwrap();
    operator.cli(&["trust", "quarantine", "certificate", "--pem", pem, "--reason", "a stolen key"]).ok();
    until_code(&operator, &tls, PEER, 451).await;
    assert_eq!(code(&operator, &third_tls, "third.example").await, 550);
    let soon = rfc3339(now().plus_secs(8).secs());
    operator
        .cli(&[
            "trust",
            "partner",
            "add",
            "third.example",
            &third.subject,
            "--until",
            &soon,
            "--reason",
            "a trial",
        ])
        .ok();
    until_code(&operator, &third_tls, "third.example", 250).await;
    until_code(&operator, &third_tls, "third.example", 550).await;
    let past = operator.cli(&[
        "trust",
        "partner",
        "add",
        "x.example",
        "CN=x",
        "--until",
        "2020-01-01",
        "--reason",
        "late",
    ]);
    assert!(!past.is_success && past.stderr.contains("in the past"), "{past:?}");
    let all = operator.cli(&["trust", "overlay", "--all", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 3, "{all}");
}

fn rfc3339(secs: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn check_says_whether_a_certificate_would_be_accepted_and_why_not() {
    let operator = Operator::init(DOMAIN);
    let authority = operator.authority();
    let peer = Certificate::issue(&authority, PEER, now());
    list(&operator, PEER, &peer.subject.replace("HOPITAL TIERS", "HOPITAL QUART"));
    list(&operator, "good.example", &peer.subject);
    let foreign = Certificate::issue(&DevelopmentPki::generate(now()).unwrap(), PEER, now());
    let revoked = Certificate::issue(&authority, "gone.example", now());
    std::fs::write(operator.file("trust/crl/issuing.pem"), crl(&authority, 0, &[&revoked], 2)).unwrap();
    // The list that `status`, `check` and `diff` judge by is the one that was adopted.
    operator.cli(&["trust", "sync", "whitelist"]).ok();
    let check = |certificate: &Certificate, more: &[&str]| {
        let file = operator.file("check.pem");
        std::fs::write(&file, &certificate.chain_pem).unwrap();
        let done = operator.cli(&[&["trust", "check", file.to_str().unwrap(), "--json"], more].concat());
        (done.is_success, serde_json::from_str::<Value>(&done.stdout).unwrap())
    };
    let (is_accepted, found) = check(&peer, &["--domain", "good.example"]);
    assert!(
        is_accepted && found["verdict"] == "accepted" && found["revocation"]["list_number"] == "02",
        "{found}"
    );
    let (is_accepted, found) = check(&peer, &["--domain", PEER]);
    assert!(!is_accepted && found["verdict"] == "refused", "{found}");
    assert_eq!(found["nearest"]["only_in_the_list"], serde_json::json!(["O=hopital quart"]), "{found}");
    assert_eq!(
        found["nearest"]["only_in_the_certificate"],
        serde_json::json!(["O=hopital tiers"]),
        "{found}"
    );
    let (_, found) = check(&foreign, &[]);
    assert!(found["why"].as_str().unwrap().contains("trusted authority"), "{found}");
    let (_, found) = check(&revoked, &[]);
    assert_eq!(found["revocation"]["state"], "revoked", "{found}");
    std::fs::remove_file(operator.file("trust/crl/issuing.pem")).unwrap();
    let (_, found) = check(&peer, &["--domain", "good.example"]);
    assert_eq!(
        (&found["verdict"], &found["revocation"]["state"]),
        (&"deferred".into(), &"unknown".into()),
        "{found}"
    );
}
