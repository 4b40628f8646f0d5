//! `/` and `/health`: that we are here, and who we are.

use salvo::{
    Router,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /` and `GET /health`.
pub fn router() -> Router {
    Router::new().oapi_tag("root").get(welcome).push(Router::with_path("health").get(health))
}

/// Where to go from here.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "message": "Welcome to the FaceofMind User API", "version": "0.1.0", "docs": "/docs", "redoc": "/redoc"
})))]
struct Welcome {
    message: &'static str,
    version: &'static str,
    docs: &'static str,
    redoc: &'static str,
}

/// Says who answers here and where the documentation is.
#[endpoint]
async fn welcome() -> Json<Welcome> {
    let message = "Welcome to the FaceofMind User API";
    Json(Welcome { message, version: VERSION, docs: "/docs", redoc: "/redoc" })
}

/// That the process lives.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({ "status": "healthy", "version": "0.1.0" })))]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// Says that the process lives, and nothing of what it depends on: that is `/ready`.
#[endpoint]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy", version: VERSION })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[tokio::test]
    async fn the_root_tells_who_we_are_and_health_that_we_live() {
        let site = Served::api(router).await;
        let message = "Welcome to the FaceofMind User API";
        let root = answer(site.get("/")).await.json;
        assert_eq!(root, json!({ "message": message, "version": VERSION, "docs": "/docs", "redoc": "/redoc" }));
        let live = answer(site.get("/health")).await.json;
        assert_eq!(live, json!({ "status": "healthy", "version": VERSION }));
    }
}
