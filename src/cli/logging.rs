//! Where logs go: standard error, so that what a command prints stays clean.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use super::Failure;
use crate::settings::Service;

/// From here on the process logs: for a person on a terminal, as JSON elsewhere and in production.
pub(super) fn begin(service: &Service) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&service.log_filter)?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr);
    if speaks_json(service, io::stderr().is_terminal()) {
        log.json().flatten_event(true).with_span_list(false).finish().try_init()?;
    } else {
        log.compact().finish().try_init()?;
    }
    log_panics();
    Ok(())
}

/// A panic is a line of the log like any other. Its message, which may quote people, is left to those who tell it with care
/// (`faceofmind_kit::panics::words`).
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(location, thread = thread.name(), "a panic");
    }));
}

fn speaks_json(service: &Service, on_a_terminal: bool) -> bool {
    service.environment.is_production() || !on_a_terminal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Layers, Settings};

    #[test]
    fn only_a_terminal_in_development_gets_lines_for_people() {
        let mut service = Settings::load(&Layers::built_in()).expect("the defaults").service;
        assert!(!speaks_json(&service, true));
        assert!(speaks_json(&service, false));
        service.environment = Environment::Production;
        assert!(speaks_json(&service, true));
    }
}
