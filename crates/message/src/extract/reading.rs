//! Looking for texts in a message that is read piece by piece: one with too much text for an [extract](super::Extract).
//!
//! What is found is what an extract of the whole message would hold. Memory is bounded by the longest text that is looked for and by the size of what is
//! read at one time, not by the message.
//!
//! Deviation: a header field of more than [`FIELD_MAX`] octets is decoded in parts; a character that is split between the encoded words of two
//! parts is not found.

use super::folding::{casemapped, is_unaccented, spaced, unaccented_text};
use super::{Folding, Kind, Needle, Piece};
use crate::header::{Blocks, decode_value, parse_field};
use crate::text::{BodyDecoder, HtmlText, declared_charset};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, WINDOWS_1252};

/// Octets of a field that are decoded together.
const FIELD_MAX: usize = 1024 * 1024;
/// Octets of text that are looked through together, at least.
const WINDOW: usize = 128 * 1024;

/// A text that is looked for, and where.
#[derive(Clone, Copy, Debug)]
pub enum Sought<'k> {
    /// In the values of the fields of that name of the message's header, whatever the case of the name.
    Field(&'k str, &'k Needle),
    /// In the fields of the message's header, their names counted in.
    Header(&'k Needle),
    /// In the texts of the body.
    Body(&'k Needle),
}

impl<'k> Sought<'k> {
    fn needle(&self) -> &'k Needle {
        match self {
            Self::Field(_, needle) | Self::Header(needle) | Self::Body(needle) => needle,
        }
    }
}

/// Takes the pieces of a message in any order, each in parts: [`begin`](Reading::begin), [`push`](Reading::push), [`end`](Reading::end).
pub struct Reading<'k> {
    folding: Folding,
    sought: Vec<Sought<'k>>,
    /// For each that is sought, whether it was found.
    found: Vec<bool>,
    /// Octets that two neighbouring windows have in common.
    overlap: usize,
    piece: Option<Open>,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[reading of a message]")
    }
}

/// The piece that is being read.
enum Open {
    Fields { is_header: bool, held: Vec<u8>, is_over: bool, field: Option<Field> },
    Text(Box<Text>),
}

/// A field of which the beginning was read.
struct Field {
    name: Vec<u8>,
    window: String,
    /// Octets of the window that are before the value.
    value_from: usize,
    /// The last part ended with an encoded word.
    ends_in_word: bool,
}

struct Text {
    transfer: Option<BodyDecoder>,
    octets: Vec<u8>,
    lane: Lane,
    /// What is not UTF-8 is Windows-1252 from its beginning: both are read, from the first octet on that is not ASCII.
    other: Option<Lane>,
    is_declared: bool,
}

/// Octets as one charset reads them.
struct Lane {
    decoder: Decoder,
    html: Option<HtmlText>,
    window: String,
    found: Vec<bool>,
    is_wrong: bool,
}

impl<'k> Reading<'k> {
    /// Looks for these.
    pub fn new(sought: Vec<Sought<'k>>, folding: Folding) -> Self {
        let longest = sought.iter().map(|sought| sought.needle().octets()).max().unwrap_or(0);
        // What is empty is in every text.
        let found = sought.iter().map(|each| !matches!(each, Sought::Field(..)) && each.needle().is_empty());
        Self { folding, found: found.collect(), sought, overlap: longest.saturating_sub(1), piece: None }
    }

    /// Whether everything was found, so that nothing more need be read. A piece that was begun is to be ended all the same.
    pub fn is_settled(&self) -> bool {
        let is_all = |found: &[bool]| found.iter().all(|found| *found);
        match &self.piece {
            Some(Open::Text(text)) => {
                is_all(&text.lane.found) && text.other.as_ref().is_none_or(|other| is_all(&other.found))
            }
            _ => is_all(&self.found),
        }
    }

    /// Whether that very needle was found where it was sought.
    pub fn has_found(&self, needle: &Needle) -> bool {
        let mut found = self.sought.iter().zip(&self.found).filter(|(_, found)| **found);
        found.any(|(sought, _)| std::ptr::eq(sought.needle(), needle))
    }

    /// A piece begins.
    pub fn begin(&mut self, piece: &Piece) {
        self.piece = Some(match &piece.kind {
            Kind::Header | Kind::Fields => Open::Fields {
                is_header: piece.kind == Kind::Header,
                held: Vec::new(),
                is_over: false,
                field: None,
            },
            Kind::Text { encoding, charset, is_html } => {
                let declared = declared_charset(charset.as_deref());
                let decoder =
                    declared.map_or_else(|| UTF_8.new_decoder_without_bom_handling(), Encoding::new_decoder);
                let html = is_html.then(HtmlText::default);
                let found = self.found.clone();
                let lane = Lane { decoder, html, window: String::new(), found, is_wrong: false };
                Open::Text(Box::new(Text {
                    transfer: Some(BodyDecoder::new(*encoding)),
                    octets: Vec::new(),
                    lane,
                    other: None,
                    is_declared: declared.is_some(),
                }))
            }
        });
    }

