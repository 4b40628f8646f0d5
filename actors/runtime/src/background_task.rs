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
use tokio::{sync::Notify, task::AbortHandle, time::timeout};

use crate::panics::static_message;

/// Work that runs periodically and on demand, one run at a time. Dropping it ends the work.
///
/// It runs first at once, then about every `period`, jittered so that several nodes do not run together. A run that fails or panics is
/// logged and kept in the status; the next one comes at its time.
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
            loop {
                let error = match AssertUnwindSafe(work(context.clone())).catch_unwind().await {
                    Ok(result) => result.err().map(|error| error.to_string()),
                    Err(panic) => Some(static_message(&*panic).to_owned()),
                };
                if let Some(error) = &error {
                    tracing::warn!(task = name, error, "background task failed; it will run again");
                }
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
