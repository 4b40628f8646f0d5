//! What the settings make of the actors' own settings.

use super::*;
use crate::settings::ConfigSources;

/// The outbox keeps events for the longer of both times, once NATS is used.
#[test]
fn the_outbox_and_the_stream_keep_events_for_the_times_that_are_set() {
    let times = |environment: &[(&str, &str)]| {
        let sources = ConfigSources::built_in().with_environment(environment.iter().copied());
        let settings = publisher(&Settings::load(&sources).expect("good settings").events);
        (settings.retention, settings.stream.max_age)
    };
    let default = outbox::Settings::default();
    assert_eq!(times(&[]), (default.retention, default.stream.max_age), "the defaults stand in two places");
    assert_eq!(times(&[("EVENTS_RETENTION_HOURS", "5"), ("EVENTS_STREAM_DAYS", "2")]), (5 * HOUR, 2 * DAY));
}
