//! LIST, LSUB, NAMESPACE (RFC 3501 §6.3.8, §6.3.9; RFC 2342; RFC 3348; RFC 6154; parts of RFC 5258 and RFC 5819).

use crate::state::{Answer, Connection, Done, Failure};
use imap_session::command::ListArguments;
use imap_session::pattern;
use imap_session::response;
use std::collections::{BTreeSet, HashSet};
use store::FolderRow;

const DELIMITER: char = '/';

impl Connection {
    /// LIST.
    pub(crate) async fn list(&mut self, arguments: ListArguments) -> Answer {
        if !arguments.extended && arguments.patterns.iter().all(String::is_empty) {
            response::list(&mut self.wire.out, &["\\Noselect"], Some(DELIMITER), "", false);
            return Ok(Done::new("LIST completed"));
        }
        let who = self.mine()?;
        who.must("l")?;
        let folders = self.shared.store.folders(who.mailbox).await?;
        let with_subscriptions = arguments.selection.subscribed || arguments.returning.subscribed;
        let subscribed: HashSet<String> = if with_subscriptions {
            self.shared.store.subscriptions(who.mailbox, who.actor).await?.into_iter().collect()
        } else {
            HashSet::new()
        };
        let parents = parents(folders.iter().map(|folder| folder.name.as_str()));
        let asked: Vec<String> =
            arguments.patterns.iter().map(|pattern| format!("{}{pattern}", arguments.reference)).collect();
        for folder in &folders {
            let is_subscribed = subscribed.contains(&folder.name);
            let is_left_out = (arguments.selection.subscribed && !is_subscribed)
                || (arguments.selection.special_use && folder.special_use.is_none())
                || !asked.iter().any(|pattern| pattern::matches(pattern, &folder.name, DELIMITER));
            if is_left_out {
                continue;
            }
            let attributes = attributes(folder, parents.contains(folder.name.as_str()), is_subscribed);
            response::list(&mut self.wire.out, &attributes, Some(DELIMITER), &folder.name, false);
            if !arguments.returning.status.is_empty() && folder.selectable && who.may("r") {
                match self.write_status(&folder.name, folder.id, who, &arguments.returning.status).await {
                    // Deleted meanwhile: RFC 5819 §2 leaves the STATUS out.
                    Ok(()) | Err(Failure::No(..)) => {}
                    Err(failure) => return Err(failure),
                }
            }
            self.wire.spill().await?;
        }
        Ok(Done::new("LIST completed"))
    }

    /// LSUB.
    pub(crate) async fn lsub(&mut self, reference: &str, pattern: &str) -> Answer {
        let who = self.mine()?;
        let subscribed = self.shared.store.subscriptions(who.mailbox, who.actor).await?;
        let folders = self.shared.store.folders(who.mailbox).await?;
        let there: HashSet<&str> =
            folders.iter().filter(|folder| folder.selectable).map(|folder| folder.name.as_str()).collect();
        let listed = subscribed_names(&subscribed, &format!("{reference}{pattern}"));
        for (name, is_subscribed) in listed {
            let attributes: &[&str] =
                if is_subscribed && there.contains(name) { &[] } else { &["\\Noselect"] };
            response::lsub(&mut self.wire.out, attributes, Some(DELIMITER), name, false);
            self.wire.spill().await?;
        }
        Ok(Done::new("LSUB completed"))
    }

    /// NAMESPACE: personal folders only.
    pub(crate) fn namespace(&mut self) -> Answer {
        response::namespace(&mut self.wire.out, [&[("", DELIMITER)], &[], &[]], false);
        Ok(Done::new("NAMESPACE completed"))
    }
}

fn attributes(folder: &FolderRow, has_children: bool, is_subscribed: bool) -> Vec<&str> {
    let mut attributes = Vec::with_capacity(4);
    if !folder.selectable {
        attributes.push("\\Noselect");
    }
    attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(folder.special_use.as_deref());
    if is_subscribed {
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
    fn every_level_above_a_name_has_children() {
        let parents = parents(["a/b/c", "d"].into_iter());
        assert!(parents.contains("a") && parents.contains("a/b") && !parents.contains("d"));
    }
}
