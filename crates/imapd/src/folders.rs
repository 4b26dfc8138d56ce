//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3, RFC 6154 §3).

use crate::place::{NONEXISTENT, Place, Reach};
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::command::SpecialUse;
use imap_session::response::{self, Code, Status};
use store::FolderError;

impl Connection {
    /// CREATE.
    pub(crate) async fn create(&mut self, name: &str, uses: &[SpecialUse]) -> Answer {
        let (Reach { who, .. }, name) = self.within(name).await?;
        who.must("k")?;
        must_be_name(name)?;
        let special_use = match uses {
            [] => None,
            [one] => Some(store::SpecialUse::named(one.as_str()).ok_or(NO_USE)?),
            _ => return Err(NO_USE),
        };
        self.shared.store.create_folder(who.mailbox, name, special_use).await?.map_err(refusal)?;
        Ok(Done::new("CREATE completed"))
    }

    /// DELETE. The selected folder may go too: it is then selected no more.
    pub(crate) async fn delete(&mut self, name: &str) -> Answer {
        let Place { who, folder, .. } = self.named(name).await?;
        who.must("x")?;
        self.changing(who).delete_folder(who.mailbox, &folder.name).await?.map_err(refusal)?;
        if self.selected.as_ref().is_some_and(|selected| selected.folder == folder.id) {
            self.leave_folder().await;
            response::untagged(
                &mut self.wire.out,
                Status::Ok,
                Some(Code::Closed),
                "The selected folder is closed",
            );
        }
        Ok(Done::new("DELETE completed"))
    }

    /// RENAME.
    pub(crate) async fn rename(&mut self, from: &str, to: &str) -> Answer {
        let (Reach { who, .. }, to) = self.within(to).await?;
        // RFC 4314 §4: INBOX stays; only its messages go.
        who.must(if from == "INBOX" { "kte" } else { "kx" })?;
        must_be_name(to)?;
        if from != "INBOX" {
            // What is below gets longer too.
            for folder in self.shared.store.folders(who.mailbox).await? {
                let rest = folder.name.strip_prefix(from).filter(|rest| rest.starts_with('/'));
                rest.map_or(Ok(()), |rest| must_be_name(&format!("{to}{rest}")))?;
            }
        }
        self.changing(who).rename_folder(who.mailbox, from, to).await?.map_err(refusal)?;
        Ok(Done::new("RENAME completed"))
    }

    /// SUBSCRIBE.
    pub(crate) async fn subscribe(&mut self, name: &str) -> Answer {
        let Place { who, folder, .. } = self.named(name).await?;
        self.shared.store.subscribe(who.mailbox, who.actor, &folder.name, true).await?;
        Ok(Done::new("SUBSCRIBE completed"))
    }

    /// UNSUBSCRIBE.
    pub(crate) async fn unsubscribe(&mut self, name: &str) -> Answer {
        let (Reach { who, .. }, name) = self.within(name).await?;
        self.shared.store.subscribe(who.mailbox, who.actor, name, false).await?;
        Ok(Done::new("UNSUBSCRIBE completed"))
    }
}

/// RFC 6154 §3: its code is not among those of `imap-session`.
const NO_USE: Failure = Failure::No(None, "[USEATTR] A folder cannot have this use here");

fn refusal(error: FolderError) -> Failure {
    match error {
        FolderError::NotFound => NONEXISTENT,
        FolderError::Exists => Failure::No(Some(Code::AlreadyExists), "The folder exists already"),
        FolderError::Forbidden => Failure::No(Some(Code::Cannot), "This folder cannot be changed so"),
        FolderError::TooMany => Failure::No(Some(Code::Limit), "Too many folders"),
    }
}

fn must_be_name(name: &str) -> Result<(), Failure> {
    if mail_types::is_folder_name(name) {
        Ok(())
    } else {
        Err(Failure::No(Some(Code::Cannot), "This cannot be the name of a folder"))
    }
}
