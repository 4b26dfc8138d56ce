//! The command line on the local store and on a server: the same commands, the same answers.

use scenarios::{Certificate, Demo, Finished, Letter, Wire, finish, free_port, now, program, until};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where a command is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Local,
    Remote,
}

/// An administrator's machine, which is also that of the demo.
struct Desk {
    demo: Demo,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { demo: Demo::start(), folder: TempDir::new().expect("a temporary folder") };
        desk.file("key", &desk.demo.north().admin_token, 0o600);
        desk
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a file of the desk");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a file of the desk");
        file
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.demo.north().ports["https"])
    }

    fn at(&self, door: Door, arguments: &[&str]) -> Command {
        let north = self.demo.north();
        let mut command = Command::new(program());
        command.args(arguments).env("LANG", "en_GB.UTF-8").env_remove("LC_ALL").env_remove("LC_MESSAGES");
        match door {
            Door::Local => command.arg("--config").arg(&north.config_file),
            Door::Remote => command
                .args(["--url", &self.url()])
                .arg("--key-file")
                .arg(self.key_file())
                .arg("--ca-file")
                .arg(self.ca_file()),
        };
        command
    }

    fn ca_file(&self) -> &Path {
        &self.demo.ca_file
    }

    fn run(&self, door: Door, arguments: &[&str]) -> Finished {
        finish(&mut self.at(door, arguments), "")
    }

    fn json(&self, door: Door, arguments: &[&str]) -> Value {
        let done = self.run(door, &[arguments, &["--json"]].concat());
        assert!(done.is_success, "{done:?}");
        done.json()
    }
}

const DOORS: [Door; 2] = [Door::Local, Door::Remote];

#[test]
fn domains_are_kept_by_either_door() {
    let desk = Desk::new();
    for (door, domain) in DOORS.into_iter().zip(["ici.example", "ailleurs.example"]) {
        assert_eq!(desk.json(door, &["domain", "add", domain])["created"], true);
        assert_eq!(desk.json(door, &["domain", "add", domain])["created"], false);
        let set = desk.json(door, &["domain", "set", domain, "--allocation-max", "5G"]);
        assert_eq!(set["allocationMaxBytes"], 5_u64 << 30);
        let set = desk.json(door, &["domain", "set", domain, "--allocation-max", "none"]);
        assert_eq!(set["allocationMaxBytes"], Value::Null);
        assert_eq!(desk.json(door, &["domain", "show", domain])["name"], domain);
    }
    let listed = DOORS.map(|door| desk.run(door, &["domain", "list"]).ok());
    assert_eq!(listed[0], listed[1]);
    for domain in ["ici.example", "ailleurs.example", &desk.demo.north().domain] {
        assert!(listed[0].lines().any(|line| line == domain), "{domain}: {}", listed[0]);
    }
    let [local, remote] = DOORS.map(|door| desk.json(door, &["service"]));
    assert_eq!(local, remote);
}

