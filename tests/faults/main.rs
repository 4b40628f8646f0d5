//! The long stories, which `cargo xtask faults` runs: servers that are lost, what operators put around the service, and rolling restarts.

use std::time::Duration;

#[expect(dead_code, unused_imports, unused_macros, reason = "the harness also serves the other tests")]
#[path = "../harness/mod.rs"]
mod harness;

mod dead_database;
mod disk_full;
mod pgbouncer;
mod reverse_proxy;
mod rolling_restart;
mod stream_lost;
mod systemd;

/// A fault is healed this long after its end.
const HEALED: Duration = Duration::from_secs(5);

/// Reads a variable that `cargo xtask faults` sets. A missing one fails the test.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask faults`"))
}
