//! PostgreSQL in trouble: gone, frozen, ending connections. Nothing acknowledged is lost or doubled, waits are bounded, service resumes by itself.

use scenarios::{Imap, Letter, Load, PATIENCE, Scene, Wire, get, outage, until};
use std::time::{Duration, Instant};

/// How soon after PostgreSQL is back everything is served again.
const RECOVERY: Duration = Duration::from_secs(15);

/// What everybody hears while no row can be read or written. Returns the connections that were opened before.
async fn everybody_is_put_off(scene: &Scene, mx: &mut Wire, reader: &mut Imap) {
    let (south, sender) = (scene.demo.south(), &scene.demo.north().personal(0).address);
    let paul = south.personal(0);
    let served_without_rows = async {
        let begin = Instant::now();
        let mut fresh =
            Wire::mx(south.ports["smtp"], &scene.demo.client(&scene.demo.north().certificate())).await;
        fresh.ask("NOOP", "250").await;
        let fresh = Imap::connect(south.ports["imaps"], &scene.demo.anonymous()).await.command("NOOP").await;
        assert!(fresh.status.starts_with("OK"), "{fresh:?}");
        assert_eq!(get(south.ports["https"], &scene.demo.anonymous(), "/healthz").await.0, 200);
        assert!(begin.elapsed() < Duration::from_secs(5), "what needs no rows took {:?}", begin.elapsed());
    };
    let senders = async {
        mx.ask("NOOP", "250").await;
        mx.ask(&format!("MAIL FROM:<{sender}>"), "250").await;
        mx.ask(&format!("RCPT TO:<{}>", paul.address), "451 4.3").await;
        mx.ask("RSET", "250").await;
    };
    let readers = async {
        let refused = reader.command("STATUS Sent (MESSAGES)").await;
        assert!(refused.status.starts_with("NO [UNAVAILABLE]"), "{reader:?}");
    };
    let logins = async {
        let mut imap = Imap::connect(south.ports["imaps"], &scene.demo.anonymous()).await;
        imap.wait_for_answers(PATIENCE);
        let refused = imap.command(&format!("LOGIN {} not-the-password", paul.address)).await;
        assert!(refused.status.starts_with("NO [UNAVAILABLE]"), "{imap:?}");
    };
    let readiness = async {
        assert_eq!(get(south.ports["https"], &scene.demo.anonymous(), "/readyz").await.0, 503);
    };
    let begin = Instant::now();
    tokio::join!(
        Box::pin(served_without_rows),
        Box::pin(senders),
        Box::pin(readers),
        Box::pin(logins),
        Box::pin(readiness)
    );
    assert!(begin.elapsed() < PATIENCE, "an answer took {:?}", begin.elapsed());
}

