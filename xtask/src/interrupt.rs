//! Ctrl-C and its kin. They end nothing by themselves: whoever waits stops waiting, so that every guard runs on the way
//! out and no server is left behind.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Remembers the last signal that asked us to end; 0 is none, and the default hears none.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

/// We were asked to end by this signal.
#[derive(Debug, thiserror::Error)]
#[error("stopped by signal {0}")]
pub(crate) struct Interrupted(usize);

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let heard = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(&heard), signal.unsigned_abs() as usize)
                .context("cannot listen for signals")?;
        }
        Ok(Self(heard))
    }

    /// Fails as soon as a signal has been heard.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
    }
}

impl Interrupted {
    /// What a shell would report: 128 + the signal's number.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }
}
