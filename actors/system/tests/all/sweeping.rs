//! What the sweeper deletes, and what it keeps.

use std::time::Duration;

use faceofmind_domain::community::{CreatePost, NewContent};
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};

use crate::support::{TestContext, contexts, until};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ADA: &str = "ada@example.org";

/// Logs in, and creates a post with this key.
async fn log_in_and_post(test: &TestContext, key: &str) {
    let author = test.log_in(ADA, crate::support::PASSWORD).await.expect("logs in").user.id;
    let events = EventContext::new(Initiator::User(author));
    let key = Some(IdempotencyKey::new(author, "POST /api/v1/posts", key, b"{}"));
    let new = NewContent { author, content: "a post".into(), events, key };
    let respond = |_| StoredResponse { status: 201, body: "{}".into() };
    test.system.modules.community.ask(CreatePost { new, respond }).await.expect("publishes");
}

#[tokio::test]
async fn lapsed_keys_and_logins_are_deleted_and_the_others_stay() {
    for test in contexts().await {
        test.person(ADA).await;
        log_in_and_post(&test, "old").await;
        test.advance(121 * DAY);
        log_in_and_post(&test, "new").await;
        let rows = async || {
            let keys = test.number("SELECT count(*) FROM idempotency_keys").await;
            (keys, test.number("SELECT count(*) FROM logins").await)
        };
        assert_eq!(rows().await, (2, 2));
        test.kill("sweeper").await;
        until("a start sweeps", async || rows().await == (1, 1)).await;
        let status = test.system.tree.child("sweeper").expect("an actor").status().await.expect("answers");
        assert_eq!(status["sweeps"][0]["name"], "login sweep", "{status}");
        assert_eq!(test.number("SELECT count(*) FROM idempotency_keys WHERE key = 'new'").await, 1);
    }
}
