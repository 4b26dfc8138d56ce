//! Which names LIST tells, and with what attributes: the rules of RFC 5258 over the names of one mailbox.
//!
//! It knows no store and no wire: names come in, and what to tell of each goes out.

use crate::place::Who;
use imap_session::command::{ListArguments, ListSelection};
use imap_session::namespace::{DELIMITER, Namespace};
use imap_session::pattern;
use std::collections::{BTreeMap, HashSet};
use store::FolderRow;

/// A name that LIST may tell.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) is_subscribed: bool,
}

/// What stands behind a name.
#[derive(Debug)]
pub(crate) enum What {
    /// A folder that its reader may list. Its special use is that of the session's own mailbox, else none.
    Folder(FolderRow, Who),
    /// The level of a namespace, or of a mailbox in it: it is there, and no folder.
    Root,
    /// Nothing that the reader may list: a level above folders that they may, or a name that is only subscribed to.
    Missing,
}

impl Listed {
    fn special_use(&self) -> Option<&str> {
        match &self.what {
            What::Folder(folder, _) => folder.special_use.as_deref(),
            What::Root | What::Missing => None,
        }
    }

    fn exists(&self) -> bool {
        !matches!(self.what, What::Missing)
    }
}

/// What LIST says of a name beside its own attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// A folder below it may be listed.
    pub(crate) has_children: bool,
    /// A name below it is selected (CHILDINFO).
    pub(crate) is_selected_below: bool,
}

/// What was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    patterns: Vec<String>,
    selection: ListSelection,
    is_extended: bool,
}

impl Asked {
    pub(crate) fn new(arguments: &ListArguments) -> Self {
        let patterns =
            arguments.patterns.iter().map(|pattern| format!("{}{pattern}", arguments.reference)).collect();
        Self { patterns, selection: arguments.selection.clone(), is_extended: arguments.extended }
    }

    /// Whether a name may match that is `name`, above it or below it.
    pub(crate) fn may_match_below(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| may_match_below(pattern, name))
    }

    /// The names to be told, by their place in `names`, in order.
    pub(crate) fn choose(&self, names: &[Listed]) -> Vec<(usize, Told)> {
        let matches: Vec<bool> = names.iter().map(|each| self.matches(&each.name)).collect();
        let meets = |each: &Listed| self.meets(each);
        let with_children = above(names.iter().filter(|each| each.exists()));
        let above_selected = above(names.iter().filter(|each| meets(each)));
        let untold = names.iter().zip(&matches).filter(|(each, matches)| !**matches && meets(each));
        let above_untold = above(untold.map(|(each, _)| each));
        let chosen = |(at, each): (usize, &Listed)| {
            let name = each.name.as_str();
            let told = Told {
                has_children: with_children.contains(name),
                is_selected_below: self.selection.recursive_match && above_selected.contains(name),
            };
            let is_level = !each.exists() && told.has_children && self.selects_all();
            let is_told = meets(each)
                || (self.selection.recursive_match && above_untold.contains(name))
                || (is_level && (!self.is_extended || above_untold.contains(name)));
            is_told.then_some((at, told))
        };
        let matching = names.iter().enumerate().zip(&matches).filter(|(_, matches)| **matches);
        matching.filter_map(|(each, _)| chosen(each)).collect()
    }

    /// The attributes of a name.
    pub(crate) fn attributes<'l>(&self, listed: &'l Listed, told: Told) -> Vec<&'l str> {
        let mut attributes = Vec::with_capacity(4);
        match &listed.what {
            What::Folder(folder, _) if folder.selectable => {}
            // RFC 5258 §3: what does not exist is said only to those who know the word.
            What::Missing if self.is_extended => attributes.push("\\NonExistent"),
            What::Folder(..) | What::Root | What::Missing => attributes.push("\\Noselect"),
        }
        if told.has_children {
            attributes.push("\\HasChildren");
        } else if listed.exists() {
            attributes.push("\\HasNoChildren");
        }
        attributes.extend(listed.special_use());
        if listed.is_subscribed {
            attributes.push("\\Subscribed");
        }
        attributes
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern::matches(pattern, name, DELIMITER))
    }

    /// Whether a name is what the selection options ask for.
    fn meets(&self, listed: &Listed) -> bool {
        (listed.exists() || self.selection.subscribed)
            && (!self.selection.subscribed || listed.is_subscribed)
            && (!self.selection.special_use || listed.special_use().is_some())
    }

    fn selects_all(&self) -> bool {
        !self.selection.subscribed && !self.selection.special_use
    }
}

