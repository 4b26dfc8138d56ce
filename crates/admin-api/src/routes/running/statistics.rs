//! `/statistics`: what mailboxes did, by day.

use super::members;
use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::Query;
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use mail_types::MailboxId;
use serde::{Deserialize, Serialize};
use store::Counts;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Domains and days of one answer.
const ROWS_MAX: usize = 500;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/statistics", &[Permission::StatisticsRead]),
    rule("GET", "/statistics/mailboxes/{id}", &[Permission::StatisticsRead]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_statistics)).routes(routes!(show_mailbox_statistics))
}

/// What was done on a day.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DayCounts {
    /// Messages delivered to mailboxes.
    #[schema(minimum = 0)]
    received: u64,
    /// Their octets.
    #[schema(minimum = 0)]
    received_bytes: u64,
    /// Messages sent, each once.
    #[schema(minimum = 0)]
    sent: u64,
    /// Their octets.
    #[schema(minimum = 0)]
    sent_bytes: u64,
    /// Recipients at other operators that were reached.
    #[schema(minimum = 0)]
    relayed: u64,
    /// Recipients at other operators that were not reached.
    #[schema(minimum = 0)]
    bounced: u64,
    /// Logins.
    #[schema(minimum = 0)]
    logins: u64,
}

/// The counters of one day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statistics {
    /// The day (UTC).
    #[schema(format = Date, example = "2026-11-21")]
    day: String,
    /// Over the domains that the caller may see, or the one that was asked for.
    total: DayCounts,
    /// Of each domain that has any, by name, 500 at most.
    domains: Vec<DomainCounts>,
}

/// The counters of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainCounts {
    domain: String,
    #[serde(flatten)]
    counts: DayCounts,
}

/// The counters of a mailbox.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MailboxStatistics {
    mailbox_id: String,
    /// Each day that has any, in order, 500 at most.
    days: Vec<MailboxDay>,
}

/// The counters of a mailbox on a day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailboxDay {
    #[schema(format = Date, example = "2026-11-21")]
    day: String,
    #[serde(flatten)]
    counts: DayCounts,
}

/// Which counters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatisticsQuery {
    /// The day (UTC); today without it.
    #[param(format = Date, example = "2026-11-21")]
    day: Option<String>,
    /// Of this domain only.
    #[param(max_length = 255)]
    domain: Option<String>,
}

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DaysQuery {
    /// The first day (UTC); today without it.
    #[param(format = Date, example = "2026-11-01")]
    from: Option<String>,
    /// The last day; today without it.
    #[param(format = Date, example = "2026-11-21")]
    to: Option<String>,
}

/// Shows the counters of a day
///
/// Together and by domain, of the domains that the caller administers.
#[utoipa::path(get, path = "/statistics", tag = "statistics", operation_id = "showStatistics", params(StatisticsQuery),
    responses((status = 200, description = "The counters.", body = Statistics)))]
async fn show_statistics(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<StatisticsQuery>,
) -> Result<axum::Json<Statistics>, Problem> {
    let day = day(&api, query.day, "day")?;
    let seen = caller.domains(Permission::StatisticsRead);
    let asked = query.domain.map(|name| name.to_lowercase());
    let rows = api.store.domain_counts(&day).await?.into_iter();
    let rows =
        rows.filter(|(id, name, _)| seen.contain(*id) && asked.as_ref().is_none_or(|asked| asked == name));
    let mut total = Counts::default();
    let mut domains = Vec::new();
    for (_, domain, counts) in rows {
        total = total.and(&counts);
        if domains.len() < ROWS_MAX {
            domains.push(DomainCounts { domain, counts: counts.into() });
        }
    }
    Ok(axum::Json(Statistics { day, total: total.into(), domains }))
}

/// Shows the counters of a mailbox
///
/// Day by day; they are kept for 400 days.
#[utoipa::path(get, path = "/statistics/mailboxes/{id}", tag = "statistics", operation_id = "showMailboxStatistics", params(DaysQuery, ("id" = String, Path, description = "The mailbox's id.", pattern = "^[0-9]{1,18}$")),
    responses((status = 200, description = "The counters.", body = MailboxStatistics)))]
async fn show_mailbox_statistics(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DaysQuery>,
) -> Result<axum::Json<MailboxStatistics>, Problem> {
    let mailbox = MailboxId(members::id(&id)?);
    let (from, to) = (day(&api, query.from, "from")?, day(&api, query.to, "to")?);
    let found = api.store.mailbox_counts(mailbox, &from, &to).await?;
    let (domain, rows) = found.ok_or(Problem::new(Code::NotFound))?;
    caller.may_see(Permission::StatisticsRead, domain)?;
    let days = rows.into_iter().take(ROWS_MAX);
    let days = days.map(|(day, counts)| MailboxDay { day, counts: counts.into() }).collect();
    Ok(axum::Json(MailboxStatistics { mailbox_id: id, days }))
}

/// A day of a query, or today.
fn day(api: &Api, text: Option<String>, parameter: &'static str) -> Result<String, Problem> {
    let Some(text) = text else { return Ok(store::day_of(api.store.now())) };
    let parts: Vec<&str> = text.split('-').collect();
    let is_day = match parts.as_slice() {
        [year, month, day] => {
            let number = |text: &str, length| {
                (text.len() == length && text.bytes().all(|octet| octet.is_ascii_digit()))
                    .then(|| text.parse::<u32>().ok())
                    .flatten()
            };
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    };
    is_day.then_some(text).ok_or_else(|| {
        Problem::parameter(
            parameter,
            "is not a day such as 2026-11-21",
            "n'est pas un jour tel que 2026-11-21",
        )
    })
}

impl From<Counts> for DayCounts {
    fn from(counts: Counts) -> Self {
        Self {
            received: counts.received,
            received_bytes: counts.received_bytes,
            sent: counts.sent,
            sent_bytes: counts.sent_bytes,
            relayed: counts.relayed,
            bounced: counts.bounced,
            logins: counts.logins,
        }
    }
}
