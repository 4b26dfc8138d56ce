//! Clients that are broken, slow or hostile: each is answered or let go, and disturbs nobody.

use scenarios::{Demo, Imap, Mailbox, Operator, Wire};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn mailbox(name: &str) -> (Arc<Demo>, Mailbox) {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox(name, "200M");
    (demo, mailbox)
}

async fn answered(wire: &mut Wire, beginning: &str) {
    let line = wire.line().await;
    assert!(line.starts_with(beginning), "expected {beginning}:\n{wire:?}");
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test]
async fn broken_lines_are_bad_and_the_next_command_is_heard() {
    let (demo, mailbox) = mailbox("lignes");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    for line in
        [&b"a NOOP\nb NOOP"[..], b"a NOOP\rb", b"a SELECT \"IN\0BOX\"", b"a \0", b"a LOGIN \"x\ny\" z"]
    {
        wire.send_raw(&[line, b"\r\nc NOOP\r\n"].concat()).await;
        answered(&mut wire, "a BAD Bare CR, bare LF or NUL").await;
        answered(&mut wire, "c OK").await;
    }
    let long = format!("a SEARCH SUBJECT \"{}\"\r\nb NOOP\r\n", "x".repeat(200_000));
    wire.send_raw(long.as_bytes()).await;
    answered(&mut wire, "a BAD Line too long").await;
    answered(&mut wire, "b OK").await;
    wire.send("d SELECT INBOX").await;
    wire.until("d OK").await;
    let set = (1..=10_000).map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
    wire.send(&format!("e UID FETCH {set} FLAGS")).await;
    answered(&mut wire, "e OK").await;
    wire.send(&format!("f UID FETCH {}1 FLAGS", "1,".repeat(40_000))).await;
    answered(&mut wire, "f BAD Line too long").await;
    wire.send("g NOOP").await;
    answered(&mut wire, "g OK").await;
    // Before login the bounds are narrow: what is thrown away is counted, too.
    let mut stranger = Wire::implicit(demo.north().ports["imaps"], &demo.anonymous()).await;
    answered(&mut stranger, "* OK").await;
    stranger.send_raw(&[b'x'; 80_000]).await;
    answered(&mut stranger, "* BAD Line too long").await;
    answered(&mut stranger, "* BYE").await;
}

#[tokio::test]
async fn a_huge_literal_is_refused_before_it_is_sent() {
    let (demo, mailbox) = mailbox("enorme");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    for (command, answer) in [
        ("APPEND INBOX {104857600}", "a NO [TOOBIG]"),
        ("APPEND INBOX {99999999999999999999}", "a NO [TOOBIG]"),
    ] {
        let mut each = Wire::imap(&demo, demo.north(), &mailbox).await;
        each.send(&format!("a {command}")).await;
        answered(&mut each, answer).await;
    }
    // Who does not wait (RFC 7888) is answered, and let go: so much is not read to be thrown away.
    let mut each = Wire::imap(&demo, demo.north(), &mailbox).await;
    each.send("a APPEND INBOX (\\Seen) {104857600+}").await;
    answered(&mut each, "a NO [TOOBIG]").await;
    answered(&mut each, "* BYE").await;
    for command in ["SELECT {104857600}", "LOGIN {104857600}", "SEARCH TEXT {104857600}"] {
        wire.send(&format!("a {command}")).await;
        answered(&mut wire, "a BAD [TOOBIG]").await;
        wire.send("b NOOP").await;
        answered(&mut wire, "b OK").await;
    }
}

#[tokio::test]
async fn an_append_that_is_cut_off_leaves_nothing() {
    let (demo, mailbox) = mailbox("coupe");
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("a APPEND INBOX {1000000}").await;
    answered(&mut wire, "+ ").await;
    wire.send_raw(&[b'x'; 600_000]).await;
    drop(wire);
    let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
    wire.send("a APPEND INBOX {10}").await;
    answered(&mut wire, "+ ").await;
    // Ten octets, then what is no end of a command.
    wire.send_raw(b"0123456789 more\r\nb NOOP\r\n").await;
    answered(&mut wire, "a BAD").await;
    answered(&mut wire, "b OK").await;
    wire.send("c STATUS INBOX (MESSAGES SIZE)").await;
    let told = wire.until("c OK").await.concat();
    assert!(told.contains("MESSAGES 0 SIZE 0"), "{told}");
}

