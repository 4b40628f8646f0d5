//! What sibling services hear: CloudEvents, in order, with the right subjects and nothing personal.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    EventConsumer, Server, TestApp, concurrently, eventually, tests_on_both_profiles, tests_on_production,
};

tests_on_both_profiles! {
    a_persons_story_is_told_in_order,
    an_event_says_who_caused_it_and_in_which_request,
    an_event_holds_nothing_personal,
    no_event_without_a_change,
    the_events_of_many_are_each_in_order,
    a_deleted_user_leaves_nothing_but_the_word_of_it,
}

tests_on_production! {
    what_happens_without_nats_is_told_when_it_is_back,
    events_of_two_nodes_are_told_once,
}

async fn a_persons_story_is_told_in_order(app: &TestApp) {
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
    // What is not told yet when a user is deleted never will be.
    app.events_of(ada.id, &names).await;
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    names.push("user.deleted");
    for event in app.events_of(ada.id, &names).await {
        assert_eq!(event.subject, format!("faceofmind.v1.{}.{}", event.name(), ada.id));
        let (aggregate, _) = event.name().split_once('.').expect("two words");
        let of = if aggregate == "user" { ada.id } else { id };
        assert_eq!(event.json["subject"], format!("{aggregate}/{of}"));
        is_a_cloud_event(&event.json);
    }
}

/// CloudEvents 1.0 §3: the attributes that must be there.
fn is_a_cloud_event(event: &Value) {
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["datacontenttype"], "application/json");
    for attribute in ["id", "source", "type", "subject", "time", "causedby"] {
        assert!(event[attribute].as_str().is_some_and(|text| !text.is_empty()), "{attribute}: {event}");
    }
    assert!(event["time"].as_str().expect("a time").parse::<jiff::Timestamp>().is_ok(), "{event}");
    let named = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    assert!(event.as_object().expect("an object").keys().all(named), "{event}");
}

async fn an_event_says_who_caused_it_and_in_which_request(app: &TestApp) {
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
    let told = app.events_of(ada.id, &["user.registered", "user.verified", "session.started", "user.updated"]).await;
    let said = |index: usize, attribute: &str| told[index].json[attribute].clone();
    assert_eq!(said(0, "causedby"), "anonymous");
    assert_eq!(said(1, "causedby"), "anonymous");
    assert_eq!(said(2, "causedby"), format!("user/{}", ada.id));
    assert_eq!((said(2, "requestid"), said(2, "traceparent")), (json!("request-1"), json!(trace)));
    assert_eq!(said(3, "causedby"), format!("admin/{}", admin.id));
    assert_eq!((said(3, "requestid"), said(3, "data")["role"].clone()), (json!("request-2"), json!("professional")));
}

async fn an_event_holds_nothing_personal(app: &TestApp) {
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

async fn no_event_without_a_change(app: &TestApp) {
    let ada = app.verified("ada").await;
    let felt = json!({ "emotion": "sad", "voice_content": "" });
    for call in ["detections", "process_emotion"] {
        ada.post(&format!("/sessions/4000000/{call}"), felt.clone()).await.assert_status(404);
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

async fn the_events_of_many_are_each_in_order(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..40).map(|_| {
        let ada = ada.clone();
        async move {
            let id = ada.start_session().await;
            let felt = json!({ "emotion": "sad", "voice_content": "" });
            ada.post(&format!("/sessions/{id}/detections"), json!([felt, felt])).await.assert_status(201);
            ada.post(&format!("/sessions/{id}/process_emotion"), felt).await.assert_status(200);
            ada.post(&format!("/sessions/{id}/feedback"), json!({ "comment": "", "rating": 5 }))
                .await
                .assert_status(201);
            ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
            id
        }
    });
    let ids = concurrently(calls).await;
    eventually("all events", async || (app.heard().len() >= 2 + 40 * 7).then_some(())).await;
    for id in ids {
        let of = format!("session/{id}");
        let heard = app.heard();
        let names: Vec<_> =
            heard.iter().filter(|event| event.json["subject"] == of).map(|event| event.name()).collect();
        let felt = ["emotion.detected"; 3];
        let names_of_a_life =
            [&["session.started"], &felt[..], &["session.ended", "feedback.submitted", "session.deleted"]];
        assert_eq!(names, names_of_a_life.concat());
    }
}

async fn a_deleted_user_leaves_nothing_but_the_word_of_it(app: &TestApp) {
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
    let heard = async || {
        let heard = late.heard();
        heard.last().is_some_and(|last| last.name() == "user.deleted").then_some(heard)
    };
    let heard = eventually("the whole stream", heard).await;
    let of = |user: i64| {
        let of_user = heard.iter().filter(|message| message.event["data"]["user_id"] == user);
        of_user.map(|message| message.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(ada.id), ["user.deleted"]);
    assert_eq!(of(bob.id), ["user.registered", "user.verified", "session.started"]);
}

async fn what_happens_without_nats_is_told_when_it_is_back(app: &TestApp) {
    app.stop().await;
    let (node, proxy) = app.node_behind_proxy(Server::Nats, &[]).await;
    let ada = node.verified("ada").await;
    node.events_of(ada.id, &["user.registered", "user.verified"]).await;
    proxy.cut();
    let first = ada.start_session().await;
    let second = ada.start_session().await;
    ada.patch(&format!("/sessions/{first}/end")).await.assert_status(200);
    eventually("the service to notice", async || {
        let ready = node.client().call(Method::GET, "/ready").send().await.assert_status(200);
        (ready.json["status"] == "degraded" && ready.json["events"] == "down").then_some(())
    })
    .await;
    proxy.restore();
    let names = ["user.registered", "user.verified", "session.started", "session.started", "session.ended"];
    let told = node.events_of(ada.id, &names).await;
    assert_eq!(told[3].json["data"]["session_id"], second);
    eventually("the service to be whole", async || {
        let ready = node.client().call(Method::GET, "/ready").send().await.assert_status(200);
        (ready.json["status"] == "ready").then_some(())
    })
    .await;
    node.stop().await;
}

async fn events_of_two_nodes_are_told_once(app: &TestApp) {
    let node = app.another_node(&[]).await;
    let ada = app.verified("ada").await;
    let there = ada.using(ada.client.at(node.address));
    for _ in 0..10 {
        ada.start_session().await;
        there.start_session().await;
    }
    let names = [vec!["user.registered", "user.verified"], vec!["session.started"; 20]].concat();
    app.events_of(ada.id, &names).await;
    // The one who leads goes; the other takes over.
    node.stop().await;
    ada.start_session().await;
    app.events_of(ada.id, &[names, vec!["session.started"]].concat()).await;
}
