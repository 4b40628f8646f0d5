//! The routes, and the services of the listeners: routes behind the edge.
//!
//! salvo matches paths with and without a slash at their end.

use std::collections::BTreeSet;

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, Service, async_trait,
    http::{HeaderValue, Method, StatusCode, header::ALLOW},
    routing::{FilterInfo, filters::MethodFilter},
};

use super::{
    docs,
    edge::{Edge, HttpConfig},
    mail_link,
    path::ANYTHING,
    responses::MessageBody,
};

/// The documented routes and their documentation, with `HEAD` and `OPTIONS`. `routes` is called again for the first
/// request of the document, so that a service whose document is never requested does not hold one in memory.
pub fn public_routes(routes: fn() -> Router) -> Router {
    complete(Router::new().push(routes()).push(docs::router(routes)).push(mail_link::router()))
}

/// The public routes behind the edge.
pub fn public_service(routes: Router, config: &HttpConfig) -> Service {
    Service::new(routes).hoop(Edge::public(config))
}

/// The routes of the operators' listener, which are neither documented nor open to other origins.
pub fn admin_service(routes: Router, config: &HttpConfig) -> Service {
    Service::new(complete(routes)).hoop(Edge::admin(config))
}

/// Completes every path: `HEAD` beside `GET`, `OPTIONS`, which lists the methods, and 405 for every other method. Without the 405, salvo would
/// go on to the next path that matches, so that `DELETE /users/me` would reach `DELETE /users/{id}`. For the same reason paths with a
/// parameter come after their fixed siblings, and nothing below a fixed word falls through to them: `/users/me/activate` is 404.
fn complete(mut router: Router) -> Router {
    router.routers = std::mem::take(&mut router.routers).into_iter().map(complete).collect();
    if router.routers.iter().any(begins_with_parameter) {
        let words: BTreeSet<String> = router.routers.iter().filter_map(fixed_word).collect();
        router.routers.extend(words.iter().map(|word| Router::with_path(format!("{word}/{ANYTHING}")).goal(Nowhere)));
    }
    router.routers.sort_by_key(begins_with_parameter);
    let mut methods: Vec<Method> = router.routers.iter().filter_map(method_of).collect();
    if methods.is_empty() {
        return router;
    }
    if let Some(head) = router.routers.iter().find(|child| method_of(child) == Some(Method::GET)).map(as_head) {
        router = router.push(head);
        methods.push(Method::HEAD);
    }
    methods.push(Method::OPTIONS);
    let options = Router::new().filter(MethodFilter::new(Method::OPTIONS)).goal(Options(allow(&methods)));
    methods.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    router.push(options).push(Router::new().goal(WrongMethod(allow(&methods))))
}

fn begins_with_parameter(child: &Router) -> bool {
    first_word(child).is_some_and(|word| word.starts_with('{'))
}

fn fixed_word(child: &Router) -> Option<String> {
    first_word(child).filter(|word| !word.starts_with('{'))
}

fn first_word(child: &Router) -> Option<String> {
    match child.filters.first().map(|filter| filter.info()) {
        Some(FilterInfo::Path(path)) => path.trim_start_matches('/').split('/').next().map(str::to_owned),
        _ => None,
    }
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

/// The same handler under `HEAD`. salvo removes the body.
fn as_head(get: &Router) -> Router {
    let mut head = Router::new().filter(MethodFilter::new(Method::HEAD));
    head.hoops.clone_from(&get.hoops);
    head.goal.clone_from(&get.goal);
    head
}

/// Answers `OPTIONS` with the methods of its path.
struct Options(HeaderValue);

/// The value of `Allow` for these methods.
fn allow(methods: &[Method]) -> HeaderValue {
    let names = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&names).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

#[async_trait]
impl Handler for Options {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        res.headers_mut().insert(ALLOW, self.0.clone());
        res.render(MessageBody::json("Allow lists the methods of this path."));
    }
}

/// Answers paths that lead nowhere. The edge adds the body.
struct Nowhere;

#[async_trait]
impl Handler for Nowhere {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        res.status_code(StatusCode::NOT_FOUND);
    }
}

/// Answers the methods that a path does not take. The edge adds the body.
struct WrongMethod(HeaderValue);

#[async_trait]
impl Handler for WrongMethod {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        res.headers_mut().insert(ALLOW, self.0.clone());
        res.status_code(StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[cfg(test)]
mod tests {
    use salvo::writing::Json;
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
        let users = Router::with_path("users").get(Says("list")).post(Says("made")).push(one).push(me);
        Router::with_path("api/v1").push(users)
    }

    async fn call(api: &Served, method: Method, path: &str) -> Answer {
        answer(api.request(method, path)).await
    }

    #[tokio::test]
    async fn paths_work_with_and_without_a_slash_at_their_end_and_without_a_redirect() {
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
    async fn a_wrong_method_is_a_405_that_lists_the_methods_of_the_path() {
        let api = Served::api(routes).await;
        for (path, allow) in [
            ("/api/v1/users", "GET, HEAD, OPTIONS, POST"),
            ("/api/v1/users/", "GET, HEAD, OPTIONS, POST"),
            ("/api/v1/users/7", "DELETE, GET, HEAD, OPTIONS"),
            ("/api/v1/users/me", "GET, HEAD, OPTIONS"),
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
