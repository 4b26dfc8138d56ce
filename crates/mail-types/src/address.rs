//! Domains and addresses (RFC 5321 §4.1.2), ASCII only: SMTPUTF8 is not offered.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an address or a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form `local-part@domain`.
    #[error("an address has the form local-part@domain")]
    Shape,
    /// The local part is empty, over 64 octets, or has a character that RFC 5321 §4.1.2 forbids.
    #[error("the local part is empty, longer than 64 octets or has a forbidden character")]
    LocalPart,
    /// The domain is empty, over 255 octets, or a label is not letters, digits and inner hyphens (RFC 5321 §4.1.2).
    #[error("the domain is not a valid ASCII domain name")]
    Domain,
}

/// A domain name in lower case: ASCII labels of letters, digits and inner hyphens (A-labels for IDN).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// The name, in lower case, with no final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let fits = !text.is_empty() && text.len() <= 255;
        if fits && text.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(AddressError::Domain)
        }
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(inner)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail address: the `Mailbox` rule of RFC 5321 §4.1.2, without address literals.
///
/// The local part is kept as written (unquoted); [`Address::canonical`] is what look-ups use. `Debug` hides the local part,
/// which for a patient is a health identity number: addresses do not belong in logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local_part: String,
    domain: Domain,
}

impl Address {
    /// The local part, unquoted.
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The form under which mailboxes are stored and found: all lower case, because no operator of this network
    /// distinguishes `Dupont@` from `dupont@` and two holders for one spelling would be a leak.
    pub fn canonical(&self) -> String {
        format!("{}@{}", self.local_part.to_ascii_lowercase(), self.domain)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Parses `dot-string@domain` or `"quoted string"@domain`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = if let Some(rest) = text.strip_prefix('"') {
            unquote(rest)?
        } else {
            let (local, domain) = text.split_once('@').ok_or(AddressError::Shape)?;
            let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
            if !atoms {
                return Err(AddressError::LocalPart);
            }
            (local.to_owned(), domain)
        };
        if local.is_empty() || local.len() > 64 {
            return Err(AddressError::LocalPart);
        }
        Ok(Self { local_part: local, domain: domain.parse()? })
    }
}

/// The content of a quoted string whose opening quote was taken, and what follows `"@`.
fn unquote(rest: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let domain = rest[at + 1..].strip_prefix('@').ok_or(AddressError::Shape)?;
                return Ok((local, domain));
            }
            '\\' => match chars.next() {
                Some((_, c @ ' '..='~')) => local.push(c),
                _ => return Err(AddressError::LocalPart),
            },
            ' '..='~' => local.push(c),
            _ => return Err(AddressError::LocalPart),
        }
    }
    Err(AddressError::Shape)
}

/// RFC 5322 §3.2.3 `atext`.
fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

impl fmt::Display for Address {
    /// The wire form, quoted only where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local_part.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
            return write!(f, "{}@{}", self.local_part, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local_part.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[…]@{}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive_a_round_trip_and_do_not_move_the_domain() {
        let address: Address = "\"a@evil.fr\"@d.fr".parse().unwrap();
        assert_eq!((address.local_part(), address.domain().as_str()), ("a@evil.fr", "d.fr"));
        assert_eq!(address.to_string(), "\"a@evil.fr\"@d.fr");
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bad in [
            "",
            "a",
            "@d.fr",
            "a@",
            "a..b@d.fr",
            ".a@d.fr",
            "a b@d.fr",
            "a@-d.fr",
            "a@d..fr",
            "é@d.fr",
            "\"a@d.fr",
            "a@b@c.fr",
            "\"a\"x@d.fr",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn canonical_form_folds_case_and_debug_hides_the_person() {
        let address: Address = "Jean.Dupont@CHU.Example.".parse().unwrap();
        assert_eq!(address.canonical(), "jean.dupont@chu.example");
        assert_eq!(format!("{address:?}"), "[…]@chu.example");
    }
}
