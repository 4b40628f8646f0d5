//! Answers that succeed. `Json<T>` is a 200; these are the others.

use faceofmind_actors::idempotency::{self, Once};
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::StatusCode,
    oapi::{Components, Content, EndpointOutRegister, Operation, Response as Described, ToSchema},
    writing::{Json, Text},
};
use serde::Serialize;

/// What an endpoint says that has nothing else to say. The app decodes JSON from every body, so there is always one.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[salvo(schema(example = json!({ "message": "Done." })))]
pub struct Message {
    /// One sentence for a person.
    pub message: std::borrow::Cow<'static, str>,
}

impl Message {
    /// A 200 that only says this.
    pub fn json(message: &'static str) -> Json<Self> {
        Json(Self::new(message))
    }

    /// The body alone, for [`Created`] and [`Accepted`].
    pub fn new(message: &'static str) -> Self {
        Self { message: message.into() }
    }
}

/// 201 with a JSON body.
#[derive(Debug)]
pub struct Created<T>(pub T);

/// 202 with a JSON body.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

#[async_trait]
impl<T: Serialize + Send> Writer for Created<T> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::CREATED).render(Json(self.0));
    }
}

/// 201 (or another status), or what was answered first to the same `Idempotency-Key`.
#[derive(Debug)]
pub enum First<T, const STATUS: u16 = 201> {
    /// It was created now.
    Created(T),
    /// It was created before.
    Again(idempotency::Answer),
}

impl<V, T: Into<V>, const STATUS: u16> From<Once<T>> for First<V, STATUS> {
    fn from(once: Once<T>) -> Self {
        match once {
            Once::Now(made) => Self::Created(made.into()),
            Once::Again(answer) => Self::Again(answer),
        }
    }
}

#[async_trait]
impl<T: Serialize + Send, const STATUS: u16> Writer for First<T, STATUS> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        let status = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        match self {
            Self::Created(new) => res.status_code(status(STATUS)).render(Json(new)),
            Self::Again(answer) => res.status_code(status(answer.status)).render(Text::Json(answer.body)),
        }
    }
}

impl<T: ToSchema, const STATUS: u16> EndpointOutRegister for First<T, STATUS> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        document::<T>(components, operation, status, status.canonical_reason().unwrap_or_default());
    }
}

#[async_trait]
impl<T: Serialize + Send> Writer for Accepted<T> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::ACCEPTED).render(Json(self.0));
    }
}

impl<T: ToSchema> EndpointOutRegister for Created<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        document::<T>(components, operation, StatusCode::CREATED, "Created");
    }
}

impl<T: ToSchema> EndpointOutRegister for Accepted<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        document::<T>(components, operation, StatusCode::ACCEPTED, "Accepted");
    }
}

fn document<T: ToSchema>(components: &mut Components, operation: &mut Operation, status: StatusCode, meaning: &str) {
    let content = Content::new(T::to_schema(components));
    operation.responses.insert(status.as_str(), Described::new(meaning).add_content("application/json", content));
}
