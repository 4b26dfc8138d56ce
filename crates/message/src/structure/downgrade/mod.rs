//! A message made fit for a server without 8BITMIME: each part with octets over 127 becomes quoted-printable or base64.
//!
//! Three passes over the same octets: [`StructureScanner`](super::StructureScanner) finds the parts, [`Survey`] finds which of them hold octets
//! over 127, [`Converter`] writes the message anew. Memory is bounded by the structure and by the longest header; the message is
//! never held.
//!
//! Text becomes quoted-printable, anything else base64. Only the `Content-*` fields that must change do. What is signed or encrypted as it
//! stands (RFC 1847) is never touched: if it holds such octets, there is an [`Obstacle`]. Header fields with such octets pass as they are:
//! they are as wrong for a server with 8BITMIME, which is about bodies.
//!
//! Standards: RFC 6152 §3, RFC 2045 §6, RFC 1428 §3 (`unknown-8bit`), RFC 1847 §2.1.

mod encode;
mod header;
#[cfg(test)]
mod tests;

use super::{Kind, Node, Structure};
use encode::{Base64Encoder, QuotedPrintableEncoder};
use header::Change;
use std::ops::Range;

/// Why a message cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A part inside a multipart/signed or multipart/encrypted.
    #[error("a signed or encrypted part has 8-bit text and must not be changed")]
    Signed,
    /// A part of a type that must not be encoded, or that says it is encoded and is not.
    #[error("a part has 8-bit text and cannot be encoded")]
    Part,
    /// Text before the first part of a multipart or after its last.
    #[error("there is 8-bit text between parts")]
    BetweenParts,
}

/// What a stretch of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Header of this node.
    Header(usize),
    /// Body of this node, which has no parts.
    Body(usize),
    /// Delimiters and what stands around parts.
    Between,
}

#[derive(Clone, Debug)]
struct Stretch {
    end: u64,
    place: Place,
    is_eight_bit: bool,
}

/// Notes where a message has octets over 127.
#[derive(Debug)]
pub struct Survey<'s> {
    structure: &'s Structure,
    stretches: Vec<Stretch>,
    current: usize,
    at: u64,
}

impl<'s> Survey<'s> {
    /// A survey of the message with that structure.
    pub fn new(structure: &'s Structure) -> Self {
        Self { structure, stretches: stretches(structure), current: 0, at: 0 }
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(stretch) = self.stretches.get_mut(self.current).filter(|_| !rest.is_empty()) {
            let (piece, after) = cut(rest, stretch.end - self.at);
            stretch.is_eight_bit = stretch.is_eight_bit || !piece.is_ascii();
            self.at += piece.len() as u64;
            self.current += usize::from(self.at >= stretch.end);
            rest = after;
        }
    }

    /// How to convert the message.
    ///
    /// # Errors
    /// [`Obstacle`]: the message cannot be sent to such a server.
    pub fn finish(self) -> Result<Downgrade, Obstacle> {
        let nodes = &self.structure.nodes;
        let sealed = sealed(nodes);
        let mut encodings: Vec<Option<Encoding>> = vec![None; nodes.len()];
        for stretch in self.stretches.iter().filter(|stretch| stretch.is_eight_bit) {
            match stretch.place {
                Place::Header(_) => {}
                Place::Between => return Err(Obstacle::BetweenParts),
                Place::Body(index) if sealed[index] => return Err(Obstacle::Signed),
                Place::Body(index) => encodings[index] = Some(encoding_for(&nodes[index])?),
            }
        }
        let steps = self.stretches.iter().map(|stretch| Step {
            end: stretch.end,
            action: match stretch.place {
                Place::Header(index) if !sealed[index] => header_action(nodes, index, encodings[index]),
                Place::Body(index) => encodings[index].map_or(Action::Copy, Action::Encode),
                Place::Header(_) | Place::Between => Action::Copy,
            },
        });
        Ok(Downgrade { steps: steps.collect() })
    }
}

/// How a message is converted.
#[derive(Clone, Debug)]
pub struct Downgrade {
    steps: Vec<Step>,
}

impl Downgrade {
    /// A converter at the start of the message.
    pub fn converter(&self) -> Converter<'_> {
        let mut converter = Converter { steps: &self.steps, at: 0, work: Work::Copy };
        converter.begin_step();
        converter
    }
}

#[derive(Clone, Debug)]
struct Step {
    end: u64,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Copy,
    Rewrite(Change),
    Encode(Encoding),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    QuotedPrintable,
    Base64,
}

/// Writes a message anew, given in pieces of any size.
#[derive(Debug)]
pub struct Converter<'d> {
    steps: &'d [Step],
    at: u64,
    work: Work,
}

