//! SEARCH (RFC 3501 `search`, RFC 4731 `search-return-opts`).

use super::cursor::is_atom_char;
use super::{Cursor, Parsed, dates, sequence_set};
use crate::charset;
use crate::command::{CommandBody, SearchArguments, SearchKey, SearchReturn};
use mail_types::{SystemFlags, is_keyword};

/// Nesting of NOT, OR and parentheses.
const DEPTH_MAX: usize = 32;
/// Keys in one search, nested ones counted.
const KEYS_MAX: usize = 1000;

/// `[SP "RETURN" SP "(" … ")"] [SP "CHARSET" SP astring] 1*(SP search-key)`
pub(super) fn arguments(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let mut returning = None;
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        returning = Some(cursor.list(return_option)?);
        cursor.space()?;
    }
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset = Some(cursor.astring_utf8()?.to_ascii_uppercase());
        cursor.space()?;
    }
    let reading = charset.as_deref().map_or(Some(encoding_rs::UTF_8), charset::named);
    let mut keys = Keys { cursor, reading, left: KEYS_MAX };
    let mut criteria = vec![keys.key(0)?];
    while keys.cursor.eat(b' ') {
        criteria.push(keys.key(0)?);
    }
    Ok(CommandBody::Search(SearchArguments { by_uid, charset, returning, criteria: all_of(criteria) }))
}

fn return_option(cursor: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    match cursor.keyword()?.as_str() {
        "MIN" => Ok(SearchReturn::Min),
        "MAX" => Ok(SearchReturn::Max),
        "ALL" => Ok(SearchReturn::All),
        "COUNT" => Ok(SearchReturn::Count),
        "SAVE" => Ok(SearchReturn::Save),
        _ => Err("Unknown return option"),
    }
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        last => {
            keys.extend(last);
            SearchKey::And(keys)
        }
    }
}

struct Keys<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    /// The charset of strings. `None`: it is one that we do not read, and they are only skipped.
    reading: Option<&'static encoding_rs::Encoding>,
    left: usize,
}

impl Keys<'_, '_> {
    fn key(&mut self, depth: usize) -> Parsed<SearchKey> {
        self.left = self.left.checked_sub(1).ok_or("Too many search keys")?;
        if depth > DEPTH_MAX {
            return Err("Search keys nested too deep");
        }
        match self.cursor.peek() {
            Some(b'(') => self.parenthesised(depth + 1),
            Some(b'0'..=b'9' | b'*') => sequence_set(self.cursor).map(SearchKey::Sequence),
            _ => {
                let name = self.cursor.keyword()?;
                self.named(&name, depth)
            }
        }
    }

    fn parenthesised(&mut self, depth: usize) -> Parsed<SearchKey> {
        self.cursor.expect(b'(', "Expected a list in parentheses")?;
        let mut keys = vec![self.key(depth)?];
        while self.cursor.eat(b' ') {
            keys.push(self.key(depth)?);
        }
        self.cursor.expect(b')', "Unclosed list")?;
        Ok(all_of(keys))
    }

    fn named(&mut self, name: &str, depth: usize) -> Parsed<SearchKey> {
        use SearchKey as Key;
        Ok(match name {
            "ALL" => Key::All,
            "NEW" => Key::New,
            "OLD" => Key::Old,
            "RECENT" => Key::Recent,
            "ANSWERED" => Key::Has(SystemFlags::ANSWERED),
            "DELETED" => Key::Has(SystemFlags::DELETED),
            "DRAFT" => Key::Has(SystemFlags::DRAFT),
            "FLAGGED" => Key::Has(SystemFlags::FLAGGED),
            "SEEN" => Key::Has(SystemFlags::SEEN),
            "UNANSWERED" => Key::Lacks(SystemFlags::ANSWERED),
            "UNDELETED" => Key::Lacks(SystemFlags::DELETED),
            "UNDRAFT" => Key::Lacks(SystemFlags::DRAFT),
            "UNFLAGGED" => Key::Lacks(SystemFlags::FLAGGED),
            "UNSEEN" => Key::Lacks(SystemFlags::SEEN),
            "KEYWORD" => Key::Keyword(self.flag_keyword()?),
            "UNKEYWORD" => Key::Unkeyword(self.flag_keyword()?),
            "BCC" => Key::Bcc(self.text()?),
            "CC" => Key::Cc(self.text()?),
            "FROM" => Key::From(self.text()?),
            "TO" => Key::To(self.text()?),
            "SUBJECT" => Key::Subject(self.text()?),
            "BODY" => Key::Body(self.text()?),
            "TEXT" => Key::Text(self.text()?),
            "HEADER" => Key::Header { name: self.text()?, value: self.text()? },
            "BEFORE" => Key::Before(self.date()?),
            "ON" => Key::On(self.date()?),
            "SINCE" => Key::Since(self.date()?),
            "SENTBEFORE" => Key::SentBefore(self.date()?),
            "SENTON" => Key::SentOn(self.date()?),
            "SENTSINCE" => Key::SentSince(self.date()?),
            "LARGER" => Key::Larger(self.number()?),
            "SMALLER" => Key::Smaller(self.number()?),
            "UID" => Key::Uid(super::spaced_set(self.cursor)?),
            "MODSEQ" => Key::ModSeq(self.mod_sequence()?),
            "NOT" => Key::Not(Box::new(self.operand(depth)?)),
            "OR" => Key::Or(Box::new(self.operand(depth)?), Box::new(self.operand(depth)?)),
            _ => return Err("Unknown search key"),
        })
    }

    fn operand(&mut self, depth: usize) -> Parsed<SearchKey> {
        self.cursor.space()?;
        self.key(depth + 1)
    }

    fn text(&mut self) -> Parsed<String> {
        self.cursor.space()?;
        let octets = self.cursor.astring()?;
        match self.reading {
            Some(charset) => charset::decode(charset, &octets).ok_or("A string is not in the charset"),
            None => Ok(String::new()),
        }
    }

    fn flag_keyword(&mut self) -> Parsed<String> {
        self.cursor.space()?;
        let word = self.cursor.atom()?;
        if is_keyword(word) { Ok(word.to_owned()) } else { Err("Invalid keyword") }
    }

    fn date(&mut self) -> Parsed<crate::command::Date> {
        self.cursor.space()?;
        dates::date(self.cursor)
    }

    fn number(&mut self) -> Parsed<u64> {
        self.cursor.space()?;
        self.cursor.number()
    }

    /// RFC 7162 `search-modsequence`: `[SP entry-name SP entry-type-req] SP mod-sequence-valzer`
    fn mod_sequence(&mut self) -> Parsed<u64> {
        self.cursor.space()?;
        if self.cursor.peek() == Some(b'"') {
            self.cursor.string()?;
            self.cursor.space()?;
            let kind = self.cursor.take_while(is_atom_char);
            if !["all", "priv", "shared"].iter().any(|each| kind.eq_ignore_ascii_case(each.as_bytes())) {
                return Err("Invalid entry type");
            }
            self.cursor.space()?;
        }
        self.cursor.number()
    }
}
