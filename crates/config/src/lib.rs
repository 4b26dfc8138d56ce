//! The configuration: one TOML file, read into typed sections, every fault reported at once.
//!
//! Each part of the house receives its section by value and validates nothing again. Relative paths are taken from the folder of the file.
//! This crate reads files; it opens no store, no socket, and knows no certificate format.
//!
//! Read first: [`Config::load`].
#![warn(missing_docs)]

mod api;
mod audit;
mod auth;
mod mailboxes;
mod reader;
mod search;
mod sections;
mod tls;
mod trust;

pub use api::ApiSection;
pub use audit::Audit;
pub use auth::Auth;
pub use mailboxes::{DeliveryWord, Identifiers, MailboxState, Mailboxes};
pub use reader::Fault;
pub use search::Search;
pub use sections::{
    ClientCertificates, Delivery, Limits, Listener, ListenerTls, Notices, Protocol, Routes, S3Section,
    Server, StoreSection,
};
pub use tls::TlsFiles;
pub use trust::{Environment, HeaderFrom, OcspRule, TrustFiles, WhiteListFormat};

use reader::Section;
use std::path::{Path, PathBuf};

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: StoreSection,
    /// `[listeners.NAME]`, by name.
    pub listeners: Vec<Listener>,
    /// `[tls]`
    pub tls: TlsFiles,
    /// `[trust]`
    pub trust: TrustFiles,
    /// `[routes]`
    pub routes: Routes,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[auth]`
    pub auth: Auth,
    /// `[limits]`
    pub limits: Limits,
    /// `[api]`
    pub api: ApiSection,
    /// `[notices]`
    pub notices: Notices,
    /// `[identifiers]`
    pub identifiers: Identifiers,
    /// `[mailboxes]`
    pub mailboxes: Mailboxes,
    /// `[search]`
    pub search: Search,
    /// `[audit]`
    pub audit: Audit,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every fault that was found, each with the key that it concerns.
    pub fn load(file: &Path) -> Result<Self, Vec<Fault>> {
        match Self::examine(file) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    /// Reads a file for a report: every fault that was found and, where the file is TOML at all, what could be read of it, with defaults
    /// in the place of what is at fault.
    pub fn examine(file: &Path) -> (Option<Self>, Vec<Fault>) {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::read(file, &text),
            Err(e) => (None, vec![Fault::of_file(file, &format!("cannot be read: {e}"))]),
        }
    }

    fn read(file: &Path, text: &str) -> (Option<Self>, Vec<Fault>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(e) => return (None, vec![Fault::of_file(file, &format!("is not TOML: {e}"))]),
        };
        // One file has one name, from whatever folder a command is run: what was kept of it is recognised by that name.
        let file_from_root = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = file_from_root.parent().map_or_else(PathBuf::new, Path::to_owned);
        let mut root = Section::root(file, base, table);
        let trust = TrustFiles::read(root.section("trust"));
        let config = Self {
            audit: Audit::read(root.section("audit"), trust.environment == Environment::Test),
            file: file.to_owned(),
            server: Server::read(root.section("server")),
            store: StoreSection::read(root.section("store")),
            listeners: Listener::read_all(&mut root),
            tls: TlsFiles::read(root.section("tls")),
            trust,
            routes: Routes::read(root.section("routes")),
            delivery: Delivery::read(root.section("delivery")),
            auth: Auth::read(root.section("auth")),
            limits: Limits::read(root.section("limits")),
            api: ApiSection::read(root.section("api")),
            notices: Notices::read(root.section("notices")),
            identifiers: Identifiers::read(root.section("identifiers")),
            mailboxes: Mailboxes::read(root.section("mailboxes")),
            search: Search::read(root.section("search")),
        };
        (Some(config), root.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[store]
url = "sqlite:vaguemestre.db"
[listeners.smtp]
bind = "127.0.0.1:2525"
tls = "starttls"
[listeners.imaps]
bind = "127.0.0.1:2993"
tls = "implicit"
[tls]
cert = "tls/server.pem"
key = "tls/server.key"
[trust]
anchors = ["ca.pem"]
crl_files = ["crl"]
whitelist_file = "whitelist.txt"
whitelist_format = "pairs"
"#;

    fn parse(file: &str, text: &str) -> Result<Config, Vec<Fault>> {
        match Config::read(Path::new(file), text) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    #[test]
    fn relative_paths_start_from_the_file() {
        let config = parse("/etc/v/v.toml", GOOD).unwrap();
        assert_eq!(config.tls.cert, Path::new("/etc/v/tls/server.pem"));
        assert_eq!(config.listeners.len(), 2);
        assert_eq!(config.listeners[0].protocol, Protocol::Imap);
    }

    #[test]
    fn every_fault_is_reported_with_its_key() {
        let text = GOOD.replace("bind = \"127.0.0.1:2525\"", "bind = \"nowhere\"\nbnid = 1")
            + "\n[limits]\nmessage_size_max = -4\nrecipients_max = \"x\"\n[lmits]\na = 1\n";
        let keys: Vec<String> = parse("/v.toml", &text).unwrap_err().into_iter().map(|f| f.key).collect();
        assert_eq!(
            keys,
            [
                "listeners.smtp.bind",
                "listeners.smtp.bnid",
                "limits.message_size_max",
                "limits.recipients_max",
                "lmits"
            ]
        );
    }

    #[test]
    fn a_client_listener_must_speak_tls() {
        let text = GOOD.replace("tls = \"implicit\"", "tls = \"none\"");
        assert_eq!(parse("/v.toml", &text).unwrap_err()[0].key, "listeners.imaps.tls");
    }

    #[test]
    fn lists_come_from_the_web_and_the_white_list_over_tls() {
        let text = GOOD
            .replace("whitelist_file = \"whitelist.txt\"", "whitelist_url = \"http://list.example/list.xml\"")
            .replace(
                "crl_files",
                "crl_urls = [\"http://a.example/1.crl\", \"ldap://a.example/2\"]\ncrl_files",
            );
        let keys: Vec<String> = parse("/v.toml", &text).unwrap_err().into_iter().map(|f| f.key).collect();
        assert_eq!(keys, ["trust.crl_urls", "trust.whitelist_url"]);
    }

    #[test]
    fn bodies_in_s3_need_a_service() {
        let text = GOOD.replace("[listeners.smtp]", "bodies = \"s3\"\n[listeners.smtp]");
        let keys: Vec<String> = parse("/v.toml", &text).unwrap_err().into_iter().map(|f| f.key).collect();
        assert_eq!(keys, ["store.s3.endpoint", "store.s3.bucket", "store.s3.credentials_file"]);
        let service = "[store.s3]\nendpoint = \"https://s3\"\nbucket = \"b\"\ncredentials_file = \"key\"\n";
        let config = parse("/etc/v.toml", &(text + service)).unwrap();
        let s3 = config.store.s3.unwrap();
        assert!(config.store.bodies_in_s3 && s3.path_style);
        assert_eq!(s3.credentials_file, Path::new("/etc/key"));
        let inline =
            GOOD.replace("[listeners.smtp]", "[store.s3]\nsecret_access_key = \"x\"\n[listeners.smtp]");
        let faults = parse("/v.toml", &inline).unwrap_err();
        assert!(
            faults.iter().any(|f| f.key == "store.s3.secret_access_key"),
            "no key stands in the configuration"
        );
    }

    #[test]
    fn a_deleted_mailbox_takes_nothing_and_whoever_sends_logs_in() {
        let text = GOOD.to_owned()
            + "[mailboxes]\nrestore_days = -1\n[mailboxes.deleted]\ndelivery = \"accept\"\nlogin = true\n"
            + "[mailboxes.suspended]\nsend = true\n[identifiers]\nkey_check = \"none\"\n";
        let mut keys: Vec<String> = parse("/v.toml", &text).unwrap_err().into_iter().map(|f| f.key).collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "identifiers.key_check",
                "mailboxes.deleted.delivery",
                "mailboxes.deleted.login",
                "mailboxes.restore_days",
                "mailboxes.suspended.send",
            ]
        );
    }

    #[test]
    fn a_command_of_imap_is_about_a_thousand_messages_at_least_where_it_is_bounded() {
        let with = |limit: &str| parse("/v.toml", &(GOOD.to_owned() + "[limits]\n" + limit));
        assert_eq!(with("").unwrap().limits.imap_message_limit, None);
        assert_eq!(with("imap_message_limit = 1000\n").unwrap().limits.imap_message_limit, Some(1000));
        let faults = with("imap_message_limit = 999\n").unwrap_err();
        assert_eq!(faults[0].key, "limits.imap_message_limit");
        assert_eq!(with("").unwrap().limits.imap_save_limit, 50_000);
        let both = "imap_message_limit = 2000\nimap_save_limit = 1000\n";
        assert_eq!(with(both).unwrap().limits.imap_save_limit, 2000);
    }

    #[test]
    fn mail_is_told_of_wherever_it_is_real() {
        let text = GOOD.to_owned() + "[audit]\nmail = false\nkeep_days_mail = 5\n";
        let mut keys: Vec<String> = parse("/v.toml", &text).unwrap_err().into_iter().map(|f| f.key).collect();
        keys.sort();
        assert_eq!(keys, ["audit.keep_days_mail", "audit.mail"]);
        let text = GOOD.replace("[trust]", "[trust]\nenvironment = \"test\"") + "[audit]\nmail = false\n";
        assert!(!parse("/v.toml", &text).unwrap().audit.mail);
    }

    #[test]
    fn the_example_configuration_is_read_and_names_every_key() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/vaguemestre.example.toml");
        Config::load(&example).unwrap();
        let text = std::fs::read_to_string(example).unwrap();
        for key in sections::ALL_KEYS {
            assert!(text.contains(key), "{key} is not in the example");
        }
    }
}
