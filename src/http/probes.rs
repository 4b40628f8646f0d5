//! The state of the dependencies, found by probes that requests do not pay for.

use std::{sync::Arc, time::Duration};

use faceofmind_db::Database;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::state::{AppState, State};

/// A result answers all requests for this long. Each probe sends a command to every server, also to the mail server, and requests need no token.
const INTERVAL: Duration = Duration::from_secs(1);
/// A dependency that has not answered within this time counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The last result of the probes. It is renewed when it is asked for, at most once in `INTERVAL`: mail servers count commands without a mail,
/// and end the connections that send many (Postfix: `smtpd_junk_command_limit`), so a service that nothing asks sends none.
pub struct Probes<T>(Arc<Mutex<Option<(Instant, T)>>>);

/// Whether each dependency answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dependencies {
    pub database: bool,
    pub codes: bool,
    pub mail: bool,
    pub events: bool,
    /// The gaps between the stream and the outbox.
    pub event_gaps: usize,
}

impl<T> Default for Probes<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Copy + Default + Send + 'static> Probes<T> {
    /// Returns the last result, or that of `probe` when it is too old. The probe runs to its end although its caller goes, and those who ask
    /// meanwhile wait for the same one.
    pub async fn result(&self, probe: impl Future<Output = T> + Send + 'static) -> T {
        let last = Arc::clone(&self.0);
        let probing = tokio::spawn(async move {
            let mut last = last.lock().await;
            match *last {
                Some((at, result)) if at.elapsed() < INTERVAL => result,
                _ => {
                    let result = probe.await;
                    *last = Some((Instant::now(), result));
                    result
                }
            }
        });
        // A probe that panicked found nothing up.
        probing.await.unwrap_or_default()
    }
}

impl Dependencies {
    /// Asks each of them, within `PROBE_TIMEOUT`.
    pub async fn probe(state: State<AppState>) -> Self {
        let platform = &state.platform;
        let publisher = async { platform.publisher.status().await.ok() };
        let (database, codes, mail, publisher) = tokio::join!(
            database_is_up(&platform.db),
            is_up(platform.codes.is_up()),
            is_up(platform.transport.is_up()),
            timeout(PROBE_TIMEOUT, publisher),
        );
        let publisher = publisher.ok().flatten();
        let events = publisher.as_ref().is_some_and(|status| status.is_up());
        let event_gaps = publisher.map_or(0, |status| status.gaps.len());
        Self { database, codes, mail, events, event_gaps }
    }
}

/// Logs the reason where it is down.
async fn database_is_up(db: &Database) -> bool {
    let reason = match timeout(PROBE_TIMEOUT, db.probe()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not answer in time".to_owned(),
    };
    tracing::warn!(reason, "the database cannot serve");
    false
}

async fn is_up(probe: impl Future<Output = bool>) -> bool {
    timeout(PROBE_TIMEOUT, probe).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts the probes.
    fn probe(count: &Arc<AtomicU32>) -> impl Future<Output = u32> + Send + 'static {
        let count = Arc::clone(count);
        async move {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
            number
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_share_one_probe_a_second() {
        let (probes, count) = (Probes::default(), Arc::default());
        let asked = (0..50).map(|_| probes.result(probe(&count)));
        assert_eq!(futures_util::future::join_all(asked).await, vec![1; 50]);
        tokio::time::advance(INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(probes.result(probe(&count)).await, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(probes.result(probe(&count)).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_does_not_end_the_probe() {
        let (probes, count) = (Probes::default(), Arc::default());
        for _ in 0..10 {
            timeout(Duration::from_millis(10), probes.result(probe(&count))).await.expect_err("it goes");
        }
        assert_eq!(probes.result(probe(&count)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_hangs_is_down_in_time() {
        let begun = Instant::now();
        assert!(!is_up(std::future::pending()).await);
        assert_eq!(begun.elapsed(), PROBE_TIMEOUT);
    }
}
