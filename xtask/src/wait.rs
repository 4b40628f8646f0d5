//! Waiting for a condition, never for a guess of how long it takes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::interrupt::Interrupt;

const PAUSE: Duration = Duration::from_millis(10);

/// Tries until there is a value, the attempt fails, a signal is heard, or `limit` has passed. `what` names the condition.
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

/// Tells how long something took.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a developer's command measures real time and has no clock to be given"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
