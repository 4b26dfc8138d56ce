//! Address lists (RFC 5322 §3.4 with the obsolete forms of §4.4), read so that every text gives some list.
//!
//! Encoded words stay encoded. What an address should be for us is not decided here.

/// At most this many entries of one list are read; the rest is passed over.
pub(crate) const ENTRIES_MAX: usize = 1000;

/// One element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An address.
    Mailbox(Mailbox),
    /// `name:`
    GroupStart(Vec<u8>),
    /// `;`
    GroupEnd,
}

/// An address with what surrounds it, quoting removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// Display name, or the comment after the address.
    pub(crate) name: Option<Vec<u8>>,
    /// Source route, `@a,@b`.
    pub(crate) route: Option<Vec<u8>>,
    /// Local part; the whole text of an address that has no `@`. None when empty.
    pub(crate) local_part: Option<Vec<u8>>,
    /// Domain. None when missing.
    pub(crate) domain: Option<Vec<u8>>,
}

/// Reads an unfolded list, at most `limit` entries of it.
pub(crate) fn parse(value: &[u8], limit: usize) -> Vec<Entry> {
    parse_and_tell(value, limit).0
}

/// The same, and whether anything was passed over in which another reader could see another address.
pub(crate) fn parse_and_tell(value: &[u8], limit: usize) -> (Vec<Entry>, bool) {
    let mut reader =
        Reader { lexer: Lexer { rest: value }, entries: Vec::new(), in_group: false, has_passed_over: false };
    let mut has_more = true;
    while has_more && reader.entries.len() < limit {
        has_more = reader.read_entry();
    }
    if reader.in_group {
        reader.entries.push(Entry::GroupEnd);
    }
    (reader.entries, reader.has_passed_over || has_more)
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    entries: Vec<Entry>,
    in_group: bool,
    has_passed_over: bool,
}

impl Reader<'_> {
    /// Reads up to the next separator; false at the end of the list.
    fn read_entry(&mut self) -> bool {
        let mut words = Words::default();
        loop {
            match self.lexer.next() {
                Some(Token::Special(b'<')) => {
                    let mailbox = self.read_angle(&mut words);
                    self.entries.push(Entry::Mailbox(mailbox));
                    words = Words::default();
                    self.skip_to_separator();
                    // The separator is left for the loop, which sees it after no word.
                }
                // The name of a group inside a group goes: groups do not nest, and its members are members.
                Some(Token::Special(b':')) if self.in_group => {
                    self.has_passed_over |= !words.pieces.is_empty();
                    words = Words::default();
                }
                Some(Token::Special(b':')) => {
                    self.in_group = true;
                    self.entries.push(Entry::GroupStart(words.phrase()));
                    return true;
                }
                Some(Token::Special(b'>')) => self.has_passed_over = true,
                Some(Token::Special(b',')) => {
                    self.push_bare(words);
                    return true;
                }
                Some(Token::Special(b';')) => {
                    self.push_bare(words);
                    if std::mem::take(&mut self.in_group) {
                        self.entries.push(Entry::GroupEnd);
                    }
                    return true;
                }
                Some(token) => words.push(token),
                None => {
                    self.push_bare(words);
                    return false;
                }
            }
        }
    }

    /// What stands between `<` and `>`, and the comment after it.
    fn read_angle(&mut self, phrase: &mut Words) -> Mailbox {
        let (mut words, mut route) = (Words::default(), None);
        loop {
            let before = self.lexer.rest;
            match self.lexer.next() {
                Some(Token::Special(b'>')) | None => break,
                // The bracket was forgotten, unless these are the commas of a route.
                Some(Token::Special(b',' | b';')) if !words.is_route() => {
                    self.lexer.rest = before;
                    break;
                }
                Some(Token::Special(b'<')) => self.has_passed_over = true,
                Some(Token::Special(b':')) => {
                    // What stands before a colon and is no route is the scheme of a URL.
                    let before = std::mem::take(&mut words);
                    self.has_passed_over |= !before.is_route();
                    route = route.or(before.is_route().then(|| before.route()));
                }
                Some(token) => words.push(token),
            }
        }
        if let Some(Token::Comment(comment)) = self.lexer.peek() {
            phrase.comment = Some(comment);
        }
        let name = if phrase.pieces.is_empty() { phrase.comment.take() } else { Some(phrase.phrase()) };
        self.has_passed_over |= words.has_several_ats();
        Mailbox { name: name.filter(|name| is_shown(name)), route, ..words.addr_spec() }
    }

    fn skip_to_separator(&mut self) {
        loop {
            let before = self.lexer.rest;
            match self.lexer.next() {
                Some(Token::Special(b',' | b';')) => {
                    self.lexer.rest = before;
                    return;
                }
                Some(Token::Comment(_)) => {}
                Some(_) => self.has_passed_over = true,
                None => return,
            }
        }
    }

    fn push_bare(&mut self, mut words: Words) {
        if !words.pieces.is_empty() {
            self.has_passed_over |= words.has_several_ats();
            let name = words.comment.take().filter(|name| is_shown(name));
            self.entries.push(Entry::Mailbox(Mailbox { name, ..words.addr_spec() }));
        }
    }
}

