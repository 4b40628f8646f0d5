//! Failures that no handler answers, which become problems too: unknown paths, panics and deadlines.

use std::{panic::AssertUnwindSafe, time::Duration};

use faceofmind_runtime::panics::static_message;
use futures_util::FutureExt as _;
use salvo::{Depot, FlowCtrl, Request, Response, Writer as _};

use crate::http::{body::ReadingBody, problem::Problem};

/// Calls the handler of the route. The connection and its other requests survive a panic.
///
/// # Errors
/// 500 for a panic, which is logged. After the deadline 408 while the body is still on its way, 503 to a request that only reads, else 504, because a
/// write may have begun. Actors drop the messages that it still waits for.
pub(super) async fn call_route(
    deadline: Duration,
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) -> Result<(), Problem> {
    let called = AssertUnwindSafe(ctrl.call_next(req, depot, res)).catch_unwind();
    match tokio::time::timeout(deadline, called).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(panic)) => {
            tracing::error!(panic = static_message(&*panic), "handler panicked");
            Err(Problem::internal())
        }
        Err(_) => Err(timed_out(req, deadline)),
    }
}

fn timed_out(req: &Request, deadline: Duration) -> Problem {
    let is_slow_body = req.extensions().get::<ReadingBody>().is_some();
    tracing::warn!(limit_ms = deadline.as_millis(), is_slow_body, "request timed out");
    match is_slow_body {
        true => Problem::body_too_slow(),
        false if req.method().is_safe() => Problem::timed_out(),
        false => Problem::outcome_unknown(),
    }
}

/// Gives an error status without a body the body of a problem: salvo's own 404 and 405 (with `Allow`), and other errors of salvo.
pub(super) async fn describe_error(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    let error = res.status_code.filter(|status| status.is_client_error() || status.is_server_error());
    if let Some(status) = error.filter(|_| res.body.is_none() || res.body.is_error()) {
        Problem::from_status(status).write(req, depot, res).await;
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
    async fn rejects() -> Result<&'static str, StatusError> {
        Err(StatusError::im_a_teapot().brief("internal text"))
    }

    #[handler]
    async fn works() {}

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("panics").get(panics))
            .push(Router::with_path("hangs").get(hangs).post(hangs))
            .push(Router::with_path("rejects").get(rejects))
            .push(Router::with_path("works").get(works))
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_message_and_the_next_request_works() {
        let api = Served::api(routes).await;
        let panicked = answer(api.get("/api/panics")).await;
        assert_eq!((panicked.status, panicked.json["type"].as_str()), (500, Some("/problems/internal")));
        assert!(!panicked.json.to_string().contains("secret"));
        assert_eq!(answer(api.get("/api/works")).await.status, 200);
    }

    #[tokio::test]
    async fn a_handler_that_hangs_is_a_503_after_the_deadline() {
        let api = Served::api(routes).await;
        let late = answer(api.get("/api/hangs")).await;
        assert_eq!((late.status, late.json["type"].as_str()), (503, Some("/problems/timed-out")));
        assert_eq!(late.header("retry-after"), "1");
    }

    #[tokio::test]
    async fn a_write_that_hangs_has_an_unknown_outcome() {
        let api = Served::api(routes).await;
        let late = api.post("/api/hangs", "{}").await;
        assert_eq!((late.status, late.json["type"].as_str()), (504, Some("/problems/outcome-unknown")));
        assert_eq!(late.header("retry-after"), "");
    }

    #[tokio::test]
    async fn an_error_of_the_framework_is_a_problem_without_its_text() {
        let api = Served::api(routes).await;
        let rejected = answer(api.get("/api/rejects")).await;
        assert_eq!(rejected.status, 418);
        assert!(!rejected.json.to_string().contains("internal text"));
    }
}
