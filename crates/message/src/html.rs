//! HTML made searchable: tags away, the usual character references resolved. Not a sanitiser.

use crate::html_names;
use encoding_rs::WINDOWS_1252;

/// A quoted attribute longer than this does not hide the `>` in it. It bounds the search for a quote that is missing.
const ATTRIBUTE_MAX: usize = 4096;
/// A tag whose name is longer ends a word.
const NAME_MAX: usize = 256;
/// Octets of a character reference, from its `&` to its `;`.
const REFERENCE_MAX: usize = 12;

/// The text of an HTML page: tags, comments, `script` and `style` dropped, block ends turned into line ends, the
/// common character references resolved. Linear, tolerant of anything. The result is for searching, never for display.
pub fn strip_html(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut page = HtmlText::default();
    page.push(html, &mut out);
    page.finish(&mut out);
    out
}

/// Takes an HTML page piece by piece, gives its text as [`strip_html`] does. What it holds meanwhile is bounded.
#[derive(Clone, Debug, Default)]
pub struct HtmlText {
    place: Place,
    /// What cannot be told apart before more comes.
    held: String,
}

/// Where in the page the next character is.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Text,
    Comment,
    /// After the name of a tag, and what is hidden after it. The last character that is no space was an equals sign.
    Tag {
        hides: Option<&'static str>,
        after_equals: bool,
    },
    /// In an element that is not shown.
    Hidden(&'static str),
    /// In the tag that ends it.
    HiddenEnd,
}

/// What a step did with the start of what is there.
enum Step<'a> {
    /// This is left.
    Rest(&'a str),
    /// This is left, and says nothing before more comes.
    Held(&'a str),
}
use Step::{Held, Rest};

impl HtmlText {
    /// Takes more of the page; what can be told is appended to `out`.
    pub fn push(&mut self, html: &str, out: &mut String) {
        if self.held.is_empty() {
            self.take(html, false, out);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.push_str(html);
            self.take(&held, false, out);
        }
    }

    /// The page is at its end.
    pub fn finish(mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        self.take(&held, true, out);
    }

    fn take(&mut self, html: &str, is_end: bool, out: &mut String) {
        let mut rest = html;
        while !rest.is_empty() {
            let step = match self.place {
                Place::Text => self.text(rest, is_end, out),
                Place::Comment => self.comment(rest),
                Place::Tag { hides, after_equals } => self.tag(rest, hides, after_equals, is_end),
                Place::Hidden(name) => self.hidden(rest, name, is_end),
                Place::HiddenEnd => self.hidden_end(rest),
            };
            rest = match step {
                Rest(rest) => rest,
                Held(held) => {
                    self.held.push_str(held);
                    return;
                }
            };
        }
    }

    fn text<'a>(&mut self, rest: &'a str, is_end: bool, out: &mut String) -> Step<'a> {
        let Some(at) = rest.find(['<', '&']) else {
            out.push_str(rest);
            return Rest("");
        };
        let (before, rest) = rest.split_at(at);
        out.push_str(before);
        if rest.starts_with('<') { self.markup(rest, is_end, out) } else { reference(rest, is_end, out) }
    }

    /// A tag or a comment, if it is one.
    fn markup<'a>(&mut self, rest: &'a str, is_end: bool, out: &mut String) -> Step<'a> {
        if let Some(comment) = rest.strip_prefix("<!--") {
            self.place = Place::Comment;
            return Rest(comment);
        }
        if !is_end && "<!--".starts_with(rest) {
            return Held(rest);
        }
        let body = &rest[1..];
        if !body.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            out.push('<');
            return Rest(body);
        }
        let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        let name_end = match name_end {
            None if !is_end && body.len() <= NAME_MAX => return Held(rest),
            None => body.len(),
            Some(end) => end,
        };
        let name = &body[..name_end];
        if name.len() > NAME_MAX || is_block(name) {
            out.push('\n');
        }
        let hides = ["script", "style"].into_iter().find(|hidden| name.eq_ignore_ascii_case(hidden));
        self.place = Place::Tag { hides, after_equals: false };
        Rest(&body[name_end..])
    }

    fn comment<'a>(&mut self, rest: &'a str) -> Step<'a> {
        if let Some(at) = rest.find("-->") {
            self.place = Place::Text;
            return Rest(&rest[at + 3..]);
        }
        let dashes = rest.bytes().rev().take(2).take_while(|b| *b == b'-').count();
        Held(&rest[rest.len() - dashes..])
    }

    /// To the `>` of a tag; one inside a quoted attribute does not end it, unless that attribute never ends.
    fn tag<'a>(
        &mut self,
        rest: &'a str,
        hides: Option<&'static str>,
        after_equals: bool,
        is_end: bool,
    ) -> Step<'a> {
        let found = rest.find(['>', '"', '\'']);
        let before = rest[..found.unwrap_or(rest.len())].trim_end();
        let after_equals = if before.is_empty() { after_equals } else { before.ends_with('=') };
        self.place = Place::Tag { hides, after_equals };
        let Some(at) = found else { return Rest("") };
        let (mark, tail) = rest[at..].split_at(1);
        if mark == ">" {
            self.place = hides.map_or(Place::Text, Place::Hidden);
            return Rest(tail);
        }
        // A page is full of apostrophes: only those of an attribute are looked for, and not far.
        let window = tail.as_bytes().get(..ATTRIBUTE_MAX).unwrap_or(tail.as_bytes());
        let end = mark.bytes().next().and_then(|mark| memchr::memchr(mark, window)).filter(|_| after_equals);
        if after_equals && end.is_none() && !is_end && tail.len() < ATTRIBUTE_MAX {
            return Held(&rest[at..]);
        }
        self.place = Place::Tag { hides, after_equals: false };
        Rest(end.map_or(tail, |end| &tail[end + 1..]))
    }

    fn hidden<'a>(&mut self, rest: &'a str, name: &str, is_end: bool) -> Step<'a> {
        let Some(at) = rest.find("</") else {
            return Held(if rest.ends_with('<') { "<" } else { "" });
        };
        let tail = &rest[at + 2..];
        if !is_end && tail.len() < name.len() {
            return Held(&rest[at..]);
        }
        if tail.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            self.place = Place::HiddenEnd;
        }
        Rest(tail)
    }

    fn hidden_end<'a>(&mut self, rest: &'a str) -> Step<'a> {
        let Some(at) = rest.find('>') else { return Rest("") };
        self.place = Place::Text;
        Rest(&rest[at + 1..])
    }
}

