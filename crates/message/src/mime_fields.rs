//! What the header of an entity says of its body: the `Content-*` fields (RFC 2045, RFC 2183, RFC 3282, RFC 2557).
//!
//! Values are kept raw, not decoded; only the pieces of a continued parameter are joined (RFC 2231 §3 and §6). The first field of a name counts. Which kinds of entity are descended into is
//! not decided here.

use crate::continuations;
use crate::header::Field;

/// At most this many parameters of one field are read.
const PARAMETERS_MAX: usize = 100;

/// A parameter: (attribute, value), as written.
pub(crate) type Parameter = (Vec<u8>, Vec<u8>);

/// The `Content-*` fields of one entity.
#[derive(Debug, Default)]
pub(crate) struct MimeFields {
    pub(crate) content_type: Option<ContentType>,
    pub(crate) disposition: Option<(Vec<u8>, Vec<Parameter>)>,
    pub(crate) encoding: Option<Vec<u8>>,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) md5: Option<Vec<u8>>,
    pub(crate) languages: Vec<Vec<u8>>,
    pub(crate) location: Option<Vec<u8>>,
}

impl MimeFields {
    /// Notes a field if it is one of these.
    pub(crate) fn note(&mut self, field: &Field<'_>) {
        let Some((prefix, name)) = field.name.split_at_checked("content-".len()) else { return };
        if !prefix.eq_ignore_ascii_case(b"content-") {
            return;
        }
        let value = || Some(field.value());
        match name.to_ascii_lowercase().as_slice() {
            b"type" if self.content_type.is_none() => {
                self.content_type =
                    Some(ContentType::parse(&field.value()).unwrap_or_else(ContentType::plain));
            }
            b"disposition" if self.disposition.is_none() => {
                self.disposition = parse_disposition(&field.value());
            }
            b"transfer-encoding" if self.encoding.is_none() => self.encoding = parse_encoding(&field.value()),
            b"id" if self.id.is_none() => self.id = value(),
            b"description" if self.description.is_none() => self.description = value(),
            b"md5" if self.md5.is_none() => self.md5 = value(),
            b"location" if self.location.is_none() => self.location = value(),
            b"language" if self.languages.is_empty() => self.languages = parse_languages(&field.value()),
            _ => {}
        }
    }
}

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentType {
    pub(crate) media_type: String,
    pub(crate) subtype: String,
    pub(crate) parameters: Vec<Parameter>,
}

impl ContentType {
    /// A type without parameters.
    pub(crate) fn new(media_type: &str, subtype: &str) -> Self {
        Self { media_type: media_type.to_owned(), subtype: subtype.to_owned(), parameters: Vec::new() }
    }

    /// `text/plain`, what anything unreadable is taken for (RFC 2045 §5.2).
    pub(crate) fn plain() -> Self {
        Self::new("text", "plain")
    }

    /// Reads an unfolded value; `None` when there is no `type/subtype` at its start.
    fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: value };
        let media_type = reader.token()?;
        reader.skip_blanks();
        reader.rest = reader.rest.strip_prefix(b"/")?;
        let subtype = reader.token()?;
        // A subtype that goes on in octets that no token has is not a shorter subtype.
        if reader.rest.first().is_some_and(|b| !b.is_ascii()) {
            return None;
        }
        Some(Self { media_type, subtype, parameters: reader.parameters() })
    }

    /// The value of the first parameter of that name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    }

    /// Whether it is that type, whatever the case.
    pub(crate) fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

fn parse_disposition(value: &[u8]) -> Option<(Vec<u8>, Vec<Parameter>)> {
    let mut reader = Reader { rest: value };
    let kind = reader.token()?;
    Some((kind.into_bytes(), reader.parameters()))
}

/// One word. `7 bit` and `charset=x` name no encoding; senders do write a semicolon after one.
fn parse_encoding(value: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: value };
    let token = reader.token()?;
    reader.skip_blanks();
    matches!(reader.rest.first(), None | Some(b';')).then(|| token.into_bytes())
}

