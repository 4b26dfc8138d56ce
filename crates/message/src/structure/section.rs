//! Which bytes a `BODY[section]` names (RFC 9051 §6.4.5).

use super::{Kind, SectionRange, Structure};

/// What of a part is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// `BODY[]`, `BODY[1.2]`: the message, or the body of a part.
    Content,
    /// `HEADER`, also for its FIELDS: the header of the message or of an embedded one.
    Header,
    /// `TEXT`: what follows the header, of the message or of an embedded one.
    Text,
    /// `MIME`: the header of a part.
    Mime,
}

/// Where a path has led: a message whose parts are numbered from 1, or a part.
#[derive(Clone, Copy)]
enum Place {
    Message(usize),
    Part(usize),
}

impl Structure {
    /// The bytes of a section; `None` when there is no such part, or when the part has no such section
    /// (HEADER and TEXT are for messages, MIME for parts). An empty path is the message itself.
    pub fn section(&self, path: &[u32], kind: SectionKind) -> Option<SectionRange> {
        let mut place = Place::Message(0);
        for &number in path {
            place = self.step(place, number)?;
        }
        let (message, part) = match place {
            Place::Message(at) => (Some(at), None),
            Place::Part(at) => (self.embedded(at), Some(at)),
        };
        match (kind, part) {
            (SectionKind::Content, None) => Some(0..self.total),
            (SectionKind::Content, Some(at)) => Some(self.nodes.get(at)?.body.clone()),
            (SectionKind::Mime, at) => Some(self.nodes.get(at?)?.header.clone()),
            (SectionKind::Header, _) => Some(self.nodes.get(message?)?.header.clone()),
            (SectionKind::Text, _) => Some(self.nodes.get(message?)?.body.clone()),
        }
    }

    fn step(&self, place: Place, number: u32) -> Option<Place> {
        let (at, whole) = match place {
            Place::Message(at) => (at, true),
            Place::Part(at) => match self.embedded(at) {
                Some(message) => (message, true),
                None => (at, false),
            },
        };
        if self.nodes.get(at)?.kind == Kind::Multipart {
            return self.child(at, number).map(Place::Part);
        }
        // A message that is no multipart has itself as its only part.
        (whole && number == 1).then_some(Place::Part(at))
    }

    fn embedded(&self, at: usize) -> Option<usize> {
        if self.nodes.get(at)?.kind == Kind::Message { self.child(at, 1) } else { None }
    }

    /// The child of that number, counted from 1.
    fn child(&self, at: usize, number: u32) -> Option<usize> {
        let depth = self.nodes.get(at)?.depth;
        let nth = usize::try_from(number).ok()?.checked_sub(1)?;
        let below = self.nodes.iter().enumerate().skip(at + 1).take_while(|(_, node)| node.depth > depth);
        below.filter(|(_, node)| node.depth == depth + 1).nth(nth).map(|(index, _)| index)
    }
}
