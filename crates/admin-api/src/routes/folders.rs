//! `/folders`: the folders of the mailbox that the caller opened.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::etag::IfMatch;
use crate::json::{Created, Json, Query, Shown};
use crate::mailbox::Holder;
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mail_types::{FolderId, is_folder_name};
use serde::{Deserialize, Serialize};
use store::{FolderError, FolderSummary};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] = &[
    rule("GET", "/folders", &[Permission::Messages]),
    rule("POST", "/folders", &[Permission::Messages]),
    rule("GET", "/folders/{id}", &[Permission::Messages]),
    rule("PATCH", "/folders/{id}", &[Permission::Messages]),
    rule("DELETE", "/folders/{id}", &[Permission::Messages]),
];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_folders, add_folder)).routes(routes!(
        show_folder,
        rename_folder,
        remove_folder
    ))
}

/// A folder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Folder {
    /// Its identifier.
    #[schema(example = "17")]
    id: String,
    /// Its name, levels apart by `/`.
    #[schema(example = "Patients/2026")]
    name: String,
    /// The name of the level above, null at the top.
    #[schema(example = "Patients")]
    parent: Option<String>,
    /// What it is for (RFC 6154): `\Sent`, `\Trash`, `\Drafts`, `\Junk`, `\Archive`.
    #[schema(example = "\\Sent")]
    special_use: Option<String>,
    /// Whether it holds messages; a name that only has folders below it does not.
    selectable: bool,
    /// Messages that the caller has not seen.
    unread: u64,
    /// Messages.
    total: u64,
    /// Octets of its messages.
    size: u64,
}

impl From<FolderSummary> for Folder {
    fn from(folder: FolderSummary) -> Self {
        let name = folder.row.name;
        Self {
            id: folder.row.id.to_string(),
            parent: name.rsplit_once('/').map(|(parent, _)| parent.to_owned()),
            special_use: folder.row.special_use,
            selectable: folder.row.selectable,
            unread: folder.unseen,
            total: folder.messages,
            size: folder.size_bytes,
            name,
        }
    }
}

/// A folder to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewFolder {
    /// Its name, levels apart by `/`; missing levels are made.
    #[schema(example = "Patients/2026", min_length = 1, max_length = 512)]
    name: String,
}

/// What of a folder can be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FolderChange {
    /// Its new name. Folders below it go with it.
    #[schema(example = "Patients/Archives", min_length = 1, max_length = 512)]
    name: Option<String>,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FolderQuery {
    /// Where the page begins: `nextCursor` of the one before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}

/// Lists folders
///
/// Those of the mailbox that was opened in which the caller has the right `l`, by name.
#[utoipa::path(get, path = "/folders", tag = "messages", operation_id = "listFolders", params(FolderQuery),
    responses((status = 200, description = "A page of folders.", body = Page<Folder>)))]
async fn list_folders(
    State(api): Shared,
    caller: Caller,
    Query(query): Query<FolderQuery>,
) -> Result<axum::Json<Page<Folder>>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let limit = page::limit(query.limit)?;
    let mut after = page::after(query.cursor.as_deref())?;
    let wanted = limit as usize + 1;
    let mut rows: Vec<FolderSummary> = Vec::new();
    loop {
        let found =
            holder.store.folder_summaries(holder.mailbox(), holder.reader(), &after, limit + 1).await?;
        let given = holder.given().await?;
        if !given.differs() {
            holder.must_throughout("l").await?;
        }
        let is_last = found.len() < wanted;
        after = found.last().map_or(after, |folder| folder.row.name.clone());
        rows.extend(found.into_iter().filter(|folder| given.rights_in(&folder.row).has('l')));
        if is_last || rows.len() >= wanted {
            break;
        }
    }
    rows.truncate(wanted);
    Ok(axum::Json(Page::of(rows, limit, |folder| folder.row.name.clone()).map(Folder::from)))
}

/// Makes a folder
///
/// The right `k` is needed. Whoever has other rights in some folders than in the mailbox makes, renames and deletes folders over IMAP.
#[utoipa::path(post, path = "/folders", tag = "messages", operation_id = "addFolder", request_body = NewFolder,
    responses((status = 201, description = "The folder.", body = Folder)))]
async fn add_folder(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewFolder>,
) -> Result<Created<Folder>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    holder.must_throughout("k").await?;
    let name = folder_name(&new.name)?;
    let id = holder.store.create_folder(holder.mailbox(), &name, None).await?.map_err(refusal)?;
    Ok(Created { location: format!("/folders/{id}"), shown: shown(holder.place(id).await?.folder) })
}

/// Shows a folder
///
/// With its `ETag`, which changes with its name. The right `l` is needed.
#[utoipa::path(get, path = "/folders/{id}", tag = "messages", operation_id = "getFolder",
    params(("id" = String, Path, description = "Its identifier.")),
    responses((status = 200, description = "The folder.", body = Folder)))]
