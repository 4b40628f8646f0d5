//! Counters on this node, for the time while Redis is away.

use std::time::{Duration, Instant};

use faceofmind_base::Timestamp;
use moka::{Expiry, sync::Cache};

use crate::rate_limit::window::{self, Counted, CounterRequest, Decision, Window, Windows};

/// A bounded number of counters. Beyond it, the least used are dropped.
#[derive(Clone, Debug)]
pub(super) struct LocalCounters(Cache<String, LocalCounter>);

#[derive(Clone, Copy, Debug)]
struct LocalCounter {
    window: Window,
    remaining: Duration,
}

/// Frees the memory of ended windows. Whether a window has ended, the injected clock decides.
struct WindowExpiry;

impl Expiry<String, LocalCounter> for WindowExpiry {
    fn expire_after_create(&self, _: &String, counter: &LocalCounter, _: Instant) -> Option<Duration> {
        Some(counter.remaining)
    }

    fn expire_after_update(
        &self,
        _: &String,
        counter: &LocalCounter,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(counter.remaining)
    }
}

impl LocalCounters {
    pub(super) fn new(max: u64) -> Self {
        Self(Cache::builder().max_capacity(max).expire_after(WindowExpiry).build())
    }

    pub(super) fn acquire(&self, requests: &[Vec<CounterRequest>], now: Timestamp) -> Vec<Decision> {
        let mut windows = self.read(requests.iter().flatten().map(|request| &request.name));
        windows.retain(|_, window| window.expires_at > now);
        let decisions = requests.iter().map(|requests| window::count(requests, &mut windows, now)).collect();
        self.write(windows, now);
        decisions
    }

    pub(super) fn refund(&self, counted: &[Counted], now: Timestamp) {
        let mut windows = self.read(counted.iter().map(|counted| &counted.name));
        counted.iter().for_each(|counted| window::subtract(counted, &mut windows));
        self.write(windows, now);
    }

    fn read<'a>(&self, names: impl Iterator<Item = &'a String>) -> Windows {
        names.filter_map(|name| self.0.get(name).map(|counter| (name.clone(), counter.window))).collect()
    }

    fn write(&self, windows: Windows, now: Timestamp) {
        for (name, window) in windows {
            self.0.insert(name, LocalCounter { window, remaining: window.expires_at.since(now) });
        }
    }
}
