//! What protects writers and readers of posts and comments: keys, limits, suspension, erasure, privacy, helplines.

use serde_json::json;

use super::{CONTENT, comments_of, each};
use crate::harness::{Person, Response, TestApp, concurrently, tests_on_both_profiles};

tests_on_both_profiles! {
    an_idempotency_key_writes_once,
    posts_and_comments_per_hour_are_limited with [("LIMIT_POSTS_PER_HOUR", "2"), ("LIMIT_COMMENTS_PER_HOUR", "3")],
    limits_on_writing_can_be_disabled with [
        ("RATE_LIMITS", "off"),
        ("LIMIT_POSTS_PER_HOUR", "1"),
        ("LIMIT_COMMENTS_PER_HOUR", "1"),
    ],
    the_posts_of_a_suspended_user_stay_and_they_cannot_write,
    deleting_a_user_deletes_their_posts_with_all_comments,
    events_and_logs_do_not_contain_what_was_written,
    a_mention_of_suicide_adds_helplines_and_blocks_nothing,
}

async fn keyed(person: &Person, path: &str, content: &str) -> Response {
    person.post_with_key(path, "one", &json!({ "content": content })).await
}

async fn an_idempotency_key_writes_once(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let post = bob.publish(CONTENT).await;
    assert_eq!(keyed(&ada, "/posts/4000000/comments", "lost").await.status, 404);
    assert_eq!(app.row_count("idempotency_keys").await, 0, "a refused request stores no key");
    for path in ["/posts/".to_owned(), comments_of(post)] {
        let calls = (0..10).map(|_| {
            let (ada, path) = (ada.clone(), path.clone());
            async move { keyed(&ada, &path, "once").await.assert_status(201).text }
        });
        let mut answers = concurrently(calls).await;
        answers.push(keyed(&ada, path.trim_end_matches('/'), "once").await.assert_status(201).text);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
        assert_eq!(keyed(&ada, &path, "twice").await.assert_status(422).kind(), "idempotency-key-reused");
    }
    assert_eq!((app.row_count("community_posts").await, app.row_count("community_comments").await), (2, 1));
    let names = ["user.registered", "user.verified", "community.post_created", "community.comment_created"];
    app.events_of(ada.id, &names).await;
    keyed(&bob, "/posts/", "his own key").await.assert_status(201);
    let stored = app.texts("SELECT answer FROM idempotency_keys").await;
    assert!(stored.len() == 3 && stored.iter().all(|text| text.starts_with("sealed:v1:")), "{stored:?}");
}

async fn posts_and_comments_per_hour_are_limited(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let first = keyed(&ada, "/posts/", "one").await.assert_status(201);
    ada.post("/posts/", json!({})).await.assert_status(422);
    keyed(&ada, "/posts/", "another").await.assert_status(422);
    let post = ada.publish("two").await;
    let refused = ada.post("/posts/", json!({ "content": "three" })).await.assert_status(429);
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    assert_eq!(keyed(&ada, "/posts/", "one").await.assert_status(201).text, first.text, "a replay is not counted");
    for number in 0..3 {
        ada.post("/posts/4000000/comments", json!({ "content": "lost" })).await.assert_status(404);
        ada.comment(post, &format!("no. {number}")).await;
    }
    ada.post(&comments_of(post), json!({ "content": "four" })).await.assert_status(429);
    bob.publish("His own limit").await;
    bob.comment(post, "and for comments too").await;
    ada.put(&format!("/posts/{post}"), json!({ "content": "Edits are not counted" })).await.assert_status(200);
    app.advance_seconds(seconds + 1);
    let ada = ada.log_in_again().await;
    ada.publish("three").await;
    assert_eq!((app.row_count("community_posts").await, app.row_count("community_comments").await), (4, 4));
}

async fn limits_on_writing_can_be_disabled(app: &TestApp) {
    let ada = app.verified("ada").await;
    for number in 0..3 {
        let post = ada.publish(&format!("no. {number}")).await;
        ada.comment(post, "and a comment").await;
    }
}

