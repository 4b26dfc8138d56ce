//! Dialogues in `tests/traces/*.txt`, each played twice: every run of client lines in one block, then octet by octet.
//!
//! ```text
//! # comment
//! O: service=mx|submission tls=offered|clear|active max_size=N max_recipients=N dsn cert   (first line; all optional)
//! S: what the server sends, a line each
//! C: what the client sends, with CRLF; neighbouring lines are one block     c: the same without CRLF
//! E: what the edge is told                                                  R: the edge's next answer
//! T: the TLS handshake is done
//! ```
//! In C, c and E content: `\r \n \0 \t \\ \xNN`, and `\R{text,count}` for repetition. After each block the S lines and the E
//! lines up to the next block must be exactly what came.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use mail_types::{EnhancedCode, Reply};
use smtp_session::{Event, Server, ServerOptions, Service, TlsState};

#[test]
fn every_trace_plays_the_same_in_blocks_and_octet_by_octet() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let steps = steps(&text);
        for block in [usize::MAX, 1] {
            play(&steps, block).unwrap_or_else(|(line, why)| {
                panic!("{}:{line} (pieces of {block}):\n{why}", path.display())
            });
        }
        played += 1;
    }
    assert!(played >= 10, "only {played} traces were found");
}

/// One block of input, or one handshake, and what must come of it.
#[derive(Default)]
struct Step {
    line: usize,
    options: String,
    handshake: bool,
    input: Vec<u8>,
    sent: Vec<String>,
    events: Vec<String>,
    replies: Vec<Reply>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps = vec![Step { line: 1, ..Step::default() }];
    let mut after_input = false;
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
        let (tag, rest) = line.split_at(2);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let is_input = matches!(tag, "C:" | "c:");
        if tag == "T:" || (is_input && !after_input) {
            steps.push(Step { line: number + 1, handshake: tag == "T:", ..Step::default() });
        }
        after_input = is_input;
        let step = steps.last_mut().unwrap();
        match tag {
            "O:" => step.options = rest.to_owned(),
            "C:" => step.input.extend([&unescape(rest)[..], b"\r\n"].concat()),
            "c:" => step.input.extend(unescape(rest)),
            "S:" => step.sent.push(rest.to_owned()),
            "E:" => step.events.push(rest.to_owned()),
            "R:" => step.replies.push(reply(rest)),
            "T:" => {}
            other => panic!("line {}: unknown tag {other}", number + 1),
        }
    }
    steps
}

fn play(steps: &[Step], piece: usize) -> Result<(), (usize, String)> {
    let mut server = Server::new(options(&steps[0].options));
    if steps[0].options.split_whitespace().any(|word| word == "cert") {
        server.client_certificate_shown();
    }
    let mut closing = false;
    for step in steps {
        if step.handshake {
            server.tls_established();
        }
        let (mut events, mut content, mut replies) = (Vec::new(), Vec::new(), step.replies.iter());
        let pieces = step.input.chunks(piece.min(step.input.len().max(1)));
        for piece in pieces.chain([&[][..]]) {
            server.handle_input(piece);
            while let Some(event) = server.poll_event() {
                let needs_reply = event.needs_reply();
                if let Event::Content(bytes) = event {
                    content.extend(bytes);
                    continue;
                }
                if !content.is_empty() {
                    events.push(shown_content(&std::mem::take(&mut content)));
                }
                events.push(shown(&event));
                if needs_reply {
                    let Some(reply) = replies.next() else {
                        return Err((step.line, format!("no R: for {events:?}")));
                    };
                    server.reply(reply.clone());
                }
            }
        }
        if !content.is_empty() {
            events.push(shown_content(&content));
        }
        if server.is_closing() && !std::mem::replace(&mut closing, true) {
            events.push("Closing".to_owned());
        }
        let sent = String::from_utf8(std::mem::take(server.output())).unwrap();
        let sent: Vec<_> = sent.split_terminator("\r\n").map(str::to_owned).collect();
        if (&sent, &events, replies.len()) != (&step.sent, &step.events, 0) {
            let why = format!(
                "sent     {sent:#?}\nexpected {:#?}\nevents   {events:#?}\nexpected {:#?}\nunused R: {}",
                step.sent,
                step.events,
                replies.len()
            );
            return Err((step.line, why));
        }
    }
    Ok(())
}

