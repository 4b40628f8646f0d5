//! What a post and a comment are, and who may do what with them. No I/O.

use std::{fmt, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;

use faceofmind_model::UserId;
use faceofmind_model::event::EventContext;
pub use faceofmind_model::{CommentId, PostId};
use faceofmind_platform::idempotency::Key;
use faceofmind_platform::rate_limit::LimitError;

/// A post as everyone who is signed in may read it.
#[derive(Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Post {
    /// Key.
    pub id: PostId,
    /// Who wrote it.
    pub user_id: UserId,
    /// 1 to 5,000 characters.
    pub content: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed; until then when it was written.
    pub updated_at: Timestamp,
    /// How many comments stand under it.
    pub comment_count: i64,
}

/// Shows nothing of what was written.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A comment under a post.
#[derive(Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Comment {
    /// Key.
    pub id: CommentId,
    /// Under which post.
    pub post_id: PostId,
    /// Who wrote it.
    pub user_id: UserId,
    /// 1 to 2,000 characters.
    pub content: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed; until then when it was written.
    pub updated_at: Timestamp,
}

/// Shows nothing of what was written.
impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comment").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What somebody wants to be read by the others.
#[derive(Clone)]
pub struct Draft {
    /// Who.
    pub user: UserId,
    /// What they wrote.
    pub content: String,
    /// For the event.
    pub origin: EventContext,
    /// The client's word for this call.
    pub key: Option<Key>,
}

/// Shows nothing of what was written.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who wants to change what was written.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Whether their role is admin.
    pub is_admin: bool,
}

impl Member {
    /// An admin may take another's words away, and may not put words into their mouth.
    pub(super) fn may_edit(self, author: UserId) -> Result<(), CommunityError> {
        if self.user == author { Ok(()) } else { Err(CommunityError::NotAuthor) }
    }

    pub(super) fn may_delete(self, author: UserId) -> Result<(), CommunityError> {
        if self.is_admin { Ok(()) } else { self.may_edit(author) }
    }
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum CommunityError {
    /// There is no post of that id.
    #[error("There is no such post.")]
    NoPost,
    /// There is no comment of that id under that post.
    #[error("There is no such comment under this post.")]
    NoComment,
    /// Somebody else wrote it.
    #[error("Somebody else wrote this.")]
    NotAuthor,
    /// Who wants to write was deleted meanwhile.
    #[error("This account was deleted.")]
    NoUser,
    /// The idempotency key belongs to a request with another body.
    #[error("this Idempotency-Key was used with another body. Send a new key with a new request")]
    KeyReused,
    /// So many within an hour are enough.
    #[error("Too many posts or comments within an hour.")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for CommunityError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LimitError> for CommunityError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::TooMany { retry_after },
            LimitError::Failed(failure) => Self::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_deletes_what_others_wrote_and_does_not_edit_it() {
        let member = |user, is_admin| Member { user: UserId(user), is_admin };
        let author = UserId(1);
        assert!(member(1, false).may_edit(author).is_ok() && member(1, false).may_delete(author).is_ok());
        assert!(member(2, true).may_edit(author).is_err() && member(2, true).may_delete(author).is_ok());
        assert!(member(2, false).may_edit(author).is_err() && member(2, false).may_delete(author).is_err());
    }

    #[test]
    fn nothing_that_was_written_shows_when_it_is_debugged() {
        let (written, now) = ("my own words".to_owned(), Timestamp::from_micros(0));
        let (id, user_id, content) = (PostId(1), UserId(1), written.clone());
        let post = Post { id, user_id, content, created_at: now, updated_at: now, comment_count: 0 };
        let (id, post_id, content) = (CommentId(1), PostId(1), written.clone());
        let comment = Comment { id, post_id, user_id, content, created_at: now, updated_at: now };
        let origin = EventContext::new(faceofmind_model::event::Initiator::User(user_id));
        let draft = Draft { user: user_id, content: written, origin, key: None };
        assert!(!format!("{post:?} {comment:?} {draft:?}").contains("own words"));
    }
}
