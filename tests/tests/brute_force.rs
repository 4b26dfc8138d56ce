//! Guessing is held back on every door, and whoever has the password gets in.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, ClientTls, Demo, Mailbox, until};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

/// A door to guess at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Imap,
    Submission,
    Rest,
}

/// What came of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    In,
    Refused,
    /// Asked to come later.
    Later,
}

/// Somebody at an address of this machine.
#[derive(Clone)]
struct Client {
    tls: ClientTls,
    ports: std::collections::BTreeMap<String, u16>,
    from: [u8; 4],
}

impl Client {
    fn at(demo: &Demo, from: [u8; 4]) -> Self {
        Self { tls: demo.anonymous(), ports: demo.north().ports.clone(), from }
    }

    async fn guess(&self, door: Door, name: &str, password: &str) -> Outcome {
        match door {
            Door::Imap => self.imap(name, password).await,
            Door::Submission => self.submission(name, password).await,
            Door::Rest => self.rest(name, password).await,
        }
    }

    async fn connect(&self, port: &str) -> BufReader<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::V4(Ipv4Addr::from(self.from)), 0).into()).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], self.ports[port]).into()).await.unwrap();
        let name = "localhost".try_into().unwrap();
        BufReader::new(self.tls.connector().connect(name, stream).await.unwrap())
    }

    async fn imap(&self, name: &str, password: &str) -> Outcome {
        let mut stream = self.connect("imaps").await;
        line_like(&mut stream, "* OK").await;
        stream.write_all(format!("a LOGIN \"{name}\" \"{password}\"\r\n").as_bytes()).await.unwrap();
        match line_like(&mut stream, "a ").await {
            line if line.starts_with("a OK") => Outcome::In,
            line if line.contains("[UNAVAILABLE]") => Outcome::Later,
            line => {
                assert!(line.starts_with("a NO [AUTHENTICATIONFAILED]"), "{line}");
                Outcome::Refused
            }
        }
    }

    async fn submission(&self, name: &str, password: &str) -> Outcome {
        let mut stream = self.connect("submissions").await;
        line_like(&mut stream, "220 ").await;
        stream.write_all(b"EHLO client.example\r\n").await.unwrap();
        line_like(&mut stream, "250 ").await;
        let response = BASE64.encode(format!("\0{name}\0{password}"));
        stream.write_all(format!("AUTH PLAIN {response}\r\n").as_bytes()).await.unwrap();
        match line_like(&mut stream, "").await {
            line if line.starts_with("235 ") => Outcome::In,
            line if line.starts_with("454 4.7.0") => Outcome::Later,
            line => {
                assert!(line.starts_with("535 5.7.8"), "{line}");
                Outcome::Refused
            }
        }
    }

    async fn rest(&self, name: &str, password: &str) -> Outcome {
        let mut stream = self.connect("https").await;
        let credential = BASE64.encode(format!("{name}:{password}"));
        let request = format!(
            "GET /api/v1/service HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic {credential}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        match &line_like(&mut stream, "HTTP/1.1 ").await[9..12] {
            "200" => Outcome::In,
            "429" => {
                let line = line_like(&mut stream, "retry-after: ").await;
                assert!(line["retry-after: ".len()..].trim().parse::<u64>().unwrap() > 0, "{line}");
                Outcome::Later
            }
            status => {
                assert_eq!(status, "401");
                Outcome::Refused
            }
        }
    }
}

/// The next line that begins like this.
async fn line_like(stream: &mut BufReader<TlsStream<TcpStream>>, beginning: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "closed before {beginning}");
        if line.starts_with(beginning) {
            return line;
        }
    }
}

fn credentials(mailbox: &Mailbox) -> (&str, &str) {
    (mailbox.username.as_deref().unwrap(), mailbox.password.as_deref().unwrap())
}

