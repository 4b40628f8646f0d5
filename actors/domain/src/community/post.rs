//! Posts, comments, and which users may change them.

use std::fmt;

use faceofmind_base::Timestamp;
use faceofmind_model::{CommentId, PostId, UserId};

use super::CommunityError;

/// A post. Every signed-in user may read it.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
#[cfg_attr(feature = "test-hooks", derive(serde::Serialize, serde::Deserialize))]
pub struct Post {
    pub id: PostId,
    /// The author.
    pub user_id: UserId,
    /// 1 to 20,000 characters.
    pub content: String,
    pub created_at: Timestamp,
    /// When the content last changed; at first `created_at`.
    pub updated_at: Timestamp,
    pub comment_count: i64,
}

/// Omits the content.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A comment under a post.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
#[cfg_attr(feature = "test-hooks", derive(serde::Serialize, serde::Deserialize))]
pub struct Comment {
    pub id: CommentId,
    pub post_id: PostId,
    /// The author.
    pub user_id: UserId,
    /// 1 to 10,000 characters.
    pub content: String,
    pub created_at: Timestamp,
    /// When the content last changed; at first `created_at`.
    pub updated_at: Timestamp,
}

/// Omits the content.
impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comment").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The user who wants to change or delete content.
#[derive(Clone, Copy, Debug)]
pub struct Editor {
    pub user: UserId,
    pub is_admin: bool,
}

impl Editor {
    /// An admin may delete what another user wrote, but not change it.
    pub(super) fn ensure_may_update(self, author: UserId) -> Result<(), CommunityError> {
        if self.user == author { Ok(()) } else { Err(CommunityError::NotAuthor) }
    }

    pub(super) fn ensure_may_delete(self, author: UserId) -> Result<(), CommunityError> {
        if self.is_admin { Ok(()) } else { self.ensure_may_update(author) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_deletes_content_of_others_and_does_not_change_it() {
        let editor = |user, is_admin| Editor { user: UserId(user), is_admin };
        let author = UserId(1);
        assert!(
            editor(1, false).ensure_may_update(author).is_ok() && editor(1, false).ensure_may_delete(author).is_ok()
        );
        assert!(
            editor(2, true).ensure_may_update(author).is_err() && editor(2, true).ensure_may_delete(author).is_ok()
        );
        assert!(editor(2, false).ensure_may_update(author).is_err());
        assert!(editor(2, false).ensure_may_delete(author).is_err());
    }

    #[test]
    fn debug_output_does_not_show_content() {
        let (content, now) = ("my own words".to_owned(), Timestamp::from_micros(0));
        let user_id = UserId(1);
        let post = Post {
            id: PostId(1),
            user_id,
            content: content.clone(),
            created_at: now,
            updated_at: now,
            comment_count: 0,
        };
        let comment =
            Comment { id: CommentId(1), post_id: PostId(1), user_id, content, created_at: now, updated_at: now };
        assert!(!format!("{post:?} {comment:?}").contains("own words"));
    }
}
