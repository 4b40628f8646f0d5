//! Logs go to standard error, so that standard output has only the output of a command.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use super::Failure;
use crate::settings::Service;

/// Starts logging: readable lines on a terminal, JSON elsewhere and in production.
pub(super) fn init(service: &Service) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&service.log_filter)?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr);
    if is_json(service, io::stderr().is_terminal()) {
        log.json().flatten_event(true).with_span_list(false).finish().try_init()?;
    } else {
        log.compact().finish().try_init()?;
    }
    log_panics();
    Ok(())
}

/// Logs each panic without its message, because that may quote users. The supervisor logs the messages that are safe.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(location, thread = thread.name(), "a thread panicked");
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
