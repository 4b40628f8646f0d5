//! `/sessions/{id}/process_emotion` and `/sessions/{id}/detections`: recorded emotions.

use serde_json::{Value, json};

use crate::harness::{Person, RECORDED, TestApp, concurrently, tests_on_both_profiles};

tests_on_both_profiles! {
    a_processed_emotion_is_stored_returned_and_ends_its_session,
    an_ended_session_accepts_another_emotion_and_keeps_its_end_time,
    every_invalid_field_of_an_emotion_is_named_and_nothing_is_stored,
    a_client_sends_one_detection_or_many,
    every_invalid_detection_is_named_by_its_index_and_nothing_is_stored,
    an_emotion_is_stored_as_sent,
    voice_texts_are_stored_encrypted,
    a_whole_consultation_is_stored_and_searched_to_its_end,
    a_text_about_suicide_is_answered_with_hotlines,
    an_ended_session_accepts_detections_from_before_its_end,
    the_session_of_another_user_accepts_no_detections,
    concurrent_detections_get_their_own_ids,
    deleting_a_session_deletes_what_was_recorded_in_it,
    deleting_a_user_deletes_what_they_recorded,
    events_hold_the_emotion_and_not_the_voice_text,
    a_user_who_sent_the_daily_share_waits_and_others_do_not with [
        // 1 MB is 16 bodies of the greatest size.
        ("BODY_LIMIT_BYTES", "65536"),
        ("LIMIT_MEGABYTES_PER_DAY", "1"),
    ],
}

const SAID: &str = "I could not sleep again, and the dog barked";

async fn process(person: &Person, id: i64, emotion: &str, said: &str) -> crate::harness::Response {
    person.post(&format!("/sessions/{id}/process_emotion"), json!({ "emotion": emotion, "voice_content": said })).await
}

async fn detect(person: &Person, id: i64, detections: Value) -> crate::harness::Response {
    person.post(&format!("/sessions/{id}/detections"), detections).await
}

async fn a_processed_emotion_is_stored_returned_and_ends_its_session(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let response = process(&ada, id, "Sad", SAID).await.assert_status(200);
    assert_eq!(response.number_of("session_id"), id);
    assert_eq!((response.text_of("emotion"), response.text_of("voice_content")), ("Sad".into(), SAID.into()));
    let colour = response.text_of("emotion_color");
    assert!(colour.len() == 7 && colour.starts_with('#'), "{colour}");
    let lines: Vec<_> = response.json["suggestions"].as_array().expect("lines").iter().map(text).collect();
    let urls: Vec<_> = response.json["urls"].as_array().expect("pages").iter().map(text).collect();
    assert_eq!(lines.len(), 5);
    assert!(ada.get(&format!("/sessions/{id}")).await.assert_status(200).json["end_time"].is_string());
    let stored: Vec<_> = lines.iter().map(|line| format!("- {line}")).collect();
    assert_eq!(app.texts("SELECT suggestion FROM wellness_suggestions").await, [stored.join("\n")]);
    assert_eq!(app.texts("SELECT coalesce(url, '') FROM wellness_suggestions").await, [urls.join(",")]);
    assert_eq!(app.texts("SELECT emotion FROM facial_data").await, ["Sad"]);
    let listed = ada.get("/sessions/").await.assert_status(200).json[0].clone();
    assert_eq!(listed["dominant_emotion"], "sad");
    assert!(listed["suggestion"].as_str().is_some_and(|gist| lines[0].starts_with(gist)), "{listed}");
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn an_ended_session_accepts_another_emotion_and_keeps_its_end_time(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.ended_session().await;
    let end = ada.get(&format!("/sessions/{id}")).await.text_of("end_time");
    app.advance(5);
    process(&ada, id, "happy", "").await.assert_status(200);
    assert_eq!(ada.get(&format!("/sessions/{id}")).await.text_of("end_time"), end);
    assert_eq!(
        (app.row_count("wellness_suggestions").await, app.row_count("voice_data").await),
        (1, 0),
        "an empty text is not stored"
    );
}

async fn every_invalid_field_of_an_emotion_is_named_and_nothing_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let before = app.row_counts().await;
    let both = vec!["body.emotion", "body.voice_content"];
    for (body, named) in [
        (json!({}), both.clone()),
        (json!({ "emotion": "", "voice_content": null }), both.clone()),
        (json!({ "emotion": "   ", "voice_content": 7 }), both.clone()),
        (json!({ "emotion": "x".repeat(65), "voice_content": ["x"] }), both.clone()),
        (json!({ "emotion": "a\u{0}", "voice_content": "\u{0}" }), both),
        (json!({ "emotion": ["sad"], "voice_content": "" }), vec!["body.emotion"]),
        (json!([]), vec!["body"]),
    ] {
        assert_eq!(
            ada.post(&format!("/sessions/{id}/process_emotion"), body).await.assert_status(422).invalid_fields(),
            named
        );
    }
    assert_eq!(app.row_counts().await, before);
    assert!(ada.get(&format!("/sessions/{id}")).await.assert_status(200).json["end_time"].is_null());
}

