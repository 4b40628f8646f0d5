//! The community in a whole actor system, on each database.

use std::time::Duration;

use faceofmind_base::Clock;
use faceofmind_db::Database;
use faceofmind_domain::community::{
    Comment, CommunityError, CreateComment, CreatePost, DeleteComment, DeletePost, Editor, GetPost, ListPosts,
    NewContent, Post, Settings, UpdateComment, UpdatePost, erase,
};
use faceofmind_model::{
    CommentId, Page, PageRequest, PostId, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::{
    idempotency::{self, IdempotencyKey, StoredResponse},
    mail::Transport,
    rate_limit::Limit,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::support::{TestContext, contexts, new_folder, settings, until};

mod concurrency;
mod idempotent;
mod lists;
mod rate_limits;
mod writing;

const MISSING_POST: PostId = PostId(4_000_000);

fn content(author: UserId, content: &str) -> NewContent {
    NewContent { author, content: content.to_owned(), events: EventContext::new(Initiator::User(author)), key: None }
}

/// Content with a key and a body that is the content.
fn keyed(user: UserId, key: &str, text: &str) -> NewContent {
    let key = IdempotencyKey::new(user, "POST /api/v1/posts", key, text.as_bytes());
    NewContent { key: Some(key), ..content(user, text) }
}

fn create_post(new: NewContent) -> CreatePost {
    CreatePost { new, respond }
}

fn create_comment(post: PostId, new: NewContent) -> CreateComment {
    CreateComment { post, new, respond }
}

fn update_post(id: PostId, content: &str, editor: Editor) -> UpdatePost {
    UpdatePost { id, content: content.to_owned(), editor }
}

fn update_comment(post: PostId, id: CommentId, content: &str, editor: Editor) -> UpdateComment {
    UpdateComment { post, id, content: content.to_owned(), editor }
}

fn respond<T: Serialize>(made: T) -> StoredResponse {
    StoredResponse { status: 201, body: serde_json::to_string(&made).expect("JSON") }
}

fn parse<T: DeserializeOwned>(response: &StoredResponse) -> T {
    assert_eq!(response.status, 201);
    serde_json::from_str(&response.body).expect("what was made")
}

fn user(user: UserId) -> Editor {
    Editor { user, is_admin: false }
}

fn admin(user: UserId) -> Editor {
    Editor { user, is_admin: true }
}

async fn person(test: &TestContext, name: &str) -> UserId {
    faceofmind_testing::user(&test.db, &format!("{name}@example.org")).await
}

async fn post(test: &TestContext, author: UserId, text: &str) -> Post {
    parse(&test.system.modules.community.ask(create_post(content(author, text))).await.expect("publishes"))
}

async fn comment(test: &TestContext, post: PostId, author: UserId, text: &str) -> Comment {
    parse(&test.system.modules.community.ask(create_comment(post, content(author, text))).await.expect("comments"))
}

/// The numbers of posts and comments.
async fn rows(test: &TestContext) -> (i64, i64) {
    let count = async |table| test.number(&format!("SELECT count(*) FROM {table}")).await;
    (count("community_posts").await, count("community_comments").await)
}
