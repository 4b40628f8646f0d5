//! Cross-origin requests: which web pages may call the API (`CORS_ORIGINS`).

use salvo::{
    Depot, FlowCtrl, Handler as _, Request, Response,
    cors::{AllowOrigin, Cors, CorsHandler},
    http::{
        HeaderValue, Method,
        header::{ORIGIN, VARY},
    },
};

/// The request headers that web pages may send.
const ALLOWED_HEADERS: &[&str] = &[
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "traceparent",
    "x-request-id",
    "x-time-zone",
];
/// The response headers that web pages may read.
pub const EXPOSED_HEADERS: &[&str] = &["link", "retry-after", "x-request-id"];

/// The origins whose pages may read responses. Tokens are sent in `Authorization`, never in cookies, so credentials are
/// not allowed and `*` is safe.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CorsPolicy {
    /// Every origin (`*`), for development.
    Any,
    /// Listed origins, such as `https://admin.example.org`.
    Only(Vec<HeaderValue>),
    /// No other origin.
    #[default]
    None,
}

impl CorsPolicy {
    /// The policy of these origins, as browsers write them.
    pub fn only(origins: &[String]) -> Self {
        let values: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        if values.is_empty() { Self::None } else { Self::Only(values) }
    }

    fn handler(&self) -> Option<CorsHandler> {
        let origin = match self {
            Self::Any => AllowOrigin::any(),
            Self::Only(origins) => AllowOrigin::list(origins.clone()),
            Self::None => return None,
        };
        let cors = Cors::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(ALLOWED_HEADERS.to_vec())
            .expose_headers(EXPOSED_HEADERS.to_vec())
            .max_age(7200);
        Some(cors.into_handler())
    }
}

/// Answers preflights and adds the headers of a policy to other responses.
pub(super) struct CrossOrigin(Option<CorsHandler>);

impl CrossOrigin {
    /// Follows this policy. One that allows no other origin changes no response.
    pub(super) fn new(policy: &CorsPolicy) -> Self {
        Self(policy.handler())
    }

    /// Changes a response. One to a request that no web page of another origin makes only says that it depends on the origin.
    pub(super) async fn apply(&self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        let Some(handler) = &self.0 else { return };
        if req.headers().contains_key(ORIGIN) {
            handler.handle(req, depot, res, &mut FlowCtrl::new(Vec::new())).await;
        } else {
            res.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use salvo::{Router, handler};

    use super::*;
    use crate::http::{
        edge::HttpConfig,
        testing::{Answer, Served, answer, http_config},
    };

    #[handler]
    async fn nothing() {}

    fn routes() -> Router {
        Router::with_path("api/users").get(nothing)
    }

    async fn preflight(origins: &str, from: &str) -> Answer {
        let cors = match origins {
            "*" => CorsPolicy::Any,
            list => CorsPolicy::only(&list.split_terminator(',').map(str::to_owned).collect::<Vec<_>>()),
        };
        let api = Served::with(routes, HttpConfig { cors, ..http_config() }).await;
        let request = api.request(Method::OPTIONS, "/api/users").header("origin", from);
        let request = request.header("access-control-request-headers", "authorization");
        answer(request.header("access-control-request-method", "PATCH")).await
    }

    #[tokio::test]
    async fn in_development_every_page_may_call_with_the_headers_that_clients_send() {
        let allowed = preflight("*", "http://localhost:4200").await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, "*"));
        assert!(allowed.header("access-control-allow-methods").contains("PATCH"));
        for sent in ALLOWED_HEADERS {
            assert!(allowed.header("access-control-allow-headers").contains(sent), "{sent} may not be sent");
        }
        assert_eq!(allowed.header("access-control-allow-credentials"), "");
    }

    #[tokio::test]
    async fn listed_origins_may_call_and_others_not() {
        let list = "https://admin.example.org,https://app.example.org";
        let listed = preflight(list, "https://app.example.org").await;
        assert_eq!(listed.header("access-control-allow-origin"), "https://app.example.org");
        assert!(listed.header("vary").contains("origin"));
        for other in ["https://evil.example.org", "http://app.example.org", "null"] {
            assert_eq!(preflight(list, other).await.header("access-control-allow-origin"), "", "for {other}");
        }
    }

    #[tokio::test]
    async fn without_listed_origins_no_other_origin_may_call() {
        let rejected = preflight("", "https://app.example.org").await;
        assert_eq!((rejected.status, rejected.header("access-control-allow-origin")), (200, ""));
    }

    #[tokio::test]
    async fn responses_expose_the_headers_that_clients_read_also_on_errors() {
        let api = Served::api(routes).await;
        let rejected = answer(api.get("/api/nowhere").header("origin", "http://localhost")).await;
        assert_eq!((rejected.status, rejected.header("access-control-allow-origin")), (404, "*"));
        assert_eq!(rejected.header("access-control-expose-headers"), "link,retry-after,x-request-id");
    }
}
