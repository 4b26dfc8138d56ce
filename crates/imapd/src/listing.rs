//! LIST, LSUB, NAMESPACE (RFC 3501 §6.3.8, §6.3.9; RFC 2342; RFC 3348; RFC 6154; parts of RFC 5258 and RFC 5819).

use crate::place::Who;
use crate::state::{Answer, Connection, Done, Failure};
use auth::Reached;
use imap_session::command::{ListArguments, ListReturn};
use imap_session::namespace::{DELIMITER, Namespace};
use imap_session::pattern;
use imap_session::response;
use std::collections::{BTreeSet, HashSet};
use store::FolderRow;

/// A name as LIST shows it.
struct Listed {
    name: String,
    /// None for a level above folders that can be listed, which itself is none or cannot.
    folder: Option<(FolderRow, Who)>,
    is_subscribed: bool,
}

impl Connection {
    /// LIST: of the mailbox that was logged in to, then of the others under their names.
    pub(crate) async fn list(&mut self, arguments: ListArguments) -> Answer {
        if !arguments.extended && arguments.patterns.iter().all(String::is_empty) {
            response::list(&mut self.wire.out, &["\\Noselect"], Some(DELIMITER), "", self.decoder.is_utf8());
            return Ok(Done::new("LIST completed"));
        }
        let asked: Vec<String> =
            arguments.patterns.iter().map(|pattern| format!("{}{pattern}", arguments.reference)).collect();
        let own = self.own().await?.reached;
        self.list_mailbox(&own, "", &asked, &arguments, &mut HashSet::new()).await?;
        let mut roots = HashSet::new();
        for (name, reached) in self.others_asked(&asked).await? {
            self.list_mailbox(&reached, &name, &asked, &arguments, &mut roots).await?;
        }
        Ok(Done::new("LIST completed"))
    }

    /// Tells what of one mailbox was asked for. `roots` are levels above mailboxes that were told already.
    async fn list_mailbox(
        &mut self,
        reached: &Reached,
        prefix: &str,
        asked: &[String],
        arguments: &ListArguments,
        roots: &mut HashSet<String>,
    ) -> Result<(), Failure> {
        let listed = self.listed(reached, prefix, arguments).await?;
        let parents = parents(listed.iter().map(|each| each.name.as_str()));
        let utf8 = self.decoder.is_utf8();
        let is_own = prefix.is_empty();
        for each in &listed {
            let special_use = each.folder.as_ref().and_then(|(folder, _)| folder.special_use.as_deref());
            // A client would take the Drafts of another for its own.
            let special_use = special_use.filter(|_| is_own);
            let is_root = !is_own && !each.name.contains(DELIMITER);
            let is_left_out = (arguments.selection.subscribed && !each.is_subscribed)
                || (arguments.selection.special_use && special_use.is_none())
                || !asked.iter().any(|pattern| pattern::matches(pattern, &each.name, DELIMITER))
                || (is_root && !roots.insert(each.name.clone()));
            if is_left_out {
                continue;
            }
            let has_children = parents.contains(each.name.as_str());
            let attributes = attributes(each, special_use, has_children);
            response::list(&mut self.wire.out, &attributes, Some(DELIMITER), &each.name, utf8);
            if let Some((folder, who)) = &each.folder {
                self.tell_returned(&each.name, folder, *who, &arguments.returning).await?;
            }
            self.wire.spill().await?;
        }
        Ok(())
    }

