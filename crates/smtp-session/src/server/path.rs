//! The paths of MAIL FROM and RCPT TO (RFC 5321 §4.1.2).
//!
//! Brackets are required, quotes are understood, source routes are checked and dropped (§3.6.1, Appendix C). Address literals
//! and non-ASCII addresses are refused. One space after the colon is tolerated, as many senders write it.

use mail_types::{Address, Domain, ForwardPath, Reply, ReversePath};

/// Which path: it chooses the RFC 3463 detail of a refusal.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Reverse,
    Forward,
}

/// What stands between the brackets, and the parameters after them.
///
/// The argument is what follows `MAIL` or `RCPT` and a space.
pub(super) fn split(argument: &[u8], direction: Direction) -> Result<(&str, &str), Reply> {
    let keyword: &[u8] = match direction {
        Direction::Reverse => b"FROM:",
        Direction::Forward => b"TO:",
    };
    let rest = argument
        .split_at_checked(keyword.len())
        .filter(|(word, _)| word.eq_ignore_ascii_case(keyword))
        .map(|(_, rest)| rest.strip_prefix(b" ").unwrap_or(rest))
        .and_then(|rest| rest.strip_prefix(b"<"))
        .ok_or_else(bad_syntax)?;
    let end = closing_bracket(rest).ok_or_else(bad_syntax)?;
    let (inside, after) = (&rest[..end], &rest[end + 1..]);
    if !inside.is_ascii() {
        return Err(Reply::new(553, (5, 6, 7), "Addresses must be ASCII"));
    }
    if !after.is_empty() && !after.starts_with(b" ") {
        return Err(bad_syntax());
    }
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| bad_syntax());
    Ok((text(inside)?, text(after)?))
}

/// RFC 5321 `Reverse-path`, without its brackets.
pub(super) fn reverse(inside: &str) -> Result<ReversePath, Reply> {
    if inside.is_empty() {
        return Ok(ReversePath::Null);
    }
    mailbox(inside, Direction::Reverse).map(ReversePath::Address)
}

/// RFC 5321 `Forward-path` or `<Postmaster>`, without its brackets.
pub(super) fn forward(inside: &str) -> Result<ForwardPath, Reply> {
    if inside.eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    mailbox(inside, Direction::Forward).map(ForwardPath::Address)
}

fn mailbox(inside: &str, direction: Direction) -> Result<Address, Reply> {
    let detail = match direction {
        Direction::Reverse => 7,
        Direction::Forward => 3,
    };
    let bad_address = || Reply::new(501, (5, 1, detail), "Bad address syntax");
    let mailbox = without_source_route(inside).ok_or_else(bad_address)?;
    if mailbox.ends_with(']') {
        return Err(Reply::new(553, (5, 1, detail), "Address literals are not accepted"));
    }
    mailbox.parse().map_err(|_| bad_address())
}

/// Drops `@a,@b:`. None when the route itself is malformed.
fn without_source_route(inside: &str) -> Option<&str> {
    if !inside.starts_with('@') {
        return Some(inside);
    }
    let (route, mailbox) = inside.split_once(':')?;
    let is_hop = |hop: &str| hop.strip_prefix('@').is_some_and(|name| name.parse::<Domain>().is_ok());
    route.split(',').all(is_hop).then_some(mailbox)
}

/// The index of the first `>` that is not inside a quoted string.
fn closing_bracket(bytes: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    bytes.iter().position(|&octet| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = quoted && octet == b'\\';
        quoted ^= octet == b'"';
        !quoted && octet == b'>'
    })
}

fn bad_syntax() -> Reply {
    Reply::new(501, (5, 5, 4), "Syntax error in arguments")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward_path(argument: &str) -> Result<ForwardPath, (u16, String)> {
        split(argument.as_bytes(), Direction::Forward)
            .and_then(|(inside, _)| forward(inside))
            .map_err(|reply| (reply.code, reply.enhanced.unwrap().to_string()))
    }

    #[test]
    fn quotes_keep_the_domain_where_it_is() {
        let Ok(ForwardPath::Address(address)) = forward_path("to:<\"a>@evil.fr\"@d.fr>") else { panic!() };
        assert_eq!((address.local_part(), address.domain().as_str()), ("a>@evil.fr", "d.fr"));
    }

    #[test]
    fn source_routes_are_dropped_only_when_well_formed() {
        let plain = forward_path("TO:<u@d.fr>");
        assert!(plain.is_ok());
        assert_eq!(forward_path("TO:<@a.fr,@b.fr:u@d.fr>"), plain);
        for bad in ["TO:<@a.fr,b.fr:u@d.fr>", "TO:<@a.fr>", "TO:<@:u@d.fr>", "TO:<@a.fr:>"] {
            assert_eq!(forward_path(bad), Err((501, "5.1.3".into())), "{bad}");
        }
    }

    #[test]
    fn refusals_tell_syntax_literals_and_non_ascii_apart() {
        for (argument, code, enhanced) in [
            ("TO:u@d.fr", 501, "5.5.4"),
            ("TO:<u@d.fr", 501, "5.5.4"),
            ("TO:  <u@d.fr>", 501, "5.5.4"),
            ("TO:<u@d.fr>SIZE=1", 501, "5.5.4"),
            ("FROM:<u@d.fr>", 501, "5.5.4"),
            ("TO:<>", 501, "5.1.3"),
            ("TO:<u>", 501, "5.1.3"),
            ("TO:<u@[1.2.3.4]>", 553, "5.1.3"),
            ("TO:<é@d.fr>", 553, "5.6.7"),
        ] {
            assert_eq!(forward_path(argument), Err((code, enhanced.into())), "{argument}");
        }
        assert_eq!(forward_path("TO: <POSTmaster>"), Ok(ForwardPath::Postmaster));
    }
}
