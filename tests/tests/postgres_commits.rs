//! Commits on PostgreSQL that end in an unusual way: their answer is lost, or their transaction is made a victim. Senders hear the truth, and nothing
//! is stored twice.

use scenarios::{Cut, Imap, Letter, Load, PATIENCE, Scene, Wire, until};
use std::time::{Duration, Instant};

/// Octets of a letter that the door notices.
const NOTABLE: usize = 120_000;

/// What a sender hears of a letter whose commit was cut: the truth, or that it is to come again. Once it was acknowledged it is there once.
async fn is_answered_truly(cut: Cut) {
    let Some((scene, door)) = Scene::start_behind_a_door().await else { return };
    let (south, north) = (scene.demo.south(), scene.demo.north());
    let mut mx = Wire::mx(south.ports["smtp"], &scene.demo.client(&north.certificate())).await;
    mx.wait_for_replies(PATIENCE);
    let (from, to) = (&north.personal(0).address, &south.personal(0).address);
    let mut reader = Imap::login(&scene.demo, south, south.personal(0)).await;
    for round in 0..3 {
        door.cut(cut, 1);
        let marker = format!("ambigu-{round}.");
        let content = scenarios::noise_letter(&marker, NOTABLE);
        let begin = Instant::now();
        let reply = mx.letter(from, &[to], &content).await;
        assert_eq!(door.cuts(), round + 1, "the commit was not cut: {mx:?}");
        assert!(begin.elapsed() < PATIENCE, "answered after {:?}", begin.elapsed());
        if reply.code != 250 {
            assert!(reply.text().starts_with("451 4.3"), "{mx:?}");
            until("the letter is accepted", async || {
                (mx.letter(from, &[to], &content).await.code == 250).then_some(())
            })
            .await;
        }
        assert_eq!(reader.letters(&marker).await.len(), 1, "{cut:?}");
        // Who never heard the 250 says it all again.
        assert!(mx.letter(from, &[to], &content).await.text().starts_with("250"), "{mx:?}");
        assert_eq!(reader.letters(&marker).await.len(), 1, "{cut:?}");
        // Nothing is wedged: what comes after is accepted at once.
        let next = Letter::new(&format!("suite-{round}"), b"a\r\n");
        assert!(mx.letter(from, &[to], &next.content).await.text().starts_with("250"), "{mx:?}");
    }
    scene.stores_are_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_postgres_could_not_deliver_is_answered_truly() {
    is_answered_truly(Cut::AfterCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_reached_postgres_is_answered_truly() {
    is_answered_truly(Cut::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_cut_on_their_way_to_postgres_under_load_lose_and_double_nothing() {
    let Some((scene, door)) = Scene::start_behind_a_door().await else { return };
    let load = Load::begin("porte", &scene.inbound(NOTABLE), 3);
    for (made, cut) in (1..).zip([Cut::AfterCommit, Cut::BeforeCommit].repeat(4)) {
        door.cut(cut, 1);
        until("a commit is cut", async || (door.cuts() == made).then_some(())).await;
        let before = load.acknowledged();
        until("mail is accepted again", async || (load.acknowledged() > before + 1).then_some(())).await;
    }
    let heard = load.end().await;
    scene.everything_acknowledged_is_there_once(&heard).await;
}

/// The INBOXes of the readers, in the order in which they are locked.
fn inboxes(scene: &Scene, database: &str) -> [String; 2] {
    let addresses: Vec<String> =
        scene.readers().iter().map(|mailbox| format!("'{}'", mailbox.address)).collect();
    let rows = scene.postgres.sql(
        database,
        &format!(
            "SELECT f.id FROM folders f JOIN mailboxes m ON m.id = f.mailbox_id WHERE f.name = 'INBOX' AND m.address IN ({}) ORDER BY f.id;",
            addresses.join(", ")
        ),
    );
    let mut rows = rows.lines().map(str::to_owned);
    [rows.next().expect("an INBOX"), rows.next().expect("another INBOX")]
}

async fn waits_for_a_lock(scene: &Scene) {
    until("a writer waits for a lock", async || {
        let waiting = scene.postgres.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vaguemestre' AND wait_event_type = 'Lock';",
        );
        (waiting != "0").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_postgres_chose_as_the_victim_of_a_deadlock_is_written_after_all() {
    let Some(scene) = Scene::start() else { return };
    let database = scene.database();
    let [first, second] = inboxes(&scene, &database);
    let mut other = scene.postgres.session(&database);
    // Who waits first looks first for a deadlock, and is its victim: not this session.
    other.run(&format!(
        "SET deadlock_timeout = '60s'; BEGIN; SELECT id FROM folders WHERE id = {second} FOR UPDATE;"
    ));
    let load = Load::begin("impasse", &scene.inbound(3_000), 4);
    waits_for_a_lock(&scene).await;
    other.run(&format!("SELECT id FROM folders WHERE id = {first} FOR UPDATE;"));
    let deadlocks = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{database}';");
    until("a deadlock", async || (scene.postgres.sql("postgres", &deadlocks) != "0").then_some(())).await;
    other.run("ROLLBACK;");
    until("mail is accepted again", async || (load.acknowledged() > 8).then_some(())).await;
    let heard = load.end().await;
    assert!(heard.refusals.is_empty() && heard.breaks == 0, "senders noticed: {:?}", heard.refusals);
    scene.everything_acknowledged_is_there_once(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_postgres_could_not_serialize_is_written_after_all() {
    let Some(scene) = Scene::start() else { return };
    let database = scene.database();
    // As if another transaction had come first, once in every five messages: a sequence is not rolled back.
    scene.postgres.sql(
        &database,
        "CREATE SEQUENCE victims;
         CREATE FUNCTION choose_a_victim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('victims') % 5 = 3 THEN RAISE 'could not serialize access' USING ERRCODE = '40001'; END IF;
           RETURN NEW; END $$;
         CREATE TRIGGER choose_a_victim BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION choose_a_victim();",
    );
    let load = Load::begin("serie", &scene.inbound(3_000), 4);
    until("messages", async || (load.acknowledged() > 20).then_some(())).await;
    let heard = load.end().await;
    assert!(heard.refusals.is_empty() && heard.breaks == 0, "senders noticed: {:?}", heard.refusals);
    scene.everything_acknowledged_is_there_once(&heard).await;
    let chosen: u32 =
        scene.postgres.sql(&database, "SELECT last_value FROM victims;").parse().expect("a count");
    assert!(chosen >= 5, "nobody was chosen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_another_session_of_postgres_holds_is_waited_for_no_longer_than_senders_wait() {
    let Some(scene) = Scene::start() else { return };
    let database = scene.database();
    let [first, _] = inboxes(&scene, &database);
    let mut other = scene.postgres.session(&database);
    other.run(&format!("BEGIN; SELECT id FROM folders WHERE id = {first} FOR UPDATE;"));
    let (south, north) = (scene.demo.south(), scene.demo.north());
    let mut mx = Wire::mx(south.ports["smtp"], &scene.demo.client(&north.certificate())).await;
    mx.wait_for_replies(PATIENCE);
    let (from, to) = (&north.personal(0).address, &south.personal(0).address);
    let letter = Letter::new("retenue", b"a\r\n");
    let begin = Instant::now();
    let reply = mx.letter(from, &[to], &letter.content).await;
    assert!(reply.text().starts_with("451 4.3"), "{mx:?}");
    assert!(begin.elapsed() < PATIENCE + Duration::from_secs(5), "put off after {:?}", begin.elapsed());
    other.run("ROLLBACK;");
    until("the letter is accepted", async || {
        (mx.letter(from, &[to], &letter.content).await.code == 250).then_some(())
    })
    .await;
    let mut reader = Imap::login(&scene.demo, south, south.personal(0)).await;
    assert_eq!(reader.letters(&letter.marker).await.len(), 1);
}
