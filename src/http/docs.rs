//! The documentation pages, served from the binary. They load nothing from other hosts.

use std::{borrow::Cow, sync::OnceLock};

use aide::redoc::Redoc;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, Writer, async_trait,
    http::{
        HeaderValue, ResBody,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    hyper::body::Bytes,
    oapi::swagger_ui::{Config, serve},
};

use super::{openapi, problem::Problem};

const TITLE: &str = "FaceofMind User API";
const DOCUMENT: &str = "/openapi.json";

/// Allows the pages to load from this service only; ReDoc would load a logo from another host. Both pages have inline scripts.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'";

/// `/openapi.json`, `/docs` (Swagger UI) and `/redoc` of these routes.
pub fn router(routes: fn() -> Router) -> Router {
    Router::new()
        .push(Router::with_path("openapi.json").get(Document { routes, printed: OnceLock::new() }))
        .push(Router::with_path("docs").get(SwaggerPage).push(Router::with_path("{file}").get(SwaggerFile)))
        .push(Router::with_path("redoc").get(RedocPage))
}

/// Prints the document for the first request and keeps it.
struct Document {
    routes: fn() -> Router,
    printed: OnceLock<Bytes>,
}

#[async_trait]
impl Handler for Document {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let printed = self.printed.get_or_init(|| openapi::print(&(self.routes)()).unwrap_or_default().into());
        if printed.is_empty() {
            return Problem::internal().write(req, depot, res).await;
        }
        send(res, "application/json; charset=utf-8", printed.clone());
    }
}

struct SwaggerPage;

#[async_trait]
impl Handler for SwaggerPage {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        match swagger("index.html") {
            // Relative links of the page would not resolve without a slash at the end of its path.
            Some((content_type, page)) => {
                let page = String::from_utf8_lossy(&page).replace("\"./swagger-ui", "\"/docs/swagger-ui");
                send_page(res, content_type, page.into());
            }
            None => Problem::internal().write(req, depot, res).await,
        }
    }
}

struct SwaggerFile;

#[async_trait]
impl Handler for SwaggerFile {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let file = req.params().get("file").and_then(|name| swagger(name));
        match file {
            Some((content_type, file)) => send_page(res, content_type, file),
            None => Problem::path_not_found().write(req, depot, res).await,
        }
    }
}

/// A file of Swagger UI, which is embedded in the binary, and its type.
fn swagger(name: &str) -> Option<(String, Bytes)> {
    let config = Config::new([DOCUMENT]).validator_url("none").persist_authorization(false);
    let file = serve(name, TITLE, "", "", &config).ok().flatten()?;
    let bytes = match file.bytes {
        Cow::Borrowed(embedded) => Bytes::from_static(embedded),
        Cow::Owned(read) => read.into(),
    };
    Some((file.content_type, bytes))
}

struct RedocPage;

#[async_trait]
impl Handler for RedocPage {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        // The page is a megabyte and seldom read: it is made for each request and not kept in memory.
        send_page(res, "text/html; charset=utf-8".to_owned(), Redoc::new(DOCUMENT).with_title(TITLE).html().into());
    }
}

fn send_page(res: &mut Response, content_type: String, page: Bytes) {
    res.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    send(res, &content_type, page);
}

fn send(res: &mut Response, content_type: &str, body: Bytes) {
    if let Ok(value) = HeaderValue::from_str(content_type) {
        res.headers_mut().insert(CONTENT_TYPE, value);
    }
    res.body(ResBody::Once(body));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::{
        root,
        testing::{Served, answer},
    };

    async fn page(site: &Served, path: &str) -> String {
        let page = site.get(path).send().await.expect("an answer");
        assert_eq!(page.status(), 200, "at {path}");
        assert_eq!(page.headers()["content-security-policy"], PAGE_POLICY);
        page.text().await.expect("text")
    }

    #[tokio::test]
    async fn the_served_document_is_the_printed_one() {
        let site = Served::api(root::router).await;
        let served = answer(site.get("/openapi.json")).await.json;
        let printed = openapi::print(&root::router()).expect("JSON");
        assert_eq!(served, serde_json::from_str::<Value>(&printed).expect("JSON"));
    }

    #[tokio::test]
    async fn swagger_ui_finds_its_files_with_and_without_a_slash_in_its_path() {
        let site = Served::api(root::router).await;
        for path in ["/docs", "/docs/"] {
            let page = page(&site, path).await;
            assert!(page.contains("\"/openapi.json\"") && page.contains("\"validatorUrl\":\"none\""), "{page}");
            assert!(
                !page.contains("\"persistAuthorization\":true"),
                "a token would stay in the browser's storage: {page}"
            );
            for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
                assert!(page.contains(&format!("\"/docs/{file}\"")), "{file} is not linked in {page}");
            }
            assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("\"//"), "{page}");
        }
        for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
            assert!(self::page(&site, &format!("/docs/{file}")).await.len() > 10_000, "{file} is missing");
        }
        assert_eq!(answer(site.get("/docs/nothing.js")).await.status, 404);
    }

    #[tokio::test]
    async fn redoc_has_its_own_script_and_may_load_from_no_other_host() {
        let site = Served::api(root::router).await;
        let page = page(&site, "/redoc").await;
        assert!(page.len() > 500_000 && page.contains("Redoc.init(\"/openapi.json\""));
        assert!(!page.contains("<script src"), "a script from another host");
        assert!(!PAGE_POLICY.contains("http"), "the policy allows another host");
    }
}
