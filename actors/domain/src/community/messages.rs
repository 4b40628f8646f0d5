//! What the community can be asked. Messages have no `Debug`, because many hold what a user wrote.

use std::time::Duration;

use faceofmind_db::StoreError;
use faceofmind_model::{CommentId, Page, PageRequest, PostId, UserId, event::EventContext};
use faceofmind_platform::{
    idempotency::{IdempotencyKey, StoredResponse},
    rate_limit::RateLimitError,
};
use faceofmind_runtime::{AskError, messages};

use super::{Comment, Editor, Post};

/// The content of a new post or comment.
pub struct NewContent {
    pub author: UserId,
    pub content: String,
    /// The cause of the event.
    pub events: EventContext,
    /// A request with a key is carried out once. Repeated, it gets the stored response and counts against no limit.
    pub key: Option<IdempotencyKey>,
}

/// Lists all posts, newest first.
pub struct ListPosts(pub PageRequest<PostId>);

/// Reads one post.
pub struct GetPost(pub PostId);

/// Lists the comments under a post, newest first.
pub struct ListComments {
    pub post: PostId,
    pub page: PageRequest<CommentId>,
}

/// Finds the end of a page of posts without reading them: the id of its last post, when another one follows.
pub struct FindPostsPageEnd(pub PageRequest<PostId>);

/// Finds the end of a page of comments without reading them: the id of its last comment, when another one follows.
pub struct FindCommentsPageEnd {
    pub post: PostId,
    pub page: PageRequest<CommentId>,
}

/// Publishes a post.
pub struct CreatePost {
    pub new: NewContent,
    /// Makes the response in the transaction. The same bytes are stored and sent.
    pub respond: fn(Post) -> StoredResponse,
}

/// Puts a comment under a post.
pub struct CreateComment {
    pub post: PostId,
    pub new: NewContent,
    /// Makes the response in the transaction. The same bytes are stored and sent.
    pub respond: fn(Comment) -> StoredResponse,
}

/// Changes the content of a post. The same content changes nothing, not even `updated_at`.
pub struct UpdatePost {
    pub id: PostId,
    pub content: String,
    pub editor: Editor,
}

/// Changes the content of a comment. The same content changes nothing, not even `updated_at`.
pub struct UpdateComment {
    pub post: PostId,
    pub id: CommentId,
    pub content: String,
    pub editor: Editor,
}

/// Deletes a post with the comments under it.
pub struct DeletePost {
    pub id: PostId,
    pub editor: Editor,
}

/// Deletes a comment.
pub struct DeleteComment {
    pub post: PostId,
    pub id: CommentId,
    pub editor: Editor,
}

messages! {
    Error = CommunityError;
    ListPosts => Page<Post, PostId>;
    GetPost => Post;
    ListComments => Page<Comment, CommentId>;
    FindPostsPageEnd => Option<PostId>;
    FindCommentsPageEnd => Option<CommentId>;
    CreatePost => StoredResponse;
    CreateComment => StoredResponse;
    UpdatePost => Post;
    UpdateComment => Comment;
    DeletePost => ();
    DeleteComment => ();
}

/// Why a request to the community failed.
#[derive(Debug, thiserror::Error)]
pub enum CommunityError {
    #[error("post not found")]
    PostNotFound,
    /// There is no comment of that id under that post.
    #[error("comment not found under this post")]
    CommentNotFound,
    #[error("content belongs to another user")]
    NotAuthor,
    /// The author was deleted meanwhile.
    #[error("the user does not exist")]
    UserNotFound,
    #[error("idempotency key was used with another body")]
    KeyReused,
    #[error("rate limit exceeded; retry in {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RateLimitError> for CommunityError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::RateLimited { retry_after },
            RateLimitError::Ask(error) => error.into(),
        }
    }
}
