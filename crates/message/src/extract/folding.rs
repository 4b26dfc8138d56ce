//! Text as SEARCH compares it.
//!
//! [`casemapped`] is the preparation of RFC 5051 §2 (`i;unicode-casemap`): each character is given its simple titlecase, then its full compatibility
//! decomposition. NUL, which no search text can hold, is left out: it parts the texts of an [extract](super).
//!
//! [`unaccented`] goes on from there: combining marks and characters that nobody sees (soft hyphen, zero-width space and the like) are left out, letters
//! that decomposition left small are made large, and what one keyboard writes in two ways becomes one: `Œ` and `OE`, `Æ` and `AE`, `ß` and `SS`, `Ø`, `Đ` and
//! `Ł` and their plain letters, the curved apostrophe and the straight one, the two hyphens.
//!
//! Deviation: marks are not reordered, as RFC 5051 does not either; two texts that differ in the order of their marks alone differ.

use std::sync::LazyLock;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// What makes two texts the same for SEARCH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Folding {
    /// Case and form, not accents: `ete` finds `Été`.
    #[default]
    Unaccented,
    /// RFC 5051: case and form.
    Casemap,
}

/// `text` as `i;unicode-casemap` compares it, without NUL.
pub fn casemap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    casemapped(text, &mut out);
    out
}

/// Appends `text`, casemapped, to `out`.
pub(super) fn casemapped(text: &str, out: &mut String) {
    for text in text.split('\0') {
        let mut rest = text;
        while !rest.is_empty() {
            let (ascii, other) = rest.split_at(ascii_run(rest.as_bytes()));
            push_large(ascii, out);
            let mut chars = other.chars();
            match chars.next().map(|c| (c, latin(c))) {
                Some((_, Some(mapped))) => out.push_str(mapped),
                Some((c, None)) => push_mapped(c, out),
                None => {}
            }
            rest = chars.as_str();
        }
    }
}

fn push_mapped(c: char, out: &mut String) {
    decompose_compatible(titlecase(c), |c| out.push(c));
}

/// What a letter of the languages written in Latin letters becomes: found once for all of them, U+0080 to U+017F.
fn latin(c: char) -> Option<&'static str> {
    static MAPPED: LazyLock<Vec<Box<str>>> = LazyLock::new(|| {
        let mapped = |c| {
            let mut out = String::new();
            push_mapped(c, &mut out);
            out.into_boxed_str()
        };
        ('\u{80}'..'\u{180}').map(mapped).collect()
    });
    let at = u32::from(c).checked_sub(0x80).filter(|at| *at < 0x100)?;
    MAPPED.get(at as usize).map(|mapped| &**mapped)
}

/// Whether casemapped text is unaccented as it stands. Decomposition may leave small letters: `ﬁ` becomes `fi`.
pub(super) fn is_unaccented(casemapped: &[u8]) -> bool {
    // A loop that may end at each octet takes them one by one.
    const STEP: usize = 64;
    let is_other = |octet: &u8| !octet.is_ascii() | octet.is_ascii_lowercase();
    casemapped
        .chunks(STEP)
        .all(|step| !step.iter().fold(false, |has_other, octet| has_other | is_other(octet)))
}

/// Casemapped text, unaccented.
pub(super) fn unaccented_text(casemapped: &str) -> String {
    let mut plain = Vec::with_capacity(casemapped.len());
    unaccented(casemapped.as_bytes(), &mut plain);
    // It is as good UTF-8 as what it was made of.
    String::from_utf8(plain).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Appends casemapped text in UTF-8, unaccented, to `out`.
pub(super) fn unaccented(casemapped: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(casemapped.len());
    let mut rest = casemapped;
    while let Some((&first, after)) = rest.split_first() {
        if first.is_ascii() {
            rest = push_ascii(rest, out);
            continue;
        }
        rest = match (first, after) {
            // Nearly all: a combining mark between U+0300 and U+036F.
            (0xcc, [_, after @ ..]) | (0xcd, [0x80..=0xaf, after @ ..]) => after,
            _ => push_other(rest, out),
        };
    }
    // What was appended that is not ASCII is large already.
    out.get_mut(start..).unwrap_or_default().make_ascii_uppercase();
}

/// Appends the ASCII at the start of `rest`, of which there is some, and returns what follows it.
fn push_ascii<'t>(mut rest: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    while let Some((octets, after)) = rest.split_first_chunk::<8>() {
        let others = u64::from_le_bytes(*octets) & 0x8080_8080_8080_8080;
        let count = (others.trailing_zeros() / 8) as usize;
        out.extend_from_slice(octets);
        if others != 0 {
            out.truncate(out.len() + count - 8);
            return rest.get(count..).unwrap_or_default();
        }
        rest = after;
    }
    let count = rest.iter().take_while(|octet| octet.is_ascii()).count();
    let (ascii, other) = rest.split_at(count);
    out.extend_from_slice(ascii);
    other
}

/// Appends the character at the start of `rest`, of which there is one, and returns what follows it.
fn push_other<'t>(rest: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let octets = match rest.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xff) => 4,
        _ => 1,
    };
    let (first, after) = rest.split_at(octets.min(rest.len()));
    if let Some(c) = std::str::from_utf8(first).ok().and_then(|text| text.chars().next()) {
        push_plain(c, out);
    }
    after
}

