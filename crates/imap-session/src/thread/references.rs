//! REFERENCES: who answers whom, by Message-IDs, and by subjects where those do not say. The steps are numbered as in RFC 5256 §3.

use super::{Forest, Node, Threadable};
use std::collections::HashMap;

/// Steps towards the roots of threads, in search of loops, that all messages together may cost. Only messages made to cost much need
/// more; a link that cannot be examined any more is not made.
const LOOKS_MAX: usize = 4_000_000;

/// Threads by REFERENCES.
pub fn references(messages: &[Threadable]) -> Forest {
    let links = Links::between(messages);
    let mut threads = Threads::pruned(messages, &links);
    drop(links);
    threads.sort_roots();
    threads.merge_by_subject();
    threads.finish()
}

/// No node.
const NONE: usize = usize::MAX;

/// Step 1: parents of messages, and of those that are referred to and not there. The messages come first.
struct Links {
    parents: Vec<usize>,
    /// How many children each has.
    children: Vec<u32>,
    looks_left: usize,
}

impl Links {
    fn between(messages: &[Threadable]) -> Self {
        let count = messages.len();
        let mut links = Self { parents: vec![NONE; count], children: vec![0; count], looks_left: LOOKS_MAX };
        let mut nodes: HashMap<u64, usize> = HashMap::with_capacity(count);
        for (at, message) in messages.iter().enumerate() {
            if let Some(id) = message.id {
                nodes.entry(id).or_insert(at);
            }
        }
        for (at, message) in messages.iter().enumerate() {
            let mut last = NONE;
            for id in &message.references {
                let node = *nodes.entry(*id).or_insert_with(|| links.absent());
                if last != NONE && links.parent(node) == NONE {
                    links.link(last, node);
                }
                last = node;
            }
            if links.parent(at) != last || last == NONE {
                links.unlink(at);
                if last != NONE {
                    links.link(last, at);
                }
            }
        }
        links
    }

    /// A node for a message that is not there.
    fn absent(&mut self) -> usize {
        self.parents.push(NONE);
        self.children.push(0);
        self.parents.len() - 1
    }

    fn parent(&self, node: usize) -> usize {
        self.parents.get(node).copied().unwrap_or(NONE)
    }

    /// Makes a link, unless it would close a loop. The child has no parent.
    fn link(&mut self, parent: usize, child: usize) {
        if parent == child || self.is_below(parent, child) {
            return;
        }
        if let (Some(link), Some(count)) = (self.parents.get_mut(child), self.children.get_mut(parent)) {
            *link = parent;
            *count += 1;
        }
    }

    fn unlink(&mut self, child: usize) {
        let Some(link) = self.parents.get_mut(child) else { return };
        let parent = std::mem::replace(link, NONE);
        if let Some(count) = self.children.get_mut(parent) {
            *count -= 1;
        }
    }

    /// Whether `node` descends from `above`; also when that would take too long to find out.
    fn is_below(&mut self, node: usize, above: usize) -> bool {
        if self.children.get(above).is_none_or(|count| *count == 0) {
            return false;
        }
        let mut at = self.parent(node);
        while at != NONE && at != above {
            if self.looks_left == 0 {
                return true;
            }
            self.looks_left -= 1;
            at = self.parent(at);
        }
        at == above
    }
}

/// Steps 2 to 6: the messages with their children, then the parents that are not there. Only a root may be one of these.
struct Threads<'m> {
    messages: &'m [Threadable],
    nodes: Vec<Node>,
    /// Nodes without parents.
    roots: Vec<usize>,
}

