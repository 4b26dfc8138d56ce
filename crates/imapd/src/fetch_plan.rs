//! What a FETCH needs, found once before its messages are walked.

use crate::enable::{Enabled, Extension};
use crate::state::Selected;
use imap_session::command::{FetchArguments, FetchItem, Section, SectionText};
use imap_session::response::{self, Named};
use imap_session::view::Entry;
use store::WithBody;

/// The items of one FETCH, with what they cost.
pub(crate) struct Plan {
    pub(crate) items: Vec<FetchItem>,
    /// UID is shown though it is not among the items.
    by_uid: bool,
    /// MODSEQ is shown though it is not among the items.
    pub(crate) adds_modseq: bool,
    enabled: Enabled,
    /// What to read of each message; `None` when the session knows it all.
    pub(crate) with: Option<WithBody>,
    /// What of the structure is looked at.
    pub(crate) structure: StructureNeed,
    /// `\Seen` is set on what is fetched.
    pub(crate) sets_seen: bool,
}

/// What of a structure a FETCH looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StructureNeed {
    Nothing,
    /// ENVELOPE and BODYSTRUCTURE, which stand in it ready to send.
    Shown,
    /// More of it: it is decoded.
    Whole,
}

impl Plan {
    pub(crate) fn new(arguments: FetchArguments, selected: &Selected, enabled: Enabled) -> Self {
        let items = arguments.items;
        let structure = items.iter().map(structure_need).max().unwrap_or(StructureNeed::Nothing);
        let may_set_seen = !selected.is_read_only && selected.who.may("s");
        Self {
            by_uid: arguments.by_uid && !items.contains(&FetchItem::Uid),
            adds_modseq: enabled.has(Extension::CondStore) && !items.contains(&FetchItem::ModSeq),
            enabled,
            with: items.iter().filter_map(need).max_by_key(|with| rank(*with)).map(|with| match with {
                WithBody::Content if structure == StructureNeed::Nothing => WithBody::OnlyContent,
                with => with,
            }),
            structure,
            sets_seen: may_set_seen && items.iter().any(FetchItem::sets_seen),
            items,
        }
    }

    /// How the response names a message.
    pub(crate) fn named(&self, seq: u32, uid: u32) -> Named {
        let named = self.enabled.named(self.by_uid, seq, uid);
        if self.items.contains(&FetchItem::Uid) && named == Named::Both(seq, uid) {
            Named::Number(seq)
        } else {
            named
        }
    }

    /// How a response that was not asked for names a message, and the modification sequence that it tells.
    pub(crate) fn unasked(&self, seq: u32, entry: &Entry) -> (Named, Option<u64>) {
        let by_uid = self.by_uid || self.items.contains(&FetchItem::Uid);
        (self.enabled.named(by_uid, seq, entry.uid), self.enabled.modseq(entry))
    }

    pub(crate) fn tells_recent(&self) -> bool {
        self.enabled.tells_recent()
    }

    /// FLAGS is shown though it is not among the items, because fetching changed them.
    pub(crate) fn adds_flags(&self) -> bool {
        !self.items.contains(&FetchItem::Flags)
    }

    /// Whether the octets of a message are read that are not at hand: not for a preview that may be left out.
    pub(crate) fn reads(&self, is_at_hand: bool) -> bool {
        let is_due = |item: &FetchItem| need(item) == Some(WithBody::Content) && *item != LAZY;
        is_at_hand || self.items.iter().any(is_due)
    }

    /// Whether content is read for previews alone: a message that does not open is then told without one.
    pub(crate) fn reads_for_previews(&self) -> bool {
        let is_other = |item: &FetchItem| !matches!(item, FetchItem::Preview { .. });
        !self.items.iter().any(|item| need(item) == Some(WithBody::Content) && is_other(item))
    }

    /// Numbers from the first to the last message of a page, and numbers passed over within it.
    pub(crate) fn page_bounds(&self) -> (u32, u32) {
        match self.with {
            None | Some(WithBody::No) => (512, 16),
            Some(WithBody::Structure) => (128, 4),
            // Fewer when messages are large.
            Some(WithBody::Content | WithBody::OnlyContent) => (256, 0),
        }
    }
}

const LAZY: FetchItem = FetchItem::Preview { lazy: true };

fn need(item: &FetchItem) -> Option<WithBody> {
    match item {
        FetchItem::Flags | FetchItem::Uid | FetchItem::ModSeq => None,
        FetchItem::InternalDate | FetchItem::SaveDate | FetchItem::Rfc822Size | FetchItem::EmailId => {
            Some(WithBody::No)
        }
        FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure | FetchItem::ThreadId => {
            Some(WithBody::Structure)
        }
        FetchItem::Rfc822
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Text
        | FetchItem::BodySection { .. }
        | FetchItem::Binary { .. }
        | FetchItem::BinarySize { .. }
        | FetchItem::Preview { .. } => Some(WithBody::Content),
    }
}

fn rank(with: WithBody) -> u8 {
    match with {
        WithBody::No => 0,
        WithBody::Structure => 1,
        WithBody::OnlyContent | WithBody::Content => 2,
    }
}

fn structure_need(item: &FetchItem) -> StructureNeed {
    let of_section = |section: &Section| match *section {
        Section { ref part, text: SectionText::Whole } if part.is_empty() => StructureNeed::Nothing,
        _ => StructureNeed::Whole,
    };
    match item {
        FetchItem::Envelope | FetchItem::BodyStructure => StructureNeed::Shown,
        FetchItem::Body
        | FetchItem::ThreadId
        | FetchItem::Preview { .. }
        | FetchItem::Binary { .. }
        | FetchItem::BinarySize { .. } => StructureNeed::Whole,
        FetchItem::BodySection { section, .. } => of_section(section),
        item => {
            response::rfc822_label(item).map_or(StructureNeed::Nothing, |(_, section)| of_section(&section))
        }
    }
}
