//! `/posts`: what people write for each other.

use faceofmind_actors::community::{Editor, NewContent, PageRequest};
use salvo::{Router, oapi::RouterExt};

use super::{caller::Caller, idempotency::Idempotency, page::Wanted};

mod comments;
mod posts;

/// The calls under `/posts`.
pub fn router() -> Router {
    Router::with_path("posts")
        .oapi_tag("posts")
        .get(posts::list)
        .post(posts::create)
        .push(posts::router())
        .push(comments::router())
}

fn new_content(caller: &Caller, key: Idempotency, content: String) -> NewContent {
    NewContent { author: caller.user.id, content, events: caller.origin(), key: key.of(caller.user.id) }
}

fn editor(caller: &Caller) -> Editor {
    Editor { user: caller.user.id, is_admin: caller.is_admin() }
}

fn page_request<Id>(wanted: Wanted, id: impl FnOnce(i64) -> Id) -> PageRequest<Id> {
    PageRequest { after: wanted.after.map(id), skip: wanted.skip, limit: wanted.limit }
}