/// Guesses at every door until it is told to stop; how many were looked at.
fn attack(
    client: Client,
    names: Vec<String>,
    stop: tokio::sync::watch::Receiver<bool>,
) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut looked_at = 0;
        for number in 0_usize.. {
            let door = [Door::Imap, Door::Submission, Door::Rest][number % 3];
            if *stop.borrow() {
                break;
            }
            let name = &names[number % names.len()];
            let guess = format!("guess {number} of {}", client.from[3]);
            match client.guess(door, name, &guess).await {
                Outcome::Refused => looked_at += 1,
                Outcome::Later => tokio::time::sleep(Duration::from_millis(50)).await,
                Outcome::In => panic!("a guess was right"),
            }
        }
        looked_at
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guess_at_one_account_while_its_holder_gets_in() {
    let demo = Demo::start();
    let (name, password) = credentials(demo.north().personal(0));
    let home = Client::at(&demo, [127, 0, 1, 1]);
    for door in [Door::Imap, Door::Submission, Door::Rest] {
        assert_eq!(home.guess(door, name, password).await, Outcome::In);
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let attackers: Vec<_> = (1..=12)
        .map(|last| attack(Client::at(&demo, [127, 0, 2, last]), vec![name.to_owned()], stopped.clone()))
        .collect();
    let begin = Instant::now();
    let metrics = Api::anonymous(&demo, demo.north());
    until("guesses wait", async || (count(&metrics, "logins_delayed_total{", "").await > 12.0).then_some(()))
        .await;
    // Another password of the same holder: nothing of it is remembered, and it is examined like a guess.
    let fresh = format!("{password}-fresh");
    new_password(&demo, name, &fresh);
    for door in [Door::Imap, Door::Submission, Door::Rest] {
        let begin = Instant::now();
        assert_eq!(home.guess(door, name, &fresh).await, Outcome::In);
        assert!(begin.elapsed() < Duration::from_secs(3), "{door:?} from home after {:?}", begin.elapsed());
    }
    new_password(&demo, name, password);
    let travels = Client::at(&demo, [127, 0, 3, 1]);
    let arrived = Instant::now();
    assert_eq!(travels.guess(Door::Imap, name, password).await, Outcome::In);
    let waited = arrived.elapsed();
    assert!(
        (Duration::from_secs(4)..Duration::from_secs(16)).contains(&waited),
        "elsewhere after {waited:?}"
    );
    stop.send_replace(true);
    let spent = begin.elapsed();
    let mut looked_at = 0;
    for attacker in attackers {
        looked_at += attacker.await.unwrap();
    }
    // Three that cost nothing and then ever fewer, from each of twelve addresses.
    assert!(looked_at < 12 * 10, "{looked_at} guesses in {spent:?}");
    assert!(count(&metrics, "logins_total{", "outcome=\"refused\",reason=\"credentials\"").await >= 12.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_guesses_at_many_accounts_is_told_to_come_later() {
    let demo = Demo::start();
    let (name, password) = credentials(demo.north().personal(0));
    let (other, other_password) = credentials(demo.north().personal(1));
    let shared = Client::at(&demo, [127, 0, 4, 1]);
    assert_eq!(shared.guess(Door::Imap, name, password).await, Outcome::In);
    let guesses = (0..110).map(|number| {
        let client = shared.clone();
        let door = [Door::Imap, Door::Submission, Door::Rest][number % 3];
        tokio::spawn(
            async move { client.guess(door, &format!("nobody{number}@nowhere.example"), "guess").await },
        )
    });
    for guess in guesses.collect::<Vec<_>>() {
        assert_ne!(guess.await.unwrap(), Outcome::In);
    }
    for door in [Door::Imap, Door::Submission, Door::Rest] {
        // Whoever was not seen there before waits for a while, and whoever was does not.
        assert_eq!(shared.guess(door, other, other_password).await, Outcome::Later, "{door:?}");
    }
    let fresh = format!("{password}-fresh");
    new_password(&demo, name, &fresh);
    assert_eq!(shared.guess(Door::Imap, name, &fresh).await, Outcome::In);
    let elsewhere = Client::at(&demo, [127, 0, 5, 1]);
    assert_eq!(elsewhere.guess(Door::Imap, other, other_password).await, Outcome::In);
    let metrics = Api::anonymous(&demo, demo.north());
    for protocol in ["imap", "smtp", "rest"] {
        let labels = format!("protocol=\"{protocol}\",outcome=\"held\",reason=\"address\"");
        assert!(count(&metrics, "logins_total{", &labels).await >= 1.0, "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_has_is_answered_as_one_that_somebody_has() {
    let demo = Demo::start();
    let (name, _) = credentials(demo.north().personal(0));
    let client = Client::at(&demo, [127, 0, 6, 1]);
    let mut took = Vec::new();
    for name in [name, "nobody@chu-nord.mssante.test"] {
        for attempt in 0..3 {
            let begin = Instant::now();
            assert_eq!(client.guess(Door::Imap, name, &format!("guess {attempt}")).await, Outcome::Refused);
            took.push(begin.elapsed());
        }
    }
    let (known, unknown) = took.split_at(3);
    let least = |times: &[Duration]| times.iter().min().copied().unwrap();
    let apart = least(known).abs_diff(least(unknown));
    assert!(apart < Duration::from_millis(60), "{known:?} and {unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_hold_back_nobody_who_has_a_right_credential_at_the_same_address() {
    let demo = Demo::start();
    let (name, password) = credentials(demo.north().personal(0));
    let (other, other_password) = credentials(demo.north().personal(1));
    let admin = Api::admin(&demo, demo.north());
    let shared = Api::anonymous(&demo, demo.north()).from_address("127.0.7.1");
    shared.with_password(name, password).get("/service").await.expect(200);
    shared.with_key(&demo.north().admin_token).get("/domains").await.expect(200);
    let mut keys = Vec::new();
    for number in 0..8 {
        let wanted = serde_json::json!({"name": format!("robot {number}"), "roles": [{"role": "auditor"}]});
        keys.push(admin.post("/keys", &wanted).await.expect(201).json()["key"].as_str().unwrap().to_owned());
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flood = wrong_keys(shared.clone(), stopped);
    let metrics = Api::anonymous(&demo, demo.north());
    let labels = "protocol=\"rest\",outcome=\"held\",reason=\"rate\"";
    until("wrong keys are told to come later", async || {
        (count(&metrics, "logins_total{", labels).await >= 200.0).then_some(())
    })
    .await;
    // Never seen there before, a key gets in at once.
    for key in &keys {
        shared.with_key(key).get("/service").await.expect(200);
    }
    // A new password of an account that is known there is examined; what was right lately is not even counted.
    let fresh = format!("{password}-fresh");
    new_password(&demo, name, &fresh);
    shared.with_password(name, &fresh).get("/service").await.expect(200);
    for _ in 0..50 {
        shared.with_key(&demo.north().admin_token).get("/domains").await.expect(200);
    }
    stop.send_replace(true);
    let (refused, later) = flood.await.unwrap();
    assert!(refused >= 100 && later >= 200, "{refused} refused and {later} told to come later");
    // Nor do they hold back passwords there, of accounts that nobody knows there, by any door.
    let client = Client::at(&demo, [127, 0, 7, 1]);
    let begin = Instant::now();
    assert_eq!(client.guess(Door::Imap, other, other_password).await, Outcome::In);
    assert!(begin.elapsed() < Duration::from_secs(3), "after {:?}", begin.elapsed());
    assert!(count(&metrics, "logins_total{", "reason=\"address\"").await < 1.0);
}

/// Sends wrong keys until it is told to stop; how many were refused, and how many told to come later.
fn wrong_keys(api: Api, stop: tokio::sync::watch::Receiver<bool>) -> tokio::task::JoinHandle<(usize, usize)> {
    tokio::spawn(async move {
        let (mut refused, mut later) = (0, 0);
        for round in 0.. {
            if *stop.borrow() {
                break;
            }
            let one = |number: usize, last: &str| {
                format!(
                    "GET /api/v1/service HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong-{round}-{number}\r\n{last}\r\n"
                )
            };
            let requests: String = (0..99).map(|number| one(number, "")).collect();
            let requests = format!("{requests}{}", one(99, "Connection: close\r\n"));
            let answers = String::from_utf8_lossy(&api.exchange(requests.as_bytes()).await).into_owned();
            let count = |text: &str| answers.matches(text).count();
            assert_eq!(count("HTTP/1.1 401") + count("HTTP/1.1 429"), 100, "{answers}");
            assert_eq!(count("\r\nretry-after: "), count("HTTP/1.1 429"));
            // They hear by which rate, as whoever asks too often does.
            assert_eq!(count("\r\nratelimit-policy: \"examination\";q=100;w=5\r\n"), count("HTTP/1.1 429"));
            assert_eq!(count("\r\nratelimit: \"examination\";r=0;t=5\r\n"), count("HTTP/1.1 429"));
            refused += count("HTTP/1.1 401");
            later += count("HTTP/1.1 429");
        }
        (refused, later)
    })
}

/// Replaces the password of a personal mailbox.
fn new_password(demo: &Demo, name: &str, password: &str) {
    let arguments = ["mailbox", "create", name, "--kind", "personal", "--password-stdin"];
    demo.north().cli_with_input(&arguments, &format!("{password}\n")).ok();
}

/// A counter of `/metrics`, summed over the labels that contain a text.
async fn count(api: &Api, name: &str, labels: &str) -> f64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = api.exchange(request.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
