//! The long stories, which `cargo xtask faults` runs: what operators put around the service, and rolling restarts.

#[expect(dead_code, unused_imports, unused_macros, reason = "the harness also serves the other tests")]
#[path = "../harness/mod.rs"]
mod harness;

mod disk_full;
mod pgbouncer;
mod reverse_proxy;
mod rolling_restart;
mod systemd;

/// Reads a variable that `cargo xtask faults` sets. A missing one fails the test.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask faults`"))
}
