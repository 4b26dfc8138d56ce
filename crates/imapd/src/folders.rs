//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3, RFC 6154 §3).

use crate::place::{NONEXISTENT, OTHERS_NAME, Place, Reach, Who};
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::command::SpecialUse;
use imap_session::response::{self, Code, Status};
use std::borrow::Cow;
use store::FolderError;

impl Connection {
    /// CREATE.
    pub(crate) async fn create(&mut self, name: &str, uses: &[SpecialUse]) -> Answer {
        let (reach, name) = self.new_name(name).await?;
        self.must_take_folder(&reach.reached, &name).await?;
        must_be_name(&name)?;
        let special_use = match uses {
            [] => None,
            [one] => Some(self.use_there(&reach, one.as_str())?),
            _ => return Err(ONE_USE),
        };
        let who = Who::at_large(&reach.reached);
        let created = self.changing(who).create_folder(who.mailbox, &name, special_use).await?;
        let folder = created.map_err(refusal)?;
        Ok(Done::with(Code::MailboxId(folder.0.unsigned_abs()), "CREATE completed"))
    }

    /// The use of that name, for a folder of that mailbox. Uses are those of the session's own mailbox: LIST shows no others.
    pub(crate) fn use_there(&self, reach: &Reach, name: &str) -> Result<store::SpecialUse, Failure> {
        let special_use = store::SpecialUse::named(name).ok_or(NO_USE)?;
        let is_own = reach.reached.mailbox == self.logged_in()?.proof.principal.mailbox;
        // In drafts an editor may do more than elsewhere: nobody gives themselves that.
        let may = !is_drafts_use(special_use) || Who::at_large(&reach.reached).may("te");
        if is_own && may { Ok(special_use) } else { Err(NO_USE) }
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

    /// RENAME, within one mailbox.
    pub(crate) async fn rename(&mut self, from: &str, to: &str) -> Answer {
        let Place { who, folder, .. } = self.named(from).await?;
        let (reach, to) = self.new_name(to).await?;
        if reach.reached.mailbox != who.mailbox {
            return Err(ELSEWHERE);
        }
        // RFC 4314 §4: INBOX stays; only its messages go.
        who.must(if folder.name == "INBOX" { "te" } else { "x" })?;
        self.must_take_folder(&reach.reached, &to).await?;
        must_be_name(&to)?;
        if folder.name != "INBOX" {
            // What is below goes along, and gets longer too.
            for below in self.shared.store.folders(who.mailbox).await? {
                let rest = below.name.strip_prefix(&folder.name).filter(|rest| rest.starts_with('/'));
                if let Some(rest) = rest {
                    let who = Who::in_folder(&reach.reached, &below);
                    // What may not be listed goes along unseen.
                    if who.may("l") {
                        who.must("x")?;
                    }
                    must_be_name(&format!("{to}{rest}"))?;
                }
            }
        }
        self.changing(who).rename_folder(who.mailbox, &folder.name, &to).await?.map_err(refusal)?;
        Ok(Done::new("RENAME completed"))
    }

    /// The mailbox and the name there of a folder that is to be.
    async fn new_name<'n>(&self, name: &'n str) -> Result<(Reach, Cow<'n, str>), Failure> {
        // What leads to no mailbox that this session reaches was meant for its own.
        self.within(name).await.map_err(|failure| match failure {
            Failure::No(Some(Code::NonExistent), _) => OTHERS_NAME,
            failure => failure,
        })
    }

    /// SUBSCRIBE.
    pub(crate) async fn subscribe(&mut self, name: &str) -> Answer {
        let Place { who, folder, .. } = self.named(name).await?;
        self.shared.store.subscribe(who.mailbox, who.actor, &folder.name, true).await?;
        Ok(Done::new("SUBSCRIBE completed"))
    }

    /// UNSUBSCRIBE.
    pub(crate) async fn unsubscribe(&mut self, name: &str) -> Answer {
        match self.within(name).await {
            Ok((Reach { reached, .. }, name)) => {
                self.shared.store.subscribe(reached.mailbox, reached.actor, &name, false).await?;
            }
            // What does not exist can be no subscription that anybody sees.
            Err(Failure::No(Some(Code::NonExistent), _)) => {}
            Err(failure) => return Err(failure),
        }
        Ok(Done::new("UNSUBSCRIBE completed"))
    }
}

const ELSEWHERE: Failure = Failure::No(
    Some(Code::Cannot),
    "A folder stays in its mailbox: create one in the other mailbox, move the messages there and delete this one",
);

const NO_USE: Failure = Failure::No(Some(Code::UseAttr), "A folder cannot have this use here");
const ONE_USE: Failure = Failure::No(Some(Code::UseAttr), "A folder has one use here");
pub(crate) const USE_TAKEN: Failure = Failure::No(Some(Code::UseAttr), "Another folder has this use");

fn is_drafts_use(special_use: store::SpecialUse) -> bool {
    special_use.0 == "\\Drafts"
}

fn refusal(error: FolderError) -> Failure {
    match error {
        FolderError::NotFound => NONEXISTENT,
        FolderError::Exists => Failure::No(Some(Code::AlreadyExists), "The folder exists already"),
        FolderError::Forbidden => Failure::No(Some(Code::Cannot), "This folder cannot be changed so"),
        FolderError::TooMany => Failure::No(Some(Code::Limit), "Too many folders"),
        FolderError::UseTaken => USE_TAKEN,
    }
}

fn must_be_name(name: &str) -> Result<(), Failure> {
    if mail_types::is_folder_name(name) {
        Ok(())
    } else {
        Err(Failure::No(Some(Code::Cannot), "This cannot be the name of a folder"))
    }
}
