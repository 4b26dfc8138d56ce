//! Properties that hold for every input.

use imap_session::command::{AppendStep, CommandBody};
use imap_session::decoder::{Decoder, Input, Limits};
use imap_session::mutf7;
use imap_session::pattern;
use imap_session::picture::{Message, Picture};
use imap_session::sequence::{SequenceSet, format_uids};
use imap_session::view::{Change, Entry, Permit, Untagged, View};
use mail_types::{ModSeq, SystemFlags};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Feeds `octets` in pieces of `size` to a decoder of small bounds and plays the edge; contents of messages are joined.
fn inputs(octets: &[u8], size: usize) -> Vec<Input> {
    let mut decoder = Decoder::new(Limits {
        line_max: 40,
        non_synchronising_max: 20,
        literal_max: 25,
        literals_max: 30,
        discard_max: 50,
    });
    let mut seen: Vec<Input> = Vec::new();
    let mut appends = 0;
    for piece in octets.chunks(size.max(1)) {
        decoder.handle_input(piece);
        while let Some(input) = decoder.poll() {
            match &input {
                Input::Command(command) if command.body == CommandBody::Idle => decoder.expect_done(),
                Input::Command(command) if command.body == CommandBody::Noop => decoder.expect_response(),
                Input::Append(AppendStep::Literal(_)) => {
                    appends += 1;
                    if appends % 2 == 0 { decoder.refuse_append() } else { decoder.accept_append() }
                }
                _ => {}
            }
            match (seen.last_mut(), input) {
                (Some(Input::AppendContent(all)), Input::AppendContent(more)) => all.extend(more),
                (_, input) => seen.push(input),
            }
        }
    }
    seen
}

