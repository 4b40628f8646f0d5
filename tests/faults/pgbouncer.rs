//! A pgbouncer in transaction mode between the service and PostgreSQL. It has six connections to the server for all clients.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    harness::{Person, Program, Response, Server, TestApp, TestEnv, concurrently, tests_on_production},
    variable,
};

tests_on_production! {
    two_nodes_write_and_read_at_once_through_pgbouncer,
    a_database_is_migrated_through_pgbouncer,
    without_the_setting_for_a_pooler_the_service_does_not_start,
}

const PEOPLE: usize = 12;
/// Sessions of each person.
const SESSIONS: usize = 8;
/// Detections in each request, and requests of each session.
const DETECTIONS: usize = 20;
/// A call is served within this time, with all its repeats.
const SERVED: Duration = Duration::from_secs(30);

/// The setting that leads a node to the test's database through pgbouncer.
fn database_url(app: &TestApp) -> String {
    let mut settings = app.env.environment(&[]).into_iter();
    let (_, url) = settings.find(|(name, _)| name == "DATABASE_URL").expect("the production profile has one");
    url.replace(&TestEnv::address_of(Server::Postgres), &variable("FOM_TEST_PGBOUNCER"))
}

async fn two_nodes_write_and_read_at_once_through_pgbouncer(app: &TestApp) {
    app.stop().await;
    let url = database_url(app);
    let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_STATEMENT_CACHE", "0")];
    let (one, other) = (app.another_node(&settings).await, app.another_node(&settings).await);
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let node = if number % 2 == 0 { &one } else { &other };
        people.push(node.verified("ada").await);
    }
    // Refusals, which `served` repeats. Every status is asserted.
    app.allow_failures();
    concurrently(people.iter().cloned().map(live)).await;
    for person in people {
        let exported = person.get("/users/me/export").await.assert_status(200);
        let count = |list: &str| exported.json[list].as_array().map(Vec::len);
        assert_eq!(count("sessions"), Some(SESSIONS));
        assert_eq!(count("emotion_detections"), Some(SESSIONS * DETECTIONS * 2));
        person.post("/auth/logout", json!({ "refresh_token": person.refresh })).await.assert_status(200);
    }
    app.wait_until_published().await;
    one.stop().await;
    other.stop().await;
}

/// Runs sessions at once, each with two requests at once, and reads between them.
async fn live(person: Person) {
    let sessions = (0..SESSIONS).map(|_| {
        let person = person.clone();
        async move {
            let id = served(|| person.post("/sessions/", json!({}))).await.assert_status(201).number_of("id");
            let path = format!("/sessions/{id}/detections");
            let batch = Value::from(vec![json!({ "emotion": "happy" }); DETECTIONS]);
            let detect = || async { served(|| person.post(&path, batch.clone())).await.assert_status(201) };
            tokio::join!(detect(), detect());
            served(|| person.get("/sessions/")).await.assert_status(200);
            served(|| person.log_in()).await.assert_status(200);
            let end = format!("/sessions/{id}/end");
            served(|| person.patch(&end)).await.assert_status(200);
        }
    });
    concurrently(sessions).await;
}

/// Sends a call until it is served, as a client has to: the service refuses what has waited for a second, and on a busy machine this load waits
/// longer. No call has an `Idempotency-Key`, so the counts of the story also show that a refused call wrote nothing.
async fn served<F: Future<Output = Response>>(call: impl Fn() -> F) -> Response {
    let deadline = Instant::now() + SERVED;
    loop {
        let response = call().await;
        if response.kind() != "unavailable" {
            return response;
        }
        assert!(Instant::now() < deadline, "{} is still refused after {SERVED:?}: {}", response.to, response.text);
        sleep(Duration::from_secs(response.header("retry-after").parse().expect("seconds"))).await;
    }
}

async fn a_database_is_migrated_through_pgbouncer(app: &TestApp) {
    app.stop().await;
    let url = database_url(app);
    let program = Program::in_env(&app.env, &[("DATABASE_URL", &url), ("DATABASE_STATEMENT_CACHE", "0")]);
    for _ in 0..3 {
        for line in [["migrate", "down", "--force"].as_slice(), &["migrate"], &["migrate", "--status"]] {
            let exited = program.run(line, "").await;
            assert_eq!(exited.code, Some(0), "{line:?}: {}", exited.errors);
        }
    }
}

async fn without_the_setting_for_a_pooler_the_service_does_not_start(app: &TestApp) {
    app.stop().await;
    let url = database_url(app);
    for line in ["serve", "migrate"] {
        let exited = Program::in_env(&app.env, &[("DATABASE_URL", &url)]).run(&[line], "").await;
        assert_eq!(exited.code, Some(1), "{}", exited.errors);
        assert!(exited.errors.contains("Set DATABASE_STATEMENT_CACHE=0"), "{}", exited.errors);
    }
}
