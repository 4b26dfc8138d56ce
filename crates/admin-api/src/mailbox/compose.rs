//! A message made of what a caller gives of it, with mail-builder. Nothing that is given can begin a field or end one: every text is checked before, and
//! encoded where it has to be.

use crate::problem::Problem;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Named;
use mail_types::{Address, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a name beside an address.
const NAME_MAX: usize = 200;
/// Characters of a subject.
const SUBJECT_MAX: usize = 998;
/// Attachments of one message.
const ATTACHMENTS_MAX: usize = 100;
/// Characters of a file name.
const FILENAME_MAX: usize = 255;
/// Octets of a message identifier.
const MESSAGE_ID_MAX: usize = 250;
/// Identifiers in References.
const REFERENCES_MAX: usize = 100;

/// Somebody who writes or is written to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correspondent {
    /// The address.
    #[schema(example = "claire.martin@chu-nord.example", min_length = 1, max_length = 320)]
    pub(crate) address: String,
    /// The name shown beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Claire Martin", max_length = 200)]
    pub(crate) name: Option<String>,
}

/// A file that goes with a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewAttachment {
    /// Its name.
    #[schema(example = "resultat.pdf", min_length = 1, max_length = 255)]
    filename: String,
    /// Its type and subtype, without parameters. Neither `multipart` nor `message`.
    #[schema(example = "application/pdf", min_length = 3, max_length = 127)]
    content_type: String,
    /// Its octets, in base64 (RFC 4648 section 4).
    content_base64: String,
}

/// A message to be composed and sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Draft {
    /// Who writes; the mailbox that was opened, unless another one may be written for.
    from: Option<Correspondent>,
    /// To whom.
    #[serde(default)]
    to: Vec<Correspondent>,
    /// To whom for information.
    #[serde(default)]
    cc: Vec<Correspondent>,
    /// To whom without the others being told.
    #[serde(default)]
    bcc: Vec<Correspondent>,
    /// About what.
    #[serde(default)]
    #[schema(max_length = 998)]
    subject: String,
    /// The text.
    text: Option<String>,
    /// The same text in HTML.
    html: Option<String>,
    /// What goes with it.
    #[serde(default)]
    #[schema(max_items = 100)]
    attachments: Vec<NewAttachment>,
    /// The identifier of the message that this one answers, `<…@…>`.
    #[schema(max_length = 252)]
    in_reply_to: Option<String>,
    /// The identifiers of the messages before it, the oldest first.
    #[serde(default)]
    #[schema(max_items = 100)]
    references: Vec<String>,
}

/// A message as it will be submitted.
#[derive(Debug)]
pub(crate) struct Composition {
    /// Its octets.
    pub(crate) content: Vec<u8>,
    /// Who writes.
    pub(crate) from: Address,
    /// Each recipient with the place where the caller named them.
    pub(crate) recipients: Vec<(String, Address)>,
}

impl Draft {
    /// Composes the message.
    ///
    /// # Errors
    /// Every member that cannot be taken, with its place.
    pub(crate) fn compose(
        self,
        own: &Address,
        message_id: &str,
        now: Timestamp,
    ) -> Result<Composition, Problem> {
        let from = match &self.from {
            Some(from) => person(from, "/from")?,
            None => own.clone(),
        };
        let mut recipients = Vec::new();
        for (field, people) in [("to", &self.to), ("cc", &self.cc), ("bcc", &self.bcc)] {
            for (at, somebody) in people.iter().enumerate() {
                let pointer = format!("/{field}/{at}");
                recipients.push((pointer.clone(), person(somebody, &pointer)?));
            }
        }
        check_text(&self.subject, SUBJECT_MAX, "/subject")?;
        let name = self.from.as_ref().and_then(|from| from.name.as_deref());
        let mut builder = MessageBuilder::new()
            .from(named(name, &from))
            .subject(self.subject.as_str())
            .date(now.secs())
            .message_id(message_id);
        for (field, people) in [("To", &self.to), ("Cc", &self.cc)] {
            if !people.is_empty() {
                let list =
                    people.iter().map(|one| Named::new_address(one.name.as_deref(), one.address.as_str()));
                builder = builder.header(field, Named::new_list(list.collect()));
            }
        }
        if let Some(answered) = &self.in_reply_to {
            builder = builder.in_reply_to(identifier(answered, "/inReplyTo")?);
        }
        if !self.references.is_empty() {
            if self.references.len() > REFERENCES_MAX {
                return Err(too_many("/references", REFERENCES_MAX));
            }
            let known: Result<Vec<&str>, Problem> = (0..)
                .zip(&self.references)
                .map(|(at, reference)| identifier(reference, &format!("/references/{at}")))
                .collect();
            builder = builder.references(known?);
        }
        // Without any text a message is still one that can be read.
        let text = self.text.or_else(|| self.html.is_none().then(String::new));
        if let Some(text) = text {
            builder = builder.text_body(lines(&text));
        }
        if let Some(html) = self.html {
            builder = builder.html_body(lines(&html));
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            return Err(too_many("/attachments", ATTACHMENTS_MAX));
        }
        for (at, attachment) in self.attachments.into_iter().enumerate() {
            let pointer = format!("/attachments/{at}");
            let octets = attachment.octets(&pointer)?;
            builder = builder.attachment(attachment.content_type, attachment.filename, octets);
        }
        let content = builder.write_to_vec().map_err(|error| {
            tracing::error!(%error, "a message could not be composed");
            Problem::new(crate::problem::Code::Internal)
        })?;
        Ok(Composition { content, from, recipients })
    }
}

