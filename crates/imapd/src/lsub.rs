//! LSUB (RFC 3501 §6.3.9): subscribed names, and with `%` the levels above them.

use crate::listed::{levels_above, may_match_below, under};
use crate::place::Who;
use crate::state::{Answer, Connection, Done, Failure};
use auth::Reached;
use imap_session::namespace::DELIMITER;
use imap_session::pattern;
use imap_session::response;
use std::collections::{BTreeSet, HashSet};

impl Connection {
    /// LSUB.
    pub(crate) async fn lsub(&mut self, reference: &str, pattern: &str) -> Answer {
        let utf8 = self.decoder.is_utf8();
        let asked = format!("{reference}{pattern}");
        let mut last = None;
        loop {
            // What a client that takes its time is told is what it may have then.
            last = self.lsub_after(last, &asked, utf8).await?;
            if last.is_none() {
                return Ok(Done::new("LSUB completed"));
            }
            if !Box::pin(self.stands_if_due()).await {
                return Err(Failure::Lost);
            }
        }
    }

    /// Tells names after `last`. The last one told, where what its client may be told has to be asked again.
    async fn lsub_after(
        &mut self,
        last: Option<(String, bool)>,
        asked: &str,
        utf8: bool,
    ) -> Result<Option<(String, bool)>, Failure> {
        let mut own = self.own().await?.reached;
        let (mut subscribed, mut there) = (Vec::new(), HashSet::new());
        self.subscribed_in(&mut own, "", &mut subscribed, &mut there).await?;
        let mut others = self.others_asked(|name| may_match_below(asked, name)).await?;
        for (name, reached) in &mut others {
            self.subscribed_in(reached, name, &mut subscribed, &mut there).await?;
        }
        for (name, is_subscribed) in subscribed_names(&subscribed, asked) {
            if last.as_ref().is_some_and(|(last, was)| (name, is_subscribed) <= (last.as_str(), *was)) {
                continue;
            }
            let attributes: &[&str] =
                if is_subscribed && there.contains(name) { &[] } else { &["\\Noselect"] };
            response::lsub(&mut self.wire.out, attributes, Some(DELIMITER), name, utf8);
            let flushes = self.wire.flushes;
            self.wire.spill().await?;
            let mut reached = others.iter().map(|(_, reached)| reached).chain([&own]);
            if self.wire.flushes != flushes && reached.any(|reached| self.must_ask_again(reached)) {
                return Ok(Some((name.to_owned(), is_subscribed)));
            }
        }
        Ok(None)
    }

    /// Names that the actor subscribed to in a mailbox, and those of its folders that can be selected.
    async fn subscribed_in(
        &self,
        reached: &mut Reached,
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
        let folders = self.folders_in(reached).await?;
        let can_be_selected =
            folders.iter().filter(|folder| folder.selectable && Who::in_folder(reached, folder).may("l"));
        there.extend(can_be_selected.map(|folder| under(prefix, &folder.name)));
        Ok(())
    }
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
}
