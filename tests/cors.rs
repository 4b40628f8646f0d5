//! `CORS_ORIGINS`: the origins whose pages may call the API.

use reqwest::Method;

use crate::harness::{Response, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    in_development_any_page_may_call,
    pages_of_named_origins_may_call_and_no_others with [
        ("CORS_ORIGINS", "https://admin.example.org,http://localhost:4200"),
    ],
    without_origins_no_page_may_call with [("CORS_ORIGINS", "none")],
}

async fn preflight(app: &TestApp, origin: &str, method: &str) -> Response {
    let call = app.client().call(Method::OPTIONS, "/api/v1/auth/login").header("origin", origin);
    let call = call.header("access-control-request-method", method);
    call.header("access-control-request-headers", "authorization,content-type,idempotency-key,x-request-id")
        .send()
        .await
}

fn allowed(response: &Response) -> &str {
    response.header("access-control-allow-origin")
}

async fn in_development_any_page_may_call(app: &TestApp) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let response = preflight(app, "http://localhost:4200", method).await;
        assert!(["*", "http://localhost:4200"].contains(&allowed(&response)), "{:?}", response.headers);
        let methods = response.header("access-control-allow-methods").to_uppercase();
        assert!(methods.contains(method) || methods == "*", "{methods}");
        let headers = response.header("access-control-allow-headers").to_lowercase();
        for header in
            ["authorization", "content-type", "idempotency-key", "last-event-id", "x-request-id", "x-time-zone"]
        {
            assert!(headers.contains(header), "{header} is not among {headers}");
        }
    }
    let refused = app
        .client()
        .api(Method::GET, "/auth/me")
        .header("origin", "http://localhost:4200")
        .send()
        .await
        .assert_status(401);
    assert!(!allowed(&refused).is_empty(), "a page may read the refusal");
    let exposed = refused.header("access-control-expose-headers").to_lowercase();
    assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
    assert_eq!(refused.header("access-control-allow-credentials"), "", "tokens are sent in a header");
}

async fn pages_of_named_origins_may_call_and_no_others(app: &TestApp) {
    for origin in ["https://admin.example.org", "http://localhost:4200"] {
        assert_eq!(allowed(&preflight(app, origin, "POST").await), origin);
        let called = app.client().call(Method::GET, "/health").header("origin", origin).send().await;
        assert_eq!(allowed(&called), origin);
        assert!(called.header("vary").to_lowercase().contains("origin"), "a cache must distinguish origins");
    }
    for origin in ["https://evil.example", "http://admin.example.org", "https://admin.example.org.evil.example", "null"]
    {
        let refused = preflight(app, origin, "POST").await;
        assert_ne!(allowed(&refused), origin);
        assert_ne!(allowed(&refused), "*");
    }
}

async fn without_origins_no_page_may_call(app: &TestApp) {
    assert_eq!(allowed(&preflight(app, "http://localhost:4200", "POST").await), "");
    let called = app.client().call(Method::GET, "/health").header("origin", "http://localhost:4200").send().await;
    assert_eq!((called.status, allowed(&called)), (200, ""));
}
