//! Posts.

use faceofmind_base::Timestamp;
use faceofmind_domain::community::{
    Community, CreatePost, DeletePost, FindPostsPageEnd, GetPost, ListPosts, Post, UpdatePost,
};
use faceofmind_model::{Page as Rows, PostId, UserId};
use faceofmind_runtime::Handle;
use futures_util::{FutureExt as _, future::BoxFuture};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{editor, new_content};
use crate::http::{
    body::Body,
    caller::Caller,
    fields::request,
    helplines::{RequestLocale, helplines},
    idempotency::Idempotency,
    long_page::{LongList, LongPage, LongPageQuery},
    page::PageQuery,
    path::PathId,
    problem::Problem,
    query::Query,
    responses::{IdempotentResponse, MessageBody, respond},
    state::{AppState, State},
    validators::NonBlank,
};

/// The routes of one post.
pub(super) fn router() -> Router {
    Router::with_path("{id}").get(show).put(update).delete(delete)
}

/// A post.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Post", example = json!({
    "id": 5, "user_id": 7, "content": "What helps you to fall asleep?", "created_at": "2026-11-23T08:00:00+00:00",
    "updated_at": "2026-11-23T08:00:00+00:00", "comment_count": 2
})))]
pub(super) struct PostView {
    id: i64,
    /// The id of the author.
    user_id: i64,
    content: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// The time of the last change of the content.
    #[salvo(schema(value_type = String, format = DateTime))]
    updated_at: Timestamp,
    /// The number of comments under the post.
    comment_count: i64,
    /// Where to find help. Present only in the response to a request whose text mentions suicide or self-harm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[salvo(schema(required = false))]
    helplines: Vec<String>,
}

impl From<Post> for PostView {
    fn from(post: Post) -> Self {
        let Post { id, user_id, content, created_at, updated_at, comment_count } = post;
        Self { id: id.0, user_id: user_id.0, content, created_at, updated_at, comment_count, helplines: Vec::new() }
    }
}

request! {
    /// The content of a post, which every user can read.
    #[schema("PostRequest", example = { "content": "What helps you to fall asleep?" })]
    struct PostRequest {
        /// Not blank.
        content: NonBlank<20_000>,
    }
}

/// Lists all posts, newest first, each with the number of its comments.
///
/// A long list is sent while it is read. An incomplete transfer must be started again. While many are being sent, a page may have fewer
/// items than asked for; `Link` leads on.
#[endpoint(operation_id = "posts_list")]
pub(super) async fn list(
    state: State<AppState>,
    caller: Caller,
    query: Query<LongPageQuery>,
) -> Result<LongPage<Posts>, Problem> {
    let (community, reader) = (state.modules.community.clone(), caller.user.id);
    LongPage::read(&state, reader, query.0, Posts { community, reader }).await
}

/// All posts.
pub(super) struct Posts {
    community: Handle<Community>,
    reader: UserId,
}

impl LongList for Posts {
    type Item = Post;
    type View = PostView;

    fn key(post: &Post) -> i64 {
        post.id.0
    }

    fn bytes(post: &Post) -> usize {
        post.content.len()
    }

    fn read(&self, page: PageQuery) -> BoxFuture<'_, Result<Rows<Post, i64>, Problem>> {
        let message = ListPosts(page.request(self.reader, PostId));
        let read = async {
            let page = self.community.ask(message).await?;
            Ok(Rows { results: page.results, next: page.next.map(|id| id.0) })
        };
        read.boxed()
    }

    fn find_end(&self, page: PageQuery) -> BoxFuture<'_, Result<Option<i64>, Problem>> {
        let message = FindPostsPageEnd(page.request(self.reader, PostId));
        async { Ok(self.community.ask(message).await?.map(|id| id.0)) }.boxed()
    }
}

/// Publishes a post, which every user can read.
#[endpoint(operation_id = "posts_create", responses(
    (status_code = 429, description = "Too many within an hour; `Retry-After` says when to try again")
))]
pub(super) async fn create(
    state: State<AppState>,
    caller: Caller,
    key: Idempotency,
    body: Body<PostRequest>,
    locale: RequestLocale,
) -> Result<IdempotentResponse<PostView>, Problem> {
    let helplines = helplines(locale, &caller, [&body.0.content]).await?;
    let message = CreatePost { new: new_content(&caller, key, body.0.content), respond: respond::<_, PostView, 201> };
    let response = IdempotentResponse::from(state.modules.community.ask(message).await?);
    Ok(response.with_helplines(&helplines))
}

/// Returns a post.
#[endpoint(operation_id = "posts_show", responses((status_code = 404, description = "There is no such post")))]
async fn show(state: State<AppState>, _caller: Caller, id: PathId) -> Result<Json<PostView>, Problem> {
    Ok(Json(state.modules.community.ask(GetPost(PostId(id.0))).await?.into()))
}

/// Changes a post of the caller. The same content changes nothing, not even `updated_at`.
#[endpoint(operation_id = "posts_update", responses(
    (status_code = 403, description = "Another user's post; admins cannot change it either"),
    (status_code = 404, description = "There is no such post")
))]
async fn update(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    body: Body<PostRequest>,
    locale: RequestLocale,
) -> Result<Json<PostView>, Problem> {
    let helplines = helplines(locale, &caller, [&body.0.content]).await?;
    let message = UpdatePost { id: PostId(id.0), content: body.0.content, editor: editor(&caller) };
    Ok(Json(PostView { helplines, ..state.modules.community.ask(message).await?.into() }))
}

/// Deletes a post with its comments: the caller's, or for admins any.
#[endpoint(operation_id = "posts_delete", responses(
    (status_code = 403, description = "Another user's post"),
    (status_code = 404, description = "There is no such post")
))]
async fn delete(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<MessageBody>, Problem> {
    state.modules.community.ask(DeletePost { id: PostId(id.0), editor: editor(&caller) }).await?;
    Ok(MessageBody::json("Post deleted successfully"))
}
