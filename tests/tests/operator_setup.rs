//! Setting up and running an operator: commands, faults, restarts, signals, pages, logs.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{ClientTls, Demo, Imap, Letter, Operator, Wire, get, until};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const DOMAIN: &str = "ville.example";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

/// Every regular file under a folder.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn fault_keys(operator: &Operator) -> Vec<(String, String)> {
    let checked = operator.cli(&["check-config", "--json"]);
    let faults = checked.json()["faults"].as_array().expect("a list of faults").clone();
    assert_eq!(checked.is_success, faults.is_empty(), "{checked:?}");
    let text = |fault: &Value, key: &str| fault[key].as_str().expect("a text").to_owned();
    faults.iter().map(|fault| (text(fault, "file"), text(fault, "key"))).collect()
}

#[test]
fn init_makes_an_operator_without_fault_and_is_fine_twice() {
    let operator = Operator::init(DOMAIN);
    assert_eq!(fault_keys(&operator), []);
    let before: Vec<Vec<u8>> =
        files(&operator.file("keys")).iter().map(|file| std::fs::read(file).unwrap()).collect();
    let config = std::fs::read(operator.config_file()).unwrap();
    operator.init_again();
    assert_eq!(std::fs::read(operator.config_file()).unwrap(), config);
    assert_eq!(
        files(&operator.file("keys")).iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>(),
        before
    );
    operator.cli(&["migrate"]).ok();
    assert_eq!(operator.cli(&["migrate", "--json"]).json()["migrated"], true);
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let operator = Operator::init(DOMAIN);
    let keys = files(&operator.file("keys"));
    assert!(!keys.is_empty(), "no key was made");
    let others = ["tls/server.key", "trust/development-issuing.key", "vaguemestre.toml"]
        .map(|name| operator.file(name));
    for file in keys.iter().chain(&others) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    for dir in ["", "keys", "tls"] {
        assert_eq!(mode(&operator.file(dir)), 0o700, "{dir}");
    }
}

#[test]
fn commands_are_idempotent_and_print_json() {
    let operator = Operator::init(DOMAIN);
    let created = |arguments: &[&str]| operator.cli(arguments).json()["created"].as_bool();
    assert_eq!(created(&["domain", "add", "autre.example", "--json"]), Some(true));
    assert_eq!(created(&["domain", "add", "autre.example", "--json"]), Some(false));
    let user = ["user", "create", "anne", "--name", "Anne EXEMPLE", "--rpps", "10001234567", "--json"];
    let (first, second) = (operator.cli(&user), operator.cli(&user));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert!(!operator.cli(&["user", "create", "bob", "--rpps", "123"]).is_success);
    let mailbox = [
        "mailbox",
        "create",
        "accueil@ville.example",
        "--kind",
        "organizational",
        "--owner",
        "anne",
        "--json",
    ];
    assert_eq!(created(&mailbox), Some(true));
    assert_eq!(created(&mailbox), Some(false));
    assert!(!operator.cli(&["mailbox", "create", "accueil@ville.example", "--kind", "personal"]).is_success);
    assert!(!operator.cli(&["mailbox", "create", "x@foreign.example", "--kind", "personal"]).is_success);
    assert!(!operator.cli(&["mailbox", "create", "y@ville.example", "--kind", "imaginary"]).is_success);
    operator.cli(&["mailbox", "set-quota", "accueil@ville.example", "2M"]).ok();
    let shown = operator.cli(&["mailbox", "show", "accueil@ville.example", "--json"]).json();
    assert_eq!(
        (shown["quota"]["bytes"].as_u64(), shown["type"].as_str()),
        (Some(2 << 20), Some("organizational"))
    );
    operator.cli(&["mailbox", "delete", "accueil@ville.example"]).ok();
    operator.cli(&["mailbox", "delete", "accueil@ville.example"]).ok();
    let listed = operator.cli(&["mailbox", "list", "--json"]).json();
    assert!(listed.as_array().unwrap().iter().all(|row| row["status"] != "active"), "{listed}");
    assert!(!operator.cli(&["mailbox", "show", "nobody@ville.example"]).is_success);
}