/// The names of one mailbox in order: its folders, the levels above them, and what was subscribed to and is not there.
pub(crate) fn names(prefix: &str, folders: Vec<(FolderRow, Who)>, subscribed: &[String]) -> Vec<Listed> {
    let mut names: BTreeMap<String, What> = BTreeMap::new();
    for (folder, who) in folders {
        names.insert(under(prefix, &folder.name), What::Folder(folder, who));
    }
    let is_there = !names.is_empty();
    let missing = |level: &str| if is_there && is_root(level, prefix) { What::Root } else { What::Missing };
    let levels: HashSet<String> =
        names.keys().flat_map(|name| levels_above(name)).map(str::to_owned).collect();
    for level in levels {
        let what = missing(&level);
        names.entry(level).or_insert(what);
    }
    let subscribed: HashSet<String> = subscribed.iter().map(|name| under(prefix, name)).collect();
    for name in &subscribed {
        names.entry(name.clone()).or_insert(What::Missing);
        // What is above it can be asked for too.
        for level in levels_above(name) {
            names.entry(level.to_owned()).or_insert_with(|| missing(level));
        }
    }
    let listed = |(name, what): (String, What)| {
        let is_subscribed = subscribed.contains(&name);
        Listed { name, what, is_subscribed }
    };
    names.into_iter().map(listed).collect()
}

/// Whether a level is that of a namespace or of the mailbox itself.
fn is_root(level: &str, prefix: &str) -> bool {
    !prefix.is_empty()
        && (level == prefix
            || [Namespace::OtherUsers, Namespace::Shared].map(Namespace::root).contains(&level))
}

/// A name of a mailbox as this session sees it.
pub(crate) fn under(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{DELIMITER}{name}") }
}

/// Whether a pattern may match `name`, a level above it or a name below it. One that does not is not looked into.
pub(crate) fn may_match_below(pattern: &str, name: &str) -> bool {
    let end = pattern.find(['*', '%']).unwrap_or(pattern.len());
    let fixed = pattern.get(..end).unwrap_or_default();
    name.starts_with(fixed) || fixed.starts_with(name)
}

/// Every name that is above one of these.
fn above<'n>(names: impl Iterator<Item = &'n Listed>) -> HashSet<&'n str> {
    names.flat_map(|each| levels_above(&each.name)).collect()
}

