//! An actor that panics while requests run is started again; one that keeps panicking ends the service.

use faceofmind_kit::supervisor::State;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Person, TestApp, at_once, eventually, logs, stories};

stories! {
    a_registry_that_panics_is_restarted_while_requests_run,
    the_logins_that_panic_are_restarted_while_requests_run,
    a_session_tracker_that_panics_is_restarted_while_requests_run,
    a_community_that_panics_is_restarted_while_requests_run,
    codes_that_panic_are_restarted_while_requests_run,
    a_limiter_that_panics_is_restarted_while_requests_run,
    a_hasher_that_panics_is_restarted_while_requests_run,
    a_mailer_that_panics_is_restarted_and_no_mail_is_lost,
    a_publisher_that_panics_is_restarted_and_no_event_is_lost,
    an_actor_that_keeps_panicking_ends_the_service,
    every_actor_shows_its_status,
}

/// All that a person does, over and over, while an actor panics: each answer is a good one or a 503.
async fn disturbed(app: &TestApp, actors: &[&'static str]) {
    app.expect_restarts();
    let people = [app.verified("ada").await, app.verified("bob").await];
    for actor in actors {
        let before = restarts(app, actor);
        let calls = (0..48).map(|number| life((people[number % 2].clone(), app.client()), number, app.tree(), actor));
        for answers in at_once(calls).await {
            for (what, status) in answers {
                assert!([200, 201, 202, 503].contains(&status), "{actor}: {what} answered {status}");
            }
        }
        eventually("the restart", async || (restarts(app, actor) > before && all_run(app)).then_some(())).await;
        for person in &people {
            let person = eventually("a log-in", async || {
                let answer = person.log_in().await;
                (answer.status == 200).then(|| person.holding(&answer))
            })
            .await;
            let id = person.open_session().await;
            person.patch(&format!("/sessions/{id}/end")).await.is(200);
        }
    }
    let stored = app.rows("sessions").await;
    let counted: i64 = {
        let mut sum = 0;
        for person in &people {
            sum += person.logged_in().await.get("/sessions/count").await.is(200).number_of("count");
        }
        sum
    };
    assert_eq!(stored, counted);
}

/// One round of calls; the middle one lets the actor panic.
async fn life(
    (person, client): (Person, Client),
    number: usize,
    tree: faceofmind_kit::SupervisorHandle,
    actor: &'static str,
) -> Vec<(&'static str, u16)> {
    if number == 24 {
        tree.child(actor).expect("an actor of that name").panic();
    }
    let body = json!({ "email": person.email });
    // Guesses at once are limited by client address, and right ones are only given back once they are known.
    let elsewhere = person.from(client);
    vec![
        ("start", person.post("/sessions/", json!({})).await.status),
        ("me", person.get("/auth/me").await.status),
        ("list", person.get("/sessions/").await.status),
        ("read", person.get("/posts/").await.status),
        ("log in", elsewhere.log_in().await.status),
        ("ask for a reset", person.client.post("/auth/request-password-reset", body).await.status),
    ]
}

fn restarts(app: &TestApp, actor: &str) -> u64 {
    row(app, actor).restarts
}

fn row(app: &TestApp, actor: &str) -> faceofmind_kit::ChildStatus {
    app.tree().snapshot().into_iter().find(|row| row.name == actor).expect("an actor of that name")
}

fn all_run(app: &TestApp) -> bool {
    app.tree().snapshot().iter().all(|row| row.state == State::Running)
}

async fn a_registry_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["registry-0", "registry-3", "registry-7"]).await;
}

async fn the_logins_that_panic_are_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["logins"]).await;
    let row = row(app, "logins");
    assert!(row.last_cause.as_ref().is_some_and(|cause| cause.contains("a test asked for this panic")), "{row:?}");
    assert!(
        logs::tell(&["actor failed; it restarts after the delay", "logins", "a test asked for this panic"]),
        "the log tells why"
    );
}

async fn a_session_tracker_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["session_tracker"]).await;
}

async fn a_community_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["community"]).await;
}

async fn codes_that_panic_are_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["otp"]).await;
    let carol = app.register("carol").await;
    let code = app.mail_to(&carol.email).await.code();
    carol.verify(&code).await.is(200);
}

async fn a_limiter_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["limiter"]).await;
}

async fn a_hasher_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    disturbed(app, &["hasher"]).await;
}

async fn a_mailer_that_panics_is_restarted_and_no_mail_is_lost(app: &TestApp) {
    app.expect_restarts();
    let people: Vec<_> = (0..12).map(|_| app.person("ada")).collect();
    for (number, person) in people.iter().enumerate() {
        person.register().await.is(201);
        if number == 6 {
            app.tree().child("mailer").expect("it has a mailer").panic();
        }
    }
    eventually("the restart", async || (restarts(app, "mailer") == 1 && all_run(app)).then_some(())).await;
    // What the mailer held when it died is free again when its claim runs out.
    app.advance(3);
    for person in &people {
        app.mail_to(&person.email).await.code();
    }
}

async fn a_publisher_that_panics_is_restarted_and_no_event_is_lost(app: &TestApp) {
    app.expect_restarts();
    let ada = app.verified("ada").await;
    for number in 0..20 {
        ada.open_session().await;
        if number == 10 {
            app.tree().child("publisher").expect("it has a publisher").panic();
        }
    }
    eventually("the restart", async || (restarts(app, "publisher") == 1 && all_run(app)).then_some(())).await;
    let names = [vec!["user.registered", "user.verified"], vec!["session.started"; 20]].concat();
    let told = app.events_of(ada.id, &names).await;
    let mut ids: Vec<_> = told.iter().map(|event| event.json["id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 22, "none twice");
}

/// More restarts within the window than the policy allows: the supervisor escalates, and the program ends.
async fn an_actor_that_keeps_panicking_ends_the_service(app: &TestApp) {
    app.expect_restarts();
    let mut tree = app.tree();
    let ada = app.verified("ada").await;
    for _ in 0..6 {
        eventually("it to run", async || (row(app, "session_tracker").state == State::Running).then_some(())).await;
        let before = row(app, "session_tracker").restarts;
        tree.child("session_tracker").expect("it has one").panic();
        eventually("its end", async || {
            let row = row(app, "session_tracker");
            (row.restarts > before || row.state == State::Escalated).then_some(())
        })
        .await;
    }
    assert_eq!(tree.escalated().await, "session_tracker");
    assert_eq!(row(app, "session_tracker").state, State::Escalated);
    assert!(logs::tell(&["actor failed too often and escalated", "session_tracker"]));
    ada.post("/sessions/", json!({})).await.is(503);
    assert!(ada.is_logged_in().await, "the others go on until the program ends");
}

async fn every_actor_shows_its_status(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.open_session().await;
    let names: Vec<_> = app.tree().children().iter().map(|child| child.name()).collect();
    for expected in [
        "logins",
        "session_tracker",
        "community",
        "reminders",
        "exporter",
        "otp",
        "limiter",
        "mailer",
        "hasher",
        "publisher",
    ] {
        assert!(names.contains(&expected), "{expected} is not among {names:?}");
    }
    assert_eq!(names.iter().filter(|name| name.starts_with("registry-")).count(), 8);
    for child in app.tree().children() {
        let status = child.status().await.expect("the actor runs");
        assert!(status.is_object(), "{}: {status}", child.name());
        for secret in [&ada.email, &ada.password, &ada.access, &ada.first_name] {
            assert!(!status.to_string().contains(secret), "{}: {status}", child.name());
        }
    }
    app.client().call(Method::GET, "/ready").send().await.is(200);
}