#[test]
fn mailboxes_are_imported_from_csv_and_lines_at_fault_are_named() {
    let operator = Operator::init(DOMAIN);
    let file = operator.file("mailboxes.csv");
    let rows = "address;kind;owner;quota;password\na@ville.example;personal;;10M;first-long-secret\n\
                b@ville.example;nothing;;;\nc@ville.example;cabinet;anne;;\nno address;personal;;;\n";
    std::fs::write(&file, rows).unwrap();
    operator.cli(&["user", "create", "anne"]).ok();
    let import = || operator.cli(&["mailbox", "import", file.to_str().unwrap(), "--json"]);
    let first = import();
    assert!(!first.is_success);
    assert_eq!(first.json()["created"], 2, "{first:?}");
    let lines: Vec<u64> = first.json()["faults"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| fault["line"].as_u64())
        .collect();
    assert_eq!(lines, [3, 5]);
    assert!(!first.stdout.contains("first-long-secret") && !first.stderr.contains("first-long-secret"));
    std::fs::write(&file, rows.replace("nothing", "applicative").replace("no address", "d@ville.example"))
        .unwrap();
    let second = import();
    assert!(second.is_success, "{second:?}");
    assert_eq!((second.json()["created"].as_u64(), second.json()["unchanged"].as_u64()), (Some(2), Some(2)));
}

#[test]
fn check_config_reports_every_fault_at_once_with_file_and_key() {
    let operator = Operator::init(DOMAIN);
    operator.edit("tls = \"implicit\"", "tls = \"none\"");
    operator.edit("[trust]\n", "[trust]\nwhitelst_file = \"x\"\n");
    operator.edit("[routes]\n", "[limits]\nrecipients_max = \"many\"\n[lmits]\na = 1\n[routes]\n");
    let faults = fault_keys(&operator);
    let keys: Vec<&str> = faults.iter().map(|(_, key)| key.as_str()).collect();
    for key in [
        "listeners.submissions.tls",
        "listeners.imaps.tls",
        "trust.whitelst_file",
        "limits.recipients_max",
        "lmits",
    ] {
        assert!(keys.contains(&key), "{key} is not among {keys:?}");
    }
    let file = operator.config_file();
    assert!(faults.iter().all(|(named, _)| Path::new(named) == file), "{faults:?}");
    let text = operator.cli(&["check-config"]);
    assert!(
        text.stdout.contains("trust.whitelst_file") && text.stdout.contains("vaguemestre.toml"),
        "{text:?}"
    );
}

#[test]
fn check_config_looks_into_the_files_that_are_named() {
    let operator = Operator::init(DOMAIN);
    std::fs::remove_file(operator.file("tls/server.key")).unwrap();
    operator.edit("[tls]\n", "[tls]\nsuites = [\"TLS_RSA_WITH_AES_128_CBC_SHA\"]\n");
    std::fs::write(operator.file("trust/anchors.pem"), "no certificate\n").unwrap();
    std::fs::remove_file(operator.file("trust/whitelist.txt")).unwrap();
    let keys: Vec<String> = fault_keys(&operator).into_iter().map(|(_, key)| key).collect();
    for section in ["tls.key", "tls.suites", "trust.anchors", "trust.whitelist_file"] {
        assert!(keys.iter().any(|key| key == section), "{section} is not among {keys:?}");
    }
}

#[test]
fn nothing_starts_on_a_configuration_at_fault() {
    let operator = Operator::init(DOMAIN);
    operator.edit("[routes]\n", "[routes]\nfiel = \"x\"\n");
    let served = operator.cli(&["serve"]);
    assert!(!served.is_success && served.stderr.contains("routes.fiel"), "{served:?}");
}

