//! An answer that is no success, as a person reads it.

use anyhow::Error;
use axum::http::StatusCode;
use serde_json::Value;
use std::fmt;

/// What the API refused, and why: its problem document (RFC 9457), or the status alone where another server answered.
#[derive(Debug)]
pub(in crate::cli) struct Refused {
    status: StatusCode,
    problem: Value,
}

impl Refused {
    pub(in crate::cli) fn new(status: StatusCode, body: &[u8]) -> Self {
        Self { status, problem: serde_json::from_slice(body).unwrap_or_default() }
    }

    /// Whether it changed since it was read.
    pub(super) fn is_stale(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED
    }

    /// Whether it is not done because of what is there already.
    pub(in crate::cli) fn is_conflict(&self) -> bool {
        self.text("code") == Some("conflict")
    }

    /// The document as it came; null when it was none.
    pub(in crate::cli) fn problem(&self) -> &Value {
        &self.problem
    }

    /// The refusal that an error rests on, if it does.
    pub(in crate::cli) fn of(error: &Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.problem[member].as_str()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(title) = self.text("title") else {
            return write!(f, "the server answered {}; is this the address of a Vaguemestre?", self.status);
        };
        let code = self.text("code").unwrap_or("-");
        write!(f, "{title} ({code}, {})", self.status.as_u16())?;
        if let Some(detail) = self.text("detail") {
            write!(f, "\n  {detail}")?;
        }
        for fault in self.problem["errors"].as_array().into_iter().flatten() {
            let place = ["pointer", "parameter", "header"].iter().find_map(|place| fault[*place].as_str());
            let detail = fault["detail"].as_str().unwrap_or_default();
            write!(f, "\n  {}: {detail}", place.unwrap_or("-"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}
