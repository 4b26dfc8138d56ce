//! LIST and NAMESPACE (RFC 3501 §6.3.8, RFC 2342, RFC 3348, RFC 5258, RFC 5819, RFC 6154, RFC 8440).
//!
//! Which names are told is decided by [`crate::listed`]. However many folders a mailbox has, it is read by a few queries.

use crate::enable::Extension;
use crate::listed::{Asked, Listed, Told, What, names};
use crate::place::Who;
use crate::state::{Answer, Connection, Done, Failure};
use auth::Reached;
use imap_session::command::{ListArguments, ListReturn, StatusItem};
use imap_session::namespace::{DELIMITER, Namespace};
use imap_session::response::{self, ListItem};
use listener::Vigil;
use mail_types::FolderId;
use std::collections::{BTreeMap, HashMap};
use store::FolderStatus;

/// A level of a namespace, which is above several mailboxes.
type Roots = BTreeMap<String, (Listed, Told)>;

/// Counters of the folders of one mailbox.
#[derive(Default)]
struct Statuses {
    counters: HashMap<FolderId, FolderStatus>,
    deleted_bytes: HashMap<FolderId, u64>,
}

impl Connection {
    /// LIST: of the mailbox that was logged in to, then of the others under their names.
    pub(crate) async fn list(&mut self, arguments: ListArguments) -> Answer {
        if !arguments.extended && arguments.patterns.iter().all(String::is_empty) {
            response::list(&mut self.wire.out, &["\\Noselect"], Some(DELIMITER), "", self.decoder.is_utf8());
            return Ok(Done::new("LIST completed"));
        }
        if arguments.returning.status.contains(&StatusItem::HighestModSeq) {
            self.turn_on(Extension::CondStore);
        }
        let asked = Asked::new(&arguments);
        let mut own = self.own().await?.reached;
        let mut roots = Roots::new();
        self.list_mailbox(&mut own, "", &asked, &arguments, &mut roots).await?;
        for (name, mut reached) in self.others_asked(|name| asked.may_match_below(name)).await? {
            self.list_mailbox(&mut reached, &name, &asked, &arguments, &mut roots).await?;
        }
        if arguments.selection.recursive_match {
            // What is selected below them is known only now.
            for (listed, told) in roots.values() {
                self.tell_listed(&asked, listed, *told);
            }
        }
        Ok(Done::new("LIST completed"))
    }