impl NewAttachment {
    /// Its octets, once its name and type are found in order.
    fn octets(&self, pointer: &str) -> Result<Vec<u8>, Problem> {
        let filename = format!("{pointer}/filename");
        check_text(&self.filename, FILENAME_MAX, &filename)?;
        if self.filename.trim().is_empty() {
            return Err(Problem::invalid(filename, "must not be empty", "ne doit pas être vide"));
        }
        if !is_media_type(&self.content_type) {
            return Err(Problem::invalid(
                format!("{pointer}/contentType"),
                "must be type/subtype (RFC 2045) without parameters, neither multipart nor message",
                "doit être type/sous-type (RFC 2045) sans paramètre, ni multipart ni message",
            ));
        }
        BASE64_STANDARD.decode(&self.content_base64).map_err(|_| {
            Problem::invalid(
                format!("{pointer}/contentBase64"),
                "must be base64 (RFC 4648 section 4), padded, without line ends",
                "doit être en base64 (RFC 4648 section 4), complété, sans fin de ligne",
            )
        })
    }
}

fn is_media_type(text: &str) -> bool {
    let is_token = |token: &str| {
        let is_special = |b: u8| b"()<>@,;:\\\"/[]?=".contains(&b);
        !token.is_empty()
            && token.len() <= 63
            && token.bytes().all(|b| b.is_ascii_graphic() && !is_special(b))
    };
    let Some((kind, subtype)) = text.split_once('/') else { return false };
    let is_container = ["multipart", "message"].iter().any(|container| kind.eq_ignore_ascii_case(container));
    is_token(kind) && is_token(subtype) && !is_container
}

fn person(somebody: &Correspondent, pointer: &str) -> Result<Address, Problem> {
    if let Some(name) = &somebody.name {
        check_text(name, NAME_MAX, &format!("{pointer}/name"))?;
    }
    somebody.address.parse().map_err(|_| {
        Problem::invalid(
            format!("{pointer}/address"),
            "is not an address (RFC 5321 section 4.1.2)",
            "n'est pas une adresse (RFC 5321 section 4.1.2)",
        )
    })
}

fn named<'n>(name: Option<&'n str>, address: &Address) -> Named<'n> {
    Named::new_address(name, address.to_string())
}

/// One line of bounded length.
fn check_text(text: &str, max: usize, pointer: &str) -> Result<(), Problem> {
    if text.chars().count() <= max && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(
        pointer,
        format!("must be one line of at most {max} characters, without control characters"),
        format!("doit être une ligne d'au plus {max} caractères, sans caractère de contrôle"),
    ))
}

/// The inside of `<…@…>`.
fn identifier<'i>(text: &'i str, pointer: &str) -> Result<&'i str, Problem> {
    let inside = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).filter(|inside| {
        let is_plain = inside.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
        let is_whole =
            inside.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
        inside.len() <= MESSAGE_ID_MAX && is_plain && is_whole
    });
    inside.ok_or_else(|| {
        Problem::invalid(
            pointer,
            "is not a message identifier, <…@…> (RFC 5322 section 3.6.4)",
            "n'est pas un identifiant de message, <…@…> (RFC 5322 section 3.6.4)",
        )
    })
}

fn too_many(pointer: &str, max: usize) -> Problem {
    Problem::invalid(pointer, format!("at most {max}"), format!("au plus {max}"))
}

