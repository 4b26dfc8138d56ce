//! ORDEREDSUBJECT: messages of one base subject, by the date on which they were sent.

use super::{Forest, Node, Threadable};

/// Threads by ORDEREDSUBJECT: the first message of a subject is the parent of all others of it.
pub fn ordered_subject(messages: &[Threadable]) -> Forest {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    let key = |at: usize| messages.get(at).map(|message| (&*message.subject, message.sent, at));
    order.sort_unstable_by(|one, other| key(*one).cmp(&key(*other)));
    let subject = |at: usize| messages.get(at).map(|message| &*message.subject);
    let mut threads: Vec<&[usize]> = order.chunk_by(|one, other| subject(*one) == subject(*other)).collect();
    let began = |thread: &[usize]| thread.first().and_then(|at| Some((messages.get(*at)?.sent, *at)));
    threads.sort_unstable_by_key(|thread| began(thread));
    let mut forest = Forest {
        nodes: messages
            .iter()
            .map(|message| Node { number: Some(message.number), children: Vec::new() })
            .collect(),
        roots: Vec::with_capacity(threads.len()),
    };
    for thread in threads {
        let Some((first, others)) = thread.split_first() else { continue };
        forest.roots.push(*first);
        if let Some(node) = forest.nodes.get_mut(*first) {
            node.children = others.to_vec();
        }
    }
    forest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response;

    fn message(number: u32, sent: i64, subject: &str) -> Threadable {
        Threadable { number, sent, subject: subject.into(), ..Threadable::default() }
    }

    fn threads(messages: &[Threadable]) -> String {
        let mut out = Vec::new();
        response::thread(&mut out, &ordered_subject(messages));
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    #[test]
    fn subjects_are_threads_in_the_order_of_their_first_messages() {
        let messages = [
            message(166, 10, "b"),
            message(174, 20, "a"),
            message(175, 50, "a"),
            message(176, 30, "a"),
            message(194, 5, "c"),
            message(195, 60, "c"),
            message(196, 60, ""),
            message(197, 60, ""),
        ];
        assert_eq!(threads(&messages), "* THREAD (194 195)(166)(174 (176)(175))(196 197)");
        assert_eq!(threads(&[]), "* THREAD");
    }
}
