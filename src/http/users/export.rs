//! `GET /users/me/export`: all data of the caller, sent while it is read.

use faceofmind_db::export::ExportStream;
use faceofmind_system::exporter::Export;
use salvo::{
    Depot, Request, Response, Router, Writer, async_trait,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_DISPOSITION},
    oapi::{
        BasicType, Components, Content, EndpointOutRegister, Header, Object, Operation, Response as Described, endpoint,
    },
};
use serde_json::json;

use crate::http::{
    caller::Caller,
    problem::Problem,
    responses::{json_content, stream_json},
    state::{AppState, State},
};

pub(super) fn router() -> Router {
    Router::with_path("me/export").get(export)
}

/// Lets browsers save the document under this name.
const AS_FILE: &str = "attachment; filename=\"faceofmind-export.json\"";

/// A document that is sent while it is read from the database. When reading fails the connection is closed, so that the
/// client sees an incomplete transfer and never a document that looks complete.
/// Without one, as for `HEAD`, there are only the headers.
struct ExportDownload(Option<ExportStream>);

#[async_trait]
impl Writer for ExportDownload {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(AS_FILE));
        res.status_code(StatusCode::OK);
        match self.0 {
            Some(document) => stream_json(res, document),
            None => json_content(res),
        }
    }
}

impl EndpointOutRegister for ExportDownload {
    fn register(_: &mut Components, operation: &mut Operation) {
        let description = "A list for each kind of data. The last one, `left_out`, names what is missing.";
        let document = Object::new().description(description).example(json!({
            "exported_at": "2026-11-23T08:00:00+00:00",
            "user": { "id": 7, "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace" },
            "claims": [],
            "address_changes": [],
            "logins": [],
            "sessions": [{
                "id": 12, "start_time": "2026-11-23T08:00:00+00:00", "end_time": "2026-11-23T08:10:00+00:00",
                "feedback": [{ "id": 3, "comment": "It helped.", "rating": 4 }]
            }],
            "emotion_detections": [{
                "id": 31, "session_id": 12, "timestamp": "2026-11-23T08:05:00+00:00", "confidence": 0.8,
                "facial_data": [{ "id": 31, "emotion": "sad" }],
                "voice_data": [{ "id": 31, "content": "I could not sleep again." }],
                "wellness_suggestions": [{ "id": 5, "suggestion": "- I hear you.", "url": null }]
            }],
            "community_posts": [{
                "id": 2, "content": "What helps you to fall asleep?",
                "created_at": "2026-11-23T08:00:00+00:00", "updated_at": "2026-11-23T08:00:00+00:00"
            }],
            "community_comments": [],
            "reminders": [],
            "left_out": [{ "what": "events", "why": "they tell by ids and times of changes whose outcome stands here" }]
        }));
        let response = Described::new("The document, as a file to save");
        let response = response.add_content("application/json", Content::new(document));
        let disposition = Header::new(Object::with_type(BasicType::String).enum_values([AS_FILE]));
        let disposition = disposition.required(true).description("The name of the file (RFC 6266)");
        let response = response.add_header("Content-Disposition", disposition);
        operation.responses.insert(StatusCode::OK.as_str(), response);
    }
}

/// Returns all data of the user in one document, as of one moment.
///
/// The document may be large and is sent while it is read. An incomplete transfer must be started again.
#[endpoint(operation_id = "users_export", responses(
    (status_code = 429, description = "Another export of this user is in progress")
))]
async fn export(req: &mut Request, state: State<AppState>, caller: Caller) -> Result<ExportDownload, Problem> {
    if req.method() == Method::HEAD {
        return Ok(ExportDownload(None));
    }
    Ok(ExportDownload(Some(state.modules.exporter.ask(Export { user: caller.user.id }).await?)))
}
