//! Distinguished names as white lists print them, compared as sets of normalised attributes.
//!
//! A name is compared by what it says, not by how it is printed: the order of attributes, the case of letters, runs of spaces (of any
//! kind of space), composed or decomposed accents, quotes and escapes make no difference. Everything else does. In particular `L` is not `ST`
//! (one entry of the national list has the one where all others have the other: only the certificate tells whether that is a slip),
//! accents are not dropped, punctuation is not, and a missing or added attribute makes another name: a comparison that forgives these would trust
//! certificates that nobody listed.

mod parse;

use std::fmt;
use std::str::FromStr;
use unicode_normalization::UnicodeNormalization;

/// Why a text is not a distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnError {
    /// A part is not an attribute.
    #[error(
        "not a distinguished name: attributes have the form TYPE=value, separated by commas; a comma inside a value needs quotes or a backslash"
    )]
    Attribute,
    /// A backslash at the end, or one that gives no UTF-8 text.
    #[error("not a distinguished name: a backslash escape is cut off or does not give UTF-8 text")]
    Escape,
}

/// A distinguished name: a sorted list of (attribute type, normalised value).
///
/// Two names are equal when their normalised attributes are, whatever their order, the case of their letters, their runs of spaces and their Unicode form
/// (RFC 4518 §2 in spirit, with NFC for NFKC: letters that only look alike stay different).
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

/// Upper-case short name; dotted OIDs and long names of the usual attributes get theirs (RFC 4514 §3, RFC 4519, and what OpenSSL and Java print).
fn normalise_type(kind: &str) -> String {
    let mut kind = kind.trim().to_ascii_uppercase();
    while let Some(oid) = kind.strip_prefix("OID.") {
        kind = oid.to_owned();
    }
    let short = match kind.as_str() {
        "2.5.4.3" | "COMMONNAME" => "CN",
        "2.5.4.4" | "SURNAME" => "SN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" | "COUNTRYNAME" => "C",
        "2.5.4.7" | "LOCALITYNAME" => "L",
        "2.5.4.8" | "S" | "SP" | "STATEORPROVINCENAME" => "ST",
        "2.5.4.9" | "STREETADDRESS" => "STREET",
        "2.5.4.10" | "ORGANIZATIONNAME" => "O",
        "2.5.4.11" | "ORGANIZATIONALUNITNAME" => "OU",
        "2.5.4.12" | "T" => "TITLE",
        "2.5.4.13" => "DESCRIPTION",
        "2.5.4.15" => "BUSINESSCATEGORY",
        "2.5.4.17" => "POSTALCODE",
        "2.5.4.42" | "GN" | "G" => "GIVENNAME",
        "2.5.4.43" => "INITIALS",
        "2.5.4.46" | "DNQ" => "DNQUALIFIER",
        "2.5.4.65" => "PSEUDONYM",
        "2.5.4.97" => "ORGANIZATIONIDENTIFIER",
        "0.9.2342.19200300.100.1.1" | "USERID" => "UID",
        "0.9.2342.19200300.100.1.25" | "DOMAINCOMPONENT" => "DC",
        "1.2.840.113549.1.9.1" | "E" | "EMAIL" => "EMAILADDRESS",
        _ => return kind,
    };
    short.to_owned()
}

fn normalise_value(value: &str) -> String {
    let composed: String = value.nfc().collect();
    let words: Vec<_> = composed.split_whitespace().collect();
    // Lower case may leave letters that compose again.
    words.join(" ").to_lowercase().nfc().collect()
}

impl FromStr for DistinguishedName {
    type Err = DnError;

    /// Reads RFC 4514 text leniently: RFC 1779's quotes, Java's `OID.`, OpenSSL's `C = FR, O = X` and `/C=FR/O=X`.
    fn from_str(text: &str) -> Result<Self, DnError> {
        parse::attributes(text).map(Self::from_attributes)
    }
}

/// The normalised name after RFC 4514 §2. Parsed again it is the same name.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, value)) in self.attributes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{kind}=")?;
            write_value(f, value)?;
        }
        Ok(())
    }
}

/// Escapes what would end a value or be read as an escape, and what would not be seen in a log.
fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let mut octets = [0; 4];
    for (at, c) in value.char_indices() {
        if is_invisible(c) {
            for octet in c.encode_utf8(&mut octets).bytes() {
                write!(f, "\\{octet:02X}")?;
            }
        } else if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || (at == 0 && c == '#') {
            write!(f, "\\{c}")?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

/// Control characters, and format characters that hide or reorder what stands around them.
fn is_invisible(c: char) -> bool {
    let format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || format
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