    /// Tells what of one mailbox was asked for. A client that takes its time is told the rest as it may have it then.
    async fn list_mailbox(
        &mut self,
        reached: &mut Reached,
        prefix: &str,
        asked: &Asked,
        arguments: &ListArguments,
        roots: &mut Roots,
    ) -> Result<(), Failure> {
        let mut last = None;
        while self.still_reaches(reached).await? {
            last = self.list_after(last, reached, prefix, asked, arguments, roots).await?;
            if last.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Tells names after `last`. The last one told, where what its client may be told has to be asked again.
    async fn list_after(
        &mut self,
        last: Option<String>,
        reached: &mut Reached,
        prefix: &str,
        asked: &Asked,
        arguments: &ListArguments,
        roots: &mut Roots,
    ) -> Result<Option<String>, Failure> {
        let names = self.names(reached, prefix, arguments).await?;
        let chosen = asked.choose(&names);
        let mut statuses: Option<Statuses> = None;
        let mut names: Vec<Option<Listed>> = names.into_iter().map(Some).collect();
        for (at, told) in chosen {
            let Some(listed) = names.get_mut(at).and_then(Option::take) else { continue };
            if last.as_ref().is_some_and(|last| listed.name <= *last) {
                continue;
            }
            if !prefix.is_empty() && !listed.name.contains(DELIMITER) {
                self.tell_root(asked, listed, told, arguments.selection.recursive_match, roots);
                continue;
            }
            self.tell_listed(asked, &listed, told);
            if let What::Folder(folder, who) = &listed.what {
                if arguments.returning.my_rights {
                    response::my_rights(&mut self.wire.out, &listed.name, who.rights, self.decoder.is_utf8());
                }
                if !arguments.returning.status.is_empty() && folder.selectable && who.may("r") {
                    let statuses = match &mut statuses {
                        Some(statuses) => statuses,
                        none => none.insert(self.statuses(*who, &arguments.returning).await?),
                    };
                    // Deleted meanwhile: RFC 5819 §2 leaves the STATUS out.
                    if let Some(counters) = statuses.counters.get(&folder.id) {
                        let deleted = statuses.deleted_bytes.get(&folder.id).copied().unwrap_or(0);
                        self.tell_status(&listed.name, counters, deleted, &arguments.returning.status);
                    }
                }
            }
            let flushes = self.wire.flushes;
            self.wire.spill().await?;
            if self.wire.flushes != flushes && self.must_ask_again(reached) {
                return Ok(Some(listed.name));
            }
        }
        Ok(None)
    }

    /// Whether what a mailbox is reached with, or the session as a whole, may be otherwise by now.
    pub(crate) fn must_ask_again(&mut self, reached: &Reached) -> bool {
        let is_due = self.vigil.as_deref_mut().is_some_and(Vigil::is_due);
        is_due || self.shared.authenticator.may_reach_otherwise(reached)
    }

    /// A level above several mailboxes is told once.
    fn tell_root(
        &mut self,
        asked: &Asked,
        listed: Listed,
        told: Told,
        is_recursive: bool,
        roots: &mut Roots,
    ) {
        if let Some((_, known)) = roots.get_mut(&listed.name) {
            known.has_children |= told.has_children;
            known.is_selected_below |= told.is_selected_below;
            return;
        }
        if !is_recursive {
            self.tell_listed(asked, &listed, told);
        }
        roots.insert(listed.name.clone(), (listed, told));
    }

    fn tell_listed(&mut self, asked: &Asked, listed: &Listed, told: Told) {
        let attributes = asked.attributes(listed, told);
        let item = told.is_selected_below.then_some(ListItem::SubscribedBelow);
        let utf8 = self.decoder.is_utf8();
        response::list_with(&mut self.wire.out, &attributes, Some(DELIMITER), &listed.name, utf8, item);
    }

    /// The names of one mailbox that may be listed or are subscribed to.
    async fn names(
        &self,
        reached: &mut Reached,
        prefix: &str,
        arguments: &ListArguments,
    ) -> Result<Vec<Listed>, Failure> {
        let store = &self.shared.store;
        let rows = self.folders_in(reached).await?;
        let mut folders = Vec::with_capacity(rows.len());
        for mut folder in rows {
            let who = Who::in_folder(reached, &folder);
            if !prefix.is_empty() {
                // A client would take the Drafts of another for its own.
                folder.special_use = None;
            }
            if who.may("l") {
                folders.push((folder, who));
            }
        }
        let with_subscriptions = arguments.selection.subscribed || arguments.returning.subscribed;
        let subscribed = if with_subscriptions {
            store.subscriptions(reached.mailbox, reached.actor).await?
        } else {
            Vec::new()
        };
        Ok(names(prefix, folders, &subscribed))
    }

    /// Counters of every folder of a mailbox.
    async fn statuses(&self, who: Who, returning: &ListReturn) -> Result<Statuses, Failure> {
        let store = &self.shared.store;
        let asks = |item| returning.status.contains(&item);
        let counters = store.folder_statuses(who.mailbox, Some(who.actor), asks(StatusItem::Recent)).await?;
        let deleted_bytes = if asks(StatusItem::DeletedStorage) {
            store.deleted_bytes_in(who.mailbox).await?
        } else {
            HashMap::new()
        };
        Ok(Statuses { counters, deleted_bytes })
    }

    /// The other mailboxes in which a name may be that matches.
    pub(crate) async fn others_asked(
        &self,
        may_match: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, Reached)>, Failure> {
        let roots = [Namespace::OtherUsers, Namespace::Shared].map(Namespace::root);
        if !roots.iter().any(|root| may_match(root)) {
            return Ok(Vec::new());
        }
        let mut others = self.others().await?;
        others.retain(|(name, _)| may_match(name));
        Ok(others)
    }

    /// NAMESPACE.
    pub(crate) fn namespace(&mut self) -> Answer {
        let below = |namespace: Namespace| format!("{}{DELIMITER}", namespace.root());
        let (other_users, shared) = (below(Namespace::OtherUsers), below(Namespace::Shared));
        let classes: [&[(&str, char)]; 3] =
            [&[("", DELIMITER)], &[(&other_users, DELIMITER)], &[(&shared, DELIMITER)]];
        response::namespace(&mut self.wire.out, classes, self.decoder.is_utf8());
        Ok(Done::new("NAMESPACE completed"))
    }
}
