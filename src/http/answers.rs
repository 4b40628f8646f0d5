//! Answers that succeed. `Json<T>` is a 200; these are the others.

use faceofmind_actors::idempotency;
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

/// 201, or what was answered first to the same `Idempotency-Key`.
#[derive(Debug)]
pub enum First<T> {
    /// It was created now.
    Created(T),
    /// It was created before.
    Again(idempotency::Answer),
}

#[async_trait]
impl<T: Serialize + Send> Writer for First<T> {
    async fn write(self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        match self {
            Self::Created(new) => Created(new).write(req, depot, res).await,
            Self::Again(answer) => {
                res.status_code(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
                res.render(Text::Json(answer.body));
            }
        }
    }
}

impl<T: ToSchema> EndpointOutRegister for First<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        Created::<T>::register(components, operation);
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
