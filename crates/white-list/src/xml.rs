//! The first look at the text of a list: well-formed, without a document type, with one signature in its place.
//!
//! Nothing is believed here. What passes is handed to the verifier; what fails gets the clearest cause.

use std::collections::HashSet;

use roxmltree::{Document, Error, Node, ParsingOptions};

use crate::ListFault;

/// The namespace of XML signatures.
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The namespace of the national list.
pub(crate) const LIST: &str = "https://listeblanche.mssante.fr/schema";
/// The root of the national list.
pub(crate) const ROOT: &str = "ListeBlancheMSSante";

/// Elements, texts and comments of one document: thirty for each of the entries that are read.
const NODES_MAX: u32 = 3_000_000;

const IDENTIFIERS: [&str; 4] = ["Id", "ID", "id", "AssertionID"];

/// The text of a document: UTF-8 that says nothing else of itself, without its byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, ListFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| ListFault::NotUtf8)?;
    // UTF-16 of ASCII letters is UTF-8 too, with a NUL for each.
    if text.contains('\0') {
        return Err(ListFault::NotUtf8);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let declaration = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let encoding = declaration.and_then(|(declaration, _)| declaration.split_once("encoding"));
    match encoding {
        Some((_, name)) if !name.to_ascii_lowercase().contains("utf-8") => Err(ListFault::NotUtf8),
        _ => Ok(text),
    }
}

/// Parses without any expansion: a document type is refused before a parser sees it, even in a comment, and again by the parser.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, ListFault> {
    let mut declarations = text.match_indices("<!").filter_map(|(at, _)| text.get(at..));
    if declarations.any(|rest| !rest.starts_with("<!--") && !rest.starts_with("<![CDATA[")) {
        return Err(ListFault::Doctype);
    }
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| fault(text, &error))
}

fn fault(text: &str, error: &Error) -> ListFault {
    match error {
        Error::DtdDetected => ListFault::Doctype,
        Error::NodesLimitReached => ListFault::TooMany("elements"),
        Error::AttributesLimitReached => ListFault::TooMany("attributes"),
        Error::NamespacesLimitReached => ListFault::TooMany("namespaces"),
        Error::UnexpectedEndOfStream | Error::UnclosedRootNode => ListFault::Truncated,
        _ if text.trim_start().starts_with('<') && !text.trim_end().ends_with('>') => ListFault::Truncated,
        error => ListFault::NotXml { line: error.pos().row },
    }
}

/// Checks that it is a national list, that no identifier comes twice, and that the only signature is the last child of the root.
pub(crate) fn check_shape(document: &Document<'_>) -> Result<(), ListFault> {
    let root = document.root_element();
    if !root.has_tag_name((LIST, ROOT)) {
        let line = document.text_pos_at(root.range().start).row as usize;
        return Err(ListFault::Schema {
            line,
            expected: "ListeBlancheMSSante of the namespace https://listeblanche.mssante.fr/schema",
        });
    }
    refuse_duplicate_ids(root)?;
    let mut signatures = root.descendants().filter(|node| node.has_tag_name((DSIG, "Signature")));
    let signature = signatures.next().ok_or(ListFault::NoSignature)?;
    if signatures.next().is_some() {
        return Err(ListFault::SeveralSignatures);
    }
    if root.last_element_child() != Some(signature) {
        return Err(ListFault::Wrapping("it is not the last child of the root"));
    }
    let strangers = root.children().filter(|child| *child != signature).flat_map(|child| child.descendants());
    if strangers.into_iter().any(|node| node.tag_name().namespace() == Some(DSIG)) {
        return Err(ListFault::Wrapping("a part of it stands outside of it"));
    }
    Ok(())
}

fn refuse_duplicate_ids(root: Node<'_, '_>) -> Result<(), ListFault> {
    let mut known = HashSet::new();
    let attributes = root.descendants().flat_map(|node| node.attributes());
    let mut identifiers = attributes.filter(|attribute| IDENTIFIERS.contains(&attribute.name()));
    if identifiers.all(|identifier| known.insert(identifier.value())) {
        Ok(())
    } else {
        Err(ListFault::DuplicateId)
    }
}

/// The text of an element without element children. Several pieces, as comments and processing instructions make them, are none.
pub(crate) fn simple_text<'a>(element: Node<'a, '_>) -> Option<&'a str> {
    let mut children = element.children();
    match (children.next(), children.next()) {
        (None, _) => Some(""),
        (Some(only), None) if only.is_text() => only.text(),
        _ => None,
    }
}

/// The element children of an element that has nothing else but white space.
pub(crate) fn elements<'a, 'input>(element: Node<'a, 'input>) -> Option<Vec<Node<'a, 'input>>> {
    let is_space =
        |node: &Node<'_, '_>| node.is_text() && node.text().is_none_or(|text| text.trim().is_empty());
    let others = element.children().filter(|child| !child.is_element());
    others
        .into_iter()
        .all(|child| is_space(&child))
        .then(|| element.children().filter(Node::is_element).collect())
}
