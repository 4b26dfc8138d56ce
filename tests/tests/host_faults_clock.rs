//! A wall clock that is set while operators serve.

use scenarios::{Demo, FakeServer, Imap, Letter, Script, Wire, free_port, noise_letter, until};
use std::time::Duration;

const HOUR: i64 = 3600;
const THIRD: &str = "third.example";

/// chu-nord accepts a letter.
async fn submit(demo: &Demo, to: &str, letter: &Letter) {
    let sender = demo.north().personal(0);
    let mut wire = Wire::submission(demo, demo.north(), sender).await;
    let reply = wire.letter(&sender.address, &[to], &letter.content).await;
    assert!(reply.text().starts_with("250"), "{wire:?}");
}

/// A letter from operator to operator, by way of the queue, and one from mailbox to mailbox of the same.
async fn mail_flows(demo: &Demo, name: &str) -> String {
    let (near, far) =
        (Letter::new(&format!("{name}-pres"), b"a\r\n"), Letter::new(&format!("{name}-loin"), b"a\r\n"));
    let (hugo, paul) = (demo.north().personal(1), demo.south().personal(0));
    submit(demo, &hugo.address, &near).await;
    submit(demo, &paul.address, &far).await;
    Imap::login(demo, demo.north(), hugo).await.letter(&near.marker).await;
    Imap::login(demo, demo.south(), paul).await.letter(&far.marker).await;
    far.marker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_an_hour_either_way_stops_no_mail_and_harms_none() {
    let mut demo = Demo::start_with_clock();
    let certificate = demo.certificate(THIRD);
    let port = free_port();
    demo.route(THIRD, port);
    demo.list(THIRD, &certificate.subject);
    demo.reload();
    // Its body lies in a file, which no sweep may take for an old orphan.
    let large = Letter { marker: "grande.".into(), content: noise_letter("grande.", 500_000) };
    submit(&demo, &demo.south().personal(0).address, &large).await;
    until("the large letter", async || {
        let mut imap = Imap::login(&demo, demo.south(), demo.south().personal(0)).await;
        (imap.letters(&large.marker).await.len() == 1).then_some(())
    })
    .await;
    let mut markers = vec![large.marker.clone(), mail_flows(&demo, "avant").await];
    demo.clock().set_ahead(HOUR);
    markers.push(mail_flows(&demo, "avance").await);
    // Nobody answers there yet: it is put off, to a time of the wrong clock.
    let waiting = Letter::new("attente", b"a\r\n");
    submit(&demo, "a@third.example", &waiting).await;
    until("a deferred entry", async || {
        let queue = demo.north().cli(&["queue", "list", "--json"]).json();
        queue.as_array().unwrap().iter().any(|entry| entry["state"] == "deferred").then_some(())
    })
    .await;
    let server = FakeServer::start_at(port, &certificate, Script::default()).await;
    demo.clock().set_ahead(0);
    until("what waited, soon and not an hour later", async || (server.received().len() == 1).then_some(()))
        .await;
    markers.push(mail_flows(&demo, "retour").await);
    assert_eq!(server.received().len(), 1, "sent more than once");
    // Order of arrival is order of UIDs, whatever the clock said.
    let paul = demo.south().personal(0);
    let messages = Imap::login(&demo, demo.south(), paul).await.messages("INBOX").await;
    let order: Vec<usize> = markers.iter().map(|marker| position(&messages, marker)).collect();
    assert!(order.is_sorted(), "{order:?}");
    for site in &demo.operators {
        site.cli(&["fsck"]).ok();
    }
    let log = demo.log();
    assert!(log.contains("the clock was set back") && !log.contains("panicked"), "{log}");
    demo.process().terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_on_its_way_out_when_the_clock_jumps_ahead_is_sent_once() {
    let demo = Demo::start_with_clock();
    let certificate = demo.certificate(THIRD);
    let slow = Script { slow: Duration::from_secs(2), ..Script::default() };
    let server = FakeServer::start(&certificate, slow).await;
    demo.route(THIRD, server.port);
    demo.list(THIRD, &certificate.subject);
    demo.reload();
    submit(&demo, "a@third.example", &Letter::new("lente", b"a\r\n")).await;
    until("a transaction", async || {
        server.commands().iter().any(|line| line.starts_with("MAIL")).then_some(())
    })
    .await;
    demo.clock().set_ahead(HOUR);
    until("an empty queue", async || {
        let queue = demo.north().cli(&["queue", "list", "--json"]).json();
        queue.as_array().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(server.received().len(), 1, "{:?}", server.commands());
}

/// Where the one message with this marker stands.
fn position(messages: &[Vec<u8>], marker: &str) -> usize {
    let holders: Vec<usize> =
        (0..messages.len()).filter(|at| String::from_utf8_lossy(&messages[*at]).contains(marker)).collect();
    let [one] = holders.as_slice() else { panic!("{marker} is there {} times", holders.len()) };
    *one
}
