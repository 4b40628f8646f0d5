//! `/` and `/health`: the name, the version and the health of the service.

use salvo::{
    Router,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::openapi::VERSION;

/// `GET /` and `GET /health`.
pub fn router() -> Router {
    Router::new().oapi_tag("root").get(welcome).push(Router::with_path("health").get(health))
}

/// The service and its documentation.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Welcome", example = json!({
    "message": "Welcome to the FaceofMind User API", "version": "0.1.0", "docs": "/docs", "redoc": "/redoc"
})))]
struct Welcome {
    message: &'static str,
    version: &'static str,
    docs: &'static str,
    redoc: &'static str,
}

/// Returns the name and version of the service, and the paths of its documentation.
#[endpoint(operation_id = "root_show")]
async fn welcome() -> Json<Welcome> {
    let message = "Welcome to the FaceofMind User API";
    Json(Welcome { message, version: VERSION, docs: "/docs", redoc: "/redoc" })
}

/// The health of the process.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Health", example = json!({ "status": "healthy", "version": "0.1.0" })))]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// Reports that the process runs. `/ready` reports its dependencies.
#[endpoint(operation_id = "health_show")]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy", version: VERSION })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[tokio::test]
    async fn the_root_names_the_service_and_health_reports_that_it_runs() {
        let site = Served::api(router).await;
        let message = "Welcome to the FaceofMind User API";
        let root = answer(site.get("/")).await.json;
        assert_eq!(root, json!({ "message": message, "version": VERSION, "docs": "/docs", "redoc": "/redoc" }));
        let live = answer(site.get("/health")).await.json;
        assert_eq!(live, json!({ "status": "healthy", "version": VERSION }));
    }
}
