//! QRESYNC (RFC 7162 §3.2): a client that comes back hears what it missed, and nothing else.

use crate::state::{Connection, Failure, Selected, keyword_names};
use imap_session::command::{Resync, SequenceMatch};
use imap_session::response;
use imap_session::sequence::{Ranges, runs};
use imap_session::view::View;
use mail_types::ModSeq;
use std::ops::RangeInclusive;

impl Connection {
    /// After the folder was described: the UIDs that are gone since the client was here, then the messages that changed or came.
    pub(crate) async fn catch_up(&mut self, resync: &Resync) -> Result<(), Failure> {
        let known = resync.known_uids.as_ref().map(|set| set.resolve(0));
        self.tell_vanished(ModSeq(resync.modseq), known.as_ref(), resync.sequence_match.as_ref()).await?;
        let Self { selected, wire, enabled, .. } = self;
        let Some(selected) = selected.as_deref() else { return Ok(()) };
        let is_known = |uid| known.as_ref().is_none_or(|known| known.contains(uid));
        for (seq, entry) in (1..).zip(selected.view.entries()) {
            if entry.modseq.0 > resync.modseq && is_known(entry.uid) {
                let keywords = keyword_names(&selected.keywords, entry.keywords);
                let named = enabled.named(true, seq, entry.uid);
                let (recent, modseq) = (entry.recent && enabled.tells_recent(), enabled.modseq(&entry));
                response::fetch_flags(&mut wire.out, named, entry.flags, keywords, recent, modseq);
                wire.spill().await?;
            }
        }
        Ok(())
    }

    /// `* VANISHED (EARLIER)` for what is gone since, of the UIDs asked for (of all when none).
    pub(crate) async fn tell_vanished(
        &mut self,
        since: ModSeq,
        asked: Option<&Ranges>,
        sequence_match: Option<&SequenceMatch>,
    ) -> Result<(), Failure> {
        let selected = self.selected()?;
        let vanished = match self.shared.store.vanished(selected.folder, since).await? {
            Some(uids) => {
                let is_asked = |uid: &u32| asked.is_none_or(|asked| asked.contains(*uid));
                // What went after the folder was read has a number here, and is told later.
                let is_news = |uid: &u32| selected.view.entry(*uid).is_none();
                let uids: Vec<u32> =
                    uids.into_iter().map(|uid| uid.0).filter(is_asked).filter(is_news).collect();
                runs(&uids)
            }
            None => absent(selected, asked, sequence_match.map_or(0, |known| agreed(known, &selected.view))),
        };
        response::vanished(&mut self.wire.out, &vanished, true);
        self.wire.spill().await
    }
}

/// The UIDs asked for that are above `agreed` and of no message: what the server says when it forgot what went, and when.
fn absent(selected: &Selected, asked: Option<&Ranges>, agreed: u32) -> Vec<RangeInclusive<u32>> {
    let last = selected.largest_uid();
    let all = [1..=last];
    let asked = asked.map_or(&all[..], Ranges::as_slice);
    let mut absent = Vec::new();
    for range in asked {
        let (mut from, to) = (agreed.saturating_add(1).max(*range.start()), last.min(*range.end()));
        if from > to {
            continue;
        }
        for (_, entry) in selected.view.within(from..=to) {
            if from < entry.uid {
                absent.push(from..=entry.uid - 1);
            }
            from = entry.uid.saturating_add(1);
        }
        if from <= to {
            absent.push(from..=to);
        }
    }
    absent
}

/// The largest UID that has the number here that it has at the client's: up to there nothing is gone (RFC 7162 §3.2.5.2).
fn agreed(known: &SequenceMatch, view: &View) -> u32 {
    let (numbers, uids) = (known.numbers.resolve(0), known.uids.resolve(0));
    let pairs = numbers.iter().cloned().flatten().zip(uids.iter().cloned().flatten());
    pairs.take_while(|(number, uid)| view.uid_of(*number) == Some(*uid)).last().map_or(0, |(_, uid)| uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap_session::picture::Message;
    use imap_session::sequence::SequenceSet;
    use mail_types::SystemFlags;

    fn view(uids: &[u32]) -> View {
        let message = |uid| Message { uid, flags: SystemFlags::default(), keywords: 0, modseq: ModSeq(1) };
        View::new(uids.iter().copied().map(message).collect(), u32::MAX)
    }

    fn set(text: &str) -> SequenceSet {
        SequenceSet::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn up_to_the_last_pair_that_agrees_nothing_is_gone() {
        let known = |numbers, uids| SequenceMatch { numbers: set(numbers), uids: set(uids) };
        let view = view(&[10, 20, 30, 50, 60]);
        assert_eq!(agreed(&known("1,3,4", "10,30,40"), &view), 30);
        assert_eq!(agreed(&known("2", "21"), &view), 0);
        assert_eq!(agreed(&known("1:4294967295", "10:4294967295"), &view), 10);
    }
}
