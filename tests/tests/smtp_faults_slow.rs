//! Clients that are slow on purpose, or that never finish: each is let go after a time, and nobody else waits for it.

use scenarios::{ClientTls, Imap, Letter, Mailbox, Operator, Wire};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const ADDRESS: &str = "a@ville.example";
const PASSWORD: &str = "correct-horse-battery";
/// Time limits of these scenarios, seconds.
const SHORT: Duration = Duration::from_secs(3);
const LIMITS: &str = "\n[limits]\nsmtp_command_timeout_secs = 3\nsmtp_data_timeout_secs = 3\nsmtp_data_grace_secs = 3\nsmtp_data_rate_min = 1000\nsmtp_write_timeout_secs = 3\nrecipients_max = 100\ntls_handshake_timeout_secs = 3\n";
/// Within which a limit is enforced on a busy machine.
const LATEST: Duration = Duration::from_secs(20);

/// An operator that waits for nobody for long.
struct Impatient {
    operator: Operator,
    tls: ClientTls,
    mailbox: Mailbox,
}

impl Impatient {
    fn start() -> Self {
        let mut operator = Operator::init("ville.example");
        operator
            .cli_with_input(
                &["mailbox", "create", ADDRESS, "--kind", "personal", "--password-stdin"],
                &format!("{PASSWORD}\n"),
            )
            .ok();
        let text = std::fs::read_to_string(operator.config_file()).expect("init writes a configuration");
        std::fs::write(operator.config_file(), text + LIMITS).expect("the configuration can be edited");
        operator.serve();
        let tls = ClientTls::anonymous(&operator.ca_file());
        let mailbox = Mailbox {
            address: ADDRESS.into(),
            kind: "personal".into(),
            username: Some(ADDRESS.into()),
            password: Some(PASSWORD.into()),
        };
        Self { operator, tls, mailbox }
    }

    async fn submission(&self) -> Wire {
        Wire::login(self.operator.ports["submissions"], &self.tls, &self.mailbox).await
    }

    async fn to_data(&self) -> Wire {
        let mut wire = self.submission().await;
        wire.ask(&format!("MAIL FROM:<{ADDRESS}>"), "250").await;
        wire.ask(&format!("RCPT TO:<{ADDRESS}>"), "250").await;
        wire.ask("DATA", "354").await;
        wire
    }

