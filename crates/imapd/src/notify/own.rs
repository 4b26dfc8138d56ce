//! What a session changed itself: it is not notified of that (RFC 5465 §5).

use super::filters::parent;
use imap_session::command::CommandBody;
use std::collections::HashSet;

/// Names of each kind that are remembered; of more than these a session is notified too.
const NAMES_MAX: usize = 1_000;

/// What the session changed since it looked last.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Folders that were made, deleted or renamed, and the level above each.
    names: HashSet<String>,
    subscribed: HashSet<String>,
    annotations: HashSet<(String, String)>,
}

impl Own {
    /// What a command changes, if it succeeds.
    pub(super) fn of(body: &CommandBody) -> Option<Self> {
        let mut own = Self::default();
        match body {
            CommandBody::Create { folder, .. } | CommandBody::Delete { folder } => own.add_name(folder),
            CommandBody::Rename { from, to } => [from, to].into_iter().for_each(|name| own.add_name(name)),
            CommandBody::Subscribe { folder } | CommandBody::Unsubscribe { folder } => {
                own.subscribed.insert(folder.clone());
            }
            CommandBody::SetMetadata(set) => {
                let entries = set.values.iter().map(|(name, _)| (set.folder.clone(), name.to_string()));
                own.annotations.extend(entries);
            }
            _ => return None,
        }
        Some(own)
    }

    fn add_name(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.names.extend(parent(name).map(str::to_owned));
    }

    pub(super) fn add(&mut self, other: Self) {
        if self.names.len() < NAMES_MAX {
            self.names.extend(other.names);
        }
        if self.subscribed.len() < NAMES_MAX {
            self.subscribed.extend(other.subscribed);
        }
        if self.annotations.len() < NAMES_MAX {
            self.annotations.extend(other.annotations);
        }
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn has_subscribed(&self, name: &str) -> bool {
        self.subscribed.contains(name)
    }

    pub(super) fn has_annotation(&self, folder: &str, entry: &str) -> bool {
        !self.annotations.is_empty() && self.annotations.contains(&(folder.to_owned(), entry.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_the_level_right_above_it_are_of_ones_own_doing() {
        let create = |name: String| CommandBody::Delete { folder: name };
        let mut own = Own::of(&create("a/b/c".into())).expect("a change of names");
        assert!(own.has_name("a/b/c") && own.has_name("a/b") && !own.has_name("a"));
        assert!(!own.has_subscribed("a/b/c") && Own::of(&CommandBody::Noop).is_none());
        (0..2 * NAMES_MAX).filter_map(|at| Own::of(&create(at.to_string()))).for_each(|more| own.add(more));
        assert!(own.names.len() <= NAMES_MAX + 1);
    }
}
