//! The grammar of ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 §9), to the letter. Nothing is kept: a reader that gets through has proved it.

/// What the grammar allows at this place was not there.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) usize);

type Read = Result<(), Fault>;

/// Whether the bytes are one `envelope`.
pub(crate) fn envelope(item: &[u8]) -> Read {
    whole(item, |reader| reader.envelope())
}

/// Whether the bytes are one `body`, with extension data or without.
pub(crate) fn body(item: &[u8], extended: bool) -> Read {
    whole(item, |reader| reader.body(extended))
}

fn whole(item: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Read) -> Read {
    let mut reader = Reader { item, at: 0 };
    read(&mut reader)?;
    if reader.at == item.len() { Ok(()) } else { Err(Fault(reader.at)) }
}

struct Reader<'a> {
    item: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn accept(&mut self, text: &[u8]) -> bool {
        let found = self.item[self.at..].starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn expect(&mut self, text: &[u8]) -> Read {
        if self.accept(text) { Ok(()) } else { Err(Fault(self.at)) }
    }

    fn next_is(&self, byte: u8) -> bool {
        self.item.get(self.at) == Some(&byte)
    }

    fn number(&mut self) -> Result<usize, Fault> {
        let digits = self.item[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.item[self.at..self.at + digits]).expect("digits are ASCII");
        self.at += digits;
        text.parse().map_err(|_| Fault(self.at))
    }

    /// The string, for those whose value decides what follows.
    fn string(&mut self) -> Result<Vec<u8>, Fault> {
        if self.accept(b"{") {
            let length = self.number()?;
            self.expect(b"}\r\n")?;
            let text = self.item.get(self.at..self.at + length).filter(|text| !text.contains(&0));
            self.at += length;
            return text.map(<[u8]>::to_vec).ok_or(Fault(self.at));
        }
        self.expect(b"\"")?;
        let mut text = Vec::new();
        while !self.accept(b"\"") {
            let escaped = self.accept(b"\\");
            match self.item.get(self.at) {
                Some(0 | b'\r' | b'\n' | 0x80..) | None => return Err(Fault(self.at)),
                Some(b) if escaped && !matches!(b, b'"' | b'\\') => return Err(Fault(self.at)),
                Some(b) => text.push(*b),
            }
            self.at += 1;
        }
        Ok(text)
    }

    fn nstring(&mut self) -> Read {
        if self.accept(b"NIL") { Ok(()) } else { self.string().map(drop) }
    }

    fn spaced_nstrings(&mut self, count: usize) -> Read {
        for i in 0..count {
            if i > 0 {
                self.expect(b" ")?;
            }
            self.nstring()?;
        }
        Ok(())
    }

    fn envelope(&mut self) -> Read {
        self.expect(b"(")?;
        self.spaced_nstrings(2)?;
        for _ in 0..6 {
            self.expect(b" ")?;
            self.addresses()?;
        }
        self.expect(b" ")?;
        self.spaced_nstrings(2)?;
        self.expect(b")")
    }

    fn addresses(&mut self) -> Read {
        if self.accept(b"NIL") {
            return Ok(());
        }
        self.expect(b"((")?;
        loop {
            self.spaced_nstrings(4)?;
            self.expect(b")")?;
            if self.accept(b")") {
                return Ok(());
            }
            self.expect(b"(")?;
        }
    }

    fn parameters(&mut self) -> Read {
        if self.accept(b"NIL") {
            return Ok(());
        }
        self.expect(b"(")?;
        loop {
            self.string()?;
            self.expect(b" ")?;
            self.string()?;
            if self.accept(b")") {
                return Ok(());
            }
            self.expect(b" ")?;
        }
    }

    fn disposition(&mut self) -> Read {
        if self.accept(b"NIL") {
            return Ok(());
        }
        self.expect(b"(")?;
        self.string()?;
        self.expect(b" ")?;
        self.parameters()?;
        self.expect(b")")
    }

    fn languages(&mut self) -> Read {
        if !self.accept(b"(") {
            return self.nstring();
        }
        loop {
            self.string()?;
            if self.accept(b")") {
                return Ok(());
            }
            self.expect(b" ")?;
        }
    }

    fn body(&mut self, extended: bool) -> Read {
        self.expect(b"(")?;
        if self.next_is(b'(') {
            while self.next_is(b'(') {
                self.body(extended)?;
            }
            self.expect(b" ")?;
            self.string()?;
            self.extension(extended, Self::parameters)
        } else {
            self.one_part(extended)?;
            self.extension(extended, Self::nstring)
        }
    }

    fn one_part(&mut self, extended: bool) -> Read {
        let media_type = self.string()?.to_ascii_lowercase();
        self.expect(b" ")?;
        let subtype = self.string()?.to_ascii_lowercase();
        self.expect(b" ")?;
        self.parameters()?;
        self.expect(b" ")?;
        self.spaced_nstrings(2)?;
        self.expect(b" ")?;
        self.string()?;
        self.expect(b" ")?;
        self.number()?;
        match (media_type.as_slice(), subtype.as_slice()) {
            (b"message", b"rfc822" | b"global") => {
                self.expect(b" ")?;
                self.envelope()?;
                self.expect(b" ")?;
                self.body(extended)?;
            }
            (b"text", _) => {}
            _ => return Ok(()),
        }
        self.expect(b" ")?;
        self.number().map(drop)
    }

    fn extension(&mut self, extended: bool, first: fn(&mut Self) -> Read) -> Read {
        if extended {
            self.expect(b" ")?;
            first(self)?;
            self.expect(b" ")?;
            self.disposition()?;
            self.expect(b" ")?;
            self.languages()?;
            self.expect(b" ")?;
            self.nstring()?;
        }
        self.expect(b")")
    }
}
