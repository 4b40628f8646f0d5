//! Comments under a post.

use faceofmind_base::Timestamp;
use faceofmind_domain::community::{
    Comment, Community, CreateComment, DeleteComment, FindCommentsPageEnd, ListComments, UpdateComment,
};
use faceofmind_model::{CommentId, Page as Rows, PostId, UserId};
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

/// The routes of the comments under a post.
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
    /// The id of the author.
    user_id: i64,
    content: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// The time of the last change of the content.
    #[salvo(schema(value_type = String, format = DateTime))]
    updated_at: Timestamp,
    /// Where to find help. Present only in the response to a request whose text mentions suicide or self-harm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[salvo(schema(required = false))]
    helplines: Vec<String>,
}

impl From<Comment> for CommentView {
    fn from(comment: Comment) -> Self {
        let Comment { id, post_id, user_id, content, created_at, updated_at } = comment;
        Self {
            id: id.0,
            post_id: post_id.0,
            user_id: user_id.0,
            content,
            created_at,
            updated_at,
            helplines: Vec::new(),
        }
    }
}

request! {
    /// The content of a comment.
    #[schema("CommentRequest", example = { "content": "A walk before dinner." })]
    struct CommentRequest {
        /// Not blank.
        content: NonBlank<10_000>,
    }
}

/// Lists the comments under a post, newest first.
///
/// A long list is sent while it is read. An incomplete transfer must be started again. While many are being sent, a page may have fewer
/// items than asked for; `Link` leads on.
#[endpoint(operation_id = "comments_list", responses(
    (status_code = 404, description = "There is no such post")
))]
async fn list(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    query: Query<LongPageQuery>,
) -> Result<LongPage<Comments>, Problem> {
    let (community, reader, post) = (state.modules.community.clone(), caller.user.id, PostId(id.0));
    LongPage::read(&state, reader, query.0, Comments { community, reader, post }).await
}

/// The comments under a post.
struct Comments {
    community: Handle<Community>,
    reader: UserId,
    post: PostId,
}

impl LongList for Comments {
    type Item = Comment;
    type View = CommentView;

    fn key(comment: &Comment) -> i64 {
        comment.id.0
    }

    fn bytes(comment: &Comment) -> usize {
        comment.content.len()
    }

    fn read(&self, page: PageQuery) -> BoxFuture<'_, Result<Rows<Comment, i64>, Problem>> {
        let message = ListComments { post: self.post, page: page.request(self.reader, CommentId) };
        let read = async {
            let page = self.community.ask(message).await?;
            Ok(Rows { results: page.results, next: page.next.map(|id| id.0) })
        };
        read.boxed()
    }

    fn find_end(&self, page: PageQuery) -> BoxFuture<'_, Result<Option<i64>, Problem>> {
        let message = FindCommentsPageEnd { post: self.post, page: page.request(self.reader, CommentId) };
        async { Ok(self.community.ask(message).await?.map(|id| id.0)) }.boxed()
    }
}

/// Adds a comment to a post.
#[endpoint(operation_id = "comments_create", responses(
    (status_code = 404, description = "There is no such post"),
    (status_code = 429, description = "Too many within an hour; `Retry-After` says when to try again")
))]
async fn create(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<CommentRequest>,
    locale: RequestLocale,
) -> Result<IdempotentResponse<CommentView>, Problem> {
    let helplines = helplines(locale, &caller, [&body.0.content]).await?;
    let new = new_content(&caller, key, body.0.content);
    let message = CreateComment { post: PostId(id.0), new, respond: respond::<_, CommentView, 201> };
    let response = IdempotentResponse::from(state.modules.community.ask(message).await?);
    Ok(response.with_helplines(&helplines))
}

/// Changes a comment of the caller. The same content changes nothing, not even `updated_at`.
#[endpoint(operation_id = "comments_update", responses(
    (status_code = 403, description = "Another user's comment; admins cannot change it either"),
    (status_code = 404, description = "There is no such comment under this post")
))]
async fn update(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    cid: PathId,
    body: Body<CommentRequest>,
    locale: RequestLocale,
) -> Result<Json<CommentView>, Problem> {
    let (post, id, content) = (PostId(id.0), CommentId(cid.0), body.0.content);
    let helplines = helplines(locale, &caller, [&content]).await?;
    let updated = state.modules.community.ask(UpdateComment { post, id, content, editor: editor(&caller) }).await?;
    Ok(Json(CommentView { helplines, ..updated.into() }))
}

/// Deletes a comment: the caller's, or for admins any.
#[endpoint(operation_id = "comments_delete", responses(
    (status_code = 403, description = "Another user's comment"),
    (status_code = 404, description = "There is no such comment under this post")
))]
async fn delete(state: State<AppState>, caller: Caller, id: PathId, cid: PathId) -> Result<Json<MessageBody>, Problem> {
    let (post, id) = (PostId(id.0), CommentId(cid.0));
    state.modules.community.ask(DeleteComment { post, id, editor: editor(&caller) }).await?;
    Ok(MessageBody::json("Comment deleted successfully"))
}
