//! `/metrics` for operators, in the Prometheus text format 0.0.4. It has counts and times, and nothing about people.

use std::fmt::Write as _;

use faceofmind_actors::House;
use faceofmind_kit::{ChildStatus, supervisor};
use salvo::{Response, Router, Writer, handler, http::header::CONTENT_TYPE};

use super::{
    problem::Problem,
    state::{AppState, State},
};

/// `GET /metrics`, on the operators' listener only.
pub fn router() -> Router {
    Router::with_path("metrics").get(metrics)
}

#[handler]
async fn metrics(state: State<AppState>, res: &mut Response) -> Result<(), Problem> {
    let text = render(&state.system).await;
    res.add_header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8", true).map_err(|_| Problem::internal())?;
    res.write_body(text).map_err(|_| Problem::internal())
}

/// The metrics of all actors. Those of an actor that does not answer are left out.
async fn render(system: &House) -> String {
    let mut text = actors(&system.tree.snapshot());
    let up = i64::from(system.publisher.is_up());
    family(&mut text, "faceofmind_events_up", "gauge", "Whether events are published.", &[("", up)]);
    if let Ok(events) = system.publisher.observe().await
        && let Some(backlog) = events["backlog"]["events"].as_i64()
    {
        family(&mut text, "faceofmind_events_backlog", "gauge", "Events that wait to be published.", &[("", backlog)]);
    }
    if let Ok(queue) = system.mailer.count().await {
        let waiting = [("", queue.waiting)];
        family(&mut text, "faceofmind_mail_waiting", "gauge", "Mails that wait for an attempt.", &waiting);
        family(
            &mut text,
            "faceofmind_mail_dead",
            "gauge",
            "Mails that were given up after too many attempts.",
            &[("", queue.dead)],
        );
    }
    text
}

fn actors(rows: &[ChildStatus]) -> String {
    let mut text = String::new();
    let mut each = |name, kind, help, value: &dyn Fn(&ChildStatus) -> i64| {
        let samples: Vec<_> = rows.iter().map(|row| (row.name, value(row))).collect();
        family(&mut text, name, kind, help, &samples);
    };
    each("faceofmind_actor_up", "gauge", "Whether the actor runs.", &|row| {
        i64::from(row.state == supervisor::State::Running)
    });
    each("faceofmind_actor_restarts_total", "counter", "How often the actor was restarted.", &|row| {
        i64::try_from(row.restarts).unwrap_or(i64::MAX)
    });
    each("faceofmind_actor_mailbox", "gauge", "Messages queued or in progress.", &|row| {
        i64::try_from(row.queue_len).unwrap_or(i64::MAX)
    });
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str, samples: &[(&str, i64)]) {
    let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (actor, value) in samples {
        let label = if actor.is_empty() { String::new() } else { format!("{{actor=\"{actor}\"}}") };
        let _infallible = writeln!(text, "{name}{label} {value}");
    }
}
