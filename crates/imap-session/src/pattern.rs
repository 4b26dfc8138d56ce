//! LIST patterns (RFC 3501 §6.3.8): `*` matches anything, `%` anything but the hierarchy delimiter.
//!
//! Time is bounded by the product of the two lengths, whatever the pattern: the match never recurses.

/// Whether `name` matches `pattern`. Both are decoded; `delimiter` is what `%` does not cross. INBOX, as the first component,
/// matches whatever its case.
pub fn matches(pattern: &str, name: &str, delimiter: char) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let folded = inbox_len(&name, delimiter);
    // The places of the pattern where the match may stand, advanced together by each character of the name.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    skip_wildcards(&pattern, &mut places);
    for (at, c) in name.iter().enumerate() {
        let same = |p: &char| p == c || (at < folded && p.eq_ignore_ascii_case(c));
        let mut arrived = false;
        for (place, p) in pattern.iter().enumerate() {
            let here = places[place];
            let stays = *p == '*' || (*p == '%' && *c != delimiter);
            places[place] = arrived || (here && stays);
            arrived = here && !matches!(p, '*' | '%') && same(p);
        }
        places[pattern.len()] = arrived;
        skip_wildcards(&pattern, &mut places);
    }
    places[pattern.len()]
}

/// A wildcard also matches nothing: wherever the match stands before one, it stands after it.
fn skip_wildcards(pattern: &[char], places: &mut [bool]) {
    for (place, p) in pattern.iter().enumerate() {
        if places[place] && matches!(p, '*' | '%') {
            places[place + 1] = true;
        }
    }
}

/// How many characters of `name` are the word INBOX, in any case, standing as first component.
fn inbox_len(name: &[char], delimiter: char) -> usize {
    let first = name.split(|c| *c == delimiter).next().unwrap_or_default();
    let is_inbox =
        first.len() == 5 && first.iter().zip("INBOX".chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b));
    if is_inbox { 5 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_cross_or_respect_the_delimiter() {
        for (pattern, name, expected) in [
            ("*", "a/b/c", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("%/%", "a/b", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("*b%", "a/b/bc", true),
            ("*b%", "a/b/bc/d", false),
            ("*%c", "a/b/c", true),
            ("%*", "a/b", true),
            ("", "a", false),
            ("", "", true),
            ("%b*d", "abxd", true),
            ("inb*", "INBOX", true),
            ("inbox/%", "INBOX/x", true),
            ("inb*", "INBOXES", false),
            ("sent", "Sent", false),
        ] {
            assert_eq!(matches(pattern, name, '/'), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_its_length_times_the_name() {
        let (pattern, name) = ("*a%".repeat(500) + "b", "a".repeat(2000));
        assert!(!matches(&pattern, &name, '/'));
    }
}
