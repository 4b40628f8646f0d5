//! Logs go to standard error, so that standard output has only the output of a command. Lines are written by a thread of
//! their own: a request neither waits for standard error nor pays for a system call.

mod json;
mod line_queue;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    error::Error,
    io::{self, IsTerminal},
    sync::LazyLock,
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use self::{json::JsonLines, line_queue::LineQueue};
use crate::settings::Service;

/// How long a program that ends waits until its last lines are written.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

static LINES: LazyLock<LineQueue> = LazyLock::new(LineQueue::default);

/// Starts logging: readable lines on a terminal, JSON elsewhere and in production.
pub(crate) fn init(service: &Service) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&service.log_filter)?;
    LINES.write_to(io::stderr())?;
    let log = fmt().with_env_filter(filter).with_writer(LINES.clone());
    if is_json(service, io::stderr().is_terminal()) {
        log.fmt_fields(JsonLines).event_format(JsonLines).finish().try_init()?;
    } else {
        log.compact().finish().try_init()?;
    }
    log_panics();
    Ok(())
}

/// Waits until all lines are written, but for no more than a second.
pub(crate) fn flush() {
    LINES.flush(LAST_LINES_WITHIN);
}

/// The lines that were left out because standard error was read too slowly.
pub(crate) fn lines_left_out() -> u64 {
    LINES.left_out()
}

/// Logs each panic without its message, because that may quote users. The supervisor logs the messages that are safe.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(location, thread = thread.name(), "a thread panicked");
        flush();
    }));
}

fn is_json(service: &Service, on_a_terminal: bool) -> bool {
    service.environment.is_production() || !on_a_terminal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ConfigSources, Environment, Settings};

    #[test]
    fn only_a_terminal_in_development_gets_readable_lines() {
        let mut service = Settings::load(&ConfigSources::built_in()).expect("the defaults").service;
        assert!(!is_json(&service, true));
        assert!(is_json(&service, false));
        service.environment = Environment::Production;
        assert!(is_json(&service, true));
    }
}
