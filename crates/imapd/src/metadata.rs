//! GETMETADATA and SETMETADATA (RFC 5464).
//!
//! Of a folder: annotations that everybody shares who sees it, and those of each actor alone. Of the server, which is what an empty folder name means:
//! annotations of the actor in the mailbox that was logged in to, and what the operator says of itself, which clients only read.
//! `/private/specialuse` is the folder's use (RFC 6154 §4), in the session's own mailbox.

use crate::folders::USE_TAKEN;
use crate::place::{Ground, NO_RIGHT, NONEXISTENT, Place, Reach, Who};
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::command::{Depth, EntryName, GetMetadata, SetMetadata};
use imap_session::response::{self, Code};
use std::collections::BTreeSet;
use store::{ANNOTATION_MAX, Annotated, AnnotationChange, AnnotationError, SpecialUse};

const SPECIAL_USE: &str = "/private/specialuse";
const ADMIN: &str = "/shared/admin";

/// What a command is about.
struct Subject {
    of: Annotated,
    /// The folder and who asks; none for the server.
    place: Option<(String, Who)>,
    /// What that rests on, but in the actor's own mailbox.
    ground: Option<Box<Ground>>,
    /// An entry that is no annotation, with its value.
    computed: Option<(&'static str, Vec<u8>)>,
}

impl Subject {
    async fn value(&self, connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        match &self.computed {
            Some((computed, value)) if *computed == name => Ok(Some(value.clone())),
            _ => Ok(connection.shared.store.annotation(&self.of, name).await?),
        }
    }
}

impl Connection {
    /// GETMETADATA.
    pub(crate) async fn annotations(&mut self, asked: &GetMetadata) -> Answer {
        let mut subject = self.subject(&asked.folder).await?;
        let mut there = self.shared.store.annotation_sizes(&subject.of).await?;
        if let Some((name, value)) = &subject.computed {
            there.push(((*name).to_owned(), value.len() as u64));
        }
        let reached = |name: &str| asked.entries.iter().any(|entry| entry.reaches(name, asked.depth));
        there.retain(|(name, _)| reached(name));
        let max_size = asked.max_size.unwrap_or(u64::MAX);
        let longest = there.iter().map(|(_, size)| *size).filter(|size| *size > max_size).max();
        let mut names: BTreeSet<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
        if asked.depth == Depth::Zero || names.is_empty() {
            // What is asked for by its name and is not there is said to be NIL.
            names.extend(asked.entries.iter().map(EntryName::as_str));
        }
        for (name, size) in &there {
            if *size > max_size {
                names.remove(name.as_str());
            }
        }
        self.tell_metadata(&asked.folder, &mut subject, &names).await?;
        Ok(match longest {
            Some(longest) => Done::with(Code::MetadataLongEntries(longest), "GETMETADATA completed"),
            None => Done::new("GETMETADATA completed"),
        })
    }

    async fn tell_metadata(
        &mut self,
        folder: &str,
        subject: &mut Subject,
        names: &BTreeSet<&str>,
    ) -> Result<(), Failure> {
        let mut is_open = false;
        for name in names {
            let value = subject.value(self, name).await;
            // A line that has begun is ended.
            let told = value.as_ref().ok().and_then(Option::as_deref);
            let out = &mut self.wire.out;
            if !is_open {
                response::metadata_begin(out, folder, self.decoder.is_utf8());
            }
            response::metadata_entry(out, !is_open, name, told);
            is_open = true;
            if let Err(failure) = value {
                response::metadata_end(out);
                return Err(failure);
            }
            // And before the client is waited for: it may take its time.
            if self.wire.is_due() {
                response::metadata_end(&mut self.wire.out);
                is_open = false;
                self.wire.spill().await?;
                if !self.still_sees(subject).await? {
                    return Err(NO_RIGHT);
                }
            }
        }
        if is_open {
            response::metadata_end(&mut self.wire.out);
        }
        Ok(())
    }

    async fn still_sees(&mut self, subject: &mut Subject) -> Result<bool, Failure> {
        match &mut subject.place {
            Some((_, who)) => {
                *who = self.still_there(*who, subject.ground.as_deref_mut()).await?;
                Ok(who.may("l") && may_see(*who))
            }
            None if Box::pin(self.stands_if_due()).await => Ok(true),
            None => Err(Failure::Lost),
        }
    }