/// The levels above a name, from the top.
pub(crate) fn levels_above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).map(|(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{ActorId, FolderId, MailboxId, Rights};

    const WHO: Who = Who {
        mailbox: MailboxId(1),
        actor: ActorId(1),
        rights: Rights::ALL,
        private_seen_of: None,
        is_holder: true,
    };

    fn mailbox(prefix: &str, folders: &[&str], subscribed: &[&str]) -> Vec<Listed> {
        let row = |name: &&str| FolderRow {
            id: FolderId(1),
            name: (*name).to_owned(),
            special_use: (*name == "Sent").then(|| "\\Sent".to_owned()),
            selectable: true,
        };
        let subscribed: Vec<String> = subscribed.iter().map(|name| (*name).to_owned()).collect();
        names(prefix, folders.iter().map(|name| (row(name), WHO)).collect(), &subscribed)
    }

    /// What is told, a line each: name, attributes but `\HasNoChildren`, `+` where CHILDINFO is due.
    fn told(names: &[Listed], options: &[&str], patterns: &[&str]) -> Vec<String> {
        let has = |option: &str| options.contains(&option);
        let arguments = ListArguments {
            selection: ListSelection {
                subscribed: has("SUBSCRIBED"),
                remote: has("REMOTE"),
                recursive_match: has("RECURSIVEMATCH"),
                special_use: has("SPECIAL-USE"),
            },
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            extended: !has("basic"),
            ..ListArguments::default()
        };
        let asked = Asked::new(&arguments);
        let line = |(at, told): (usize, Told)| {
            let mut words = vec![names[at].name.as_str()];
            words.extend(asked.attributes(&names[at], told));
            words.retain(|word| *word != "\\HasNoChildren");
            words.extend(told.is_selected_below.then_some("+"));
            words.join(" ")
        };
        asked.choose(names).into_iter().map(line).collect()
    }

    /// RFC 5258 §5, examples 1 to 6.
    #[test]
    fn subscribed_names_are_told_whether_or_not_they_exist() {
        let folders =
            ["INBOX", "Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable", "Vegetable/Broccoli"];
        let subscribed = ["INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"];
        let names = mailbox("", &folders, &subscribed);
        let wanted = [
            "Fruit/Banana \\Subscribed",
            "Fruit/Peach \\NonExistent \\Subscribed",
            "INBOX \\Subscribed",
            "Vegetable \\HasChildren \\Subscribed",
            "Vegetable/Broccoli \\Subscribed",
        ];
        assert_eq!(told(&names, &["SUBSCRIBED"], &["*"]), wanted);
        assert_eq!(told(&names, &["SUBSCRIBED", "REMOTE"], &["*"]), wanted);
        let all = told(&names, &["REMOTE"], &["*"]);
        assert_eq!(all.len(), folders.len(), "{all:?}");
        let top =
            ["Fruit \\HasChildren", "INBOX \\Subscribed", "Tofu", "Vegetable \\HasChildren \\Subscribed"];
        assert_eq!(told(&names, &[], &["%"]), top);
    }

    /// RFC 5258 §5, example 8.
    #[test]
    fn a_name_above_what_is_selected_is_told_when_that_itself_is_not() {
        let folders = ["INBOX", "Foo", "Foo/Bar", "Foo/Baz", "Moo"];
        let recursive = ["SUBSCRIBED", "RECURSIVEMATCH"];
        let names = |folders: &[&str], subscribed: &[&str]| mailbox("", folders, subscribed);
        let one = names(&folders, &["Foo/Baz"]);
        assert_eq!(told(&one, &["SUBSCRIBED"], &["*"]), ["Foo/Baz \\Subscribed"]);
        assert!(told(&one, &["SUBSCRIBED"], &["%"]).is_empty());
        assert_eq!(told(&one, &recursive, &["%"]), ["Foo \\HasChildren +"]);
        let both = names(&folders, &["Foo", "Foo/Baz"]);
        assert_eq!(told(&both, &recursive, &["%"]), ["Foo \\HasChildren \\Subscribed +"]);
        let without = names(&["INBOX", "Moo"], &["Foo/Baz"]);
        assert_eq!(told(&without, &recursive, &["%"]), ["Foo \\NonExistent +"]);
        assert!(told(&names(&folders, &[]), &recursive, &["%"]).is_empty());
        let tops = names(&folders, &["Foo", "Moo"]);
        assert_eq!(told(&tops, &recursive, &["%"]), ["Foo \\HasChildren \\Subscribed", "Moo \\Subscribed"]);
    }

    /// RFC 5258 §5, examples 9 and 10.
    #[test]
    fn a_name_is_told_once_by_several_patterns_and_only_where_what_is_below_is_not() {
        let folders = [
            "INBOX",
            "foo2",
            "foo2/bar1",
            "foo2/bar2",
            "baz2",
            "baz2/bar2",
            "baz2/bar22",
            "baz2/bar222",
            "eps2",
            "eps2/mamba",
            "qux2/bar2",
        ];
        let subscribed = [
            "foo2/bar1",
            "foo2/bar2",
            "baz2/bar2",
            "baz2/bar22",
            "baz2/bar222",
            "eps2",
            "eps2/mamba",
            "qux2/bar2",
        ];
        let names = mailbox("", &folders, &subscribed);
        let wanted = [
            "baz2/bar2 \\Subscribed",
            "baz2/bar22 \\Subscribed",
            "baz2/bar222 \\Subscribed",
            "eps2 \\HasChildren \\Subscribed +",
            "foo2 \\HasChildren +",
            "foo2/bar2 \\Subscribed",
            "qux2/bar2 \\Subscribed",
        ];
        assert_eq!(told(&names, &["SUBSCRIBED", "RECURSIVEMATCH"], &["*2"]), wanted);
        let foo = mailbox("", &["foo"], &["foo/bar"]);
        assert_eq!(told(&foo, &[], &["foo", "foo/*", "*"]), ["foo"]);
        assert_eq!(told(&foo, &["SUBSCRIBED"], &["foo/*"]), ["foo/bar \\NonExistent \\Subscribed"]);
        assert_eq!(told(&foo, &["SUBSCRIBED", "RECURSIVEMATCH"], &["foo"]), ["foo +"]);
    }

    /// RFC 5258 §5, example 11.
    #[test]
    fn a_level_that_is_not_there_is_told_where_what_is_below_is_not() {
        let names = mailbox("", &["music/rock"], &[]);
        assert_eq!(told(&names, &[], &["*"]), ["music/rock"]);
        assert_eq!(told(&names, &[], &["%"]), ["music \\NonExistent \\HasChildren"]);
        assert_eq!(told(&names, &[], &["%", "music/rock"]), ["music/rock"]);
        assert_eq!(told(&names, &["basic"], &["*"]), ["music \\Noselect \\HasChildren", "music/rock"]);
    }

    #[test]
    fn the_levels_of_other_mailboxes_are_there_and_have_no_special_use() {
        let prefix = "Other Users/a@b.example";
        let names = mailbox(prefix, &["INBOX"], &["Gone"]);
        let inbox = format!("{prefix}/INBOX");
        let level = format!("{prefix} \\Noselect \\HasChildren");
        assert_eq!(told(&names, &[], &["*"]), ["Other Users \\Noselect \\HasChildren", &level, &inbox]);
        let gone = format!("{prefix}/Gone \\NonExistent \\Subscribed");
        assert_eq!(told(&names, &["SUBSCRIBED"], &["*"]), [gone]);
        let above = told(&names, &["SUBSCRIBED", "RECURSIVEMATCH"], &["%"]);
        assert_eq!(above, ["Other Users \\Noselect \\HasChildren +"]);
    }

    #[test]
    fn special_uses_are_selected_and_shown() {
        let names = mailbox("", &["INBOX", "Sent", "Sent/2026"], &["Sent/2026"]);
        assert_eq!(told(&names, &["SPECIAL-USE"], &["*"]), ["Sent \\HasChildren \\Sent"]);
        assert!(told(&names, &["SPECIAL-USE", "SUBSCRIBED"], &["*"]).is_empty());
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
}