/// The text with the line ends that messages have, and without NUL, which they cannot have.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "").replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use message::structure::{PartRole, StructureScanner};

    fn draft(json: &str) -> Result<Composition, Problem> {
        let draft: Draft = crate::json::read(json.as_bytes())?;
        let own: Address = "claire@chu-nord.example".parse().unwrap();
        draft.compose(&own, "1@mx.chu-nord.example", Timestamp(1_795_248_240_000))
    }

    fn place(json: &str) -> String {
        let body = draft(json).unwrap_err().body(crate::problem::Language::English);
        body.errors.first().and_then(|fault| fault.pointer.clone()).unwrap_or_default()
    }

    #[test]
    fn what_is_composed_says_what_was_given() {
        let composed = draft(
            r#"{"from":{"address":"claire@chu-nord.example","name":"Cécile, dite \"C\""},"to":[{"address":"a@b.example"},{"address":"c@d.example","name":"É"}],
               "bcc":[{"address":"z@b.example"}],"subject":"Résultat d'analyse très long, si long qu'il faut plus d'une ligne pour l'écrire en entier","text":"é\n.\nFrom x\n",
               "html":"<p>é</p>","attachments":[{"filename":"ré sultat.csv","contentType":"text/csv","contentBase64":"YSxiCg=="}],
               "inReplyTo":"<0@x.example>","references":["<00@x.example>","<0@x.example>"]}"#,
        )
        .unwrap();
        let mut scanner = StructureScanner::new();
        scanner.push(&composed.content);
        let structure = scanner.finish();
        let head = structure.letterhead();
        assert_eq!(head.from[0].name.as_deref(), Some("Cécile, dite \"C\""));
        let to: Vec<_> = head.to.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(to, ["a@b.example", "c@d.example"]);
        assert!(head.subject.unwrap().ends_with("l'écrire en entier"));
        assert_eq!(head.message_id.as_deref(), Some("<1@mx.chu-nord.example>"));
        assert!(head.bcc.is_empty());
        let recipients: Vec<_> = composed.recipients.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(recipients, ["/to/0", "/to/1", "/bcc/0"]);
        let parts = structure.parts();
        let roles: Vec<_> = parts.iter().map(|part| part.role).collect();
        assert_eq!(roles, [PartRole::Text, PartRole::Html, PartRole::Attachment]);
        assert_eq!(parts[2].name.as_deref(), Some("ré sultat.csv"));
        let octets = |at: usize| {
            let range = &parts[at].body;
            let raw = &composed.content[range.start as usize..range.end as usize];
            message::text::decode_body(raw, parts[at].encoding, parts[at].charset.as_deref())
        };
        assert_eq!((octets(0).trim_end(), octets(2).as_str()), ("é\r\n.\r\nFrom x", "a,b\n"));
        let text = String::from_utf8(composed.content).unwrap();
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
    }

    #[test]
    fn nothing_that_is_given_begins_a_field() {
        for (json, pointer) in [
            (r#"{"subject":"a\r\nBcc: x@y.example"}"#, "/subject"),
            (r#"{"to":[{"address":"a@b.example\r\nBcc: x@y.example"}]}"#, "/to/0/address"),
            (r#"{"to":[{"address":"a@b.example","name":"x\nBcc: y"}]}"#, "/to/0/name"),
            (r#"{"inReplyTo":"<a@b>\r\nBcc: x@y.example"}"#, "/inReplyTo"),
            (r#"{"references":["<a@b>","<a b@c>"]}"#, "/references/1"),
            (
                r#"{"attachments":[{"filename":"a\r\nX: y","contentType":"text/csv","contentBase64":""}]}"#,
                "/attachments/0/filename",
            ),
            (
                r#"{"attachments":[{"filename":"a","contentType":"text/csv\r\nX: y","contentBase64":""}]}"#,
                "/attachments/0/contentType",
            ),
            (
                r#"{"attachments":[{"filename":"a","contentType":"message/rfc822","contentBase64":""}]}"#,
                "/attachments/0/contentType",
            ),
            (
                r#"{"attachments":[{"filename":"a","contentType":"text/csv","contentBase64":"%"}]}"#,
                "/attachments/0/contentBase64",
            ),
            (r#"{"from":{"address":"a"}}"#, "/from/address"),
            (r#"{"cc":[{"address":"a@b.example","nom":"x"}]}"#, "/cc/0/nom"),
        ] {
            assert_eq!(place(json), pointer, "{json}");
        }
    }
}
