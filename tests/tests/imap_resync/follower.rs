//! A client that keeps a list of messages by what it is told, and finds fault with everything that does not fit it.

use super::random::{Folder, Step, change};
use scenarios::{Demo, Imap, Mailbox, Response};
use std::collections::{BTreeMap, BTreeSet};

/// What a client keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It counts, as RFC 3501 has it.
    Counts,
    /// It keeps modification sequences too.
    KeepsModseqs,
    /// It comes back with QRESYNC.
    Resyncs,
    /// It does not count at all.
    KeepsUids,
}

/// A message as the client knows it; a new one is only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    uid: Option<u32>,
    flags: BTreeSet<String>,
    modseq: u64,
}

/// What an answer says beside the state of the folder.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// There was something to do.
    pub(crate) is_done: bool,
    /// Old and new UIDs of COPYUID; of APPENDUID twice the same.
    pub(crate) new_uids: Vec<(u32, u32)>,
    /// UIDs of MODIFIED.
    pub(crate) modified: Vec<u32>,
}

pub(crate) struct Follower {
    imap: Imap,
    habit: Habit,
    /// What stands before the names of folders.
    base: String,
    validity: u64,
    /// All changes up to here are known.
    highest: u64,
    list: Vec<Known>,
    /// It hears what it asked of messages that are new to it.
    takes_new: bool,
}

impl Follower {
    pub(crate) async fn enter(imap: Imap, habit: Habit) -> Self {
        Self::enter_at(imap, habit, "").await
    }

    /// In another's mailbox.
    pub(crate) async fn enter_at(imap: Imap, habit: Habit, base: &str) -> Self {
        let (base, list) = (base.to_owned(), Vec::new());
        let mut follower = Self { imap, habit, base, validity: 0, highest: 0, list, takes_new: false };
        follower.begin().await;
        follower.select().await;
        follower
    }

    async fn begin(&mut self) {
        match self.habit {
            Habit::Counts => {}
            Habit::KeepsModseqs => drop(self.imap.ok("ENABLE CONDSTORE").await),
            Habit::Resyncs => drop(self.imap.ok("ENABLE QRESYNC").await),
            Habit::KeepsUids => drop(self.imap.ok("ENABLE UIDONLY CONDSTORE").await),
        }
    }

    /// The UIDs that it knows.
    pub(crate) fn known_uids(&self) -> Vec<u32> {
        self.list.iter().filter_map(|known| known.uid).collect()
    }

    /// Whether messages have numbers for it.
    pub(crate) fn counts(&self) -> bool {
        self.habit != Habit::KeepsUids
    }

    /// A modification sequence for a condition, from one that keeps them.
    pub(crate) fn condition(&self) -> Option<u64> {
        (self.habit != Habit::Counts).then_some(self.highest)
    }

    pub(crate) fn flags_by_uid(&self) -> Folder {
        self.list.iter().filter_map(|known| Some((known.uid?, known.flags.clone()))).collect()
    }

    /// What was said, for whoever finds fault.
    pub(crate) fn dialogue(&self) -> String {
        format!("{:?}", self.imap)
    }

