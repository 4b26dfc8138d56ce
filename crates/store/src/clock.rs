//! The clock of the house, so that everything above takes time as a value.

use mail_types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Reads the wall clock, or stands still until told (tests).
#[derive(Clone, Debug, Default)]
pub struct Clock {
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Self { fixed: None }
    }

    /// A clock that moves only by [`Clock::set`].
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(at.0))) }
    }

    /// Moves a fixed clock; no effect on the system's.
    pub fn set(&self, at: Timestamp) {
        if let Some(fixed) = &self.fixed {
            fixed.store(at.0, Ordering::SeqCst);
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.fixed.as_ref().map_or_else(system_now, |fixed| Timestamp(fixed.load(Ordering::SeqCst)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the house reads the wall clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
