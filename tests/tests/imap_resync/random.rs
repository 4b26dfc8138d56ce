//! Commands by lot, and what they do to a folder.

use super::FLAGS;
use super::follower::{Follower, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};

/// What a folder holds: the flags of each message, by UID.
pub(crate) type Folder = BTreeMap<u32, BTreeSet<String>>;

/// SplitMix64. `Debug` shows the seed, which `VAGUEMESTRE_TEST_SEED` gives again.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VAGUEMESTRE_TEST_SEED={}", self.seed)
    }
}

impl Random {
    /// Of the seed that was given, else of another one each time.
    #[expect(clippy::disallowed_methods, reason = "a run of the scenarios is configured by its environment")]
    #[expect(clippy::print_stdout, reason = "the seed is shown with whatever fails")]
    pub(crate) fn of_this_run() -> Self {
        let given = std::env::var("VAGUEMESTRE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let random = Self { seed, state: seed };
        println!("{random:?}");
        random
    }

    /// Another row of numbers, of the same seed.
    pub(crate) fn fork(&mut self) -> Self {
        Self { seed: self.seed, state: self.next() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What one client does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Store {
        by_uid: bool,
        targets: Vec<u32>,
        sign: &'static str,
        silent: bool,
        flags: Vec<&'static str>,
        unchanged_since: Option<u64>,
    },
    Expunge,
    UidExpunge(Vec<u32>),
    Append(Vec<&'static str>),
    Copy {
        by_uid: bool,
        targets: Vec<u32>,
    },
    Move {
        by_uid: bool,
        targets: Vec<u32>,
    },
    Fetch {
        by_uid: bool,
    },
    ChangedSince(u64),
    Search,
    Noop,
    Idle,
    Reselect,
    Reconnect,
}

/// The next step of a client. Messages are named by UID here; the client names them as it knows them.
pub(crate) fn step(random: &mut Random, follower: &Follower) -> Step {
    let by_uid = !follower.counts() || random.one_in(2);
    let some = |random: &mut Random| {
        let mut known = follower.known_uids();
        known.retain(|_| random.one_in(4));
        known
    };
    match random.below(24) {
        0..=7 => Step::Store {
            by_uid,
            targets: some(random),
            sign: ["", "+", "-", "+"][random.below(4)],
            silent: random.one_in(2),
            flags: FLAGS.into_iter().filter(|_| random.one_in(3)).collect(),
            unchanged_since: follower.condition().filter(|_| random.one_in(2)),
        },
        8 => Step::Expunge,
        9 => Step::UidExpunge(some(random)),
        10..=12 => {
            Step::Append(FLAGS.into_iter().filter(|flag| *flag != "\\Deleted" && random.one_in(4)).collect())
        }
        13 => Step::Copy { by_uid, targets: some(random) },
        14 => Step::Move { by_uid, targets: some(random) },
        15 | 16 => Step::Fetch { by_uid },
        17 => follower.condition().map_or(Step::Noop, Step::ChangedSince),
        18 if follower.counts() => Step::Search,
        18 => Step::Idle,
        19 | 20 => Step::Noop,
        21 => Step::Idle,
        22 => Step::Reselect,
        _ => Step::Reconnect,
    }
}

/// What STORE does to the flags of a message.
pub(crate) fn change(have: &mut BTreeSet<String>, sign: &str, flags: &[&str]) {
    match sign {
        "+" => have.extend(flags.iter().map(|flag| (*flag).to_owned())),
        "-" => have.retain(|flag| !flags.contains(&flag.as_str())),
        _ => *have = flags.iter().map(|flag| (*flag).to_owned()).collect(),
    }
}

/// The messages that a reader has seen.
pub(crate) fn seen(folder: &Folder) -> BTreeSet<u32> {
    folder.iter().filter(|(_, flags)| flags.contains("\\Seen")).map(|(uid, _)| *uid).collect()
}

/// What two readers see once `\Seen` is one for both: `before` are those that all had seen when it was kept apart.
pub(crate) fn unite(folders: &mut [Folder; 2], before: &BTreeSet<u32>) {
    let mut all = before.clone();
    folders.iter().for_each(|folder| all.extend(seen(folder)));
    for (_, flags) in folders.iter_mut().flatten().filter(|(uid, _)| all.contains(uid)) {
        flags.insert("\\Seen".to_owned());
    }
}

impl Step {
    /// After it, the client knows the folder as it is.
    pub(crate) fn tells_everything(&self) -> bool {
        matches!(
            self,
            Self::Noop
                | Self::Idle
                | Self::Expunge
                | Self::UidExpunge(_)
                | Self::Append(_)
                | Self::Reselect
                | Self::Reconnect
        )
    }

    /// Whether the server may tell that messages are gone (RFC 9051 §7.5.1).
    pub(crate) fn may_expunge(&self) -> bool {
        match self {
            Self::Store { by_uid, .. } | Self::Fetch { by_uid } => *by_uid,
            Self::Search => false,
            _ => true,
        }
    }

    /// What it did for another reader, who has a `\Seen` of their own.
    pub(crate) fn happened_to_another(&self, folder: &mut Folder, told: &Told) {
        let seen_by_them: BTreeSet<u32> =
            folder.iter().filter(|(_, flags)| flags.contains("\\Seen")).map(|(uid, _)| *uid).collect();
        self.happened(folder, told);
        let stays = |uid: &u32| match self {
            Self::Store { targets, .. } => targets.contains(uid),
            Self::Append(_) => told.new_uids.iter().any(|(_, new)| new == uid),
            _ => false,
        };
        for (uid, flags) in folder.iter_mut().filter(|(uid, _)| stays(uid)) {
            if seen_by_them.contains(uid) {
                flags.insert("\\Seen".to_owned());
            } else {
                flags.remove("\\Seen");
            }
        }
    }

    /// What it did, as the answer says.
    pub(crate) fn happened(&self, folder: &mut Folder, told: &Told) {
        match self {
            Self::Store { targets, sign, flags, .. } => {
                for uid in targets.iter().filter(|uid| !told.modified.contains(uid)) {
                    if let Some(have) = folder.get_mut(uid) {
                        change(have, sign, flags);
                    }
                }
            }
            Self::Expunge => folder.retain(|_, flags| !flags.contains("\\Deleted")),
            Self::UidExpunge(uids) => {
                folder.retain(|uid, flags| !(uids.contains(uid) && flags.contains("\\Deleted")));
            }
            Self::Append(flags) => {
                let flags: BTreeSet<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
                folder.extend(told.new_uids.iter().map(|(_, uid)| (*uid, flags.clone())));
            }
            Self::Copy { .. } => {
                for (from, to) in &told.new_uids {
                    let flags = folder.get(from).cloned().unwrap_or_default();
                    folder.insert(*to, flags);
                }
            }
            Self::Move { .. } => told.new_uids.iter().for_each(|(from, _)| {
                folder.remove(from);
            }),
            _ => {}
        }
    }
}
