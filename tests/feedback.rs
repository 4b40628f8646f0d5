//! `/sessions/{id}/feedback`: what a person says of a session that has ended.

use serde_json::json;

use crate::harness::{TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_session_is_rated_once_when_it_has_ended,
    of_two_who_rate_at_once_one_is_kept,
    every_bad_field_of_feedback_is_named_and_nothing_is_kept,
    a_comment_may_be_long_or_empty,
    anothers_session_cannot_be_rated,
    feedback_goes_with_its_session,
}

async fn a_session_is_rated_once_when_it_has_ended(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let path = format!("/sessions/{id}/feedback");
    let feedback = json!({ "comment": "It helped me to sleep.", "rating": 4 });
    let early = ada.post(&path, feedback.clone()).await.assert_status(400);
    assert_eq!((early.detail(), early.kind()), ("Session not ended yet", "session-not-ended"));
    assert_eq!(app.row_count("feedback").await, 0);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    let kept = ada.post(&path, feedback.clone()).await;
    snapshot!(kept, @r#"
    201 {
      "comment": "It helped me to sleep.",
      "id": "[id]",
      "rating": 4,
      "session_id": "[id]"
    }
    "#);
    assert_eq!(kept.json["session_id"], id);
    let second = ada.post(&path, json!({ "comment": "Another word", "rating": 1 })).await.assert_status(400);
    assert_eq!((second.detail(), second.kind()), ("Feedback already submitted", "feedback-already-submitted"));
    assert_eq!(app.texts("SELECT comment FROM feedback").await, ["It helped me to sleep."]);
    let names = ["user.registered", "user.verified", "session.started", "session.ended", "feedback.submitted"];
    let told = app.events_of(ada.id, &names).await;
    assert_eq!(told[4].json["subject"], format!("session/{id}"));
    assert_eq!(told[4].json["data"], json!({ "user_id": ada.id, "session_id": id, "feedback_id": kept.json["id"] }));
}

async fn of_two_who_rate_at_once_one_is_kept(app: &TestApp) {
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

async fn every_bad_field_of_feedback_is_named_and_nothing_is_kept(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}/feedback", ada.ended_session().await);
    let before = app.row_counts().await;
    for (body, named) in [
        (json!({}), vec!["body.comment", "body.rating"]),
        (json!({ "comment": 7, "rating": "good" }), vec!["body.comment", "body.rating"]),
        (json!({ "comment": "x".repeat(2001), "rating": 6 }), vec!["body.comment", "body.rating"]),
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
    for comment in ["é".repeat(2000), String::new()] {
        let path = format!("/sessions/{}/feedback", ada.ended_session().await);
        let kept = ada.post(&path, json!({ "comment": comment, "rating": 5.0 })).await.assert_status(201);
        assert_eq!((kept.text_of("comment"), kept.number_of("rating")), (comment, 5));
    }
}

async fn anothers_session_cannot_be_rated(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let path = format!("/sessions/{}/feedback", ada.ended_session().await);
    let feedback = json!({ "comment": "Not mine", "rating": 1 });
    bob.post(&path, feedback.clone()).await.assert_status(404);
    bob.post("/sessions/4000000/feedback", feedback.clone()).await.assert_status(404);
    app.client().post(&path, feedback).await.assert_status(401);
    assert_eq!(app.row_count("feedback").await, 0);
}

async fn feedback_goes_with_its_session(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.ended_session().await;
    ada.post(&format!("/sessions/{id}/feedback"), json!({ "comment": "fine", "rating": 5 })).await.assert_status(201);
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    assert_eq!(app.row_count("feedback").await, 0);
}