async fn a_client_sends_one_detection_or_many(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let one = detect(&ada, id, json!({ "emotion": "happy", "confidence": 0.93 })).await.assert_status(201);
    assert_eq!(one.json["ids"], json!([one.json["id"]]));
    assert!(one.json.get("crisis").is_none(), "{}", one.text);
    let moment = |number: i64| format!("2026-11-23T08:{:02}:{:02}+08:00", number / 60 % 60, number % 60);
    let many: Vec<_> =
        (0..1000).map(|number| json!({ "emotion": format!("e{number}"), "timestamp": moment(number) })).collect();
    let ids = detect(&ada, id, json!(many)).await.assert_status(201).json["ids"].clone();
    let ids: Vec<_> = ids.as_array().expect("keys").iter().map(|id| id.as_i64().expect("a key")).collect();
    assert_eq!(ids.len(), 1000);
    for number in [0, 1, 499, 998, 999] {
        let sql = format!("SELECT emotion FROM facial_data WHERE detection_id = {}", ids[number]);
        assert_eq!(app.texts(&sql).await, [format!("e{number}")]);
    }
    assert_eq!(app.row_count("emotion_detections").await, 1001);
    assert_eq!(app.number("SELECT count(*) FROM detection_details WHERE confidence > 0.92").await, 1);
    assert!(
        ada.get(&format!("/sessions/{id}")).await.assert_status(200).json["end_time"].is_null(),
        "the session stays open"
    );
}

async fn every_invalid_detection_is_named_by_its_index_and_nothing_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let before = app.row_counts().await;
    let soon = app.env.clock.now() + std::time::Duration::from_secs(6 * 60);
    let mut many = vec![json!({ "emotion": "happy" }); 30];
    many[3] = json!({ "emotion": "", "confidence": 1.5 });
    many[17] = json!({ "emotion": "x".repeat(65), "timestamp": soon.to_string() });
    many[18] = json!({ "emotion": "sad", "timestamp": "1999-12-31T23:59:59Z", "voice_content": 7 });
    many[19] = json!({ "emotion": "sad", "timestamp": "2026-11-23T08:00:00", "confidence": "high" });
    many[29] = json!("happy");
    let named = [
        "body.3.emotion",
        "body.3.confidence",
        "body.17.emotion",
        "body.17.timestamp",
        "body.18.voice_content",
        "body.18.timestamp",
        "body.19.confidence",
        "body.19.timestamp",
        "body.29",
    ];
    assert_eq!(detect(&ada, id, json!(many)).await.assert_status(422).invalid_fields(), named);
    for (body, named) in [
        (json!([]), "body"),
        (json!(vec![json!({ "emotion": "happy" }); 1001]), "body"),
        (json!({}), "body.emotion"),
        (json!("happy"), "body"),
        (json!({ "emotion": "x", "voice_content": "a\u{0}" }), "body.voice_content"),
    ] {
        assert_eq!(detect(&ada, id, body).await.assert_status(422).invalid_fields(), [named]);
    }
    assert_eq!(app.row_counts().await, before);
    let almost = app.env.clock.now() + std::time::Duration::from_secs(4 * 60);
    detect(&ada, id, json!({ "emotion": "happy", "timestamp": almost.to_string() })).await.assert_status(201);
}

async fn an_emotion_is_stored_as_sent(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let names = [" HaPPy ", "má saya 🙂", &"é".repeat(64), "x'); DROP TABLE users; --"];
    for name in names {
        detect(&ada, id, json!({ "emotion": name })).await.assert_status(201);
    }
    assert_eq!(app.texts("SELECT emotion FROM facial_data ORDER BY id").await, names);
}

async fn voice_texts_are_stored_encrypted(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.env.forbid_in_log(SAID);
    let id = ada.start_session().await;
    detect(&ada, id, json!([{ "emotion": "sad", "voice_content": SAID }, { "emotion": "sad" }]))
        .await
        .assert_status(201);
    process(&ada, id, "sad", SAID).await.assert_status(200);
    let stored = app.texts("SELECT content FROM voice_data").await;
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|text| text.starts_with("sealed:v1:test:") && !text.contains("sleep")), "{stored:?}");
    assert_ne!(stored[0], stored[1]);
}