/// What is under way in the current step.
#[derive(Debug)]
enum Work {
    Copy,
    Header(Vec<u8>, Change),
    QuotedPrintable(QuotedPrintableEncoder),
    Base64(Base64Encoder),
}

impl Converter<'_> {
    /// Takes the next octets of the message; appends what can be written to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(step) = self.steps.first().filter(|_| !rest.is_empty()) {
            let (piece, after) = cut(rest, step.end - self.at);
            self.work.push(piece, out);
            self.at += piece.len() as u64;
            if self.at >= step.end {
                self.end_step(out);
            }
            rest = after;
        }
    }

    /// The message ended: appends what was held back.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end_step(out);
    }

    fn end_step(&mut self, out: &mut Vec<u8>) {
        std::mem::replace(&mut self.work, Work::Copy).finish(out);
        self.steps = self.steps.get(1..).unwrap_or_default();
        self.begin_step();
    }

    fn begin_step(&mut self) {
        self.work = match self.steps.first().map(|step| &step.action) {
            None | Some(Action::Copy) => Work::Copy,
            Some(Action::Rewrite(change)) => Work::Header(Vec::new(), *change),
            Some(Action::Encode(Encoding::QuotedPrintable)) => {
                Work::QuotedPrintable(QuotedPrintableEncoder::default())
            }
            Some(Action::Encode(Encoding::Base64)) => Work::Base64(Base64Encoder::default()),
        };
    }
}

impl Work {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Copy => out.extend_from_slice(piece),
            Self::Header(held, _) => held.extend_from_slice(piece),
            Self::QuotedPrintable(encoder) => encoder.push(piece, out),
            Self::Base64(encoder) => encoder.push(piece, out),
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        match self {
            Self::Copy => {}
            Self::Header(held, change) => header::rewrite(&held, change, out),
            Self::QuotedPrintable(encoder) => encoder.finish(out),
            Self::Base64(encoder) => encoder.finish(out),
        }
    }
}

/// The message from end to end, in stretches that are not empty.
fn stretches(structure: &Structure) -> Vec<Stretch> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut add = |range: Range<u64>, place| {
        for (end, place) in [(range.start, Place::Between), (range.end, place)] {
            if end > at {
                at = end;
                found.push(Stretch { end, place, is_eight_bit: false });
            }
        }
    };
    for (index, node) in structure.nodes.iter().enumerate() {
        add(node.header.clone(), Place::Header(index));
        if matches!(node.kind, Kind::Leaf | Kind::Opaque) {
            add(node.body.clone(), Place::Body(index));
        }
    }
    add(structure.total..structure.total, Place::Between);
    found
}

/// Which nodes lie inside what is signed or encrypted.
fn sealed(nodes: &[Node]) -> Vec<bool> {
    let mut inside: Option<u8> = None;
    let mark = |node: &Node| {
        if inside.is_some_and(|depth| node.depth <= depth) {
            inside = None;
        }
        let is_inside = inside.is_some();
        let seals = ["signed", "encrypted"].iter().any(|subtype| node.is("multipart", subtype));
        if !is_inside && seals {
            inside = Some(node.depth);
        }
        is_inside
    };
    nodes.iter().map(mark).collect()
}

fn encoding_for(node: &Node) -> Result<Encoding, Obstacle> {
    let is_message = node.media_type.eq_ignore_ascii_case("message");
    if node.kind == Kind::Opaque || is_message || !node.is_identity_encoded() {
        return Err(Obstacle::Part);
    }
    let is_text =
        node.media_type.eq_ignore_ascii_case("text") && !node.encoding.eq_ignore_ascii_case("binary");
    Ok(if is_text { Encoding::QuotedPrintable } else { Encoding::Base64 })
}

fn header_action(nodes: &[Node], index: usize, encoding: Option<Encoding>) -> Action {
    let node = &nodes[index];
    // An embedded message follows the node that holds it.
    let is_message =
        index == 0 || nodes[index - 1].kind == Kind::Message && nodes[index - 1].depth < node.depth;
    let encoding = match encoding {
        Some(Encoding::QuotedPrintable) => "quoted-printable",
        Some(Encoding::Base64) => "base64",
        // What is labelled 8bit and is not, or is no longer.
        None if ["8bit", "binary"].iter().any(|label| node.encoding.eq_ignore_ascii_case(label)) => "7bit",
        None => return Action::Copy,
    };
    Action::Rewrite(Change { encoding, is_message })
}

impl Node {
    fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    fn is_identity_encoded(&self) -> bool {
        ["7bit", "8bit", "binary"].iter().any(|known| self.encoding.eq_ignore_ascii_case(known))
    }
}

/// The first `count` octets and the rest.
fn cut(bytes: &[u8], count: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(count).map_or(bytes.len(), |count| count.min(bytes.len())))
}
