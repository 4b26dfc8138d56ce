//! COPY, MOVE, EXPUNGE and their UID forms (RFC 3501 §6.4.3, §6.4.7; RFC 4315; RFC 6851).

use crate::append::refused;
use crate::attending::{Progress, Reports};
use crate::message_limit::{cut, exceeded};
use crate::place::Place;
use crate::sets::uid_ranges;
use crate::state::{Answer, Connection, Done, Failure, GONE, Selected, TOO_MANY_KEYWORDS};
use crate::sync::Telling;
use imap_session::response::{self, Code, Status};
use imap_session::sequence::MessageSet;
use mail_types::{FolderId, SystemFlags};
use store::{Crossing, KEYWORDS_MAX, Moved};

/// Messages moved in one unit of work.
const MOVED_MAX: usize = 1000;
/// Ranges removed in one unit of work: a long one keeps every other writer waiting.
const RANGES_MAX: usize = 500;

impl Connection {
    /// COPY, all or nothing: one unit of work, which keeps other writers waiting; hence its bound (decision 0020). Its statements are as many as the messages ask for,
    /// not the ranges.
    pub(crate) async fn copy(
        &mut self,
        tag: &str,
        (set, by_uid): (&MessageSet, bool),
        target: &str,
    ) -> Answer {
        const DONE: &str = "COPY completed";
        let messages = self.addressed(set, by_uid).await?;
        let target = self.target(target).await?;
        if messages.is_empty() {
            return Ok(Done::new(DONE));
        }
        // RFC 9738 §3.1: no message is copied.
        if let Some((limit, lowest)) = exceeded(Some(self.shared.save_limit), &messages) {
            const TEXT: &str = "Too many messages to copy at one time; copy fewer";
            return Err(Failure::No(Some(Code::MessageLimit(limit, Some(lowest))), TEXT));
        }
        let selected = self.selected()?;
        let crossing = crossing(selected, &target);
        let count = names_numbers(set, by_uid).then_some(messages.len());
        let store = self.changing_both(selected.who, target.who);
        let copying = store.copy_across(crossing, uid_ranges(&messages), count);
        let moved = Reports::of(tag).during(&mut self.wire, &Progress::default(), copying).await??;
        Ok(match self.copied(target.id(), moved.map_err(refused)?) {
            Some(code) => Done::with(code, DONE),
            None => Done::new(DONE),
        })
    }

    /// MOVE, piece by piece: each message is there or here (RFC 6851 §3.3), and what was moved before a failure stays so. COPYUID of each piece comes first, then
    /// the EXPUNGEs, which the change log tells (§4.3).
    pub(crate) async fn move_to(
        &mut self,
        tag: &str,
        (set, by_uid): (&MessageSet, bool),
        target: &str,
    ) -> Answer {
        let selected = self.selected()?;
        let who = selected.who;
        selected.must_be_writable()?;
        who.must("te")?;
        let mut messages = self.addressed(set, by_uid).await?;
        let cut = cut(self.shared.message_limit, &mut messages);
        let mut target = self.target(target).await?;
        let (mut reports, progress) = (Reports::of(tag), Progress::of(messages.len() as u64));
        let mut pieces = messages.chunks(MOVED_MAX).peekable();
        while let Some(piece) = pieces.next() {
            let count = names_numbers(set, by_uid).then_some(piece.len());
            let moved = self.move_piece(&target, uid_ranges(piece), count, (&mut reports, &progress)).await?;
            if let Some(code) = self.copied(target.id(), moved) {
                response::untagged(&mut self.wire.out, Status::Ok, Some(code), "Moved");
            }
            // Whatever becomes of the others, the client knows where these are.
            if pieces.peek().is_some() {
                self.wire.flush().await?;
                target = self.still_moving(target).await?;
            }
            progress.add(piece.len() as u64);
        }
        self.cut_short(cut, Ok(Done::new("MOVE completed")))
    }

    /// The client may have taken its time: the rest is for who may still take it from here, and put it there.
    async fn still_moving(&mut self, target: Place) -> Result<Place, Failure> {
        if !Box::pin(self.stands()).await {
            return Err(Failure::Lost);
        }
        let selected = self.selected()?;
        selected.must_be_writable()?;
        selected.who.must("te")?;
        let target = self.again(target).await?;
        target.who.must("i")?;
        Ok(target)
    }

