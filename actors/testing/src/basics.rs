//! Waiting, times, and folders of a test's own.

use std::{path::PathBuf, time::Duration};

use faceofmind_base::{CivilDate, Clock, Rng, Timestamp};

/// Waits until `condition` holds, for 10 seconds at most.
///
/// # Panics
/// Panics with `what` when it does not hold in time.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("not within 10 s: {what}"));
}

/// Returns a path in the temporary directory that does not exist yet.
pub fn new_folder() -> PathBuf {
    std::env::temp_dir().join(format!("test_{}", Rng::system().uuid_v7(Clock::system().now()).simple()))
}

/// Sets a clock forward to an RFC 3339 time.
pub fn set(clock: &Clock, moment: &str) {
    clock.advance(at(moment).since(clock.now()));
}

/// Reads an RFC 3339 time.
///
/// # Panics
/// Panics when it is none.
pub fn at(moment: &str) -> Timestamp {
    moment.parse::<jiff::Timestamp>().expect("a moment").into()
}

/// Reads a date such as `2031-03-04`.
///
/// # Panics
/// Panics when it is none.
pub fn on_day(date: &str) -> CivilDate {
    CivilDate(date.parse().expect("a date"))
}
