//! What was found out about one case.

use serde::Serialize;

/// Which way the mail would have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

/// Whether the server did what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Pass,
    Fail,
    /// Could not be played.
    Skipped,
}

/// A line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) case: String,
    pub(crate) direction: Direction,
    pub(crate) expected: String,
    pub(crate) observed: String,
    pub(crate) outcome: Outcome,
    /// What to do about a failure.
    pub(crate) advice: String,
}

/// What was seen: in words, and whether it is as it must be.
pub(super) struct Seen {
    pub(super) is_well: bool,
    pub(super) observed: String,
}

impl Seen {
    pub(super) fn well(observed: impl Into<String>) -> Self {
        Self { is_well: true, observed: observed.into() }
    }

    pub(super) fn ill(observed: impl Into<String>) -> Self {
        Self { is_well: false, observed: observed.into() }
    }
}

impl Finding {
    pub(super) fn new(
        direction: Direction,
        case: impl Into<String>,
        expected: impl Into<String>,
        seen: Seen,
        advice: &str,
    ) -> Self {
        let outcome = if seen.is_well { Outcome::Pass } else { Outcome::Fail };
        let advice = if seen.is_well { String::new() } else { advice.to_owned() };
        Self {
            case: case.into(),
            direction,
            expected: expected.into(),
            observed: seen.observed,
            outcome,
            advice,
        }
    }

    pub(super) fn skipped(direction: Direction, case: impl Into<String>, expected: &str, why: &str) -> Self {
        Self {
            case: case.into(),
            direction,
            expected: expected.to_owned(),
            observed: why.to_owned(),
            outcome: Outcome::Skipped,
            advice: String::new(),
        }
    }
}