impl<'m> Threads<'m> {
    /// Steps 2 and 3. What is not there goes, and its children go to the nearest ancestor that is there; a root that is not there stays
    /// while it has several.
    fn pruned(messages: &'m [Threadable], links: &Links) -> Self {
        let nodes =
            messages.iter().map(|message| Node { number: Some(message.number), children: Vec::new() });
        let mut threads = Self { messages, nodes: nodes.collect(), roots: Vec::new() };
        let mut anchors = Anchors { links, count: messages.len(), known: HashMap::new() };
        // Absent roots, by their node in `links`.
        let mut absent: HashMap<usize, usize> = HashMap::new();
        for at in 0..messages.len() {
            match anchors.of(links.parent(at)) {
                NONE => threads.roots.push(at),
                anchor if anchor < messages.len() => threads.adopt(anchor, at),
                anchor => {
                    let root = *absent.entry(anchor).or_insert_with(|| threads.absent_root());
                    threads.adopt(root, at);
                }
            }
        }
        let only_child = |nodes: &[Node], root: usize| match nodes.get(root) {
            Some(Node { number: None, children }) if children.len() == 1 => children.first().copied(),
            _ => None,
        };
        let Self { nodes, roots, .. } = &mut threads;
        for root in roots {
            *root = only_child(nodes, *root).unwrap_or(*root);
        }
        threads
    }

    fn absent_root(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.roots.push(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn adopt(&mut self, parent: usize, child: usize) {
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(child);
        }
    }

    fn children(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map_or(&[], |node| &node.children)
    }

    /// The message that speaks for a node: itself, or its first child.
    fn speaker(&self, node: usize) -> usize {
        if self.is_absent(node) { self.children(node).first().copied().unwrap_or(NONE) } else { node }
    }

    fn is_absent(&self, node: usize) -> bool {
        node >= self.messages.len()
    }

    fn is_reply(&self, node: usize) -> bool {
        self.messages.get(node).is_some_and(|message| message.is_reply)
    }

    fn subject(&self, node: usize) -> &'m str {
        self.messages.get(self.speaker(node)).map_or("", |message| &message.subject)
    }

    /// Step 4, and the roots in step 6.
    fn sort_roots(&mut self) {
        let messages = self.messages;
        for node in self.nodes.iter_mut().skip(messages.len()) {
            sort(messages, &mut node.children);
        }
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_cached_key(|root| sent(messages, self.speaker(*root)));
        self.roots = roots;
    }

    /// Step 5.
    fn merge_by_subject(&mut self) {
        let mut table = self.subjects();
        let roots = std::mem::take(&mut self.roots);
        let mut is_root = vec![false; self.nodes.len()];
        roots.iter().for_each(|root| mark(&mut is_root, *root, true));
        let mut added = Vec::new();
        for &current in &roots {
            let subject = self.subject(current);
            let Some(&first) = table.get(subject).filter(|first| **first != current) else { continue };
            if is_root.get(current) != Some(&true) {
                continue;
            }
            mark(&mut is_root, current, false);
            if self.is_absent(first) && self.is_absent(current) {
                let children = self.nodes.get_mut(current).map(|node| std::mem::take(&mut node.children));
                children.into_iter().flatten().for_each(|child| self.adopt(first, child));
            } else if self.is_absent(first) || (self.is_reply(current) && !self.is_reply(first)) {
                self.adopt(first, current);
            } else {
                mark(&mut is_root, first, false);
                self.nodes.push(Node { number: None, children: vec![first, current] });
                let root = self.nodes.len() - 1;
                added.push(root);
                table.insert(subject, root);
            }
        }
        self.roots = roots;
        self.roots.retain(|root| is_root.get(*root) == Some(&true));
        self.roots.extend(added);
    }

    /// Steps 5.A and 5.B: the node that stands for each subject.
    fn subjects(&self) -> HashMap<&'m str, usize> {
        let mut table: HashMap<&'m str, usize> = HashMap::with_capacity(self.roots.len());
        for &current in &self.roots {
            let subject = self.subject(current);
            if subject.is_empty() {
                continue;
            }
            let first = table.entry(subject).or_insert(current);
            let is_original = self.is_reply(*first) && !self.is_reply(current);
            if !self.is_absent(*first) && (self.is_absent(current) || is_original) {
                *first = current;
            }
        }
        table
    }

    /// Step 6.
    fn finish(mut self) -> Forest {
        let messages = self.messages;
        for node in self.nodes.iter_mut().take(messages.len()) {
            sort(messages, &mut node.children);
        }
        self.sort_roots();
        Forest { nodes: self.nodes, roots: self.roots }
    }
}

