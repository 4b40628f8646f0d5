//! A request arrives: it gets its id, its span and, when it leaves, its line in the log.

use std::{net::Ipv4Addr, sync::Arc};

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{HeaderName, HeaderValue},
};
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::http::client::{ClientAddress, TrustedProxies};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// The id by which logs, problems and events know a request: the client's own, or a new UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id of the request in hand; none outside of [`Arrival`].
    pub fn of(depot: &Depot) -> Option<&str> {
        depot.get_typed::<Self>().ok().map(|id| id.0.as_str())
    }

    /// The client's, if it is given once, of 1 to 128 visible ASCII characters: it goes into logs as it is.
    fn given(req: &Request) -> Option<Self> {
        let mut values = req.headers().get_all(X_REQUEST_ID).iter();
        let text = values.next().and_then(|value| value.to_str().ok())?;
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && values.next().is_none()).then(|| Self(text.to_owned()))
    }
}

/// The outermost hoop: puts [`RequestId`] and [`ClientAddress`] into the depot, echoes `X-Request-Id`, opens the span
/// `request` and logs status and latency. Neither queries nor bodies nor ids in paths are logged.
pub struct Arrival {
    proxies: TrustedProxies,
    new_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Arrival {
    /// Trusts these proxies about addresses; `new_id` makes an id for a request that brings none.
    pub fn new(proxies: TrustedProxies, new_id: Arc<dyn Fn() -> Uuid + Send + Sync>) -> Self {
        Self { proxies, new_id }
    }

    fn admit(&self, req: &Request, depot: &mut Depot, res: &mut Response) -> Span {
        let id = RequestId::given(req).unwrap_or_else(|| RequestId((self.new_id)().to_string()));
        let span = tracing::info_span!("request", request_id = id.0, method = %req.method(), path = route(req));
        if let Ok(echo) = HeaderValue::from_str(&id.0) {
            res.headers_mut().insert(X_REQUEST_ID, echo);
        }
        let peer = req.remote_addr().ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        depot.insert_typed(ClientAddress(self.proxies.client(peer, req.headers())));
        depot.insert_typed(id);
        span
    }
}

#[async_trait]
impl Handler for Arrival {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let started = Instant::now();
        let span = self.admit(req, depot, res);
        ctrl.call_next(req, depot, res).instrument(span.clone()).await;
        span.in_scope(|| log(res, started));
    }
}

/// The route that matched, `/api/v1/users/{id}`, so that log lines of one kind read alike and hold no id.
pub fn route(req: &Request) -> String {
    match req.matched_path() {
        "" if req.uri().path() != "/" => "(none)".to_owned(),
        route => format!("/{route}"),
    }
}

fn log(res: &Response, started: Instant) {
    let status = res.status_code.unwrap_or_default();
    let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), latency_us, "answered");
    } else {
        tracing::info!(status = status.as_u16(), latency_us, "answered");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{LazyLock, Mutex, PoisonError},
    };

    use salvo::{Router, handler};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[handler]
    async fn nothing() {}

    fn routes() -> Router {
        Router::with_path("api/users/{id}").get(nothing)
    }

    #[tokio::test]
    async fn the_clients_request_id_is_echoed_and_junk_is_replaced() {
        let api = Served::api(routes).await;
        let made = Uuid::from_u128(7).to_string();
        let long = "x".repeat(129);
        for (given, echoed) in [
            ("abc-123_{}", "abc-123_{}"),
            ("", made.as_str()),
            ("two words", &made),
            ("tab\there", &made),
            ("é", &made),
            (&long, &made),
        ] {
            let answer = answer(api.get("/api/users/1").header("x-request-id", given)).await;
            assert_eq!(answer.header("x-request-id"), echoed, "for {given}");
        }
        assert_eq!(answer(api.get("/api/users/1")).await.header("x-request-id"), made);
    }

    #[tokio::test]
    async fn a_request_id_given_twice_is_nobodys() {
        let api = Served::api(routes).await;
        let twice = api.get("/api/users/1").header("x-request-id", "one").header("x-request-id", "two");
        assert_eq!(answer(twice).await.header("x-request-id"), Uuid::from_u128(7).to_string());
    }

    #[tokio::test]
    async fn the_log_tells_route_status_and_id_but_no_query_and_no_id_of_a_person() {
        let log = log();
        let api = Served::api(routes).await;
        answer(api.get("/api/users/4711?token=secret").header("x-request-id", "known-route")).await;
        answer(api.get("/api/secret").header("x-request-id", "no-route")).await;
        let text = log.lines_of(&["known-route", "no-route"]);
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

    /// What all tests of this process log: a subscriber of one thread alone misses lines when other threads meet a call site first.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    fn log() -> Log {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
            tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
            log
        });
        LOG.clone()
    }

    impl Log {
        fn lines_of(&self, ids: &[&str]) -> String {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let text = String::from_utf8_lossy(&bytes);
            text.lines().filter(|line| ids.iter().any(|id| line.contains(id))).map(|line| format!("{line}\n")).collect()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }
}
