//! `/sessions/{id}/feedback`: the rating of a session that has ended.

use serde_json::json;

use crate::harness::{TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_session_is_rated_once_after_its_end,
    of_concurrent_ratings_one_is_stored,
    every_invalid_field_of_feedback_is_named_and_nothing_is_stored,
    a_comment_may_be_long_or_empty,
    the_session_of_another_user_cannot_be_rated,
    deleting_a_session_deletes_its_feedback,
}

async fn a_session_is_rated_once_after_its_end(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let path = format!("/sessions/{id}/feedback");
    let feedback = json!({ "comment": "It helped me to sleep.", "rating": 4 });
    let early = ada.post(&path, feedback.clone()).await.assert_status(400);
    assert_eq!((early.detail(), early.kind()), ("Session not ended yet", "session-not-ended"));
    assert_eq!(app.row_count("feedback").await, 0);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    let stored = ada.post(&path, feedback.clone()).await;
    snapshot!(stored, @r#"
    201 {
      "comment": "It helped me to sleep.",
      "id": "[id]",
      "rating": 4,
      "session_id": "[id]"
    }
    "#);
    assert_eq!(stored.json["session_id"], id);
    let second = ada.post(&path, json!({ "comment": "Another word", "rating": 1 })).await.assert_status(400);
    assert_eq!((second.detail(), second.kind()), ("Feedback already submitted", "feedback-already-submitted"));
    assert_eq!(app.texts("SELECT comment FROM feedback").await, ["It helped me to sleep."]);
    let names = ["user.registered", "user.verified", "session.started", "session.ended", "feedback.submitted"];
    let events = app.events_of(ada.id, &names).await;
    assert_eq!(events[4].json["subject"], format!("session/{id}"));
    assert_eq!(
        events[4].json["data"],
        json!({ "user_id": ada.id, "session_id": id, "feedback_id": stored.json["id"] })
    );
}

async fn of_concurrent_ratings_one_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}/feedback", ada.ended_session().await);
    let calls = (0..20).map(|number| {
        let (ada, path) = (ada.clone(), path.clone());
        async move { ada.post(&path, json!({ "comment": format!("word {number}"), "rating": 5 })).await.status }
    });
    let mut statuses = concurrently(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![400; 19]].concat());
    assert_eq!(app.row_count("feedback").await, 1);
}

async fn every_invalid_field_of_feedback_is_named_and_nothing_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}/feedback", ada.ended_session().await);
    let before = app.row_counts().await;
    for (body, named) in [
        (json!({}), vec!["body.comment", "body.rating"]),
        (json!({ "comment": 7, "rating": "good" }), vec!["body.comment", "body.rating"]),
        (json!({ "comment": "x".repeat(20_001), "rating": 6 }), vec!["body.comment", "body.rating"]),
        (json!({ "comment": "a\u{0}b", "rating": 0 }), vec!["body.comment", "body.rating"]),
        (json!({ "comment": "fine", "rating": 4.5 }), vec!["body.rating"]),
        (json!({ "comment": null, "rating": 5 }), vec!["body.comment"]),
    ] {
        assert_eq!(ada.post(&path, body).await.assert_status(422).invalid_fields(), named);
    }
    ada.post("/sessions/abc/feedback", json!({ "comment": "", "rating": 5 })).await.assert_status(422);
    assert_eq!(app.row_counts().await, before);
}

async fn a_comment_may_be_long_or_empty(app: &TestApp) {
    let ada = app.verified("ada").await;
    for comment in ["é".repeat(20_000), String::new()] {
        let path = format!("/sessions/{}/feedback", ada.ended_session().await);
        let stored = ada.post(&path, json!({ "comment": comment, "rating": 5.0 })).await.assert_status(201);
        assert_eq!((stored.text_of("comment"), stored.number_of("rating")), (comment, 5));
    }
}

async fn the_session_of_another_user_cannot_be_rated(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let path = format!("/sessions/{}/feedback", ada.ended_session().await);
    let feedback = json!({ "comment": "Not mine", "rating": 1 });
    bob.post(&path, feedback.clone()).await.assert_status(404);
    bob.post("/sessions/4000000/feedback", feedback.clone()).await.assert_status(404);
    app.client().post(&path, feedback).await.assert_status(401);
    assert_eq!(app.row_count("feedback").await, 0);
}

async fn deleting_a_session_deletes_its_feedback(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.ended_session().await;
    ada.post(&format!("/sessions/{id}/feedback"), json!({ "comment": "fine", "rating": 5 })).await.assert_status(201);
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    assert_eq!(app.row_count("feedback").await, 0);
}
