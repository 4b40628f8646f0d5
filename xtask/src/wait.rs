//! Waiting for a condition instead of a fixed time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::interrupt::Interrupt;

const PAUSE: Duration = Duration::from_millis(10);

/// Repeats `attempt` until it gives a value or fails, a signal is received, or `limit` has passed. `what` names the condition.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    interrupt: &Interrupt,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Stopwatch::start();
    loop {
        interrupt.check()?;
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        if began.elapsed() > limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        thread::sleep(PAUSE);
    }
}

/// Measures elapsed time.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a developer's command measures real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