/// Everything is served again, by itself, soon.
async fn service_resumes(scene: &Scene, load: &Load, mx: &mut Wire, reader: &mut Imap, idler: &mut Imap) {
    let (south, sender) = (scene.demo.south(), &scene.demo.north().personal(0).address);
    let (back, before) = (Instant::now(), load.acknowledged());
    until("mail is accepted again", async || (load.acknowledged() > before).then_some(())).await;
    until("/readyz says so", async || {
        let (status, _) = get(south.ports["https"], &scene.demo.anonymous(), "/readyz").await;
        (status == 200).then_some(())
    })
    .await;
    let letter = Letter::new("retour", b"a\r\n");
    let reply = mx.letter(sender, &[&south.personal(0).address], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{mx:?}");
    reader.ok("STATUS Sent (MESSAGES)").await;
    assert!(back.elapsed() < RECOVERY, "resumed after {:?}", back.elapsed());
    idler.done().await;
    assert_eq!(reader.letters(&letter.marker).await.len(), 1);
}

/// PostgreSQL is in trouble for a while, under load from inside and outside.
async fn plays_trouble(name: &str, begin: impl FnOnce(&Scene), end: impl FnOnce(&Scene)) {
    let Some(scene) = Scene::start() else { return };
    let (south, north) = (scene.demo.south(), scene.demo.north());
    let load = Load::begin(name, &scene.inbound(3_000), 2);
    let relayed = Load::begin(&format!("{name}-relay"), &scene.outbound(3_000), 1);
    let mut mx = Wire::mx(south.ports["smtp"], &scene.demo.client(&north.certificate())).await;
    mx.wait_for_replies(PATIENCE);
    let mut reader = Imap::login(&scene.demo, south, south.personal(0)).await;
    reader.wait_for_answers(PATIENCE);
    let mut idler = Imap::login(&scene.demo, south, south.personal(0)).await;
    idler.ok("SELECT INBOX").await;
    idler.idle().await;
    until("the first messages", async || {
        (load.acknowledged() > 10 && relayed.acknowledged() > 3).then_some(())
    })
    .await;
    begin(&scene);
    let since = Instant::now();
    everybody_is_put_off(&scene, &mut mx, &mut reader).await;
    tokio::time::sleep(outage().saturating_sub(since.elapsed())).await;
    end(&scene);
    service_resumes(&scene, &load, &mut mx, &mut reader, &mut idler).await;
    let before = relayed.acknowledged();
    until("submissions are accepted again", async || (relayed.acknowledged() > before).then_some(())).await;
    let mut heard = load.end().await;
    heard.add(relayed.end().await);
    scene.everything_acknowledged_is_there_once(&heard).await;
    let log = scene.demo.log();
    for told in [
        "\"ERROR\",\"message\":\"the database does not answer",
        "[store] url leads to it",
        "the database answers again",
    ] {
        assert!(log.contains(told), "`{told}` is not in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_service_resumes_after_postgres_was_gone() {
    plays_trouble("panne", |scene| scene.postgres.stop(), |scene| scene.postgres.start_again()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_waits_are_bounded_while_postgres_is_frozen() {
    plays_trouble("gel", |scene| scene.postgres.freeze(), |scene| scene.postgres.thaw()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_in_its_commit_when_postgres_freezes_is_put_off_and_stored_once() {
    let Some(scene) = Scene::start() else { return };
    let (south, north) = (scene.demo.south(), scene.demo.north());
    let mut mx = Wire::mx(south.ports["smtp"], &scene.demo.client(&north.certificate())).await;
    mx.wait_for_replies(PATIENCE);
    let (from, to) = (&north.personal(0).address, &south.personal(0).address);
    let letter = Letter::new("gelee", b"a\r\n");
    mx.ask(&format!("MAIL FROM:<{from}>"), "250").await;
    mx.ask(&format!("RCPT TO:<{to}>"), "250").await;
    mx.ask("DATA", "354").await;
    scene.postgres.freeze();
    let begin = Instant::now();
    mx.send_raw(&letter.content).await;
    mx.ask(".", "451 4.3").await;
    assert!(begin.elapsed() < PATIENCE, "put off after {:?}", begin.elapsed());
    scene.postgres.thaw();
    let reply = until("the letter is accepted", async || {
        let reply = mx.letter(from, &[to], &letter.content).await;
        assert!(matches!(reply.code, 250 | 451), "{mx:?}");
        (reply.code == 250).then_some(reply)
    });
    reply.await;
    let mut reader = Imap::login(&scene.demo, south, south.personal(0)).await;
    assert_eq!(reader.letters(&letter.marker).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_postgres_ends_in_mid_batch_lose_and_double_nothing() {
    let Some(scene) = Scene::start() else { return };
    let load = Load::begin("coupure", &scene.inbound(60_000), 3);
    let relayed = Load::begin("coupure-relay", &scene.outbound(3_000), 1);
    until("the first messages", async || (load.acknowledged() > 5).then_some(())).await;
    let (begin, mut ended) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(10) {
        let count = scene.postgres.sql(
            "postgres",
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'vaguemestre';",
        );
        ended += count.parse::<u32>().expect("a count");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(ended > 20, "only {ended} connections were ended");
    let (before, relayed_before) = (load.acknowledged(), relayed.acknowledged());
    until("mail is accepted again", async || {
        (load.acknowledged() > before && relayed.acknowledged() > relayed_before).then_some(())
    })
    .await;
    let mut heard = load.end().await;
    heard.add(relayed.end().await);
    scene.everything_acknowledged_is_there_once(&heard).await;
}
