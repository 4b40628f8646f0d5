//! Counters of this node alone, while Redis is away.

use std::time::{Duration, Instant};

use faceofmind_base::Timestamp;
use moka::{Expiry, sync::Cache};

use crate::rate_limit::window;
use crate::rate_limit::window::{Counted, Order, Verdict, Window, Windows};

/// A bounded number of counters. When there are more, those seldom used go first.
#[derive(Clone, Debug)]
pub(super) struct NodeCounters(Cache<String, Held>);

#[derive(Clone, Copy, Debug)]
struct Held {
    window: Window,
    left: Duration,
}

/// Frees what is over; whether it is over, our own clock decides.
struct WhenOver;

impl Expiry<String, Held> for WhenOver {
    fn expire_after_create(&self, _: &String, held: &Held, _: Instant) -> Option<Duration> {
        Some(held.left)
    }

    fn expire_after_update(&self, _: &String, held: &Held, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(held.left)
    }
}

impl NodeCounters {
    pub(super) fn new(most: u64) -> Self {
        Self(Cache::builder().max_capacity(most).expire_after(WhenOver).build())
    }

    pub(super) fn take(&self, orders: &[Order], now: Timestamp) -> Vec<Verdict> {
        let mut windows = self.read(orders.iter().flatten().map(|wanted| &wanted.name));
        windows.retain(|_, window| window.expires_at > now);
        let verdicts = orders.iter().map(|order| window::count(order, &mut windows, now)).collect();
        self.write(windows, now);
        verdicts
    }

    pub(super) fn give_back(&self, counted: &[Counted], now: Timestamp) {
        let mut windows = self.read(counted.iter().map(|counted| &counted.name));
        counted.iter().for_each(|counted| window::subtract(counted, &mut windows));
        self.write(windows, now);
    }

    fn read<'a>(&self, names: impl Iterator<Item = &'a String>) -> Windows {
        names.filter_map(|name| self.0.get(name).map(|held| (name.clone(), held.window))).collect()
    }

    fn write(&self, windows: Windows, now: Timestamp) {
        for (name, window) in windows {
            self.0.insert(name, Held { window, left: window.expires_at.since(now) });
        }
    }
}
