//! Who acts in the mailbox, and what they may.

use super::MessageId;
use crate::access::Caller;
use crate::api::Api;
use crate::problem::{Code, Problem};
use mail_types::{ActorId, FolderFacts, FolderId, Grant, MailboxId, Principal, Rights, SystemFlags};
use store::{AuditEntry, Category, FolderRow, FolderSummary, GivenMailbox, Reaching, Store};

/// A caller who opened a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) principal: Principal,
    /// The store, telling the audit trail that the caller acts.
    pub(crate) store: Store,
}

/// What somebody may do in the folders of a mailbox.
#[derive(Debug)]
pub(crate) struct Given {
    /// In folders of which nothing else is said.
    rights: Rights,
    /// Of somebody who does not hold it.
    given: Option<GivenMailbox>,
}

/// A folder that its reader may list, and what they may do there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: FolderSummary,
    rights: Rights,
}

impl Holder {
    /// Whoever opened a mailbox.
    ///
    /// # Errors
    /// The command line of this machine holds no mailbox.
    pub(crate) fn of(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let principal = caller.principal().cloned().ok_or_else(|| {
            Problem::new(Code::Forbidden).detail(
                "this is for whoever opens a mailbox, with an application password or a certificate",
                "ceci est pour qui ouvre une boîte, avec un mot de passe d'application ou un certificat",
            )
        })?;
        Ok(Self { principal, store: api.store_of(caller) })
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        self.principal.mailbox
    }

    /// Whose `\Seen` is shown and set, where the mailbox keeps it apart.
    pub(crate) fn reader(&self) -> Option<ActorId> {
        Some(self.principal.actor.id)
    }

    /// What may be done in folders that were read before: what is said of a folder comes with it.
    pub(crate) async fn given(&self) -> Result<Given, Problem> {
        let rights = self.principal.rights;
        if self.principal.is_holder {
            return Ok(Given { rights, given: None });
        }
        let (actor, mailbox) = (self.principal.actor.id, self.mailbox());
        let given = self.store.given_mailboxes(actor, Reaching::Mailbox(mailbox), self.store.now()).await?;
        Ok(Given { rights, given: given.into_iter().next().filter(|given| !given.belongs) })
    }

    /// Refuses who lacks one of the rights of these letters (RFC 4314 §2.1) in the mailbox, and who has others in some of its folders.
    pub(crate) async fn must_throughout(&self, letters: &str) -> Result<(), Problem> {
        if self.given().await?.differs() {
            return Err(Problem::new(Code::Forbidden).detail(
                "your rights differ between the folders of this mailbox: make, rename and delete folders over IMAP",
                "vos droits diffèrent entre les dossiers de cette boîte : créez, renommez et supprimez les dossiers par IMAP",
            ));
        }
        must(self.principal.rights, letters)
    }

    /// A folder of the mailbox that the caller may list.
    pub(crate) async fn place(&self, folder: FolderId) -> Result<Place, Problem> {
        let found = self.store.folder_summary(self.mailbox(), self.reader(), folder).await?;
        let folder = found.ok_or_else(|| Problem::new(Code::NotFound))?;
        let rights = self.given().await?.rights_in(&folder.row);
        if rights.has('l') { Ok(Place { folder, rights }) } else { Err(Problem::new(Code::NotFound)) }
    }

    /// The folder that a message is in, if it is the one that the identifier was given in.
    pub(crate) async fn place_of(&self, id: MessageId) -> Result<Place, Problem> {
        let place = self.place(id.folder).await?;
        let is_it = place.folder.row.selectable && place.folder.uid_validity == id.uid_validity;
        is_it.then_some(place).ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// Tells the audit trail what somebody looks at who is not the holder; on stable storage when it returns.
    pub(crate) async fn note_reading(&self, action: &'static str, what: String) -> Result<(), Problem> {
        if self.principal.is_holder {
            return Ok(());
        }
        let entry = AuditEntry {
            mailbox: Some(self.mailbox()),
            detail: what,
            ..AuditEntry::new(Category::Access, action)
        };
        Ok(self.store.record_audit(vec![entry]).await?)
    }
}

impl Given {
    /// Whether something else is said of some folders than of the whole.
    pub(crate) fn differs(&self) -> bool {
        self.given.as_ref().is_some_and(|given| !given.folders.is_empty())
    }

    /// What may be done in a folder.
    pub(crate) fn rights_in(&self, folder: &FolderRow) -> Rights {
        let Some(given) = &self.given else { return self.rights };
        let at = given.folders.binary_search_by_key(&folder.id, |(folder, _)| *folder).ok();
        let in_folder = at.and_then(|at| given.folders.get(at)).map(|(_, grant)| *grant);
        let is_drafts = folder.special_use.as_deref() == Some("\\Drafts");
        Grant::resolve(in_folder, given.grant, FolderFacts { private_seen: given.private_seen, is_drafts })
    }
}

impl Place {
    /// Refuses who lacks one of the rights of these letters (RFC 4314 §2.1).
    pub(crate) fn must(&self, letters: &str) -> Result<(), Problem> {
        must(self.rights, letters)
    }

    /// Refuses to change flags without the right to (`s`, `t`, `w`).
    pub(crate) fn must_change(&self, flags: SystemFlags, has_keywords: bool) -> Result<(), Problem> {
        for (flag, _) in SystemFlags::NAMES.into_iter().filter(|(flag, _)| flags.contains(*flag)) {
            self.must(match flag {
                SystemFlags::SEEN => "s",
                SystemFlags::DELETED => "t",
                _ => "w",
            })?;
        }
        if has_keywords { self.must("w") } else { Ok(()) }
    }
}

fn must(rights: Rights, letters: &str) -> Result<(), Problem> {
    let lacking: String = letters.chars().filter(|letter| !rights.has(*letter)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden).detail(
        format!("you lack the right {lacking} (RFC 4314) there; ask the administrator of the mailbox for it"),
        format!(
            "il vous y manque le droit {lacking} (RFC 4314) ; demandez-le à l'administrateur de la boîte"
        ),
    ))
}