async fn a_text_about_suicide_is_answered_with_hotlines(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let text = "I want to kill myself";
    app.env.forbid_in_log(text);
    let many = json!([{ "emotion": "calm" }, { "emotion": "sad", "voice_content": text }]);
    let streamed = detect(&ada, id, many).await.assert_status(201);
    let crisis = streamed.json["crisis"].clone();
    let processed = process(&ada, id, "sad", text).await.assert_status(200);
    assert_eq!((&crisis["suggestions"], &crisis["urls"]), (&processed.json["suggestions"], &processed.json["urls"]));
    let lines = processed.json["suggestions"].to_string();
    assert!(lines.contains("1553"), "the hotline: {lines}");
    let calm = process(&ada, ada.start_session().await, "happy", "a good day").await.assert_status(200);
    assert_ne!(calm.json["suggestions"], processed.json["suggestions"]);
    let names = ["emotion.detected", "emotion.detected", "emotion.crisis", "emotion.detected", "emotion.crisis"];
    let names = [&["user.registered", "user.verified", "session.started"], &names[..], &["session.ended"]].concat();
    let names = [&names[..], &["session.started", "emotion.detected", "session.ended"]].concat();
    let events = app.events_of(ada.id, &names).await;
    assert_eq!(events[5].json["data"]["detection_id"], streamed.json["ids"][1]);
    assert!(events.iter().all(|event| !event.json.to_string().contains("kill")));
}

async fn an_ended_session_accepts_detections_from_before_its_end(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let before = app.env.clock.now().to_string();
    app.advance(10);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    app.advance(10);
    detect(&ada, id, json!({ "emotion": "late", "timestamp": before })).await.assert_status(201);
    let refused = detect(&ada, id, json!([{ "emotion": "late", "timestamp": before }, { "emotion": "now" }]))
        .await
        .assert_status(409);
    assert_eq!(refused.kind(), "session-ended");
    assert_eq!(app.row_count("emotion_detections").await, 1, "all or none");
}

async fn the_session_of_another_user_accepts_no_detections(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let id = ada.start_session().await;
    let before = app.row_counts().await;
    for id in [id, 4_000_000] {
        process(&bob, id, "sad", SAID).await.assert_status(404);
        detect(&bob, id, json!({ "emotion": "sad" })).await.assert_status(404);
    }
    let body = json!({ "emotion": "sad", "voice_content": "" });
    app.client().post(&format!("/sessions/{id}/process_emotion"), body.clone()).await.assert_status(401);
    app.client().post(&format!("/sessions/{id}/detections"), body.clone()).await.assert_status(401);
    for id in ["0", "-1", "abc", "99999999999999999999"] {
        let bad = ada.post(&format!("/sessions/{id}/process_emotion"), body.clone()).await.assert_status(422);
        assert_eq!(bad.invalid_fields(), ["path.id"]);
        assert_eq!(stream_at(&ada, id, body.clone()).await, ["path.id"]);
    }
    assert_eq!(app.row_counts().await, before);
    assert!(ada.get(&format!("/sessions/{id}")).await.assert_status(200).json["end_time"].is_null());
}

async fn stream_at(person: &Person, id: &str, body: Value) -> Vec<String> {
    person.post(&format!("/sessions/{id}/detections"), body).await.assert_status(422).invalid_fields()
}

async fn concurrent_detections_get_their_own_ids(app: &TestApp) {
    let people = [app.verified("ada").await, app.verified("bob").await];
    let calls = (0..60).map(|number| {
        let person = people[number % 2].clone();
        async move {
            let id = person.start_session().await;
            let many: Vec<_> = (0..10).map(|nth| json!({ "emotion": format!("{id}-{nth}") })).collect();
            let ids = detect(&person, id, json!(many)).await.assert_status(201).json["ids"].clone();
            process(&person, id, "done", "").await.assert_status(200);
            (id, ids)
        }
    });
    for (id, ids) in concurrently(calls).await {
        let keys: Vec<_> = ids.as_array().expect("keys").iter().map(Value::to_string).collect();
        let sql = "SELECT f.emotion FROM facial_data f JOIN emotion_detections d ON d.id = f.detection_id";
        let own = format!("{sql} WHERE d.session_id = {id} AND d.id IN ({}) ORDER BY d.id", keys.join(","));
        assert_eq!(app.texts(&own).await, (0..10).map(|nth| format!("{id}-{nth}")).collect::<Vec<_>>());
    }
    assert_eq!((app.row_count("emotion_detections").await, app.row_count("wellness_suggestions").await), (660, 60));
}

async fn recorded(app: &TestApp) -> Vec<i64> {
    let mut rows = Vec::new();
    for table in RECORDED {
        rows.push(app.row_count(table).await);
    }
    rows
}

/// A session with every kind of record.
async fn full_session(person: &Person) -> i64 {
    let id = person.start_session().await;
    detect(person, id, json!({ "emotion": "sad", "confidence": 1, "voice_content": SAID })).await.assert_status(201);
    process(person, id, "happy", SAID).await.assert_status(200);
    person
        .post(&format!("/sessions/{id}/feedback"), json!({ "comment": "fine", "rating": 5 }))
        .await
        .assert_status(201);
    id
}

