//! `/metrics` for operators, in the Prometheus text format 0.0.4. Counts and times, nothing about people.

use std::fmt::Write as _;

use faceofmind_actors::House;
use faceofmind_kit::{ChildStatus, supervisor::State};
use salvo::{Response, Router, Writer, handler, http::header::CONTENT_TYPE};

use super::{problem::Problem, shared::Shared};
use crate::app::Rooms;

/// `GET /metrics`, on the operators' listener only.
pub fn router() -> Router {
    Router::with_path("metrics").get(metrics)
}

#[handler]
async fn metrics(rooms: Shared<Rooms>, res: &mut Response) -> Result<(), Problem> {
    let text = written(rooms.house()).await;
    res.add_header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8", true).map_err(|_| Problem::internal())?;
    res.write_body(text).map_err(|_| Problem::internal())
}

/// What cannot be told now, because the part that knows it is down, is left out.
async fn written(house: &House) -> String {
    let mut text = actors(&house.tree.snapshot());
    let events = house.publisher.status().await;
    let up = i64::from(events.as_ref().is_ok_and(|events| events.is_up()));
    family(&mut text, "faceofmind_events_up", "gauge", "Whether events go out.", &[("", up)]);
    if let Ok(events) = events {
        let backlog = [("", events.backlog.events)];
        family(&mut text, "faceofmind_events_backlog", "gauge", "Events that wait to be published.", &backlog);
    }
    if let Ok(queue) = house.mailer.count().await {
        let waiting = [("", queue.waiting)];
        family(&mut text, "faceofmind_mail_waiting", "gauge", "Mails that wait or are tried again.", &waiting);
        family(&mut text, "faceofmind_mail_dead", "gauge", "Mails that were given up.", &[("", queue.dead)]);
    }
    text
}

fn actors(rows: &[ChildStatus]) -> String {
    let mut text = String::new();
    let mut each = |name, kind, help, value: &dyn Fn(&ChildStatus) -> i64| {
        let samples: Vec<_> = rows.iter().map(|row| (row.name, value(row))).collect();
        family(&mut text, name, kind, help, &samples);
    };
    each("faceofmind_actor_up", "gauge", "Whether the actor runs.", &|row| i64::from(row.state == State::Running));
    each("faceofmind_actor_restarts_total", "counter", "How often it was started again.", &|row| {
        i64::try_from(row.restarts).unwrap_or(i64::MAX)
    });
    each("faceofmind_actor_mailbox", "gauge", "Letters that are not finished.", &|row| {
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
