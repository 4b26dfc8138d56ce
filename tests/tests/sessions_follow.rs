//! An open session follows what its login rests on within five seconds, in IDLE and while mail is sent, whoever changes it and by whatever door.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Demo, Imap, Mailbox, Wire, now, until};
use serde_json::json;
use std::time::{Duration, Instant};

/// Within which an open session follows.
const SOON: Duration = Duration::from_secs(5);

/// A person of chu-nord with a password, to whom a mailbox is delegated.
fn delegate(demo: &Demo, login: &str) -> Mailbox {
    let site = demo.north();
    let password = format!("password-of-{login}");
    site.cli_with_input(&["user", "create", login, "--password-stdin"], &format!("{password}\n")).ok();
    Mailbox {
        address: site.mailbox("organizational").address.clone(),
        kind: "organizational".to_owned(),
        username: Some(site.mailbox("organizational").address.clone()),
        password: Some(password),
    }
}

async fn idling(demo: &Demo, mailbox: &Mailbox) -> Imap {
    let mut imap = Imap::connect(demo.north().ports["imaps"], &demo.anonymous()).await;
    imap.ok(&format!(
        "LOGIN {} {}",
        mailbox.username.as_deref().unwrap(),
        mailbox.password.as_deref().unwrap()
    ))
    .await;
    imap.ok("SELECT INBOX").await;
    imap.idle().await;
    imap
}

/// The session in IDLE hears goodbye soon.
async fn ends_soon(mut imap: Imap, what: &str) {
    let begin = Instant::now();
    imap.until_line("* BYE").await;
    imap.expect_closed().await;
    assert!(begin.elapsed() < SOON, "{what}: after {:?}", begin.elapsed());
}

/// The session on submission hears goodbye soon, between two commands.
async fn hangs_up_soon(mut wire: Wire, what: &str) {
    let begin = Instant::now();
    wire.expect("421 4.7.0").await;
    assert!(begin.elapsed() < SOON, "{what}: after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_delegation_that_is_taken_away_over_rest_ends_what_rests_on_it() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let nurse = delegate(&demo, "follow-nurse");
    let path = format!("/mailboxes/{}/delegations", nurse.address);
    let given = admin.post(&path, &json!({"login": "follow-nurse", "role": "write"})).await.expect(201);
    let imap = idling(&demo, &nurse).await;
    let wire = Wire::login(demo.north().ports["submissions"], &demo.anonymous(), &nurse).await;
    // The holder's own session is nobody's concern.
    let holder = idling(&demo, demo.north().personal(0)).await;
    admin.delete(&format!("{path}/follow-nurse"), given.etag()).await.expect(204);
    ends_soon(imap, "IMAP in IDLE").await;
    hangs_up_soon(wire, "submission").await;
    let mut holder = holder;
    holder.done().await;
    holder.ok("NOOP").await;
}

#[tokio::test]
async fn a_delegation_with_an_end_ends_its_sessions_at_that_instant() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let nurse = delegate(&demo, "follow-replacement");
    let path = format!("/mailboxes/{}/delegations", nurse.address);
    let end = now().plus_secs(8);
    let new = json!({"login": "follow-replacement", "role": "read", "expiresAt": instant(end.secs())});
    admin.post(&path, &new).await.expect(201);
    let mut imap = idling(&demo, &nurse).await;
    imap.until_line("* BYE").await;
    let late = now().secs() - end.secs();
    assert!((0..5).contains(&late), "{late} s after the end");
}

#[tokio::test]
async fn a_password_that_is_replaced_on_the_command_line_ends_its_sessions() {
    let demo = Demo::start();
    let mailbox = demo.north().new_mailbox("follow.password", "1G");
    let imap = idling(&demo, &mailbox).await;
    let wire = Wire::login(demo.north().ports["submissions"], &demo.anonymous(), &mailbox).await;
    let arguments = ["mailbox", "create", &mailbox.address, "--kind", "personal", "--password-stdin"];
    demo.north().cli_with_input(&arguments, "another-password\n").ok();
    ends_soon(imap, "IMAP in IDLE").await;
    hangs_up_soon(wire, "submission").await;
}

#[tokio::test]
async fn the_right_to_send_that_is_withdrawn_while_a_message_comes_is_asked_at_its_end() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let nurse = delegate(&demo, "follow-sender");
    let path = format!("/mailboxes/{}/delegations", nurse.address);
    let given = admin.post(&path, &json!({"login": "follow-sender", "role": "write"})).await.expect(201);
    let mut wire = Wire::login(demo.north().ports["submissions"], &demo.anonymous(), &nurse).await;
    wire.ask(&format!("MAIL FROM:<{}>", nurse.address), "250").await;
    wire.ask(&format!("RCPT TO:<{}>", demo.north().personal(0).address), "250").await;
    wire.ask("DATA", "354").await;
    wire.send(&format!("From: <{}>\r\nSubject: s\r\n\r\ntext", nurse.address)).await;
    let one = format!("{path}/follow-sender");
    admin.patch(&one, given.etag(), &json!({"role": "read"})).await.expect(200);
    // The server looks at the directory once a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reply = wire.ask(".", "5").await;
    assert!(reply.text().contains("5.7.1"), "{wire:?}");
}

#[tokio::test]
async fn whoever_opens_another_s_folder_is_in_the_audit_trail_and_so_is_who_was_refused() {
    let demo = Demo::start();
    let admin = Api::admin(&demo, demo.north());
    let nurse = delegate(&demo, "follow-reader");
    let path = format!("/mailboxes/{}/delegations", nurse.address);
    admin.post(&path, &json!({"login": "follow-reader", "role": "read"})).await.expect(201);
    drop(idling(&demo, &nurse).await);
    let rows = async |action: &str, outcome: &str| {
        let answer = admin.get(&format!("/audit?action={action}&outcome={outcome}&limit=100")).await;
        answer.expect(200).json()["items"].as_array().unwrap().clone()
    };
    // What is told before the answer is there at once.
    assert_eq!(rows("folder.opened", "ok").await.len(), 1);
    assert!(rows("login", "ok").await.iter().any(|row| row["via"] == "imap"));
    let mut refused = Imap::connect(demo.north().ports["imaps"], &demo.anonymous()).await;
    let attempt = refused.command(&format!("LOGIN {} wrong-password", nurse.address)).await;
    assert!(attempt.status.starts_with("NO"), "{}", attempt.status);
    until("the refusal has a row", async || {
        let rows = rows("login", "refused").await;
        rows.iter().find(|row| row["via"] == "imap").map(drop)
    })
    .await;
    // Whoever holds a mailbox reads in it without that being told.
    drop(idling(&demo, demo.north().personal(0)).await);
    assert_eq!(rows("folder.opened", "ok").await.len(), 1);
}

fn instant(secs: i64) -> String {
    let arguments = ["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%SZ"];
    let output = std::process::Command::new("date").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