    /// Does it, and hears the answer.
    pub(crate) async fn act(&mut self, step: &Step, demo: &Demo, mailbox: &Mailbox) -> Told {
        let mut told = Told { is_done: true, ..Told::default() };
        let may_expunge = step.may_expunge();
        let response = match step {
            Step::Reselect => {
                self.select().await;
                return told;
            }
            Step::Reconnect => {
                self.comes_back(demo, mailbox).await;
                return told;
            }
            Step::Idle => self.imap.idled().await,
            Step::Append(flags) => {
                let arguments = format!("\"{}INBOX\" ({})", self.base, flags.join(" "));
                self.imap.append(&arguments, b"Subject: x\r\n\r\nx\r\n").await
            }
            step => match self.command(step) {
                Some(command) => self.imap.command(&command).await,
                None => return Told::default(),
            },
        };
        let status = response.status.clone();
        assert!(
            status.starts_with("OK")
                || status.starts_with("NO [EXPUNGEISSUED]")
                || status.starts_with("NO [MODIFIED"),
            "{step:?}: {status}\n{:?}",
            self.imap
        );
        // Numbers of the answer's end are those of before it.
        if let Some(set) = between(&status, "[MODIFIED ", "]") {
            let by_uid = matches!(step, Step::Store { by_uid: true, .. });
            told.modified = numbers(set)
                .into_iter()
                .filter_map(|n| if by_uid { Some(n) } else { self.list[n as usize - 1].uid })
                .collect();
        }
        self.assume(step, &told.modified);
        self.hear(&response, may_expunge);
        for text in response.text().lines().chain([status.as_str()]) {
            if let Some(code) = between(text, "[COPYUID ", "]").or(between(text, "[APPENDUID ", "]")) {
                let sets: Vec<&str> = code.split(' ').skip(1).collect();
                let (from, to) = (sets[0], sets.last().copied().unwrap_or(sets[0]));
                told.new_uids = numbers(from).into_iter().zip(numbers(to)).collect();
            }
        }
        if let Some(highest) = between(&status, "[HIGHESTMODSEQ ", "]") {
            let highest = highest.parse().expect("a number");
            assert!(self.habit == Habit::Resyncs && highest >= self.highest);
            self.highest = highest;
            self.must_not_know_more();
        }
        if matches!(step, Step::Noop | Step::Idle) {
            self.highest = self.list.iter().map(|known| known.modseq).fold(self.highest, u64::max);
        }
        self.fetch_new().await;
        told
    }

    /// A silent STORE is not answered with what it was to do.
    fn assume(&mut self, step: &Step, modified: &[u32]) {
        let Step::Store { targets, sign, silent: true, flags, .. } = step else { return };
        let is_changed = |uid: &u32| targets.contains(uid) && !modified.contains(uid);
        for known in self.list.iter_mut().filter(|known| known.uid.as_ref().is_some_and(is_changed)) {
            change(&mut known.flags, sign, flags);
        }
    }

