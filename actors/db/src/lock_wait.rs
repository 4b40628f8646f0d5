//! How statements that change a table wait for its lock. Later requests for the table wait behind them, so they give up soon and try again.

use std::time::Duration;

/// A transaction that waits longer for the lock of a table rolls back and tries again.
const LOCK_TIMEOUT: &str = "200ms";
/// The same for every tenth try. PostgreSQL cancels an autovacuum that holds the table when a lock was waited for `deadlock_timeout`, 1 s.
const LONG_LOCK_TIMEOUT: &str = "1500ms";
/// The pause before another try.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// The tries after the first one: for at least 90 s.
pub(crate) const MAX_TRIES: u32 = 300;
/// The program logs a wait after this many tries, at least 5 s.
pub(crate) const TRIES_UNTIL_LOGGED: u32 = 50;

/// The `lock_timeout` of a try. `tries` is the number of those before it.
pub(crate) fn lock_timeout(tries: u32) -> &'static str {
    if tries % 10 == 9 { LONG_LOCK_TIMEOUT } else { LOCK_TIMEOUT }
}

/// Whether a statement waited in vain for a lock: PostgreSQL's `lock_not_available` and `deadlock_detected`.
pub(crate) fn is_lock_wait(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["55P03", "40P01"].contains(&&*code))
}
