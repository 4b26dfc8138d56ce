//! The house rules that a compiler does not check: which crate may know which, what pure crates may not touch, and habits of every file.
//!
//! The tables say what is allowed; an arrow that is not in them is a decision to be made, and to be written down here.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which crates of ours each crate may depend on.
const ARROWS: [(&str, &[&str]); 21] = [
    // words
    ("mail-types", &[]),
    // pure
    ("message", &["mail-types"]),
    ("smtp-session", &["mail-types"]),
    ("imap-session", &["mail-types"]),
    ("policy", &["mail-types"]),
    // house
    ("config", &[]),
    ("listener", &[]),
    ("body-store", &["mail-types"]),
    ("store", &["body-store", "mail-types"]),
    ("pki", &["mail-types"]),
    ("white-list", &["mail-types", "pki", "policy"]),
    ("journal", &["mail-types", "store"]),
    ("auth", &["mail-types", "store"]),
    ("intake", &["mail-types", "message", "policy", "store"]),
    // edge
    ("smtpd", &["auth", "intake", "journal", "listener", "mail-types", "pki", "smtp-session"]),
    (
        "imapd",
        &["auth", "imap-session", "intake", "journal", "listener", "mail-types", "message", "pki", "store"],
    ),
    (
        "delivery",
        &["intake", "journal", "listener", "mail-types", "message", "pki", "policy", "smtp-session", "store"],
    ),
    ("admin-api", &["auth", "intake", "listener", "mail-types", "message", "pki", "policy", "store"]),
    ("trust-space", &["mail-types", "pki", "policy", "store", "white-list"]),
    // binary
    (
        "vaguemestre",
        &[
            "admin-api",
            "auth",
            "body-store",
            "config",
            "delivery",
            "imapd",
            "intake",
            "journal",
            "listener",
            "mail-types",
            "message",
            "pki",
            "policy",
            "smtpd",
            "store",
            "trust-space",
        ],
    ),
    // dev
    ("scenarios", &["mail-types", "pki"]),
];

const WORDS_AND_PURE: [&str; 5] = ["mail-types", "message", "smtp-session", "imap-session", "policy"];
const EDGES: [&str; 5] = ["smtpd", "imapd", "delivery", "admin-api", "trust-space"];

/// Who may depend on a crate of others that carries a whole side of the world with it.
const KEEPERS: [(&str, &[&str]); 12] = [
    ("bergshamra", &["white-list"]),
    ("reqwest", &["trust-space", "vaguemestre"]),
    ("utoipa", &["admin-api"]),
    ("x509-ocsp", &["pki"]),
    ("object_store", &["body-store"]),
    ("sqlx", &["store"]),
    ("rustls", &["pki", "scenarios"]),
    ("rustls-webpki", &["pki"]),
    ("rcgen", &["pki"]),
    ("hickory-resolver", &["delivery"]),
    ("argon2", &["auth"]),
    ("clap", &["vaguemestre"]),
];

/// What pure crates may not depend on.
const WORLDLY: [&str; 12] = [
    "tokio",
    "tokio-rustls",
    "sqlx",
    "rustls",
    "axum",
    "hyper",
    "hyper-util",
    "reqwest",
    "tracing",
    "socket2",
    "aws-lc-rs",
    "uuid",
];

/// A crate of the workspace.
struct Member {
    name: String,
    dir: PathBuf,
    /// Normal and build dependencies; those of tests may be anything.
    dependencies: BTreeSet<String>,
    /// Those of them that lie in this workspace.
    ours: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").to_owned()
}

fn members() -> Vec<Member> {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"].as_array().expect("packages").iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = package["dependencies"].as_array().expect("dependencies");
    let normal: Vec<&Value> = all.iter().filter(|dependency| dependency["kind"] != "dev").collect();
    let dir = PathBuf::from(text(&package["manifest_path"])).parent().expect("a folder").to_owned();
    Member {
        name: text(&package["name"]),
        dir,
        dependencies: normal.iter().map(|dependency| text(&dependency["name"])).collect(),
        ours: normal
            .iter()
            .filter(|dependency| dependency["path"].is_string())
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    }
}

