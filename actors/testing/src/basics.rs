//! Waiting, times, and folders of a test's own.

use std::{cell::RefCell, path::PathBuf, time::Duration};

use faceofmind_base::{CivilDate, Clock, Rng, Timestamp};

/// What a missing test server's variable means.
pub(crate) const NO_SERVER: &str = "a server of the test run: run the tests with `cargo xtask test`";

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

thread_local! {
    static FOLDERS: Folders = const { Folders(RefCell::new(Vec::new())) };
}

/// The folders of one test. A test has a thread of its own, at whose end they are removed.
struct Folders(RefCell<Vec<PathBuf>>);

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in self.0.take() {
            // Not every test creates it.
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

/// Returns a path in the temporary directory that does not exist yet. What is there when this thread ends is removed.
pub fn new_folder() -> PathBuf {
    let name = format!("test_{}", Rng::system().uuid_v7(Clock::system().now()).simple());
    let folder = std::env::temp_dir().join(name);
    FOLDERS.with(|folders| folders.0.borrow_mut().push(folder.clone()));
    folder
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
