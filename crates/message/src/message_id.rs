//! Message-IDs in header fields (RFC 5322 §3.6.4), read leniently and brought to one spelling.

/// Octets of one Message-ID; RFC 5322 §2.1.1 allows no longer line.
const ID_MAX: usize = 998;
/// Ancestors of a message that are kept, and their octets together: the nearest.
const KEPT_MAX: usize = 500;
const KEPT_OCTETS_MAX: usize = 32 * 1024;

/// The Message-IDs in the value of a field, without angle brackets, quotes, comments and white space. What has no `@` with something on
/// both its sides is none.
pub(crate) fn message_ids(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let Some(start) = memchr::memchr(b'<', rest) {
            let (id, after) = read(rest.get(start + 1..).unwrap_or_default());
            rest = after;
            if id.is_some() {
                return id;
            }
        }
        None
    })
}

/// One Message-ID after its `<`, if it is one, and what follows it.
fn read(text: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let (mut id, mut is_quoted, mut is_escaped) = (Vec::new(), false, false);
    for (at, &b) in text.iter().enumerate() {
        match b {
            b' ' | b'\t' | b'\r' | b'\n' | 0 => {
                is_escaped = false;
                continue;
            }
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => {
                is_escaped = true;
                continue;
            }
            b'"' => {
                is_quoted = !is_quoted;
                continue;
            }
            // Another one begins, or this one has no end.
            b'<' if !is_quoted => return (None, text.get(at..).unwrap_or_default()),
            b'>' if !is_quoted => {
                let rest = text.get(at + 1..).unwrap_or_default();
                return (Some(id).filter(|id| is_id(id)), rest);
            }
            _ => {}
        }
        if id.len() == ID_MAX {
            return (None, text.get(at..).unwrap_or_default());
        }
        id.push(b);
    }
    (None, &[])
}

fn is_id(id: &[u8]) -> bool {
    memchr::memrchr(b'@', id).is_some_and(|at| at > 0 && at + 1 < id.len())
}

/// The Message-IDs of the first References field of a header, as they are kept; nothing where there is none.
pub(crate) fn kept_of_header(header: &[u8]) -> Vec<u8> {
    let field = crate::header::fields(header).find(|field| field.is("References"));
    field.map(|field| kept_ids(&field.value())).unwrap_or_default()
}

/// The Message-IDs of a References field as they are kept: the nearest ancestors, separated by spaces, which are in none of them.
pub(crate) fn kept_ids(value: &[u8]) -> Vec<u8> {
    let ids: Vec<Vec<u8>> = message_ids(value).collect();
    let mut octets = 0;
    let fits = |id: &&Vec<u8>| {
        octets += id.len() + 1;
        octets <= KEPT_OCTETS_MAX
    };
    let count = ids.iter().rev().take(KEPT_MAX).take_while(fits).count();
    ids.get(ids.len() - count..).unwrap_or_default().join(&b' ')
}

/// The Message-IDs that were kept.
pub(crate) fn stored_ids(stored: &[u8]) -> impl Iterator<Item = &[u8]> {
    stored.split(|b| *b == b' ').filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Vec<String> {
        message_ids(value.as_bytes()).map(|id| String::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn one_id_has_one_spelling() {
        assert_eq!(found("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>"), ["01KF8JCEOCBS0045PS@xxx.yyy.com"]);
        assert_eq!(found("<a@b>\r\n\t<c@d> , <\"x\\\"y>\"@z>"), ["a@b", "c@d", "x\"y>@z"]);
        assert_eq!(found("<\"a\\ b\"@c>"), ["ab@c"]);
        assert_eq!(found("<a@\r\n b>"), ["a@b"]);
    }

    #[test]
    fn what_is_no_id_is_passed_over() {
        assert_eq!(found("a@b <nothing> <@b> <a@> <> <c@d"), [""; 0]);
        assert_eq!(found("<broken <a@b> \"x"), ["a@b"]);
        assert_eq!(found(&format!("<{}@b> <c@d>", "x".repeat(2000))), ["c@d"]);
        assert_eq!(found(&"<".repeat(100_000)), [""; 0]);
        assert_eq!(found(&"<\"".repeat(100_000)), [""; 0]);
    }

    #[test]
    fn the_nearest_ancestors_are_kept_within_bounds() {
        let long: String = (0..1000).map(|n| format!("<{n}{}@b> ", "x".repeat(100))).collect();
        let kept = kept_ids(long.as_bytes());
        assert!(kept.len() <= KEPT_OCTETS_MAX);
        assert!(stored_ids(&kept).last().unwrap().starts_with(b"999x"));
        assert!(stored_ids(&kept).count() > 300);
    }
}
