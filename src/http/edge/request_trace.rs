//! The context of a request: its id, its client, its span, its line in the access log, and its metric.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Once},
    time::Duration,
};

use salvo::{
    Depot, Request, Response,
    http::{HeaderValue, StatusCode},
};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use crate::http::{
    client::{ClientIp, TrustedProxies},
    metrics::HttpMetrics,
    path::ANYTHING,
    request_id::{RequestId, X_REQUEST_ID},
    sampling::sample,
};

/// Begins the [`Trace`] of each request.
pub(super) struct RequestTrace {
    proxies: TrustedProxies,
    new_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
    metrics: Option<HttpMetrics>,
    warned: Once,
}

/// What is known of a request in progress. Queries, bodies and ids in paths are never logged.
pub(super) struct Trace<'a> {
    pub(super) span: Span,
    started: Instant,
    route: String,
    metrics: Option<&'a HttpMetrics>,
}

impl RequestTrace {
    /// Believes the `X-Forwarded-For` of `proxies`; `new_id` makes the id of a request that brings none.
    pub(super) fn new(
        proxies: TrustedProxies,
        new_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
        metrics: Option<HttpMetrics>,
    ) -> Self {
        Self { proxies, new_id, metrics, warned: Once::new() }
    }

    /// Puts [`RequestId`] and [`ClientIp`] into the depot, echoes `X-Request-Id`, and opens the span `request`.
    pub(super) fn begin(&self, req: &Request, depot: &mut Depot, res: &mut Response) -> Trace<'_> {
        let (started, route) = (Instant::now(), route(req));
        let id = RequestId::given(req).unwrap_or_else(|| RequestId::new((self.new_id)()));
        let span = tracing::info_span!("request", request_id = id.as_str(), method = %req.method(), path = route);
        if let Ok(echo) = HeaderValue::from_str(id.as_str()) {
            res.headers_mut().insert(X_REQUEST_ID, echo);
        }
        let peer = req.remote_addr().ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        if self.proxies.ignore_forwarded(peer, req.headers()) {
            self.warned.call_once(|| tracing::warn!(%peer, "X-Forwarded-For ignored; if the peer is your proxy, add it to TRUSTED_PROXIES"));
        }
        depot.insert_typed(ClientIp(self.proxies.client_ip(peer, req.headers())));
        depot.insert_typed(id);
        Trace { span, started, route, metrics: self.metrics.as_ref() }
    }
}

impl Trace<'_> {
    /// Logs status and latency, and counts the request.
    pub(super) fn end(self, req: &Request, res: &Response) {
        let (status, latency) = (res.status_code.unwrap_or_default(), self.started.elapsed());
        self.span.in_scope(|| log(status, latency));
        if let Some(metrics) = self.metrics {
            metrics.record(req.method(), self.route, status, latency);
        }
    }
}

/// The route that matched, `/api/v1/users/{id}`. It groups the log lines and metrics of a route and holds no id of a person.
fn route(req: &Request) -> String {
    match req.matched_path() {
        route if route.ends_with(ANYTHING) => "(none)".to_owned(),
        "" if !req.uri().path().trim_matches('/').is_empty() => "(none)".to_owned(),
        route => format!("/{route}"),
    }
}

fn log(status: StatusCode, latency: Duration) {
    let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        if let Some(left_out) = sample("503") {
            tracing::warn!(status = status.as_u16(), latency_us, left_out, "request finished");
        }
    } else if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), latency_us, "request finished");
    } else {
        tracing::info!(status = status.as_u16(), latency_us, "request finished");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use salvo::{Router, handler};

    use super::*;
    use crate::{
        http::testing::{Served, answer},
        logging::testing::CapturedLog,
    };

    #[handler]
    async fn nothing() {}

    fn routes() -> Router {
        Router::with_path("api/users/{id}").get(nothing)
    }

    #[tokio::test]
    async fn the_request_id_of_a_client_is_echoed_and_an_invalid_one_is_replaced() {
        let api = Served::api(routes).await;
        let new = Uuid::from_u128(7).to_string();
        let long = "x".repeat(129);
        for (given, echoed) in [
            ("abc-123_{}", "abc-123_{}"),
            ("", new.as_str()),
            ("two words", &new),
            ("tab\there", &new),
            ("é", &new),
            (&long, &new),
        ] {
            let answer = answer(api.get("/api/users/1").header("x-request-id", given)).await;
            assert_eq!(answer.header("x-request-id"), echoed, "for {given}");
        }
        assert_eq!(answer(api.get("/api/users/1")).await.header("x-request-id"), new);
    }

    #[tokio::test]
    async fn a_request_id_given_twice_is_replaced() {
        let api = Served::api(routes).await;
        let twice = api.get("/api/users/1").header("x-request-id", "one").header("x-request-id", "two");
        assert_eq!(answer(twice).await.header("x-request-id"), Uuid::from_u128(7).to_string());
    }

    #[tokio::test]
    async fn the_log_has_route_status_and_request_id_but_no_query_and_no_id_of_a_person() {
        let log = log();
        let api = Served::api(routes).await;
        answer(api.get("/api/users/4711?token=secret").header("x-request-id", "known-route")).await;
        answer(api.get("/api/secret").header("x-request-id", "no-route")).await;
        let text = lines_of(&["known-route", "no-route"], &log);
        for part in [
            "request_id=\"known-route\"",
            "path=\"/api/users/{id}\"",
            "status=200",
            "latency_us=",
            "path=\"(none)\"",
            "status=404",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("secret") && !text.contains("4711"), "{text}");
    }

    /// The log of all tests of this process. A thread-local subscriber would miss lines of call sites that another
    /// thread registers first.
    fn log() -> CapturedLog {
        static LOG: LazyLock<CapturedLog> = LazyLock::new(|| {
            let log = CapturedLog::default();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
            tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
            log
        });
        LOG.clone()
    }

    fn lines_of(ids: &[&str], log: &CapturedLog) -> String {
        let text = log.text();
        text.lines().filter(|line| ids.iter().any(|id| line.contains(id))).map(|line| format!("{line}\n")).collect()
    }
}
