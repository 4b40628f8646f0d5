//! `/sessions`: the sessions of the caller.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_session_starts_without_a_body,
    a_session_is_started_read_and_ended,
    ending_twice_changes_nothing,
    sessions_are_listed_newest_first_in_pages,
    every_invalid_parameter_of_the_list_is_named,
    sessions_are_counted,
    a_session_is_deleted,
    the_session_of_another_user_is_not_found,
    sessions_need_a_token,
    an_invalid_id_is_refused_by_name,
    many_sessions_are_started_at_once,
    a_session_ended_by_many_requests_at_once_ends_once,
    each_change_of_a_session_is_published,
    sessions_survive_a_restart,
    session_times_come_from_the_clock_of_the_service,
}

async fn a_session_is_started_read_and_ended(app: &TestApp) {
    let ada = app.verified("ada").await;
    let started = ada.post("/sessions/", json!({})).await;
    snapshot!(started, @r#"
    201 {
      "end_time": null,
      "id": "[id]",
      "start_time": "[time]",
      "user_id": "[id]"
    }
    "#);
    assert_eq!(started.json["user_id"], ada.id);
    let path = format!("/sessions/{}", started.number_of("id"));
    assert_eq!(ada.get(&path).await.assert_status(200).json, started.json);
    let ended = ada.patch(&format!("{path}/end")).await;
    snapshot!(ended, @r#"
    200 {
      "end_time": "[time]",
      "id": "[id]",
      "start_time": "[time]",
      "user_id": "[id]"
    }
    "#);
    assert_eq!(ended.json["start_time"], started.json["start_time"]);
    assert_eq!(ada.get(&path).await.assert_status(200).json, ended.json);
}

async fn ending_twice_changes_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}/end", ada.start_session().await);
    let ended = ada.patch(&path).await.assert_status(200);
    app.advance(1);
    assert_eq!(ada.patch(&path).await.assert_status(200).json, ended.json);
    let called_with_a_body = ada.api(Method::PATCH, &path).json(&json!({})).send().await.assert_status(200);
    assert_eq!(called_with_a_body.json, ended.json);
    app.events_of(ada.id, &["user.registered", "user.verified", "session.started", "session.ended"]).await;
}

async fn sessions_are_listed_newest_first_in_pages(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut newest_first = Vec::new();
    for _ in 0..7 {
        newest_first.insert(0, ada.start_session().await);
        app.advance_seconds(1);
    }
    let listed = async |query: &str| -> Vec<i64> {
        let list = ada.get(&format!("/sessions/{query}")).await.assert_status(200);
        list.json.as_array().expect("a list").iter().map(|session| session["id"].as_i64().expect("an id")).collect()
    };
    assert_eq!(listed("").await, newest_first[..5], "five by default");
    assert_eq!(listed("?skip=0&limit=5").await, newest_first[..5]);
    assert_eq!(listed("?skip=5&limit=5").await, newest_first[5..]);
    assert_eq!(listed("?limit=100").await, newest_first);
    assert_eq!(listed("?limit=5000").await, newest_first, "a limit above 100 is clamped");
    assert_eq!(listed("?skip=7").await, Vec::<i64>::new());
    let one = ada.get("/sessions/?limit=1").await;
    snapshot!(one, @r#"
    200 [
      {
        "dominant_emotion": null,
        "end_time": null,
        "id": "[id]",
        "start_time": "[time]",
        "suggestion": null,
        "user_id": "[id]"
      }
    ]
    "#);
}

async fn every_invalid_parameter_of_the_list_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    for query in ["skip=-1&limit=0", "skip=abc&limit=abc", "skip=1.5&limit=-3", "skip=99999999999999999999&limit=%00"] {
        let bad = ada.get(&format!("/sessions/?{query}")).await.assert_status(422);
        assert_eq!(bad.invalid_fields(), ["query.skip", "query.limit"], "{query}");
    }
}

