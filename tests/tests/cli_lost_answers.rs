//! The command line when the connection to the server is lost: nothing is done twice.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Demo, Finished, HttpsDoor, Lost, Passed, finish, program};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// An administrator's machine behind a bad line.
struct Desk {
    demo: Demo,
    door: HttpsDoor,
    key_file: PathBuf,
    _folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let (demo, folder) = (Demo::start(), TempDir::new().unwrap());
        let key_file = folder.path().join("key");
        std::fs::write(&key_file, &demo.north().admin_token).unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let certificate = demo.certificate("line.example");
        let door = HttpsDoor::to(demo.north().ports["https"], &certificate, demo.anonymous());
        Self { demo, door, key_file, _folder: folder }
    }

    /// Runs a command after these losses: how it ended, and the requests that came through the door.
    fn run(&self, losses: &[Lost], arguments: &[&str]) -> (Finished, Vec<Passed>) {
        self.door.lose(losses);
        let mut command = Command::new(program());
        command.args(arguments).env("LANG", "en_GB.UTF-8").env_remove("LC_ALL").env_remove("LC_MESSAGES");
        command.args(["--url", &format!("https://localhost:{}", self.door.port), "--key-file"]);
        command.arg(&self.key_file).arg("--ca-file").arg(&self.demo.ca_file);
        (finish(&mut command, ""), self.door.passed())
    }

    /// Rows of an action in the audit trail.
    fn rows(&self, action: &str) -> usize {
        let rows = self.demo.north().cli(&["audit", "search", "--action", action, "--json"]).json();
        rows.as_array().unwrap().len()
    }
}

fn keys(passed: &[Passed]) -> Vec<&str> {
    passed.iter().filter_map(|request| request.key.as_deref()).collect()
}

#[test]
fn what_was_lost_on_its_way_is_done_once_and_told_as_if_nothing_had_been_lost() {
    let desk = Desk::new();
    for (number, loss) in [Lost::Request, Lost::Answer, Lost::Connection].into_iter().enumerate() {
        let domain = format!("annexe-{number}.example");
        let before = desk.rows("domain.added");
        let (done, passed) = desk.run(&[loss], &["domain", "add", &domain, "--json"]);
        assert!(done.is_success, "{loss:?}: {done:?}");
        // A server that had added it before would have said that it is there already.
        assert_eq!(done.json()["created"], true, "{loss:?}");
        let keys = keys(&passed);
        assert!(keys.len() >= 2 && keys.iter().all(|key| *key == keys[0]), "{loss:?}: {passed:?}");
        assert_eq!(desk.rows("domain.added"), before + 1, "{loss:?}");
    }
}

#[test]
fn each_command_has_a_key_of_its_own_unless_it_is_given_one() {
    let desk = Desk::new();
    let (_, one) = desk.run(&[], &["domain", "add", "one.example"]);
    let (_, two) = desk.run(&[], &["domain", "add", "two.example"]);
    let (one, two) = (keys(&one), keys(&two));
    assert!(one.len() == 1 && two.len() == 1 && one != two && one[0].len() == 32, "{one:?} {two:?}");
    let add = ["api", "POST", "/domains", "--data", r#"{"name": "three.example"}"#, "--header"];
    let add = [&add[..], &["Idempotency-Key: mine"]].concat();
    let (done, passed) = desk.run(&[Lost::Answer], &add);
    assert!(done.is_success, "{done:?}");
    assert_eq!(keys(&passed), ["mine", "mine"]);
    let (again, _) = desk.run(&[], &[&add[..], &["--include"]].concat());
    assert!(again.ok().contains("idempotent-replayed: true"));
}

#[test]
fn a_line_that_is_lost_twice_ends_the_command_and_says_to_look() {
    let desk = Desk::new();
    let before = desk.rows("domain.added");
    let (done, passed) = desk.run(&[Lost::Answer, Lost::Answer], &["domain", "add", "lost.example"]);
    assert_eq!((done.code, passed.len()), (Some(1), 2), "{done:?}");
    assert!(done.stderr.contains("look before you repeat it"), "{done:?}");
    assert_eq!(desk.rows("domain.added"), before + 1);
}

#[test]
fn a_secret_whose_answer_was_lost_is_not_made_twice_and_the_command_says_where_to_look() {
    let desk = Desk::new();
    let user = &desk.demo.north().personal(0).address;
    let list = || -> Vec<Value> {
        desk.demo.north().cli(&["password", "list", user, "--json"]).json().as_array().unwrap().clone()
    };
    let before = list().len();
    let (done, passed) = desk.run(&[Lost::Answer], &["password", "create", user, "--label", "lost"]);
    assert_eq!((done.code, passed.len()), (Some(1), 2), "{done:?}");
    assert!(
        done.stderr.contains("idempotency_conflict") && done.stderr.contains("see GET /users/"),
        "{done:?}"
    );
    assert_eq!(list().len(), before + 1);
}

#[test]
fn what_only_reads_is_asked_again_and_a_change_is_not() {
    let desk = Desk::new();
    let domain = desk.demo.north().domain.clone();
    let (done, passed) = desk.run(&[Lost::Answer], &["domain", "show", &domain]);
    assert!(done.is_success && passed.len() == 2 && keys(&passed).is_empty(), "{done:?} {passed:?}");
    let set = ["api", "PATCH", &format!("/domains/{domain}"), "--header", "If-Match: *", "--data", "{}"];
    let (done, passed) = desk.run(&[Lost::Request], &set);
    assert_eq!((done.code, passed.len()), (Some(1), 1), "{done:?} {passed:?}");
}