fn mark(flags: &mut [bool], at: usize, value: bool) {
    if let Some(flag) = flags.get_mut(at) {
        *flag = value;
    }
}

/// By date, and by number where that is the same (RFC 5256 §2.2).
fn sort(messages: &[Threadable], siblings: &mut [usize]) {
    siblings.sort_unstable_by_key(|at| sent(messages, *at));
}

fn sent(messages: &[Threadable], at: usize) -> (i64, usize) {
    (messages.get(at).map_or(i64::MAX, |message| message.sent), at)
}

/// Where children of absent parents go.
struct Anchors<'l> {
    links: &'l Links,
    /// How many of the nodes are messages.
    count: usize,
    known: HashMap<usize, usize>,
}

impl Anchors<'_> {
    /// `node` or the nearest of its ancestors that is a message, or else the root; `NONE` for `NONE`.
    fn of(&mut self, node: usize) -> usize {
        let (mut at, mut passed) = (node, Vec::new());
        while at >= self.count && at != NONE {
            if let Some(anchor) = self.known.get(&at) {
                at = *anchor;
                break;
            }
            passed.push(at);
            match self.links.parent(at) {
                NONE => break,
                parent => at = parent,
            }
        }
        self.known.extend(passed.into_iter().map(|each| (each, at)));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response;

    /// `number: date, Message-ID, subject (with `Re:` in front for a reply), references`
    fn message(number: u32, sent: i64, id: u64, subject: &str, references: &[u64]) -> Threadable {
        let reply = subject.strip_prefix("Re:");
        Threadable {
            number,
            sent,
            subject: reply.unwrap_or(subject).into(),
            is_reply: reply.is_some(),
            id: (id != 0).then_some(id),
            references: references.into(),
        }
    }

    fn threads(messages: &[Threadable]) -> String {
        let mut out = Vec::new();
        response::thread(&mut out, &references(messages));
        String::from_utf8(out).unwrap().trim_end().strip_prefix("* THREAD").unwrap().trim_start().to_owned()
    }

    #[test]
    fn answers_stand_below_what_they_answer() {
        assert_eq!(threads(&[]), "");
        let messages = [
            message(1, 1, 10, "a", &[]),
            message(2, 2, 20, "Re:a", &[10]),
            message(3, 3, 30, "Re:a", &[10, 20]),
            message(4, 4, 40, "Re:a", &[10]),
            message(5, 0, 50, "b", &[]),
        ];
        assert_eq!(threads(&messages), "(5)(1 (2 3)(4))");
        // Whatever the order in which they came.
        let mut reversed: Vec<_> = messages.to_vec();
        reversed.reverse();
        assert_eq!(threads(&reversed), "(5)(1 (2 3)(4))");
    }

    #[test]
    fn a_parent_that_is_not_there_stays_only_above_several_roots() {
        let two = [message(3, 1, 30, "x", &[9, 10]), message(4, 2, 40, "y", &[10])];
        assert_eq!(threads(&two), "((3)(4))");
        assert_eq!(threads(&two[..1]), "(3)");
        // One that is not there between two that are is passed over.
        let gap = [
            message(1, 1, 10, "x", &[]),
            message(2, 2, 20, "x", &[10, 15]),
            message(3, 3, 30, "x", &[10, 15]),
        ];
        assert_eq!(threads(&gap), "(1 (2)(3))");
    }

    #[test]
    fn the_last_reference_counts_more_than_what_others_say() {
        // 3 was said to be below 1; its own References know better.
        let messages = [
            message(1, 1, 10, "a", &[]),
            message(2, 2, 20, "b", &[]),
            message(4, 4, 40, "d", &[10, 30]),
            message(3, 3, 30, "c", &[20]),
            message(5, 5, 50, "e", &[40, 20]),
        ];
        assert_eq!(threads(&messages), "(1)(2 (3 4)(5))");
        // What has no references has no parent, whatever others say.
        let orphan =
            [message(2, 2, 20, "b", &[10, 30]), message(3, 1, 30, "c", &[]), message(1, 0, 10, "a", &[])];
        assert_eq!(threads(&orphan), "(1)(3 2)");
    }

    #[test]
    fn subjects_gather_what_references_do_not() {
        // A reply without references goes below the original.
        assert_eq!(threads(&[message(1, 2, 1, "a", &[]), message(2, 1, 2, "Re:a", &[])]), "(1 2)");
        // Two originals become siblings, and so do two replies.
        assert_eq!(threads(&[message(1, 2, 1, "a", &[]), message(2, 1, 2, "a", &[])]), "((2)(1))");
        assert_eq!(threads(&[message(1, 2, 1, "Re:a", &[]), message(2, 1, 2, "Re:a", &[])]), "((2)(1))");
        // The third joins the two.
        let three = [message(1, 1, 1, "a", &[]), message(2, 2, 2, "a", &[]), message(3, 3, 3, "Re:a", &[])];
        assert_eq!(threads(&three), "((1)(2)(3))");
        // What has no subject is left alone.
        assert_eq!(threads(&[message(1, 1, 1, "", &[]), message(2, 2, 2, "", &[])]), "(1)(2)");
        // Two absent parents of one subject become one; a message of it joins them.
        let absent = [
            message(1, 1, 1, "a", &[100]),
            message(2, 2, 2, "a", &[100]),
            message(3, 3, 3, "a", &[200]),
            message(4, 4, 4, "b", &[200]),
            message(5, 5, 5, "a", &[]),
        ];
        assert_eq!(threads(&absent), "((1)(2)(3)(4)(5))");
    }

    #[test]
    fn loops_are_not_closed_and_equal_ids_name_the_first() {
        let ring =
            [message(1, 1, 10, "a", &[30]), message(2, 2, 20, "b", &[10]), message(3, 3, 30, "c", &[20])];
        assert_eq!(threads(&ring), "(3 1 2)");
        assert_eq!(threads(&[message(1, 1, 10, "a", &[10, 10])]), "(1)");
        let equal = [message(1, 1, 10, "a", &[]), message(2, 2, 10, "b", &[]), message(3, 3, 30, "c", &[10])];
        assert_eq!(threads(&equal), "(1 3)(2)");
        let crossed = [message(1, 1, 10, "a", &[20, 30]), message(2, 2, 40, "b", &[30, 20])];
        assert_eq!(threads(&crossed), "((1)(2))");
    }

    #[test]
    fn hostile_depth_and_breadth_end_in_time() {
        let long: Vec<u64> = (1..=10_000).collect();
        let chain = [message(1, 1, 9_999_999, "a", &long), message(2, 2, 10_000, "b", &long[..9_999])];
        assert_eq!(threads(&chain), "(2 1)");
        let count = 30_000_u32;
        let below = |n: u32| message(n, n.into(), n.into(), &format!("s{n}"), &[u64::from(n) - 1]);
        let deep: Vec<_> = (2..=count).map(below).collect();
        assert!(threads(&deep).starts_with("(2 3 4 "));
        let reversed: Vec<_> = (2..=count).rev().map(below).collect();
        assert!(threads(&reversed).starts_with("(2 3 4 "));
        let wide: Vec<_> = (2..=count).map(|n| message(n, 1, n.into(), "same", &[])).collect();
        assert!(threads(&wide).starts_with("((2)(3)(4)"));
        // Each joins a short thread below the end of a long one: to look for a loop costs its whole depth each time.
        let mut joined: Vec<_> = (2..20_000).map(below).collect();
        for n in (100_000..120_000_u32).step_by(2) {
            joined.push(message(n, 1, (n + 1).into(), "", &[n.into()]));
            joined.push(message(n + 1, 1, n.into(), "", &[19_999]));
        }
        assert!(!threads(&joined).is_empty());
    }
}
