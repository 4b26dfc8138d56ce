//! The responses of RFC 4314.

use super::strings::{astring_folder_name, quoted_or_literal};
use super::{line_end, strings};
use mail_types::Rights;

/// `* ACL name identifier rights …`
pub fn acl<'a>(
    out: &mut Vec<u8>,
    name: &str,
    entries: impl IntoIterator<Item = (&'a str, Rights)>,
    utf8: bool,
) {
    out.extend_from_slice(b"* ACL ");
    astring_folder_name(out, name, utf8);
    for (identifier, rights) in entries {
        out.push(b' ');
        quoted_or_literal(out, identifier.as_bytes());
        out.push(b' ');
        written(out, rights);
    }
    line_end(out);
}

/// `* LISTRIGHTS name identifier required optional …`: each of the optional ones can be given alone.
pub fn list_rights(out: &mut Vec<u8>, name: &str, identifier: &str, required: Rights, utf8: bool) {
    out.extend_from_slice(b"* LISTRIGHTS ");
    astring_folder_name(out, name, utf8);
    out.push(b' ');
    quoted_or_literal(out, identifier.as_bytes());
    out.push(b' ');
    quoted_or_literal(out, required.to_string().as_bytes());
    for letter in Rights::ALL.without(required).to_string().chars() {
        out.push(b' ');
        strings::text(out, letter.encode_utf8(&mut [0; 4]));
    }
    line_end(out);
}

/// `* MYRIGHTS name rights`
pub fn my_rights(out: &mut Vec<u8>, name: &str, rights: Rights, utf8: bool) {
    out.extend_from_slice(b"* MYRIGHTS ");
    astring_folder_name(out, name, utf8);
    out.push(b' ');
    written(out, rights);
    line_end(out);
}

/// With `c` and `d` for clients of RFC 2086, where any right is there that they were split into (RFC 4314 §2.1.1).
fn written(out: &mut Vec<u8>, rights: Rights) {
    let mut letters = rights.to_string();
    for (obsolete, parts) in [('c', ['k', 'x']), ('d', ['t', 'e'])] {
        if parts.iter().any(|part| rights.has(*part)) {
            letters.push(obsolete);
        }
    }
    quoted_or_literal(out, letters.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rights_are_told_with_those_of_the_older_standard() {
        let rights = Rights::from_letters;
        let told =
            line(|out| acl(out, "INBOX", [("a@b.example", rights("lr")), ("c", rights("lrte"))], false));
        assert_eq!(told, "* ACL \"INBOX\" \"a@b.example\" \"lr\" \"c\" \"lrted\"\r\n");
        assert_eq!(line(|out| my_rights(out, "a", rights("kx"), false)), "* MYRIGHTS \"a\" \"kxc\"\r\n");
        let told = line(|out| list_rights(out, "a", "b", Rights::default(), false));
        assert_eq!(told, "* LISTRIGHTS \"a\" \"b\" \"\" l r s w i p k x t e a\r\n");
        let told = line(|out| list_rights(out, "a", "b", Rights::ALL, false));
        assert_eq!(told, "* LISTRIGHTS \"a\" \"b\" \"lrswipkxtea\"\r\n");
    }
}
