//! Which web pages may call us (`CORS_ORIGINS`).

use salvo::{
    cors::{AllowOrigin, Cors, CorsHandler},
    http::{HeaderValue, Method},
};

/// The headers that our clients send and read.
const SENT: &[&str] = &[
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "traceparent",
    "x-request-id",
    "x-time-zone",
];
const READ: &[&str] = &["link", "retry-after", "x-request-id"];

/// The browser's `Origin`s that may read our answers. Tokens travel in `Authorization`, never in cookies, so no
/// credentials are allowed and `*` is safe.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Origins {
    /// Any (`*`), for development.
    Any,
    /// These, such as `https://admin.example.org`.
    These(Vec<HeaderValue>),
    /// None: no page of another origin.
    #[default]
    Nobody,
}

impl Origins {
    /// These, as browsers write them.
    pub fn only(origins: &[String]) -> Self {
        let values: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        if values.is_empty() { Self::Nobody } else { Self::These(values) }
    }

    /// The hoop that answers preflights and marks answers; none when nobody is allowed.
    pub fn hoop(&self) -> Option<CorsHandler> {
        let origin = match self {
            Self::Any => AllowOrigin::any(),
            Self::These(origins) => AllowOrigin::list(origins.clone()),
            Self::Nobody => return None,
        };
        let hoop = Cors::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(SENT.to_vec())
            .expose_headers(READ.to_vec())
            .max_age(7200);
        Some(hoop.into_handler())
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use salvo::{Router, handler};

    use super::*;
    use crate::http::{
        router::Edge,
        testing::{Answer, Served, answer, edge},
    };

    #[handler]
    async fn nothing() {}

    fn routes() -> Router {
        Router::with_path("api/users").get(nothing)
    }

    async fn preflight(origins: &str, from: &str) -> Answer {
        let origins = match origins {
            "*" => Origins::Any,
            list => Origins::only(&list.split_terminator(',').map(str::to_owned).collect::<Vec<_>>()),
        };
        let api = Served::with(routes, Edge { origins, ..edge() }).await;
        let request = api.request(Method::OPTIONS, "/api/users").header("origin", from);
        let request = request.header("access-control-request-headers", "authorization");
        answer(request.header("access-control-request-method", "PATCH")).await
    }

    #[tokio::test]
    async fn in_development_every_page_may_call_with_what_our_clients_send() {
        let allowed = preflight("*", "http://localhost:4200").await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, "*"));
        assert!(allowed.header("access-control-allow-methods").contains("PATCH"));
        for sent in SENT {
            assert!(allowed.header("access-control-allow-headers").contains(sent), "{sent} may not be sent");
        }
        assert_eq!(allowed.header("access-control-allow-credentials"), "");
    }

    #[tokio::test]
    async fn listed_pages_may_call_and_others_not() {
        let list = "https://admin.example.org,https://app.example.org";
        let listed = preflight(list, "https://app.example.org").await;
        assert_eq!(listed.header("access-control-allow-origin"), "https://app.example.org");
        assert!(listed.header("vary").contains("origin"));
        for other in ["https://evil.example.org", "http://app.example.org", "null"] {
            assert_eq!(preflight(list, other).await.header("access-control-allow-origin"), "", "for {other}");
        }
    }

    #[tokio::test]
    async fn unless_someone_is_named_nobody_may_call() {
        let refused = preflight("", "https://app.example.org").await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (200, ""));
    }

    #[tokio::test]
    async fn answers_show_the_headers_that_clients_read_also_when_refused() {
        let api = Served::api(routes).await;
        let refused = answer(api.get("/api/nowhere").header("origin", "http://localhost")).await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (404, "*"));
        assert_eq!(refused.header("access-control-expose-headers"), "link,retry-after,x-request-id");
    }
}
