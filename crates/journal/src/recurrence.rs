//! The same from the same side again and again: the first times of a minute are rows, the others one row with their count.

use crate::{Dated, Direction, Item, Ruling};
use mail_types::DistinguishedName;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use store::Subject;
use tokio::time::Instant;

/// Rows of one kind in one window.
const ROWS_MAX: u64 = 30;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(60);
/// Windows at one time: past this what would open another is lost, and counted.
const WINDOWS_MAX: usize = 4096;

/// What is the same: who came, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Judged {
        direction: Direction,
        network: Option<IpAddr>,
        subject: Option<DistinguishedName>,
        ruling: Ruling,
        reason: &'static str,
    },
    /// By network where it is known: a guesser has another name each time.
    Noted { action: &'static str, outcome: &'static str, network: Option<IpAddr>, subject: Option<Subject> },
}

impl Key {
    fn of(item: &Item) -> Self {
        match item {
            Item::Judged(dated) => Self::judged(dated),
            Item::Noted(entry) => {
                let network = entry.said_whence().map(network);
                let subject = entry.subject.clone().filter(|_| network.is_none());
                Self::Noted { action: entry.action, outcome: entry.outcome, network, subject }
            }
        }
    }

    fn judged(dated: &Dated) -> Self {
        let judgement = &dated.judgement;
        Self::Judged {
            direction: judgement.direction,
            network: judgement.peer.map(network),
            // A claimed subject is the peer's to choose: by a new one each time it would never repeat itself.
            subject: judgement.certificate.as_ref().filter(|it| it.is_verified).map(|it| it.subject.clone()),
            ruling: judgement.ruling,
            reason: judgement.reason,
        }
    }
}

/// One subscriber has a /64 of IPv6 addresses (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    rows: u64,
    repeats: u64,
    latest: Item,
}

/// What to do with what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recurrence {
    /// It gets a row.
    Row,
    /// It is counted in the row at the end of its window.
    Counted,
    /// Too many different ones at once: it is lost.
    Lost,
}

/// The windows that are open.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<Key, Window>);

impl Windows {
    /// Takes note of what came.
    pub(crate) fn note(&mut self, item: &Item, now: Instant) -> Recurrence {
        let key = Key::of(item);
        if let Some(window) = self.0.get_mut(&key) {
            if window.rows < ROWS_MAX {
                window.rows += 1;
                return Recurrence::Row;
            }
            window.repeats += 1;
            window.latest = item.clone();
            return Recurrence::Counted;
        }
        if self.0.len() >= WINDOWS_MAX {
            return Recurrence::Lost;
        }
        self.0.insert(key, Window { begun: now, rows: 1, repeats: 0, latest: item.clone() });
        Recurrence::Row
    }

    /// Closes the windows that are over: for each with repeats, the latest of its kind and how many it stands for.
    pub(crate) fn close(&mut self, now: Instant) -> Vec<(Item, u64)> {
        let over = self.0.extract_if(|_, window| now.duration_since(window.begun) >= WINDOW);
        over.map(|(_, window)| (window.latest, window.repeats)).filter(|(_, repeats)| *repeats > 0).collect()
    }

    /// Closes every window.
    pub(crate) fn close_all(&mut self) -> Vec<(Item, u64)> {
        let all = std::mem::take(&mut self.0).into_values();
        all.map(|window| (window.latest, window.repeats)).filter(|(_, repeats)| *repeats > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Judgement;
    use mail_types::{CertificateClaim, Timestamp};
    use store::{AuditEntry, Category};

    fn from(peer: &str, reason: &'static str) -> Item {
        let peer = Some(peer.parse().unwrap());
        let judgement = Judgement { peer, ..Judgement::new(Direction::Inbound, Ruling::Rejected, reason) };
        Item::Judged(Box::new(Dated { judgement, at: Timestamp(0) }))
    }

    #[tokio::test]
    async fn the_first_of_a_minute_are_rows_and_the_rest_one_count() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        let mut rows = 0;
        for _ in 0..100 {
            rows += u64::from(windows.note(&from("192.0.2.1", "not_listed"), now) == Recurrence::Row);
        }
        assert_eq!(rows, ROWS_MAX);
        assert!(windows.close(now + WINDOW - Duration::from_millis(1)).is_empty());
        let closed = windows.close(now + WINDOW);
        assert_eq!(closed.iter().map(|(_, repeats)| *repeats).collect::<Vec<_>>(), [100 - ROWS_MAX]);
        assert_eq!(windows.note(&from("192.0.2.1", "not_listed"), now + WINDOW), Recurrence::Row);
    }

    #[tokio::test]
    async fn a_peer_that_claims_another_subject_each_time_repeats_itself() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        for claim in 0..ROWS_MAX + 1 {
            let mut item = from("192.0.2.1", "untrusted");
            let subject = format!("CN=claim {claim}").parse().unwrap();
            let Item::Judged(dated) = &mut item else { panic!("a judgement") };
            dated.judgement.certificate = Some(CertificateClaim { subject, serial: vec![1] }.into());
            let expected = if claim < ROWS_MAX { Recurrence::Row } else { Recurrence::Counted };
            assert_eq!(windows.note(&item, now), expected);
        }
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_peer_and_other_reasons_are_apart() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        for host in 0..ROWS_MAX {
            let dated = from(&format!("2001:db8:0:1::{host:x}"), "expired");
            assert_eq!(windows.note(&dated, now), Recurrence::Row);
        }
        assert_eq!(windows.note(&from("2001:db8:0:1:ffff::1", "expired"), now), Recurrence::Counted);
        assert_eq!(windows.note(&from("2001:db8:0:2::1", "expired"), now), Recurrence::Row);
        assert_eq!(windows.note(&from("2001:db8:0:1::1", "revoked"), now), Recurrence::Row);
    }

    #[tokio::test]
    async fn peers_without_number_do_not_grow_the_memory() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        let outcomes = (0..WINDOWS_MAX + 10).map(|peer| {
            let dated = from(&format!("10.{}.{}.1", peer / 256, peer % 256), "no_certificate");
            windows.note(&dated, now)
        });
        assert_eq!(outcomes.filter(|outcome| *outcome == Recurrence::Lost).count(), 10);
    }

    #[tokio::test]
    async fn a_guesser_who_tries_another_name_each_time_repeats_himself() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        let outcomes = (0..100).map(|name| {
            let entry = AuditEntry { outcome: "refused", ..AuditEntry::new(Category::Access, "login") };
            let entry = entry.subject(Subject::Address(format!("name-{name}"))).whence([192, 0, 2, 1].into());
            windows.note(&Item::Noted(Box::new(entry)), now)
        });
        let rows = outcomes.filter(|outcome| *outcome == Recurrence::Row).count() as u64;
        assert_eq!(rows, ROWS_MAX);
        assert_eq!(windows.close_all()[0].1, 100 - ROWS_MAX);
    }
}