/// The words read since the last separator.
#[derive(Default)]
struct Words {
    pieces: Vec<Piece>,
    comment: Option<Vec<u8>>,
}

struct Piece {
    text: Vec<u8>,
    spaced: bool,
    /// An unquoted `@`.
    at: bool,
}

impl Words {
    fn push(&mut self, token: Token) {
        let (text, spaced, at) = match token {
            Token::Word { text, spaced } => (text, spaced, false),
            Token::Special(b) => (vec![b], false, b == b'@'),
            Token::Comment(comment) => {
                self.comment = Some(comment);
                return;
            }
        };
        self.pieces.push(Piece { text, spaced, at });
    }

    /// As a display name: one space where there was white space.
    fn phrase(&self) -> Vec<u8> {
        join(&self.pieces)
    }

    /// Whether they hold more than one address, or an address whose domain readers disagree about.
    fn has_several_ats(&self) -> bool {
        self.pieces.iter().filter(|piece| piece.at).count() > 1
    }

    /// Whether they begin as a source route does.
    fn is_route(&self) -> bool {
        self.pieces.iter().find(|piece| piece.text != b",").is_some_and(|piece| piece.at)
    }

    /// As a route: no white space, no empty member.
    fn route(self) -> Vec<u8> {
        let text: Vec<u8> = self.pieces.into_iter().flat_map(|piece| piece.text).collect();
        let members: Vec<_> = text.split(|b| *b == b',').filter(|member| !member.is_empty()).collect();
        members.join(&b',')
    }

    /// As `local-part@domain`, split at the last `@`.
    fn addr_spec(self) -> Mailbox {
        let at = self.pieces.iter().rposition(|piece| piece.at).unwrap_or(self.pieces.len());
        let (local, domain) = self.pieces.split_at(at);
        let domain = join_dotted(domain.get(1..).unwrap_or_default());
        Mailbox {
            // An empty quoted string is a local part too.
            local_part: (!local.is_empty()).then(|| join_dotted(local)),
            domain: (!domain.is_empty()).then_some(domain),
            ..Mailbox::default()
        }
    }
}

/// Whether a display name shows anything.
fn is_shown(name: &[u8]) -> bool {
    !name.trim_ascii().is_empty()
}

fn join(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        if piece.spaced && !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(&piece.text);
    }
    out
}

/// Like [`join`], but white space around a dot goes (RFC 5322 §4.4 `obs-local-part`, `obs-domain`). What stays shows that this is no address.
fn join_dotted(pieces: &[Piece]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for piece in pieces {
        let dotted = piece.text.first() == Some(&b'.') || out.last() == Some(&b'.');
        if piece.spaced && !out.is_empty() && !dotted {
            out.push(b' ');
        }
        out.extend_from_slice(&piece.text);
    }
    out
}

enum Token {
    /// An atom, a quoted string without its quotes, or a domain literal with its brackets.
    Word { text: Vec<u8>, spaced: bool },
    /// The text of a comment.
    Comment(Vec<u8>),
    /// One of `< > , ; : @`.
    Special(u8),
}

