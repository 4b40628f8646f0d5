//! `/posts`: what people write for each other.

use faceofmind_actors::community::{Draft, Member, Part};
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

/// What the caller wants to be read by the others.
fn draft(caller: &Caller, key: Idempotency, content: String) -> Draft {
    Draft { user: caller.user.id, content, origin: caller.origin(), key: key.of(caller.user.id) }
}

fn member(caller: &Caller) -> Member {
    Member { user: caller.user.id, is_admin: caller.is_admin() }
}

fn part<Id>(wanted: Wanted, id: impl FnOnce(i64) -> Id) -> Part<Id> {
    Part { after: wanted.after.map(id), skip: wanted.skip, limit: wanted.limit }
}
