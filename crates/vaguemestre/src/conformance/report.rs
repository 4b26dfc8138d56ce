//! The report: a table for people, JSON for programs, a file to keep.

use super::check::{Direction, Finding, Outcome};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Everything that was found out, in the order in which it was played.
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Whether the server did what it must in every case that was played, and any was.
    pub(crate) fn is_pass(&self) -> bool {
        self.count(Outcome::Fail) == 0 && self.count(Outcome::Pass) > 0
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "pass": self.is_pass(),
            "passed": self.count(Outcome::Pass),
            "failed": self.count(Outcome::Fail),
            "skipped": self.count(Outcome::Skipped),
            "findings": self.findings,
        })
    }

    /// The same in words.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (direction, title) in [
            (Direction::Inbound, "Inbound: the auditor connects to the server"),
            (Direction::Outbound, "Outbound: the server is made to deliver to the auditor"),
        ] {
            let _ = writeln!(text, "{title}\n");
            for finding in self.findings.iter().filter(|finding| finding.direction == direction) {
                let word = match finding.outcome {
                    Outcome::Pass => "pass",
                    Outcome::Fail => "FAIL",
                    Outcome::Skipped => "skip",
                };
                let _ = writeln!(text, "  {word}  {:<26}  expected: {}", finding.case, finding.expected);
                let _ = writeln!(text, "        {:<26}  observed: {}", "", finding.observed);
                if !finding.advice.is_empty() {
                    let _ = writeln!(text, "        {:<26}  to do:    {}", "", finding.advice);
                }
            }
            text.push('\n');
        }
        let _ = write!(
            text,
            "{} passed, {} failed, {} not played: {}",
            self.count(Outcome::Pass),
            self.count(Outcome::Fail),
            self.count(Outcome::Skipped),
            if self.is_pass() { "the server conforms" } else { "the server does not conform" }
        );
        text
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }
}
