//! HTML made searchable: tags away, the usual character references resolved. Not a sanitiser.

use crate::html_names;
use encoding_rs::WINDOWS_1252;

/// A quoted attribute longer than this does not hide the `>` in it. It bounds the search for a quote that is missing.
const ATTRIBUTE_MAX: usize = 4096;

/// The text of an HTML page: tags, comments, `script` and `style` dropped, block ends turned into line ends, the
/// common character references resolved. Linear, tolerant of anything. The result is for searching, never for display.
pub fn strip_html(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with('<') { skip_markup(rest, &mut out) } else { reference(rest, &mut out) };
    }
    out.push_str(rest);
    out
}

/// What follows the tag, comment or hidden element at the start of `rest`.
fn skip_markup<'a>(rest: &'a str, out: &mut String) -> &'a str {
    if let Some(comment) = rest.strip_prefix("<!--") {
        return after(comment, "-->");
    }
    let body = &rest[1..];
    if !body.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        out.push('<');
        return body;
    }
    let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '/').unwrap_or(body.len());
    let name = &body[..name_end];
    if is_block(name) {
        out.push('\n');
    }
    let tail = after_tag(&body[name_end..]);
    for hidden in ["script", "style"] {
        if name.eq_ignore_ascii_case(hidden) {
            return after_closing(tail, hidden);
        }
    }
    tail
}

/// Inline elements may split a word; all others end one.
fn is_block(name: &str) -> bool {
    const INLINE: [&str; 14] =
        ["a", "abbr", "b", "big", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"];
    let name = name.trim_matches('/');
    !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline))
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// What follows the `>` of a tag; one inside a quoted attribute does not end it, unless that attribute never ends.
fn after_tag(attributes: &str) -> &str {
    let mut rest = attributes;
    while let Some(at) = rest.find(['>', '"', '\'']) {
        let (mark, tail) = (rest.as_bytes()[at], &rest[at + 1..]);
        if mark == b'>' {
            return tail;
        }
        let quoted = rest[..at].trim_end().ends_with('=');
        // A page is full of apostrophes: only those of an attribute are looked for, and not far.
        let window = &tail.as_bytes()[..tail.len().min(ATTRIBUTE_MAX)];
        rest = match memchr::memchr(mark, window).filter(|_| quoted) {
            Some(end) => &tail[end + 1..],
            None => tail,
        };
    }
    ""
}

fn after_closing<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after(rest, ">");
        }
    }
    ""
}

/// Resolves the character reference at the start of `rest`, or keeps its ampersand.
fn reference<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let resolved = rest.bytes().take(12).position(|b| b == b';').and_then(|end| {
        let c = named(&rest[1..end])?;
        Some((c, &rest[end + 1..]))
    });
    let (c, tail) = resolved.unwrap_or(('&', &rest[1..]));
    out.push(c);
    tail
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
    fn hostile_markup_is_linear() {
        for piece in ["<", "&", "<!--", "<script></", "&#", "<a x=\"", "<a x='>", "'"] {
            strip_html(&piece.repeat(200_000));
        }
    }
}
