//! What every response has: a JSON body with its charset, security headers for browsers, and gzip where it helps.

use salvo::{
    Response,
    http::{
        HeaderName, HeaderValue, Mime, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS},
        mime,
    },
};
use salvo_compression::{Compression, CompressionLevel};

use crate::http::responses::MessageBody;

/// The Content-Security-Policy of every response that is not a page.
pub const CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Makes every response a JSON document, adds the charset to every text (the app reads Latin-1 by default), and forbids browsers to guess types, to
/// send referrers, and to store what does not say how to be cached.
pub(super) fn apply_defaults(res: &mut Response) {
    ensure_json_body(res);
    ensure_charset(res);
    security_headers(res);
    set_default(res, CACHE_CONTROL, "no-store");
    // `compression` leaves it out, and caches would give compressed bodies to clients that cannot read them.
    res.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
}

/// Replaces an empty success, also the 204 of a preflight, because the app decodes JSON from every body.
fn ensure_json_body(res: &mut Response) {
    let status = res.status_code.unwrap_or_default();
    if status == StatusCode::NO_CONTENT || (status.is_success() && res.body.is_none()) {
        let status = if status == StatusCode::NO_CONTENT { StatusCode::OK } else { status };
        res.take_body();
        res.headers_mut().remove(CONTENT_TYPE);
        res.status_code(status).render(MessageBody::json("OK"));
    }
}

fn ensure_charset(res: &mut Response) {
    let Some(content_type) = res.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return };
    let is_text = content_type.starts_with("application/json")
        || content_type.starts_with("application/problem+json")
        || content_type.starts_with("text/");
    if is_text
        && !content_type.contains("charset=")
        && let Ok(with_charset) = HeaderValue::from_str(&format!("{content_type}; charset=utf-8"))
    {
        res.headers_mut().insert(CONTENT_TYPE, with_charset);
    }
}

fn security_headers(res: &mut Response) {
    set_default(res, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(res, REFERRER_POLICY, "no-referrer");
    set_default(res, CONTENT_SECURITY_POLICY, CONTENT_POLICY);
}

fn set_default(res: &mut Response, name: HeaderName, value: &'static str) {
    res.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
}

/// gzip from 1 KiB on, for compressible types. Event streams are not compressed: events would wait in the encoder's buffer.
pub(super) fn compression() -> Compression {
    let problem: Option<Mime> = "application/problem+json".parse().ok();
    let mut types = vec![
        mime::APPLICATION_JSON,
        mime::TEXT_HTML,
        mime::TEXT_CSS,
        mime::TEXT_PLAIN,
        mime::TEXT_JAVASCRIPT,
        mime::APPLICATION_JAVASCRIPT,
        mime::IMAGE_SVG,
    ];
    types.extend(problem);
    Compression::new().enable_gzip(CompressionLevel::Fastest).min_length(1024).content_types(&types)
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[handler]
    async fn empty() {}

    #[handler]
    async fn no_content(res: &mut Response) {
        res.status_code(StatusCode::NO_CONTENT);
    }

    #[handler]
    async fn plain_json(res: &mut Response) {
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        res.body("[]");
    }

    #[handler]
    async fn long() -> Json<String> {
        Json("long ".repeat(1000))
    }

    #[handler]
    async fn events(res: &mut Response) {
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        res.body(format!("data: {}\n\n", "long ".repeat(1000)));
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("empty").get(empty))
            .push(Router::with_path("no_content").get(no_content))
            .push(Router::with_path("plain").get(plain_json))
            .push(Router::with_path("long").get(long))
            .push(Router::with_path("events").get(events))
    }

    #[tokio::test]
    async fn every_response_is_a_json_document_with_its_charset() {
        let api = Served::api(routes).await;
        for (path, body) in [
            ("/api/empty", json!({ "message": "OK" })),
            ("/api/no_content", json!({ "message": "OK" })),
            ("/api/plain", json!([])),
        ] {
            let answer = answer(api.get(path)).await;
            assert_eq!((answer.status, answer.json), (200, body), "at {path}");
        }
    }

    #[tokio::test]
    async fn no_response_is_sniffed_cached_or_named_as_a_referrer() {
        let api = Served::api(routes).await;
        for path in ["/api/empty", "/api/nowhere"] {
            let answer = answer(api.get(path)).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        }
    }

    #[tokio::test]
    async fn long_responses_are_compressed_on_request_and_event_streams_never() {
        let api = Served::api(routes).await;
        let ask = |path| api.get(path).header("accept-encoding", "gzip").send();
        let compressed = ask("/api/long").await.expect("an answer");
        assert_eq!(compressed.headers()["content-encoding"], "gzip");
        assert!(compressed.bytes().await.expect("a body").starts_with(&[0x1f, 0x8b]));
        let stream = ask("/api/events").await.expect("an answer");
        assert_eq!(stream.headers().get("content-encoding"), None);
        assert_eq!(answer(api.get("/api/long")).await.header("content-encoding"), "");
    }
}
