//! The number of SQL statements of a request does not depend on how much is stored.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    a_history_takes_two_statements_for_256_detections,
    a_chart_takes_one_statement_however_much_it_counts,
    a_list_of_posts_or_comments_takes_one_statement_however_long_it_is with [("RATE_LIMITS", "off")],
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

async fn a_history_takes_two_statements_for_256_detections(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (short, long) = (ada.start_session().await, ada.start_session().await);
    let now = app.env.clock.now().to_jiff();
    app.detect(short, now, "calm", 1).await;
    app.detect(long, now, "calm", 1000).await;
    // Fills the auth cache, so that the requests below do not read the login.
    ada.get(&format!("/sessions/{short}/history")).await.assert_status(200);
    let mut counts = Vec::new();
    for (session, detections) in [(short, 1), (long, 1000)] {
        let path = format!("/sessions/{session}/history");
        let (history, statements) = ada.count_statements(|ada| ada.api(Method::GET, &path)).await;
        assert_eq!(history.assert_status(200).json["emotion_detections"].as_array().expect("a list").len(), detections);
        counts.push(statements);
    }
    let numbers: Vec<_> = counts.iter().map(Vec::len).collect();
    assert_eq!(numbers, [2, 2 * 4], "{counts:?}");
}

async fn a_chart_takes_one_statement_however_much_it_counts(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let now = app.env.clock.now().to_jiff();
    app.detect(session, now, "sad", 1).await;
    ada.get("/sessions/").await.assert_status(200);
    let few = statements(&ada).await;
    for day in 0..25 {
        for emotion in ["happy", "sad", "calm", "bored"] {
            app.detect(session, now - DAY * day, emotion, 10).await;
        }
    }
    assert_eq!(statements(&ada).await, few);
    let numbers: Vec<_> = few.iter().map(Vec::len).collect();
    assert_eq!(numbers, [2, 1, 1, 1], "{few:?}");
}

/// A list of posts counts their comments in the same statement.
async fn a_list_of_posts_or_comments_takes_one_statement_however_long_it_is(app: &TestApp) {
    let ada = app.verified("ada").await;
    for length in [1, 20] {
        let mut post = 0;
        for number in 0..length {
            post = ada
                .post("/posts/", json!({ "content": format!("no. {number}") }))
                .await
                .assert_status(201)
                .number_of("id");
        }
        let comments = format!("/posts/{post}/comments");
        for number in 0..length {
            ada.post(&comments, json!({ "content": format!("no. {number}") })).await.assert_status(201);
        }
        for path in ["/posts/", &comments] {
            let (list, statements) = ada.count_statements(|ada| ada.api(Method::GET, path)).await;
            assert!(list.assert_status(200).json.as_array().expect("a list").len() >= length);
            assert_eq!(statements.len(), 1, "{statements:?}");
        }
    }
}

/// The statements of the list, of each chart and of the diagnosis.
async fn statements(ada: &Person) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for path in ["", "dominant_emotion_chart?window=month", "intensity_chart?window=month"] {
        let (response, statements) =
            ada.count_statements(|ada| ada.api(Method::GET, &format!("/sessions/{path}"))).await;
        response.assert_status(200);
        all.push(statements);
    }
    let body = json!({ "window": "month" });
    let (response, statements) =
        ada.count_statements(|ada| ada.api(Method::POST, "/sessions/diagnosis").json(&body)).await;
    response.assert_status(200);
    all.push(statements);
    all
}
