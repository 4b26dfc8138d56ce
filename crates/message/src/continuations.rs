//! Parameters in pieces, `name*0`, `name*1*` (RFC 2231 §3, §4.1), joined as RFC 2231 §6 asks of an IMAP server. Charsets and percent signs are left
//! to the client.

use crate::mime_fields::Parameter;

/// A piece of a continued parameter.
struct Piece {
    number: usize,
    /// Whether its name ends with `*`: percent signs are code.
    extended: bool,
    at: usize,
}

/// Joins the pieces of each parameter where the first of them to be written stands. Pieces after a gap, or of a parameter without a piece 0, stay as they are.
pub(crate) fn join(parameters: Vec<Parameter>) -> Vec<Parameter> {
    if !parameters.iter().any(|(name, _)| piece(name, 0).is_some()) {
        return parameters;
    }
    let mut taken = vec![false; parameters.len()];
    let mut out = Vec::new();
    for (at, parameter) in parameters.iter().enumerate() {
        if taken[at] {
            continue;
        }
        let pieces = piece(&parameter.0, at).map_or(Vec::new(), |(base, _)| pieces_of(base, &parameters));
        if pieces.iter().any(|piece| piece.at == at) {
            out.push(joined(&parameters, &pieces));
            pieces.iter().for_each(|piece| taken[piece.at] = true);
        } else {
            out.push(parameter.clone());
        }
    }
    out
}

/// The base name and the place of `base*N` or `base*N*`.
fn piece(name: &[u8], at: usize) -> Option<(&[u8], Piece)> {
    let star = memchr::memchr(b'*', name)?;
    let (base, number) = (&name[..star], &name[star + 1..]);
    let extended = number.ends_with(b"*");
    let digits = if extended { &number[..number.len() - 1] } else { number };
    let plain = !base.is_empty() && matches!(digits.len(), 1..=4) && digits.iter().all(u8::is_ascii_digit);
    let value = || digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    plain.then(|| (base, Piece { number: value(), extended, at }))
}

/// The pieces 0, 1, 2… of a parameter up to the first gap. The first of two with one number counts.
fn pieces_of(base: &[u8], parameters: &[Parameter]) -> Vec<Piece> {
    let mut found: Vec<Piece> = parameters
        .iter()
        .enumerate()
        .filter_map(|(at, (name, _))| piece(name, at))
        .filter_map(|(other, piece)| other.eq_ignore_ascii_case(base).then_some(piece))
        .collect();
    found.sort_by_key(|piece| piece.number);
    found.dedup_by_key(|piece| piece.number);
    let whole = found.iter().enumerate().take_while(|(at, piece)| *at == piece.number).count();
    found.truncate(whole);
    found
}

fn joined(parameters: &[Parameter], pieces: &[Piece]) -> Parameter {
    let extended = pieces.iter().any(|piece| piece.extended);
    let first = pieces.first().map_or(&[][..], |piece| parameters[piece.at].0.as_slice());
    let mut name = first.split(|b| *b == b'*').next().unwrap_or_default().to_vec();
    let mut value = Vec::new();
    for piece in pieces {
        let text = &parameters[piece.at].1;
        if extended && !piece.extended {
            text.iter().for_each(|b| encode(*b, &mut value));
        } else {
            value.extend_from_slice(text);
        }
    }
    if extended {
        name.push(b'*');
    }
    (name, value)
}

/// An octet of a plain piece among extended ones: a percent sign there is no code.
fn encode(b: u8, out: &mut Vec<u8>) {
    if b == b'%' {
        out.extend_from_slice(b"%25");
    } else {
        out.push(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parameters: &[(&str, &str)]) -> String {
        let list =
            parameters.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let joined = join(list.collect());
        joined
            .iter()
            .map(|(name, value)| format!("{}={}", text(name), text(value)))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn pieces_are_joined_in_their_order_and_nothing_else_is() {
        for (parameters, expected) in [
            (&[("x", "y"), ("n*0", "a"), ("N*1", "b"), ("z", "t")][..], "x=y n=ab z=t"),
            (&[("n*1", "b"), ("n*0", "a")], "n=ab"),
            (&[("n*0*", "utf-8''%C3%A9"), ("n*1", "50%"), ("n*2*", "%20c")], "n*=utf-8''%C3%A950%25%20c"),
            (&[("n*0", "a"), ("n*2", "c")], "n=a n*2=c"),
            (&[("n*1", "b")], "n*1=b"),
            (
                &[("n*", "utf-8''b"), ("n*99999999999999999999", "b"), ("*0", "c"), ("n*x", "d")],
                "n*=utf-8''b n*99999999999999999999=b *0=c n*x=d",
            ),
            (&[("a*0", "1"), ("b*0", "2"), ("a*1", "3"), ("b*1", "4")], "a=13 b=24"),
            (&[("n*0", "a"), ("n*0", "b")], "n=a n*0=b"),
        ] {
            assert_eq!(shown(parameters), expected, "{parameters:?}");
        }
    }
}