#[test]
fn any_operation_is_asked_for_by_name() {
    let desk = Desk::new();
    for (door, domain) in DOORS.into_iter().zip(["ici.example", "ailleurs.example"]) {
        let new = desk.file("new.json", &json!({"name": domain}).to_string(), 0o600);
        let data = format!("@{}", new.display());
        let added = desk.run(door, &["api", "POST", "/domains", "--data", &data, "--include"]).ok();
        assert!(added.starts_with("HTTP 201"), "{added}");
        let etag = added.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").to_owned();
        let path = format!("/api/v1/domains/{domain}");
        let if_match = format!("If-Match: {etag}");
        let change = ["api", "PATCH", &path, "--header", &if_match, "--data", "-"];
        let changed = finish(&mut desk.at(door, &change), r#"{"allocationMaxBytes": 7}"#);
        assert_eq!(changed.json()["allocationMaxBytes"], 7, "{changed:?}");
        let late = finish(&mut desk.at(door, &change), "{}");
        assert!(late.code == Some(1) && late.stderr.contains("precondition_failed"), "{late:?}");
    }
}

#[test]
fn a_refusal_is_told_in_the_language_of_the_account() {
    let desk = Desk::new();
    for door in DOORS {
        let arguments = ["api", "GET", "/domains?limit=0"];
        let english = desk.run(door, &arguments);
        assert_eq!((english.code, english.stdout.as_str()), (Some(1), ""));
        assert!(english.stderr.contains("limit: must be between"), "{english:?}");
        let french = finish(desk.at(door, &arguments).env("LC_ALL", "fr_FR.UTF-8"), "");
        assert!(french.stderr.contains("limit: doit être entre"), "{french:?}");
        let problem = desk.run(door, &[&arguments[..], &["--json"]].concat());
        let problem: Value = serde_json::from_str(&problem.stderr).unwrap();
        assert_eq!(problem["code"], "invalid_parameter");
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_told_with_the_way_out() {
    let desk = Desk::new();
    let list = ["domain", "list"];
    let told = |done: Finished, code: i32, words: &str| {
        assert!(done.code == Some(code) && done.stderr.contains(words), "{words}: {done:?}");
        assert!(!done.stderr.contains(&desk.demo.north().admin_token) && done.stdout.is_empty(), "{done:?}");
    };
    desk.file("key", "guessed", 0o600);
    told(desk.run(Door::Remote, &list), 1, "unauthenticated");
    desk.file("key", &desk.demo.north().admin_token, 0o640);
    told(desk.run(Door::Remote, &list), 2, "chmod 600");
    desk.file("key", &desk.demo.north().admin_token, 0o600);
    let plain = |arguments: &[&str]| finish(Command::new(program()).args(arguments), "");
    let (key, ca) = (desk.key_file(), desk.ca_file());
    let (key, ca) = (key.to_str().unwrap(), ca.to_str().unwrap());
    let closed = format!("https://localhost:{}", free_port());
    told(
        plain(&["domain", "list", "--url", &closed, "--key-file", key, "--ca-file", ca]),
        1,
        "cannot be reached",
    );
    told(plain(&["domain", "list", "--url", &desk.url(), "--key-file", key]), 1, "UnknownIssuer");
    told(plain(&["domain", "list", "--url", &desk.url(), "--ca-file", ca]), 2, "--key-file");
    let clear = desk.url().replace("https", "http");
    told(plain(&["domain", "list", "--url", &clear, "--key-file", key]), 2, "https://HOST");
    told(plain(&["serve", "--url", &desk.url()]), 2, "this machine only");
}

#[test]
fn the_environment_names_a_server_too() {
    let desk = Desk::new();
    let mut command = Command::new(program());
    command
        .args(["domain", "list"])
        .env("VAGUEMESTRE_URL", desk.url())
        .env("VAGUEMESTRE_KEY_FILE", desk.key_file())
        .env("VAGUEMESTRE_CA_FILE", desk.ca_file());
    assert!(finish(&mut command, "").ok().contains(&desk.demo.north().domain));
}

#[tokio::test]
async fn the_queue_is_worked_on_by_either_door() {
    let desk = Desk::new();
    let (third, sender) = (desk.demo.certificate("third.example"), desk.demo.north().personal(0));
    desk.demo.list("third.example", &third.subject);
    desk.demo.route("third.example", free_port());
    desk.demo.reload();
    for door in DOORS {
        let mut wire = Wire::submission(&desk.demo, desk.demo.north(), sender).await;
        let letter = Letter::new("en souffrance", b"a\r\n");
        wire.letter(&sender.address, &["a@third.example"], &letter.content).await;
        let waiting = desk.json(door, &["queue", "list", "--domain", "third.example"]);
        let id = waiting[0]["id"].as_str().expect("an entry waits").to_owned();
        until("an attempt", async || {
            (desk.json(door, &["queue", "show", &id])["state"] == "deferred").then_some(())
        })
        .await;
        assert_eq!(desk.json(door, &["queue", "hold", &id])["state"], "held");
        assert_eq!(desk.json(door, &["queue", "list", "--state", "held"])[0]["id"], id.as_str());
        assert_eq!(desk.json(door, &["queue", "release", "--domain", "third.example"])["entries"], 1);
        until("the attempt has ended", async || {
            desk.run(door, &["queue", "hold", &id]).is_success.then_some(())
        })
        .await;
        let silent = desk.run(door, &["queue", "drop", &id]);
        assert!(silent.code == Some(1) && silent.stderr.contains("Reason"), "{silent:?}");
        desk.run(door, &["queue", "drop", &id, "--reason", "sent by mistake"]).ok();
        assert_eq!(desk.json(door, &["queue", "list"]), json!([]));
        let shown = desk.run(door, &["queue", "show", &id]).ok();
        assert!(shown.lines().any(|line| line.starts_with("state") && line.ends_with("dropped")), "{shown}");
    }
    for door in DOORS {
        assert_eq!(desk.json(door, &["job", "list"]), json!([]));
        assert_eq!(desk.run(door, &["job", "show", "1"]).code, Some(1));
    }
}

#[tokio::test]
async fn the_journal_is_read_by_either_door() {
    let desk = Desk::new();
    let mut wire = Wire::mx(desk.demo.north().ports["smtp"], &desk.demo.anonymous()).await;
    wire.ask("MAIL FROM:<a@unlisted.example>", "550 5.7.1").await;
    let local = until("a judgement in the journal", async || {
        let rows = desk.json(Door::Local, &["journal", "--limit", "1000"]);
        rows.as_array()
            .is_some_and(|rows| rows.iter().any(|row| row["reason"] == "no_certificate"))
            .then_some(rows)
    })
    .await;
    assert_eq!(desk.json(Door::Remote, &["journal", "--limit", "1000"]), local);
    assert_eq!(desk.json(Door::Remote, &["journal", "--limit", "1"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn delegations_are_given_changed_and_taken_by_either_door() {
    let desk = Desk::new();
    let north = desk.demo.north();
    let (mailbox, user) = (&north.personal(0).address, &north.personal(1).address);
    for door in DOORS {
        let given = desk
            .json(door, &["delegation", "give", mailbox, user, "--role", "write", "--until", "2099-01-31"]);
        assert_eq!(
            (&given["role"], &given["expiresAt"]),
            (&json!("write"), &json!("2099-01-31T23:59:59.000Z"))
        );
        let again = desk.run(door, &["delegation", "give", mailbox, user, "--role", "read"]);
        assert!(again.code == Some(1) && again.stderr.contains("conflict"), "{again:?}");
        let changed =
            desk.json(door, &["delegation", "change", mailbox, user, "--role", "read", "--until", "none"]);
        assert_eq!((&changed["role"], &changed["expiresAt"]), (&json!("read"), &Value::Null));
        let of_mailbox = desk.json(door, &["delegation", "list", mailbox]);
        assert_eq!(of_mailbox, desk.json(door, &["delegation", "list", "--user", user]));
        assert_eq!(of_mailbox[0], desk.json(door, &["delegation", "show", mailbox, user]));
        assert_eq!(desk.json(door, &["delegation", "take", mailbox, user])["taken"], true);
        assert_eq!(desk.json(door, &["delegation", "list", mailbox]), json!([]));
        assert_eq!(desk.run(door, &["delegation", "take", mailbox, user]).code, Some(1));
    }
}

const RPPS: [&str; 2] = ["10001234565", "10001234573"];
const FINESS: &str = "010001238";

#[test]
fn mailboxes_live_by_either_door() {
    let desk = Desk::new();
    let domain = &desk.demo.north().domain;
    for (door, rpps) in DOORS.into_iter().zip(RPPS) {
        let address = format!("jeanne.{rpps}@{domain}");
        let new = ["mailbox", "create", &address, "--kind", "personal", "--rpps", rpps];
        let named = ["--first-name", "Jeanne", "--last-name", "Moreau", "--quota", "2G", "--request"];
        let asked = desk.json(door, &[&new[..], &named].concat());
        assert_eq!((&asked["created"], &asked["workflow"]), (&json!(true), &json!("requested")));
        assert_eq!(
            desk.json(door, &["mailbox", "list", "--status", "pending", "--search", rpps])[0]["email"],
            address.as_str()
        );
        for (step, workflow) in [("validate", "validated"), ("complete", "created"), ("publish", "published")]
        {
            assert_eq!(desk.json(door, &["mailbox", step, &address])["workflow"], workflow);
        }
        for (step, status) in [("activate", "active"), ("suspend", "suspended"), ("activate", "active")] {
            assert_eq!(desk.json(door, &["mailbox", step, &address])["status"], status);
        }
        assert_eq!(desk.json(door, &["mailbox", "hide", &address])["hideFromDirectory"], true);
        assert_eq!(desk.json(door, &["mailbox", "unhide", &address])["hideFromDirectory"], false);
        assert_eq!(desk.json(door, &["mailbox", "set-quota", &address, "3G"])["quota"]["bytes"], 3_u64 << 30);
        let changed = desk
            .json(door, &["mailbox", "change", &address, "--finess", FINESS, "--organization", "CHU Nord"]);
        assert_eq!(changed["organization"]["finess"], FINESS);
        assert_eq!(desk.json(door, &["mailbox", "show", &address])["quota"]["bytes"], 3_u64 << 30);
        for _ in 0..2 {
            assert_eq!(desk.json(door, &["mailbox", "delete", &address])["status"], "deleted");
        }
        assert_eq!(desk.json(door, &["mailbox", "restore", &address])["status"], "active");
        let faulty = desk.run(
            door,
            &["mailbox", "create", &format!("x{address}"), "--kind", "personal", "--rpps", "10001234567"],
        );
        assert!(faulty.code == Some(1) && faulty.stderr.contains("/owner/rpps"), "{faulty:?}");
    }
    let [local, remote] = DOORS.map(|door| desk.json(door, &["mailbox", "list", "--sort", "-usedBytes"]));
    assert_eq!(local, remote);
}

#[test]
fn a_mailbox_that_is_there_with_another_quota_is_not_taken_for_the_one_that_is_asked_for() {
    let desk = Desk::new();
    let address = format!("anne@{}", desk.demo.north().domain);
    let create = |quota: &str| {
        desk.run(Door::Local, &["mailbox", "create", &address, "--kind", "personal", "--quota", quota])
    };
    assert!(create("1G").is_success && create("1G").is_success);
    let other = create("2G");
    assert!(other.code == Some(1) && other.stderr.contains("set-quota"), "{other:?}");
}

#[test]
fn many_mailboxes_are_imported_by_either_door() {
    let desk = Desk::new();
    let domain = &desk.demo.north().domain;
    for (door, name) in DOORS.into_iter().zip(["ici", "ailleurs"]) {
        let rows = format!(
            "address;kind;finess;organization;first-name;last-name;application\n\
             paul.{name}@{domain};personal;{FINESS};CHU Nord;Paul;Petit;\nrobot.{name}@{domain};applicative;{FINESS};;;;DPI\n\
             faux.{name}@{domain};applicative;010001239;;;;DPI\n"
        );
        let file = desk.file("mailboxes.csv", &rows, 0o600);
        let done = desk.run(door, &["mailbox", "import", file.to_str().unwrap(), "--json"]);
        assert_eq!((done.code, &done.json()["created"]), (Some(1), &json!(2)), "{done:?}");
        let faults = done.json()["faults"].clone();
        assert!(
            faults[0]["line"] == 4 && faults[0]["fault"].as_str().unwrap().contains("finess"),
            "{faults}"
        );
    }
}

#[test]
fn persons_are_entered_changed_and_barred_by_either_door() {
    let desk = Desk::new();
    for (door, rpps) in DOORS.into_iter().zip(RPPS) {
        let login = format!("claire.{rpps}");
        let create =
            ["user", "create", &login, "--first-name", "Claire", "--last-name", "Martin", "--rpps", rpps];
        assert_eq!(desk.json(door, &create)["rpps"], rpps);
        assert_eq!(desk.json(door, &create)["login"], login.as_str());
        assert_eq!(
            desk.json(door, &["user", "change", &login, "--profession", "Médecin"])["profession"],
            "Médecin"
        );
        assert_eq!(desk.json(door, &["user", "disable", &login])["status"], "disabled");
        assert_eq!(
            desk.json(door, &["user", "list", "--status", "disabled", "--rpps", rpps])[0]["login"],
            login.as_str()
        );
        assert_eq!(desk.json(door, &["user", "enable", &login])["status"], "active");
        assert_eq!(desk.json(door, &["user", "show", &login])["firstName"], "Claire");
    }
}

#[test]
fn passwords_and_keys_are_shown_once_by_either_door() {
    let desk = Desk::new();
    let user = &desk.demo.north().personal(0).address;
    for (door, name) in DOORS.into_iter().zip(["ici", "ailleurs"]) {
        let made = desk.json(door, &["password", "create", user, "--label", name, "--until", "2099-01-31"]);
        let (id, secret) = (made["id"].as_str().unwrap(), made["password"].as_str().unwrap());
        let listed = desk.run(door, &["password", "list", user]).ok();
        assert!(listed.contains(name) && !listed.contains(secret), "{listed}");
        desk.run(door, &["password", "revoke", user, id]).ok();
        let mail =
            ["password", "create", user, "--label", "mail", "--protocol", "imap", "--protocol", "submission"];
        let made = desk.json(door, &mail);
        assert_eq!(made["protocols"], json!(["imap", "submission"]));
        assert!(desk.run(door, &["password", "list", user]).ok().contains("imap, submission"));
        desk.run(door, &["password", "revoke", user, made["id"].as_str().unwrap()]).ok();
        assert!(!desk.run(door, &["password", "list", user]).ok().contains(name));
        let role = format!("domain:{}", desk.demo.north().domain);
        let made = desk.json(door, &["key", "create", name, "--role", &role, "--scope", "mailboxes:read"]);
        let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        let file = desk.file(name, secret, 0o600);
        let with_it = |path: &str| {
            let mut command = Command::new(program());
            command.args(["api", "GET", path, "--url", &desk.url(), "--key-file"]).arg(&file);
            finish(command.arg("--ca-file").arg(desk.ca_file()), "")
        };
        with_it("/mailboxes").ok();
        assert!(with_it("/users").stderr.contains("forbidden"), "narrowed to mailboxes:read");
        let listed = desk.run(door, &["key", "list"]).ok();
        assert!(listed.contains(&role) && !listed.contains(secret), "{listed}");
        assert_eq!(desk.json(door, &["key", "change", id, "--until", "2099-01-31"])["name"], name);
        let rotated = desk.json(door, &["key", "rotate", id]);
        assert_ne!(rotated["key"], secret);
        assert!(with_it("/mailboxes").stderr.contains("unauthenticated"), "the former secret");
        desk.run(door, &["key", "revoke", id]).ok();
        assert_eq!(desk.run(door, &["key", "show", id]).code, Some(1));
    }
}

#[test]
fn trust_is_seen_and_decided_on_a_server() {
    let desk = Desk::new();
    let (door, peer) = (Door::Remote, desk.demo.south().domain.clone());
    let pem = desk.demo.south().server_cert_file.to_str().unwrap();
    assert_eq!(desk.json(door, &["trust", "status"])["alarms"], json!([]));
    assert_eq!(desk.json(door, &["trust", "check", pem, "--domain", &peer])["verdict"], "accepted");
    assert_eq!(desk.run(door, &["trust", "check", pem, "--domain", "other.example"]).code, Some(1));
    let ruling = desk.json(
        door,
        &["trust", "quarantine", "domain", &peer, "--reason", "an incident", "--until", "2099-01-31"],
    );
    assert_eq!(desk.json(door, &["trust", "overlay"])[0]["id"], ruling["id"]);
    let id = ruling["id"].as_str().unwrap();
    desk.run(door, &["trust", "release", id, "--reason", "it is over"]).ok();
    assert_eq!(desk.json(door, &["trust", "overlay"]), json!([]));
    desk.run(
        door,
        &[
            "trust",
            "partner",
            "add",
            "partner.example",
            "--pem",
            pem,
            "--until",
            "2099-01-31",
            "--reason",
            "a trial",
        ],
    )
    .ok();
    assert_eq!(desk.json(door, &["trust", "overlay"])[0]["kind"], "partner");
    for door in DOORS {
        let entries = desk.json(door, &["trust", "entries", "--search", &peer]);
        assert_eq!(entries[0]["domain"], peer.as_str());
    }
    let synced = desk.run(door, &["trust", "sync", "whitelist", "--json"]);
    assert_eq!(synced.json()["whitelist"]["state"], "succeeded", "{synced:?}");
}

#[test]
fn certificates_applications_and_counters_are_kept_on_a_server() {
    let desk = Desk::new();
    let (door, north) = (Door::Remote, desk.demo.north());
    let own = desk.json(door, &["certificate", "list"]);
    assert!(own.as_array().unwrap().iter().any(|row| row["holder"] == "own"), "{own}");
    let pem = desk.demo.south().server_cert_file.to_str().unwrap();
    let id =
        desk.json(door, &["certificate", "add", pem, "--note", "a trial"])["id"].as_str().unwrap().to_owned();
    assert_eq!(
        desk.json(door, &["certificate", "note", &id, "revoked on Monday"])["note"],
        "revoked on Monday"
    );
    assert_eq!(desk.json(door, &["certificate", "withdraw", &id])["status"], "withdrawn");
    desk.run(door, &["certificate", "check"]).ok();
    let cert = desk.demo.certificate("app.example");
    let pem = desk.file("app.pem", &cert.chain_pem, 0o600);
    let address = &north.personal(0).address;
    desk.run(door, &["application", "create", "labo"]).ok();
    let pem = pem.to_str().unwrap();
    desk.run(door, &["application", "certificate", "add", "labo", "--pem", pem, "--until", "2099-01-31"])
        .ok();
    desk.run(door, &["application", "grant", "labo", address, "--role", "write"]).ok();
    let shown = desk.json(door, &["application", "show", "labo"]);
    assert_eq!(shown["mailboxes"][0]["email"], address.as_str(), "{shown}");
    let rule = shown["rules"][0]["id"].as_str().unwrap();
    desk.run(door, &["application", "certificate", "remove", "labo", rule]).ok();
    desk.run(door, &["application", "revoke", "labo", address]).ok();
    for door in DOORS {
        let roles = desk.json(door, &["application", "set-roles", "labo", "--role", "auditor"]);
        assert_eq!(roles, desk.json(door, &["application", "roles", "labo"]));
        assert!(desk.json(door, &["statistics"])["total"].is_object());
    }
    for (door, names) in DOORS.into_iter().zip([["labo", "lab"], ["lab", "laboratoire"]]) {
        let taken = desk.run(door, &["application", "rename", names[0], &north.applications[0].name]);
        assert!(taken.code == Some(1) && taken.stderr.contains("of that name already"), "{taken:?}");
        desk.run(door, &["application", "rename", names[0], names[1]]).ok();
        assert_eq!(desk.run(door, &["application", "show", names[0]]).code, Some(1));
    }
    desk.run(door, &["application", "delete", "laboratoire"]).ok();
    assert_eq!(desk.run(door, &["application", "show", "laboratoire"]).code, Some(1));
}

/// An operation is told apart from a path that is not there by what it answers to a key that is worth nothing.
#[test]
fn every_operation_of_the_description_is_reached_by_a_command() {
    let desk = Desk::new();
    let description = desk.run(Door::Remote, &["api", "GET", "/openapi.json"]).json();
    assert_eq!(description["paths"], desk.run(Door::Local, &["api", "GET", "/openapi.json"]).json()["paths"]);
    desk.file("key", "guessed", 0o600);
    let mut reached = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let methods =
            ["get", "post", "put", "patch", "delete"].into_iter().filter(|method| item[*method].is_object());
        for method in methods {
            let place = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
            let place = place.collect::<Vec<_>>().join("/");
            let done = desk.run(Door::Remote, &["api", &method.to_uppercase(), &place]);
            assert!(done.is_success || done.stderr.contains("unauthenticated"), "{method} {path}: {done:?}");
            reached += 1;
        }
    }
    assert!(reached > 20, "{reached} operations are described");
}

#[test]
fn a_certificate_opens_what_its_application_administers_until_its_date() {
    let desk = Desk::new();
    let authority = desk.demo.authority();
    let shown = |certificate: &Certificate| {
        let chain = desk.file("console.pem", &certificate.chain_pem, 0o600);
        let key = desk.file("console.key", &certificate.key_pem, 0o600);
        let mut command = Command::new(program());
        command
            .args(["domain", "list", "--url", &desk.url(), "--cert-file"])
            .arg(chain)
            .arg("--cert-key-file")
            .arg(key);
        finish(command.arg("--ca-file").arg(desk.ca_file()), "")
    };
    let certificate = Certificate::issue_application(&authority, "console", "console@example.invalid");
    assert!(shown(&certificate).stderr.contains("unauthenticated"));
    let pem = desk.file("application.pem", &certificate.chain_pem, 0o600);
    desk.run(Door::Local, &["application", "create", "console"]).ok();
    desk.run(Door::Local, &["application", "certificate", "add", "console", "--pem", pem.to_str().unwrap()])
        .ok();
    desk.run(Door::Local, &["application", "set-roles", "console", "--role", "operator"]).ok();
    assert!(shown(&certificate).ok().contains(&desk.demo.north().domain));
    let begin = now().plus_secs(-4 * 365 * 86_400);
    let expired = Certificate::issue_application_at(&authority, "console", "console@example.invalid", begin);
    let refused = shown(&expired);
    assert!(refused.code == Some(1) && refused.stdout.is_empty(), "{refused:?}");
}
