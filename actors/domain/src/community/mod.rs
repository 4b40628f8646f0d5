//! Posts and the comments under them. Every signed-in user reads them.
//!
//! The actor bounds the number of requests and runs each as a task of its own. The row locks of the database are the only serialiser.

mod actor;
mod export;
mod messages;
mod post;
mod service;
mod store;

pub use actor::{Community, Settings, Status};
pub use export::export;
pub use faceofmind_model::{CommentId, PostId};
pub use messages::{
    CommunityError, CreateComment, CreatePost, DeleteComment, DeletePost, FindCommentsPageEnd, FindPostsPageEnd,
    GetPost, ListComments, ListPosts, NewContent, UpdateComment, UpdatePost,
};
pub use post::{Comment, Editor, Post};
pub use service::CommunityService;
pub use store::erase;
