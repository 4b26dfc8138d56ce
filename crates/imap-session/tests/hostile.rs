//! Commands made to cost much: each is refused at once.

use imap_session::decoder::{Decoder, Input, Limits};

fn answer(command: &str) -> Vec<Input> {
    let mut decoder = Decoder::new(Limits::authenticated());
    decoder.handle_input(command.as_bytes());
    decoder.handle_input(b"\r\n");
    std::iter::from_fn(|| decoder.poll()).collect()
}

fn refusal(command: &str) -> Option<&'static str> {
    match answer(command).as_slice() {
        [Input::Bad { tag: Some(_), text }] => Some(text),
        _ => None,
    }
}

#[test]
fn deep_nesting_is_refused() {
    const TOO_DEEP: Option<&str> = Some("Search keys nested too deep");
    assert_eq!(refusal(&format!("a SEARCH {}", "(".repeat(60_000))), TOO_DEEP);
    assert_eq!(refusal(&format!("a SEARCH {}ALL", "NOT ".repeat(15_000))), TOO_DEEP);
    assert_eq!(refusal(&format!("a SEARCH {}ALL", "OR ALL ".repeat(9_000))), TOO_DEEP);
    assert_eq!(refusal(&format!("a SEARCH {}ALL{}", "(".repeat(32), ")".repeat(32))), None);
}

#[test]
fn long_lists_are_refused() {
    assert_eq!(refusal(&format!("a SEARCH{}", " ALL".repeat(16_000))), Some("Too many search keys"));
    let items = vec!["BODY[]"; 9_000].join(" ");
    assert_eq!(refusal(&format!("a FETCH 1 ({items})")), Some("Too few or too many items"));
    let patterns = vec!["*"; 20_000].join(" ");
    assert_eq!(refusal(&format!("a LIST \"\" ({patterns})")), Some("Too few or too many patterns"));
    let part = vec!["1"; 10_000].join(".");
    assert_eq!(refusal(&format!("a FETCH 1 BODY[{part}]")), Some("Section too deep"));
}

#[test]
fn a_long_line_is_refused_and_the_next_command_read() {
    let inputs = answer(&format!("a1 LOGIN {}\r\na2 NOOP", "x".repeat(70_000)));
    assert!(matches!(&inputs[0], Input::Bad { tag: Some(tag), text: "Line too long" } if tag == "a1"));
    assert!(matches!(&inputs[1], Input::Command(command) if command.tag == "a2"));
}

#[test]
fn an_endless_line_ends_the_connection() {
    let mut decoder = Decoder::new(Limits::before_login());
    let mut seen = Vec::new();
    for _ in 0..100 {
        decoder.handle_input(&[b'x'; 4096]);
        seen.extend(std::iter::from_fn(|| decoder.poll()));
    }
    assert!(matches!(seen.as_slice(), [Input::Bad { tag: None, .. }, Input::Fatal(_)]));
    assert!(!decoder.wants_input());
}

#[test]
fn an_initial_response_may_be_longer_than_a_line_before_login() {
    let mut decoder = Decoder::new(Limits::before_login());
    decoder.handle_input(format!("a AUTHENTICATE PLAIN {}\r\n", "A".repeat(12_288)).as_bytes());
    assert!(matches!(decoder.poll(), Some(Input::Command(_))));
    decoder.expect_response();
    decoder.handle_input(format!("{}\r\nb NOOP\r\n", "A".repeat(12_289)).as_bytes());
    assert!(matches!(decoder.poll(), Some(Input::Bad { tag: None, text: "Line too long" })));
    assert!(matches!(decoder.poll(), Some(Input::Command(command)) if command.tag == "b"));
}

#[test]
fn literals_together_are_bounded() {
    let mut decoder = Decoder::new(Limits::before_login());
    decoder.handle_input(b"a ID (");
    let mut answers = Vec::new();
    for _ in 0..9 {
        decoder.handle_input(b"{8000}\r\n");
        decoder.handle_input(&[b'x'; 8000]);
        decoder.handle_input(b" ");
        answers.push(decoder.poll());
    }
    assert_eq!(answers[7], Some(Input::Continue));
    assert!(matches!(&answers[8], Some(Input::Bad { text, .. }) if text.starts_with("[TOOBIG]")));
}

#[test]
fn a_password_is_in_no_debug_output() {
    let inputs = answer("a LOGIN user hunter2");
    assert!(!format!("{inputs:?}").contains("hunter2"));
    let mut decoder = Decoder::new(Limits::before_login());
    decoder.handle_input(b"a LOGIN user hunter2");
    assert!(!format!("{decoder:?}").contains("hunter2"));
}