/// Fragments of commands, so that random input reaches past the first word.
fn session() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => proptest::sample::select(vec![
            "a ", "b1 ", "\r\n", "\r\n", "\r\n", "\n", "\r", "\0", " ", "{3}\r\nabc", "{3+}\r\nabc", "{9+}\r\n", "{60+}\r\n", "{0}\r\n",
            "{25+}\r\n", "NOOP", "IDLE", "DONE", "APPEND ", "INBOX ", "(\\Seen) ", "LOGIN ", "\"x\"", "\"", "\\", "UID ", "SEARCH ",
            "FETCH ", "1:* ", "(", ")", "NOT ", "OR ", "ALL", "BODY[", "]", "<0.1>", "HEADER.FIELDS ", "STORE ", "FLAGS ", "AUTHENTICATE ",
            "PLAIN ", "=", "CATENATE (", "TEXT ", "URL ", "UTF8 (~", "REPLACE ", "~{3+}\r\nabc", "c APPEND INBOX ", "LIST ", "*", "&AOk-", "RETURN ", "ID ", "NIL",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn splitting_changes_nothing(octets in session(), size in 1_usize..30) {
        let whole = inputs(&octets, octets.len());
        prop_assert_eq!(&inputs(&octets, 1), &whole);
        prop_assert_eq!(&inputs(&octets, size), &whole);
    }

    #[test]
    fn a_decoder_that_waits_wants_input(octets in session()) {
        let mut decoder = Decoder::new(Limits::before_login());
        for octet in octets {
            decoder.handle_input(&[octet]);
            let mut waits_for_us = false;
            while let Some(input) = decoder.poll() {
                waits_for_us = matches!(input, Input::Append(AppendStep::Literal(_)) | Input::Fatal(_));
                decoder.refuse_append();
            }
            prop_assert!(waits_for_us || decoder.wants_input());
        }
    }

    #[test]
    fn names_survive_modified_utf7(name in any::<String>()) {
        let text = mutf7::encode(&name);
        prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)));
        let decoded = mutf7::decode(text.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Ok(name.as_str()));
    }

    #[test]
    fn a_name_has_one_spelling(text in "[&A-Za-z0-9+,-]{0,12}") {
        if let Ok(name) = mutf7::decode(text.as_bytes()) {
            prop_assert_eq!(mutf7::encode(&name), text);
        }
    }

    #[test]
    fn arbitrary_octets_are_no_name_or_one(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = mutf7::decode(&text);
    }

    #[test]
    fn sets_hold_what_they_say(elements in proptest::collection::vec((0_u32..30, 0_u32..30), 1..8), max in 0_u32..25) {
        // 0 stands for `*`.
        let word = |n: u32| if n == 0 { "*".to_owned() } else { n.to_string() };
        let text = elements.iter().map(|(a, b)| format!("{}:{}", word(*a), word(*b))).collect::<Vec<_>>().join(",");
        let set = SequenceSet::parse(text.as_bytes()).unwrap();
        let ranges = set.resolve(max);
        for n in 1..40 {
            let expected = elements.iter().any(|(a, b)| {
                let (a, b) = (if *a == 0 { max } else { *a }, if *b == 0 { max } else { *b });
                a != 0 && b != 0 && a.min(b) <= n && n <= a.max(b)
            });
            prop_assert_eq!(set.contains(n, max), expected);
            prop_assert_eq!(ranges.contains(n), expected);
        }
        prop_assert!(ranges.as_slice().windows(2).all(|w| w[0].end() + 1 < *w[1].start()));
    }

    #[test]
    fn formatted_uids_are_read_back(uids in proptest::collection::btree_set(1_u32..60, 1..40)) {
        let uids: Vec<u32> = uids.into_iter().collect();
        let set = SequenceSet::parse(format_uids(&uids).as_bytes()).unwrap();
        let read: Vec<u32> = set.resolve(0).iter().flat_map(|range| range.clone()).collect();
        prop_assert_eq!(read, uids);
    }

    #[test]
    fn patterns_match_as_a_naive_matcher_does(pattern in "[ab/%*]{0,7}", name in "[ab/]{0,7}") {
        let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
        prop_assert_eq!(pattern::matches(&pattern, &name, '/'), naive_match(&p, &n));
    }

    #[test]
    fn a_client_that_follows_the_view_knows_the_folder(
        steps in proptest::collection::vec((proptest::collection::vec((0_u8..3, 1_u32..12, 0_u32..4), 0..6), any::<bool>()), 1..12)
    ) {
        let mut model = Model::default();
        let mut view = View::default();
        for (changes, allow_expunge) in steps {
            let changes = model.change(&changes);
            let told = view.apply(changes, permit(allow_expunge));
            model.hear(&told, &view, allow_expunge);
            model.check(&view, allow_expunge);
        }
        let told = view.apply(vec![], permit(true));
        model.hear(&told, &view, true);
        model.check(&view, true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_picture_is_the_list_of_its_messages(
        steps in proptest::collection::vec((0_u8..4, proptest::collection::vec(0_u32..900, 0..8)), 1..30)
    ) {
        let (mut list, mut picture) = (Vec::<Message>::new(), Picture::default());
        let mut earlier = (list.clone(), picture.clone());
        for (at, (kind, numbers)) in (1_u64..).zip(steps) {
            match kind {
                0 => {
                    let mut uid = list.last().map_or(0, |last| last.uid);
                    let arrived = numbers.iter().map(|number| {
                        uid += 1 + number;
                        Message { uid, flags: SystemFlags(0), keywords: 0, modseq: ModSeq(at) }
                    });
                    let arrived: Vec<Message> = arrived.collect();
                    picture.append(&arrived);
                    list.extend(arrived);
                }
                1 => for number in numbers {
                    let which = number as usize % list.len().max(1);
                    let Some(known) = list.get_mut(which) else { continue };
                    *known = Message { flags: SystemFlags(number), keywords: u64::from(number) << 40, modseq: ModSeq(at), ..*known };
                    picture.replace(*known);
                }
                2 => {
                    let mut gone: Vec<u32> = numbers.iter().filter_map(|n| Some(list.get(*n as usize % list.len().max(1))?.uid)).collect();
                    // Some that are not there.
                    gone.extend(numbers.first());
                    gone.sort_unstable();
                    gone.dedup();
                    picture.remove(&gone);
                    list.retain(|message| !gone.contains(&message.uid));
                }
                _ => {
                    picture.share(&earlier.1);
                    earlier = (list.clone(), picture.clone());
                }
            }
            is_list(&picture, &list, &numbers_around(&list));
            let (changed, gone) = picture.difference(&earlier.1);
            let is_new = |message: &&Message| !earlier.0.contains(message);
            prop_assert_eq!(changed, list.iter().filter(is_new).copied().collect::<Vec<_>>());
            let is_gone = |message: &&Message| !list.iter().any(|there| there.uid == message.uid);
            prop_assert_eq!(gone, earlier.0.iter().filter(is_gone).map(|message| message.uid).collect::<Vec<_>>());
        }
        is_list(&earlier.1, &earlier.0, &[]);
        let mut anew: Picture = list.iter().rev().copied().collect();
        anew.share(&picture);
        is_list(&anew, &list, &[]);
    }
}

/// UIDs of some messages, and their neighbours.
fn numbers_around(list: &[Message]) -> Vec<u32> {
    let around = list
        .iter()
        .step_by(1 + list.len() / 5)
        .flat_map(|message| message.uid.saturating_sub(1)..=message.uid + 1);
    around.chain([0, 1, 511, 512, 513, u32::MAX]).collect()
}

fn is_list(picture: &Picture, list: &[Message], asked: &[u32]) {
    assert_eq!(picture.iter().copied().collect::<Vec<_>>(), list);
    assert_eq!((picture.len(), picture.is_empty()), (list.len(), list.is_empty()));
    assert_eq!(picture.last(), list.last());
    for place in 0..=list.len() {
        assert_eq!(picture.at(place), list.get(place));
    }
    for &uid in asked {
        let below = list.partition_point(|message| message.uid < uid);
        let place = list.iter().position(|message| message.uid == uid);
        assert_eq!((picture.count_below(uid), picture.place_of(uid)), (below, place));
        assert_eq!(picture.get(uid), place.map(|place| &list[place]));
        let placed: Vec<(usize, &Message)> = list.iter().enumerate().skip(below).collect();
        assert_eq!(picture.from_uid(uid).collect::<Vec<_>>(), placed);
    }
}

fn naive_match(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), tail) => {
            naive_match(rest, name) || tail.is_some_and(|(_, after)| naive_match(pattern, after))
        }
        (Some(('%', rest)), tail) => {
            naive_match(rest, name) || tail.is_some_and(|(c, after)| *c != '/' && naive_match(pattern, after))
        }
        (Some((p, rest)), Some((c, after))) => p == c && naive_match(rest, after),
        _ => false,
    }
}