/// Files under a folder whose names end like this; build products and dotted folders left out.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name == ".git" {
            // A folder, or in a second worktree a file that names the first one's.
        } else if path.is_dir() && !path.is_symlink() {
            if name != "target" && name != "demo-data" {
                found.extend(files(&path, ending));
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// A source file up to its unit tests.
fn code(path: &Path) -> String {
    read(path).split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn every_arrow_between_our_crates_is_in_the_table() {
    let table: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut faults = Vec::new();
    for member in members() {
        let Some(allowed) = table.get(member.name.as_str()) else {
            faults.push(format!("{} is not in the table", member.name));
            continue;
        };
        let refused = member.ours.iter().filter(|name| !allowed.contains(&name.as_str()));
        faults.extend(refused.map(|name| format!("{} → {name}", member.name)));
    }
    assert!(faults.is_empty(), "arrows that are not allowed: {faults:#?}");
}

#[test]
fn no_arrow_of_the_table_is_stale() {
    let members = members();
    for (name, allowed) in ARROWS {
        let member = members
            .iter()
            .find(|member| member.name == name)
            .unwrap_or_else(|| panic!("there is no crate {name}"));
        let stale: Vec<&&str> = allowed.iter().filter(|below| !member.ours.contains(**below)).collect();
        assert!(stale.is_empty(), "{name} does not depend on {stale:?}");
    }
}

#[test]
fn the_table_itself_points_down_only() {
    let layer =
        |name: &str| ARROWS.iter().position(|(known, _)| *known == name).expect("every name is in the table");
    for (name, allowed) in ARROWS {
        for below in allowed {
            assert!(layer(below) < layer(name), "{name} → {below} points up");
            assert!(
                !(EDGES.contains(&name) && EDGES.contains(below)),
                "the edges {name} and {below} know one another"
            );
        }
    }
}

#[test]
fn pure_crates_touch_nothing_of_the_world() {
    for member in members().into_iter().filter(|member| WORDS_AND_PURE.contains(&member.name.as_str())) {
        let worldly: Vec<&str> =
            WORLDLY.into_iter().filter(|name| member.dependencies.contains(*name)).collect();
        assert!(worldly.is_empty(), "{} depends on {worldly:?}", member.name);
        for file in files(&member.dir.join("src"), ".rs") {
            let code = code(&file);
            for call in [
                "SystemTime::now",
                "Instant::now",
                "OffsetDateTime::now",
                "std::fs",
                "std::env::",
                "TcpStream",
                "std::process",
            ] {
                assert!(!code.contains(call), "{} has {call}", relative(&file));
            }
        }
    }
}

#[test]
fn each_side_of_the_world_has_one_keeper() {
    for member in members() {
        for (name, keepers) in KEEPERS {
            let is_kept = !member.dependencies.contains(name) || keepers.contains(&member.name.as_str());
            assert!(is_kept, "{} depends on {name}; {keepers:?} may", member.name);
        }
    }
}

#[test]
fn only_pki_builds_tls_configurations() {
    for member in members().into_iter().filter(|member| !["pki", "scenarios"].contains(&member.name.as_str()))
    {
        for file in files(&member.dir.join("src"), ".rs") {
            let code = code(&file);
            for word in [
                "tokio_rustls::rustls",
                "ClientConfig",
                "ServerConfig::builder",
                "TlsAcceptor",
                "TlsConnector",
            ] {
                assert!(!code.contains(word), "{} has {word}", relative(&file));
            }
        }
    }
}

#[test]
fn only_store_speaks_sql() {
    for member in members().into_iter().filter(|member| member.name != "store") {
        for file in files(&member.dir.join("src"), ".rs") {
            let code = code(&file);
            for words in ["SELECT ", "INSERT INTO ", "DELETE FROM "] {
                let is_command_of_imap =
                    words == "SELECT " && (member.name.starts_with("imap") || member.name == "scenarios");
                assert!(is_command_of_imap || !code.contains(words), "{} has {words}", relative(&file));
            }
        }
    }
}

#[test]
fn every_crate_warns_of_missing_docs() {
    for member in members() {
        let library = member.dir.join("src/lib.rs");
        let is_told = !library.exists() || read(&library).contains("#![warn(missing_docs)]");
        assert!(is_told, "{} lacks #![warn(missing_docs)]", relative(&library));
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for member in members() {
        let manifest = read(&member.dir.join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", member.name);
    }
}

#[test]
fn no_dependency_is_declared_for_nothing() {
    let mut faults = Vec::new();
    for member in members() {
        let sources: String = files(&member.dir, ".rs").iter().map(|file| read(file)).collect();
        for name in &member.dependencies {
            let word = match name.as_str() {
                "rustls-webpki" => "webpki".to_owned(),
                _ => name.replace('-', "_"),
            };
            if !is_named(&sources, &word) {
                faults.push(format!("{} → {name}", member.name));
            }
        }
    }
    assert!(faults.is_empty(), "declared and never named: {faults:#?}");
}

/// Whether a crate is named at the beginning of a path: `config::Config`, not `hickory_resolver::config::ResolverConfig`.
fn is_named(sources: &str, word: &str) -> bool {
    let is_inside = |at: usize| {
        sources[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
    };
    sources.match_indices(word).any(|(at, _)| {
        let after = &sources[at + word.len()..];
        !is_inside(at)
            && (after.starts_with("::") || sources[..at].ends_with("use ") && after.starts_with([';', ' ']))
    })
}

#[test]
fn migrations_come_in_pairs() {
    let names = |engine: &str| -> Vec<String> {
        let files = files(&root().join("migrations").join(engine), ".sql");
        files.iter().map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    };
    let sqlite = names("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, names("postgres"));
    for (index, name) in (1..).zip(&sqlite) {
        assert!(name.starts_with(&format!("{index:04}_")), "{name} is not number {index}");
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<String> = files(&root(), ".rs")
        .iter()
        .filter(|file| !read(file).starts_with("//!"))
        .map(|file| relative(file))
        .collect();
    assert!(silent.is_empty(), "files that do not begin with `//!`: {silent:#?}");
}

#[test]
fn nothing_is_printed_outside_the_binary_s_main() {
    for member in members().into_iter().filter(|member| !["scenarios"].contains(&member.name.as_str())) {
        for file in files(&member.dir.join("src"), ".rs") {
            let is_main = file.ends_with("src/main.rs");
            let code = code(&file);
            let prints = ["println!(", "print!(", "dbg!("].iter().any(|call| code.contains(call));
            assert!(is_main || !prints, "{} prints", relative(&file));
        }
    }
}

#[test]
fn no_name_says_nothing() {
    for file in files(&root().join("crates"), ".rs") {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_empty_word =
            ["util", "utils", "helper", "helpers", "common", "misc", "manager"].contains(&stem.as_str());
        assert!(!is_empty_word, "{}", relative(&file));
        // The name that sqlx gives to a part of its trait.
        let text = read(&file).replace("fn get_transaction_depth(", "");
        for prefix in ["fn get_", "fn process_", "fn do_"] {
            assert!(!text.contains(prefix), "{} has `{prefix}…`", relative(&file));
        }
    }
}

#[test]
fn no_file_knows_a_machine() {
    // Written in pieces: this file is looked at too.
    let places = ["work", "home", "root", "Users"].map(|place| format!("/{place}/"));
    let mut faults = Vec::new();
    for file in files(&root(), "") {
        let text = read(&file);
        let has = |place: &str| {
            text.contains(&format!(" {place}"))
                || text.contains(&format!("\"{place}"))
                || text.contains(&format!("={place}"))
        };
        faults.extend(
            places.iter().filter(|place| has(place)).map(|place| format!("{} has {place}", relative(&file))),
        );
        let may_use_tmp = file.starts_with(root().join("tests"));
        if !may_use_tmp && text.contains(&format!("/{}/", "tmp")) {
            faults.push(format!("{} has a temporary path", relative(&file)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
