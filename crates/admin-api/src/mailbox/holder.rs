//! Who acts in the mailbox, and what they may.

use super::MessageId;
use crate::access::Caller;
use crate::api::Api;
use crate::problem::{Code, Problem};
use mail_types::{ActorId, FolderId, MailboxId, Principal, SystemFlags};
use store::{AuditEntry, Category, FolderSummary, Reaching, Store};

/// A caller who opened a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) principal: Principal,
    /// The store, telling the audit trail that the caller acts.
    pub(crate) store: Store,
}

impl Holder {
    /// Whoever opened a mailbox.
    ///
    /// # Errors
    /// The command line of this machine holds no mailbox. To somebody who was given or denied single folders, only IMAP says which.
    pub(crate) async fn of(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let principal = caller.principal().cloned().ok_or_else(|| {
            Problem::new(Code::Forbidden).detail(
                "this is for whoever opens a mailbox, with an application password or a certificate",
                "ceci est pour qui ouvre une boîte, avec un mot de passe d'application ou un certificat",
            )
        })?;
        let holder = Self { principal, store: api.store_of(caller) };
        if !holder.principal.is_holder && holder.has_rights_in_single_folders().await? {
            return Err(Problem::new(Code::Forbidden).detail(
                "your rights differ between the folders of this mailbox: read it over IMAP",
                "vos droits diffèrent entre les dossiers de cette boîte : lisez-la par IMAP",
            ));
        }
        Ok(holder)
    }

    async fn has_rights_in_single_folders(&self) -> Result<bool, Problem> {
        let (actor, mailbox) = (self.principal.actor.id, self.principal.mailbox);
        let given = self.store.given_mailboxes(actor, Reaching::Mailbox(mailbox), self.store.now()).await?;
        Ok(given.iter().any(|given| !given.folders.is_empty()))
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        self.principal.mailbox
    }

    /// Whose `\Seen` is shown and set, where the mailbox keeps it apart.
    pub(crate) fn reader(&self) -> Option<ActorId> {
        Some(self.principal.actor.id)
    }

    /// Refuses who lacks one of the rights of these letters (RFC 4314 §2.1).
    pub(crate) fn must(&self, letters: &str) -> Result<(), Problem> {
        let lacking: String = letters.chars().filter(|letter| !self.principal.rights.has(*letter)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden).detail(
            format!("you lack the right {lacking} (RFC 4314) in this mailbox; ask its administrator for it"),
            format!("il vous manque le droit {lacking} (RFC 4314) dans cette boîte ; demandez-le à son administrateur"),
        ))
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

    /// A folder of the mailbox.
    pub(crate) async fn folder(&self, folder: FolderId) -> Result<FolderSummary, Problem> {
        let found = self.store.folder_summary(self.mailbox(), self.reader(), folder).await?;
        found.ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// The folder that a message is in, if it is the one that the identifier was given in.
    pub(crate) async fn folder_of(&self, id: MessageId) -> Result<FolderSummary, Problem> {
        let folder = self.folder(id.folder).await?;
        let is_it = folder.row.selectable && folder.uid_validity == id.uid_validity;
        is_it.then_some(folder).ok_or_else(|| Problem::new(Code::NotFound))
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