fn push_plain(c: char, out: &mut Vec<u8>) {
    let mut space = [0; 4];
    let plain = match c {
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => return,
        'Œ' | 'œ' => "OE",
        'Æ' | 'æ' => "AE",
        'ß' | 'ẞ' => "SS",
        'Ø' | 'ø' => "O",
        'Đ' | 'đ' => "D",
        'Ł' | 'ł' => "L",
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => "'",
        '\u{2010}' => "-",
        c if is_combining_mark(c) => return,
        c => titlecase(c).encode_utf8(&mut space),
    };
    out.extend_from_slice(plain.as_bytes());
}

/// Appends ASCII in capitals.
fn push_large(ascii: &str, out: &mut String) {
    let start = out.len();
    out.push_str(ascii);
    if let Some(pushed) = out.get_mut(start..) {
        pushed.make_ascii_uppercase();
    }
}

/// Octets of ASCII at the start of `bytes`.
fn ascii_run(bytes: &[u8]) -> usize {
    const STEP: usize = 32;
    let (steps, _) = bytes.as_chunks::<STEP>();
    let start = steps.iter().take_while(|step| step.is_ascii()).count() * STEP;
    let after = bytes.get(start..).unwrap_or_default();
    start + after.iter().position(|b| !b.is_ascii()).unwrap_or(after.len())
}

/// The simple titlecase mapping of UnicodeData.txt. The standard library gives the full mapping to capitals: what it maps to several characters has
/// no simple one, but for Greek letters with an iota below; digraphs and Georgian letters have a titlecase that is not their capital.
fn titlecase(c: char) -> char {
    let later = |by: u32| char::from_u32(u32::from(c) + by).unwrap_or(c);
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10ff}' => c,
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => later(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => later(9),
        _ => {
            let mut capitals = c.to_uppercase();
            match (capitals.next(), capitals.next()) {
                (Some(capital), None) => capital,
                _ => c,
            }
        }
    }
}

/// White space is one space, for a field may be folded with a tab or with more than one.
pub(super) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_whitespace() {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, folding: Folding) -> String {
        let mapped = casemap(text);
        assert_eq!(
            is_unaccented(mapped.as_bytes()),
            mapped.is_ascii() && mapped == mapped.to_ascii_uppercase()
        );
        if folding == Folding::Casemap { mapped } else { unaccented_text(&mapped) }
    }

    #[test]
    fn case_and_form_do_not_count() {
        for (one, other) in [
            ("compte-rendu n° 3", "COMPTE-RENDU N° 3"),
            ("été", "e\u{301}te\u{301}"),
            ("É", "é"),
            ("œdème", "ŒDÈME"),
            ("\u{1c6}", "\u{1c4}"),
            ("ÿ", "Ÿ"),
            ("µ", "\u{3bc}"),
            ("\u{1f80}", "\u{1f88}"),
            ("σς", "ΣΣ"),
            ("Ｃ１", "c1"),
            ("\u{212a}", "k"),
            ("1 000\u{a0}€", "1 000 €"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
            ("ა", "ა"),
            ("привет", "ПРИВЕТ"),
            ("\u{130}", "I\u{307}"),
            ("\u{131}", "I"),
        ] {
            assert_eq!(folded(one, Folding::Casemap), folded(other, Folding::Casemap), "{one}");
            assert_eq!(folded(one, Folding::Unaccented), folded(other, Folding::Unaccented), "{one}");
        }
    }

    #[test]
    fn accents_count_by_casemap_alone() {
        for (one, other) in [
            ("été", "ete"),
            ("garçon", "GARCON"),
            ("œdème", "oedeme"),
            ("Straße", "STRASSE"),
            ("aujourd\u{2019}hui", "aujourd'hui"),
            ("rendez\u{2011}vous", "rendez-vous"),
            ("hospi\u{ad}talisation", "hospitalisation"),
            ("\u{fb01}n", "fin"),
            ("\u{130}stanbul", "istanbul"),
            ("Søren Łódź", "soren lodz"),
        ] {
            assert_ne!(folded(one, Folding::Casemap), folded(other, Folding::Casemap), "{one}");
            assert_eq!(folded(one, Folding::Unaccented), folded(other, Folding::Unaccented), "{one}");
        }
    }

    #[test]
    fn what_is_found_once_for_all_is_what_is_found_for_each() {
        for c in '\u{80}'..'\u{250}' {
            let mut mapped = String::new();
            push_mapped(c, &mut mapped);
            assert_eq!(casemap(&c.to_string()), mapped, "{c}");
        }
    }

    #[test]
    fn an_accent_is_left_out_wherever_it_stands() {
        for before in 0..20 {
            let text = format!("{}é{}ŒÉàa€é", "a".repeat(before), "b".repeat(20 - before));
            let plain = format!("{}E{}OEEAA€E", "A".repeat(before), "B".repeat(20 - before));
            assert_eq!(folded(&text, Folding::Unaccented), plain);
        }
    }

    #[test]
    fn nul_is_left_out_and_nothing_else_of_ascii() {
        let ascii: String = (0..128_u8).map(char::from).collect();
        assert_eq!(folded(&ascii, Folding::Unaccented), ascii[1..].to_ascii_uppercase());
    }
}
