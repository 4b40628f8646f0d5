//! The community in a whole actor system, on each database.

use std::time::Duration;

use faceofmind_base::Clock;
use faceofmind_db::Database;
use faceofmind_domain::community::{Comment, CommunityError, Draft, Member, Page, Part, Post, Settings};
use faceofmind_model::{
    CommentId, PostId, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::{
    idempotency::{Key, Once},
    rate_limit::Limit,
};

use crate::support::{World, worlds};

mod concurrency;
mod keys;
mod limited;
mod lists;
mod writing;

const NOWHERE: PostId = PostId(4_000_000);

fn draft(user: UserId, content: &str) -> Draft {
    Draft { user, content: content.to_owned(), origin: EventContext::new(Initiator::User(user)), key: None }
}

/// Under a key whose body is the content.
fn keyed(user: UserId, key: &str, content: &str) -> Draft {
    Draft { key: Some(Key::of(user, "POST /api/v1/posts", key, content.as_bytes())), ..draft(user, content) }
}

fn member(user: UserId) -> Member {
    Member { user, is_admin: false }
}

fn admin(user: UserId) -> Member {
    Member { user, is_admin: true }
}

/// What was written now, and not before.
fn fresh<T>(once: Once<T>) -> T {
    match once {
        Once::Now(written) => written,
        Once::Again(answer) => panic!("was answered before: {answer:?}"),
    }
}

async fn person(world: &World, name: &str) -> UserId {
    faceofmind_testing::user(&world.db, &format!("{name}@example.org")).await
}

async fn post(world: &World, user: UserId, content: &str) -> Post {
    fresh(world.system.community.post(draft(user, content)).await.expect("is published"))
}

async fn comment(world: &World, post: PostId, user: UserId, content: &str) -> Comment {
    fresh(world.system.community.comment(post, draft(user, content)).await.expect("is put there"))
}

/// All that is written.
async fn rows(world: &World) -> (i64, i64) {
    let count = async |table| world.number(&format!("SELECT count(*) FROM {table}")).await;
    (count("community_posts").await, count("community_comments").await)
}
