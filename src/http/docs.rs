//! The documentation pages, served from the binary. They load nothing from other hosts.

use std::borrow::Cow;

use aide::redoc::Redoc;
use salvo::{
    Router,
    hyper::body::Bytes,
    oapi::swagger_ui::{Config, serve},
};

use super::{
    fixed_page::{Content, FixedPage},
    openapi,
};

const TITLE: &str = "FaceofMind User API";
const DOCUMENT: &str = "/openapi.json";

/// Allows the pages to load from this service only; ReDoc would load a logo from another host. Both pages have inline scripts.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'";

/// The files of Swagger UI.
const FILES: [&str; 7] = [
    "oauth2-redirect.html",
    "oauth2-redirect.js",
    "swagger-ui-bundle.js",
    "swagger-ui-es-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
    "swagger-ui.js",
];

/// `/openapi.json`, `/docs` (Swagger UI) and `/redoc` of these routes.
pub fn router(routes: fn() -> Router) -> Router {
    let document = FixedPage::new(move || {
        let printed = openapi::print(&routes()).ok()?;
        Some(("application/json; charset=utf-8".to_owned(), printed.into()))
    });
    let files =
        FILES.map(|name| Router::with_path(name).get(FixedPage::new(move || swagger(name)).with_policy(PAGE_POLICY)));
    Router::new()
        .push(Router::with_path("openapi.json").get(document))
        .push(
            Router::with_path("docs")
                .get(FixedPage::new(swagger_page).with_policy(PAGE_POLICY))
                .append(&mut files.into()),
        )
        .push(Router::with_path("redoc").get(FixedPage::new(redoc_page).with_policy(PAGE_POLICY)))
}

/// Relative links of the page would not resolve without a slash at the end of its path.
fn swagger_page() -> Option<Content> {
    let (content_type, page) = swagger("index.html")?;
    let page = String::from_utf8_lossy(&page).replace("\"./swagger-ui", "\"/docs/swagger-ui");
    Some((content_type, page.into()))
}

/// A file of Swagger UI, which is embedded in the binary, and its type.
fn swagger(name: &str) -> Option<Content> {
    let config = Config::new([DOCUMENT]).validator_url("none").persist_authorization(false);
    let file = serve(name, TITLE, "", "", &config).ok().flatten()?;
    let bytes = match file.bytes {
        Cow::Borrowed(embedded) => Bytes::from_static(embedded),
        Cow::Owned(read) => read.into(),
    };
    Some((file.content_type, bytes))
}

fn redoc_page() -> Option<Content> {
    Some(("text/html; charset=utf-8".to_owned(), Redoc::new(DOCUMENT).with_title(TITLE).html().into()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::{
        edge::HttpConfig,
        root,
        server::Limits,
        testing::{Served, answer, http_config},
    };

    /// Compressing the first response of a page takes long without optimisation.
    async fn site() -> Served {
        Served::with(root::router, HttpConfig { limits: Limits::default(), ..http_config() }).await
    }

    async fn page(site: &Served, path: &str) -> String {
        let page = site.get(path).send().await.expect("an answer");
        assert_eq!(page.status(), 200, "at {path}");
        assert_eq!(page.headers()["content-security-policy"], PAGE_POLICY);
        page.text().await.expect("text")
    }

    #[tokio::test]
    async fn the_served_document_is_the_printed_one() {
        let site = site().await;
        let served = answer(site.get("/openapi.json")).await.json;
        let printed = openapi::print(&root::router()).expect("JSON");
        assert_eq!(served, serde_json::from_str::<Value>(&printed).expect("JSON"));
    }

    #[tokio::test]
    async fn swagger_ui_finds_its_files_with_and_without_a_slash_in_its_path() {
        let site = site().await;
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
        let site = site().await;
        let page = page(&site, "/redoc").await;
        assert!(page.len() > 500_000 && page.contains("Redoc.init(\"/openapi.json\""));
        assert!(!page.contains("<script src"), "a script from another host");
        assert!(!PAGE_POLICY.contains("http"), "the policy allows another host");
    }
}
