//! Dialogues: what the decoder makes of what a client sends, whole and octet by octet.
//!
//! A trace in `tests/traces` has lines `C: text` (sent with CRLF), `c: text` (sent without; `\r \n \0 \\ \xHH` are escapes there), and after them
//! the inputs they give, `I: …`. `! refuse` refuses the messages that follow, `! utf8` and `! tls` and `! login` call the decoder.
//! After IDLE and after AUTHENTICATE without an initial response the runner says what the next line is, as the edge would.

use imap_session::command::{AppendStep, CommandBody};
use imap_session::decoder::{Decoder, Input, Limits};
use std::path::Path;

#[test]
fn traces_hold_whole_and_octet_by_octet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let trace = std::fs::read_to_string(&path).unwrap();
        for split in [false, true] {
            run(&trace, split, &path.display().to_string());
        }
        count += 1;
    }
    assert!(count >= 5);
}

struct Runner {
    decoder: Decoder,
    refuse: bool,
    split: bool,
    pending: Vec<u8>,
    seen: Vec<String>,
}

fn run(trace: &str, split: bool, name: &str) {
    let decoder = Decoder::new(Limits::before_login());
    let mut runner = Runner { decoder, refuse: false, split, pending: Vec::new(), seen: Vec::new() };
    for (number, line) in trace.lines().enumerate() {
        let at = format!("{name}:{} (split: {split})", number + 1);
        if let Some(text) = line.strip_prefix("I: ") {
            runner.send();
            assert!(!runner.seen.is_empty(), "{at}: nothing came");
            assert_eq!(runner.seen.remove(0), text, "{at}");
            continue;
        }
        if line.starts_with(['C', '!']) || line.starts_with("c:") {
            assert!(runner.seen.is_empty(), "{at}: not expected: {:?}", runner.seen);
        }
        runner.directive_or_text(line);
    }
    runner.send();
    assert!(runner.seen.is_empty(), "{name}: not expected: {:?}", runner.seen);
}

/// `\r`, `\n`, `\0`, `\\` and `\xHH` undone.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let (escape, after) = rest[at + 1..].split_at(1);
        rest = after;
        octets.push(match escape {
            "r" => b'\r',
            "n" => b'\n',
            "0" => 0,
            "x" => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
            }
            _ => b'\\',
        });
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

impl Runner {
    fn directive_or_text(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("C:") {
            self.pending.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
            self.pending.extend_from_slice(b"\r\n");
        } else if let Some(text) = line.strip_prefix("c: ") {
            self.pending.extend(unescaped(text));
        } else if let Some(directive) = line.strip_prefix("! ") {
            self.send();
            match directive {
                "refuse" => self.refuse = true,
                "utf8" => self.decoder.set_utf8(true),
                "tls" => self.decoder.tls_established(),
                "login" => self.decoder.set_limits(Limits::authenticated()),
                other => panic!("unknown directive {other}"),
            }
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "not a trace line: {line}");
        }
    }

    fn send(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let size = if self.split { 1 } else { pending.len().max(1) };
        for piece in pending.chunks(size) {
            assert!(self.decoder.wants_input());
            self.decoder.handle_input(piece);
            while let Some(input) = self.decoder.poll() {
                self.take(input);
            }
        }
    }

    fn take(&mut self, input: Input) {
        match &input {
            Input::Command(command) => match &command.body {
                CommandBody::Idle => self.decoder.expect_done(),
                CommandBody::Authenticate { initial_response: None, .. } => self.decoder.expect_response(),
                _ => {}
            },
            Input::Append(AppendStep::Literal(_)) if self.refuse => self.decoder.refuse_append(),
            Input::Append(AppendStep::Literal(_)) => self.decoder.accept_append(),
            _ => {}
        }
        let line = describe(&input);
        match (self.seen.last_mut(), line.strip_prefix("AppendContent ")) {
            (Some(last), Some(more)) if last.starts_with("AppendContent ") => last.push_str(more),
            _ => self.seen.push(line),
        }
    }
}

fn describe(input: &Input) -> String {
    match input {
        Input::Command(command) => format!("{} {:?}", command.tag, command.body),
        Input::AppendContent(octets) => format!("AppendContent {}", octets.escape_ascii()),
        Input::Bad { tag, text } => format!("{} BAD {text}", tag.as_deref().unwrap_or("*")),
        Input::Response(line) => format!("Response {}", line.expose().escape_ascii()),
        Input::Append(AppendStep::Begin(begin)) => {
            let replaced = begin.replaced.as_ref().map_or(String::new(), |replaced| {
                format!(" in place of {}{:?}", if replaced.by_uid { "UID " } else { "" }, replaced.message)
            });
            format!("{} Append to {}{replaced}", begin.tag, begin.folder)
        }
        Input::Append(step) => format!("{step:?}"),
        other => format!("{other:?}"),
    }
}
