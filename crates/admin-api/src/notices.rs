//! Letters to those whom an administrator's act concerns.

use crate::api::Api;
use crate::problem::Problem;
use mail_types::{ActorId, MailboxId};
use message::notice::Event;
use std::sync::Arc;
use store::{Acceptance, Error};

/// Letters to whoever holds or administers a mailbox, and to `grantee`, to be committed with the event. None where the operator wants none.
pub(crate) async fn letters(
    api: &Api,
    mailbox: MailboxId,
    grantee: Option<ActorId>,
    event: &Event<'_>,
) -> Result<Vec<Arc<Acceptance>>, Problem> {
    Ok(written(api, mailbox, grantee, event).await?)
}

/// Tells whoever holds or administers a mailbox of what is done already. What cannot be told is in the log.
pub(crate) async fn tell(api: &Api, mailbox: MailboxId, event: &Event<'_>) {
    let told = async {
        let letters = written(api, mailbox, None, event).await?;
        if letters.is_empty() { Ok(()) } else { api.store.deliver_letters(letters).await }
    };
    if let Err(error) = told.await {
        tracing::warn!(%mailbox, %error, "those concerned could not be told of a change to a mailbox");
    }
}

async fn written(
    api: &Api,
    mailbox: MailboxId,
    grantee: Option<ActorId>,
    event: &Event<'_>,
) -> Result<Vec<Arc<Acceptance>>, Error> {
    let Some(door) = &api.notices else { return Ok(Vec::new()) };
    let to = api.store.concerned(mailbox, grantee).await?;
    door.notices(&to, event).await
}