#[tokio::test]
async fn nests_and_heaps_of_parts_are_kept_and_told_within_bounds() {
    let (demo, mailbox) = mailbox("nids");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let nest = b"Content-Type: message/rfc822\r\n\r\n".repeat(40_000);
    let parts = [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec(),
        b"--b\r\n\r\nx\r\n".repeat(20_000),
        b"--b--\r\n".to_vec(),
    ]
    .concat();
    let header =
        [b"Subject: ".to_vec(), b"x".repeat(1 << 20), b"\r\nTo: a@b.example\r\n\r\nbody\r\n".to_vec()]
            .concat();
    let folds =
        [b"Subject: x\r\n".to_vec(), b" y\r\n".repeat(300_000), b"To: a@b.example\r\n\r\nbody\r\n".to_vec()]
            .concat();
    let contents = [nest, parts, header, folds];
    for content in &contents {
        let status = imap.append("INBOX", content).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
    for (n, content) in (1..).zip(&contents) {
        for item in [
            "BODYSTRUCTURE",
            "ENVELOPE",
            "BODY",
            "FULL",
            "BODY.PEEK[HEADER]",
            "BODY.PEEK[HEADER.FIELDS (To)]",
            "BODY.PEEK[1]",
            "BODY.PEEK[19999]",
        ] {
            imap.ok(&format!("FETCH {n} {item}")).await;
        }
        assert!(
            imap.ok(&format!("FETCH {n} BODY.PEEK[]")).await.literals.concat() == *content,
            "message {n}"
        );
    }
    for depth in [2, 30, 60, 64] {
        let path = vec!["1"; depth].join(".");
        imap.ok(&format!("FETCH 1 BODY.PEEK[{path}]")).await;
        imap.ok(&format!("FETCH 1 BODY.PEEK[{path}.MIME]")).await;
    }
    let path = vec!["1"; 1000].join(".");
    assert!(imap.command(&format!("FETCH 1 BODY[{path}]")).await.status.starts_with("BAD"));
    assert_eq!(imap.ok("FETCH 2 BODY.PEEK[9000]").await.literals.concat(), b"x");
    assert!(imap.ok("SEARCH TO a@b.example").await.text().contains("* SEARCH 3 4"));
    assert!(imap.ok("SEARCH TEXT nowhere").await.text().contains("* SEARCH\n"));
}

#[tokio::test]
async fn a_client_that_stops_reading_hurts_nobody() {
    let (demo, mailbox) = mailbox("sourd");
    let pid = demo.pid;
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    for n in 0..20_u8 {
        let content = [b"Subject: x\r\n\r\n".to_vec(), vec![b'a' + n; 2 << 20]].concat();
        assert!(imap.append("INBOX", &content).await.status.starts_with("OK"));
    }
    let before = resident(pid);
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::imap(&demo, demo.north(), &mailbox).await;
        wire.send("a SELECT INBOX").await;
        wire.until("a OK").await;
        wire.send("b FETCH 1:* BODY.PEEK[]").await;
        // It has begun, and nothing more is read.
        wire.octets(10).await;
        deaf.push(wire);
    }
    imap.ok("SELECT INBOX").await;
    for n in 1..=20 {
        let begin = Instant::now();
        imap.ok(&format!("STORE {n} +FLAGS.SILENT (\\Flagged)")).await;
        assert!(imap.append("INBOX", b"Subject: y\r\n\r\nx\r\n").await.status.starts_with("OK"));
        assert!(begin.elapsed() < Duration::from_secs(5), "a writer waited {:?}", begin.elapsed());
    }
    imap.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("EXPUNGE").await;
    let grown = resident(pid).saturating_sub(before);
    assert!(grown < 64 * 1024, "ten deaf clients of 40 MiB each cost {grown} KiB");
}

/// A message that hardly gets smaller.
fn noise(octets: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let octet = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0x80 | u8::try_from(state >> 25).unwrap_or(0)
    };
    b"Subject: y\r\n\r\n".iter().copied().chain((0..octets).map(octet)).collect()
}

/// An operator whose logged-in clients may be silent for `seconds`.
async fn impatient(seconds: u32) -> (Operator, Mailbox) {
    limited(&format!("imap_timeout_secs = {seconds}")).await
}

/// An operator with such a limit.
async fn limited(limit: &str) -> (Operator, Mailbox) {
    let mut operator = Operator::init("lent.mssante.test");
    operator.edit("[routes]\n", &format!("[limits]\n{limit}\n\n[routes]\n"));
    let (address, password) = ("marie@lent.mssante.test".to_owned(), "correct-horse-battery".to_owned());
    operator
        .cli_with_input(
            &["mailbox", "create", &address, "--kind", "personal", "--password-stdin"],
            &format!("{password}\n"),
        )
        .ok();
    operator.serve();
    let mailbox = Mailbox {
        username: Some(address.clone()),
        password: Some(password),
        kind: "personal".into(),
        address,
    };
    (operator, mailbox)
}

async fn entered(operator: &Operator, mailbox: &Mailbox) -> Wire {
    let mut wire =
        Wire::implicit(operator.ports["imaps"], &scenarios::ClientTls::anonymous(&operator.ca_file())).await;
    answered(&mut wire, "* OK").await;
    let (name, password) =
        (mailbox.username.as_deref().expect("a name"), mailbox.password.as_deref().expect("one"));
    wire.send(&format!("a LOGIN {name} {password}")).await;
    answered(&mut wire, "a OK").await;
    wire
}

