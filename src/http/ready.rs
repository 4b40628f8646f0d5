//! `/ready`: whether the service can serve requests, and the state of its dependencies.

use salvo::{
    Depot, Request, Response, Router, Writer, async_trait,
    http::StatusCode,
    oapi::{Components, Content, EndpointOutRegister, Operation, Response as Described, RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{
    probes::Dependencies,
    state::{AppState, State},
};

/// `GET /ready`.
pub fn router() -> Router {
    Router::with_path("ready").oapi_tag("root").get(ready)
}

/// Whether the service can serve requests, and the state of its dependencies.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Readiness", example = json!({
    "status": "ready", "database": "up", "codes": "up", "events": "up", "mail": "up"
})))]
pub struct Readiness {
    /// `ready`; `degraded`: serving, but a dependency is down; `unavailable`: not serving.
    pub status: &'static str,
    /// The database: `up`, or `down` where it does not answer, takes no writes or lacks a migration.
    pub database: &'static str,
    /// One-time codes and rate limits: `up` or `down`.
    pub codes: &'static str,
    /// Publishing of events: `up` or `down`. While it is down, events wait in the outbox.
    pub events: &'static str,
    /// Sending of mail: `up` or `down`. While it is down, mails wait in the queue.
    pub mail: &'static str,
    /// How many gaps there are between the stream and the outbox, until an operator accepts them. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[salvo(schema(required = false))]
    pub event_gaps: Option<usize>,
}

impl Readiness {
    fn new(found: Dependencies, is_stopping: bool) -> Self {
        let Dependencies { database, codes, mail, events, event_gaps } = found;
        let status = match (database && !is_stopping, codes && mail && events && event_gaps == 0) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        let name = |up| if up { "up" } else { "down" };
        let (database, codes, events, mail) = (name(database), name(codes), name(events), name(mail));
        Self { status, database, codes, events, mail, event_gaps: Some(event_gaps).filter(|gaps| *gaps > 0) }
    }

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
        for (status, description) in [("200", "Serving, perhaps degraded"), ("503", "Not serving")] {
            let content = Content::new(schema.clone());
            operation.responses.insert(status, Described::new(description).add_content("application/json", content));
        }
    }
}

/// Reports whether the service can serve requests, and the state of its dependencies, at most a second old.
#[endpoint(operation_id = "readiness_show")]
async fn ready(state: State<AppState>) -> Readiness {
    let found = state.probes.result(Dependencies::probe(state.clone())).await;
    Readiness::new(found, state.stopping.is_cancelled())
}
