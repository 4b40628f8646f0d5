//! The documentation pages, all from the binary: no page asks anything of another host.

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

/// Lets the pages use what we serve and nothing else; without it ReDoc would fetch a logo from elsewhere. Both pages
/// carry their start-up script inline.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'";

/// `/openapi.json`, `/docs` (Swagger UI) and `/redoc`, of these routes.
pub fn router(routes: fn() -> Router) -> Router {
    Router::new()
        .push(Router::with_path("openapi.json").get(Document { routes, written: OnceLock::new() }))
        .push(Router::with_path("docs").get(SwaggerPage).push(Router::with_path("{file}").get(SwaggerFile)))
        .push(Router::with_path("redoc").get(RedocPage))
}

/// Writes the document when it is first asked for.
struct Document {
    routes: fn() -> Router,
    written: OnceLock<Bytes>,
}

#[async_trait]
impl Handler for Document {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let written = self.written.get_or_init(|| openapi::print(&(self.routes)()).unwrap_or_default().into());
        if written.is_empty() {
            return Problem::internal().write(req, depot, res).await;
        }
        send(res, "application/json; charset=utf-8", written.clone());
    }
}

struct SwaggerPage;

#[async_trait]
impl Handler for SwaggerPage {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        match swagger("index.html") {
            // The page names its files relative to itself, which without a slash at the end of its path misses them.
            Some((kind, page)) => {
                let page = String::from_utf8_lossy(&page).replace("\"./swagger-ui", "\"/docs/swagger-ui");
                send_page(res, kind, page.into());
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
            Some((kind, file)) => send_page(res, kind, file),
            None => Problem::not_found("There is nothing at this path.").write(req, depot, res).await,
        }
    }
}

/// A file of Swagger UI as it is embedded in the binary, and its type.
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
        // The bundle is a megabyte: it is put together for each of the few who read it, and held for nobody.
        send_page(res, "text/html; charset=utf-8".to_owned(), Redoc::new(DOCUMENT).with_title(TITLE).html().into());
    }
}

fn send_page(res: &mut Response, kind: String, page: Bytes) {
    res.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    send(res, &kind, page);
}

fn send(res: &mut Response, kind: &str, body: Bytes) {
    if let Ok(kind) = HeaderValue::from_str(kind) {
        res.headers_mut().insert(CONTENT_TYPE, kind);
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
    async fn the_document_is_served_as_it_is_printed() {
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
                assert!(page.contains(&format!("\"/docs/{file}\"")), "{file} is not asked for in {page}");
            }
            assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("\"//"), "{page}");
        }
        for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
            assert!(self::page(&site, &format!("/docs/{file}")).await.len() > 10_000, "{file} is not there");
        }
        assert_eq!(answer(site.get("/docs/nothing.js")).await.status, 404);
    }

    #[tokio::test]
    async fn redoc_brings_its_own_script_and_may_ask_nobody_else() {
        let site = Served::api(root::router).await;
        let page = page(&site, "/redoc").await;
        assert!(page.len() > 500_000 && page.contains("Redoc.init(\"/openapi.json\""));
        assert!(!page.contains("<script src"), "a script from elsewhere");
        assert!(!PAGE_POLICY.contains("http"), "the policy lets something be asked of elsewhere");
    }
}
