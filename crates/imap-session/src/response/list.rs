//! `* LIST` and `* LSUB` (RFC 3501 §7.2.2, RFC 5258 §6).

use super::{astring_folder_name, line_end, nil, quoted_or_literal, strings};

/// What a LIST response says beside attributes and name: RFC 5258 `mbox-list-extended-item`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListItem<'a> {
    /// CHILDINFO: a name below is selected by SUBSCRIBED, the only option of which that is told.
    SubscribedBelow,
    /// OLDNAME: what the folder was called, decoded.
    OldName(&'a str),
}

/// `* LIST (attributes) "delimiter" name`. `name` is decoded; `utf8` says how to write it. No delimiter: a flat name.
pub fn list(out: &mut Vec<u8>, attributes: &[&str], delimiter: Option<char>, name: &str, utf8: bool) {
    list_with(out, attributes, delimiter, name, utf8, None);
}

/// The same with an extended item.
pub fn list_with(
    out: &mut Vec<u8>,
    attributes: &[&str],
    delimiter: Option<char>,
    name: &str,
    utf8: bool,
    item: Option<ListItem<'_>>,
) {
    out.extend_from_slice(b"* LIST ");
    listed(out, attributes, delimiter, name, utf8);
    match item {
        Some(ListItem::SubscribedBelow) => out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))"),
        Some(ListItem::OldName(old)) => {
            out.extend_from_slice(b" (\"OLDNAME\" (");
            astring_folder_name(out, old, utf8);
            out.extend_from_slice(b"))");
        }
        None => {}
    }
    line_end(out);
}

/// `* LSUB …`, as [`list`].
pub fn lsub(out: &mut Vec<u8>, attributes: &[&str], delimiter: Option<char>, name: &str, utf8: bool) {
    out.extend_from_slice(b"* LSUB ");
    listed(out, attributes, delimiter, name, utf8);
    line_end(out);
}

fn listed(out: &mut Vec<u8>, attributes: &[&str], delimiter: Option<char>, name: &str, utf8: bool) {
    strings::list(out, attributes, |out, attribute| strings::text(out, attribute));
    out.push(b' ');
    match delimiter {
        Some(delimiter) => quoted_or_literal(out, delimiter.to_string().as_bytes()),
        None => nil(out),
    }
    out.push(b' ');
    astring_folder_name(out, name, utf8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let line = written(|out| list(out, &["\\Noselect"], Some('/'), "a\r\nb\"\\", true));
        assert_eq!(line, "* LIST (\\Noselect) \"/\" {6}\r\na\r\nb\"\\\r\n");
    }

    #[test]
    fn extended_items_follow_the_name() {
        let told = |item| written(|out| list_with(out, &[], Some('/'), "Envoyés", false, Some(item)));
        let name = "* LIST () \"/\" \"Envoy&AOk-s\"";
        assert_eq!(told(ListItem::SubscribedBelow), format!("{name} (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"));
        assert_eq!(told(ListItem::OldName("Émis")), format!("{name} (\"OLDNAME\" (\"&AMk-mis\"))\r\n"));
        assert_eq!(written(|out| lsub(out, &[], None, "Envoyés", true)), "* LSUB () NIL \"Envoyés\"\r\n");
    }
}
