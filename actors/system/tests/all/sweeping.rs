//! What the sweeper deletes, and what it keeps.

use std::time::Duration;

use faceofmind_domain::community::{CreatePost, NewContent};
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};

use crate::support::{World, until, worlds};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ADA: &str = "ada@example.org";

/// Logs in, and creates a post with this key.
async fn log_in_and_post(world: &World, key: &str) {
    let author = world.log_in(ADA, crate::support::PASSWORD).await.expect("logs in").user.id;
    let events = EventContext::new(Initiator::User(author));
    let key = Some(IdempotencyKey::new(author, "POST /api/v1/posts", key, b"{}"));
    let new = NewContent { author, content: "a post".into(), events, key };
    let respond = |_| StoredResponse { status: 201, body: "{}".into() };
    world.system.modules.community.ask(CreatePost { new, respond }).await.expect("publishes");
}

#[tokio::test]
async fn lapsed_keys_and_logins_are_deleted_and_the_others_stay() {
    for world in worlds().await {
        world.person(ADA).await;
        log_in_and_post(&world, "old").await;
        world.advance(121 * DAY);
        log_in_and_post(&world, "new").await;
        let rows = async || {
            let keys = world.number("SELECT count(*) FROM idempotency_keys").await;
            (keys, world.number("SELECT count(*) FROM logins").await)
        };
        assert_eq!(rows().await, (2, 2));
        world.kill("sweeper").await;
        until("a start sweeps", async || rows().await == (1, 1)).await;
        assert_eq!(world.number("SELECT count(*) FROM idempotency_keys WHERE key = 'new'").await, 1);
    }
}
