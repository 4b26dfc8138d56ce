//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314).
//!
//! Identifiers are persons: the address of a mailbox that belongs to them, or their login. Nobody gives more than they have.

use crate::place::{NONEXISTENT, Reach, Who};
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::response::{self, Code};
use mail_types::{ActorId, Rights, RightsChange};
use message::notice::{Access, Event};
use std::sync::Arc;
use store::{Acceptance, AclChange, AclEntry, AclError, FolderRow};

const NOT_A_PERSON: Failure = Failure::No(
    None,
    "Rights are given to persons: name the address of somebody's own mailbox, not anyone, a group or a negative identifier",
);
const NOBODY: Failure = Failure::No(None, "Nobody is called so; name the address of a person's own mailbox");

impl Connection {
    /// SETACL.
    pub(crate) async fn set_acl(&mut self, name: &str, identifier: &str, change: RightsChange) -> Answer {
        self.change_acl(name, identifier, change).await?;
        Ok(Done::new("SETACL completed"))
    }

    /// DELETEACL: no rights are left, also where the mailbox gives some.
    pub(crate) async fn delete_acl(&mut self, name: &str, identifier: &str) -> Answer {
        self.change_acl(name, identifier, RightsChange::Replace(Rights::default())).await?;
        Ok(Done::new("DELETEACL completed"))
    }

    async fn change_acl(
        &mut self,
        name: &str,
        identifier: &str,
        change: RightsChange,
    ) -> Result<(), Failure> {
        let (reach, folder, who) = self.administered(name).await?;
        let actor = self.person(identifier).await?;
        let known = self.entries(&reach, &folder).await?.into_iter().find(|entry| entry.actor == actor);
        let before = known.map_or(Rights::default(), |entry| entry.rights);
        let letters = self.letters(&reach, actor, identifier, (before, change.applied(before))).await?;
        let change = AclChange {
            mailbox: who.mailbox,
            folder: folder.id,
            actor,
            change,
            within: who.rights,
            until: reach.reached.until(),
            letters,
        };
        self.acting(who).change_acl(change).await?.map_err(refused)?;
        Ok(())
    }

    /// Letters to those concerned.
    async fn letters(
        &self,
        reach: &Reach,
        actor: ActorId,
        grantee: &str,
        (before, after): (Rights, Rights),
    ) -> Result<Vec<Arc<Acceptance>>, Failure> {
        let Some(door) = &self.shared.notices else { return Ok(Vec::new()) };
        if before == after {
            return Ok(Vec::new());
        }
        let mailbox = &reach.reached.address;
        let access = Access { mailbox, grantee, role: None, until: reach.reached.until() };
        let event = match (before.is_empty(), after.is_empty()) {
            (true, false) => Event::Given(access),
            (_, true) => Event::Taken(access),
            (false, false) => Event::Changed(access),
        };
        let to = self.shared.store.concerned(reach.reached.mailbox, Some(actor)).await?;
        Ok(door.notices(&to, &event).await?)
    }

    /// GETACL.
    pub(crate) async fn acl(&mut self, name: &str) -> Answer {
        let (reach, folder, _) = self.administered(name).await?;
        let entries = self.entries(&reach, &folder).await?;
        let told = entries.iter().map(|entry| (entry.identifier.as_str(), entry.rights));
        response::acl(&mut self.wire.out, name, told, self.decoder.is_utf8());
        Ok(Done::new("GETACL completed"))
    }

    /// LISTRIGHTS: whom the mailbox belongs to has every right in it; others can be given any.
    pub(crate) async fn list_rights(&mut self, name: &str, identifier: &str) -> Answer {
        let (reach, folder, _) = self.administered(name).await?;
        let actor = self.person(identifier).await?;
        let entries = self.entries(&reach, &folder).await?;
        let is_owner = entries.iter().any(|entry| entry.is_owner && entry.actor == actor);
        let required = if is_owner { Rights::ALL } else { Rights::default() };
        response::list_rights(&mut self.wire.out, name, identifier, required, self.decoder.is_utf8());
        Ok(Done::new("LISTRIGHTS completed"))
    }

    /// MYRIGHTS.
    pub(crate) async fn my_rights(&mut self, name: &str) -> Answer {
        let (_, _, who) = self.found(name).await?;
        // RFC 4314 §4: whoever has none of these is told nothing.
        if !"lrikxa".chars().any(|letter| who.rights.has(letter)) {
            return Err(NONEXISTENT);
        }
        response::my_rights(&mut self.wire.out, name, who.rights, self.decoder.is_utf8());
        Ok(Done::new("MYRIGHTS completed"))
    }

    async fn found(&self, name: &str) -> Result<(Reach, FolderRow, Who), Failure> {
        let (mut reach, local) = self.within(name).await?;
        let folder = self.folder_in(&mut reach.reached, &local).await?.ok_or(NONEXISTENT)?;
        let who = Who::in_folder(&reach.reached, &folder);
        Ok((reach, folder, who))
    }

    /// The folder of that name, to whoever may administer it.
    async fn administered(&self, name: &str) -> Result<(Reach, FolderRow, Who), Failure> {
        let (reach, folder, who) = self.found(name).await?;
        if !who.may("l") {
            return Err(NONEXISTENT);
        }
        who.must("a")?;
        Ok((reach, folder, who))
    }

    async fn entries(&self, reach: &Reach, folder: &FolderRow) -> Result<Vec<AclEntry>, Failure> {
        self.shared.store.acl(reach.reached.mailbox, folder.id).await?.ok_or(NONEXISTENT)
    }

    async fn person(&self, identifier: &str) -> Result<ActorId, Failure> {
        if identifier == "anyone" || identifier.starts_with(['$', '-']) {
            return Err(NOT_A_PERSON);
        }
        self.shared.store.identified(identifier).await?.ok_or(NOBODY)
    }
}

fn refused(error: AclError) -> Failure {
    match error {
        AclError::NoFolder => NONEXISTENT,
        AclError::Owner => {
            Failure::No(Some(Code::Cannot), "The mailbox belongs to this person, whose rights stay")
        }
        AclError::Disabled => Failure::No(Some(Code::Cannot), "This person may not log in; nothing is given"),
        AclError::Beyond => Failure::No(Some(Code::NoPerm), "You cannot give rights that you do not have"),
        AclError::LastAdministrator => Failure::No(
            Some(Code::Cannot),
            "Nobody else administers this mailbox for good; give somebody else the role first",
        ),
    }
}
