//! What goes wrong outside of handlers still leaves as a problem: unknown paths, panics, and time running out.

use std::time::Duration;

use faceofmind_kit::panics::static_message as words;
use futures_util::FutureExt as _;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait, http::StatusCode};
use std::panic::AssertUnwindSafe;

use crate::http::problem::Problem;

/// Gives a problem body to every error status that has none: salvo's own 404 and 405 (it adds `Allow`), and whatever
/// some part of it refuses.
pub struct Faults;

#[async_trait]
impl Handler for Faults {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        ctrl.call_next(req, depot, res).await;
        let refused = res.status_code.filter(|status| status.is_client_error() || status.is_server_error());
        if let Some(status) = refused.filter(|_| res.body.is_none() || res.body.is_error()) {
            Problem::bare(status).write(req, depot, res).await;
        }
    }
}

/// Answers a panic with 500 and logs it. The connection and the other requests on it live on.
pub struct Panics;

#[async_trait]
impl Handler for Panics {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        if let Err(panic) = AssertUnwindSafe(ctrl.call_next(req, depot, res)).catch_unwind().await {
            tracing::error!(panic = words(&*panic), "a handler panicked");
            Problem::internal().write(req, depot, res).await;
            ctrl.skip_rest();
        }
    }
}

/// Answers 503 when a handler has taken this long. What it had asked an actor for is dropped there, not done later.
pub struct Deadline(pub Duration);

#[async_trait]
impl Handler for Deadline {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        if tokio::time::timeout(self.0, ctrl.call_next(req, depot, res)).await.is_err() {
            tracing::warn!(limit_ms = self.0.as_millis(), "a request ran out of time");
            let detail = "The service could not do this in time. Please try again shortly.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timed-out", detail);
            problem.retry_after(Duration::from_secs(1)).write(req, depot, res).await;
            ctrl.skip_rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler, http::StatusError};

    use super::*;
    use crate::http::testing::{Served, answer};

    #[handler]
    async fn panics() {
        tokio::task::yield_now().await;
        panic!("a secret reason");
    }

    #[handler]
    async fn hangs(res: &mut Response) {
        res.render("half an answer");
        std::future::pending::<()>().await;
    }

    #[handler]
    async fn refuses() -> Result<&'static str, StatusError> {
        Err(StatusError::im_a_teapot().brief("internal words"))
    }

    #[handler]
    async fn works() {}

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("panics").get(panics))
            .push(Router::with_path("hangs").get(hangs))
            .push(Router::with_path("refuses").get(refuses))
            .push(Router::with_path("works").get(works))
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_keeps_its_reason_and_the_next_request_works() {
        let api = Served::api(routes).await;
        let panicked = answer(api.get("/api/panics")).await;
        assert_eq!((panicked.status, panicked.json["type"].as_str()), (500, Some("/problems/internal")));
        assert!(!panicked.json.to_string().contains("secret"));
        assert_eq!(answer(api.get("/api/works")).await.status, 200);
    }

    #[tokio::test]
    async fn a_handler_that_hangs_is_a_503_in_time() {
        let api = Served::api(routes).await;
        let late = answer(api.get("/api/hangs")).await;
        assert_eq!((late.status, late.json["type"].as_str()), (503, Some("/problems/timed-out")));
        assert_eq!(late.header("retry-after"), "1");
    }

    #[tokio::test]
    async fn what_the_framework_refuses_is_a_problem_without_its_words() {
        let api = Served::api(routes).await;
        let refused = answer(api.get("/api/refuses")).await;
        assert_eq!(refused.status, 418);
        assert!(!refused.json.to_string().contains("internal words"));
    }
}
