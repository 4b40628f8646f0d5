//! The site: where the resources hang, and which hoops every request passes on its way to them.
//!
//! Paths match with and without a slash at their end, as salvo's router does by itself.

use std::sync::Arc;

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, Service, async_trait,
    http::{HeaderValue, Method, header::ALLOW},
    routing::{FilterInfo, filters::MethodFilter},
    writing::Json,
};
use uuid::Uuid;

use super::{
    answers::Message,
    client::TrustedProxies,
    docs,
    layers::{Arrival, Deadline, Dress, Faults, Intake, Origins, Panics, compression},
    metrics::HttpMetrics,
    server::Limits,
};

/// What the edge must be told.
#[derive(Clone)]
pub struct Edge {
    /// How much, and how long.
    pub limits: Limits,
    /// Which web pages may call.
    pub origins: Origins,
    /// Whose `X-Forwarded-For` counts.
    pub proxies: TrustedProxies,
    /// Makes the id of a request that brings none.
    pub new_request_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
    /// Measures the requests of clients.
    pub metrics: HttpMetrics,
}

/// The documented routes with their documentation, answering `HEAD` and `OPTIONS` too. `routes` is called again when
/// somebody first asks for the document, so that none is held by a service that nobody asks.
pub fn site(routes: fn() -> Router) -> Router {
    complete(Router::new().push(routes()).push(docs::router(routes)))
}

/// The site behind all its hoops, the outermost first.
pub fn service(site: Router, edge: &Edge) -> Service {
    let mut service = Service::new(site).hoop(edge.metrics.clone()).hoop(edge.arrival()).hoop(Dress);
    if let Some(origins) = edge.origins.hoop() {
        service = service.hoop(origins);
    }
    let guarded = service.hoop(compression()).hoop(Faults).hoop(Panics);
    guarded.hoop(Deadline(edge.limits.request)).hoop(Intake { limit: edge.limits.body_bytes })
}

/// What the operators' listener serves: no page of another origin may read it, and no one need document it.
pub fn operators(routes: Router, edge: &Edge) -> Service {
    let service = Service::new(complete(routes)).hoop(edge.arrival()).hoop(Dress).hoop(compression());
    service.hoop(Faults).hoop(Panics).hoop(Deadline(edge.limits.request))
}

impl Edge {
    fn arrival(&self) -> Arrival {
        Arrival::new(self.proxies.clone(), Arc::clone(&self.new_request_id))
    }
}

/// Wherever there is a `GET` there is a `HEAD`, and every path answers `OPTIONS` with the methods it takes.
fn complete(mut router: Router) -> Router {
    router.routers = std::mem::take(&mut router.routers).into_iter().map(complete).collect();
    let mut methods: Vec<Method> = router.routers.iter().filter_map(method_of).collect();
    if methods.is_empty() {
        return router;
    }
    if let Some(head) = router.routers.iter().find(|child| method_of(child) == Some(Method::GET)).map(as_head) {
        router = router.push(head);
        methods.push(Method::HEAD);
    }
    router.push(Router::new().filter(MethodFilter::new(Method::OPTIONS)).goal(Options::new(methods)))
}

/// The method of a leaf as `.get(…)` or `.post(…)` makes it.
fn method_of(child: &Router) -> Option<Method> {
    match child.filters.as_slice() {
        [filter] if child.goal.is_some() => match filter.info() {
            FilterInfo::Method(method) => Some(method),
            _ => None,
        },
        _ => None,
    }
}

/// The same goal under `HEAD`; salvo takes the body away.
fn as_head(get: &Router) -> Router {
    let mut head = Router::new().filter(MethodFilter::new(Method::HEAD));
    head.hoops.clone_from(&get.hoops);
    head.goal.clone_from(&get.goal);
    head
}

/// Answers `OPTIONS` with the methods of its path.
struct Options(HeaderValue);

impl Options {
    fn new(mut methods: Vec<Method>) -> Self {
        methods.push(Method::OPTIONS);
        let names = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Self(HeaderValue::from_str(&names).unwrap_or(HeaderValue::from_static("OPTIONS")))
    }
}

#[async_trait]
impl Handler for Options {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        res.headers_mut().insert(ALLOW, self.0.clone());
        res.render(Json(Message::new("Allow lists the methods of this path.")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Answer, Served, answer};

    struct Says(&'static str);

    #[async_trait]
    impl Handler for Says {
        async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
            res.render(Json(self.0));
        }
    }

    fn routes() -> Router {
        let one = Router::with_path("{id}").get(Says("one")).delete(Says("gone"));
        let me = Router::with_path("me").get(Says("me"));
        let users = Router::with_path("users").get(Says("list")).post(Says("made")).push(me).push(one);
        Router::with_path("api/v1").push(users)
    }

    async fn call(api: &Served, method: Method, path: &str) -> Answer {
        answer(api.request(method, path)).await
    }

    #[tokio::test]
    async fn paths_answer_with_and_without_a_slash_and_without_a_redirect() {
        let api = Served::api(routes).await;
        for (path, says) in [
            ("/api/v1/users", "list"),
            ("/api/v1/users/", "list"),
            ("/api/v1/users/?limit=5", "list"),
            ("/api/v1/users/me/", "me"),
            ("/api/v1/users/7", "one"),
            ("/api/v1/users/7/", "one"),
        ] {
            let answer = call(&api, Method::GET, path).await;
            assert_eq!((answer.status, answer.json), (200, json!(says)), "at {path}");
        }
    }

    #[tokio::test]
    async fn an_unknown_path_is_a_404() {
        let api = Served::api(routes).await;
        for path in ["/api/v1/user", "/api/v1/users7", "/api/v1users", "/api/v1/users/7/x", "/api", "/API/v1/users"] {
            let answer = call(&api, Method::GET, path).await;
            assert_eq!((answer.status, answer.json["type"].as_str()), (404, Some("/problems/not-found")), "at {path}");
        }
        assert_eq!(call(&api, Method::OPTIONS, "/api/v1/user").await.status, 404);
    }

    #[tokio::test]
    async fn a_wrong_method_is_a_405_that_lists_the_right_ones() {
        let api = Served::api(routes).await;
        for (path, allow) in [
            ("/api/v1/users", "GET, HEAD, OPTIONS, POST"),
            ("/api/v1/users/", "GET, HEAD, OPTIONS, POST"),
            ("/api/v1/users/7", "DELETE, GET, HEAD, OPTIONS"),
        ] {
            let answer = call(&api, Method::PATCH, path).await;
            assert_eq!((answer.status, answer.header("allow")), (405, allow), "at {path}");
            assert_eq!(answer.json["type"], "/problems/method-not-allowed");
        }
    }

    #[tokio::test]
    async fn head_is_get_without_its_body() {
        let api = Served::api(routes).await;
        let head = api.request(Method::HEAD, "/api/v1/users").send().await.expect("an answer");
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-type"], "application/json; charset=utf-8");
        assert!(head.bytes().await.expect("no body").is_empty());
        let missing = api.request(Method::HEAD, "/api/v1/nowhere").send().await.expect("an answer");
        assert_eq!(missing.status(), 404);
    }

    #[tokio::test]
    async fn options_lists_the_methods() {
        let api = Served::api(routes).await;
        let answer = call(&api, Method::OPTIONS, "/api/v1/users/7").await;
        assert_eq!((answer.status, answer.header("allow")), (200, "GET, DELETE, HEAD, OPTIONS"));
    }
}
