//! Threads of messages (RFC 5256 §3), from what is known of each of them.
//!
//! Nothing recurses, whatever depth the References of hostile messages build, and time grows with the messages and what they refer to. It
//! does not know headers: Message-IDs come as numbers that are the same for the same Message-ID, base subjects come folded.

mod ordered_subject;
mod references;

pub use ordered_subject::ordered_subject;
pub use references::references;

/// What threads a message. Messages are given by ascending sequence number, which decides between equals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threadable {
    /// Number by which the answer names it.
    pub number: u32,
    /// When it was sent; any unit.
    pub sent: i64,
    /// Base subject, folded as subjects are compared.
    pub subject: Box<str>,
    /// The subject is that of a reply or of a forward.
    pub is_reply: bool,
    /// Its Message-ID, if it has a valid one.
    pub id: Option<u64>,
    /// Message-IDs of its ancestors, the oldest first.
    pub references: Box<[u64]>,
}

/// Threads in the order in which they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forest {
    nodes: Vec<Node>,
    /// Roots, as indices of `nodes`.
    roots: Vec<usize>,
}

/// A message with what answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Number of the message; none for a parent that is not there.
    number: Option<u32>,
    /// In order, as indices.
    children: Vec<usize>,
}

impl Forest {
    pub(crate) fn roots(&self) -> &[usize] {
        &self.roots
    }

    pub(crate) fn number(&self, node: usize) -> Option<u32> {
        self.nodes.get(node).and_then(|node| node.number)
    }

    pub(crate) fn children(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map_or(&[], |node| &node.children)
    }
}