struct Lexer<'a> {
    rest: &'a [u8],
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<Token> {
        // A parenthesis that closes nothing says nothing.
        let blanks = self.rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == b')').count();
        self.rest = &self.rest[blanks..];
        let (&first, tail) = self.rest.split_first()?;
        let spaced = blanks > 0;
        match first {
            b'<' | b'>' | b',' | b';' | b':' | b'@' => {
                self.rest = tail;
                Some(Token::Special(first))
            }
            b'"' => {
                self.rest = tail;
                Some(Token::Word { text: self.quoted(), spaced })
            }
            b'(' => {
                self.rest = tail;
                Some(Token::Comment(self.comment()))
            }
            b'[' => {
                let end = self.literal_length();
                Some(Token::Word { text: self.split(end), spaced })
            }
            _ => {
                let special = |b: &u8| b.is_ascii_whitespace() || b"<>,;:@\"()[".contains(b);
                let end = tail.iter().position(special).map_or(self.rest.len(), |at| at + 1);
                Some(Token::Word { text: self.split(end), spaced })
            }
        }
    }

    fn peek(&self) -> Option<Token> {
        let mut ahead = Lexer { rest: self.rest };
        let blanks = ahead.rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        // Only a comment is worth reading twice.
        if ahead.rest.get(blanks) == Some(&b'(') { ahead.next() } else { None }
    }

    fn split(&mut self, at: usize) -> Vec<u8> {
        let (word, rest) = self.rest.split_at(at);
        self.rest = rest;
        word.to_vec()
    }

    /// The octets of the domain literal at the start, brackets and escapes included.
    fn literal_length(&self) -> usize {
        let mut escaped = false;
        let closes = |b: &u8| {
            let closes = *b == b']' && !escaped;
            escaped = *b == b'\\' && !escaped;
            closes
        };
        self.rest.iter().position(closes).map_or(self.rest.len(), |at| at + 1)
    }

    /// The content of a quoted string whose first quote was taken; without a second quote it is the rest.
    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some((&b, tail)) = self.rest.split_first() {
            self.rest = tail;
            match (b, tail.split_first()) {
                (b'"', _) => break,
                (b'\\', Some((&escaped, after))) => {
                    text.push(escaped);
                    self.rest = after;
                }
                _ => text.push(b),
            }
        }
        text
    }

    /// The content of a comment whose first parenthesis was taken; inner parentheses are kept.
    fn comment(&mut self) -> Vec<u8> {
        let (mut text, mut depth) = (Vec::new(), 1u32);
        while let Some((&b, tail)) = self.rest.split_first() {
            self.rest = tail;
            match b {
                b'(' => depth += 1,
                b')' if depth == 1 => break,
                b')' => depth -= 1,
                b'\\' => {
                    if let Some((&escaped, after)) = tail.split_first() {
                        text.push(escaped);
                        self.rest = after;
                        continue;
                    }
                }
                _ => {}
            }
            text.push(b);
        }
        text.trim_ascii().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let show = |entry: &Entry| match entry {
            Entry::Mailbox(m) => {
                let name = m.name.as_deref().map_or("-".to_owned(), text);
                let route = m.route.as_deref().map_or(String::new(), |r| format!("{}|", text(r)));
                let [local, domain] =
                    [&m.local_part, &m.domain].map(|t| t.as_deref().map_or("?".to_owned(), text));
                format!("{name}={route}{local}@{domain}")
            }
            Entry::GroupStart(name) => format!("[{}", text(name)),
            Entry::GroupEnd => "]".to_owned(),
        };
        parse(value.as_bytes(), ENTRIES_MAX).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_are_read_whatever_their_form() {
        for (value, expected) in [
            ("a@b", "-=a@b"),
            ("Jean  Dupont <jd@chu.fr>, c@d", "Jean Dupont=jd@chu.fr -=c@d"),
            ("\"Dupont, \\\"J\\\"\" <jd@chu.fr>", "Dupont, \"J\"=jd@chu.fr"),
            ("jd@chu.fr (Jean (dit J) Dupont)", "Jean (dit J) Dupont=jd@chu.fr"),
            ("<jd@chu.fr> (Jean)", "Jean=jd@chu.fr"),
            ("\"a b@c\"@d.fr", "-=a b@c@d.fr"),
            ("john . doe @ example . com", "-=john.doe@example.com"),
            ("<@a,@b:c@d>", "-=@a,@b|c@d"),
            ("undisclosed-recipients:;", "[undisclosed-recipients ]"),
            ("A group: a@b, C <c@d>; e@f", "[A group -=a@b C=c@d ] -=e@f"),
            ("g: a@b", "[g -=a@b ]"),
            ("nobody", "-=nobody@?"),
            ("N <>", "N=?@?"),
            ("@d", "-=?@d"),
            ("a@[192.0.2.1]", "-=a@[192.0.2.1]"),
            ("a@b <c@d>", "a@b=c@d"),
            ("=?utf-8?Q?J=2E?= <a@b>", "=?utf-8?Q?J=2E?==a@b"),
            (",, ;", ""),
            ("", ""),
            ("\"unterminated", "-=unterminated@?"),
            ("(only a comment)", ""),
            ("<a@b", "-=a@b"),
            ("A <a@b, C <c@d>", "A=a@b C=c@d"),
            ("g: A <a@b; c@d", "[g A=a@b ] -=c@d"),
            ("A <<a@b>>, c@d>", "A=a@b -=c@d"),
            ("<mailto:a@b>", "-=a@b"),
            ("< @a , , @b : c@d >", "-=@a,@b|c@d"),
            ("un: a@b, deux: c@d;, e@f;", "[un -=a@b -=c@d ] -=e@f"),
            ("\"\" <a@b>, \"  \" <c@d>, e@f ()", "-=a@b -=c@d -=e@f"),
            ("\"\"@b", "-=@b"),
            ("a@[ 1\\]2 ], c@d", "-=a@[ 1\\]2 ] -=c@d"),
            ("a@b ) , c@d)", "-=a@b -=c@d"),
            ("a@b c@d", "-=a@b c@d"),
            ("a@b \"C\"", "-=a@b C"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn lists_are_bounded_and_hostile_ones_linear() {
        assert_eq!(parse("a@b,".repeat(5000).as_bytes(), ENTRIES_MAX).len(), ENTRIES_MAX);
        for piece in ["(", "<", "\"", "[", "\\", ":;", "<(", "a:", ">", ")", "<@:", "<@,", "[\\"] {
            parse(piece.repeat(200_000).as_bytes(), ENTRIES_MAX);
        }
    }
}
