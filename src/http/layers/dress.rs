//! What every answer wears: JSON with its charset, the headers that browsers heed, and gzip where it pays.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{
        HeaderName, HeaderValue, Mime, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
        mime,
    },
    writing::Json,
};
use salvo_compression::{Compression, CompressionLevel};

use crate::http::answers::Message;

/// Sees to it that every answer under `/api` is a JSON document, that every text says its charset (the app reads
/// Latin-1 unless told otherwise), and that browsers neither guess, keep nor leak.
pub struct Dress;

#[async_trait]
impl Handler for Dress {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        ctrl.call_next(req, depot, res).await;
        speak_up(res);
        name_charset(res);
        guard(res);
        if req.uri().path().trim_start_matches('/').starts_with("api") {
            set_default(res, CACHE_CONTROL, "no-store");
        }
    }
}

/// No 204 and no success without a body: the app decodes JSON from each. A preflight's 204 is one of these.
fn speak_up(res: &mut Response) {
    let status = res.status_code.unwrap_or_default();
    if status == StatusCode::NO_CONTENT || (status.is_success() && res.body.is_none()) {
        let status = if status == StatusCode::NO_CONTENT { StatusCode::OK } else { status };
        res.take_body();
        res.headers_mut().remove(CONTENT_TYPE);
        res.status_code(status).render(Json(Message::new("OK")));
    }
}

fn name_charset(res: &mut Response) {
    let Some(given) = res.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return };
    let is_text = given.starts_with("application/json")
        || given.starts_with("application/problem+json")
        || given.starts_with("text/");
    if is_text
        && !given.contains("charset=")
        && let Ok(named) = HeaderValue::from_str(&format!("{given}; charset=utf-8"))
    {
        res.headers_mut().insert(CONTENT_TYPE, named);
    }
}

fn guard(res: &mut Response) {
    set_default(res, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(res, REFERRER_POLICY, "no-referrer");
    set_default(res, CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
}

fn set_default(res: &mut Response, name: HeaderName, value: &'static str) {
    res.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
}

/// gzip from 1 KiB on, for what shrinks. Event streams are not among it: they would wait in the encoder's buffer.
pub fn compression() -> Compression {
    let problem: Option<Mime> = "application/problem+json".parse().ok();
    let mut shrinks = vec![
        mime::APPLICATION_JSON,
        mime::TEXT_HTML,
        mime::TEXT_CSS,
        mime::TEXT_PLAIN,
        mime::TEXT_JAVASCRIPT,
        mime::APPLICATION_JAVASCRIPT,
        mime::IMAGE_SVG,
    ];
    shrinks.extend(problem);
    Compression::new().enable_gzip(CompressionLevel::Fastest).min_length(1024).content_types(&shrinks)
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[handler]
    async fn silent() {}

    #[handler]
    async fn gone(res: &mut Response) {
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
            .push(Router::with_path("silent").get(silent))
            .push(Router::with_path("gone").get(gone))
            .push(Router::with_path("plain").get(plain_json))
            .push(Router::with_path("long").get(long))
            .push(Router::with_path("events").get(events))
    }

    #[tokio::test]
    async fn every_answer_is_a_json_document_with_its_charset() {
        let api = Served::api(routes).await;
        for (path, body) in [
            ("/api/silent", json!({ "message": "OK" })),
            ("/api/gone", json!({ "message": "OK" })),
            ("/api/plain", json!([])),
        ] {
            let answer = answer(api.get(path)).await;
            assert_eq!((answer.status, answer.json), (200, body), "at {path}");
        }
    }

    #[tokio::test]
    async fn no_answer_is_guessed_kept_or_leaked() {
        let api = Served::api(routes).await;
        for path in ["/api/silent", "/api/nowhere"] {
            let answer = answer(api.get(path)).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        }
    }

    #[tokio::test]
    async fn long_answers_shrink_for_those_who_ask_and_event_streams_never() {
        let api = Served::api(routes).await;
        let ask = |path| api.get(path).header("accept-encoding", "gzip").send();
        let shrunk = ask("/api/long").await.expect("an answer");
        assert_eq!(shrunk.headers()["content-encoding"], "gzip");
        assert!(shrunk.bytes().await.expect("a body").starts_with(&[0x1f, 0x8b]));
        let stream = ask("/api/events").await.expect("an answer");
        assert_eq!(stream.headers().get("content-encoding"), None);
        assert_eq!(answer(api.get("/api/long")).await.header("content-encoding"), "");
    }
}
