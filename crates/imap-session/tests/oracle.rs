//! Our grammar beside another's: imap-codec reads the same commands, and both accept or both refuse, but for differences that have a reason.
//!
//! `corpus/commands.txt` holds a command a line (`\r \n \0 \\ \xHH` are escapes), marked by who accepts it: `=` both, `x` neither, `<` only we,
//! `>` only imap-codec. Lines that begin with `#` say why.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder as _;
use imap_session::command::{AppendStep, CommandBody};
use imap_session::decoder::{Decoder, Input, Limits};

const CORPUS: &str = include_str!("corpus/commands.txt");

/// `\r`, `\n`, `\0`, `\\` and `\xHH` undone.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b != b'\\' {
            octets.push(b);
            continue;
        }
        octets.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|b| b.expect("two hexadecimal digits"));
                u8::from_str_radix(std::str::from_utf8(&digits).expect("digits"), 16).expect("digits")
            }
            _ => b'\\',
        });
    }
    octets
}

/// The commands of the corpus with their marks.
fn corpus() -> Vec<(char, &'static str)> {
    let lines = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| (line.chars().next().expect("a mark"), line.get(2..).unwrap_or_default())).collect()
}

/// Whether our decoder reads these octets as one command that it knows.
fn we_accept(octets: &[u8]) -> bool {
    let mut decoder = Decoder::new(Limits::authenticated());
    decoder.set_utf8(true);
    decoder.handle_input(octets);
    let mut accepted = None;
    while let Some(input) = decoder.poll() {
        match input {
            _ if accepted.is_some() => return false,
            Input::Command(command) => accepted = Some(!matches!(command.body, CommandBody::Unknown(_))),
            Input::Append(AppendStep::Literal(_)) => decoder.accept_append(),
            Input::Append(AppendStep::End) => accepted = Some(true),
            Input::Bad { .. } | Input::Fatal(_) => return false,
            _ => {}
        }
    }
    accepted == Some(true) && !decoder.is_within_command()
}

/// Whether imap-codec does.
fn oracle_accepts(octets: &[u8]) -> bool {
    matches!(CommandCodec::default().decode(octets), Ok((rest, _)) if rest.is_empty())
}

fn mark(octets: &[u8]) -> char {
    match (we_accept(octets), oracle_accepts(octets)) {
        (true, true) => '=',
        (false, false) => 'x',
        (true, false) => '<',
        (false, true) => '>',
    }
}

fn framed(command: &[u8]) -> Vec<u8> {
    [b"a1 ", command, b"\r\n"].concat()
}