async fn the_posts_of_a_suspended_user_stay_and_they_cannot_write(app: &TestApp) {
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    let post = ada.publish(CONTENT).await;
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    ada.post("/posts/", json!({ "content": "again" })).await.assert_status(401);
    ada.put(&format!("/posts/{post}"), json!({ "content": "other" })).await.assert_status(401);
    assert_eq!(bob.get(&format!("/posts/{post}")).await.assert_status(200).text_of("content"), CONTENT);
}

async fn deleting_a_user_deletes_their_posts_with_all_comments(app: &TestApp) {
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    let (gone, kept) = (ada.publish("hers").await, bob.publish("his").await);
    for person in [&ada, &bob] {
        person.comment(gone, "under hers").await;
        person.comment(kept, "under his").await;
    }
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    bob.get(&format!("/posts/{gone}")).await.assert_status(404);
    assert_eq!(each(&bob.get("/posts/").await.assert_status(200), "comment_count"), [1]);
    assert_eq!(each(&bob.get(&comments_of(kept)).await.assert_status(200), "user_id"), [bob.id]);
    assert_eq!((app.row_count("community_posts").await, app.row_count("community_comments").await), (1, 1));
}

async fn events_and_logs_do_not_contain_what_was_written(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (written, said) = ("my cat snores at night", "earplugs of wax");
    app.env.forbid_in_log(written);
    app.env.forbid_in_log(said);
    let post = ada.publish(written).await;
    ada.comment(post, said).await;
    ada.put(&format!("/posts/{post}"), json!({ "content": format!("{written}!") })).await.assert_status(200);
    ada.get(&format!("/posts/?query={}", "earplugs+of+wax")).await.assert_status(200);
    let names = ["user.registered", "user.verified", "community.post_created", "community.comment_created"];
    for event in app.events_of(ada.id, &names).await {
        let text = event.json.to_string();
        assert!(!text.contains("snores") && !text.contains("earplugs"), "{text}");
    }
    let community = app.tree().child("community").expect("an actor").status().await.expect("a status");
    assert_eq!(community["creations"], json!({ "created": 2, "replayed": 0, "refused": 0 }));
    assert!(!community.to_string().contains("snores"));
}

async fn a_mention_of_suicide_adds_helplines_and_blocks_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (text, hidden) = ("I want to kill myself", "i want to k.i.l.l mys3lf");
    app.env.forbid_in_log(text);
    let has_hotline = |response: &Response| response.json["helplines"].to_string().contains("1553");
    let published = ada.post("/posts/", json!({ "content": text })).await.assert_status(201);
    assert!(has_hotline(&published), "{}", published.text);
    let post = published.number_of("id");
    let commented = ada.post(&comments_of(post), json!({ "content": hidden })).await.assert_status(201);
    assert!(has_hotline(&commented), "{}", commented.text);
    let reminder = json!({ "title": "Call", "description": text, "reminder_time": "2030-01-01" });
    let reminded = ada.post("/reminders/", reminder).await.assert_status(201);
    assert!(has_hotline(&reminded), "{}", reminded.text);
    let session = ada.start_session().await;
    ada.patch(&format!("/sessions/{session}/end")).await.assert_status(200);
    let feedback = json!({ "comment": text, "rating": 1 });
    let rated = ada.post(&format!("/sessions/{session}/feedback"), feedback).await.assert_status(201);
    assert!(has_hotline(&rated), "{}", rated.text);
    let path = format!("/posts/{post}");
    assert!(has_hotline(&ada.put(&path, json!({ "content": hidden })).await.assert_status(200)));
    let read = ada.get(&path).await.assert_status(200);
    assert_eq!((&read.json["content"], read.json.get("helplines")), (&json!(hidden), None), "{}", read.text);
    let calm = ada.put(&path, json!({ "content": CONTENT })).await.assert_status(200);
    assert!(calm.json.get("helplines").is_none(), "{}", calm.text);
}