    async fn move_piece(
        &mut self,
        target: &Place,
        ranges: Vec<(u32, u32)>,
        count: Option<usize>,
        (reports, progress): (&mut Reports<'_>, &Progress),
    ) -> Result<Moved, Failure> {
        let selected = self.selected()?;
        let (who, folder, crossing) = (selected.who, selected.folder, crossing(selected, target));
        let store = self.changing_both(who, target.who);
        // Flags that may not be set there stay behind (RFC 4314 §4).
        let takes_all = target.who.mailbox == who.mailbox && target.who.may("swt");
        let moving = async {
            if takes_all {
                store.move_to(who.mailbox, folder, target.id(), ranges, count).await
            } else {
                store.move_across(crossing, ranges, count).await
            }
        };
        reports.during(&mut self.wire, progress, moving).await??.map_err(refused)
    }

    /// COPYUID, unless the messages were gone already.
    fn copied(&mut self, target: FolderId, moved: Moved) -> Option<Code> {
        let (from, to): (Vec<u32>, Vec<u32>) = moved.uids.iter().map(|(from, to)| (from.0, to.0)).unzip();
        self.note_added(target, &to);
        (!from.is_empty()).then_some(Code::CopyUid(moved.uid_validity, from, to))
    }

    /// The messages of `set`. One named by number must still be there (RFC 2180 §4.4.1): else the client would take it for copied.
    async fn addressed(&mut self, set: &MessageSet, by_uid: bool) -> Result<Vec<(u32, u32)>, Failure> {
        let messages = self.selected()?.resolve(set, by_uid)?;
        if !names_numbers(set, by_uid) {
            return Ok(messages);
        }
        // Numbers stay as they are: no EXPUNGE is told yet.
        self.tell_changes(Telling::default()).await?;
        let view = &self.selected()?.view;
        if messages.iter().any(|(_, uid)| view.is_gone(*uid)) {
            return Err(GONE);
        }
        Ok(messages)
    }

    /// Refuses keywords that a folder has no room for.
    pub(crate) async fn must_have_room(
        &self,
        folder: FolderId,
        keywords: impl Iterator<Item = &str>,
    ) -> Result<(), Failure> {
        let known = self.shared.store.keywords(folder).await?;
        let is_new = |name: &&str| !known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let fits = known.len() + keywords.filter(is_new).count() <= KEYWORDS_MAX;
        if fits { Ok(()) } else { Err(TOO_MANY_KEYWORDS) }
    }

    /// EXPUNGE, of all that is marked or of these only. The change log tells what went.
    pub(crate) async fn expunge(&mut self, tag: &str, uids: Option<&MessageSet>) -> Answer {
        const DONE: &str = "EXPUNGE completed";
        let selected = self.selected()?;
        let who = selected.who;
        selected.must_be_writable()?;
        who.must("e")?;
        let (ranges, cut) = match uids {
            Some(uids) => {
                let mut messages = selected.resolve(uids, true)?;
                let cut = selected.cut_deleted(self.shared.message_limit, &mut messages);
                (Some(uid_ranges(&messages)), cut)
            }
            // RFC 9738 §3.1: without a limit.
            None => (None, None),
        };
        let (store, folder) = (self.changing(who), selected.folder);
        // Each part lasts by itself; the change log tells how far it came.
        let parts: Vec<Option<Vec<(u32, u32)>>> = match ranges {
            None => vec![None],
            Some(ranges) => ranges.chunks(RANGES_MAX).map(|part| Some(part.to_vec())).collect(),
        };
        let mut reports = Reports::of(tag);
        for part in parts {
            let removing = store.expunge(who.mailbox, folder, part);
            reports.during(&mut self.wire, &Progress::default(), removing).await??;
        }
        self.cut_short(cut, Ok(Done::new(DONE)))
    }
}

impl Selected {
    /// Only messages that are marked as deleted count. Those that others mark meanwhile may go with them.
    fn cut_deleted(&self, limit: Option<u32>, messages: &mut Vec<(u32, u32)>) -> Option<Code> {
        limit?;
        let is_deleted =
            |uid| self.view.entry(uid).is_some_and(|entry| entry.flags.contains(SystemFlags::DELETED));
        let mut deleted = messages.clone();
        deleted.retain(|(_, uid)| is_deleted(*uid));
        let (limit, lowest) = exceeded(limit, &deleted)?;
        messages.retain(|(_, uid)| *uid >= lowest);
        Some(Code::MessageLimit(limit, Some(lowest)))
    }
}

/// Whether each message was named by its number, so that none may be missing. `$` means what is still there (RFC 5182 §2.1).
fn names_numbers(set: &MessageSet, by_uid: bool) -> bool {
    !by_uid && *set != MessageSet::Saved
}

/// What goes along from the selected folder to another one: the flags that may be set there (RFC 4314 §4).
fn crossing(selected: &Selected, target: &Place) -> Crossing {
    let (from, to) = (selected.who, target.who);
    Crossing {
        from: (from.mailbox, selected.folder),
        to: (to.mailbox, target.id()),
        keys: (from.mailbox != to.mailbox).then(|| (selected.key.clone(), target.key.clone())),
        flags: to.changeable(),
        keywords: to.may("w"),
        actor: from.actor,
    }
}
