//! The events that other services receive: CloudEvents, in order, with the right subjects and no personal data.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    EventConsumer, Server, TestApp, concurrently, eventually, tests_on_both_profiles, tests_on_production,
};

tests_on_both_profiles! {
    the_events_of_a_user_come_in_order,
    an_event_names_its_initiator_and_its_request,
    an_event_holds_no_personal_data,
    without_a_change_there_is_no_event,
    the_events_of_concurrent_sessions_come_in_order,
    a_deleted_user_leaves_only_the_event_of_the_deletion,
}

tests_on_production! {
    events_recorded_without_nats_are_published_when_it_returns,
    events_of_two_nodes_are_published_once,
}

async fn the_events_of_a_user_come_in_order(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let id = ada.start_session().await;
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    ada.put(&format!("/users/{}", ada.id), json!({ "first_name": "Augusta" })).await.assert_status(200);
    let change = json!({ "current_password": ada.password, "new_password": "a new and longer word" });
    ada.post("/auth/change-password", change).await.assert_status(200);
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    let mut names = vec![
        "user.registered",
        "user.verified",
        "session.started",
        "session.ended",
        "user.updated",
        "user.password_changed",
        "session.deleted",
        "user.status_changed",
    ];
    // Deleting a user deletes their unpublished events, so wait until these are published.
    app.events_of(ada.id, &names).await;
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    names.push("user.deleted");
    for event in app.events_of(ada.id, &names).await {
        assert_eq!(event.subject, format!("faceofmind.v1.{}.{}", event.name(), ada.id));
        let (aggregate, _) = event.name().split_once('.').expect("two words");
        let of = if aggregate == "user" { ada.id } else { id };
        assert_eq!(event.json["subject"], format!("{aggregate}/{of}"));
        assert_cloud_event(&event.json);
    }
}

/// Asserts the attributes that CloudEvents 1.0 §3 requires.
fn assert_cloud_event(event: &Value) {
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["datacontenttype"], "application/json");
    for attribute in ["id", "source", "type", "subject", "time", "causedby"] {
        assert!(event[attribute].as_str().is_some_and(|text| !text.is_empty()), "{attribute}: {event}");
    }
    assert!(event["time"].as_str().expect("a time").parse::<jiff::Timestamp>().is_ok(), "{event}");
    let named = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    assert!(event.as_object().expect("an object").keys().all(named), "{event}");
}

async fn an_event_names_its_initiator_and_its_request(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let call = ada.api(Method::POST, "/sessions/").header("x-request-id", "request-1").header("traceparent", trace);
    call.json(&json!({})).send().await.assert_status(201);
    let path = format!("/users/{}", ada.id);
    admin
        .api(Method::PUT, &path)
        .header("x-request-id", "request-2")
        .json(&json!({ "role": "professional" }))
        .send()
        .await;
    let events = app.events_of(ada.id, &["user.registered", "user.verified", "session.started", "user.updated"]).await;
    let said = |index: usize, attribute: &str| events[index].json[attribute].clone();
    assert_eq!(said(0, "causedby"), "anonymous");
    assert_eq!(said(1, "causedby"), "anonymous");
    assert_eq!(said(2, "causedby"), format!("user/{}", ada.id));
    assert_eq!((said(2, "requestid"), said(2, "traceparent")), (json!("request-1"), json!(trace)));
    assert_eq!(said(3, "causedby"), format!("admin/{}", admin.id));
    assert_eq!((said(3, "requestid"), said(3, "data")["role"].clone()), (json!("request-2"), json!("professional")));
}

async fn an_event_holds_no_personal_data(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    let ada = ada.log_in_again().await;
    let call = ada.api(Method::POST, "/sessions/").header("x-request-id", &ada.email).header("traceparent", &ada.email);
    call.json(&json!({ "note": ada.email })).send().await.assert_status(201);
    for event in app.events_of(ada.id, &["user.registered", "user.verified", "session.started"]).await {
        let text = event.json.to_string();
        for personal in [&ada.email, &ada.first_name, &ada.last_name, &ada.password, &ada.access, &ada.client.ip] {
            assert!(!text.contains(personal.as_str()), "{personal} in {text}");
        }
        assert!(!event.json["data"].to_string().contains(&code), "{text}");
        let data = event.json["data"].as_object().expect("data");
        for (name, value) in data {
            let plain = value.is_number() || value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
            assert!(plain, "{name}: {value}");
        }
    }
}

