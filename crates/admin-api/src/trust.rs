//! The state of the trust space as the API shows it. Instants are RFC 3339; see [`crate::instant`].

use serde::Serialize;
use utoipa::ToSchema;

/// The whole.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustState {
    /// When it was so.
    #[schema(format = DateTime)]
    pub at: String,
    /// Anchors and issuing authorities.
    pub authorities: Vec<Authority>,
    /// Revocation lists.
    pub crls: CrlState,
    /// The white list.
    pub whitelist: WhiteListState,
    /// Domains that left the white list.
    pub departures: Vec<Departure>,
    /// What somebody should do something about.
    pub alarms: Vec<Alarm>,
}

/// An authority.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Its name.
    pub subject: String,
    /// Whether it is a trust anchor.
    pub is_anchor: bool,
    /// Its last valid instant.
    #[schema(format = DateTime)]
    pub valid_until: String,
}

/// Revocation lists, where they come from, and what is wrong with them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrlState {
    /// Those in force, one for each issuer.
    pub lists: Vec<Crl>,
    /// Where lists are fetched from.
    pub sources: Vec<CrlSource>,
    /// Files whose list is not in force.
    pub file_faults: Vec<CrlFileFault>,
}

/// A revocation list in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Crl {
    /// Who issued it.
    pub issuer: String,
    /// CN of its issuer, or the whole name.
    pub issuer_name: String,
    /// Its number, in hexadecimal.
    pub number: Option<String>,
    /// When it was issued.
    #[schema(format = DateTime)]
    pub this_update: String,
    /// When the next one is due.
    #[schema(format = DateTime)]
    pub next_update: Option<String>,
    /// How many certificates it revokes.
    #[schema(minimum = 0)]
    pub entries: usize,
    /// `current`, `grace` (past its date, and still counted for a time) or `past`.
    pub standing: String,
}

/// A source of revocation lists.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrlSource {
    /// Its address.
    pub url: String,
    /// Who named it: `configuration`, `authority` or `peer`.
    pub origin: String,
    /// Issuer of the list that came from there.
    pub issuer: Option<String>,
    /// Number of that list.
    pub number: Option<String>,
    /// When it last answered with a list that was taken or is known.
    #[schema(format = DateTime)]
    pub fetched_at: Option<String>,
    /// When it is asked again.
    #[schema(format = DateTime)]
    pub next_fetch_at: String,
    /// Failures since.
    #[schema(minimum = 0)]
    pub failures: u32,
    /// The latest of them.
    pub last_error: Option<String>,
    /// When that was.
    #[schema(format = DateTime)]
    pub last_error_at: Option<String>,
}

/// A file whose list is not in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CrlFileFault {
    /// Which.
    pub file: String,
    /// Why.
    pub cause: String,
}

/// The white list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhiteListState {
    /// From where; null when none is configured.
    pub source: Option<String>,
    /// `national`, `csv` or `pairs`.
    pub format: Option<String>,
    /// Whether a list is in force.
    pub is_in_force: bool,
    /// `fresh`, `stale` or `too_old`; null without a list.
    pub standing: Option<String>,
    /// Its date.
    #[schema(format = DateTime)]
    pub generated_at: Option<String>,
    /// When it was put in force.
    #[schema(format = DateTime)]
    pub adopted_at: Option<String>,
    /// When its source last had it.
    #[schema(format = DateTime)]
    pub confirmed_at: Option<String>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// SHA-256 of it.
    pub sha256: Option<String>,
    /// Domains in it.
    #[schema(minimum = 0)]
    pub domains: usize,
    /// Pairs of domain and certificate in it.
    #[schema(minimum = 0)]
    pub pairs: usize,
    /// Certificates in it.
    #[schema(minimum = 0)]
    pub certificates: usize,
    /// Entries that were left out because they cannot be read.
    #[schema(minimum = 0)]
    pub left_out: usize,
    /// When its source is asked again, where it is a URL.
    #[schema(format = DateTime)]
    pub next_fetch_at: Option<String>,
    /// Failures since a list was taken or confirmed.
    #[schema(minimum = 0)]
    pub failures: u32,
    /// Why the latest list was not taken, in one word.
    pub last_error_code: Option<String>,
    /// The same in words, with what to do.
    pub last_error: Option<String>,
    /// When that was.
    #[schema(format = DateTime)]
    pub last_error_at: Option<String>,
}

/// A domain that left the white list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Departure {
    /// Which.
    pub domain: String,
    /// `departing`: mail for it is held. `departed`: it goes back to its senders.
    pub standing: String,
    /// Date of the first list without it.
    #[schema(format = DateTime)]
    pub first_absent_at: String,
    /// Date of the latest list without it.
    #[schema(format = DateTime)]
    pub latest_absent_at: String,
    /// Whether an administrator gave it up.
    pub is_given_up: bool,
}

/// Something to do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Alarm {
    /// What kind, in one word.
    pub kind: String,
    /// Which list, authority or domain.
    pub about: String,
    /// In words, with what to do.
    pub text: String,
}

/// What came of one source of revocation lists.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListSync {
    /// Its address.
    pub url: String,
    /// `unchanged`, `taken` or `failed`.
    pub outcome: &'static str,
    /// Issuer of a list that was taken.
    pub issuer: Option<String>,
    /// Number of a list that was taken, in hexadecimal.
    pub number: Option<String>,
    /// How many certificates a list that was taken revokes.
    #[schema(minimum = 0)]
    pub entries: Option<usize>,
    /// Why nothing was taken.
    pub error: Option<String>,
}

/// What came of the white list's source.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhiteListSync {
    /// `confirmed`: it is the one in force. `adopted`: it is in force now. `failed`.
    pub outcome: &'static str,
    /// Domains of a list that was adopted.
    #[schema(minimum = 0)]
    pub domains: Option<usize>,
    /// Domains that came with it.
    #[schema(minimum = 0)]
    pub domains_added: Option<usize>,
    /// Domains that left with it.
    #[schema(minimum = 0)]
    pub domains_removed: Option<usize>,
    /// Why it was not taken, in one word.
    pub code: Option<String>,
    /// The same in words, with what to do.
    pub error: Option<String>,
}
