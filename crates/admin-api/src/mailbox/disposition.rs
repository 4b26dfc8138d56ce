//! Content-Disposition with a file name that is safe to keep (RFC 6266, RFC 8187). Names come from senders: nothing in one may leave the folder that it is saved
//! in, hide what kind of file it is, or end the field.

use axum::http::HeaderValue;

/// Characters of a name.
const NAME_MAX: usize = 150;

/// `attachment; filename="…"; filename*=UTF-8''…`
pub(crate) fn attachment(name: Option<&str>, otherwise: &str) -> HeaderValue {
    let name = name.map(safe).filter(|name| !name.is_empty()).unwrap_or_else(|| otherwise.to_owned());
    let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        name.bytes().for_each(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => value.push(char::from(b)),
            b => value.push_str(&format!("%{b:02X}")),
        });
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// A name without path, control characters, marks that turn the direction of writing, and what some systems give a meaning; what stands after the
/// last dot is kept when a long name is cut.
fn safe(name: &str) -> String {
    let is_left_out = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let last = name.rsplit(['/', '\\']).find(|piece| !piece.trim().is_empty()).unwrap_or_default();
    let kept = last.chars().filter(|c| !is_left_out(*c));
    let name: String = kept
        .map(|c| if matches!(c, '"' | '<' | '>' | ':' | '|' | '?' | '*' | ';' | '%') { '_' } else { c })
        .collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= 10 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let stem: String = stem.chars().take(NAME_MAX - extension.chars().count()).collect();
    format!("{stem}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder_end_the_field_or_lie() {
        for (name, expected) in [
            ("résultat.pdf", "attachment; filename=\"r_sultat.pdf\"; filename*=UTF-8''r%C3%A9sultat.pdf"),
            ("../../etc/passwd", "attachment; filename=\"passwd\""),
            ("C:\\Users\\x\\a.txt", "attachment; filename=\"a.txt\""),
            ("a\"; filename=\"b.exe", "attachment; filename=\"a__ filename=_b.exe\""),
            ("a\r\nSet-Cookie: x.pdf", "attachment; filename=\"aSet-Cookie_ x.pdf\""),
            ("\u{202e}fdp.exe", "attachment; filename=\"fdp.exe\""),
            (".bashrc", "attachment; filename=\"bashrc\""),
            ("...", "attachment; filename=\"part-2\""),
            ("a/", "attachment; filename=\"a\""),
        ] {
            assert_eq!(attachment(Some(name), "part-2"), expected, "{name:?}");
        }
        assert_eq!(attachment(None, "part-2"), "attachment; filename=\"part-2\"");
        let long = attachment(Some(&format!("{}.pdf", "x".repeat(5_000))), "-");
        assert!(long.len() < 200 && long.as_bytes().ends_with(b".pdf\""));
    }
}
