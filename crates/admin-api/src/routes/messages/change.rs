//! Messages changed, moved, removed.

use super::read::{note, revision};
use super::shown::MessageSummary;
use crate::access::Caller;
use crate::api::Shared;
use crate::etag::IfMatch;
use crate::json::{Json, Query, Shown};
use crate::mailbox::{Holder, Letter, MessageId, Place};
use crate::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mail_types::{FolderId, ModSeq, SystemFlags, is_keyword};
use serde::{Deserialize, Serialize};
use store::{MessageChange, MessageRefusal, Refusal, SpecialUse};
use utoipa::{IntoParams, ToSchema};

/// Keywords that one request names.
const KEYWORDS_MAX: usize = store::KEYWORDS_MAX;

/// Flags to be set or taken away; an absent member stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FlagsChange {
    /// It was read. The right `s` is needed.
    seen: Option<bool>,
    /// It was answered. The right `w` is needed, here and for what follows.
    answered: Option<bool>,
    /// It was marked.
    flagged: Option<bool>,
    /// It is to be removed. The right `t` is needed.
    deleted: Option<bool>,
    /// It is not finished.
    draft: Option<bool>,
}

/// What of a message can be changed (RFC 7396: an absent member stays).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MessagePatch {
    flags: Option<FlagsChange>,
    /// Words that readers give it: all that it then has. Not together with `folder`.
    #[schema(max_items = 63)]
    keywords: Option<Vec<String>>,
    /// The identifier of the folder that it goes to. The rights `i`, `t` and `e` are needed.
    #[schema(max_length = 20, example = "18")]
    folder: Option<String>,
}

/// How to remove.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemovalQuery {
    /// For good, wherever it is.
    #[param(default = false)]
    permanent: Option<bool>,
}

/// A message that is in the trash now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trashed {
    /// Its identifier there.
    id: String,
}

/// Changes a message
///
/// Its flags and keywords, or the folder that it is in; its identifier is another one then. `If-Match` is required: nothing is done when the message changed
/// since it was read.
#[utoipa::path(patch, path = "/messages/{id}", tag = "messages", operation_id = "changeMessage", request_body = MessagePatch,
    params(("id" = String, Path, description = "Its identifier."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "The message as it is now, without its content.", body = MessageSummary)))]
pub(super) async fn change_message(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(patch): Json<MessagePatch>,
) -> Result<Shown<MessageSummary>, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let id: MessageId = id.parse()?;
    let place = holder.place_of(id).await?;
    place.must("r")?;
    let letter = Letter::open(&holder, id).await?;
    let expected = if_match.expect(revision(&letter))?;
    let change = plan(&holder, &place, id, &letter, patch).await?;
    let change = MessageChange { expected: expected.map(modseq), ..change };
    let placed = holder.store.change_message(change).await?.map_err(refusal)?;
    let id = MessageId {
        folder: placed.folder,
        uid_validity: placed.uid_validity.unwrap_or(id.uid_validity),
        uid: placed.uid,
    };
    let letter = Letter::open(&holder, id).await?;
    note(&holder, id, "summary").await?;
    let keywords = holder.store.keywords(id.folder).await?;
    let head = letter.structure.letterhead();
    let value = MessageSummary::of(id, &letter.listed, head, &letter.structure, &keywords);
    Ok(Shown { revision: revision(&letter), value })
}

/// Removes a message
///
/// It goes to the trash; from there, or with `permanent=true`, it goes for good. The rights `t` and `e` are needed, and `i` for the trash.
#[utoipa::path(delete, path = "/messages/{id}", tag = "messages", operation_id = "deleteMessage",
    params(RemovalQuery, ("id" = String, Path, description = "Its identifier."), ("If-Match" = String, Header, description = "The ETag that was read.")),
    responses((status = 200, description = "It is in the trash.", body = Trashed), (status = 204, description = "It is gone.")))]
