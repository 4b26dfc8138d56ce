//! A client that comes back (RFC 7162 §3.2), and several at work together: each keeps a list of messages by what it is told, and every list is right.

mod follower;
mod random;

use follower::{Follower, Habit};
use random::Random;
use scenarios::{Api, Demo, Imap, Mailbox};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Flags that are set and cleared at random.
const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Deleted", "$Lu", "$Urgent"];
/// Of either test with random commands; a run on a busy machine does fewer.
const WORK: Duration = Duration::from_secs(9);

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "50M");
    (demo, mailbox)
}

async fn login(demo: &Demo, mailbox: &Mailbox) -> Imap {
    Imap::login(demo, demo.north(), mailbox).await
}

async fn fill(imap: &mut Imap, count: usize) {
    for n in 1..=count {
        let status = imap.append("INBOX", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).await.status;
        assert!(status.starts_with("OK [APPENDUID"), "{status}");
    }
}

/// The number after `word`.
fn after(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word} in {text}"))
}

/// As the examples of RFC 7162 §3.2.5 do.
#[tokio::test]
async fn a_client_that_comes_back_hears_what_went_and_what_changed() {
    let (demo, mailbox) = mailbox("retour");
    let mut other = login(&demo, &mailbox).await;
    fill(&mut other, 8).await;
    let told = other.ok("SELECT INBOX").await.text();
    let (validity, modseq) = (after(&told, "[UIDVALIDITY "), after(&told, "[HIGHESTMODSEQ "));
    other.ok("STORE 2,3,6 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    other.ok("UID STORE 5 +FLAGS (\\Answered)").await;
    fill(&mut other, 1).await;

    let mut imap = login(&demo, &mailbox).await;
    let refused = imap.command(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await.status;
    assert!(refused.starts_with("BAD"), "not before it is enabled: {refused}");
    assert_eq!(imap.ok("ENABLE QRESYNC").await.text(), "* ENABLED QRESYNC\n");
    let told = imap.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await.text();
    assert!(told.contains("\n* VANISHED (EARLIER) 2:3,6\n"), "{told}");
    assert!(told.contains("\n* 3 FETCH (UID 5 FLAGS (\\Answered) MODSEQ ("), "{told}");
    assert!(told.contains("\n* 6 FETCH (UID 9 FLAGS ("), "{told}");
    assert_eq!(told.matches(" FETCH ").count(), 2, "{told}");
    assert!(!told.contains("CLOSED"), "nothing was selected before: {told}");

    // Only of what it knows.
    let told = imap.ok(&format!("EXAMINE INBOX (QRESYNC ({validity} {modseq} 1:2,7:8))")).await.text();
    assert!(told.contains("* OK [CLOSED]") && told.contains("\n* VANISHED (EARLIER) 2\n"), "{told}");
    assert!(!told.contains(" FETCH "), "{told}");
    // What it knows of another folder of that name means nothing.
    let told = imap.ok(&format!("EXAMINE INBOX (QRESYNC ({} {modseq}))", validity + 1)).await.text();
    assert!(!told.contains("VANISHED") && !told.contains(" FETCH "), "{told}");

    let told = imap.ok(&format!("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).await.text();
    assert!(told.starts_with("* VANISHED (EARLIER) 2:3,6\n* 3 FETCH (UID 5 FLAGS"), "{told}");
    assert_eq!(told.matches(" FETCH ").count(), 1, "{told}");
    for bad in ["FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1:6 (FLAGS) (VANISHED)"] {
        assert!(imap.command(bad).await.status.starts_with("BAD"), "{bad}");
    }
    let refused = other.command("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 VANISHED)").await.status;
    assert!(refused.starts_with("BAD"), "not before QRESYNC is enabled: {refused}");
}

#[tokio::test]
async fn what_goes_is_told_by_uid_and_the_end_says_how_far_all_is_known() {
    let (demo, mailbox) = mailbox("disparus");
    let mut imap = login(&demo, &mailbox).await;
    imap.ok("ENABLE QRESYNC").await;
    fill(&mut imap, 6).await;
    imap.ok("SELECT INBOX").await;
    let mut other = login(&demo, &mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 2:3 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let told = imap.ok("FETCH 1 (FLAGS)").await.text();
    assert!(!told.contains("VANISHED") && told.contains("* 1 FETCH (UID 1 "), "numbers stand still: {told}");
    let told = imap.ok("NOOP").await.text();
    assert!(told.contains("* VANISHED 2:3\n") && !told.contains("EXPUNGE"), "{told}");
    imap.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    let told = imap.ok("EXPUNGE").await;
    assert_eq!(told.text(), "* VANISHED 1,4\n");
    let status = imap.ok("STATUS INBOX (HIGHESTMODSEQ)").await.text();
    assert_eq!(after(&told.status, "OK [HIGHESTMODSEQ "), after(&status, "(HIGHESTMODSEQ "));
    let told = imap.ok("UID MOVE 5 Archive").await;
    assert!(told.text().contains("[COPYUID ") && told.text().contains("\n* VANISHED 5\n"), "{}", told.text());
    assert!(told.status.starts_with("OK [HIGHESTMODSEQ "), "{}", told.status);
}

/// One command after the other, each of a client chosen by lot: what the folder then holds is known exactly.
#[tokio::test]
async fn whoever_acts_every_client_comes_to_the_same_folder() {
    let mut random = Random::of_this_run();
    let (demo, mailbox) = mailbox("modele");
    let mut filler = login(&demo, &mailbox).await;
    fill(&mut filler, 12).await;
    let mut followers = Vec::new();
    for habit in [Habit::Counts, Habit::Resyncs, Habit::KeepsModseqs, Habit::KeepsUids, Habit::Resyncs] {
        followers.push(Follower::enter(login(&demo, &mailbox).await, habit).await);
    }
    let mut folder = followers[0].flags_by_uid();
    let end = Instant::now() + WORK;
    let mut steps = 0;
    while Instant::now() < end && steps < 900 {
        let at = random.below(followers.len());
        let step = random::step(&mut random, &followers[at]);
        let told = followers[at].act(&step, &demo, &mailbox).await;
        step.happened(&mut folder, &told);
        steps += 1;
        if told.is_done && step.tells_everything() {
            assert_eq!(followers[at].flags_by_uid(), folder, "after {steps} steps, {step:?}, of {random:?}");
        }
    }
    for follower in &mut followers {
        follower.settle().await;
        assert_eq!(follower.flags_by_uid(), folder, "at the end, of {random:?}");
        follower.comes_back(&demo, &mailbox).await;
        follower.is_what_a_newcomer_finds(login(&demo, &mailbox).await).await;
    }
    assert!(steps > 20, "only {steps} steps were made");
}

/// Two readers of a mailbox, of which one holds it.
struct Readers {
    demo: Arc<Demo>,
    api: Api,
    mailboxes: [Mailbox; 2],
    /// What stands before the names of folders.
    bases: [String; 2],
}

impl Readers {
    async fn new(name: &str) -> Self {
        let demo = Demo::shared();
        let mailboxes = ["chef", "infirmier"].map(|who| {
            demo.north().new_mailbox_with(&format!("{name}.{who}"), "50M", &format!("password-of-{who}"))
        });
        let api = Api::admin(&demo, demo.north());
        let grant = json!({"login": mailboxes[1].address, "role": "manage"});
        api.post(&format!("/mailboxes/{}/delegations", mailboxes[0].address), &grant).await.expect(201);
        let bases = [String::new(), format!("Other Users/{}/", mailboxes[0].address)];
        Self { demo, api, mailboxes, bases }
    }

    async fn enter(&self, reader: usize, habit: Habit) -> Follower {
        Follower::enter_at(login(&self.demo, &self.mailboxes[reader]).await, habit, &self.bases[reader]).await
    }

    /// Whether each has a `\Seen` of their own from now on.
    async fn keep_seen_apart(&self, is_apart: bool) {
        let path = format!("/mailboxes/{}", self.mailboxes[0].address);
        let etag = self.api.get(&path).await.expect(200).etag().to_owned();
        self.api.patch(&path, &etag, &json!({"privateSeen": is_apart})).await.expect(200);
    }
}

/// Two readers of one mailbox: what each has seen is theirs, or one for both, as the mailbox has it at that moment; all else is of both.
#[tokio::test]
async fn readers_with_and_without_a_seen_of_their_own_see_what_they_should() {
    let mut random = Random::of_this_run();
    let readers = Readers::new("lecteurs").await;
    fill(&mut login(&readers.demo, &readers.mailboxes[0]).await, 8).await;
    let mut is_apart = true;
    readers.keep_seen_apart(is_apart).await;
    let mut followers = Vec::new();
    for (habit, reader) in [
        (Habit::Counts, 0),
        (Habit::Resyncs, 1),
        (Habit::Resyncs, 0),
        (Habit::KeepsUids, 1),
        (Habit::KeepsModseqs, 1),
    ] {
        followers.push((reader, readers.enter(reader, habit).await));
    }
    let mut folders = [followers[0].1.flags_by_uid(), followers[1].1.flags_by_uid()];
    let end = Instant::now() + WORK;
    // What all had seen when it was kept apart stays so for whoever has not said otherwise.
    let mut before = BTreeSet::new();
    let (mut steps, mut switches, mut done) = (0, 0, Vec::new());
    while Instant::now() < end && steps < 900 {
        steps += 1;
        if random.below(30) == 0 {
            is_apart = !is_apart;
            switches += 1;
            readers.keep_seen_apart(is_apart).await;
            done.push(format!("apart: {is_apart}"));
            if is_apart {
                before = random::seen(&folders[0]);
            } else {
                random::unite(&mut folders, &before);
            }
            continue;
        }
        let at = random.below(followers.len());
        let (reader, follower) = &mut followers[at];
        let reader = *reader;
        let step = random::step(&mut random, follower);
        let told = follower.act(&step, &readers.demo, &readers.mailboxes[reader]).await;
        done.push(format!("{at} of {reader}: {step:?} {told:?}"));
        step.happened(&mut folders[reader], &told);
        if let random::Step::Copy { .. } = step {
            let copies = told.new_uids.iter().filter(|(from, _)| before.contains(from));
            before.extend(copies.map(|(_, to)| *to).collect::<Vec<_>>());
        }
        if is_apart {
            step.happened_to_another(&mut folders[1 - reader], &told);
        } else {
            step.happened(&mut folders[1 - reader], &told);
        }
        if told.is_done && step.tells_everything() {
            let (found, folder) = (follower.flags_by_uid(), &folders[reader]);
            assert_eq!(
                found,
                *folder,
                "after {steps} steps, {step:?} by {reader}, of {random:?}:\n{}\n{}",
                done.join("\n"),
                follower.dialogue()
            );
        }
    }
    for (reader, follower) in &mut followers {
        follower.settle().await;
        assert_eq!(follower.flags_by_uid(), folders[*reader], "at the end, of {random:?}");
        follower.comes_back(&readers.demo, &readers.mailboxes[*reader]).await;
        follower.is_what_a_newcomer_finds(login(&readers.demo, &readers.mailboxes[*reader]).await).await;
        let unseen = folders[*reader].values().filter(|flags| !flags.contains("\\Seen")).count();
        let inbox = format!("{}INBOX", readers.bases[*reader]);
        let status = login(&readers.demo, &readers.mailboxes[*reader])
            .await
            .ok(&format!("STATUS \"{inbox}\" (MESSAGES UNSEEN)"))
            .await
            .text();
        assert!(status.contains(&format!("UNSEEN {unseen})")), "{status} of {:?}", folders[*reader]);
    }
    assert!(steps > 20, "only {steps} steps were made, {switches} of them switches");
}

/// All at once: nobody knows what the folder holds before all have come to rest.
#[tokio::test]
async fn clients_that_act_at_the_same_time_agree_when_they_rest() {
    let mut random = Random::of_this_run();
    let (demo, mailbox) = mailbox("ensemble");
    let mut filler = login(&demo, &mailbox).await;
    fill(&mut filler, 20).await;
    let mut at_work = Vec::new();
    for habit in
        [Habit::Counts, Habit::Resyncs, Habit::KeepsModseqs, Habit::KeepsUids, Habit::Resyncs, Habit::Counts]
    {
        let mut follower = Follower::enter(login(&demo, &mailbox).await, habit).await;
        let (mut lot, demo, mailbox) = (random.fork(), demo.clone(), mailbox.clone());
        at_work.push(tokio::spawn(async move {
            let end = Instant::now() + WORK;
            let mut steps = 0;
            while Instant::now() < end && steps < 250 {
                let step = random::step(&mut lot, &follower);
                follower.act(&step, &demo, &mailbox).await;
                steps += 1;
            }
            follower
        }));
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut followers = Vec::new();
    for follower in at_work {
        followers.push(follower.await.unwrap_or_else(|error| panic!("{error}, of {random:?}")));
    }
    for follower in &mut followers {
        follower.settle().await;
        seen.insert(format!("{:?}", follower.flags_by_uid()));
        follower.comes_back(&demo, &mailbox).await;
        follower.is_what_a_newcomer_finds(login(&demo, &mailbox).await).await;
    }
    assert_eq!(seen.len(), 1, "{seen:?}, of {random:?}");
}
