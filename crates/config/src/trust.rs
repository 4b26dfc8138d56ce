//! `[trust]`: whom we believe, and where what we believe comes from.

use crate::reader::Section;
use std::path::PathBuf;

/// Which PKI the anchors are of; the two are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The PKI of real mail: authorities whose names say TEST are refused.
    Production,
    /// A PKI for tests: authorities whose names do not say TEST are refused.
    Test,
}

/// When OCSP is asked about a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspRule {
    /// Never.
    Off,
    /// When the certificate names a responder; one that does not answer leaves the revocation lists to speak.
    Prefer,
    /// Always; without an answer the peer is asked to come again.
    Require,
}

/// In which form the white list comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhiteListFormat {
    /// The national signed XML.
    National,
    /// `domaine;type;finess;date_ajout`, with or without `certificat`; believed because of where it comes from.
    Csv,
    /// `DOMAIN;SUBJECT-DN` lines, believed because of where they come from.
    Pairs,
}

/// What becomes of a message whose From is of another domain than its certificate speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFrom {
    /// It is accepted and marked.
    Tag,
    /// It is refused.
    Reject,
}

/// `[trust]`
#[derive(Clone, Debug)]
pub struct TrustFiles {
    /// `anchors`: PEM, DER or P7B files of the health PKI: roots and issuing authorities.
    pub anchors: Vec<PathBuf>,
    /// `environment`: `production` or `test`.
    pub environment: Environment,
    /// `crl_files`: revocation lists, DER or PEM; a folder stands for every file in it.
    pub crl_files: Vec<PathBuf>,
    /// `crl_urls`: lists fetched beside those that certificates name.
    pub crl_urls: Vec<String>,
    /// `crl_fetch`: whether lists are fetched at all.
    pub crl_fetch: bool,
    /// `crl_refresh_secs`: longest time between two fetches of a list.
    pub crl_refresh_secs: u64,
    /// `crl_grace_secs`: how long a list counts past its nextUpdate.
    pub crl_grace_secs: u64,
    /// `crl_size_max`: octets of one list.
    pub crl_size_max: u64,
    /// `ocsp`: `off`, `prefer` or `require`.
    pub ocsp: OcspRule,
    /// `whitelist_file`: which certificate speaks for which domain.
    pub whitelist_file: Option<PathBuf>,
    /// `whitelist_url`: from where it is fetched instead.
    pub whitelist_url: Option<String>,
    /// `whitelist_format`: `national`, `csv` or `pairs`.
    pub whitelist_format: WhiteListFormat,
    /// `whitelist_authorities`: PEM of those that may have issued the signer's certificate; `anchors` when empty.
    pub whitelist_authorities: Vec<PathBuf>,
    /// `whitelist_signer`: the CN or a subjectAltName of the signer's certificate. Needed for `national`.
    pub whitelist_signer: Option<String>,
    /// `whitelist_refresh_secs`: between two fetches.
    pub whitelist_refresh_secs: u64,
    /// `whitelist_stale_secs`: without a confirmation for so long, what is not in the list is deferred and no longer refused, and there is an alarm.
    pub whitelist_stale_secs: u64,
    /// `whitelist_age_max_secs`: without a confirmation for so long, no white list is in force.
    pub whitelist_age_max_secs: u64,
    /// `whitelist_shrink_max_percent`: a list that lost more domains is not taken without a confirmation.
    pub whitelist_shrink_max_percent: u64,
    /// `whitelist_size_max`: octets of one list.
    pub whitelist_size_max: u64,
    /// `departure_hold_secs`: how far apart two lists without a domain must be before its queued mail bounces.
    pub departure_hold_secs: u64,
    /// `header_from`: `tag` or `reject`.
    pub header_from: HeaderFrom,
    /// `eku`: true to insist on clientAuth of clients and serverAuth of servers (`strict`), false to take either for both (`any`).
    pub strict_eku: bool,
}

impl TrustFiles {
    pub(crate) fn read(mut section: Section) -> Self {
        let format = section.choice(
            "whitelist_format",
            WhiteListFormat::National,
            &[
                ("national", WhiteListFormat::National),
                ("csv", WhiteListFormat::Csv),
                ("pairs", WhiteListFormat::Pairs),
            ],
        );
        let trust = Self {
            anchors: section.paths("anchors"),
            environment: section.choice(
                "environment",
                Environment::Production,
                &[("production", Environment::Production), ("test", Environment::Test)],
            ),
            crl_files: section.paths("crl_files"),
            crl_urls: section.strings("crl_urls"),
            crl_fetch: section.boolean("crl_fetch", true),
            crl_refresh_secs: section.number("crl_refresh_secs", 3_600, 1, 604_800),
            crl_grace_secs: section.number("crl_grace_secs", 0, 0, 604_800),
            crl_size_max: section.number("crl_size_max", 67_108_864, 1_024, 268_435_456),
            ocsp: section.choice(
                "ocsp",
                OcspRule::Off,
                &[("off", OcspRule::Off), ("prefer", OcspRule::Prefer), ("require", OcspRule::Require)],
            ),
            whitelist_file: section.optional_path("whitelist_file"),
            whitelist_url: section.string("whitelist_url"),
            whitelist_format: format,
            whitelist_authorities: section.paths("whitelist_authorities"),
            whitelist_signer: section.string("whitelist_signer"),
            whitelist_refresh_secs: section.number("whitelist_refresh_secs", 3_600, 1, 604_800),
            whitelist_stale_secs: section.number("whitelist_stale_secs", 86_400, 1, 31_536_000),
            whitelist_age_max_secs: section.number("whitelist_age_max_secs", 604_800, 1, 31_536_000),
            whitelist_shrink_max_percent: section.number("whitelist_shrink_max_percent", 20, 0, 100),
            whitelist_size_max: section.number("whitelist_size_max", 33_554_432, 1_024, 268_435_456),
            departure_hold_secs: section.number("departure_hold_secs", 86_400, 0, 2_592_000),
            header_from: section.choice(
                "header_from",
                HeaderFrom::Tag,
                &[("tag", HeaderFrom::Tag), ("reject", HeaderFrom::Reject)],
            ),
            strict_eku: section.choice("eku", false, &[("any", false), ("strict", true)]),
        };
        if trust.whitelist_file.is_some() && trust.whitelist_url.is_some() {
            section.fault("whitelist_url", "is set beside whitelist_file; one of them is the source");
        }
        let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !trust.crl_urls.iter().all(is_web) {
            section.fault("crl_urls", "must be a list of http:// or https:// URLs");
        }
        if trust.whitelist_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
            section.fault("whitelist_url", "must begin with https://");
        }
        let has_list = trust.whitelist_file.is_some() || trust.whitelist_url.is_some();
        if has_list && format == WhiteListFormat::National && trust.whitelist_signer.is_none() {
            section.fault("whitelist_signer", "is needed: the CN or a subjectAltName of the certificate that signs the national list (or set whitelist_format)");
        }
        trust
    }
}
