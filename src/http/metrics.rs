//! `/metrics` for operators, in the OpenMetrics text format 1.0. It has counts and times, and nothing about people.

use std::{sync::atomic::AtomicU64, time::Duration};

use faceofmind_db::Database;
use faceofmind_domain::suggestions::crisis;
use faceofmind_platform::mail::CountJobs;
use faceofmind_runtime::{ActorState, ChildStatus};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, Writer, async_trait,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
};

use super::{
    connections::open::ConnectionMetrics,
    edge::Admission,
    problem::Problem,
    state::{AppState, State},
};
use crate::logging;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// Upper bounds of the latency histogram, in seconds.
const LATENCY_BUCKETS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    /// The status class: `2xx`.
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabels {
    actor: &'static str,
}

/// Measures requests. Clones share the measurements.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// Measures the connections of the public listener.
    pub connections: ConnectionMetrics,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(LATENCY_BUCKETS)) as fn() -> Histogram);
        Self { requests, connections: ConnectionMetrics::default() }
    }
}

impl HttpMetrics {
    fn register_connections(&self, registry: &mut Registry) {
        let ConnectionMetrics { open, refused, displaced } = self.connections.clone();
        registry.register("http_connections", "Open connections of clients", open);
        registry.register("http_connections_refused", "Connections of clients that found no place", refused);
        registry.register(
            "http_connections_displaced",
            "Connections of clients that were closed to make way",
            displaced,
        );
    }

    /// Records a request that was answered with this status.
    pub(super) fn record(&self, method: &Method, route: String, status: StatusCode, latency: Duration) {
        let labels = RequestLabels { method: method_label(method), route, status: status_class(status) };
        self.requests.get_or_create(&labels).observe(latency.as_secs_f64());
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A client may invent methods, and each would be a time series of its own.
fn method_label(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// `GET /metrics`, on the operators' listener only.
pub fn router(http: HttpMetrics, admission: Admission) -> Router {
    Router::with_path("metrics").get(Metrics { http, admission })
}

struct Metrics {
    http: HttpMetrics,
    admission: Admission,
}

#[async_trait]
impl Handler for Metrics {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        match self.render(depot).await {
            Ok(text) => {
                res.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
                res.body(text);
            }
            Err(problem) => problem.write(req, depot, res).await,
        }
    }
}

impl Metrics {
    async fn render(&self, depot: &Depot) -> Result<String, Problem> {
        let state = State::<AppState>::of(depot)?;
        let mut registry = Registry::with_prefix("faceofmind");
        let help = "Time from a request to its response headers, by route and status class";
        registry.register_with_unit("http_request", help, Unit::Seconds, self.http.requests.clone());
        self.http.register_connections(&mut registry);
        let help = "Requests that wait until others have ended";
        gauge(&mut registry, "http_requests_waiting", help, count(self.admission.waiting()));
        register_system(&mut registry, &state).await;
        register_pool(&mut registry, &state.platform.db);
        let help = "Log lines that were left out because standard error is read too slowly";
        counter(&mut registry, "log_lines_left_out", help, logging::lines_left_out());
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|_| Problem::internal())?;
        Ok(text)
    }
}

/// Metrics of an actor that does not answer are left out.
async fn register_system(registry: &mut Registry, state: &AppState) {
    let AppState { modules, platform, tree, .. } = state;
    tree.metrics().register(registry);
    register_actors(registry, &tree.snapshot());
    let help = "Time that a worker took for one password hash";
    registry.register_with_unit("password_hash", help, Unit::Seconds, platform.hash_time.clone());
    register_shared(registry, state);
    let events = platform.publisher.status().await;
    let up = events.as_ref().is_ok_and(|events| events.is_up());
    gauge(registry, "events_up", "Whether events are published", i64::from(up));
    if let Ok(events) = events {
        gauge(registry, "events_backlog", "Events that wait to be published", events.backlog.events);
        gauge(registry, "events_dead", "Events that NATS refused or that cannot be read", events.backlog.refused);
        let help = "Gaps between the stream and the outbox, until they are accepted";
        gauge(registry, "events_gaps", help, count(events.gaps.len()));
    }
    if let Ok(accounts) = modules.accounts.status().await {
        let age = accounts.service.oldest_erasure.map_or(0, |since| platform.clock.now().since(since).as_secs());
        let help = "Age of the oldest erasure whose rows are not all removed; 0 when there is none";
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(age);
        registry.register_with_unit("erasure_age", help, Unit::Seconds, gauge);
    }
    if let Ok(codes) = platform.otp.status().await {
        counter(registry, "codes_wrong", "Wrong one-time codes that were entered", codes.service.invalid);
        let help = "Codes that were not issued, because the address or the client has had as many as it may";
        counter(registry, "codes_over_quota", help, codes.service.over_quota);
        let help = "Whether wrong codes over all accounts have risen, so that strangers are slowed down";
        gauge(registry, "codes_alarm", help, i64::from(codes.service.alarm));
    }
    if let Ok(limiter) = platform.limiter.status().await {
        let found_full = Family::<LimitLabels, Counter>::default();
        for (limit, times) in limiter.found_full {
            found_full.get_or_create(&LimitLabels { limit }).inc_by(times);
        }
        let help = "How often a rate limit was found full, also by a check that refuses nothing";
        registry.register("rate_limit_full", help, found_full);
    }
    if let Ok(exporter) = modules.exporter.status().await {
        gauge(registry, "exports_open", "Exports that are being read", count(exporter.in_progress));
    }
    if let Ok(mailer) = platform.mailer.status().await {
        gauge(registry, "mail_in_flight", "Mails that are being sent", count(mailer.in_flight));
    }
    if let Ok(queue) = platform.mailer.ask(CountJobs).await {
        gauge(registry, "mail_waiting", "Mails that wait for an attempt", queue.waiting);
        gauge(registry, "mail_dead", "Mails that were given up", queue.dead);
    }
}

/// What callers share beside the actors.
fn register_shared(registry: &mut Registry, AppState { platform, histories, .. }: &AppState) {
    for (name, help, number) in [
        ("reads_waiting", "Long reads that wait for a database connection", platform.reads.waiting()),
        ("text_searches_waiting", "Long texts that wait to be searched", crisis::waiting_searches()),
        ("histories_open", "Long session histories and lists that are being sent", histories.taken()),
        ("event_streams_open", "Event streams that are being read", platform.events.open_feeds()),
    ] {
        gauge(registry, name, help, count(number));
    }
}

fn register_actors(registry: &mut Registry, actors: &[ChildStatus]) {
    let [up, mailbox] = [(); 2].map(|()| Family::<ActorLabels, Gauge>::default());
    let restarts = Family::<ActorLabels, Counter>::default();
    for row in actors {
        let labels = ActorLabels { actor: row.name };
        up.get_or_create(&labels).set(i64::from(row.state == ActorState::Running));
        mailbox.get_or_create(&labels).set(count(row.queue_len));
        restarts.get_or_create(&labels).inc_by(row.restarts);
    }
    registry.register("actor_up", "Whether the actor is running", up);
    registry.register("actor_restarts", "Restarts of the actor", restarts);
    registry.register("actor_mailbox", "Requests to the actor that are queued or in progress", mailbox);
}

fn register_pool(registry: &mut Registry, db: &Database) {
    let (open, idle) = db.pool_size();
    gauge(registry, "database_connections", "Open connections of the database pool", i64::from(open));
    gauge(
        registry,
        "database_connections_idle",
        "Open connections of the database pool that are not in use",
        count(idle),
    );
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
