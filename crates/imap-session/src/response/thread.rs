//! THREAD (RFC 5256 §4).

use super::{line_end, number};
use crate::thread::Forest;

/// What is still to be written.
enum Step {
    /// A `thread-list`, from this node on.
    Thread(usize),
    Close,
}

/// `* THREAD …`: a line of answers stands in one pair of parentheses, each branch in its own.
pub fn thread(out: &mut Vec<u8>, forest: &Forest) {
    out.extend_from_slice(b"* THREAD");
    let mut steps: Vec<Step> = forest.roots().iter().rev().map(|root| Step::Thread(*root)).collect();
    if !steps.is_empty() {
        out.push(b' ');
    }
    while let Some(step) = steps.pop() {
        match step {
            Step::Close => out.push(b')'),
            Step::Thread(node) => {
                out.push(b'(');
                steps.push(Step::Close);
                line(out, forest, node, &mut steps);
            }
        }
    }
    line_end(out);
}

/// From a node down to where its thread ends or branches.
fn line(out: &mut Vec<u8>, forest: &Forest, from: usize, steps: &mut Vec<Step>) {
    let mut node = from;
    let mut is_first = true;
    loop {
        if let Some(message) = forest.number(node) {
            if !is_first {
                out.push(b' ');
            }
            number(out, u64::from(message));
            is_first = false;
        }
        match forest.children(node) {
            [] => return,
            [only] => node = *only,
            branches => {
                if !is_first {
                    out.push(b' ');
                }
                steps.extend(branches.iter().rev().map(|branch| Step::Thread(*branch)));
                return;
            }
        }
    }
}