/// The tags that are one word each; what is no tag is passed over.
fn parse_languages(value: &[u8]) -> Vec<Vec<u8>> {
    let tag = |tag| {
        let mut reader = Reader { rest: tag };
        let word = reader.token()?;
        reader.skip_blanks();
        reader.rest.is_empty().then(|| word.into_bytes())
    };
    value.split(|b| *b == b',').take(PARAMETERS_MAX).filter_map(tag).collect()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// RFC 2045 §5.1 `token` after white space and comments.
    fn token(&mut self) -> Option<String> {
        self.skip_blanks();
        let length = self.rest.iter().take_while(|b| is_token(**b)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        // Token characters are ASCII, so the lossy reading loses nothing.
        (length > 0).then(|| String::from_utf8_lossy(token).into_owned())
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        let mut found = Vec::new();
        while found.len() < PARAMETERS_MAX && self.skip_past_semicolon() {
            let Some(name) = self.token() else { continue };
            self.skip_blanks();
            let Some(rest) = self.rest.strip_prefix(b"=") else { continue };
            self.rest = rest;
            self.skip_blanks();
            let paths = !name.eq_ignore_ascii_case("boundary");
            let value = self.value(paths);
            found.push((name.into_bytes(), value));
        }
        continuations::join(found)
    }

    fn value(&mut self, paths: bool) -> Vec<u8> {
        if let Some(rest) = self.rest.strip_prefix(b"\"") {
            self.rest = rest;
            return self.quoted(paths);
        }
        // Senders leave quotes out around spaces, so only `;` and a comment end the value.
        let end = self.rest.iter().position(|b| matches!(b, b';' | b'(')).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        value.trim_ascii_end().to_vec()
    }

    /// A quoted string whose first quote was taken. With `paths`, a backslash before anything but a quote or a backslash is one of a
    /// Windows path of a careless sender; what a delimiter must equal is read to the letter.
    fn quoted(&mut self, paths: bool) -> Vec<u8> {
        let mut value = Vec::new();
        while let Some((&b, tail)) = self.rest.split_first() {
            self.rest = tail;
            match (b, tail.split_first()) {
                (b'"', _) => break,
                (b'\\', Some((&escaped, after))) if !paths || matches!(escaped, b'"' | b'\\') => {
                    value.push(escaped);
                    self.rest = after;
                }
                _ => value.push(b),
            }
        }
        value
    }

    /// Moves after the next `;` that is in no comment and no quoted string; false when there is none.
    fn skip_past_semicolon(&mut self) -> bool {
        loop {
            self.skip_blanks();
            let Some((&b, tail)) = self.rest.split_first() else { return false };
            self.rest = tail;
            match b {
                b';' => return true,
                b'"' => drop(self.quoted(true)),
                _ => {}
            }
        }
    }

    fn skip_blanks(&mut self) {
        let mut depth = 0u32;
        while let Some((&b, tail)) = self.rest.split_first() {
            match b {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.rest = tail.get(1..).unwrap_or_default();
                    continue;
                }
                _ if depth > 0 || b.is_ascii_whitespace() => {}
                _ => return,
            }
            self.rest = tail;
        }
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let Some(parsed) = ContentType::parse(value.as_bytes()) else { return "-".to_owned() };
        let mut out = format!("{}/{}", parsed.media_type, parsed.subtype);
        for (name, value) in &parsed.parameters {
            out += &format!(" {}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        }
        out
    }

    #[test]
    fn content_types_are_read_leniently() {
        for (value, expected) in [
            ("Text/HTML; charset=UTF-8", "Text/HTML charset=\"UTF-8\""),
            ("multipart/mixed; boundary=\"a;b \\\"c\"", "multipart/mixed boundary=\"a;b \\\"c\""),
            ("text/plain (a;b) ; (c) charset (d) = x (e); y=z", "text/plain charset=\"x\" y=\"z\""),
            ("application/pdf; name=compte rendu.pdf; x", "application/pdf name=\"compte rendu.pdf\""),
            ("a/b; name*0*=utf-8''%C3%A9; name*1=x", "a/b name*=\"utf-8''%C3%A9x\""),
            ("a/b; boundary=\"b\\c\\\"d\"", "a/b boundary=\"bc\\\"d\""),
            ("a/bé", "-"),
            ("a/b;;; ;x=1;=2;y", "a/b x=\"1\""),
            ("a / b", "a/b"),
            ("a/b junk \"; x=1\"; y=2", "a/b y=\"2\""),
            ("a/b; n=\"C:\\dir\"", "a/b n=\"C:\\\\dir\""),
            ("text", "-"),
            ("/plain", "-"),
            ("text/", "-"),
            ("té/xt", "-"),
            ("", "-"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn an_encoding_is_one_word() {
        for (value, expected) in [
            ("(a) BASE64 (b)", "BASE64"),
            ("base64;", "base64"),
            ("7 bit", "-"),
            ("charset=utf-8", "-"),
            ("", "-"),
        ] {
            let parsed = parse_encoding(value.as_bytes()).unwrap_or_else(|| b"-".to_vec());
            assert_eq!(parsed, expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn parameters_are_bounded_and_hostile_values_linear() {
        let many = format!("a/b{}", ";x=y".repeat(10_000));
        assert_eq!(ContentType::parse(many.as_bytes()).map(|t| t.parameters.len()), Some(PARAMETERS_MAX));
        for piece in [";", "(", ";\"", "\\", ";a=("] {
            ContentType::parse(format!("a/b{}", piece.repeat(100_000)).as_bytes());
        }
    }
}
