//! SIGINT, SIGTERM and SIGHUP. They only end the waiting, so that every guard is dropped and no server keeps running.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// The last signal received; 0 is none. The default receives none.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

/// The signal that ended the command.
#[derive(Debug, thiserror::Error)]
#[error("stopped by signal {0}")]
pub(crate) struct Interrupted(usize);

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let signal_number = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(&signal_number), signal.unsigned_abs() as usize)
                .context("cannot listen for signals")?;
        }
        Ok(Self(signal_number))
    }

    /// Fails after a signal was received.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
    }
}

impl Interrupted {
    /// The exit code by which shells report a signal: 128 + its number.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }
}
