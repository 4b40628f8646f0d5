//! `/posts`: the community's posts and comments.

use faceofmind_domain::community::{Draft, Member, Part};
use salvo::{Router, oapi::RouterExt};

use crate::http::{caller::Caller, idempotency::Idempotency, page::PageQuery};

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

fn draft(caller: &Caller, key: Idempotency, content: String) -> Draft {
    Draft { user: caller.user.id, content, origin: caller.origin(), key: key.into_key(caller.user.id) }
}

fn member(caller: &Caller) -> Member {
    Member { user: caller.user.id, is_admin: caller.is_admin() }
}

fn part<Id>(query: PageQuery, id: impl FnOnce(i64) -> Id) -> Part<Id> {
    Part { after: query.after.map(id), skip: query.skip, limit: query.limit }
}