async fn show_folder(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Shown<Folder>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    Ok(shown(find(&holder, &id).await?))
}

/// Renames a folder
///
/// Folders below it go with it. INBOX keeps its name. The rights `k` and `x` are needed.
#[utoipa::path(patch, path = "/folders/{id}", tag = "messages", operation_id = "renameFolder", request_body = FolderChange,
    params(("id" = String, Path, description = "Its identifier."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The folder as it is now.", body = Folder)))]
async fn rename_folder(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(change): Json<FolderChange>,
) -> Result<Shown<Folder>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    holder.must_throughout("kx").await?;
    let folder = find(&holder, &id).await?;
    if_match.expect(revision(&folder.row.name))?;
    let from = folder.row.name.as_str();
    let Some(to) = change.name.as_deref().map(folder_name).transpose()?.filter(|to| to != from) else {
        return Ok(shown(folder));
    };
    if from == "INBOX" {
        return Err(refusal(FolderError::Forbidden));
    }
    // What is below gets another name too.
    for below in holder.store.folders(holder.mailbox()).await? {
        if let Some(rest) = below.name.strip_prefix(from).filter(|rest| rest.starts_with('/')) {
            folder_name(&format!("{to}{rest}"))?;
        }
    }
    let renamed = holder.store.rename_folder_named(holder.mailbox(), folder.row.id, from, &to).await?;
    renamed.map_err(changed_meanwhile)?;
    Ok(shown(holder.place(folder.row.id).await?.folder))
}

/// Deletes a folder
///
/// With its messages, for good. One that has folders below it stays as a name that holds no messages. INBOX stays. The right `x` is needed.
#[utoipa::path(delete, path = "/folders/{id}", tag = "messages", operation_id = "deleteFolder",
    params(("id" = String, Path, description = "Its identifier."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 204, description = "It is gone.")))]
async fn remove_folder(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let holder = Holder::of(&api, &caller)?;
    holder.must_throughout("x").await?;
    let folder = find(&holder, &id).await?;
    if_match.expect(revision(&folder.row.name))?;
    let removed = holder.store.delete_folder_named(holder.mailbox(), folder.row.id, &folder.row.name).await?;
    removed.map_err(changed_meanwhile)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(holder: &Holder, id: &str) -> Result<FolderSummary, Problem> {
    let id = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    Ok(holder.place(FolderId(id)).await?.folder)
}

fn shown(folder: FolderSummary) -> Shown<Folder> {
    Shown { revision: revision(&folder.row.name), value: folder.into() }
}

/// A number that is another one for another name: all that can be changed of a folder.
fn revision(name: &str) -> i64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let first = digest.as_ref().iter().take(8);
    first.fold(0_i64, |number, octet| number << 8 | i64::from(*octet)) & i64::MAX
}

/// The name as the store has it: INBOX is the same in any letter case.
fn folder_name(name: &str) -> Result<String, Problem> {
    if !is_folder_name(name) {
        return Err(Problem::invalid(
            "/name",
            "must be at most 512 octets and 32 levels, no level empty, without *, % and control characters",
            "doit avoir au plus 512 octets et 32 niveaux, aucun vide, sans *, % ni caractère de contrôle",
        ));
    }
    let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let first = if first.eq_ignore_ascii_case("INBOX") { "INBOX" } else { first };
    Ok(rest.map_or_else(|| first.to_owned(), |rest| format!("{first}/{rest}")))
}

fn refusal(error: FolderError) -> Problem {
    let conflict = |english: &str, french: &str| Problem::new(Code::Conflict).detail(english, french);
    match error {
        FolderError::NotFound => Problem::new(Code::NotFound),
        FolderError::Exists => {
            conflict("a folder of that name is there already", "un dossier de ce nom existe déjà")
        }
        FolderError::Forbidden => conflict(
            "this folder cannot be changed so: INBOX stays, and a name that only has folders below it stays with them",
            "ce dossier ne peut être changé ainsi : INBOX reste, et un nom qui n'a que des dossiers sous lui reste avec eux",
        ),
        FolderError::TooMany => conflict(
            "the mailbox has as many folders as it may have",
            "la boîte a autant de dossiers qu'elle peut en avoir",
        ),
        FolderError::UseTaken => conflict("another folder has this use", "un autre dossier a déjà cet usage"),
    }
}

/// The folder was found, and had another name or was gone when it came to it.
fn changed_meanwhile(error: FolderError) -> Problem {
    match error {
        FolderError::NotFound => Problem::new(Code::PreconditionFailed),
        error => refusal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_itself_in_any_letter_case() {
        for (name, kept) in
            [("inbox", "INBOX"), ("Inbox/a", "INBOX/a"), ("a/inbox", "a/inbox"), ("Inboxes", "Inboxes")]
        {
            assert_eq!(folder_name(name).unwrap(), kept);
        }
        assert_ne!(revision("a"), revision("b"));
    }
}