/// The folder as it is, and the list of UIDs and flags a client keeps from what it is told.
#[derive(Default)]
struct Model {
    folder: BTreeMap<u32, u32>,
    next_uid: u32,
    client: Vec<Option<(u32, u32)>>,
    modseq: u64,
}

fn permit(expunges: bool) -> Permit {
    Permit { expunges, ..Permit::default() }
}

impl Model {
    fn upsert(&mut self, uid: u32, flags: u32) -> Change {
        self.modseq += 1;
        Change::Upsert { uid, flags: SystemFlags(flags), keywords: 0, modseq: ModSeq(self.modseq) }
    }

    fn change(&mut self, steps: &[(u8, u32, u32)]) -> Vec<Change> {
        let mut changes = Vec::new();
        for (kind, which, flags) in steps {
            let uid = self.folder.keys().nth(*which as usize % self.folder.len().max(1)).copied();
            match (kind, uid) {
                (0, _) | (_, None) => {
                    // Some lie far apart, in blocks of their own.
                    self.next_uid += 1 + which % 2 * 300;
                    self.folder.insert(self.next_uid, *flags);
                    let uid = self.next_uid;
                    changes.push(self.upsert(uid, *flags));
                }
                (1, Some(uid)) => {
                    self.folder.insert(uid, *flags);
                    changes.push(self.upsert(uid, *flags));
                }
                (_, Some(uid)) => {
                    self.folder.remove(&uid);
                    changes.push(Change::Expunged { uid });
                }
            }
        }
        changes
    }

    fn hear(&mut self, told: &[Untagged], view: &View, allow_expunge: bool) {
        for line in told {
            match line {
                Untagged::Expunge(seq) => {
                    assert!(allow_expunge);
                    self.client.remove(*seq as usize - 1);
                }
                Untagged::Exists(count) => {
                    assert!(*count as usize >= self.client.len());
                    self.client.resize(*count as usize, None);
                }
                Untagged::Vanished(_) => panic!("told by UID to a client that counts"),
                Untagged::Recent(count) => assert_eq!(*count, view.recent()),
                Untagged::Flags { seq, uid } => {
                    let slot = &mut self.client[*seq as usize - 1];
                    assert!(slot.is_none_or(|(known, _)| known == *uid));
                    *slot = Some((*uid, view.entry(*uid).expect("told of").flags.0));
                }
            }
        }
        // The client fetches what is new.
        for (index, slot) in self.client.iter_mut().enumerate() {
            if slot.is_none() {
                let Entry { uid, flags, .. } = view.entries().nth(index).expect("a message");
                *slot = Some((uid, flags.0));
            }
        }
    }

    fn check(&self, view: &View, allow_expunge: bool) {
        let known: Vec<u32> = self.client.iter().flatten().map(|(uid, _)| *uid).collect();
        let shown: Vec<u32> = view.entries().map(|entry| entry.uid).collect();
        assert_eq!(known, shown);
        for (uid, flags) in self.client.iter().flatten() {
            assert!(self.folder.get(uid).is_none_or(|real| real == flags));
            assert_eq!(view.is_gone(*uid), !self.folder.contains_key(uid));
        }
        assert!(self.folder.keys().all(|uid| known.contains(uid)));
        assert!(!allow_expunge || known.len() == self.folder.len());
        for (index, uid) in known.iter().enumerate() {
            let seq = index as u32 + 1;
            assert_eq!((view.seq_of(*uid), view.uid_of(seq)), (Some(seq), Some(*uid)));
        }
    }
}
