//! Events about posts and comments.

#![expect(missing_docs, reason = "a field that is an id is documented by its type")]

use schemars::JsonSchema;
use serde::Serialize;

use super::DomainEvent;
use crate::{CommentId, PostId, UserId};

/// What happened in the community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum CommunityEvent {
    /// A user created a post.
    #[serde(rename = "faceofmind.v1.community.post_created")]
    PostCreated {
        /// The post's author.
        user_id: UserId,
        post_id: PostId,
    },
    /// A user commented on a post.
    #[serde(rename = "faceofmind.v1.community.comment_created")]
    CommentCreated {
        /// The comment's author.
        user_id: UserId,
        post_id: PostId,
        comment_id: CommentId,
    },
}

impl CommunityEvent {
    const fn ids(&self) -> (UserId, PostId) {
        match *self {
            Self::PostCreated { user_id, post_id } | Self::CommentCreated { user_id, post_id, .. } => {
                (user_id, post_id)
            }
        }
    }
}

impl DomainEvent for CommunityEvent {
    fn user_id(&self) -> UserId {
        self.ids().0
    }

    fn aggregate(&self) -> String {
        format!("post/{}", self.ids().1)
    }
}
