//! The actor: requests in progress.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_platform::{
    encryption::Keyring,
    outbox::Publisher,
    rate_limit::{Limit, RateLimiter},
};
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

/// What the actor needs.
#[derive(Clone)]
pub struct Deps {
    pub db: Database,
    /// Woken after every commit that recorded an event.
    pub publisher: Handle<Publisher>,
    /// Counts what a user writes.
    pub limiter: Handle<RateLimiter>,
    /// Encrypts stored responses.
    pub keyring: Keyring,
    pub clock: Clock,
    pub rng: Rng,
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
    pub fn new(settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
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
