//! The sections and their keys, with defaults and units.

use crate::reader::Section;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keys that the example file must show.
#[cfg(test)]
pub(crate) const ALL_KEYS: [&str; 95] = [
    "mail =",
    "seal_secs",
    "keep_days_mail",
    "keep_days_access",
    "keep_days_admin",
    "keep_days_trust",
    "hostname",
    "postmaster",
    "url",
    "data_dir",
    "key_dir",
    "lost_key_generations",
    "bind",
    "tls",
    "protocol",
    "cert",
    "key",
    "anchors",
    "crl_files",
    "whitelist_file",
    "eku",
    "file",
    "dns_servers",
    "resolv_conf",
    "retry_first_secs",
    "retry_max_secs",
    "lifetime_secs",
    "concurrency",
    "connect_timeout_secs",
    "message_size_max",
    "recipients_max",
    "smtp_connections_max",
    "imap_connections_max",
    "smtp_connections_per_address_max",
    "imap_connections_per_address_max",
    "imap_folders_memory_max",
    "imap_read_ahead_memory_max",
    "imap_message_limit",
    "imap_save_limit",
    "http_connections_per_address_max",
    "smtp_command_timeout_secs",
    "smtp_data_timeout_secs",
    "smtp_data_grace_secs",
    "smtp_data_rate_min",
    "smtp_write_timeout_secs",
    "imap_timeout_secs",
    "login_timeout_secs",
    "tls_handshake_timeout_secs",
    "quota_default_bytes",
    "port",
    "http_connections_max",
    "bodies",
    "writers",
    "queue_keep_days",
    "endpoint",
    "region",
    "bucket",
    "prefix",
    "credentials_file",
    "authorities",
    "path_style",
    "timeout_secs",
    "retries_max",
    "requests_max",
    "environment",
    "client_cert",
    "client_key",
    "suites",
    "versions",
    "client_certificates",
    "crl_urls",
    "crl_fetch",
    "crl_refresh_secs",
    "crl_grace_secs",
    "crl_size_max",
    "ocsp",
    "ocsp_staple",
    "whitelist_format",
    "whitelist_url",
    "whitelist_authorities",
    "whitelist_signer",
    "whitelist_refresh_secs",
    "whitelist_stale_secs",
    "whitelist_age_max_secs",
    "whitelist_shrink_max_percent",
    "whitelist_size_max",
    "departure_hold_secs",
    "header_from",
    "key_check",
    "restore_days",
    "login",
    "delivery",
    "send",
    "folding",
    "memory_max",
];

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// `hostname`: the name in greetings and trace fields. Without it, `mx.` and the first domain.
    pub hostname: Option<String>,
    /// `postmaster`: the mailbox that gets mail for `postmaster` of every domain of ours without one (RFC 5321 §4.5.1).
    pub postmaster: Option<String>,
}

impl Server {
    pub(crate) fn read(mut section: Section) -> Self {
        let hostname = section.string("hostname");
        if hostname.as_ref().is_some_and(|name| {
            name.is_empty() || name.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"-._".contains(&b)))
        }) {
            section.fault("hostname", "must be a fully qualified domain name");
        }
        let postmaster = section.string("postmaster");
        if postmaster.as_ref().is_some_and(|address| !address.contains('@')) {
            section.fault("postmaster", "must be the address of a mailbox");
        }
        Self { hostname, postmaster }
    }
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct StoreSection {
    /// `url`: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    /// `data_dir`: bodies and spool; a relative SQLite path starts here too. The folder of the file by default.
    pub data_dir: PathBuf,
    /// `key_dir`: generations of the key-encryption key. `keys` by default; never part of the database backup.
    pub key_dir: PathBuf,
    /// `lost_key_generations`: months (`2026-03`) whose key file is lost for good: what their keys sealed cannot be read any more, and the rest is served.
    pub lost_key_generations: Vec<String>,
    /// `bodies`: true to put new large bodies into S3 (`s3`), false to put them into files (`files`).
    pub bodies_in_s3: bool,
    /// `writers`: transactions that may be under way at the same time on PostgreSQL, 1 to 8; SQLite has one.
    pub writers: usize,
    /// `queue_keep_days`: how long a finished queue entry can be asked for.
    pub queue_keep_days: u32,
    /// `[store.s3]`, where there is one. With bodies in files it is for those that went to S3 before.
    pub s3: Option<S3Section>,
}

