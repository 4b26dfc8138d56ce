//! The items that [`render`](super::render) and [`envelope`](super::envelope) wrote, read again.

/// What one item may nest: containers, and what they hold of addresses and parameters.
const NEST_MAX: usize = super::DEPTH_MAX + 16;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nil,
    Number(u64),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    /// Reads one item; `None` when the octets are not one.
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: octets };
        let mut open: Vec<Vec<Self>> = Vec::new();
        loop {
            let closed = match reader.token()? {
                Token::Open if open.len() < NEST_MAX => {
                    open.push(Vec::new());
                    continue;
                }
                Token::Open => return None,
                Token::Close => Self::List(open.pop()?),
                Token::Item(value) => value,
            };
            match open.last_mut() {
                Some(list) => list.push(closed),
                None => return reader.rest.is_empty().then_some(closed),
            }
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    pub(super) fn at(&self, index: usize) -> &Self {
        self.list().get(index).unwrap_or(&Self::Nil)
    }

    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }
}

enum Token {
    Open,
    Close,
    Item(Value),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn token(&mut self) -> Option<Token> {
        let spaces = self.rest.iter().take_while(|b| **b == b' ').count();
        self.rest = &self.rest[spaces..];
        let (&first, tail) = self.rest.split_first()?;
        match first {
            b'(' | b')' => self.rest = tail,
            _ => {}
        }
        Some(match first {
            b'(' => Token::Open,
            b')' => Token::Close,
            b'"' => {
                self.rest = tail;
                Token::Item(self.quoted()?)
            }
            b'{' => {
                self.rest = tail;
                Token::Item(self.literal()?)
            }
            _ => Token::Item(self.atom()?),
        })
    }

    fn quoted(&mut self) -> Option<Value> {
        let mut text = Vec::new();
        loop {
            let (&b, tail) = self.rest.split_first()?;
            self.rest = tail;
            match b {
                b'"' => return Some(Value::Text(text)),
                b'\\' => {
                    let (&escaped, tail) = self.rest.split_first()?;
                    self.rest = tail;
                    text.push(escaped);
                }
                b => text.push(b),
            }
        }
    }

    fn literal(&mut self) -> Option<Value> {
        let end = memchr::memchr(b'}', self.rest)?;
        let length: usize = std::str::from_utf8(&self.rest[..end]).ok()?.parse().ok()?;
        let content = self.rest.get(end + 1..)?.strip_prefix(b"\r\n")?;
        let (text, rest) = content.split_at_checked(length)?;
        self.rest = rest;
        Some(Value::Text(text.to_vec()))
    }

    fn atom(&mut self) -> Option<Value> {
        let end = self.rest.iter().position(|b| matches!(b, b' ' | b'(' | b')')).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        match atom {
            b"NIL" => Some(Value::Nil),
            digits => std::str::from_utf8(digits).ok()?.parse().ok().map(Value::Number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = |text: &str| Value::Text(text.into());
        let read = Value::parse(b"((\"a \\\"b\" NIL)(12 {3}\r\n\"(x) \"mixed\")");
        let expected = Value::List(vec![
            Value::List(vec![text("a \"b"), Value::Nil]),
            Value::List(vec![Value::Number(12), text("\"(x")]),
            text("mixed"),
        ]);
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn what_is_damaged_is_nothing() {
        for bad in [&b"("[..], b")", b"(\"a", b"({9}\r\nabc)", b"({1)", b"(a)", b"() ()", b"", b"-1"] {
            assert_eq!(Value::parse(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(Value::parse(&b"(".repeat(100_000)), None);
    }
}