    /// SETMETADATA: all of it or nothing.
    pub(crate) async fn set_metadata(&mut self, asked: SetMetadata) -> Answer {
        let subject = self.subject(&asked.folder).await?;
        let mut change = AnnotationChange::default();
        let is_shared = asked.values.iter().any(|(name, _)| !name.is_private());
        match &subject.place {
            // RFC 5464 §3.2.1.1, §3.3: what the operator says of itself is not for clients to say.
            None if is_shared => return Err(NOT_YOURS),
            // The RFC names the least right that it takes; what all see is changed by those who may change what all see.
            Some((_, who)) if is_shared => who.must("w")?,
            _ => {}
        }
        for (name, value) in asked.values {
            if name.as_str() == SPECIAL_USE && subject.place.is_some() {
                change.special_use = self.use_asked(&asked.folder, value.as_deref()).await?;
                continue;
            }
            // Of two values of one name the later stands.
            change.values.retain(|(known, _)| known != name.as_str());
            change.values.push((name.as_str().to_owned(), value));
        }
        let store = match &subject.place {
            Some((folder, who)) => {
                change.folder_name.clone_from(folder);
                self.changing(*who)
            }
            None => self.store(),
        };
        store.annotate(subject.of, change).await?.map_err(refused)?;
        Ok(Done::new("SETMETADATA completed"))
    }

    /// The use that a folder is to have, or none, if that is to change: no other mailbox's folder has one here.
    async fn use_asked(
        &self,
        folder: &str,
        value: Option<&[u8]>,
    ) -> Result<Option<Option<SpecialUse>>, Failure> {
        let (mut reach, local) = self.within(folder).await?;
        let row = self.folder_in(&mut reach.reached, &local).await?.ok_or(NONEXISTENT)?;
        let words = value.map(|value| String::from_utf8_lossy(value).trim().to_owned());
        let Some(words) = words.filter(|words| !words.is_empty()) else {
            if reach.reached.mailbox != self.logged_in()?.proof.principal.mailbox {
                return Ok(None);
            }
            Who::in_folder(&reach.reached, &row).must("x")?;
            return Ok(Some(None));
        };
        let special_use = self.use_there(&reach, &words)?;
        // What a folder is for is said by whoever may make it and do away with it.
        Who::in_folder(&reach.reached, &row).must("x")?;
        if row.selectable { Ok(Some(Some(special_use))) } else { Err(NONEXISTENT) }
    }

    /// Who may see annotations sees the folder and may do something in it (RFC 5464 §3.3).
    async fn subject(&self, folder: &str) -> Result<Subject, Failure> {
        let login = self.logged_in()?;
        if folder.is_empty() {
            let Reach { reached, key } = self.own().await?;
            let of = Annotated { mailbox: reached.mailbox, folder: None, actor: reached.actor, key };
            let computed = self.shared.admin.as_ref().map(|admin| (ADMIN, admin.clone().into_bytes()));
            return Ok(Subject { of, place: None, ground: None, computed });
        }
        let Place { who, key, folder, ground } = self.named(folder).await?;
        if !may_see(who) {
            return Err(NO_RIGHT);
        }
        let is_own = who.mailbox == login.proof.principal.mailbox;
        let special_use = folder.special_use.as_deref().filter(|_| is_own);
        let computed = special_use.map(|special_use| (SPECIAL_USE, special_use.as_bytes().to_vec()));
        let of = Annotated { mailbox: who.mailbox, folder: Some(folder.id), actor: who.actor, key };
        Ok(Subject { of, place: Some((folder.name, who)), ground, computed })
    }
}

/// RFC 5464 §3.3.
fn may_see(who: Who) -> bool {
    "rswip".chars().any(|letter| who.rights.has(letter))
}

const NOT_YOURS: Failure =
    Failure::No(Some(Code::NoPerm), "What the server says to everybody is set by its operator");

fn refused(error: AnnotationError) -> Failure {
    match error {
        AnnotationError::NoFolder => NONEXISTENT,
        AnnotationError::TooLarge => {
            Failure::No(Some(Code::MetadataMaxSize(ANNOTATION_MAX as u64)), "An annotation is too large")
        }
        AnnotationError::TooMany => Failure::No(
            Some(Code::MetadataTooMany),
            "A folder has 100 annotations at most, and those of a mailbox 4 MiB",
        ),
        AnnotationError::UseTaken => USE_TAKEN,
    }
}