impl StoreSection {
    pub(crate) fn read(mut section: Section) -> Self {
        let url = section.required_string("url");
        let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme));
        if !known && !url.is_empty() {
            section.fault("url", "must begin with `sqlite:` or `postgres:`");
        }
        let bodies_in_s3 = match section.string("bodies").as_deref() {
            None | Some("files") => false,
            Some("s3") => true,
            Some(_) => {
                section.fault("bodies", "must be `files` or `s3`");
                false
            }
        };
        let s3 = section.section("s3");
        let s3 = (bodies_in_s3 || !s3.keys().is_empty()).then(|| S3Section::read(s3));
        Self {
            url,
            data_dir: section.path("data_dir", Some(".")),
            key_dir: section.path("key_dir", Some("keys")),
            lost_key_generations: section.strings("lost_key_generations"),
            bodies_in_s3,
            writers: usize::try_from(section.number("writers", 2, 1, 8)).unwrap_or(2),
            queue_keep_days: u32::try_from(section.number("queue_keep_days", 30, 1, 3_650)).unwrap_or(30),
            s3,
        }
    }
}

/// `[store.s3]`
#[derive(Clone, Debug)]
pub struct S3Section {
    /// `endpoint`: `https://HOST[:PORT]`; `http://` for a service on this machine.
    pub endpoint: String,
    /// `region`.
    pub region: String,
    /// `bucket`, which exists.
    pub bucket: String,
    /// `prefix`: what the name of every object begins with.
    pub prefix: String,
    /// `credentials_file`: the access key, as the AWS tools write it.
    pub credentials_file: PathBuf,
    /// `authorities`: PEM of those that may have issued the service's certificate, instead of the system's.
    pub authorities: Option<PathBuf>,
    /// `path_style`: true for `ENDPOINT/BUCKET/NAME`, false for `BUCKET.ENDPOINT/NAME`.
    pub path_style: bool,
    /// `connect_timeout_secs`: for TCP and the handshake.
    pub connect_timeout_secs: u64,
    /// `timeout_secs`: for one request and its answer.
    pub timeout_secs: u64,
    /// `retries_max`: times that a request is made again.
    pub retries_max: usize,
    /// `requests_max`: at one time.
    pub requests_max: usize,
}

