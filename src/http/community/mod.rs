//! `/posts`: the community's posts and comments.

use faceofmind_domain::community::{Editor, NewContent};
use salvo::{Router, oapi::RouterExt};

use crate::http::{caller::Caller, idempotency::Idempotency};

mod comments;
mod posts;

/// The routes under `/posts`.
pub fn router() -> Router {
    Router::with_path("posts")
        .oapi_tag("posts")
        .get(posts::list)
        .post(posts::create)
        .push(posts::router())
        .push(comments::router())
}

fn new_content(caller: &Caller, key: Idempotency, content: String) -> NewContent {
    NewContent { author: caller.user.id, content, events: caller.origin(), key: key.into_key(caller.user.id) }
}

fn editor(caller: &Caller) -> Editor {
    Editor { user: caller.user.id, is_admin: caller.is_admin() }
}
