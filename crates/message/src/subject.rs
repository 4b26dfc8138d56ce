//! The base subject of a message (RFC 5256 §2.1): what is left of a subject without the marks of replies and forwards.

/// A subject without the marks of replies, of forwards and of mailing lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSubject {
    /// What is left, with single spaces; its letters as written.
    pub text: String,
    /// A mark of a reply or of a forward was taken off (RFC 5256 §3, "reply or forward").
    pub is_reply: bool,
}

/// The base subject of a subject whose encoded words are decoded. Takes time in proportion to its length.
pub fn base_subject(decoded: &str) -> BaseSubject {
    let spaced = single_spaces(decoded);
    let (mut rest, mut is_reply) = (spaced.as_str(), false);
    loop {
        rest = without_trailers(rest, &mut is_reply);
        rest = without_leaders(rest, &mut is_reply);
        let inner = strip_start(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']'));
        let Some(inner) = inner else { break };
        (rest, is_reply) = (inner, true);
    }
    BaseSubject { text: rest.to_owned(), is_reply }
}

/// Tabs, line ends and runs of spaces become one space.
fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match matches!(c, ' ' | '\t' | '\r' | '\n') {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
    out
}

/// Without any `subj-trailer = "(fwd)" / WSP` at the end.
fn without_trailers<'s>(mut text: &'s str, is_reply: &mut bool) -> &'s str {
    const FORWARDED: &str = "(fwd)";
    loop {
        text = text.trim_end_matches(' ');
        let cut = text.len().wrapping_sub(FORWARDED.len());
        match text.get(cut..).filter(|end| end.eq_ignore_ascii_case(FORWARDED)) {
            Some(_) => text = text.get(..cut).unwrap_or_default(),
            None => return text,
        }
        *is_reply = true;
    }
}

/// Without any `subj-leader = (*subj-blob subj-refwd) / WSP` at the beginning, nor any `subj-blob` that something follows.
fn without_leaders<'s>(mut text: &'s str, is_reply: &mut bool) -> &'s str {
    loop {
        text = text.trim_start_matches(' ');
        // Where the last of the blobs begins, and what follows it.
        let (mut last, mut after) = (text, text);
        while let Some(next) = strip_blob(after) {
            (last, after) = (after, next);
        }
        match strip_refwd(after) {
            Some(rest) => (text, *is_reply) = (rest, true),
            None if after.is_empty() => return last,
            None => return after,
        }
    }
}

/// What follows a `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn strip_refwd(text: &str) -> Option<&str> {
    let word = ["re", "fwd", "fw"].into_iter().find_map(|word| strip_start(text, word))?;
    let rest = word.trim_start_matches(' ');
    strip_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// What follows a `subj-blob = "[" *BLOBCHAR "]" *WSP`
fn strip_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    let rest = inside.get(end..)?.strip_prefix(']')?;
    Some(rest.trim_start_matches(' '))
}

/// What follows `start`, in whatever case it is written.
fn strip_start<'s>(text: &'s str, start: &str) -> Option<&'s str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_replies_and_forwards_are_taken_off() {
        for (subject, base, is_reply) in [
            ("Compte rendu", "Compte rendu", false),
            ("Re: Compte rendu", "Compte rendu", true),
            ("RE: re : Fw: FWD:  Compte\t rendu  ", "Compte rendu", true),
            ("Re[2]: lunch", "lunch", true),
            ("re [x] : lunch", "lunch", true),
            ("lunch (fwd)", "lunch", true),
            ("lunch (Fwd) (FWD) ", "lunch", true),
            ("[fwd: lunch]", "lunch", true),
            ("[Fwd: Re: [liste] lunch (fwd)]", "lunch", true),
            ("[fwd: [FWD: lunch]]", "lunch", true),
            ("[liste] lunch", "lunch", false),
            ("[liste] [SPAM] Re: lunch", "lunch", true),
            ("Re: [liste] Re: lunch", "lunch", true),
            ("[a][b] lunch [c]", "lunch [c]", false),
            ("été (fwd)", "été", true),
        ] {
            let found = base_subject(subject);
            assert_eq!((found.text.as_str(), found.is_reply), (base, is_reply), "{subject}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_stays() {
        for (subject, base, is_reply) in [
            ("[only]", "[only]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [only]", "[only]", true),
            ("Re", "Re", false),
            ("Rendez-vous: lundi", "Rendez-vous: lundi", false),
            ("Re-lunch: a", "Re-lunch: a", false),
            ("[a[b]: lunch", "[a[b]: lunch", false),
            ("re[a[: lunch", "re[a[: lunch", false),
            ("fwd", "fwd", false),
            ("(fwd)", "", true),
            ("Re:", "", true),
            ("[fwd: lunch", "[fwd: lunch", false),
            ("é]", "é]", false),
            ("", "", false),
            ("   ", "", false),
        ] {
            let found = base_subject(subject);
            assert_eq!((found.text.as_str(), found.is_reply), (base, is_reply), "{subject}");
        }
    }

    #[test]
    fn a_hostile_subject_takes_no_more_than_its_length() {
        for piece in ["[a]", "re:", "[fwd:", "(fwd)", "re[", "[", " [x] re[y]:"] {
            let subject = piece.repeat(60_000);
            assert!(base_subject(&subject).text.len() <= subject.len());
        }
        let nested = format!("{}x{}", "[fwd:".repeat(40_000), "]".repeat(40_000));
        assert_eq!(base_subject(&nested), BaseSubject { text: "x".to_owned(), is_reply: true });
    }
}
