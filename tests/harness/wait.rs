//! Waiting for a condition, and calls that run at the same time.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// The longest that the harness waits for anything. Only a test that fails waits this long.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// Calls `look` every 5 ms until it gives `Some`. Panics at the deadline with `what`, the awaited condition.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Starts all calls at once. Gives their results in the order in which the calls ended.
pub(crate) fn concurrently<T, F, C>(calls: C) -> impl Future<Output = Vec<T>> + use<T, F, C>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    C: IntoIterator<Item = F>,
{
    calls.into_iter().collect::<JoinSet<T>>().join_all()
}
