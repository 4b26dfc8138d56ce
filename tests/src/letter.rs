//! Letters to send, and what is left of them once trace fields are set aside.

use crate::now;

/// The holder of the demo's first personal mailbox.
const AUTHOR: &str = "claire.martin@chu-nord.mssante.test";

/// A complete letter: nothing is missing that a submission server would add.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Occurs once in the letter and in no other.
    pub marker: String,
    /// All of it.
    pub content: Vec<u8>,
}

impl Letter {
    /// A letter with this body, whose lines end with CRLF. `name` must be its own in the scenario.
    pub fn new(name: &str, body: &[u8]) -> Self {
        Self::with_fields(name, "", body)
    }

    /// The same, with more header fields, each with its CRLF. It is from the first user of the demo: see [`Letter::by`].
    pub fn with_fields(name: &str, fields: &str, body: &[u8]) -> Self {
        let marker = format!("{name}-{}", now().0);
        let header = format!(
            "From: <{AUTHOR}>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0100\r\nMessage-ID: <{marker}@scenario.example>\r\nSubject: =?utf-8?Q?Lettre?=\r\n{fields}\r\n"
        );
        Self { marker, content: [header.as_bytes(), body].concat() }
    }

    /// The same letter from somebody else.
    pub fn by(self, author: &str) -> Self {
        let rest = &self.content[format!("From: <{AUTHOR}>").len()..];
        Self { content: [format!("From: <{author}>").as_bytes(), rest].concat(), ..self }
    }

    /// A body that trips careless programs: 8-bit text, lines that begin with dots, a long line, blanks at ends, no final text line.
    pub fn awkward_body() -> Vec<u8> {
        let long = "x".repeat(5000);
        let text = format!("Été, cœur.\r\n.\r\n..\r\n.début\r\n{long}\r\nblanks \t \r\n\r\n\r\n");
        [text.as_bytes(), b"\xff\xfe\x80 not UTF-8\r\n", b"...\r\n"].concat()
    }
}

/// The content without the trace fields (Return-Path, Received, X-Vaguemestre-From) at its very beginning, and their names in order.
pub fn without_trace(content: &[u8]) -> (Vec<String>, &[u8]) {
    let (mut names, mut rest) = (Vec::new(), content);
    loop {
        let name = ["Return-Path", "Received", "X-Vaguemestre-From"]
            .into_iter()
            .find(|name| rest.starts_with(format!("{name}:").as_bytes()));
        let Some(name) = name else { return (names, rest) };
        names.push(name.to_owned());
        loop {
            let line = rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |at| at + 1);
            rest = &rest[line..];
            if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
                break;
            }
        }
    }
}
