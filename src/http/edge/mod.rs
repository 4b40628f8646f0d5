//! The way of a request to the handler of its route, and of the response back. [`Edge`] has the order; each file has one step.

use std::{sync::Arc, time::Duration};

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer as _, async_trait,
    http::{HeaderValue, Version, header::CONNECTION},
};
use salvo_compression::Compression;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

mod admission;
mod body_limit;
mod cors;
mod failures;
mod request_trace;
mod require_host;
mod response_defaults;

pub use self::{
    admission::Admission,
    cors::{CorsPolicy, EXPOSED_HEADERS},
    response_defaults::CONTENT_POLICY,
};
use self::{
    body_limit::{drain, limit_body},
    cors::CrossOrigin,
    failures::{call_route, describe_error},
    request_trace::RequestTrace,
    require_host::require_host,
    response_defaults::{apply_defaults, compression},
};
use super::{
    client::TrustedProxies, connections::open::ConnectionLimits, metrics::HttpMetrics, place, problem::Problem,
    server::Limits,
};

/// The settings of the edge.
#[derive(Clone)]
pub struct HttpConfig {
    /// Sizes and durations.
    pub limits: Limits,
    /// How many connections clients may have.
    pub connections: ConnectionLimits,
    /// How many requests may be in progress.
    pub admission: Admission,
    /// The web pages that may call the API.
    pub cors: CorsPolicy,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub proxies: TrustedProxies,
    /// Makes the id of a request that brings none.
    pub new_request_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
    /// Measures the requests of clients.
    pub metrics: HttpMetrics,
    /// Cancelled when the service begins to stop.
    pub stopping: CancellationToken,
}

/// What every request passes. It is one handler of salvo, because a request costs an allocation for each that it passes.
pub struct Edge {
    trace: RequestTrace,
    admission: Option<Admission>,
    max_body: usize,
    deadline: Duration,
    compression: Compression,
    cross_origin: CrossOrigin,
    stopping: CancellationToken,
}

impl Edge {
    /// The edge of the public listener.
    pub fn public(config: &HttpConfig) -> Self {
        Self {
            admission: Some(config.admission.clone()),
            ..Self::with(Some(config.metrics.clone()), &config.cors, config)
        }
    }

    /// The edge of the operators' listener: requests are not counted, do not wait for a place, and come from no other origin.
    pub fn admin(config: &HttpConfig) -> Self {
        Self::with(None, &CorsPolicy::None, config)
    }

    fn with(metrics: Option<HttpMetrics>, cors: &CorsPolicy, config: &HttpConfig) -> Self {
        Self {
            trace: RequestTrace::new(config.proxies.clone(), Arc::clone(&config.new_request_id), metrics),
            admission: None,
            max_body: config.limits.body_bytes,
            deadline: config.limits.request,
            compression: compression(),
            cross_origin: CrossOrigin::new(cors),
            stopping: config.stopping.clone(),
        }
    }

    async fn respond(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let deadline = Instant::now() + self.deadline;
        if let Err(problem) = self.serve(req, depot, res, ctrl).await {
            problem.write(req, depot, res).await;
            ctrl.skip_rest();
        }
        describe_error(req, depot, res).await;
        place::give_back(req);
        drop(timeout_at(deadline, drain(req)).await);
        self.compression.handle(req, depot, res, &mut FlowCtrl::new(Vec::new())).await;
        self.cross_origin.apply(req, depot, res).await;
        apply_defaults(res);
        self.close_when_stopping(req, res, ctrl);
    }

    async fn serve(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) -> Result<(), Problem> {
        require_host(req)?;
        limit_body(req, self.max_body)?;
        // What waits here has passed little yet, and so holds little memory.
        if let Some(admission) = &self.admission {
            admission.admit(req, depot).await?;
        }
        call_route(self.deadline, req, depot, res, ctrl).await
    }

    /// Asks clients of a service that stops to open their next connection elsewhere: by `Connection: close` (RFC 9112 §9.6), or by GOAWAY, after which
    /// the requests of the connection finish (RFC 9113 §6.8).
    fn close_when_stopping(&self, req: &Request, res: &mut Response, ctrl: &FlowCtrl) {
        if !self.stopping.is_cancelled() {
            return;
        }
        if req.version() < Version::HTTP_2 {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        } else {
            ctrl.conn().graceful_shutdown();
        }
    }
}

#[async_trait]
impl Handler for Edge {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let trace = self.trace.begin(req, depot, res);
        self.respond(req, depot, res, ctrl).instrument(trace.span.clone()).await;
        trace.end(req, res);
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler};

    use crate::http::testing::{Served, answer, http_config};

    const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// HEADERS of stream 1, the whole request: `GET http /api`, of the authority `x` (RFC 7541, appendix A).
    const GET: &[u8] = &[0, 0, 11, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 4, b'/', b'a', b'p', b'i', 0x41, 1, b'x'];
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;

    #[handler]
    async fn nothing() {}

    fn routes() -> Router {
        Router::with_path("api").get(nothing)
    }

    /// The types of the frames in these bytes.
    fn frame_types(mut bytes: &[u8]) -> Vec<u8> {
        let mut types = Vec::new();
        while let [high, middle, low, kind, ..] = *bytes {
            types.push(kind);
            let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            bytes = bytes.get(9 + length..).unwrap_or_default();
        }
        types
    }

    #[tokio::test]
    async fn a_service_that_stops_answers_and_asks_for_another_connection() {
        let config = http_config();
        config.stopping.cancel();
        let api = Served::with(routes, config).await;
        assert_eq!(answer(api.get("/api")).await.header("connection"), "close");
        let http2 = [HTTP2_PREFACE, EMPTY_SETTINGS, GET].concat();
        let answered = |read: &[u8]| [HEADERS, GOAWAY].iter().all(|kind| frame_types(read).contains(kind));
        let read = api.raw_until(&http2, answered).await;
        assert!(answered(&read), "{:?}", frame_types(&read));
    }
}
