//! The time. Only this module reads the operating system's clock (`clippy.toml` bans the other ways).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::Timestamp;

/// The system's clock. A test may set it forward; clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// Returns a clock that shows the operating system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// Returns the current time, to the microsecond.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        let system = jiff::Timestamp::now().as_microsecond();
        Timestamp::from_micros(system + self.ahead.load(Ordering::Relaxed))
    }

    /// Sets this clock and all its clones forward, so that a test need not wait for an expiry.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn advance(&self, span: std::time::Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets this clock and all its clones back, as an operator or a time server may.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn set_back(&self, span: std::time::Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.ahead.fetch_sub(micros, Ordering::Relaxed);
    }
}
