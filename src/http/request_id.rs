//! `X-Request-Id`: the id by which logs, problems and events name a request.

use std::sync::Arc;

use salvo::{Depot, Request, http::HeaderName};
use uuid::Uuid;

/// The header that carries the id in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose, in characters.
pub const MAX_LENGTH: usize = 128;

/// The id of a request: the client's own, or a new UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// An id for a request that brings none.
    pub fn new(id: Uuid) -> Self {
        Self(id.to_string().into())
    }

    /// The client's id, if it is given once and has 1 to 128 visible ASCII characters: it is logged as it is.
    pub fn given(req: &Request) -> Option<Self> {
        let mut values = req.headers().get_all(X_REQUEST_ID).iter();
        let text = values.next().and_then(|value| value.to_str().ok())?;
        let fits = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && values.next().is_none()).then(|| Self(text.into()))
    }

    /// The id of the current request, which [`super::edge`] puts into the depot.
    pub fn of(depot: &Depot) -> Option<&Self> {
        depot.get_typed::<Self>().ok()
    }

    /// As logs and answers show it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