async fn deleting_a_session_deletes_what_was_recorded_in_it(app: &TestApp) {
    let ada = app.verified("ada").await;
    full_session(&ada).await;
    let before = recorded(app).await;
    let id = full_session(&ada).await;
    assert!(recorded(app).await.iter().zip(&before).all(|(now, then)| *now == 2 * then && *then > 0));
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    assert_eq!(recorded(app).await, before);
}

async fn deleting_a_user_deletes_what_they_recorded(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    full_session(&bob).await;
    let before = recorded(app).await;
    full_session(&ada).await;
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    assert_eq!(recorded(app).await, before);
}

async fn events_hold_the_emotion_and_not_the_voice_text(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let timestamp = "2026-11-20T08:00:00+00:00";
    let own = json!({ "emotion": "my mother's voice", "voice_content": SAID });
    let one = detect(&ada, id, json!([{ "emotion": " HAPPY ", "timestamp": timestamp }, own])).await.assert_status(201);
    process(&ada, id, "Sad", SAID).await.assert_status(200);
    let names = ["user.registered", "user.verified", "session.started", "emotion.detected", "emotion.detected"];
    let events = app.events_of(ada.id, &[&names[..], &["emotion.detected", "session.ended"]].concat()).await;
    let expected = json!({
        "user_id": ada.id, "session_id": id, "detection_id": one.json["ids"][0], "emotion": "happy", "timestamp": timestamp,
    });
    assert_eq!(events[3].json["data"], expected);
    assert_eq!(
        (&events[4].json["data"]["emotion"], &events[5].json["data"]["emotion"]),
        (&json!("other"), &json!("sad"))
    );
    for event in &events[3..] {
        let text = event.json.to_string();
        assert!(!text.contains("mother") && !text.contains("sleep"), "{text}");
        assert_eq!(event.json["subject"], format!("session/{id}"));
        assert_eq!(event.subject, format!("faceofmind.v1.{}.{}", event.name(), ada.id));
    }
}

async fn a_user_who_sent_the_daily_share_waits_and_others_do_not(app: &TestApp) {
    let (ada, eve) = (app.verified("ada").await, app.verified("eve").await);
    let (own, of_eve) = (ada.start_session().await, eve.start_session().await);
    // A body of 53 of 65.5 KB counts eight times in ten.
    let detections: Vec<_> =
        (0..6).map(|_| json!({ "emotion": "sad", "voice_content": "calm night".repeat(880) })).collect();
    let (mut recorded, mut refused) = (0, None);
    while refused.is_none() && recorded < 60 {
        let response = detect(&ada, own, json!(detections)).await;
        if response.status == 201 { recorded += 1 } else { refused = Some(response.assert_status(429)) }
    }
    let refused = refused.expect("the share has an end");
    assert_eq!(refused.text_of("type"), "/problems/too-many-attempts");
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((80_000..=86_400).contains(&wait), "{wait}");
    assert!(recorded >= 16, "{recorded}");
    detect(&eve, of_eve, json!(detections)).await.assert_status(201);
    ada.get(&format!("/sessions/{own}/history")).await.assert_status(200);
}

/// 900,000 bytes: nearly what a body may have.
async fn a_whole_consultation_is_stored_and_searched_to_its_end(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calm = "Und dann bin ich nach Hause gegangen. ".repeat(900_000 / 38);
    let id = ada.start_session().await;
    let plain = process(&ada, id, "calm", &calm).await.assert_status(200);
    assert_eq!(plain.text_of("voice_content"), calm);
    let alarming = format!("{calm} I want to kill myself");
    let answered = process(&ada, id, "sad", &alarming).await.assert_status(200);
    assert_ne!(answered.json["suggestions"], plain.json["suggestions"]);
    assert!(answered.json["suggestions"].to_string().contains("findahelpline.com"), "{}", answered.json["suggestions"]);
    let other = ada.start_session().await;
    let detected = detect(&ada, other, json!([{ "emotion": "sad", "voice_content": alarming }])).await;
    assert!(detected.assert_status(201).json["crisis"].is_object());
    for (session, texts) in [(id, vec![&calm, &alarming]), (other, vec![&alarming])] {
        let history = ada.get(&format!("/sessions/{session}/history")).await.assert_status(200);
        let stored = history.json["emotion_detections"].as_array().expect("a list");
        let stored: Vec<_> = stored.iter().map(|detection| detection["voice_data"]["content"].clone()).collect();
        assert!(stored == texts.into_iter().map(|text| json!(text)).collect::<Vec<_>>(), "every text is whole");
    }
    let export = ada.get("/users/me/export").await.assert_status(200);
    assert!(
        export.text.contains(&alarming)
            && export.json["emotion_detections"].as_array().is_some_and(|all| all.len() == 3)
    );
}
