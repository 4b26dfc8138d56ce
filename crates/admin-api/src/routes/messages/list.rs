//! Lists of messages.

use super::shown::MessageSummary;
use crate::access::Caller;
use crate::api::Shared;
use crate::instant::Instant;
use crate::json::Query;
use crate::mailbox::{Holder, MessageId, head};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::State;
use mail_types::{FolderId, SystemFlags};
use serde::Deserialize;
use store::{FolderSummary, ListedMessage, MessageFilter};
use utoipa::IntoParams;

/// Rows read at one time: their structures are in memory together.
const ROWS: u32 = 32;

/// Which messages, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct MessageQuery {
    /// The identifier of a folder; INBOX unless said.
    #[param(pattern = "^[0-9]{1,18}$")]
    folder: Option<String>,
    /// Those that the caller has not seen, or has.
    unread: Option<bool>,
    /// Those that are marked, or are not.
    flagged: Option<bool>,
    /// Those that were answered, or were not.
    answered: Option<bool>,
    /// Those that came at this instant (RFC 3339) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Instant>,
    /// Those that came before this instant (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Instant>,
    /// Those of at least so many octets.
    #[param(minimum = 0, maximum = 9007199254740991i64)]
    min_size: Option<u64>,
    /// Those of at most so many octets.
    #[param(minimum = 0, maximum = 9007199254740991i64)]
    max_size: Option<u64>,
    /// In which order: the last to come first, or the first.
    #[param(value_type = Option<String>, example = "-arrival", pattern = "^-?arrival$")]
    sort: Option<String>,
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

impl MessageQuery {
    fn filter(&self) -> MessageFilter {
        let asked = [
            (self.unread.map(|unread| !unread), SystemFlags::SEEN),
            (self.flagged, SystemFlags::FLAGGED),
            (self.answered, SystemFlags::ANSWERED),
        ];
        let mut filter = MessageFilter::default();
        for (wanted, flag) in asked {
            let Some(wanted) = wanted else { continue };
            filter.mask = filter.mask.union(flag);
            if wanted {
                filter.set = filter.set.union(flag);
            }
        }
        filter.since = self.since.map_or(filter.since, |since| since.0);
        filter.before = self.before.map_or(filter.before, |before| before.0);
        filter.size_min = self.min_size.unwrap_or(filter.size_min);
        filter.size_max = self.max_size.unwrap_or(filter.size_max);
        filter
    }

    fn is_newest_first(&self) -> Result<bool, Problem> {
        match self.sort.as_deref() {
            None | Some("-arrival") => Ok(true),
            Some("arrival") => Ok(false),
            Some(_) => Err(Problem::parameter(
                "sort",
                "must be -arrival (the last first) or arrival",
                "doit être -arrival (le dernier d'abord) ou arrival",
            )),
        }
    }
}

/// Lists messages
///
/// The messages of one folder, nothing of their content. Filters look at flags, dates and sizes; what is written in messages is searched by IMAP.
/// The right `r` is needed. What another than the holder lists is told of in the audit trail.
#[utoipa::path(get, path = "/messages", tag = "messages", operation_id = "listMessages", params(MessageQuery),
    responses((status = 200, description = "A page of messages.", body = Page<MessageSummary>)))]
pub(super) async fn list_messages(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<MessageQuery>,
) -> Result<axum::Json<Page<MessageSummary>>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let limit = page::limit(query.limit)?;
    let is_newest_first = query.is_newest_first()?;
    let after = uid(&page::after(query.cursor.as_deref())?)?;
    let folder = folder(&holder, query.folder.as_deref()).await?;
    holder.note_reading("folder.listed", format!("folder={}", folder.row.id)).await?;
    let keywords = holder.store.keywords(folder.row.id).await?;
    let key = holder.store.mailbox_key(holder.mailbox()).await?;
    let mut rows: Vec<(u32, MessageSummary)> = Vec::new();
    let mut last = after;
    while rows.len() <= limit as usize {
        let wanted = (limit + 1 - u32::try_from(rows.len()).unwrap_or(u32::MAX)).min(ROWS);
        let found = page(&holder, &folder, &query.filter(), last, is_newest_first, wanted).await?;
        let is_last = found.len() < wanted as usize;
        for listed in found {
            let id =
                MessageId { folder: folder.row.id, uid_validity: folder.uid_validity, uid: listed.row.uid };
            last = Some(listed.row.uid.0);
            // Of one that cannot be opened, what its row says; whoever reads it is told.
            let summary = match head(&listed, &key) {
                Ok((head, structure)) => MessageSummary::of(id, &listed, head, &structure, &keywords),
                Err(error) => {
                    tracing::error!(%id, %error, "what a message is made of could not be read; `vaguemestre fsck` says what is missing");
                    MessageSummary::of_row(id, &listed, &keywords)
                }
            };
            rows.push((listed.row.uid.0, summary));
        }
        if is_last {
            break;
        }
    }
    Ok(axum::Json(Page::of(rows, limit, |(uid, _)| uid.to_string()).map(|(_, summary)| summary)))
}

async fn page(
    holder: &Holder,
    folder: &FolderSummary,
    filter: &MessageFilter,
    last: Option<u32>,
    is_newest_first: bool,
    limit: u32,
) -> Result<Vec<ListedMessage>, Problem> {
    let bounds = match (last, is_newest_first) {
        (None, _) => (0, u64::MAX),
        (Some(last), true) => (0, u64::from(last)),
        (Some(last), false) => (last, u64::MAX),
    };
    let seen_of = holder.reader();
    Ok(holder.store.listed_messages(folder.row.id, seen_of, filter, bounds, is_newest_first, limit).await?)
}

async fn folder(holder: &Holder, id: Option<&str>) -> Result<FolderSummary, Problem> {
    let unknown = || {
        Problem::new(Code::NotFound).detail(
            "there is no such folder; see GET /folders",
            "il n'y a pas de tel dossier ; voir GET /folders",
        )
    };
    let id = match id {
        Some(id) => FolderId(id.parse().map_err(|_| unknown())?),
        None => {
            let inbox = holder.store.folder(holder.mailbox(), "INBOX").await?;
            inbox.ok_or_else(|| Problem::new(Code::NotFound))?.id
        }
    };
    let place = holder.place(id).await.map_err(|problem| match problem.code() {
        Code::NotFound => unknown(),
        _ => problem,
    })?;
    place.must("r")?;
    if place.folder.row.selectable { Ok(place.folder) } else { Err(unknown()) }
}

/// The UID in a cursor.
fn uid(key: &str) -> Result<Option<u32>, Problem> {
    if key.is_empty() {
        return Ok(None);
    }
    key.parse().map(Some).map_err(|_| {
        Problem::parameter(
            "cursor",
            "is not a cursor of this list; begin again without one",
            "n'est pas un curseur de cette liste ; recommencez sans curseur",
        )
    })
}