#[test]
fn every_command_of_the_corpus_is_judged_as_it_is_marked() {
    let commands = corpus();
    assert!(commands.len() > 300);
    let wrong: Vec<String> = commands
        .iter()
        .map(|(expected, text)| (expected, mark(&framed(&unescaped(text))), text))
        .filter(|(expected, found, _)| *expected != found)
        .map(|(expected, found, text)| format!("{found} {text}   (marked {expected})"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A source of numbers that is the same in each run.
struct Numbers(u64);

impl Numbers {
    /// One below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).expect("below a usize")
    }
}

/// The command with something in it gone, doubled, moved or put in.
fn mutated(command: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const PUT_IN: &[u8] = b" ()[]<>{}\"\\%*+-.,:;/&~$=!0123459aZ\r\n\0\x7f\xc3\xa9\xff";
    let mut command = command.to_vec();
    for _ in 0..=numbers.below(2) {
        let at = numbers.below(command.len());
        match numbers.below(6) {
            _ if command.is_empty() => {}
            0 => drop(command.remove(at)),
            1 => command.insert(at, PUT_IN[numbers.below(PUT_IN.len())]),
            2 => command[at] = PUT_IN[numbers.below(PUT_IN.len())],
            3 => command.truncate(at),
            4 => {
                let piece = command[at..(at + 1 + numbers.below(5)).min(command.len())].to_vec();
                command.splice(at..at, piece);
            }
            _ => command[at] ^= 0x20,
        }
    }
    command
}

/// Why we alone accept a command.
fn reason_of_ours(command: &[u8]) -> Option<&'static str> {
    let upper = command.to_ascii_uppercase();
    let has = |what: &[u8]| upper.windows(what.len()).any(|at| at == what);
    if command.split(|b| !b.is_ascii_digit()).any(|digits| digits.len() >= 10) {
        return Some("numbers have 63 bits (RFC 9051 number64)");
    }
    if upper.starts_with(b"APPEND ") && command.contains(&0) {
        return Some("NUL in a message is refused when it is kept, with NO and the reason");
    }
    if upper.starts_with(b"APPEND ")
        && command.windows(3).any(|at| at[0] == b'"' && at[1].is_ascii_digit() && at[2] == b'-')
    {
        return Some("a day of one digit needs no space before it: some clients write none");
    }
    if has(b"CHARSET ") {
        return Some("the name of a charset may be any astring; an unknown one is told with BADCHARSET");
    }
    if upper.starts_with(b"APPEND ") && upper.iter().filter(|b| **b == b'{').count() > 1 {
        return Some("many messages may come (RFC 3502), which imap-codec does not know");
    }
    if upper.split(|b| b" (),".contains(b)).any(|word| word == b"$") {
        return Some("`$` is what the last search found (RFC 5182), which imap-codec does not know");
    }
    if upper.starts_with(b"COMPRESS ") {
        return Some("the only mechanism is known to be one later, when the answer is made");
    }
    if has(b"MODSEQ \"") {
        return Some("the entry name of MODSEQ may be any string; no search looks at it");
    }
    std::str::from_utf8(command)
        .is_err()
        .then_some("8-bit octets of a quoted string are kept, whatever they are")
}

/// Why imap-codec alone accepts a command.
fn reason_of_theirs(command: &[u8]) -> Option<&'static str> {
    const FLAGS: [&[u8]; 5] = [b"\\ANSWERED", b"\\DELETED", b"\\DRAFT", b"\\FLAGGED", b"\\SEEN"];
    let upper = command.to_ascii_uppercase();
    let mut words = upper.split(|b| b" ()".contains(b));
    if words.any(|word| word.starts_with(b"\\") && !FLAGS.contains(&word)) {
        return Some("a flag of no standard cannot be kept");
    }
    if upper.starts_with(b"AUTHENTICATE ") && upper.ends_with(b" ") {
        return Some("an initial response is base64 or `=` (RFC 4959 §3)");
    }
    if command.windows(2).any(|pair| b" :,[.".contains(&pair[0]) && pair[1] == b'0') {
        return Some("a number of a set or of a part does not begin with 0 (RFC 3501 nz-number)");
    }
    if upper.windows(13).any(|at| at == b"HEADER.FIELDS") {
        return Some("a field name has no colon and no space (RFC 5322 §3.6.8)");
    }
    if upper.starts_with(b"ID (") {
        return Some("no space stands before the end of a list");
    }
    if command.windows(2).any(|pair| pair == b"()") {
        return Some("items and parameters in parentheses are one at least (RFC 3501 fetch, status)");
    }
    // The line end after the announcement of a literal is none of a name.
    let octets = command.split(|b| *b == b'}').map(|piece| piece.strip_prefix(b"\r\n").unwrap_or(piece));
    if octets.flatten().any(u8::is_ascii_control) || std::str::from_utf8(command).is_err() {
        return Some("a folder name is UTF-8 without control characters (RFC 6855 §3)");
    }
    None
}

#[test]
fn mutated_commands_are_judged_alike_or_the_difference_has_a_reason() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut unexplained) = (0, Vec::new());
    for (_, text) in corpus().into_iter().filter(|(mark, _)| matches!(mark, '=' | 'x')) {
        for _ in 0..60 {
            let command = mutated(&unescaped(text), &mut numbers);
            let found = mark(&framed(&command));
            accepted += usize::from(found == '=');
            let reason = match found {
                '<' => reason_of_ours(&command),
                '>' => reason_of_theirs(&command),
                _ => Some("none is needed"),
            };
            if reason.is_none() {
                unexplained.push(format!("{found} {}", command.escape_ascii()));
            }
        }
    }
    assert!(accepted > 1000, "few of them are commands: {accepted}");
    assert!(unexplained.is_empty(), "{} of them:\n{}", unexplained.len(), unexplained.join("\n"));
}
