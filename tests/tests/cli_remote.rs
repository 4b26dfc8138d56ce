//! The command line on the local store and on a server: the same commands, the same answers.

use scenarios::{Demo, Finished, Letter, Wire, finish, free_port, program, until};
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