pub(super) async fn remove_message(
    State(api): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<RemovalQuery>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let holder = Holder::of(&api, &caller)?;
    let id: MessageId = id.parse()?;
    let place = holder.place_of(id).await?;
    place.must("te")?;
    let listed = holder.store.listed_message(id.folder, holder.reader(), id.uid).await?;
    let listed = listed.ok_or_else(|| Problem::new(Code::NotFound))?;
    let expected = if_match.expect(i64::try_from(listed.row.modseq.0).unwrap_or(i64::MAX))?.map(modseq);
    let is_in_trash = place.folder.row.special_use.as_deref() == Some(SpecialUse::TRASH.0);
    if is_in_trash || query.permanent == Some(true) {
        let (mailbox, seen_of) = (holder.mailbox(), holder.reader());
        let removed = holder.store.remove_message(mailbox, id.folder, id.uid, seen_of, expected).await?;
        removed.map_err(refusal)?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let trash =
        holder.store.folder_with_use(holder.mailbox(), SpecialUse::TRASH).await?.ok_or_else(|| {
            Problem::new(Code::Conflict).detail(
            "the mailbox has no trash; send permanent=true to remove the message for good",
            "la boîte n'a pas de corbeille ; envoyez permanent=true pour supprimer le message définitivement",
        )
        })?;
    holder.place(trash.id).await?.must("i")?;
    let change = MessageChange { expected, move_to: Some(trash.id), ..unchanged(&holder, id) };
    let placed = holder.store.change_message(change).await?.map_err(refusal)?;
    let uid_validity = placed.uid_validity.unwrap_or(id.uid_validity);
    let id = MessageId { folder: placed.folder, uid_validity, uid: placed.uid };
    Ok(axum::Json(Trashed { id: id.to_string() }).into_response())
}

fn unchanged(holder: &Holder, id: MessageId) -> MessageChange {
    MessageChange {
        mailbox: holder.mailbox(),
        folder: id.folder,
        uid: id.uid,
        actor: holder.reader(),
        expected: None,
        add: Default::default(),
        remove: Default::default(),
        move_to: None,
    }
}

/// What is to be done, once it is found that the caller may.
async fn plan(
    holder: &Holder,
    place: &Place,
    id: MessageId,
    letter: &Letter,
    patch: MessagePatch,
) -> Result<MessageChange, Problem> {
    let mut change = unchanged(holder, id);
    let flags = patch.flags.unwrap_or_default();
    for (wanted, flag) in [
        (flags.seen, SystemFlags::SEEN),
        (flags.answered, SystemFlags::ANSWERED),
        (flags.flagged, SystemFlags::FLAGGED),
        (flags.deleted, SystemFlags::DELETED),
        (flags.draft, SystemFlags::DRAFT),
    ] {
        match wanted {
            Some(true) => change.add.0 = change.add.0.union(flag),
            Some(false) => change.remove.0 = change.remove.0.union(flag),
            None => {}
        }
    }
    place.must_change(change.add.0.union(change.remove.0), patch.keywords.is_some())?;
    if let Some(target) = patch.folder {
        place.must("te")?;
        if patch.keywords.is_some() {
            return Err(Problem::invalid(
                "/keywords",
                "cannot change together with folder; send two requests",
                "ne peut changer en même temps que folder ; envoyez deux requêtes",
            ));
        }
        change.move_to = Some(target_folder(holder, &target).await?);
    }
    if let Some(keywords) = patch.keywords {
        check_keywords(&keywords)?;
        let known = holder.store.keywords(id.folder).await?;
        let has = |bit: usize| bit < 64 && letter.listed.keywords >> bit & 1 == 1;
        let stays = |name: &String| keywords.iter().any(|kept| kept.eq_ignore_ascii_case(name));
        let gone = known.iter().enumerate().filter(|(bit, name)| has(*bit) && !stays(name));
        change.remove.1 = gone.map(|(_, name)| name.clone()).collect();
        change.add.1 = keywords;
    }
    Ok(change)
}

async fn target_folder(holder: &Holder, id: &str) -> Result<FolderId, Problem> {
    let unknown = || {
        Problem::invalid(
            "/folder",
            "there is no such folder; see GET /folders",
            "il n'y a pas de tel dossier ; voir GET /folders",
        )
    };
    let id = FolderId(id.parse().map_err(|_| unknown())?);
    let target = holder.place(id).await.map_err(|problem| match problem.code() {
        Code::NotFound => unknown(),
        _ => problem,
    })?;
    target.must("i")?;
    if target.folder.row.selectable { Ok(id) } else { Err(unknown()) }
}

fn check_keywords(keywords: &[String]) -> Result<(), Problem> {
    if keywords.len() > KEYWORDS_MAX {
        return Err(too_many_keywords());
    }
    match keywords.iter().position(|keyword| !is_keyword(keyword)) {
        None => Ok(()),
        Some(at) => Err(Problem::invalid(
            format!("/keywords/{at}"),
            "is not a keyword: a word of at most 128 ASCII characters without ( ) { % * \" \\ ]",
            "n'est pas un mot-clé : un mot d'au plus 128 caractères ASCII sans ( ) { % * \" \\ ]",
        )),
    }
}

fn too_many_keywords() -> Problem {
    Problem::invalid(
        "/keywords",
        format!("a folder has at most {KEYWORDS_MAX} keywords"),
        format!("un dossier a au plus {KEYWORDS_MAX} mots-clés"),
    )
}

fn modseq(revision: i64) -> ModSeq {
    ModSeq(revision.unsigned_abs())
}

fn refusal(refusal: MessageRefusal) -> Problem {
    match refusal {
        MessageRefusal::Gone | MessageRefusal::Target(Refusal::Incomplete) => Problem::new(Code::NotFound),
        MessageRefusal::Changed => Problem::new(Code::PreconditionFailed),
        MessageRefusal::Target(Refusal::TooManyKeywords) => too_many_keywords(),
        MessageRefusal::Target(refusal @ (Refusal::NoFolder | Refusal::OverQuota)) => {
            Problem::new(Code::Conflict)
                .detail(refusal.to_string(), "le dossier cible n'y est plus, ou la boîte est pleine")
        }
    }
}
