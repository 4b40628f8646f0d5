//! Comments under a post.

use faceofmind_actors::community::{
    Comment, CommentId, CreateComment, DeleteComment, ListComments, PostId, UpdateComment,
};
use faceofmind_kit::Timestamp;
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{editor, new_content, page_request};
use crate::{
    app::Rooms,
    http::{
        answers::{First, Message},
        body::Body,
        caller::Caller,
        fields::{Fields, FromFields, Read},
        idempotency::Idempotency,
        kinds::words,
        page::{Listed, Wanted},
        path::PathId,
        problem::Problem,
        query::Query,
        sessions::respond,
        shared::Shared,
    },
};

/// The calls on the comments under a post.
pub(super) fn router() -> Router {
    let one = Router::with_path("{cid}").put(update).delete(delete);
    Router::with_path("{id}/comments").get(list).post(create).push(one)
}

/// A comment under a post.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Comment", example = json!({
    "id": 9, "post_id": 5, "user_id": 8, "content": "A walk before dinner.",
    "created_at": "2026-11-23T09:00:00+00:00", "updated_at": "2026-11-23T09:00:00+00:00"
})))]
struct CommentView {
    id: i64,
    post_id: i64,
    /// Who wrote it.
    user_id: i64,
    content: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// When its content last changed.
    #[salvo(schema(value_type = String, format = DateTime))]
    updated_at: Timestamp,
}

impl From<Comment> for CommentView {
    fn from(comment: Comment) -> Self {
        let Comment { id, post_id, user_id, content, created_at, updated_at } = comment;
        Self { id: id.0, post_id: post_id.0, user_id: user_id.0, content, created_at, updated_at }
    }
}

/// What is to stand under a post.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "content": "A walk before dinner." })))]
struct NewComment {
    /// Not blank.
    #[salvo(schema(min_length = 1, max_length = 2000))]
    content: String,
}

impl FromFields for NewComment {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let content = fields.required("content", words(2000));
        fields.finish(|valid| Self { content: content.get(valid) })
    }
}

/// The comments under a post, newest first.
#[endpoint(responses((status_code = 404, description = "There is no such post")))]
async fn list(
    rooms: Shared<Rooms>,
    _caller: Caller,
    id: PathId,
    wanted: Query<Wanted>,
) -> Result<Listed<CommentView>, Problem> {
    let message = ListComments { post: PostId(id.0), page: page_request(wanted.0, CommentId) };
    let page = rooms.community.ask(message).await?;
    Ok(Listed::new(wanted.0, page.results.into_iter().map(CommentView::from), page.next.map(|id| id.0)))
}

/// Puts a comment under a post.
#[endpoint(responses(
    (status_code = 404, description = "There is no such post"),
    (status_code = 429, description = "Too many within an hour; `Retry-After` tells when to come back")
))]
async fn create(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<NewComment>,
) -> Result<First<CommentView>, Problem> {
    let new = new_content(&caller, key, body.0.content);
    let message = CreateComment { post: PostId(id.0), new, respond: respond::<_, CommentView, 201> };
    Ok(First::Again(rooms.community.ask(message).await?))
}

/// Changes one's own comment. The same content again changes nothing, not even its time.
#[endpoint(responses(
    (status_code = 403, description = "Somebody else wrote it; admins do not edit it either"),
    (status_code = 404, description = "There is no such comment under this post")
))]
async fn update(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    cid: PathId,
    body: Body<NewComment>,
) -> Result<Json<CommentView>, Problem> {
    let (post, id, content) = (PostId(id.0), CommentId(cid.0), body.0.content);
    Ok(Json(rooms.community.ask(UpdateComment { post, id, content, editor: editor(&caller) }).await?.into()))
}

/// Deletes a comment: one's own, or for admins anyone's.
#[endpoint(responses(
    (status_code = 403, description = "Somebody else wrote it"),
    (status_code = 404, description = "There is no such comment under this post")
))]
async fn delete(rooms: Shared<Rooms>, caller: Caller, id: PathId, cid: PathId) -> Result<Json<Message>, Problem> {
    let (post, id) = (PostId(id.0), CommentId(cid.0));
    rooms.community.ask(DeleteComment { post, id, editor: editor(&caller) }).await?;
    Ok(Message::json("Comment deleted successfully"))
}