impl S3Section {
    fn read(mut section: Section) -> Self {
        Self {
            endpoint: section.required_string("endpoint"),
            region: section.string("region").unwrap_or_else(|| "us-east-1".to_owned()),
            bucket: section.required_string("bucket"),
            prefix: section.string("prefix").unwrap_or_default(),
            credentials_file: section.path("credentials_file", None),
            authorities: section.optional_path("authorities"),
            path_style: section.boolean("path_style", true),
            connect_timeout_secs: section.number("connect_timeout_secs", 5, 1, 60),
            timeout_secs: section.number("timeout_secs", 30, 1, 300),
            retries_max: bounded(section.number("retries_max", 3, 0, 20)),
            requests_max: bounded(section.number("requests_max", 16, 1, 1_000)),
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Mail from other operators.
    Smtp,
    /// Mail from our users.
    Submission,
    /// Reading mail.
    Imap,
    /// Health, readiness, metrics.
    Https,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// After STARTTLS.
    Starttls,
    /// At once.
    Implicit,
}

/// `[listeners.NAME]`
#[derive(Clone, Debug)]
pub struct Listener {
    /// NAME.
    pub name: String,
    /// `bind`: address and port.
    pub bind: SocketAddr,
    /// `tls`: `starttls` or `implicit`.
    pub tls: ListenerTls,
    /// `protocol`: needed unless NAME is smtp, submission, submissions, imap, imaps or https.
    pub protocol: Protocol,
    /// `client_certificates`: whether clients are asked for a certificate. Other operators always are.
    pub client_certificates: ClientCertificates,
    /// `passwords`: whether a password is taken on IMAP and submission; else a certificate only.
    pub passwords: bool,
    /// `compress`: whether clients of IMAP may compress (RFC 4978).
    pub compress: bool,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// No.
    Off,
    /// Yes; those without one log in another way.
    Request,
    /// Yes; without one there is no handshake.
    Require,
}

impl Listener {
    pub(crate) fn read_all(root: &mut Section) -> Vec<Self> {
        let mut all = root.section("listeners");
        let listeners: Vec<Self> =
            all.keys().into_iter().map(|name| Self::read(&name, all.section(&name))).collect();
        for (i, listener) in listeners.iter().enumerate() {
            let taken =
                listeners[..i].iter().any(|other| other.bind == listener.bind && other.bind.port() != 0);
            if taken {
                all.fault(&format!("{}.bind", listener.name), "is the address of another listener too");
            }
        }
        listeners
    }

    fn read(name: &str, mut section: Section) -> Self {
        let bind = section.address("bind");
        let (protocol, usual) = match name {
            "smtp" => (Protocol::Smtp, ListenerTls::Starttls),
            "submission" => (Protocol::Submission, ListenerTls::Starttls),
            "submissions" => (Protocol::Submission, ListenerTls::Implicit),
            "imap" => (Protocol::Imap, ListenerTls::Starttls),
            "imaps" => (Protocol::Imap, ListenerTls::Implicit),
            "https" => (Protocol::Https, ListenerTls::Implicit),
            _ => (Self::protocol(&mut section), ListenerTls::Starttls),
        };
        let tls = match section.string("tls").as_deref() {
            None => usual,
            Some("starttls") if protocol != Protocol::Https => ListenerTls::Starttls,
            Some("implicit") => ListenerTls::Implicit,
            Some(_) => {
                section.fault(
                    "tls",
                    "must be `starttls` or `implicit` (https: `implicit`); nothing is served without TLS",
                );
                usual
            }
        };
        let usual =
            if protocol == Protocol::Smtp { ClientCertificates::Request } else { ClientCertificates::Off };
        let client_certificates = section.choice(
            "client_certificates",
            usual,
            &[
                ("off", ClientCertificates::Off),
                ("request", ClientCertificates::Request),
                ("require", ClientCertificates::Require),
            ],
        );
        if protocol == Protocol::Smtp && client_certificates == ClientCertificates::Off {
            section.fault(
                "client_certificates",
                "must be `request` or `require`: another operator is known by its certificate alone",
            );
        }
        let passwords = section.boolean("passwords", true);
        if !passwords && !matches!(protocol, Protocol::Imap | Protocol::Submission) {
            section.fault("passwords", "is for listeners of IMAP and of submission");
        } else if !passwords && client_certificates == ClientCertificates::Off {
            section.fault("passwords", "with `client_certificates = \"off\"` nobody could log in");
        }
        let compress = section.boolean("compress", false);
        if compress && protocol != Protocol::Imap {
            section.fault("compress", "is for listeners of IMAP");
        }
        Self { name: name.to_owned(), bind, tls, protocol, client_certificates, passwords, compress }
    }

    fn protocol(section: &mut Section) -> Protocol {
        match section.string("protocol").as_deref() {
            Some("smtp") => Protocol::Smtp,
            Some("submission") => Protocol::Submission,
            Some("imap") => Protocol::Imap,
            Some("https") => Protocol::Https,
            _ => {
                section.fault(
                    "protocol",
                    "must be `smtp`, `submission`, `imap` or `https` for a listener of this name",
                );
                Protocol::Https
            }
        }
    }
}

/// `[routes]`
#[derive(Clone, Debug)]
pub struct Routes {
    /// `file`: domains that are not found by DNS.
    pub file: Option<PathBuf>,
}

impl Routes {
    pub(crate) fn read(mut section: Section) -> Self {
        Self { file: section.optional_path("file") }
    }
}

/// `[delivery]`
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `dns_servers`: `ADDRESS:PORT` each; those of `resolv_conf` when empty.
    pub dns_servers: Vec<SocketAddr>,
    /// `resolv_conf`: the system's list of DNS servers, resolv.conf(5).
    pub resolv_conf: PathBuf,
    /// `port`: where other operators listen.
    pub port: u16,
    /// `retry_first_secs`: wait after the first failure; it doubles at each.
    pub retry_first_secs: u64,
    /// `retry_max_secs`: longest wait.
    pub retry_max_secs: u64,
    /// `lifetime_secs`: when a recipient is given up.
    pub lifetime_secs: u64,
    /// `concurrency`: connections at one time.
    pub concurrency: usize,
    /// `connect_timeout_secs`: for TCP and for the handshake.
    pub connect_timeout_secs: u64,
}

impl Delivery {
    pub(crate) fn read(mut section: Section) -> Self {
        let servers = section.strings("dns_servers");
        let dns_servers: Vec<SocketAddr> = servers.iter().filter_map(|text| text.parse().ok()).collect();
        if dns_servers.len() != servers.len() {
            section.fault("dns_servers", "must be a list of ADDRESS:PORT");
        }
        Self {
            dns_servers,
            resolv_conf: section.path("resolv_conf", Some("/etc/resolv.conf")),
            port: u16::try_from(section.number("port", 25, 1, 65_535)).unwrap_or(25),
            retry_first_secs: section.number("retry_first_secs", 60, 1, 86_400),
            retry_max_secs: section.number("retry_max_secs", 7_200, 1, 86_400),
            lifetime_secs: section.number("lifetime_secs", 172_800, 1, 2_592_000),
            concurrency: bounded(section.number("concurrency", 32, 1, 1_000)),
            connect_timeout_secs: section.number("connect_timeout_secs", 30, 1, 300),
        }
    }
}

fn bounded(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// `message_size_max`: octets of one message.
    pub message_size_max: u64,
    /// `recipients_max`: recipients of one message.
    pub recipients_max: usize,
    /// `smtp_connections_max`: at one time, on each SMTP or submission listener.
    pub smtp_connections_max: usize,
    /// `imap_connections_max`: at one time, on each IMAP listener.
    pub imap_connections_max: usize,
    /// `http_connections_max`: at one time.
    pub http_connections_max: usize,
    /// `smtp_connections_per_address_max`: at one time from one IP address (IPv6: one /64), on each SMTP or submission listener.
    pub smtp_connections_per_address_max: usize,
    /// `imap_connections_per_address_max`: the same, on each IMAP listener.
    pub imap_connections_per_address_max: usize,
    /// `imap_folders_memory_max`: octets of folders that are in memory for those who open them next.
    pub imap_folders_memory_max: usize,
    /// `imap_read_ahead_memory_max`: octets of messages that are read ahead of the clients that fetch them.
    pub imap_read_ahead_memory_max: usize,
    /// `imap_message_limit`: messages that one IMAP command may be about (RFC 9738 §3: 1000 at least); none without it.
    pub imap_message_limit: Option<u32>,
    /// `imap_save_limit`: messages that one COPY or APPEND may be about; `imap_message_limit` where that is given.
    pub imap_save_limit: u32,
    /// `http_connections_per_address_max`: the same, on each HTTPS listener.
    pub http_connections_per_address_max: usize,
    /// `smtp_command_timeout_secs`: from our reply to the end of the next command (RFC 5321 §4.5.3.2.7: at least 300).
    pub smtp_command_timeout_secs: u64,
    /// `smtp_data_timeout_secs`: silence within a message (RFC 5321 §4.5.3.2.5: at least 180).
    pub smtp_data_timeout_secs: u64,
    /// `smtp_data_grace_secs`: time that a message may take whatever its size.
    pub smtp_data_grace_secs: u64,
    /// `smtp_data_rate_min`: octets a second that earn a message more time.
    pub smtp_data_rate_min: u64,
    /// `smtp_write_timeout_secs`: for a client to read the replies that wait for it.
    pub smtp_write_timeout_secs: u64,
    /// `imap_timeout_secs`: silence of a logged-in client (RFC 9051 §5.4: at least 1800).
    pub imap_timeout_secs: u64,
    /// `login_timeout_secs`: time to log in.
    pub login_timeout_secs: u64,
    /// `tls_handshake_timeout_secs`: time for a handshake.
    pub tls_handshake_timeout_secs: u64,
    /// `quota_default_bytes`: quota of a mailbox made without one.
    pub quota_default_bytes: u64,
}

/// Letters that the operator itself writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notices {
    /// `enabled`: whether those concerned are told by mail of access given and taken away, of mailboxes suspended, of mailboxes nearly full.
    pub enabled: bool,
}

