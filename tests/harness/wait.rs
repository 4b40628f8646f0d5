//! Waiting for what comes about by itself.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// So long may anything take; only a failure waits this long.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// The first `Some` that `look` gives. Looks again every few milliseconds and panics at the deadline, naming what was
/// waited for.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Makes these calls at once, and now; gives what they came to, in the order in which they were done.
pub(crate) fn concurrently<T, F, C>(calls: C) -> impl Future<Output = Vec<T>> + use<T, F, C>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    C: IntoIterator<Item = F>,
{
    calls.into_iter().collect::<JoinSet<T>>().join_all()
}