async fn sessions_are_counted(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let none = ada.get("/sessions/count").await;
    snapshot!(none, @r#"
    200 {
      "count": 0
    }
    "#);
    for _ in 0..3 {
        ada.start_session().await;
    }
    bob.start_session().await;
    assert_eq!(ada.get("/sessions/count").await.assert_status(200).json, json!({ "count": 3 }));
    assert_eq!(ada.get("/sessions/count/").await.assert_status(200).json, json!({ "count": 3 }));
}

async fn a_session_is_deleted(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}", ada.start_session().await);
    let deleted = ada.delete(&path).await;
    snapshot!(deleted, @r#"
    200 {
      "message": "Session deleted successfully"
    }
    "#);
    ada.get(&path).await.assert_status(404);
    ada.delete(&path).await.assert_status(404);
    ada.patch(&format!("{path}/end")).await.assert_status(404);
    assert_eq!(ada.get("/sessions/count").await.assert_status(200).json["count"], 0);
}

async fn the_session_of_another_user_is_not_found(app: &TestApp) {
    let (ada, eve, admin) = (app.verified("ada").await, app.verified("eve").await, app.admin().await);
    let id = ada.start_session().await;
    for other in [&eve, &admin] {
        for (method, of_ada, of_none) in [
            (Method::GET, format!("/sessions/{id}"), "/sessions/4000000".to_owned()),
            (Method::PATCH, format!("/sessions/{id}/end"), "/sessions/4000000/end".to_owned()),
            (Method::DELETE, format!("/sessions/{id}"), "/sessions/4000000".to_owned()),
        ] {
            let refused = other.api(method.clone(), &of_ada).send().await.assert_status(404);
            let unknown = other.api(method, &of_none).send().await.assert_status(404);
            assert_eq!(refused.redacted(), unknown.redacted(), "its existence is private");
        }
        assert_eq!(other.get("/sessions/").await.assert_status(200).json, json!([]));
    }
    assert_eq!(ada.get(&format!("/sessions/{id}")).await.assert_status(200).json["end_time"], Value::Null);
}

async fn sessions_need_a_token(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let client = app.client();
    client.post("/sessions/", json!({})).await.assert_status(401);
    for path in ["/sessions/".to_owned(), "/sessions/count".to_owned(), format!("/sessions/{id}")] {
        client.get(&path).await.assert_status(401);
    }
    client.patch(&format!("/sessions/{id}/end")).await.assert_status(401);
    client.delete(&format!("/sessions/{id}")).await.assert_status(401);
    assert_eq!(app.row_count("sessions").await, 1);
}

async fn an_invalid_id_is_refused_by_name(app: &TestApp) {
    let ada = app.verified("ada").await;
    for id in ["abc", "0", "-1", "1.0", "9223372036854775808", "%00", "1%00"] {
        for (method, path) in [
            (Method::GET, format!("/sessions/{id}")),
            (Method::PATCH, format!("/sessions/{id}/end")),
            (Method::DELETE, format!("/sessions/{id}")),
        ] {
            let bad = ada.api(method, &path).send().await.assert_status(422);
            assert_eq!(bad.invalid_fields(), ["path.id"], "{path}");
        }
    }
}

async fn many_sessions_are_started_at_once(app: &TestApp) {
    let people = [app.verified("ada").await, app.verified("bob").await];
    let calls = (0..120).map(|number| {
        let person = people[number % 2].clone();
        async move { person.post("/sessions/", json!({})).await.assert_status(201).json }
    });
    let sessions = concurrently(calls).await;
    let mut ids: Vec<_> = sessions.iter().map(|session| session["id"].as_i64().expect("an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 120, "each got its own");
    for person in &people {
        let own = sessions.iter().filter(|session| session["user_id"] == person.id).count();
        assert_eq!(own, 60);
        assert_eq!(person.get("/sessions/count").await.assert_status(200).json["count"], 60);
        let names = [vec!["user.registered", "user.verified"], vec!["session.started"; 60]].concat();
        app.events_of(person.id, &names).await;
    }
}

async fn a_session_ended_by_many_requests_at_once_ends_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/sessions/{}/end", ada.start_session().await);
    let calls = (0..20).map(|_| {
        let (ada, path) = (ada.clone(), path.clone());
        async move { ada.patch(&path).await.assert_status(200).text_of("end_time") }
    });
    let mut ends = concurrently(calls).await;
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:?}");
    app.events_of(ada.id, &["user.registered", "user.verified", "session.started", "session.ended"]).await;
}

async fn each_change_of_a_session_is_published(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let ended = ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    let names = ["user.registered", "user.verified", "session.started", "session.ended", "session.deleted"];
    let events = app.events_of(ada.id, &names).await;
    for event in &events[2..] {
        assert_eq!(event.subject, format!("faceofmind.v1.{}.{}", event.name(), ada.id));
        assert_eq!(event.json["subject"], format!("session/{id}"));
        assert_eq!(event.json["data"]["session_id"], id);
        assert_eq!(event.json["causedby"], format!("user/{}", ada.id));
    }
    assert_eq!(events[2].json["data"]["start_time"], ended.json["start_time"]);
    assert_eq!(events[3].json["data"]["end_time"], ended.json["end_time"]);
}

async fn sessions_survive_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.post("/sessions/", json!({})).await.assert_status(201);
    let app = app.restarted(&[]).await;
    let ada = ada.using(app.client());
    let path = format!("/sessions/{}", session.number_of("id"));
    assert_eq!(ada.get(&path).await.assert_status(200).json, session.json);
    ada.patch(&format!("{path}/end")).await.assert_status(200);
    app.stop().await;
}

async fn session_times_come_from_the_clock_of_the_service(app: &TestApp) {
    let ada = app.verified("ada").await;
    let before = app.env.clock.now();
    let id = ada.start_session().await;
    app.advance(20);
    let ended = ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    let moment = |field| ended.text_of(field).parse::<jiff::Timestamp>().expect("RFC 3339 with an offset");
    let (start, end) = (moment("start_time"), moment("end_time"));
    assert!(start >= before.to_jiff(), "{start}");
    let span = end.duration_since(start).as_secs();
    assert!((20 * 60..21 * 60).contains(&span), "{span} s");
}

async fn a_session_starts_without_a_body(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = || ada.api(reqwest::Method::POST, "/sessions/");
    for request in [post(), post().body(""), post().body_as("text/plain", ""), post().body("{}")] {
        let started = request.send().await.assert_status(201);
        assert_eq!((&started.json["user_id"], &started.json["end_time"]), (&json!(ada.id), &Value::Null));
    }
    let keyed = || post().header("idempotency-key", "once");
    let first = keyed().send().await.assert_status(201);
    assert_eq!(keyed().send().await.assert_status(201).json, first.json);
    let refused = post().body("[]").send().await.assert_status(422);
    assert_eq!(refused.detail(), "body: must be a JSON object");
}
