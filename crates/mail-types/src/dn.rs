//! Distinguished names as white lists print them, compared as sets of normalised attributes.
//!
//! The national list prints names after RFC 4514 with quirks: spaces after commas, values in double quotes when they hold doubled or
//! non-breaking spaces, quotes inside values, `L` where others have `ST`. The order of attributes is not significant to us,
//! because printers of the same certificate disagree on it.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name: attributes have the form TYPE=value, separated by commas")]
pub struct DnError;

/// A distinguished name: a sorted list of (attribute type, normalised value).
///
/// Two names are equal when their normalised attributes are, whatever their order, the case of their letters and their runs of spaces (RFC 4518 §2.6 in spirit).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinguishedName {
    attributes: Vec<(String, String)>,
}

impl DistinguishedName {
    /// From attributes as a certificate holds them: (short name or dotted OID, value).
    pub fn from_attributes<K: AsRef<str>, V: AsRef<str>>(
        attributes: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut attributes: Vec<_> = attributes
            .into_iter()
            .map(|(kind, value)| (normalise_type(kind.as_ref()), normalise_value(value.as_ref())))
            .collect();
        attributes.sort();
        Self { attributes }
    }

    /// The (type, normalised value) pairs, sorted by type.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(kind, value)| (kind.as_str(), value.as_str()))
    }
}

/// Upper-case short name; dotted OIDs of the usual attributes get theirs.
fn normalise_type(kind: &str) -> String {
    let kind = kind.trim();
    let kind = kind.strip_prefix("OID.").or_else(|| kind.strip_prefix("oid.")).unwrap_or(kind);
    let short = match kind {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "TITLE",
        "2.5.4.42" => "GIVENNAME",
        "2.5.4.97" => "ORGANIZATIONIDENTIFIER",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        other => other,
    };
    match short.to_ascii_uppercase().as_str() {
        "S" | "SP" | "STATEORPROVINCENAME" => "ST".to_owned(),
        "COMMONNAME" => "CN".to_owned(),
        "E" | "EMAIL" => "EMAILADDRESS".to_owned(),
        other => other.to_owned(),
    }
}

fn normalise_value(value: &str) -> String {
    let spaced: String =
        value.chars().map(|c| if c.is_whitespace() || c == '\u{a0}' { ' ' } else { c }).collect();
    spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase()
}

impl FromStr for DistinguishedName {
    type Err = DnError;

    /// Reads RFC 4514 text leniently, OpenSSL's `C = FR, O = X` and `/C=FR/O=X` included.
    fn from_str(text: &str) -> Result<Self, DnError> {
        let text = text.trim();
        let slashed = text.starts_with('/');
        let mut parts = if slashed { split(&text[1..], &['/']) } else { split(text, &[',', ';', '+']) };
        if slashed {
            parts = rejoin(parts);
        }
        let pairs: Option<Vec<_>> = parts
            .iter()
            .map(|part| {
                let (kind, value) = part.split_once('=')?;
                let kind = kind.trim();
                let named = !kind.is_empty()
                    && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b".- ".contains(&b));
                named.then(|| (kind.to_owned(), unescape(value.trim())))
            })
            .collect();
        match pairs {
            Some(pairs) if !pairs.is_empty() => Ok(Self::from_attributes(pairs)),
            _ => Err(DnError),
        }
    }
}

/// In the slash form a value may itself hold a slash: a piece without `=` belongs to the one before it.
fn rejoin(parts: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if !part.contains('=') => {
                last.push('/');
                last.push_str(&part);
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// Splits at unquoted, unescaped separators.
fn split(text: &str, separators: &[char]) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        if escaped {
            escaped = false;
            part.push(c);
        } else if c == '\\' {
            escaped = true;
            part.push(c);
        } else if c == '"' {
            quoted = !quoted;
            part.push(c);
        } else if separators.contains(&c) && !quoted {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    parts
}

/// Removes one pair of surrounding quotes and resolves `\,` and `\C3`.
fn unescape(value: &str) -> String {
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let bytes = value.as_bytes();
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while i < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
        match (bytes[i], hex(i + 1), hex(i + 2)) {
            (b'\\', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (b'\\', _, _) if i + 1 < bytes.len() => {
                out.push(bytes[i + 1]);
                i += 2;
            }
            (b, _, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, value)) in self.attributes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{kind}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(text: &str) -> DistinguishedName {
        text.parse().unwrap()
    }

    #[test]
    fn printers_that_disagree_name_the_same_certificate() {
        let reference = dn("CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR");
        for other in [
            "C=FR,ST=Exemple (99),O=CH EXEMPLE,OU=1990000001,CN=smtp-1.ch.example",
            "CN=smtp-1.ch.example, OU=1990000001, O=\"CH  EXEMPLE\", ST=Exemple (99), C=FR",
            "C = FR, ST = Exemple (99), O = CH\u{a0}EXEMPLE, OU = 1990000001, CN = smtp-1.ch.example",
            "/C=FR/ST=Exemple (99)/O=CH EXEMPLE/OU=1990000001/CN=smtp-1.ch.example",
            "2.5.4.3=smtp-1.ch.example,OU=1990000001,O=ch exemple,ST=Exemple (99),C=fr",
        ] {
            assert_eq!(dn(other), reference, "{other}");
        }
    }

    #[test]
    fn a_missing_or_added_attribute_is_another_name() {
        assert_ne!(dn("CN=a,O=b"), dn("CN=a"));
        assert_ne!(dn("CN=a,OU=b"), dn("CN=a,OU=b,OU=b"));
        assert_ne!(dn("CN=a"), dn("O=a"));
    }

    #[test]
    fn escapes_and_accents_are_read() {
        assert_eq!(
            dn("O=H\\C3\\B4pital\\, Nord"),
            DistinguishedName::from_attributes([("O", "Hôpital, Nord")])
        );
        assert!("nonsense".parse::<DistinguishedName>().is_err());
        assert!("".parse::<DistinguishedName>().is_err());
    }
}
