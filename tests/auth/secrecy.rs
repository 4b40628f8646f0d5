//! A stranger does not learn which addresses have accounts by registering an address and logging in to it.

use reqwest::Method;
use serde_json::json;

use super::register::{record_queued_mails, work};
use crate::harness::{Person, Response, TestApp, eventually, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    registering_and_logging_in_answers_alike_for_known_and_new_addresses,
    the_password_of_the_newest_registration_alone_is_recognised,
    a_registration_of_a_known_address_lapses_with_those_of_new_ones,
    the_owners_password_wins_over_that_of_a_registration,
    a_registration_of_a_suspended_account_is_like_one_of_a_new_one,
    the_password_of_a_registration_is_not_the_current_password,
    guesses_at_a_reset_code_answer_alike_for_known_and_unknown_addresses,
}

tests_on_production! {
    a_redis_that_refuses_writes_answers_alike_for_known_and_unknown_addresses,
}

/// A stranger who types an address with a password of their own.
fn stranger_at(app: &TestApp, email: &str) -> Person {
    Person { email: email.to_owned(), ..app.person("eve") }
}

/// What a stranger sees of a response.
fn seen(response: &Response) -> (u16, String, Vec<String>) {
    let headers = response.headers.keys().map(ToString::to_string).collect();
    (response.status, response.redacted(), headers)
}

async fn registering_and_logging_in_answers_alike_for_known_and_new_addresses(app: &TestApp) {
    let owner = app.verified("ada").await;
    record_queued_mails(app).await;
    let mut stories = Vec::new();
    for email in [owner.email.clone(), app.person("bob").email] {
        let stranger = stranger_at(app, &email);
        let mut story = vec![(seen(&stranger.using(app.client()).log_in().await), [0; 2])];
        let registered = stranger.register().await.assert_status(201);
        story.push((seen(&registered).clone(), [0; 2]));
        let right = (0..11).map(|_| stranger.password.clone());
        let wrong = (0..10).map(|_| "not the password".to_owned());
        for password in right.chain(wrong).chain([stranger.password.clone()]) {
            let before = work(app).await;
            let response = stranger.log_in_with(&password).await;
            let after = work(app).await;
            let mut seen = seen(&response);
            seen.1 = seen.1.replace(&email, "");
            story.push((seen, [after[0] - before[0], after[1] - before[1]]));
        }
        stories.push(story);
    }
    let statuses: Vec<_> = stories[0].iter().map(|((status, ..), cost)| (*status, *cost)).collect();
    assert_eq!(statuses[..3], [(401, [0; 2]), (201, [0; 2]), (400, [2, 1])], "two hashes and a mail");
    assert_eq!(statuses[13..], [[(401, [2, 0]); 10].as_slice(), &[(429, [0; 2])]].concat());
    assert_eq!(stories[0], stories[1]);
    owner.log_in().await.assert_status(200);
}

async fn the_password_of_the_newest_registration_alone_is_recognised(app: &TestApp) {
    let owner = app.verified("ada").await;
    for email in [owner.email.clone(), app.person("bob").email] {
        let (first, second) = (stranger_at(app, &email), stranger_at(app, &email));
        first.register().await.assert_status(201);
        first.log_in().await.assert_status(400);
        second.register().await.assert_status(201);
        first.log_in().await.assert_status(401);
        second.log_in().await.assert_status(400);
    }
}

async fn a_registration_of_a_known_address_lapses_with_those_of_new_ones(app: &TestApp) {
    let (owner, newcomer) = (app.verified("ada").await, app.person("bob"));
    let strangers = [&owner, &newcomer].map(|person| stranger_at(app, &person.email));
    for stranger in &strangers {
        stranger.register().await.assert_status(201);
    }
    app.advance(30 * 24 * 60 - 10);
    let app = app.restarted(&[]).await;
    for stranger in &strangers {
        stranger.using(app.client()).log_in().await.assert_status(400);
    }
    app.advance(11);
    let app = app.restarted(&[]).await;
    for stranger in strangers.map(|stranger| stranger.using(app.client())) {
        eventually("the registration lapses", async || (stranger.log_in().await.status == 401).then_some(())).await;
    }
    owner.using(app.client()).log_in().await.assert_status(200);
    app.stop().await;
}

async fn the_owners_password_wins_over_that_of_a_registration(app: &TestApp) {
    let owner = app.verified("ada").await;
    let stranger = Person { password: owner.password.clone(), ..stranger_at(app, &owner.email) };
    stranger.register().await.assert_status(201);
    owner.log_in().await.assert_status(200);
    stranger_at(app, &owner.email).register().await.assert_status(201);
    owner.log_in().await.assert_status(200);
}

async fn a_registration_of_a_suspended_account_is_like_one_of_a_new_one(app: &TestApp) {
    let (admin, owner) = (app.admin().await, app.verified("ada").await);
    admin.patch(&format!("/users/{}/suspend", owner.id)).await.assert_status(200);
    let stranger = stranger_at(app, &owner.email);
    stranger.register().await.assert_status(201);
    stranger.log_in().await.assert_status(400);
    owner.log_in().await.assert_status(403);
}

async fn the_password_of_a_registration_is_not_the_current_password(app: &TestApp) {
    let owner = app.verified("ada").await;
    let stranger = stranger_at(app, &owner.email);
    stranger.register().await.assert_status(201);
    let change = json!({ "current_password": stranger.password, "new_password": "a new and longer word" });
    for _ in 0..10 {
        owner.post("/auth/change-password", change.clone()).await.assert_status(400);
    }
    owner.post("/auth/change-password", change).await.assert_status(429);
}

/// A code is issued for an unknown address too. It is not sent.
async fn guesses_at_a_reset_code_answer_alike_for_known_and_unknown_addresses(app: &TestApp) {
    let owner = app.verified("ada").await;
    let mut stored = Vec::new();
    for email in [owner.email.clone(), app.person("bob").email] {
        let stranger = stranger_at(app, &email);
        for _ in 0..3 {
            stranger.request_password_reset().await.assert_status(202);
        }
        app.wait_until_mailed().await;
        stored.push(app.stored_codes().await.len());
    }
    assert_eq!(stored[1], 2 * stored[0], "as many for each, within the quota");
}

async fn a_redis_that_refuses_writes_answers_alike_for_known_and_unknown_addresses(app: &TestApp) {
    let known = app.register("ada").await;
    app.mail_to(&known.email).await;
    let url = app.env.redis().expect("a Redis");
    let user = format!("reader{}", std::process::id());
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let rules = ["reset", "on", ">word", "~*", "+@all", "-@write"];
    let () = redis::cmd("ACL").arg("SETUSER").arg(&user).arg(&rules).query_async(&mut connection).await.expect("set");
    let restricted = url.replacen("redis://", &format!("redis://{user}:word@"), 1);
    app.allow_failures();
    let node = app.another_node(&[("REDIS_URL", &restricted)]).await;
    for person in [known, app.person("bob")] {
        let person = person.using(node.client());
        person.verify("000000").await.assert_status(503);
        person.reset_password("000000", "a new and longer word").await.assert_status(503);
    }
    node.client().call(Method::GET, "/health").send().await.assert_status(200);
    node.stop().await;
}