    /// Takes more of the piece.
    pub fn push(&mut self, raw: &[u8]) {
        match self.piece.take() {
            Some(Open::Fields { is_header, mut held, is_over: false, mut field }) => {
                held.extend_from_slice(raw);
                let is_over = self.fields(&mut held, &mut field, is_header, false);
                self.piece = Some(Open::Fields { is_header, held, is_over, field });
            }
            Some(Open::Text(mut text)) => {
                text.octets.clear();
                if let Some(transfer) = &mut text.transfer {
                    transfer.push(raw, &mut text.octets);
                }
                self.decode(&mut text, false);
                self.piece = Some(Open::Text(text));
            }
            piece => self.piece = piece,
        }
    }

    /// The piece is whole.
    pub fn end(&mut self) {
        match self.piece.take() {
            Some(Open::Fields { is_header, mut held, is_over: false, mut field }) => {
                self.fields(&mut held, &mut field, is_header, true);
            }
            Some(Open::Text(mut text)) => {
                text.octets.clear();
                if let Some(transfer) = text.transfer.take() {
                    transfer.finish(&mut text.octets);
                }
                self.decode(&mut text, true);
                let Text { lane, other, .. } = *text;
                let read = if lane.is_wrong { other.unwrap_or(lane) } else { lane };
                self.found = read.found;
            }
            _ => {}
        }
    }

    /// Takes a text of the body that is whole.
    pub fn text(&mut self, text: &str) {
        let mut mapped = String::new();
        casemapped(text, &mut mapped);
        let folded = folded(&mapped, self.folding);
        let found = &mut self.found;
        look(&self.sought, found, |sought| match sought {
            Sought::Body(_) => Some(folded.as_str()),
            Sought::Field(..) | Sought::Header(_) => None,
        });
    }

    /// Looks through the fields that are whole, and takes them away. True after the last: a header ends at its first empty line.
    fn fields(
        &mut self,
        held: &mut Vec<u8>,
        field: &mut Option<Field>,
        is_header: bool,
        is_end: bool,
    ) -> bool {
        let (mut rest, mut is_over) = (held.as_slice(), false);
        while !rest.is_empty() {
            if field.is_none() && Blocks::new(rest).next().is_none() {
                is_over = true;
                break;
            }
            let (cut, is_last) = match block_end(rest) {
                Some(end) => (end, true),
                None if is_end => (rest.len(), true),
                None if rest.len() > FIELD_MAX => (word_cut(rest), false),
                None => break,
            };
            let (part, later) = rest.split_at(cut);
            rest = later;
            self.field_part(part, field, is_header, is_last);
        }
        let read = held.len() - rest.len();
        held.drain(..read);
        is_over
    }

    /// Looks through a field, or part of one.
    fn field_part(&mut self, raw: &[u8], field: &mut Option<Field>, is_header: bool, is_last: bool) {
        let mut value = match field {
            Some(_) => unfolded(raw),
            None => {
                // A line that is no field is not read.
                let Some(found) = parse_field(raw) else {
                    *field = (!is_last).then(Field::nameless);
                    return;
                };
                *field = Some(Field::named(found.name, self.folding));
                let value = raw.get(found.name.len()..).and_then(after_colon).unwrap_or_default();
                if is_last { found.value() } else { unfolded(value) }
            }
        };
        let Some(open) = field else { return };
        if is_last {
            value.truncate(value.trim_ascii_end().len());
        }
        if open.ends_in_word && value.trim_ascii_start().starts_with(b"=?") {
            value = value.trim_ascii_start().to_vec();
        }
        open.ends_in_word = value.trim_ascii_end().ends_with(b"?=");
        if !open.name.is_empty() {
            let mut mapped = String::new();
            casemapped(&decode_value(&value), &mut mapped);
            let spaced = spaced(&mapped);
            let text = if open.window.ends_with(' ') { spaced.trim_start_matches(' ') } else { &spaced };
            open.window.push_str(&folded(text, self.folding));
            let open = &*open;
            look(&self.sought, &mut self.found, |sought| match sought {
                Sought::Field(name, _) if is_header && open.name.eq_ignore_ascii_case(name.as_bytes()) => {
                    open.window.get(open.value_from..)
                }
                Sought::Header(_) if is_header => Some(&open.window),
                Sought::Body(_) if !is_header => Some(&open.window),
                _ => None,
            });
        }
        if is_last {
            *field = None;
        } else {
            open.value_from = open.value_from.saturating_sub(drained(&mut open.window, self.overlap));
        }
    }