#[tokio::test]
async fn what_is_read_ahead_of_slow_clients_has_a_bound_and_keeps_nobody_waiting() {
    const DEAF: usize = 40;
    let (mut operator, mailbox) = limited("imap_read_ahead_memory_max = 1048576").await;
    let pid = operator.process().pid();
    let mut wire = entered(&operator, &mailbox).await;
    let letter = noise(180_000);
    for _ in 0..40 {
        wire.send(&format!("a APPEND INBOX {{{}+}}", letter.len())).await;
        wire.send_raw(&[letter.as_slice(), b"\r\n"].concat()).await;
        wire.until("a OK").await;
    }
    let fetch = async || {
        let mut wire = entered(&operator, &mailbox).await;
        wire.send("a SELECT INBOX").await;
        wire.until("a OK").await;
        wire.send("b FETCH 1:* (BODY.PEEK[])").await;
        wire.octets(10).await;
        wire
    };
    let mut first = fetch().await;
    first.until("b OK").await;
    let before = resident(pid);
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        deaf.push(fetch().await);
    }
    for _ in 0..2 {
        fetch().await.until("b OK").await;
    }
    let grown = resident(pid).saturating_sub(before) / DEAF as u64;
    assert!(grown < 1024, "a client that stops reading costs {grown} KiB");
    // Who stopped goes on where it was.
    let mut last = deaf.pop().expect("one of them");
    last.until("b OK").await;
}

#[tokio::test]
async fn what_is_removed_before_a_slow_client_has_it_is_gone_and_not_damaged() {
    const LARGE: usize = 16 * 1024 * 1024;
    let (mut operator, mailbox) = limited("imap_timeout_secs = 1800").await;
    let mut wire = entered(&operator, &mailbox).await;
    for size in [LARGE, 300_000, 300_000] {
        let letter = noise(size);
        wire.send(&format!("a APPEND INBOX {{{}+}}", letter.len())).await;
        wire.send_raw(&[letter.as_slice(), b"\r\n"].concat()).await;
        wire.until("a OK").await;
    }
    wire.send("a SELECT INBOX").await;
    wire.until("a OK").await;
    // While the first is sent, the others are read ahead.
    wire.send("b UID FETCH 1:3 (BODY.PEEK[])").await;
    wire.octets(10).await;
    let mut other = operator.imap(&mailbox).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    // As the server does when they are gone for ten minutes.
    for body in files(&operator.file("bodies")) {
        std::fs::remove_file(body).expect("it is there");
    }
    wire.octets(LARGE).await;
    let told = wire.until("b ").await.concat();
    assert!(told.contains("b OK FETCH completed"), "{}", told.escape_debug());
    let log = operator.process().log();
    assert!(!log.contains("could not be read"), "{log}");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn who_is_silent_or_drips_octets_is_let_go() {
    let (operator, mailbox) = impatient(3).await;
    let mut silent = entered(&operator, &mailbox).await;
    let mut idle = entered(&operator, &mailbox).await;
    idle.send("b IDLE").await;
    answered(&mut idle, "+ ").await;
    let mut command = entered(&operator, &mailbox).await;
    let mut message = entered(&operator, &mailbox).await;
    message.send("b APPEND INBOX {1000}").await;
    answered(&mut message, "+ ").await;
    let begin = Instant::now();
    // Never silent for long, and never done.
    for _ in 0..8 {
        command.send_raw(b"x").await;
        message.send_raw(b"x").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for wire in [&mut silent, &mut idle, &mut command, &mut message] {
        answered(wire, "* BYE").await;
        wire.expect_closed().await;
        assert!(begin.elapsed() < Duration::from_secs(8), "let go only after {:?}", begin.elapsed());
    }
    let mut alive = entered(&operator, &mailbox).await;
    alive.send("b STATUS INBOX (MESSAGES)").await;
    assert!(alive.until("b OK").await.concat().contains("MESSAGES 0"), "{alive:?}");
}

/// How many connections both ends may have, within what the system lets a process open.
fn crowd() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft: usize =
        line.split_whitespace().nth(3).and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
    soft.saturating_sub(200).min(5000)
}

#[tokio::test]
async fn five_thousand_idle_connections_cost_little_and_leave_others_served() {
    let (mut operator, mailbox) = impatient(1800).await;
    let mut first = entered(&operator, &mailbox).await;
    for _ in 0..10 {
        entered(&operator, &mailbox).await;
    }
    let pid = operator.process().pid();
    let (count, before) = (crowd(), resident(pid));
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut wire = entered(&operator, &mailbox).await;
        wire.send_raw(b"b SELECT INBOX\r\nc IDLE\r\n").await;
        wire.until("+ ").await;
        idle.push(wire);
    }
    let grown = resident(pid).saturating_sub(before);
    assert!(grown < count as u64 * 50, "{count} connections cost {grown} KiB");
    let begin = Instant::now();
    first.send_raw(b"d APPEND INBOX {17+}\r\nSubject: x\r\n\r\nx\r\n\r\n").await;
    answered(&mut first, "d OK").await;
    assert!(begin.elapsed() < Duration::from_secs(5), "an APPEND waited {:?}", begin.elapsed());
    for wire in &mut idle {
        answered(wire, "* 1 EXISTS").await;
    }
    first.send("e STATUS INBOX (MESSAGES)").await;
    assert!(first.until("e OK").await.concat().contains("MESSAGES 1"), "{first:?}");
}
