//! SEARCH (RFC 3501 `search`, RFC 4731 `search-return-opts`, RFC 9394 `partial-range`).

use super::cursor::is_atom_char;
use super::{Cursor, Parsed, dates, message_set};
use crate::charset;
use crate::command::{CommandBody, PartialRange, SearchArguments, SearchKey, SearchReturn};
use mail_types::{SystemFlags, is_keyword};

/// Nesting of NOT, OR and parentheses.
const DEPTH_MAX: usize = 32;
/// Keys in one search, nested ones counted.
const KEYS_MAX: usize = 1000;

/// `[SP "RETURN" SP "(" … ")"] [SP "CHARSET" SP astring] 1*(SP search-key)`
pub(super) fn arguments(cursor: &mut Cursor<'_>, by_uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let returning = returning(cursor)?;
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset = Some(cursor.astring_utf8()?.to_ascii_uppercase());
        cursor.space()?;
    }
    let criteria = criteria(cursor, charset.as_deref())?;
    Ok(CommandBody::Search(SearchArguments { by_uid, charset, returning, criteria }))
}

/// `["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP]`
pub(super) fn returning(cursor: &mut Cursor<'_>) -> Parsed<Option<SearchReturn>> {
    if !cursor.eat_word("RETURN") {
        return Ok(None);
    }
    cursor.space()?;
    let mut options = SearchReturn::default();
    let given = cursor.list(|cursor| return_option(cursor, &mut options))?;
    cursor.space()?;
    options.all |= given.is_empty();
    if options.all && options.partial.is_some() {
        return Err("ALL and PARTIAL exclude each other");
    }
    Ok(Some(options))
}

fn return_option(cursor: &mut Cursor<'_>, options: &mut SearchReturn) -> Parsed<()> {
    *match cursor.keyword()?.as_str() {
        "MIN" => &mut options.min,
        "MAX" => &mut options.max,
        "ALL" => &mut options.all,
        "COUNT" => &mut options.count,
        "SAVE" => &mut options.save,
        "PARTIAL" if options.partial.is_some() => return Err("PARTIAL may be given once"),
        "PARTIAL" => {
            cursor.space()?;
            options.partial = Some(partial_range(cursor)?);
            return Ok(());
        }
        _ => return Err("Unknown return option"),
    } = true;
    Ok(())
}

/// `partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number`
pub(super) fn partial_range(cursor: &mut Cursor<'_>) -> Parsed<PartialRange> {
    const INVALID: &str = "Invalid partial range";
    let from_end = cursor.eat(b'-');
    let first = cursor.nz_number().map_err(|_| INVALID)?;
    cursor.expect(b':', INVALID)?;
    if cursor.eat(b'-') != from_end {
        return Err(INVALID);
    }
    let last = cursor.nz_number().map_err(|_| INVALID)?;
    Ok(PartialRange::new(from_end, (first, last)))
}

/// `search-key *(SP search-key)`, strings read in that charset.
pub(super) fn criteria(cursor: &mut Cursor<'_>, charset: Option<&str>) -> Parsed<SearchKey> {
    let reading = charset.map_or(Some(encoding_rs::UTF_8), charset::named);
    let mut keys = Keys { cursor, reading, left: KEYS_MAX };
    let mut criteria = vec![keys.key(0)?];
    while keys.cursor.eat(b' ') {
        criteria.push(keys.key(0)?);
    }
    Ok(all_of(criteria))
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
            Some(b'0'..=b'9' | b'*' | b'$') => message_set(self.cursor).map(SearchKey::Sequence),
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
            "YOUNGER" => Key::Younger(self.nz_number()?),
            "OLDER" => Key::Older(self.nz_number()?),
            "SAVEDBEFORE" => Key::SavedBefore(self.date()?),
            "SAVEDON" => Key::SavedOn(self.date()?),
            "SAVEDSINCE" => Key::SavedSince(self.date()?),
            "SAVEDATESUPPORTED" => Key::SaveDateSupported,
            "LARGER" => Key::Larger(self.number()?),
            "SMALLER" => Key::Smaller(self.number()?),
            "UID" => Key::Uid(super::spaced_set(self.cursor)?),
            "UIDAFTER" => Key::UidAfter(self.nz_number()?),
            "UIDBEFORE" => Key::UidBefore(self.nz_number()?),
            "MODSEQ" => Key::ModSeq(self.mod_sequence()?),
            "EMAILID" => Key::EmailId(self.object_id()?),
            "THREADID" => Key::ThreadId(self.object_id()?),
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

    /// RFC 8474 `objectid = 1*255(ALPHA / DIGIT / "_" / "-")`
    fn object_id(&mut self) -> Parsed<String> {
        self.cursor.space()?;
        let id = self.cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let id = std::str::from_utf8(id).unwrap_or_default();
        if id.is_empty() || id.len() > 255 { Err("Invalid object identifier") } else { Ok(id.to_owned()) }
    }

    fn date(&mut self) -> Parsed<crate::command::Date> {
        self.cursor.space()?;
        dates::date(self.cursor)
    }

    /// Seconds (RFC 5032) or a UID (RFC 9738).
    fn nz_number(&mut self) -> Parsed<u32> {
        self.cursor.space()?;
        self.cursor.nz_number()
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
