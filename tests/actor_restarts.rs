//! An actor that panics while requests run is restarted. An actor that keeps panicking ends the service.

use faceofmind_runtime::ActorState;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Person, TestApp, concurrently, eventually, logs, tests_on_both_profiles};

tests_on_both_profiles! {
    a_user_registry_that_panics_is_restarted_while_requests_run,
    a_login_registry_that_panics_is_restarted_while_requests_run,
    a_session_tracker_that_panics_is_restarted_while_requests_run,
    a_community_that_panics_is_restarted_while_requests_run,
    an_otp_actor_that_panics_is_restarted_while_requests_run,
    a_rate_limiter_that_panics_is_restarted_while_requests_run,
    a_password_hasher_that_panics_is_restarted_while_requests_run,
    a_mailer_that_panics_is_restarted_and_no_mail_is_lost,
    a_publisher_that_panics_is_restarted_and_no_event_is_lost,
    an_actor_that_keeps_panicking_ends_the_service,
    every_actor_reports_its_status,
}

/// Sends requests of every kind while each of these actors panics, and asserts that every response is a success, a 503, or the 504 of a write
/// whose outcome the panic hides.
async fn panic_under_load(app: &TestApp, actors: &[&'static str]) {
    app.allow_restarts();
    let people = [app.verified("ada").await, app.verified("bob").await];
    for actor in actors {
        let before = restarts(app, actor);
        let calls = (0..48)
            .map(|number| requests_of_a_client((people[number % 2].clone(), app.client()), number, app.tree(), actor));
        for answers in concurrently(calls).await {
            for (request, status) in answers {
                assert!([200, 201, 202, 503, 504].contains(&status), "{actor}: {request} answered {status}");
            }
        }
        eventually("the actor is restarted", async || (restarts(app, actor) > before && all_run(app)).then_some(()))
            .await;
        for person in &people {
            let person = eventually("a login succeeds", async || {
                let response = person.log_in().await;
                (response.status == 200).then(|| person.with_tokens(&response))
            })
            .await;
            let id = person.start_session().await;
            person.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
        }
    }
    let stored = app.row_count("sessions").await;
    let counted: i64 = {
        let mut sum = 0;
        for person in &people {
            sum += person.log_in_again().await.get("/sessions/count").await.assert_status(200).number_of("count");
        }
        sum
    };
    assert_eq!(stored, counted);
}

/// One request of each kind. The client with number 24 makes the actor panic first.
async fn requests_of_a_client(
    (person, client): (Person, Client),
    number: usize,
    tree: faceofmind_runtime::SupervisorHandle,
    actor: &'static str,
) -> Vec<(&'static str, u16)> {
    if number == 24 {
        tree.child(actor).expect("an actor of that name").panic();
    }
    let body = json!({ "email": person.email });
    // Each login counts against the limit of its client IP until its password is known to be right.
    let from_another_ip = person.using(client);
    vec![
        ("start", person.post("/sessions/", json!({})).await.status),
        ("me", person.get("/auth/me").await.status),
        ("list", person.get("/sessions/").await.status),
        ("read", person.get("/posts/").await.status),
        ("log in", from_another_ip.log_in().await.status),
        ("ask for a reset", person.client.post("/auth/request-password-reset", body).await.status),
    ]
}

fn restarts(app: &TestApp, actor: &str) -> u64 {
    row(app, actor).restarts
}

fn row(app: &TestApp, actor: &str) -> faceofmind_runtime::ChildStatus {
    app.tree().snapshot().into_iter().find(|row| row.name == actor).expect("an actor of that name")
}

fn all_run(app: &TestApp) -> bool {
    app.tree().snapshot().iter().all(|row| row.state == ActorState::Running)
}

async fn a_user_registry_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["user_registry"]).await;
}

