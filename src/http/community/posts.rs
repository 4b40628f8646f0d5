//! Posts.

use faceofmind_actors::community::{CreatePost, DeletePost, GetPost, ListPosts, Post, PostId, UpdatePost};
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

/// The calls on one post.
pub(super) fn router() -> Router {
    Router::with_path("{id}").get(show).put(update).delete(delete)
}

/// A post.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Post", example = json!({
    "id": 5, "user_id": 7, "content": "What helps you to fall asleep?", "created_at": "2026-11-23T08:00:00+00:00",
    "updated_at": "2026-11-23T08:00:00+00:00", "comment_count": 2
})))]
struct PostView {
    id: i64,
    /// Who wrote it.
    user_id: i64,
    content: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// When its content last changed.
    #[salvo(schema(value_type = String, format = DateTime))]
    updated_at: Timestamp,
    /// How many comments stand under it.
    comment_count: i64,
}

impl From<Post> for PostView {
    fn from(post: Post) -> Self {
        let Post { id, user_id, content, created_at, updated_at, comment_count } = post;
        Self { id: id.0, user_id: user_id.0, content, created_at, updated_at, comment_count }
    }
}

/// What is to be read by everyone who is signed in.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "content": "What helps you to fall asleep?" })))]
struct NewPost {
    /// Not blank.
    #[salvo(schema(min_length = 1, max_length = 5000))]
    content: String,
}

impl FromFields for NewPost {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let content = fields.required("content", words(5000));
        fields.finish(|valid| Self { content: content.get(valid) })
    }
}

/// Everyone's posts, newest first, each with the number of its comments.
#[endpoint]
pub(super) async fn list(
    rooms: Shared<Rooms>,
    _caller: Caller,
    wanted: Query<Wanted>,
) -> Result<Listed<PostView>, Problem> {
    let page = rooms.community.ask(ListPosts(page_request(wanted.0, PostId))).await?;
    Ok(Listed::new(wanted.0, page.results.into_iter().map(PostView::from), page.next.map(|id| id.0)))
}

/// Publishes a post, to be read by everyone who is signed in.
#[endpoint(responses((status_code = 429, description = "Too many within an hour; `Retry-After` tells when to come back")))]
pub(super) async fn create(
    rooms: Shared<Rooms>,
    caller: Caller,
    key: Idempotency,
    body: Body<NewPost>,
) -> Result<First<PostView>, Problem> {
    let message = CreatePost { new: new_content(&caller, key, body.0.content), respond: respond::<_, PostView, 201> };
    Ok(First::Again(rooms.community.ask(message).await?))
}

/// One post.
#[endpoint(responses((status_code = 404, description = "There is no such post")))]
async fn show(rooms: Shared<Rooms>, _caller: Caller, id: PathId) -> Result<Json<PostView>, Problem> {
    Ok(Json(rooms.community.ask(GetPost(PostId(id.0))).await?.into()))
}

/// Changes one's own post. The same content again changes nothing, not even its time.
#[endpoint(responses(
    (status_code = 403, description = "Somebody else wrote it; admins do not edit it either"),
    (status_code = 404, description = "There is no such post")
))]
async fn update(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    body: Body<NewPost>,
) -> Result<Json<PostView>, Problem> {
    let message = UpdatePost { id: PostId(id.0), content: body.0.content, editor: editor(&caller) };
    Ok(Json(rooms.community.ask(message).await?.into()))
}

/// Deletes a post with the comments under it: one's own, or for admins anyone's.
#[endpoint(responses(
    (status_code = 403, description = "Somebody else wrote it"),
    (status_code = 404, description = "There is no such post")
))]
async fn delete(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<Message>, Problem> {
    rooms.community.ask(DeletePost { id: PostId(id.0), editor: editor(&caller) }).await?;
    Ok(Message::json("Post deleted successfully"))
}