async fn without_a_change_there_is_no_event(app: &TestApp) {
    let ada = app.verified("ada").await;
    let emotion = json!({ "emotion": "sad", "voice_content": "" });
    for call in ["detections", "process_emotion"] {
        ada.post(&format!("/sessions/4000000/{call}"), emotion.clone()).await.assert_status(404);
        ada.post(&format!("/sessions/4000000/{call}"), json!({})).await.assert_status(422);
    }
    ada.post("/sessions/4000000/feedback", json!({ "comment": "", "rating": 5 })).await.assert_status(404);
    ada.log_in_with("not the password").await.assert_status(401);
    ada.verify("000000").await.assert_status(400);
    ada.register().await.assert_status(201);
    ada.get("/sessions/").await.assert_status(200);
    ada.put(&format!("/users/{}", ada.id), json!({ "first_name": "" })).await.assert_status(422);
    ada.patch("/sessions/4000000/end").await.assert_status(404);
    ada.delete("/sessions/4000000").await.assert_status(404);
    ada.refresh().await.assert_status(200);
    ada.start_session().await;
    app.events_of(ada.id, &["user.registered", "user.verified", "session.started"]).await;
    assert_eq!(app.row_count("events").await, 3);
}

async fn the_events_of_concurrent_sessions_come_in_order(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..40).map(|_| {
        let ada = ada.clone();
        async move {
            let id = ada.start_session().await;
            let emotion = json!({ "emotion": "sad", "voice_content": "" });
            ada.post(&format!("/sessions/{id}/detections"), json!([emotion, emotion])).await.assert_status(201);
            ada.post(&format!("/sessions/{id}/process_emotion"), emotion).await.assert_status(200);
            ada.post(&format!("/sessions/{id}/feedback"), json!({ "comment": "", "rating": 5 }))
                .await
                .assert_status(201);
            ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
            id
        }
    });
    let ids = concurrently(calls).await;
    eventually("all events are received", async || (app.received_events().len() >= 2 + 40 * 7).then_some(())).await;
    for id in ids {
        let of = format!("session/{id}");
        let events = app.received_events();
        let names: Vec<_> =
            events.iter().filter(|event| event.json["subject"] == of).map(|event| event.name()).collect();
        let detected = ["emotion.detected"; 3];
        let expected =
            [&["session.started"], &detected[..], &["session.ended", "feedback.submitted", "session.deleted"]];
        assert_eq!(names, expected.concat());
    }
}

async fn a_deleted_user_leaves_only_the_event_of_the_deletion(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    ada.ended_session().await;
    bob.start_session().await;
    let of_ada = ["user.registered", "user.verified", "session.started", "session.ended", "user.deleted"];
    app.events_of(ada.id, &of_ada[..4]).await;
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    app.events_of(ada.id, &of_ada).await;
    assert_eq!(app.number(&format!("SELECT count(*) FROM events WHERE user_id = {}", ada.id)).await, 1);
    let Some(url) = app.env.nats() else { return };
    let late = EventConsumer::at(url).await;
    let events = eventually("the deletion is received", async || {
        let events = late.events();
        events.last().is_some_and(|last| last.name() == "user.deleted").then_some(events)
    })
    .await;
    let of = |user: i64| {
        let of_user = events.iter().filter(|event| event.user_id() == user);
        of_user.map(|event| event.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(ada.id), ["user.deleted"]);
    assert_eq!(of(bob.id), ["user.registered", "user.verified", "session.started"]);
}

async fn events_recorded_without_nats_are_published_when_it_returns(app: &TestApp) {
    app.stop().await;
    let (node, proxy) = app.node_behind_proxy(Server::Nats, &[]).await;
    let ada = node.verified("ada").await;
    node.events_of(ada.id, &["user.registered", "user.verified"]).await;
    proxy.cut();
    let first = ada.start_session().await;
    let second = ada.start_session().await;
    ada.patch(&format!("/sessions/{first}/end")).await.assert_status(200);
    let ready = node.wait_for_status("degraded").await.assert_status(200);
    assert_eq!(ready.json["events"], "down");
    proxy.restore();
    let names = ["user.registered", "user.verified", "session.started", "session.started", "session.ended"];
    let events = node.events_of(ada.id, &names).await;
    assert_eq!(events[3].json["data"]["session_id"], second);
    node.wait_for_status("ready").await.assert_status(200);
    node.stop().await;
}

async fn events_of_two_nodes_are_published_once(app: &TestApp) {
    let node = app.another_node(&[]).await;
    let ada = app.verified("ada").await;
    let there = ada.using(ada.client.at(node.address));
    for _ in 0..10 {
        ada.start_session().await;
        there.start_session().await;
    }
    let names = [vec!["user.registered", "user.verified"], vec!["session.started"; 20]].concat();
    app.events_of(ada.id, &names).await;
    // The node that stops may be the leader. The other one continues.
    node.stop().await;
    ada.start_session().await;
    app.events_of(ada.id, &[names, vec!["session.started"]].concat()).await;
}