/// Inline elements may split a word; all others end one.
fn is_block(name: &str) -> bool {
    const INLINE: [&str; 14] =
        ["a", "abbr", "b", "big", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"];
    let name = name.trim_matches('/');
    !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline))
}

/// Resolves the character reference at the start of `rest`, or keeps its ampersand.
fn reference<'a>(rest: &'a str, is_end: bool, out: &mut String) -> Step<'a> {
    let end = rest.bytes().take(REFERENCE_MAX).position(|b| b == b';');
    if end.is_none() && !is_end && rest.len() < REFERENCE_MAX {
        return Held(rest);
    }
    let resolved = end.and_then(|end| Some((named(&rest[1..end])?, &rest[end + 1..])));
    let (c, tail) = resolved.unwrap_or(('&', &rest[1..]));
    out.push(c);
    Rest(tail)
}

/// The character of that number. From 128 to 159, where Unicode has controls, senders mean Windows-1252.
fn numbered(code: u32) -> Option<char> {
    match u8::try_from(code) {
        Ok(byte @ 128..=159) => WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next(),
        _ => char::from_u32(code),
    }
}

fn named(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return numbered(code);
    }
    html_names::character(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_go_and_text_stays() {
        for (html, text) in [
            ("<p>Compte <b>ren</b>du</p>", "\nCompte rendu\n"),
            ("a<!-- <b> -->b", "ab"),
            ("<STYLE>p{}</style x>a<script>if (a</b) {}</script>b", "\na\nb"),
            ("1 < 2 &amp;&lt; &#233;&#xE9;&eacute; &nope; &", "1 < 2 &< ééé &nope; &"),
            ("<unclosed", "\n"),
            ("<!--", ""),
            ("<!--[if !mso]><!-->vu<!--<![endif]-->", "vu"),
            ("<a title=\"x>y\" alt='>'>lien</a>", "lien"),
            ("<a title=l'h\u{f4}pital>lien</a> d'ici", "lien d'ici"),
            ("<a title=\"x>lien</a>", "lien"),
            (
                "c&oelig;ur &laquo;&nbsp;l&#146;&Eacute;t&eacute;&nbsp;&raquo; &#1114112;",
                "cœur «\u{a0}l’Été\u{a0}» &#1114112;",
            ),
            ("&é;<é", "&é;<é"),
        ] {
            assert_eq!(strip_html(html), text, "{html}");
        }
    }

    #[test]
    fn a_page_may_be_cut_anywhere() {
        let page = "<p class=\"a>b\">Compte&nbsp;<b>ren</b>du <!-- x -- y --> d'ici <script>a</b</SCRIPT >&eacute;t&eacute; <a t='é>'>1 < 2</a> & <!-- <style>";
        for size in 1..page.len() {
            let (mut text, mut html) = (String::new(), HtmlText::default());
            let mut rest = page;
            while !rest.is_empty() {
                let cut = (size..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
                html.push(&rest[..cut], &mut text);
                rest = &rest[cut..];
            }
            html.finish(&mut text);
            assert_eq!(text, strip_html(page), "by {size}");
        }
    }

    proptest! {
        #[test]
        fn pieces_say_what_the_whole_says(page in "(<|>|&|;|=|'|\"|-|!|/| |b|p|é|amp;|script|<script>|</script|<!--|-->|<a x=){0,60}", size in 1_usize..9) {
            let (mut text, mut html) = (String::new(), HtmlText::default());
            let chars: Vec<char> = page.chars().collect();
            chars.chunks(size).for_each(|piece| html.push(&piece.iter().collect::<String>(), &mut text));
            prop_assert!(html.held.len() <= ATTRIBUTE_MAX + 8);
            html.finish(&mut text);
            prop_assert_eq!(text, strip_html(&page));
        }
    }

    #[test]
    fn hostile_markup_is_linear() {
        for piece in ["<", "&", "<!--", "<script></", "&#", "<a x=\"", "<a x='>", "'"] {
            strip_html(&piece.repeat(200_000));
        }
    }
}