    /// What LIST tells of a folder beside its name.
    async fn tell_returned(
        &mut self,
        name: &str,
        folder: &FolderRow,
        who: Who,
        returning: &ListReturn,
    ) -> Result<(), Failure> {
        if returning.my_rights {
            response::my_rights(&mut self.wire.out, name, who.rights, self.decoder.is_utf8());
        }
        if !returning.status.is_empty() && folder.selectable && who.may("r") {
            match self.write_status(name, folder.id, who, &returning.status).await {
                // Deleted meanwhile: RFC 5819 §2 leaves the STATUS out.
                Ok(()) | Err(Failure::No(..)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The names of one mailbox that may be listed, in order, with the levels above them.
    async fn listed(
        &self,
        reached: &Reached,
        prefix: &str,
        arguments: &ListArguments,
    ) -> Result<Vec<Listed>, Failure> {
        let store = &self.shared.store;
        let mut folders = store.folders(reached.mailbox).await?;
        folders.retain(|folder| Who::in_folder(reached, folder).may("l"));
        let with_subscriptions = arguments.selection.subscribed || arguments.returning.subscribed;
        let subscribed: HashSet<String> = if with_subscriptions && !folders.is_empty() {
            store.subscriptions(reached.mailbox, reached.actor).await?.into_iter().collect()
        } else {
            HashSet::new()
        };
        let listed = |folder: FolderRow| {
            let name = under(prefix, &folder.name);
            let is_subscribed = subscribed.contains(&folder.name);
            let who = Who::in_folder(reached, &folder);
            Listed { name, folder: Some((folder, who)), is_subscribed }
        };
        let mut names: Vec<Listed> = folders.into_iter().map(listed).collect();
        let known: HashSet<&str> = names.iter().map(|each| each.name.as_str()).collect();
        let above: BTreeSet<String> =
            parents(known.iter().copied()).difference(&known).map(|level| (*level).to_owned()).collect();
        if !above.is_empty() {
            let level = |name| Listed { name, folder: None, is_subscribed: false };
            names.extend(above.into_iter().map(level));
            names.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Ok(names)
    }

    /// The other mailboxes in which a name may be that matches.
    async fn others_asked(&self, asked: &[String]) -> Result<Vec<(String, Reached)>, Failure> {
        let may_match = |mailbox: &str| asked.iter().any(|pattern| may_match_below(pattern, mailbox));
        let roots = [Namespace::OtherUsers, Namespace::Shared].map(Namespace::root);
        if !roots.iter().any(|root| may_match(root)) {
            return Ok(Vec::new());
        }
        let mut others = self.others().await?;
        others.retain(|(name, _)| may_match(name));
        Ok(others)
    }

    /// LSUB.
    pub(crate) async fn lsub(&mut self, reference: &str, pattern: &str) -> Answer {
        let utf8 = self.decoder.is_utf8();
        let asked = format!("{reference}{pattern}");
        let own = self.own().await?.reached;
        let (mut subscribed, mut there) = (Vec::new(), HashSet::new());
        self.subscribed_in(&own, "", &mut subscribed, &mut there).await?;
        for (name, reached) in self.others_asked(std::slice::from_ref(&asked)).await? {
            self.subscribed_in(&reached, &name, &mut subscribed, &mut there).await?;
        }
        for (name, is_subscribed) in subscribed_names(&subscribed, &asked) {
            let attributes: &[&str] =
                if is_subscribed && there.contains(name) { &[] } else { &["\\Noselect"] };
            response::lsub(&mut self.wire.out, attributes, Some(DELIMITER), name, utf8);
            self.wire.spill().await?;
        }
        Ok(Done::new("LSUB completed"))
    }

    /// Names that the actor subscribed to in a mailbox, and those of its folders that can be selected.
    async fn subscribed_in(
        &self,
        reached: &Reached,
        prefix: &str,
        subscribed: &mut Vec<String>,
        there: &mut HashSet<String>,
    ) -> Result<(), Failure> {
        let store = &self.shared.store;
        let names = store.subscriptions(reached.mailbox, reached.actor).await?;
        if names.is_empty() {
            return Ok(());
        }
        subscribed.extend(names.iter().map(|name| under(prefix, name)));
        let folders = store.folders(reached.mailbox).await?;
        let can_be_selected =
            folders.iter().filter(|folder| folder.selectable && Who::in_folder(reached, folder).may("l"));
        there.extend(can_be_selected.map(|folder| under(prefix, &folder.name)));
        Ok(())
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

/// A name of a mailbox as this session sees it.
fn under(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{DELIMITER}{name}") }
}

/// Whether a pattern may match `name`, a level above it or a name below it. One that does not is not looked into.
fn may_match_below(pattern: &str, name: &str) -> bool {
    let end = pattern.find(['*', '%']).unwrap_or(pattern.len());
    let fixed = pattern.get(..end).unwrap_or_default();
    name.starts_with(fixed) || fixed.starts_with(name)
}

fn attributes<'l>(listed: &Listed, special_use: Option<&'l str>, has_children: bool) -> Vec<&'l str> {
    let mut attributes = Vec::with_capacity(4);
    if !listed.folder.as_ref().is_some_and(|(folder, _)| folder.selectable) {
        attributes.push("\\Noselect");
    }
    attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(special_use);
    if listed.is_subscribed {
        attributes.push("\\Subscribed");
    }
    attributes
}

/// Every name that is above another.
fn parents<'n>(names: impl Iterator<Item = &'n str>) -> HashSet<&'n str> {
    names.flat_map(levels_above).collect()
}

fn levels_above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).map(|(end, _)| &name[..end])
}

/// Subscribed names that match, and (false) matching levels above subscribed names that do not: RFC 3501 §6.3.9 on `%`.
fn subscribed_names<'n>(subscribed: &'n [String], asked: &str) -> BTreeSet<(&'n str, bool)> {
    let known: HashSet<&str> = subscribed.iter().map(String::as_str).collect();
    let mut listed = BTreeSet::new();
    for name in subscribed {
        if pattern::matches(asked, name, DELIMITER) {
            listed.insert((name.as_str(), true));
        } else {
            let above = levels_above(name).filter(|above| !known.contains(above));
            listed.extend(
                above.filter(|above| pattern::matches(asked, above, DELIMITER)).map(|above| (above, false)),
            );
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsub_names_the_level_above_where_only_a_child_is_subscribed() {
        let subscribed = ["INBOX".to_owned(), "a/b".to_owned(), "a/c".to_owned()];
        let listed: Vec<_> = subscribed_names(&subscribed, "%").into_iter().collect();
        assert_eq!(listed, [("INBOX", true), ("a", false)]);
        let listed: Vec<_> = subscribed_names(&subscribed, "a/*").into_iter().collect();
        assert_eq!(listed, [("a/b", true), ("a/c", true)]);
    }

    #[test]
    fn a_pattern_that_cannot_match_in_a_mailbox_does_not_look_into_it() {
        for pattern in ["*", "%", "Sh*", "Shared/%", "Shared/a@b.example/INBOX", "Shared/a@b.example/%"] {
            assert!(may_match_below(pattern, "Shared/a@b.example"), "{pattern}");
        }
        for pattern in ["INBOX", "Other Users/*", "Shared/c%"] {
            assert!(!may_match_below(pattern, "Shared/a@b.example"), "{pattern}");
        }
    }

    #[test]
    fn every_level_above_a_name_has_children() {
        let parents = parents(["a/b/c", "d"].into_iter());
        assert!(parents.contains("a") && parents.contains("a/b") && !parents.contains("d"));
    }
}