    fn decode(&mut self, text: &mut Text, is_end: bool) {
        let Self { folding, sought, overlap, .. } = self;
        if !text.is_declared && text.other.is_none() && !text.octets.is_ascii() {
            let decoder = WINDOWS_1252.new_decoder_without_bom_handling();
            text.other = Some(text.lane.read_by(decoder));
        }
        let is_strict = !text.is_declared;
        text.lane.push(&text.octets, (is_strict, is_end), *folding);
        text.lane.look(sought, *overlap, is_end);
        if let Some(other) = &mut text.other {
            other.push(&text.octets, (false, is_end), *folding);
            other.look(sought, *overlap, is_end);
        }
    }
}

impl Field {
    fn named(name: &[u8], folding: Folding) -> Self {
        let mut window = String::new();
        casemapped(&String::from_utf8_lossy(name), &mut window);
        let mut window = folded(&window, folding);
        window.push_str(": ");
        Self { name: name.to_vec(), value_from: window.len(), window, ends_in_word: false }
    }

    /// The rest of a line that is no field.
    fn nameless() -> Self {
        Self { name: Vec::new(), window: String::new(), value_from: 0, ends_in_word: false }
    }
}

impl Lane {
    /// What was read so far, read on by another decoder.
    fn read_by(&self, decoder: Decoder) -> Self {
        Self {
            decoder,
            html: self.html.clone(),
            window: self.window.clone(),
            found: self.found.clone(),
            is_wrong: false,
        }
    }

    fn push(&mut self, octets: &[u8], (is_strict, is_end): (bool, bool), folding: Folding) {
        if self.is_wrong {
            return;
        }
        let mut text = String::new();
        let needed = self.decoder.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len() * 3 + 16);
        text.reserve(needed);
        if is_strict {
            let (result, _) = self.decoder.decode_to_string_without_replacement(octets, &mut text, is_end);
            self.is_wrong = result != DecoderResult::InputEmpty;
        } else {
            // There is room for all of it.
            let _ = self.decoder.decode_to_string(octets, &mut text, is_end);
        }
        let shown = match &mut self.html {
            None => text,
            Some(html) => {
                let mut shown = String::with_capacity(text.len());
                html.push(&text, &mut shown);
                if is_end && let Some(html) = self.html.take() {
                    html.finish(&mut shown);
                }
                shown
            }
        };
        let mut mapped = String::with_capacity(shown.len());
        casemapped(&shown, &mut mapped);
        self.window.push_str(&folded(&mapped, folding));
    }

    fn look(&mut self, sought: &[Sought<'_>], overlap: usize, is_end: bool) {
        if self.is_wrong || !(is_end || self.window.len() > WINDOW + 2 * overlap) {
            return;
        }
        let window = self.window.as_str();
        look(sought, &mut self.found, |sought| match sought {
            Sought::Body(_) => Some(window),
            Sought::Field(..) | Sought::Header(_) => None,
        });
        drained(&mut self.window, overlap);
    }
}

/// Looks for each that was not found yet, in what it is sought in.
fn look<'t>(sought: &[Sought<'_>], found: &mut [bool], text: impl Fn(&Sought<'_>) -> Option<&'t str>) {
    for (sought, found) in sought.iter().zip(found).filter(|(_, found)| !**found) {
        *found = text(sought).is_some_and(|text| sought.needle().is_in(text.as_bytes()));
    }
}

fn folded(mapped: &str, folding: Folding) -> String {
    if folding == Folding::Casemap || is_unaccented(mapped.as_bytes()) {
        mapped.to_owned()
    } else {
        unaccented_text(mapped)
    }
}

/// Takes all away but the last octets; how many went.
fn drained(window: &mut String, kept: usize) -> usize {
    let mut cut = window.len().saturating_sub(kept);
    while !window.is_char_boundary(cut) {
        cut -= 1;
    }
    window.drain(..cut);
    cut
}

/// Where the first logical line ends, if it can be told.
fn block_end(held: &[u8]) -> Option<usize> {
    let ends = memchr::memchr_iter(b'\n', held).map(|at| at + 1);
    let mut ends = ends.take_while(|end| *end < held.len());
    ends.find(|end| !matches!(held.get(*end), Some(b' ' | b'\t')))
}

/// Where a long field is cut: before its last white space, so that no encoded word is.
fn word_cut(held: &[u8]) -> usize {
    held.iter().rposition(u8::is_ascii_whitespace).filter(|at| *at > held.len() / 2).unwrap_or(held.len())
}

/// Without its line ends; white space is kept.
fn unfolded(raw: &[u8]) -> Vec<u8> {
    raw.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect()
}

fn after_colon(raw: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', raw)?;
    raw.get(colon + 1..).map(<[u8]>::trim_ascii_start)
}