async fn a_login_registry_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["logins"]).await;
    let row = row(app, "logins");
    assert!(row.last_cause.as_ref().is_some_and(|cause| cause.contains("a test asked for this panic")), "{row:?}");
    assert!(
        logs::contain(&["actor failed; it restarts after the delay", "logins", "a test asked for this panic"]),
        "the log names the cause"
    );
}

async fn a_session_tracker_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["session_tracker"]).await;
}

async fn a_community_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["community"]).await;
}

async fn an_otp_actor_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["otp"]).await;
    let carol = app.register("carol").await;
    let code = app.mail_to(&carol.email).await.code();
    carol.verify(&code).await.assert_status(200);
}

async fn a_rate_limiter_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["limiter"]).await;
}

async fn a_password_hasher_that_panics_is_restarted_while_requests_run(app: &TestApp) {
    panic_under_load(app, &["hasher"]).await;
}

async fn a_mailer_that_panics_is_restarted_and_no_mail_is_lost(app: &TestApp) {
    app.allow_restarts();
    let people: Vec<_> = (0..12).map(|_| app.person("ada")).collect();
    for (number, person) in people.iter().enumerate() {
        person.register().await.assert_status(201);
        if number == 6 {
            app.tree().child("mailer").expect("a mailer").panic();
        }
    }
    eventually("the actor is restarted", async || (restarts(app, "mailer") == 1 && all_run(app)).then_some(())).await;
    // The jobs that the mailer had claimed when it panicked are free again when the claim expires.
    app.advance(3);
    for person in &people {
        app.mail_to(&person.email).await.code();
    }
}

async fn a_publisher_that_panics_is_restarted_and_no_event_is_lost(app: &TestApp) {
    app.allow_restarts();
    let ada = app.verified("ada").await;
    for number in 0..20 {
        ada.start_session().await;
        if number == 10 {
            app.tree().child("publisher").expect("a publisher").panic();
        }
    }
    eventually("the actor is restarted", async || (restarts(app, "publisher") == 1 && all_run(app)).then_some(()))
        .await;
    let names = [vec!["user.registered", "user.verified"], vec!["session.started"; 20]].concat();
    let events = app.events_of(ada.id, &names).await;
    let mut ids: Vec<_> = events.iter().map(|event| event.json["id"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 22, "each event once");
}

/// More restarts within the window than the restart policy allows: the supervisor escalates, and the program exits.
async fn an_actor_that_keeps_panicking_ends_the_service(app: &TestApp) {
    app.allow_restarts();
    let mut tree = app.tree();
    let ada = app.verified("ada").await;
    for _ in 0..6 {
        eventually("the actor runs", async || (row(app, "session_tracker").state == ActorState::Running).then_some(()))
            .await;
        let before = row(app, "session_tracker").restarts;
        tree.child("session_tracker").expect("a session tracker").panic();
        eventually("the actor ends", async || {
            let row = row(app, "session_tracker");
            (row.restarts > before || row.state == ActorState::Escalated).then_some(())
        })
        .await;
    }
    assert_eq!(tree.escalated().await, "session_tracker");
    assert_eq!(row(app, "session_tracker").state, ActorState::Escalated);
    assert!(logs::contain(&["actor failed too often and escalated", "session_tracker"]));
    ada.post("/sessions/", json!({})).await.assert_status(503);
    assert!(ada.is_logged_in().await, "the other actors work until the program exits");
}

async fn every_actor_reports_its_status(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.start_session().await;
    let names: Vec<_> = app.tree().children().iter().map(|child| child.name()).collect();
    for expected in [
        "user_registry",
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
    for child in app.tree().children() {
        let state = child.status().await.expect("a status");
        assert!(state.is_object(), "{}: {state}", child.name());
        for secret in [&ada.email, &ada.password, &ada.access, &ada.first_name] {
            assert!(!state.to_string().contains(secret), "{}: {state}", child.name());
        }
    }
    app.client().call(Method::GET, "/ready").send().await.assert_status(200);
}
