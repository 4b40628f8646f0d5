//! Periodic work: one driver for all of it.

use std::{
    fmt::Display,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Clock, Rng, Timestamp};
use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout},
};

use crate::panics::static_message;

/// A failure like the one before it is logged again after this long.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// Work that runs periodically and on demand, one run at a time. Dropping it ends the work.
///
/// It runs first at once, then about every `period`, jittered so that several nodes do not run together. A run that fails or panics is
/// logged, like failures in a row at most every 10 minutes, and kept in the status; the next one comes at its time. The first success after
/// failures is logged too.
#[derive(Debug)]
pub struct BackgroundTask {
    status: Arc<Mutex<BackgroundTaskStatus>>,
    wake: Arc<Notify>,
    abort: AbortHandle,
}

/// The state of a background task.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BackgroundTaskStatus {
    /// Its name, as in logs.
    pub name: &'static str,
    /// Completed runs since the actor started.
    pub runs: u64,
    /// When the last run ended.
    pub last_run: Option<Timestamp>,
    /// Why the last run failed; null after a success.
    pub last_error: Option<String>,
}

impl BackgroundTask {
    /// Starts to run `work` about every `period`. Each run gets a clone of `context`, such as the `Arc` of a service.
    pub fn spawn<T, F, E>(
        name: &'static str,
        period: Duration,
        (clock, rng): (Clock, Rng),
        context: T,
        mut work: impl FnMut(T) -> F + Send + 'static,
    ) -> Self
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        let status = BackgroundTaskStatus { name, runs: 0, last_run: None, last_error: None };
        let (status, wake) = (Arc::new(Mutex::new(status)), Arc::new(Notify::new()));
        let (own_status, own_wake) = (Arc::clone(&status), Arc::clone(&wake));
        let task = tokio::spawn(async move {
            let mut failures = Failures::default();
            loop {
                let error = match AssertUnwindSafe(work(context.clone())).catch_unwind().await {
                    Ok(result) => result.err().map(|error| error.to_string()),
                    Err(panic) => Some(static_message(&*panic).to_owned()),
                };
                failures.log(name, error.as_deref());
                let now = clock.now();
                let finish = |status: &mut BackgroundTaskStatus| {
                    status.runs += 1;
                    status.last_run = Some(now);
                    status.last_error = error;
                };
                finish(&mut own_status.lock().unwrap_or_else(PoisonError::into_inner));
                let _period_over = timeout(rng.jitter(period), own_wake.notified()).await;
            }
        });
        Self { status, wake, abort: task.abort_handle() }
    }

    /// Its name, as in logs.
    pub fn name(&self) -> &'static str {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).name
    }

    /// Runs the work now, or once more after the run in progress.
    pub fn run_now(&self) {
        self.wake.notify_one();
    }

    /// A handle that can run the work on demand, for others than the owner.
    pub fn trigger(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Returns its state.
    pub fn status(&self) -> BackgroundTaskStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// The failures since the last success.
#[derive(Debug, Default)]
struct Failures {
    number: u64,
    /// What was logged last, and when.
    logged: Option<(String, Instant)>,
}

impl Failures {
    fn log(&mut self, task: &'static str, error: Option<&str>) {
        if let Some(error) = error {
            if self.count(error) {
                tracing::warn!(task, error, failures = self.number, "background task failed; it will run again");
            }
        } else if self.number > 0 {
            tracing::info!(task, failures = self.number, "background task succeeded after failures");
            *self = Self::default();
        }
    }

    /// Counts a failure, and returns whether it is to be logged. Texts that differ only in numbers, such as the space that a disk has left, are
    /// alike.
    fn count(&mut self, error: &str) -> bool {
        self.number += 1;
        let (text, now) = (error.replace(|character: char| character.is_ascii_digit(), ""), Instant::now());
        if let Some((logged, at)) = &self.logged
            && *logged == text
            && now.duration_since(*at) < REPEAT_INTERVAL
        {
            return false;
        }
        self.logged = Some((text, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn run_until(task: &BackgroundTask, runs: u64) -> BackgroundTaskStatus {
        while task.status().runs < runs {
            tokio::task::yield_now().await;
        }
        task.status()
    }

    #[tokio::test]
    async fn a_task_runs_at_once_and_on_demand_and_shows_its_last_error() {
        let started = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&started);
        let period = Duration::from_secs(3600);
        let task = BackgroundTask::spawn("test", period, (Clock::system(), Rng::seeded(1)), (), move |()| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            async move { if run == 0 { Err("out of reach") } else { Ok(()) } }
        });
        assert_eq!(run_until(&task, 1).await.last_error.as_deref(), Some("out of reach"));
        task.run_now();
        let status = run_until(&task, 2).await;
        assert!(status.last_error.is_none() && status.last_run.is_some(), "{status:?}");
        assert_eq!(started.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_task_runs_again_after_a_panic() {
        let mut is_first = true;
        let period = Duration::from_secs(3600);
        let task = BackgroundTask::spawn("test", period, (Clock::system(), Rng::seeded(1)), (), move |()| {
            let panics = std::mem::take(&mut is_first);
            async move { if panics { panic!("an impossible state") } else { Ok::<_, String>(()) } }
        });
        assert_eq!(run_until(&task, 1).await.last_error.as_deref(), Some("an impossible state"));
        task.run_now();
        assert!(run_until(&task, 2).await.last_error.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_like_the_last_one_is_logged_every_10_minutes_until_a_success() {
        let mut failures = Failures::default();
        for (after, error, is_logged) in [
            (0, "3 MiB are free", true),
            (4, "2 MiB are free", false),
            (4, "the disk is read-only", true),
            (4, "the disk is read-only", false),
            (600, "the disk is read-only", true),
        ] {
            tokio::time::advance(Duration::from_secs(after)).await;
            assert_eq!(failures.count(error), is_logged, "{failures:?}");
        }
        assert_eq!(failures.number, 5);
        failures.log("test", None);
        assert!(failures.count("the disk is read-only"), "{failures:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_runs_again_within_its_period() {
        let period = Duration::from_secs(60);
        let task = BackgroundTask::spawn("test", period, (Clock::system(), Rng::seeded(1)), (), |()| async {
            Ok::<_, String>(())
        });
        run_until(&task, 1).await;
        tokio::time::sleep(period).await;
        assert!(task.status().runs >= 2);
    }
}