#[test]
fn a_test_pki_is_refused_in_production_with_its_file_and_the_authority_at_fault() {
    let operator = Operator::init(DOMAIN);
    operator.edit("environment = \"test\"\n", "");
    let checked = operator.cli(&["check-config"]);
    assert!(!checked.is_success, "{checked:?}");
    let served = operator.cli(&["serve"]);
    assert!(!served.is_success, "{served:?}");
    for said in [checked.stdout, served.stderr] {
        assert!(said.contains("anchors.pem") && said.to_uppercase().contains("CN=TEST AC"), "{said}");
    }
}

#[test]
fn a_second_serve_on_the_same_folder_is_refused_and_commands_are_not() {
    let mut operator = Operator::init(DOMAIN);
    operator.serve();
    let second = operator.cli(&["serve"]);
    assert!(!second.is_success && second.stderr.contains("lock"), "{second:?}");
    operator.cli(&["mailbox", "create", "a@ville.example", "--kind", "personal"]).ok();
    operator.cli(&["fsck"]).ok();
    assert!(operator.process().ended().is_none());
}

#[test]
fn the_description_is_private_and_its_paths_are_absolute_and_lead_somewhere() {
    let demo = Demo::shared();
    assert_eq!(mode(&demo.description_file()), 0o600);
    let mut paths = vec![&demo.ca_file, &demo.routes_file, &demo.whitelist_file, &demo.pki.crl_dir];
    paths.extend([&demo.pki.issuing_ca_cert_file, &demo.pki.issuing_ca_key_file]);
    assert_eq!(demo.operators.len(), 2);
    for site in &demo.operators {
        paths.extend([&site.config_file, &site.data_dir, &site.server_cert_file, &site.server_key_file]);
        paths.extend(site.applications.iter().flat_map(|files| [&files.cert_file, &files.key_file]));
        let names: Vec<&str> = site.ports.keys().map(String::as_str).collect();
        assert_eq!(names, ["https", "imap", "imaps", "smtp", "submission", "submissions"]);
        assert!(site.ports.values().all(|port| *port != 0) && !site.admin_token.is_empty());
        assert!(site.hostname.ends_with(&site.domain));
        for kind in ["personal", "organizational", "applicative", "cabinet"] {
            let mailbox = site.mailbox(kind);
            assert_eq!(mailbox.password.is_none(), kind == "applicative", "{}", mailbox.address);
            assert_eq!(mailbox.username.is_none(), kind == "applicative", "{}", mailbox.address);
        }
        let chain = std::fs::read_to_string(&site.server_cert_file).unwrap();
        assert!(chain.matches("BEGIN CERTIFICATE").count() >= 2, "not the full chain");
        assert_eq!(mode(&site.server_key_file), 0o600);
    }
    for path in paths {
        assert!(path.is_absolute() && path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn each_operator_of_the_demo_has_letters_and_a_second_start_finds_all_mail_again() {
    let demo = Demo::start();
    let hugo = demo.north().personal(1).clone();
    let letter = Letter::new("revenante", b"a\r\n");
    let mut wire = Wire::submission(&demo, demo.north(), demo.north().personal(0)).await;
    wire.letter(&demo.north().personal(0).address, &[&hugo.address], &letter.content).await;
    for site in &demo.operators {
        for mailbox in site.mailboxes.iter().filter(|mailbox| mailbox.password.is_some()) {
            let messages = Imap::login(&demo, site, mailbox).await.messages("INBOX").await;
            assert!(messages.len() >= 2, "{} has no letters", mailbox.address);
        }
    }
    let before = Imap::login(&demo, demo.north(), &hugo).await.messages("INBOX").await;
    let certificate = std::fs::read(&demo.north().server_cert_file).unwrap();
    let demo = demo.restarted(
        |process| {
            process.terminate();
        },
        |_| {},
    );
    // The same password, certificate and messages.
    assert_eq!(Imap::login(&demo, demo.north(), &hugo).await.messages("INBOX").await, before);
    assert_eq!(std::fs::read(&demo.north().server_cert_file).unwrap(), certificate);
    assert_eq!(demo.north().personal(1).password, hugo.password);
}

#[tokio::test]
async fn the_demo_touches_no_folder_that_is_not_its_own() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let refused =
        scenarios::run(&["demo", "--data", folder.path().to_str().unwrap(), "--port-base", "0", "--reset"]);
    assert!(!refused.is_success, "{refused:?}");
    assert!(folder.path().join("thesis.tex").exists());
}

#[tokio::test]
async fn sigterm_ends_within_ten_seconds_with_connections_open() {
    let mut demo = Demo::start();
    let north = demo.client(&demo.north().certificate());
    let mut idle = vec![Wire::mx(demo.south().ports["smtp"], &north).await];
    idle.push(Wire::submission(&demo, demo.north(), demo.north().personal(0)).await);
    // One does not even shake hands, one stands within its content, one waits in IDLE, one in keep-alive.
    let mut silent = Wire::connect(demo.south().ports["submission"]).await;
    silent.expect("220").await;
    let _mute = Wire::connect(demo.south().ports["imaps"]).await;
    let mut busy = Wire::mx(demo.south().ports["smtp"], &north).await;
    busy.ask("MAIL FROM:<claire.martin@chu-nord.mssante.test>", "250").await;
    busy.ask("RCPT TO:<paul.moreau@clinique-sud.mssante.test>", "250").await;
    busy.ask("DATA", "354").await;
    busy.send_raw(b"Subject: half\r\n").await;
    let mut imap = Imap::login(&demo, demo.south(), demo.south().personal(0)).await;
    imap.ok("SELECT INBOX").await;
    let took = demo.process().terminate();
    assert!(took < Duration::from_secs(10), "took {took:?}");
    for wire in &mut idle {
        wire.expect("421 4.3.2").await;
        wire.expect_closed().await;
    }
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served_over_https() {
    let demo = Demo::shared();
    for site in &demo.operators {
        let (port, tls) = (site.ports["https"], demo.anonymous());
        assert_eq!(get(port, &tls, "/healthz").await.0, 200);
        assert_eq!(get(port, &tls, "/readyz").await.0, 200);
        assert_eq!(get(port, &tls, "/nothing").await.0, 404);
        let (status, metrics) = get(port, &tls, "/metrics").await;
        assert_eq!(status, 200);
        for name in
            ["queue_entries", "white_list_domains 2", "revocation_lists 2", "certificate_expiry_seconds"]
        {
            assert!(metrics.contains(name), "{name} is not in\n{metrics}");
        }
        assert!(!metrics.contains('@'), "an address in the metrics");
        assert!(metrics.ends_with("# EOF\n"), "OpenMetrics text ends with # EOF");
    }
}

#[tokio::test]
async fn logs_hold_no_address_subject_or_password() {
    let demo = Demo::start();
    let (north, south) = (demo.north(), demo.south());
    let letter =
        Letter::with_fields("journal", "Comments: SujetTresConfidentiel\r\n", b"CorpsTresConfidentiel\r\n");
    let claire = north.personal(0);
    let mut wire = Wire::submission(&demo, north, claire).await;
    let to = ["paul.moreau@clinique-sud.mssante.test", "inconnu.patient@clinique-sud.mssante.test"];
    wire.letter(&claire.address, &to, &letter.content).await;
    wire.ask(&format!("MAIL FROM:<{}>", claire.address), "250").await;
    wire.ask("RCPT TO:<perdu.ailleurs@nowhere.example>", "550").await;
    wire.ask("RSET", "250").await;
    wire.ask("MAIL FROM:<usurpe.identite@chu-nord.mssante.test>", "550").await;
    let mut wire = Wire::implicit(south.ports["submissions"], &demo.anonymous()).await;
    wire.expect("220").await;
    wire.ask("EHLO client.example", "250").await;
    wire.ask("AUTH PLAIN AHBhdWwubW9yZWF1AE1vdERlUGFzc2VTZWNyZXQ=", "535").await;
    let mut wire = Wire::mx(south.ports["smtp"], &demo.client(&north.certificate())).await;
    wire.ask("MAIL FROM:<fausse.adresse@clinique-sud.mssante.test>", "550").await;
    wire.ask("MAIL FROM:<claire.martin@chu-nord.mssante.test>", "250").await;
    wire.ask("RCPT TO:<inconnu.patient@clinique-sud.mssante.test>", "550").await;
    wire.ask("FROB claire.martin@chu-nord.mssante.test", "500").await;
    let mut imap = Imap::login(&demo, south, south.personal(0)).await;
    imap.letter(&letter.marker).await;
    imap.command("LOGIN paul.moreau MotDePasseSecret").await;
    let mut imap = Imap::connect(south.ports["imaps"], &demo.anonymous()).await;
    let refused = imap.command("LOGIN inconnu.patient MotDePasseSecret").await;
    assert!(refused.status.starts_with("NO"), "{imap:?}");
    let mut imap = Imap::login(&demo, north, claire).await;
    until("the bounce", async || (imap.letters(&letter.marker).await.len() == 1).then_some(())).await;
    demo.reload();
    let log = demo.log();
    assert!(log.contains("refused") && log.contains("login failed"), "the log tells nothing:\n{log}");
    let mut secrets: Vec<String> = [
        "SujetTresConfidentiel",
        "CorpsTresConfidentiel",
        "MotDePasseSecret",
        "Lettre",
        letter.marker.as_str(),
    ]
    .map(str::to_owned)
    .to_vec();
    let strangers = ["inconnu.patient", "perdu.ailleurs", "usurpe.identite", "fausse.adresse"];
    let local_parts = demo
        .operators
        .iter()
        .flat_map(|site| &site.mailboxes)
        .map(|mailbox| mailbox.address.split('@').next().unwrap());
    secrets.extend(local_parts.chain(strangers).map(str::to_owned));
    for site in &demo.operators {
        secrets.extend(site.mailboxes.iter().filter_map(|mailbox| mailbox.password.clone()));
        secrets.push(site.admin_token.clone());
    }
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "`{secret}` is in the log: {}", line.unwrap_or_default());
    }
    for line in log.lines() {
        assert!(
            serde_json::from_str::<Value>(line).is_ok_and(|value| value["level"].is_string()),
            "not a JSON line: {line}"
        );
    }
}

#[tokio::test]
async fn an_operator_set_up_by_hand_serves_mail() {
    let mut operator = Operator::init(DOMAIN);
    operator.serve();
    let arguments = ["mailbox", "create", "a@ville.example", "--kind", "personal", "--password-stdin"];
    operator.cli_with_input(&arguments, "correct-horse-battery\n").ok();
    let tls = ClientTls::anonymous(&operator.ca_file());
    let mut wire = Wire::implicit(operator.ports["submissions"], &tls).await;
    wire.expect("220 mx.ville.example").await;
    wire.ask("EHLO client.example", "250").await;
    wire.ask("AUTH PLAIN AGFAdmlsbGUuZXhhbXBsZQBjb3JyZWN0LWhvcnNlLWJhdHRlcnk=", "235").await;
    let letter = Letter::new("main", b"a\r\n").by("a@ville.example");
    let reply = wire.letter("a@ville.example", &["a@ville.example"], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
    let mut imap = Imap::connect(operator.ports["imaps"], &tls).await;
    imap.ok("LOGIN a@ville.example correct-horse-battery").await;
    assert_eq!(imap.letters(&letter.marker).await.len(), 1);
    operator.process().terminate();
    operator.cli(&["fsck"]).ok();
}

#[test]
fn help_tells_the_defaults() {
    let help = scenarios::run(&["demo", "--help"]).ok();
    for text in ["--data", "--port-base", "--describe", "--reset", "14300", "demo-data"] {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
}
