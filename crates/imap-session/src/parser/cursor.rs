//! The lexical rules of RFC 3501 §9: atoms, strings, numbers, lists.
//!
//! A cursor reads a whole command from left to right, literals in place (`{3}` CRLF `abc`). It never goes back by more than a word.

/// Why a command is not grammatical; the text is for the client.
pub(crate) type Parsed<T> = Result<T, &'static str>;

#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Whether folder names are UTF-8.
    pub(super) utf8: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], utf8: bool) -> Self {
        Self { rest: bytes, utf8 }
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn end(&self) -> Parsed<()> {
        if self.rest.is_empty() { Ok(()) } else { Err("Unexpected text after the arguments") }
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expect(&mut self, byte: u8, missing: &'static str) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { Err(missing) }
    }

    pub(super) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "Missing argument")
    }

    pub(super) fn take_while(&mut self, accepted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !accepted(*b)).unwrap_or(self.rest.len());
        self.take(end).unwrap_or_default()
    }

    /// Whether these octets come next.
    pub(super) fn followed_by(&self, octets: &[u8]) -> bool {
        self.rest.starts_with(octets)
    }

    /// The next word, if it is `word` in any case and ends there.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let found = ahead.take_while(is_atom_char);
        if found.eq_ignore_ascii_case(word.as_bytes()) {
            self.rest = ahead.rest;
            true
        } else {
            false
        }
    }

    /// `atom`
    pub(super) fn atom(&mut self) -> Parsed<&'a str> {
        text(self.take_while(is_atom_char)).filter(|atom| !atom.is_empty()).ok_or("Expected a word")
    }

    /// `atom`, in upper case.
    pub(super) fn keyword(&mut self) -> Parsed<String> {
        self.atom().map(str::to_ascii_uppercase)
    }

    /// `number`, to 63 bits as RFC 9051 allows
    pub(super) fn number(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        text(digits)
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number <= i64::MAX as u64)
            .ok_or("Invalid number")
    }

    /// `nz-number`
    pub(super) fn nz_number(&mut self) -> Parsed<u32> {
        let leading_zero = self.peek() == Some(b'0');
        let number = self.number()?;
        u32::try_from(number).ok().filter(|_| !leading_zero).ok_or("Invalid number")
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(super) fn astring(&mut self) -> Parsed<Vec<u8>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string();
        }
        let word = self.take_while(is_astring_char);
        if word.is_empty() { Err("Expected a string") } else { Ok(word.to_vec()) }
    }

    /// `string = quoted / literal`
    pub(super) fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err("Expected a string"),
        }
    }

    /// `nstring = string / nil`
    pub(super) fn nstring(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    pub(super) fn astring_utf8(&mut self) -> Parsed<String> {
        String::from_utf8(self.astring()?).map_err(|_| "A string is not UTF-8")
    }

    /// `"(" [item *(SP item)] ")"`
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect(b'(', "Expected a list in parentheses")?;
        let mut items = Vec::new();
        if self.eat(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(b')') {
                return Ok(items);
            }
            self.expect(b' ', "Unclosed list")?;
        }
    }

    /// 8-bit octets are let through: RFC 9051 allows UTF-8 here, and clients did not wait for it.
    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b'"', "Expected a string")?;
        let mut content = Vec::new();
        loop {
            content.extend_from_slice(self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)));
            if self.eat(b'"') {
                return Ok(content);
            }
            self.expect(b'\\', "Unclosed string")?;
            match self.peek() {
                Some(escaped @ (b'"' | b'\\')) => {
                    self.eat(escaped);
                    content.push(escaped);
                }
                _ => return Err("Invalid escape in a string"),
            }
        }
    }

    fn literal(&mut self) -> Parsed<Vec<u8>> {
        let content = self.literal8()?;
        if content.contains(&0) { Err("NUL in a literal") } else { Ok(content) }
    }

    /// What follows the `~` of a `literal8`: any octets.
    pub(super) fn literal8(&mut self) -> Parsed<Vec<u8>> {
        const INVALID: &str = "Invalid literal";
        self.expect(b'{', INVALID)?;
        let size = usize::try_from(self.number()?).map_err(|_| INVALID)?;
        self.eat(b'+');
        self.expect(b'}', INVALID)?;
        self.expect(b'\r', INVALID)?;
        self.expect(b'\n', INVALID)?;
        self.take(size).map(<[u8]>::to_vec).ok_or(INVALID)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
}

/// RFC 3501 `ATOM-CHAR`
pub(super) fn is_atom_char(b: u8) -> bool {
    b > b' ' && b < 0x7f && !b"(){%*\"\\]".contains(&b)
}

/// RFC 3501 `ASTRING-CHAR`
pub(super) fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

/// RFC 3501 `list-char`
pub(super) fn is_list_char(b: u8) -> bool {
    is_astring_char(b) || matches!(b, b'%' | b'*')
}