    /// A whole dialogue, with a letter that is delivered.
    async fn serves_others(&self, name: &str) {
        let letter = Letter::new(name, b"a\r\n").by(ADDRESS);
        let reply = self.submission().await.letter(ADDRESS, &[ADDRESS], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{reply:?}");
    }

    async fn stored(&self) -> usize {
        let mut imap = Imap::connect(self.operator.ports["imaps"], &self.tls).await;
        imap.ok(&format!("LOGIN {ADDRESS} {PASSWORD}")).await;
        imap.messages("INBOX").await.len()
    }
}

/// Sends an octet each tenth of a second for as long as the server listens, and gives what it says at the end.
async fn trickle(wire: &mut Wire) -> (String, Duration) {
    let begin = Instant::now();
    let reply = loop {
        tokio::select! {
            reply = wire.reply() => break reply,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        assert!(begin.elapsed() < LATEST, "a trickle is listened to for ever");
        wire.send_raw(b"x").await;
    };
    (reply.text(), begin.elapsed())
}

#[tokio::test]
async fn a_command_that_trickles_in_is_cut() {
    let site = Impatient::start();
    let mut clear = Wire::connect(site.operator.ports["smtp"]).await;
    clear.expect("220").await;
    let mut under_tls = site.submission().await;
    let ((first, _), (second, after), ()) =
        tokio::join!(trickle(&mut clear), trickle(&mut under_tls), site.serves_others("pendant"));
    assert!(first.starts_with("421 4.4.2") && second.starts_with("421 4.4.2"), "{first} {second}");
    assert!(after >= SHORT - Duration::from_millis(200), "cut after {after:?}");
    clear.expect_closed().await;
}

#[tokio::test]
async fn an_auth_response_that_trickles_in_is_cut() {
    let site = Impatient::start();
    let mut wire = Wire::implicit(site.operator.ports["submissions"], &site.tls).await;
    wire.expect("220").await;
    wire.ask("EHLO client.example", "250").await;
    wire.ask("AUTH PLAIN", "334").await;
    assert!(trickle(&mut wire).await.0.starts_with("421 4.4.2"));
}

#[tokio::test]
async fn content_that_trickles_in_is_cut_and_leaves_nothing() {
    let site = Impatient::start();
    let mut wire = site.to_data().await;
    wire.send_raw(format!("From: <{ADDRESS}>\r\nSubject: x\r\n\r\n").as_bytes()).await;
    let ((reply, after), ()) = tokio::join!(trickle(&mut wire), site.serves_others("pendant"));
    assert!(reply.starts_with("421 4.4.2"), "{wire:?}");
    assert!(after >= SHORT - Duration::from_millis(200), "cut after {after:?}");
    assert_eq!(site.stored().await, 1, "of the other client alone");
}

#[tokio::test]
async fn a_slow_link_above_the_least_rate_is_waited_for() {
    let site = Impatient::start();
    let mut wire = site.to_data().await;
    wire.send_raw(format!("From: <{ADDRESS}>\r\nSubject: x\r\n\r\n").as_bytes()).await;
    let begin = Instant::now();
    while begin.elapsed() < SHORT * 3 {
        wire.send_raw(&[&[b'x'; 998][..], b"\r\n"].concat()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    wire.send_raw(b".\r\n").await;
    wire.expect("250").await;
    assert_eq!(site.stored().await, 1);
}

#[tokio::test]
async fn silence_is_answered_before_a_command_and_within_content() {
    let site = Impatient::start();
    let mut idle = Wire::connect(site.operator.ports["submission"]).await;
    idle.expect("220").await;
    idle.expect("421 4.4.2").await;
    idle.expect_closed().await;
    let mut wire = site.to_data().await;
    wire.send_raw(b"Subject: x\r\n").await;
    wire.expect("421 4.4.2").await;
    assert_eq!(site.stored().await, 0);
}

#[tokio::test]
async fn a_client_that_never_reads_its_replies_is_let_go_and_costs_little_memory() {
    let site = Impatient::start();
    site.serves_others("avant").await;
    let before = site.operator.resident_kib();
    let mut deaf: Vec<JoinHandle<Duration>> = Vec::new();
    for _ in 0..5 {
        let (tls, port) = (site.tls.clone(), site.operator.ports["submissions"]);
        deaf.push(tokio::spawn(async move {
            let mut wire = Wire::connect_with_small_buffers(port).await;
            wire.handshake(&tls).await.expect("the handshake succeeds");
            wire.expect("220").await;
            wire.ask("EHLO deaf.example", "250").await;
            wire.ask("AUTH PLAIN AGFAdmlsbGUuZXhhbXBsZQBjb3JyZWN0LWhvcnNlLWJhdHRlcnk=", "235").await;
            wire.ask("MAIL FROM:<a@ville.example>", "250").await;
            let recipient = b"RCPT TO:<a@ville.example>\r\n";
            wire.send_raw(&recipient.repeat(100)).await;
            for _ in 0..100 {
                wire.expect("250").await;
            }
            let begin = Instant::now();
            // One recipient too many is no fault of a list: nothing but the replies that pile up can end this session.
            wire.send_until_let_go(&recipient.repeat(1000)).await;
            begin.elapsed()
        }));
    }
    site.serves_others("pendant").await;
    for client in deaf {
        let lasted = client.await.expect("the server lets each go");
        assert!(lasted >= SHORT - Duration::from_millis(200), "let go after {lasted:?}");
    }
    let after = site.operator.resident_kib();
    assert!(after < before + 32 * 1024, "{before} KiB grew to {after} KiB");
    site.serves_others("apres").await;
}

#[tokio::test]
async fn a_handshake_that_is_never_finished_is_let_go() {
    let site = Impatient::start();
    let mut half = Wire::connect(site.operator.ports["submission"]).await;
    half.expect("220").await;
    half.ask("EHLO x.example", "250").await;
    half.ask("STARTTLS", "220").await;
    let mut mute = Wire::connect(site.operator.ports["submissions"]).await;
    let mut mx = Wire::connect(site.operator.ports["smtp"]).await;
    mx.expect("220").await;
    mx.ask("EHLO x.example", "250").await;
    mx.ask("STARTTLS", "220").await;
    let begin = Instant::now();
    // The first octets of a ClientHello that announces many more; one client sends none at all.
    half.send_raw(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
    mx.send_raw(&[0x16, 3, 1, 2, 0, 1]).await;
    site.serves_others("pendant").await;
    for wire in [&mut half, &mut mute, &mut mx] {
        wire.expect_closed().await;
    }
    assert!((SHORT - Duration::from_millis(200)..LATEST).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_says_nothing_at_all_is_let_go() {
    let site = Impatient::start();
    let stream = TcpStream::connect(("127.0.0.1", site.operator.ports["submissions"]))
        .await
        .expect("the port answers");
    let mut octet = [0];
    let heard = scenarios::within("the server closes", async {
        stream.readable().await.map(|()| stream.try_read(&mut octet))
    });
    assert!(matches!(heard.await, Ok(Ok(0) | Err(_))), "something was said before TLS");
}
