//! The actor: requests in progress.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_platform::{Platform, rate_limit::Limit};
use faceofmind_runtime::{Actor, ChildSpec, Handle, TaskSet, answer_with_service};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CreateComment, CreatePost, DeleteComment, DeletePost, GetPost, ListComments, ListPosts, UpdateComment, UpdatePost,
    service::{CommunityService, CreationCounts},
};

const NAME: &str = "community";
/// Requests queued or in progress.
const CAPACITY: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);

/// How much one user may write.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub posts: Limit,
    pub comments: Limit,
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Requests in progress.
    pub in_progress: usize,
    /// Requests that panicked since the actor started.
    pub panics: u64,
    pub creations: CreationCounts,
}

/// The actor.
pub struct Community {
    service: Arc<CommunityService>,
    tasks: TaskSet,
}

impl Community {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, deps: Platform) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let service = Arc::new(CommunityService { settings, deps, counts: Mutex::default() });
        let child =
            ChildSpec::ready(handle.clone(), move || Self { service: Arc::clone(&service), tasks: TaskSet::default() });
        (handle, child)
    }
}

impl Actor for Community {
    type Status = Status;

    fn status(&self) -> Status {
        Status { in_progress: self.tasks.len(), panics: self.tasks.panics(), creations: self.service.counts() }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

answer_with_service! {
    Community;
    ListPosts => list_posts,
    GetPost => get_post,
    ListComments => list_comments,
    CreatePost => create_post,
    CreateComment => create_comment,
    UpdatePost => update_post,
    UpdateComment => update_comment,
    DeletePost => delete_post,
    DeleteComment => delete_comment,
}