    /// The command, if there is something to name in it.
    fn command(&self, step: &Step) -> Option<String> {
        let set = |targets: &[u32], by_uid: bool| {
            let number =
                |uid: &u32| self.list.iter().position(|known| known.uid == Some(*uid)).map(|at| at + 1);
            let named: Vec<String> = targets
                .iter()
                .filter_map(|uid| if by_uid { Some(uid.to_string()) } else { Some(number(uid)?.to_string()) })
                .collect();
            (!named.is_empty()).then(|| named.join(","))
        };
        let uid = |by_uid: bool| if by_uid { "UID " } else { "" };
        Some(match step {
            Step::Store { by_uid, targets, sign, silent, flags, unchanged_since } => {
                let condition =
                    unchanged_since.map_or(String::new(), |since| format!("(UNCHANGEDSINCE {since}) "));
                let silent = if *silent { ".SILENT" } else { "" };
                let set = set(targets, *by_uid)?;
                format!("{}STORE {set} {condition}{sign}FLAGS{silent} ({})", uid(*by_uid), flags.join(" "))
            }
            Step::Expunge => "EXPUNGE".to_owned(),
            Step::UidExpunge(uids) => format!("UID EXPUNGE {}", set(uids, true)?),
            Step::Copy { by_uid, targets } => {
                format!("{}COPY {} \"{}INBOX\"", uid(*by_uid), set(targets, *by_uid)?, self.base)
            }
            Step::Move { by_uid, targets } => {
                format!("{}MOVE {} \"{}Archive\"", uid(*by_uid), set(targets, *by_uid)?, self.base)
            }
            Step::Fetch { by_uid } if *by_uid || !self.list.is_empty() => {
                format!("{}FETCH 1:* (FLAGS)", uid(*by_uid))
            }
            Step::ChangedSince(since) if self.habit == Habit::Resyncs => {
                format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")
            }
            Step::ChangedSince(since) => format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})"),
            Step::Search => "SEARCH ALL".to_owned(),
            Step::Noop => "NOOP".to_owned(),
            _ => return None,
        })
    }

    fn hear(&mut self, response: &Response, may_expunge: bool) {
        for line in response.text().lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["*", "VANISHED", "(EARLIER)", set] => {
                    let (gone, known) = (numbers(set), self.known_uids());
                    assert!(
                        !known.iter().any(|uid| gone.contains(uid)),
                        "{line}: it has a number\n{:?}",
                        self.imap
                    );
                }
                ["*", "VANISHED", set] => {
                    assert!(
                        may_expunge && matches!(self.habit, Habit::Resyncs | Habit::KeepsUids),
                        "{line}\n{:?}",
                        self.imap
                    );
                    numbers(set).into_iter().for_each(|uid| self.forget(uid));
                }
                ["*", number, "EXPUNGE"] => {
                    assert!(
                        may_expunge && matches!(self.habit, Habit::Counts | Habit::KeepsModseqs),
                        "{line}\n{:?}",
                        self.imap
                    );
                    let at = self.index(number);
                    self.list.remove(at);
                }
                ["*", number, "EXISTS"] => {
                    let count: usize = number.parse().expect("a number");
                    assert!(count >= self.list.len(), "{line} after {}\n{:?}", self.list.len(), self.imap);
                    self.list.resize(count, Known::default());
                }
                ["*", number, "FETCH", items] => {
                    let at = self.index(number);
                    self.learn(at, items);
                }
                ["*", uid, "UIDFETCH", items] => {
                    assert!(!self.counts(), "{line}\n{:?}", self.imap);
                    let uid = uid.parse().expect("a number");
                    // A later one of several that are only counted yet may change first: it is asked for with the others.
                    if self.takes_new || self.known_uids().contains(&uid) {
                        let at = self.place_of(uid);
                        self.learn(at, items);
                    }
                }
                _ => {}
            }
        }
        let uids = self.known_uids();
        assert!(uids.is_sorted_by(|one, next| one < next), "{uids:?}\n{:?}", self.imap);
    }

    /// Where that message stands; one that was only counted yet gets its UID, the first of them first.
    fn place_of(&mut self, uid: u32) -> usize {
        let at = self.list.iter().position(|known| known.uid == Some(uid));
        let at = at.or_else(|| self.list.iter().position(|known| known.uid.is_none()));
        let at = at.unwrap_or_else(|| panic!("{uid} is one too many\n{:?}", self.imap));
        self.list[at].uid = Some(uid);
        at
    }

    fn index(&self, number: &str) -> usize {
        assert!(self.counts(), "{number}\n{:?}", self.imap);
        let number: usize = number.parse().expect("a number");
        assert!((1..=self.list.len()).contains(&number), "{number} of {}\n{:?}", self.list.len(), self.imap);
        number - 1
    }

    /// One that is only counted yet may go by its UID: the last ones are those.
    fn forget(&mut self, uid: u32) {
        let at = self.list.iter().position(|known| known.uid == Some(uid));
        let at = at.or_else(|| self.list.iter().rposition(|known| known.uid.is_none()));
        let at = at.unwrap_or_else(|| panic!("{uid} is gone for the second time\n{:?}", self.imap));
        self.list.remove(at);
    }

    fn learn(&mut self, at: usize, items: &str) {
        let known = &mut self.list[at];
        if let Some(uid) = between(items, "UID ", " ").or(between(items, "UID ", ")")) {
            let uid = uid.trim_end_matches(')').parse().expect("a number");
            assert!(known.uid.is_none_or(|before| before == uid), "{items} for {known:?}\n{:?}", self.imap);
            known.uid = Some(uid);
        }
        let modseq = between(items, "MODSEQ (", ")").map(|modseq| modseq.parse::<u64>().expect("a number"));
        assert!(modseq.is_some() == (self.habit != Habit::Counts), "{items}\n{:?}", self.imap);
        if let Some(modseq) = modseq {
            assert!(modseq >= known.modseq, "{items} for {known:?}\n{:?}", self.imap);
            known.modseq = modseq;
        }
        if let Some(flags) = between(items, "FLAGS (", ")") {
            known.flags = flags
                .split(' ')
                .filter(|flag| !flag.is_empty() && *flag != "\\Recent")
                .map(str::to_owned)
                .collect();
        }
    }

    /// Asks for what is only counted yet, as clients do.
    async fn fetch_new(&mut self) {
        while let Some(at) = self.list.iter().position(|known| known.uid.is_none()) {
            let command = if self.counts() {
                format!("FETCH {}:* (UID FLAGS)", at + 1)
            } else {
                format!("UID FETCH {}:* (FLAGS)", self.known_uids().last().map_or(1, |uid| uid + 1))
            };
            let response = self.imap.command(&command).await;
            self.takes_new = true;
            self.hear(&response, !self.counts());
            self.takes_new = false;
            if !response.status.starts_with("OK") {
                let response = self.imap.ok("NOOP").await;
                self.hear(&response, true);
            }
        }
    }

    /// Hears all there is.
    pub(crate) async fn settle(&mut self) {
        let response = self.imap.ok("NOOP").await;
        self.hear(&response, true);
        self.fetch_new().await;
    }

    /// The connection is lost, and another begun.
    pub(crate) async fn comes_back(&mut self, demo: &Demo, mailbox: &Mailbox) {
        self.imap = Imap::login(demo, demo.north(), mailbox).await;
        self.begin().await;
        self.select().await;
    }

    async fn select(&mut self) {
        if self.habit != Habit::Resyncs || self.validity == 0 {
            self.list.clear();
            let response = self.imap.ok(&format!("SELECT \"{}INBOX\"", self.base)).await;
            self.hear(&response, false);
            self.stand(&response);
            self.fetch_new().await;
            return;
        }
        let known = std::mem::take(&mut self.list).into_iter();
        let mut cache: BTreeMap<u32, Known> = known.filter_map(|known| Some((known.uid?, known))).collect();
        let resync = format!("(QRESYNC ({} {}))", self.validity, self.highest);
        let response = self.imap.ok(&format!("SELECT \"{}INBOX\" {resync}", self.base)).await;
        let (mut count, mut numbered) = (0, Vec::new());
        for line in response.text().lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["*", number, "EXISTS"] => count = number.parse().expect("a number"),
                ["*", "VANISHED", "(EARLIER)", set] => {
                    numbers(set).iter().for_each(|uid| drop(cache.remove(uid)));
                }
                ["*", number, "FETCH", items] => {
                    let uid = between(items, "UID ", " ").expect("a UID").parse().expect("a number");
                    self.list = vec![cache.remove(&uid).unwrap_or_default()];
                    self.learn(0, items);
                    cache.extend(self.list.pop().map(|known| (uid, known)));
                    numbered.push((number.parse::<usize>().expect("a number"), uid));
                }
                _ => {}
            }
        }
        self.list = cache.into_values().collect();
        assert_eq!(self.list.len(), count, "{}\n{:?}", response.text(), self.imap);
        for (number, uid) in numbered {
            assert_eq!(self.list[number - 1].uid, Some(uid), "number {number}: {}", response.text());
        }
        self.stand(&response);
    }

    fn stand(&mut self, response: &Response) {
        let text = response.text();
        let number = |word| between(&text, word, "]").expect(word).parse().expect("a number");
        self.validity = number("[UIDVALIDITY ");
        let highest = number("[HIGHESTMODSEQ ");
        assert!(highest >= self.highest, "{highest} after {}", self.highest);
        self.highest = highest;
        self.must_not_know_more();
    }

    /// What it was told to be complete up to there is not older than what it was told.
    fn must_not_know_more(&self) {
        let largest = self.list.iter().map(|known| known.modseq).max().unwrap_or(0);
        assert!(
            largest <= self.highest,
            "{largest} was told, and {} to be all\n{:?}",
            self.highest,
            self.imap
        );
    }

    /// Somebody who knows nothing fetches everything, and finds the same.
    pub(crate) async fn is_what_a_newcomer_finds(&self, newcomer: Imap) {
        let habit = if self.habit == Habit::Counts { Habit::Counts } else { Habit::KeepsModseqs };
        let newcomer = Self::enter_at(newcomer, habit, &self.base).await;
        assert_eq!(self.list, newcomer.list, "{:?}", self.imap);
    }
}

/// What stands between two texts, the second one first after the first.
fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let rest = text.split_once(from)?.1;
    rest.split_once(to).map(|(found, _)| found)
}

/// The numbers of a set, in its order.
fn numbers(set: &str) -> Vec<u32> {
    let ranges = set.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    ranges
        .flat_map(|(first, last)| {
            let (first, last): (u32, u32) =
                (first.parse().expect("a number"), last.parse().expect("a number"));
            first..=last
        })
        .collect()
}
