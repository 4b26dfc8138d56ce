//! Rows and structures of the messages that a search found, page by page, for what sorts and threads them.

use crate::Imapd;
use crate::search_return::Message;
use crate::sets::page_len;
use crate::state::{Failure, Selected};
use mail_types::Uid;
use message::structure::Structure;
use store::{Error, MessageRow, WithBody};

/// Octets of a header in which ancestors are looked for.
const HEADER_MAX: u64 = 256 * 1024;

/// The selected folder, where messages are read.
#[derive(Clone, Copy)]
pub(crate) struct Headings<'s> {
    pub(crate) selected: &'s Selected,
    pub(crate) shared: &'s Imapd,
}

impl Headings<'_> {
    /// Reads messages, which are ascending. One that is no more is passed over; one whose structure cannot be opened comes without it, and so do all
    /// when only rows are asked for.
    pub(crate) async fn read_each(
        self,
        messages: &[Message],
        with_structure: bool,
        mut take: impl FnMut(Message, &MessageRow, Option<Structure>),
    ) -> Result<(), Failure> {
        let selected = self.selected;
        let (with, span, gap) =
            if with_structure { (WithBody::Structure, 256, 4) } else { (WithBody::No, 512, 16) };
        let mut rest = messages;
        while !rest.is_empty() {
            let (page, later) = rest.split_at(page_len(rest, span, gap).max(1));
            rest = later;
            let (Some((_, first)), Some((_, last))) = (page.first(), page.last()) else { break };
            let rows =
                self.shared.store.messages(selected.folder, Uid(*first), Uid(*last), span, with).await?;
            let mut asked = page.iter().peekable();
            for row in rows {
                let uid = row.uid.0;
                while asked.next_if(|(_, each)| *each < uid).is_some() {}
                let Some(&message) = asked.next_if(|(_, each)| *each == uid) else { continue };
                let structure = if with_structure { self.structure_of(&row) } else { None };
                take(message, &row, structure);
            }
        }
        Ok(())
    }

    fn structure_of(self, row: &MessageRow) -> Option<Structure> {
        let selected = self.selected;
        match structure(selected, row) {
            Ok(structure) => Some(structure),
            Err(error) => {
                tracing::error!(folder = %selected.folder, uid = row.uid.0, %error, "the structure of a message could not be opened");
                self.shared.metrics.unreadable.inc_by(1);
                None
            }
        }
    }

    /// The ancestors of a message whose stored structure does not name them, from its header.
    pub(crate) async fn ancestors(self, uid: u32) -> Result<Vec<Vec<u8>>, Failure> {
        let selected = self.selected;
        let store = &self.shared.store;
        let row = store.messages(selected.folder, Uid(uid), Uid(uid), 1, WithBody::Content).await?.pop();
        let Some(mut row) = row else { return Ok(Vec::new()) };
        let key = selected.key.unwrap(row.body, &row.wrapped_key)?;
        let mut structure = structure(selected, &row)?;
        let mut reader = store.content(&mut row, &key).await?;
        let (range, mut header) = (structure.header(), Vec::new());
        reader.read(range.start, range.end.min(range.start.saturating_add(HEADER_MAX)), &mut header).await?;
        structure.learn_references(&header);
        Ok(structure.heading().references)
    }
}

fn structure(selected: &Selected, row: &MessageRow) -> Result<Structure, Error> {
    let key = selected.key.unwrap(row.body, &row.wrapped_key)?;
    Structure::decode(&row.structure(&key)?).map_err(|_| Error::Inconsistent("the structure is not readable"))
}
