//! The way of a request to the handler of its route, and of the response back. [`Edge`] has the order; each file has one step.

use std::{sync::Arc, time::Duration};

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer as _, async_trait,
    http::{HeaderValue, Version, header::CONNECTION},
};
use salvo_compression::Compression;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

mod admission;
mod body_limit;
mod cors;
mod failures;
mod request_trace;
mod require_host;
mod response_defaults;

pub use self::{admission::Admission, cors::CorsPolicy};
use self::{
    body_limit::{drain, limit_body},
    cors::CrossOrigin,
    failures::{call_route, describe_error},
    request_trace::RequestTrace,
    require_host::require_host,
    response_defaults::{apply_defaults, compression},
};
use super::{metrics::HttpMetrics, place, problem::Problem, router::HttpConfig};

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
        if let Err(problem) = self.serve(req, depot, res, ctrl).await {
            problem.write(req, depot, res).await;
            ctrl.skip_rest();
        }
        describe_error(req, depot, res).await;
        place::give_back(req);
        drain(req).await;
        self.compression.handle(req, depot, res, &mut FlowCtrl::new(Vec::new())).await;
        self.cross_origin.apply(req, depot, res).await;
        apply_defaults(res);
        self.close_when_stopping(req, res);
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

    /// Asks clients of a service that stops to open their next connection elsewhere (RFC 9112 §9.6). HTTP/2 has no such header: the server says GOAWAY
    /// when its listener closes.
    fn close_when_stopping(&self, req: &Request, res: &mut Response) {
        if self.stopping.is_cancelled() && req.version() < Version::HTTP_2 {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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
