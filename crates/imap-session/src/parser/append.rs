//! APPEND and REPLACE (RFC 3501 §6.3.11; RFC 3502, 3516, 4466, 4469, 6855, 8508), read in stretches: up to a literal, and on from it.
//!
//! ```text
//! a APPEND Drafts (\Seen) {12}   …12 octets…   "17-Jul-1996 02:44:25 -0700" CATENATE (URL "/x" TEXT {3}   …3 octets…   )
//! └──────── stretch ─────┘                      └────────────── stretch ────────────────────┘                      └┘ the last
//! ```

use super::{Cursor, Parsed, dates, flags, folder, sequence_set, tag};
use crate::command::{AppendBegin, AppendData, AppendMessage, AppendStep, FlagList, Replaced};
use crate::sequence::SequenceSet;

/// What a stretch continues, when it does not begin a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    within: Within,
    /// REPLACE takes one message.
    is_replace: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// After a message that is whole.
    Messages,
    /// In `UTF8 (`, after its literal.
    Utf8,
    /// In `CATENATE (`, before the URL that comes in a literal.
    Url,
    /// In `CATENATE (`, after a text.
    Parts,
    /// In `CATENATE ( … UTF8 (`, after its literal.
    Utf8Part,
}

/// What a stretch held.
pub(crate) enum Stretch {
    /// Another command.
    Other,
    /// These steps.
    Read { steps: Vec<AppendStep>, then: Then },
    /// It is not grammatical; the text is for the client.
    Malformed(&'static str),
}

/// What comes after a stretch.
pub(crate) enum Then {
    /// An argument in a literal. The text goes on from the given place with that literal, or, without one, all of it is to be read again.
    Argument(Option<Place>),
    /// Octets of a message, and after them text that belongs there.
    Content(Place),
    /// Nothing: the command is complete.
    End,
}

const NO_LITERAL: &str = "APPEND needs a folder and a literal";

/// Reads a stretch from `place`, or from the tag. It is `whole` when the line ends behind it, else a literal follows.
pub(crate) fn stretch(bytes: &[u8], utf8: bool, place: Option<Place>, whole: bool) -> Stretch {
    let mut reader = Reader { cursor: Cursor::new(bytes, utf8), whole, is_replace: false, steps: Vec::new() };
    let then = match place {
        None => match reader.command() {
            Ok(Some(head)) => reader.arguments(head),
            Ok(None) | Err(_) => return Stretch::Other,
        },
        Some(place) => {
            reader.is_replace = place.is_replace;
            reader.resume(place.within)
        }
    };
    match then {
        Ok(then) => Stretch::Read { steps: reader.steps, then },
        Err(text) => Stretch::Malformed(text),
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    whole: bool,
    is_replace: bool,
    steps: Vec<AppendStep>,
}

/// How the command begins.
struct Head {
    tag: String,
    /// REPLACE, or UID REPLACE.
    replaces_by_uid: Option<bool>,
}

impl Reader<'_> {
    /// Reads the name of the command; `None` when it is another.
    fn command(&mut self) -> Parsed<Option<Head>> {
        let cursor = &mut self.cursor;
        let tag = tag(cursor)?;
        cursor.space()?;
        if cursor.eat_word("APPEND") {
            return Ok(Some(Head { tag, replaces_by_uid: None }));
        }
        let by_uid = cursor.eat_word("UID");
        if by_uid {
            cursor.space()?;
        }
        self.is_replace = cursor.eat_word("REPLACE");
        Ok(self.is_replace.then_some(Head { tag, replaces_by_uid: Some(by_uid) }))
    }

    /// `[SP seq-number] SP mailbox 1*append-message`
    fn arguments(&mut self, head: Head) -> Parsed<Then> {
        let mut replaced = None;
        if let Some(by_uid) = head.replaces_by_uid {
            self.cursor.space()?;
            replaced = Some(Replaced { by_uid, message: one_number(&mut self.cursor)? });
        }
        self.cursor.expect(b' ', NO_LITERAL)?;
        if self.cursor.at_end() && !self.whole {
            return Ok(Then::Argument(None));
        }
        let folder = folder::name(&mut self.cursor)?;
        self.steps.push(AppendStep::Begin(AppendBegin { tag: head.tag, folder, replaced }));
        if self.cursor.at_end() && self.whole {
            return Err(NO_LITERAL);
        }
        self.message()
    }

    fn resume(&mut self, within: Within) -> Parsed<Then> {
        match within {
            Within::Messages => self.messages(),
            Within::Utf8 => {
                self.close()?;
                self.messages()
            }
            Within::Url => {
                self.url()?;
                self.parts()
            }
            Within::Parts => self.parts(),
            Within::Utf8Part => {
                self.close()?;
                self.parts()
            }
        }
    }

    fn close(&mut self) -> Parsed<()> {
        self.cursor.expect(b')', "Unclosed list")
    }

    /// After a message: another, or the end.
    fn messages(&mut self) -> Parsed<Then> {
        if self.cursor.at_end() && self.whole {
            self.steps.push(AppendStep::End);
            return Ok(Then::End);
        }
        if self.is_replace {
            return Err("REPLACE takes one message");
        }
        self.message()
    }

    /// `SP [flag-list SP] [date-time SP] append-data`
    fn message(&mut self) -> Parsed<Then> {
        let cursor = &mut self.cursor;
        cursor.space()?;
        let mut flags = FlagList::default();
        if cursor.peek() == Some(b'(') {
            flags = flags::parenthesised(cursor)?;
            cursor.space()?;
        }
        let mut internal_date = None;
        if cursor.peek() == Some(b'"') {
            internal_date = Some(dates::date_time(cursor)?);
            cursor.space()?;
        }
        let data = if cursor.eat_word("CATENATE") {
            cursor.expect(b' ', "Missing argument")?;
            cursor.expect(b'(', "Expected a list in parentheses")?;
            AppendData::Catenate
        } else if cursor.eat_word("UTF8") {
            utf8_begin(cursor)?;
            AppendData::Utf8
        } else if cursor.eat(b'~') {
            AppendData::Literal8
        } else {
            AppendData::Literal
        };
        self.steps.push(AppendStep::Message(AppendMessage { flags, internal_date, data }));
        match data {
            AppendData::Catenate => self.part(),
            AppendData::Utf8 => self.content(Within::Utf8),
            AppendData::Literal | AppendData::Literal8 => self.content(Within::Messages),
        }
    }

    /// After a part of CATENATE: another, or the end of the message.
    fn parts(&mut self) -> Parsed<Then> {
        if self.cursor.eat(b')') {
            return self.messages();
        }
        self.cursor.space()?;
        self.part()
    }

    /// `"TEXT" SP literal`, `"URL" SP astring` or `"UTF8" SP "(" literal8 ")"`, and what follows
    fn part(&mut self) -> Parsed<Then> {
        loop {
            if self.cursor.eat_word("TEXT") {
                self.cursor.space()?;
                self.cursor.eat(b'~');
                return self.content(Within::Parts);
            }
            if self.cursor.eat_word("UTF8") {
                utf8_begin(&mut self.cursor)?;
                return self.content(Within::Utf8Part);
            }
            if !self.cursor.eat_word("URL") {
                return Err("Expected TEXT or URL");
            }
            self.cursor.space()?;
            if self.cursor.at_end() && !self.whole {
                return Ok(Then::Argument(Some(self.place(Within::Url))));
            }
            self.url()?;
            if self.cursor.eat(b')') {
                return self.messages();
            }
            self.cursor.space()?;
        }
    }

    fn url(&mut self) -> Parsed<()> {
        let url = self.cursor.astring_utf8()?;
        self.steps.push(AppendStep::Url(url));
        Ok(())
    }

    /// A literal of content is due here.
    fn content(&mut self, after: Within) -> Parsed<Then> {
        match (self.cursor.at_end(), self.whole) {
            (true, false) => Ok(Then::Content(self.place(after))),
            (true, true) => Err(NO_LITERAL),
            (false, _) => Err("Expected a literal"),
        }
    }

    fn place(&self, within: Within) -> Place {
        Place { within, is_replace: self.is_replace }
    }
}

/// What stands between the `UTF8` and the literal of `utf8-literal = "UTF8" SP "(" literal8 ")"` (RFC 6855 §4)
fn utf8_begin(cursor: &mut Cursor<'_>) -> Parsed<()> {
    if !cursor.utf8 {
        return Err("UTF8 needs UTF8=ACCEPT to be enabled");
    }
    cursor.space()?;
    cursor.expect(b'(', "Expected a list in parentheses")?;
    cursor.expect(b'~', "Expected a literal8")
}

/// `seq-number = nz-number / "*"`
fn one_number(cursor: &mut Cursor<'_>) -> Parsed<SequenceSet> {
    let set = sequence_set(cursor)?;
    if set.is_one() { Ok(set) } else { Err("REPLACE takes the number of one message") }
}
