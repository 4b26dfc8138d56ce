//! URLs of our own messages, as CATENATE names them (RFC 4469, RFC 5092): without a server, for there is only this one.

use crate::command::{Partial, Section};
use crate::parser;

/// A message, or part of one, of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// The folder; `None` for the one that is selected.
    pub folder: Option<String>,
    /// UIDVALIDITY, if the URL holds only under one.
    pub uid_validity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// What of it.
    pub section: Section,
    /// Which octets of that. Without a length, it is `u64::MAX`.
    pub partial: Option<Partial>,
}

impl MessageUrl {
    /// Reads `/folder[;UIDVALIDITY=n]/;UID=n[/;SECTION=s][/;PARTIAL=o[.l]]`, or from `;UID=` on when the folder is the selected one. A URL with a
    /// server, a search or a URLAUTH is none here.
    pub fn parse(text: &str) -> Option<Self> {
        let (folder, uid_validity, rest) = match text.strip_prefix('/') {
            Some(path) if !path.starts_with('/') => folder(path)?,
            Some(_) => return None,
            None => (None, None, text),
        };
        let mut pieces = rest.split("/;");
        let uid = number(parameter(pieces.next()?.strip_prefix(';')?, "UID")?)?;
        let mut url = Self { folder, uid_validity, uid, section: Section::default(), partial: None };
        let mut piece = pieces.next();
        if let Some(section) = piece.and_then(|piece| parameter(piece, "SECTION")) {
            url.section = parser::section(decoded(section)?.as_bytes())?;
            piece = pieces.next();
        }
        if let Some(range) = piece.and_then(|piece| parameter(piece, "PARTIAL")) {
            url.partial = Some(partial(range)?);
            piece = pieces.next();
        }
        piece.is_none().then_some(url)
    }
}

/// `enc-mailbox [";UIDVALIDITY=" nz-number] "/"`: a folder, its UIDVALIDITY, and what follows.
fn folder(path: &str) -> Option<(Option<String>, Option<u32>, &str)> {
    let at = path.to_ascii_uppercase().find("/;UID=")?;
    let (before, rest) = path.split_at_checked(at)?;
    let (name, validity) = match before.split_once(';') {
        Some((name, given)) => (name, Some(number(parameter(given, "UIDVALIDITY")?)?)),
        None => (before, None),
    };
    Some((Some(parser::folder_name(decoded(name)?)?), validity, rest.strip_prefix('/')?))
}

/// The value of `NAME=value`.
fn parameter<'t>(piece: &'t str, name: &str) -> Option<&'t str> {
    let (found, value) = piece.split_once('=')?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

/// `nz-number`
fn number(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_number)
}

/// `number ["." nz-number]`
fn partial(range: &str) -> Option<Partial> {
    let number = |digits: &str| -> Option<u64> {
        digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let (origin, length) = match range.split_once('.') {
        Some((origin, length)) => (number(origin)?, number(length).filter(|length| *length > 0)?),
        None => (number(range)?, u64::MAX),
    };
    Some(Partial { origin, length })
}

/// The text behind `%XX`, in UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            octets.push(b);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        octets.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::SectionText;

    #[test]
    fn the_urls_of_the_rfc_are_read() {
        let url = MessageUrl::parse("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.2.MIME").unwrap();
        assert_eq!(
            (url.folder.as_deref(), url.uid_validity, url.uid),
            (Some("Drafts"), Some(385_759_045), 20)
        );
        assert_eq!(url.section, Section { part: vec![1, 2], text: SectionText::Mime });
        let url = MessageUrl::parse("/inbox/%C3%89t%C3%A9/;UID=1/;PARTIAL=3.5").unwrap();
        assert_eq!(url.folder.as_deref(), Some("INBOX/Été"));
        assert_eq!((url.section, url.partial), (Section::default(), Some(Partial { origin: 3, length: 5 })));
        let url = MessageUrl::parse(";uid=7/;section=HEADER.FIELDS%20(From%20To)/;partial=3").unwrap();
        assert_eq!((url.folder, url.uid), (None, 7));
        assert_eq!(url.section.text, SectionText::HeaderFields(vec!["From".into(), "To".into()]));
        assert_eq!(url.partial.map(|partial| partial.length), Some(u64::MAX));
    }

    #[test]
    fn what_names_no_message_of_ours_is_refused() {
        for text in [
            "",
            "/",
            "/INBOX",
            "/INBOX/",
            "/INBOX/;UID=0",
            "/INBOX/;UID=",
            "/INBOX/;UID=+1",
            "/INBOX/;UID=1:2",
            "/INBOX/;UID=4294967296",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/INBOX;X=1/;UID=1",
            "/INBOX/;UID=1/;SECTION=MIME",
            "/INBOX/;UID=1/;SECTION=1/x",
            "/INBOX/;UID=1/;PARTIAL=1/;SECTION=1",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1/;X=1",
            "/INBOX/;UID=1;URLAUTH=anonymous:internal:x",
            "/%FF/;UID=1",
            "/%4/;UID=1",
            "/a%0Ab/;UID=1",
            "//host/INBOX/;UID=1",
            "imap://host/INBOX/;UID=1",
            "INBOX/;UID=1",
        ] {
            assert_eq!(MessageUrl::parse(text), None, "{text}");
        }
    }
}
