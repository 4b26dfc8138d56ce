//! What the head of a message says to a person: who, to whom, about what; decoded.

use super::Structure;
use super::imap_text::{MISSING_DOMAIN, MISSING_LOCAL_PART};
use super::value::Value;
use crate::header::decode_value;

/// Somebody in an address field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correspondent {
    /// The name shown beside the address, decoded.
    pub name: Option<String>,
    /// The address as written; what there is of it when it is not whole.
    pub address: String,
}

/// The fields of ENVELOPE (RFC 9051 §7.5.2), decoded for a reader. The members of groups stand among the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letterhead {
    /// Subject.
    pub subject: Option<String>,
    /// From.
    pub from: Vec<Correspondent>,
    /// Sender; as From when there is none.
    pub sender: Vec<Correspondent>,
    /// Reply-To; as From when there is none.
    pub reply_to: Vec<Correspondent>,
    /// To.
    pub to: Vec<Correspondent>,
    /// Cc.
    pub cc: Vec<Correspondent>,
    /// Bcc.
    pub bcc: Vec<Correspondent>,
    /// In-Reply-To, as written.
    pub in_reply_to: Option<String>,
    /// Message-ID, as written.
    pub message_id: Option<String>,
}

impl Structure {
    /// The head of the message.
    pub fn letterhead(&self) -> Letterhead {
        let envelope = Value::parse(&self.envelope).unwrap_or(Value::Nil);
        let text = |at: usize| envelope.at(at).text().map(decode_value);
        let people = |at: usize| envelope.at(at).list().iter().filter_map(correspondent).collect();
        Letterhead {
            subject: text(1),
            from: people(2),
            sender: people(3),
            reply_to: people(4),
            to: people(5),
            cc: people(6),
            bcc: people(7),
            in_reply_to: text(8),
            message_id: text(9),
        }
    }
}

/// `(name route local-part domain)`; none for where a group begins or ends.
fn correspondent(value: &Value) -> Option<Correspondent> {
    let (local_part, domain) = (value.at(2).text()?, value.at(3).text()?);
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let mut address = if local_part == MISSING_LOCAL_PART { String::new() } else { text(local_part) };
    if domain != MISSING_DOMAIN {
        address.push('@');
        address.push_str(&text(domain));
    }
    Some(Correspondent { name: value.at(0).text().map(decode_value), address })
}

#[cfg(test)]
mod tests {
    use crate::structure::StructureScanner;

    #[test]
    fn a_head_is_decoded() {
        let mut scanner = StructureScanner::new();
        scanner.push(
            "From: =?utf-8?Q?C=C3=A9cile?= <c@a.fr>\r\nTo: g: x@b.fr, \"Le, Y\" <y@b.fr>; , seul\r\nSubject: =?utf-8?B?w6k=?= \"et\"\r\n\
             Message-ID: <1@a.fr>\r\nIn-Reply-To: <0@a.fr>\r\n\r\n"
                .as_bytes(),
        );
        let head = scanner.finish().letterhead();
        let shown = |people: &[super::Correspondent]| {
            let show = |one: &super::Correspondent| {
                format!("{}<{}>", one.name.as_deref().unwrap_or_default(), one.address)
            };
            people.iter().map(show).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&head.from), "Cécile<c@a.fr>");
        assert_eq!(shown(&head.sender), "Cécile<c@a.fr>");
        assert_eq!(shown(&head.to), "<x@b.fr> Le, Y<y@b.fr> <seul>");
        assert_eq!(head.subject.as_deref(), Some("é \"et\""));
        assert_eq!(
            (head.message_id.as_deref(), head.in_reply_to.as_deref()),
            (Some("<1@a.fr>"), Some("<0@a.fr>"))
        );
        assert!(head.cc.is_empty());
    }
}
