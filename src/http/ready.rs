//! `/ready`: whether the service can serve, part by part.

use salvo::{
    Depot, Request, Response, Router, Writer, async_trait,
    http::StatusCode,
    oapi::{Components, Content, EndpointOutRegister, Operation, Response as Described, RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::shared::Shared;
use crate::app::Rooms;

/// `GET /ready`.
pub fn router() -> Router {
    Router::with_path("ready").oapi_tag("root").get(ready)
}

/// Whether the service can serve.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "status": "ready", "database": "up", "codes": "up", "events": "up", "mail": "up"
})))]
pub struct Readiness {
    /// `ready`; `degraded`: serving, but a part is missing; `unavailable`: not serving.
    pub status: &'static str,
    /// `up` or `down`.
    pub database: &'static str,
    /// Codes and counters: `up` or `down`.
    pub codes: &'static str,
    /// `up` or `down`; what happens meanwhile waits in the outbox.
    pub events: &'static str,
    /// `up` or `down`; what is to be mailed meanwhile waits in the queue.
    pub mail: &'static str,
}

impl Readiness {
    fn is_serving(&self) -> bool {
        self.status != "unavailable"
    }
}

#[async_trait]
impl Writer for Readiness {
    async fn write(self, _: &mut Request, _: &mut Depot, res: &mut Response) {
        let status = if self.is_serving() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        res.status_code(status).render(Json(self));
    }
}

impl EndpointOutRegister for Readiness {
    fn register(components: &mut Components, operation: &mut Operation) {
        let schema = Self::to_schema(components);
        for (status, meaning) in [("200", "Serving, if degraded"), ("503", "Not serving")] {
            let content = Content::new(schema.clone());
            operation.responses.insert(status, Described::new(meaning).add_content("application/json", content));
        }
    }
}

/// Whether the service can serve, part by part.
#[endpoint]
async fn ready(rooms: Shared<Rooms>) -> Readiness {
    rooms.readiness().await
}
