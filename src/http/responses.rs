//! Successful responses. `Json<T>` is a 200; these are the others.

use std::marker::PhantomData;

use faceofmind_db::export::ExportStream;
use faceofmind_platform::idempotency::StoredResponse;
use futures_util::stream;
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{HeaderValue, ResBody, StatusCode, header::CONTENT_TYPE},
    oapi::{Components, Content, EndpointOutRegister, Operation, Response as Described, ToSchema},
    writing::{Json, Text},
};
use serde::Serialize;

/// The body of an endpoint without other content. The app decodes JSON from every body, so none is empty.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[salvo(schema(name = "Message", example = json!({ "message": "Done." })))]
pub struct MessageBody {
    /// One sentence for a person.
    pub message: &'static str,
}

impl MessageBody {
    /// A 200 with this message.
    pub fn json(message: &'static str) -> Json<Self> {
        Json(Self { message })
    }

    /// A 202 with this message.
    pub fn accepted(message: &'static str) -> WithStatus<Self, 202> {
        WithStatus(Self { message })
    }
}

/// Sends a document while it is written. When its writer fails the connection is closed, so that the client sees an incomplete transfer.
pub fn stream_json(res: &mut Response, document: ExportStream) {
    json_content(res);
    let chunks = stream::unfold(document, |mut document| async move {
        let chunk = document.next().await.transpose()?;
        Some((chunk, document))
    });
    res.body(ResBody::stream(chunks));
}

/// Announces JSON.
pub fn json_content(res: &mut Response) {
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
}

/// A JSON body with another status than 200.
#[derive(Debug)]
pub struct WithStatus<T, const STATUS: u16>(pub T);

/// 201 with a JSON body.
pub type Created<T> = WithStatus<T, 201>;

/// 202 with a JSON body.
pub type Accepted<T> = WithStatus<T, 202>;

/// The response to a request that may carry an `Idempotency-Key`: made now, or stored when the key was first used. `T` is its schema.
#[derive(Debug)]
pub struct IdempotentResponse<T, const STATUS: u16 = 201>(StoredResponse, PhantomData<fn() -> T>);

impl<T, const STATUS: u16> From<StoredResponse> for IdempotentResponse<T, STATUS> {
    fn from(response: StoredResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<T, const STATUS: u16> IdempotentResponse<T, STATUS> {
    /// Adds the field `helplines`, which is not stored: a repeated request has the same text, and so the same helplines.
    pub fn with_helplines(mut self, helplines: &[String]) -> Self {
        if !helplines.is_empty() && self.0.body.ends_with('}') {
            self.0.body.pop();
            let list = serde_json::to_string(helplines).expect("a list of texts is JSON");
            self.0.body.push_str(&format!(",\"helplines\":{list}}}"));
        }
        self
    }
}

/// Makes the response to a command: the view `V` of what was made, as JSON. The bytes are stored with an `Idempotency-Key`, so that a
/// repeated request gets the same ones.
pub fn respond<T, V: From<T> + Serialize, const STATUS: u16>(made: T) -> StoredResponse {
    stored(STATUS, &V::from(made))
}

/// A response with this status and body.
pub fn stored(status: u16, body: &impl Serialize) -> StoredResponse {
    StoredResponse { status, body: serde_json::to_string(body).expect("views have string keys") }
}

#[async_trait]
impl<T: Serialize + Send, const STATUS: u16> Writer for WithStatus<T, STATUS> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(status(STATUS)).render(Json(self.0));
    }
}

#[async_trait]
impl<T: Send, const STATUS: u16> Writer for IdempotentResponse<T, STATUS> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(status(self.0.status)).render(Text::Json(self.0.body));
    }
}

impl<T: ToSchema, const STATUS: u16> EndpointOutRegister for WithStatus<T, STATUS> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let content = Content::new(T::to_schema(components));
        let response = Described::new(status(STATUS).canonical_reason().unwrap_or_default());
        operation.responses.insert(status(STATUS).as_str(), response.add_content("application/json", content));
    }
}

impl<T: ToSchema, const STATUS: u16> EndpointOutRegister for IdempotentResponse<T, STATUS> {
    fn register(components: &mut Components, operation: &mut Operation) {
        WithStatus::<T, STATUS>::register(components, operation);
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::OK)
}
