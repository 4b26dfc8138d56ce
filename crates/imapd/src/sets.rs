//! Sets of messages cut into what the store can be asked at one time. A message is (sequence number, UID); sets are ascending.
//!
//! Neighbours by sequence number have nothing between them: UIDs are only ever given at the end of a folder.

/// The closed ranges of UIDs that hold the messages and no other that the session knows.
pub(crate) fn uid_ranges(messages: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut last_seq = None;
    for &(seq, uid) in messages {
        match ranges.last_mut() {
            Some(range) if last_seq == seq.checked_sub(1) => range.1 = uid,
            _ => ranges.push((uid, uid)),
        }
        last_seq = Some(seq);
    }
    ranges
}

/// How many of the first messages to ask for together: at most `span_max` numbers from the first to the last, and never more than
/// `gap_max` numbers between two that are not asked for.
pub(crate) fn page_len(messages: &[(u32, u32)], span_max: u32, gap_max: u32) -> usize {
    let Some(&(first, _)) = messages.first() else { return 0 };
    let mut last = first;
    let end = messages.iter().position(|&(seq, _)| {
        let is_far = seq - last > gap_max + 1 || seq - first >= span_max;
        last = seq;
        is_far
    });
    end.unwrap_or(messages.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_one_range_though_their_uids_have_gaps() {
        assert_eq!(uid_ranges(&[(1, 10), (2, 20), (3, 21), (5, 40)]), [(10, 21), (40, 40)]);
        assert_eq!(uid_ranges(&[(7, 9)]), [(9, 9)]);
        assert_eq!(uid_ranges(&[]), []);
    }

    #[test]
    fn a_page_ends_at_its_span_and_at_a_gap() {
        let all: Vec<_> = (1..=10).map(|n| (n, n * 2)).collect();
        assert_eq!(page_len(&all, 4, 0), 4);
        assert_eq!(page_len(&all, 100, 0), 10);
        assert_eq!(page_len(&[(1, 1), (2, 2), (4, 4)], 100, 0), 2);
        assert_eq!(page_len(&[(1, 1), (3, 3), (9, 9)], 100, 1), 2);
        assert_eq!(page_len(&[(1, 1), (3, 3), (5, 5)], 4, 1), 2);
        assert_eq!(page_len(&[], 4, 0), 0);
    }
}