impl Notices {
    pub(crate) fn read(mut section: Section) -> Self {
        Self { enabled: section.boolean("enabled", true) }
    }
}

impl Limits {
    pub(crate) fn read(mut section: Section) -> Self {
        let few = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let imap_message_limit = section.number_if_any("imap_message_limit", 1_000, 200_000).map(few);
        let imap_save_limit = few(section.number("imap_save_limit", 50_000, 1_000, 200_000));
        Self {
            message_size_max: section.number("message_size_max", 52_428_800, 65_536, 1_073_741_824),
            recipients_max: bounded(section.number("recipients_max", 500, 100, 10_000)),
            smtp_connections_max: bounded(section.number("smtp_connections_max", 2_000, 1, 100_000)),
            imap_connections_max: bounded(section.number("imap_connections_max", 20_000, 1, 200_000)),
            http_connections_max: bounded(section.number("http_connections_max", 500, 1, 100_000)),
            smtp_connections_per_address_max: bounded(section.number(
                "smtp_connections_per_address_max",
                200,
                1,
                100_000,
            )),
            imap_connections_per_address_max: bounded(section.number(
                "imap_connections_per_address_max",
                10_000,
                1,
                200_000,
            )),
            imap_folders_memory_max: bounded(section.number(
                "imap_folders_memory_max",
                67_108_864,
                1_048_576,
                1 << 40,
            )),
            imap_read_ahead_memory_max: bounded(section.number(
                "imap_read_ahead_memory_max",
                134_217_728,
                1_048_576,
                1 << 40,
            )),
            imap_message_limit,
            imap_save_limit: imap_message_limit.unwrap_or(imap_save_limit),
            http_connections_per_address_max: bounded(section.number(
                "http_connections_per_address_max",
                100,
                1,
                100_000,
            )),
            smtp_command_timeout_secs: section.number("smtp_command_timeout_secs", 300, 1, 3_600),
            smtp_data_timeout_secs: section.number("smtp_data_timeout_secs", 180, 1, 3_600),
            smtp_data_grace_secs: section.number("smtp_data_grace_secs", 600, 1, 86_400),
            smtp_data_rate_min: section.number("smtp_data_rate_min", 500, 1, 1_000_000),
            smtp_write_timeout_secs: section.number("smtp_write_timeout_secs", 60, 1, 3_600),
            imap_timeout_secs: section.number("imap_timeout_secs", 1_860, 1, 86_400),
            login_timeout_secs: section.number("login_timeout_secs", 180, 1, 3_600),
            tls_handshake_timeout_secs: section.number("tls_handshake_timeout_secs", 30, 1, 300),
            quota_default_bytes: section.number("quota_default_bytes", 1_073_741_824, 1_048_576, 1 << 50),
        }
    }
}
