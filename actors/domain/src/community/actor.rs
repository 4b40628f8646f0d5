//! The actor: requests in progress.

use std::sync::{Arc, Mutex};

use faceofmind_platform::{Platform, rate_limit::Limit};
use faceofmind_runtime::{ChildSpec, Handle, Service, ServiceActor, answer_with_service};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CreateComment, CreatePost, DeleteComment, DeletePost, FindCommentsPageEnd, FindPostsPageEnd, GetPost, ListComments,
    ListPosts, UpdateComment, UpdatePost,
    service::{CommunityService, CreationCounts},
};

/// How much one user may write.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub posts: Limit,
    pub comments: Limit,
}

/// What is observable beside the requests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    pub creations: CreationCounts,
}

pub type Community = ServiceActor<CommunityService>;

impl CommunityService {
    /// Returns the actor's handle, and the actor to supervise.
    pub fn actor(settings: Settings, deps: Platform) -> (Handle<Community>, ChildSpec) {
        Community::new(Arc::new(Self { settings, deps, counts: Mutex::default() }))
    }
}

impl Service for CommunityService {
    const NAME: &str = "community";
    const CAPACITY: usize = 1024;
    type Status = Status;

    fn status(&self) -> Status {
        Status { creations: self.counts() }
    }
}

answer_with_service! {
    CommunityService;
    ListPosts => list_posts,
    FindPostsPageEnd => find_posts_page_end,
    FindCommentsPageEnd => find_comments_page_end,
    GetPost => get_post,
    ListComments => list_comments,
    CreatePost => create_post,
    CreateComment => create_comment,
    UpdatePost => update_post,
    UpdateComment => update_comment,
    DeletePost => delete_post,
    DeleteComment => delete_comment,
}
