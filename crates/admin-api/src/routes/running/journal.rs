//! `/journal`: how peers and certificates were judged.

use crate::access::{Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::{Query, instant};
use crate::page::{self, Page};
use crate::problem::Problem;
use axum::extract::State;
use mail_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::JudgementRow;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] =
    &[rule("GET", "/journal", &[Permission::AuditRead, Permission::CertificatesRead])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_judgements))
}

/// One judgement, or a row that stands for several like it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JournalRow {
    /// When it was made.
    #[schema(format = DateTime)]
    at: String,
    /// When the row was written.
    #[schema(format = DateTime)]
    written_at: String,
    /// `trust.judged`, or another dotted word.
    action: String,
    /// `accepted`, `rejected`, `deferred`, `handshake_failed`, `lost`.
    outcome: String,
    /// `inbound`, `outbound` or `client`.
    direction: Option<String>,
    /// Why: a word of a closed list.
    reason: Option<String>,
    /// The domain that it was about.
    domain: Option<String>,
    /// Address of the other end; null when it is not known, or was erased.
    peer: Option<String>,
    /// Name of the other end.
    host: Option<String>,
    /// Subject of its certificate.
    subject: Option<String>,
    /// Serial number of its certificate, in hexadecimal.
    serial: Option<String>,
    /// Whether its chain was verified.
    verified: Option<bool>,
    /// TLS version.
    tls: Option<String>,
    /// TLS cipher suite.
    suite: Option<String>,
    /// Date of the white list by which it was judged.
    #[schema(format = DateTime)]
    white_list_at: Option<String>,
    /// Number of the revocation list by which it was judged.
    crl_number: Option<String>,
    /// For how many more like it the row stands.
    #[schema(minimum = 0)]
    repeats: u64,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JournalQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists judgements of peers and certificates
///
/// Newest first; failed handshakes included.
#[utoipa::path(get, path = "/journal", tag = "trust", operation_id = "listJudgements", params(JournalQuery),
    responses((status = 200, description = "A page of judgements.", body = Page<JournalRow>)))]
async fn list_judgements(
    State(api): Shared,
    Query(query): Query<JournalQuery>,
) -> Result<axum::Json<Page<JournalRow>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::after(query.cursor.as_deref())?;
    let before = if after.is_empty() { None } else { Some(after.parse().map_err(|_| page::foreign())?) };
    let rows = api.store.judgements(before, limit + 1).await?;
    let key = |row: &JudgementRow| row.place.to_string();
    Ok(axum::Json(Page::of(rows, limit, key).map(JournalRow::from)))
}

impl From<JudgementRow> for JournalRow {
    fn from(row: JudgementRow) -> Self {
        let facts: Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let word = |key: &str| facts[key].as_str().map(ToOwned::to_owned);
        let at = |key: &str| facts[key].as_i64().map(Timestamp);
        let count = if row.action == "trust.judged" { &facts["repeats"] } else { &facts["count"] };
        Self {
            at: instant(at("at_ms").unwrap_or(row.at)),
            written_at: instant(row.at),
            action: row.action,
            outcome: row.outcome,
            direction: word("direction"),
            reason: word("reason"),
            domain: word("domain"),
            peer: row.peer.map(|peer| peer.to_string()),
            host: word("host"),
            subject: word("subject"),
            serial: word("serial"),
            verified: facts["verified"].as_bool(),
            tls: word("tls"),
            suite: word("suite"),
            white_list_at: at("white_list_ms").map(instant),
            crl_number: word("crl"),
            repeats: count.as_u64().unwrap_or(0),
        }
    }
}