fn options(text: &str) -> ServerOptions {
    let mut options = ServerOptions {
        hostname: "mx.test".into(),
        service: Service::Mx,
        passwords: true,
        tls: TlsState::Active,
        max_message_size: 1000,
        max_recipients: 100,
        dsn: false,
    };
    for word in text.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("service", "submission") => options.service = Service::Submission,
            ("tls", "offered") => options.tls = TlsState::Clear { starttls_offered: true },
            ("tls", "clear") => options.tls = TlsState::Clear { starttls_offered: false },
            ("max_size", n) => options.max_message_size = n.parse().unwrap(),
            ("max_recipients", n) => options.max_recipients = n.parse().unwrap(),
            ("dsn", "") => options.dsn = true,
            ("passwords", "no") => options.passwords = false,
            ("cert", "") => {}
            _ => panic!("unknown option {word}"),
        }
    }
    options
}

/// `250 2.1.0 text` or `354 text`.
fn reply(text: &str) -> Reply {
    let (code, text) = text.split_once(' ').unwrap();
    let numbers: Vec<u16> =
        text.split(' ').next().unwrap().split('.').map_while(|n| n.parse().ok()).collect();
    let mut reply = Reply::plain(code.parse().unwrap(), text.to_owned());
    if let [class, subject, detail] = numbers[..] {
        reply.enhanced = Some(EnhancedCode(u8::try_from(class).unwrap(), subject, detail));
        reply.lines = vec![text.split_once(' ').unwrap().1.to_owned().into()];
    }
    reply
}

fn shown(event: &Event) -> String {
    match event {
        Event::Hello { name, extended } => format!("Hello {name} extended={extended}"),
        Event::AuthPlain { authzid, authcid, password } => match password.expose() {
            p if p.len() > 40 => format!("AuthPlain [{authzid}] [{authcid}] {} octets", p.len()),
            p => format!("AuthPlain [{authzid}] [{authcid}] [{p}]"),
        },
        Event::AuthExternal { authzid } => format!("AuthExternal [{}]", authzid.as_str()),
        Event::Mail { path, parameters: p } => {
            let more = [
                p.size.map(|size| format!(" size={size}")),
                (p.body != mail_types::BodyKind::SevenBit).then(|| format!(" body={:?}", p.body)),
                p.ret.map(|ret| format!(" ret={ret:?}")),
                p.envid.as_ref().map(|envid| format!(" envid={envid}")),
            ];
            format!("Mail <{path}>{}", more.into_iter().flatten().collect::<String>())
        }
        Event::Rcpt { path, parameters } => {
            let path = match path {
                mail_types::ForwardPath::Postmaster => "Postmaster".to_owned(),
                mail_types::ForwardPath::Address(address) => format!("<{address}>"),
            };
            let orcpt = parameters.orcpt.as_ref().map(|o| format!(" orcpt={o}")).unwrap_or_default();
            let notify = parameters.notify.map(|n| format!(" {n:?}")).unwrap_or_default();
            format!("Rcpt {path}{notify}{orcpt}")
        }
        Event::EndOfContent { fault } => match fault {
            None => "EndOfContent".to_owned(),
            Some(fault) => format!("EndOfContent {fault:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn shown_content(content: &[u8]) -> String {
    match content.len() {
        ..=200 => format!("Content {}", content.escape_ascii()),
        long => format!("Content {long} octets"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let (escape, tail) = after.split_at(1);
        rest = tail;
        match escape {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "0" => out.push(0),
            "t" => out.push(b'\t'),
            "x" => {
                out.push(u8::from_str_radix(&tail[..2], 16).unwrap());
                rest = &tail[2..];
            }
            "R" => {
                let (inside, tail) = tail.strip_prefix('{').unwrap().split_once('}').unwrap();
                let (text, count) = inside.rsplit_once(',').unwrap();
                out.extend(unescape(text).repeat(count.parse().unwrap()));
                rest = tail;
            }
            other => out.extend_from_slice(other.as_bytes()),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
