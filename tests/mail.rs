//! The mails: their texts, their headers, and when they are sent.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Mail, Server, TestApp, eventually, logs, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    every_mail_contains_its_required_texts,
    a_code_is_mailed_to_its_address_only,
    a_mail_contains_no_secret_but_its_code,
    a_mail_is_written_in_the_language_of_the_registration,
    a_changed_language_applies_to_the_next_mail,
    the_log_of_a_mail_names_the_request_that_caused_it,
    a_name_that_is_a_message_is_not_mailed,
}

tests_on_production! {
    without_redis_a_code_waits_and_is_sent_soon_after_it_returns,
    a_mail_that_could_not_be_sent_is_sent_later,
}

fn assert_well_formed(mail: &Mail, email: &str) {
    assert_eq!(mail.to, email);
    assert!(!mail.from.is_empty() && !mail.subject.is_empty());
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert!(mail.message_id.contains('@'), "{}", mail.message_id);
    assert!(mail.header("date").len() > 10 && !mail.header("mime-version").is_empty());
    assert!(mail.raw.contains("multipart/alternative") && mail.raw.contains("text/plain"), "{}", mail.raw);
    assert!(mail.html.contains("<html"), "{}", mail.html);
    assert!(!mail.html.contains("src=") && !mail.html.contains("http"), "the mail loads nothing: {}", mail.html);
    assert!(!mail.subject.chars().any(|c| c.is_ascii_digit()), "a lock screen shows subjects: {}", mail.subject);
}

async fn every_mail_contains_its_required_texts(app: &TestApp) {
    let ada = app.register("ada").await;
    let welcome = app.mail_to(&ada.email).await;
    let code = welcome.code();
    assert!(welcome.text.contains("Ada Lovelace") && welcome.text.contains("5 minutes"), "{}", welcome.text);
    assert!(welcome.html.contains(&code), "{}", welcome.html);
    ada.verify(&code).await.assert_status(200);
    let ada = ada.log_in_again().await;

    ada.register().await.assert_status(201);
    let known = app.mail_to(&ada.email).await;
    assert!(known.has_no_code() && known.text.contains("already have an account"), "{}", known.text);

    ada.request_password_reset().await.assert_status(202);
    let reset = app.mail_to(&ada.email).await;
    assert!(reset.text.contains("new password") && reset.html.contains(&reset.code()), "{}", reset.text);

    ada.reset_password(&reset.code(), "a new and longer word").await.assert_status(200);
    let changed = app.mail_to(&ada.email).await;
    assert!(changed.has_no_code() && changed.text.contains("was changed"), "{}", changed.text);

    let body = json!({ "email": ada.email, "password": "a new and longer word" });
    ada.client
        .api(Method::POST, "/auth/login")
        .header("user-agent", "Another phone")
        .json(&body)
        .send()
        .await
        .assert_status(200);
    let device = app.mail_to(&ada.email).await;
    assert!(device.has_no_code() && device.text.contains("Another phone"), "{}", device.text);

    let mails = [welcome, known, reset, changed, device];
    mails.iter().for_each(|mail| assert_well_formed(mail, &ada.email));
    let mut ids: Vec<_> = mails.iter().map(|mail| mail.message_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), mails.len());
}

async fn a_code_is_mailed_to_its_address_only(app: &TestApp) {
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let (to_ada, to_bob) = (app.mail_to(&ada.email).await, app.mail_to(&bob.email).await);
    assert!(!to_ada.raw.contains(&bob.email) && !to_bob.raw.contains(&ada.email));
    if to_ada.code() != to_bob.code() {
        bob.verify(&to_ada.code()).await.assert_status(400);
    }
    ada.verify(&to_ada.code()).await.assert_status(200);
    app.expect_no_mail_to(&ada.email).await;
    app.expect_no_mail_to(&bob.email).await;
}

async fn a_mail_contains_no_secret_but_its_code(app: &TestApp) {
    let ada = app.register("ada").await;
    let mail = app.mail_to(&ada.email).await;
    assert!(!mail.raw.contains(&ada.password));
    assert!(!mail.raw.contains(&ada.client.ip), "the mail does not contain the client IP");
}

/// A phone set to Cebuano, which has no translation, then to Tagalog, the older name of Filipino.
async fn a_mail_is_written_in_the_language_of_the_registration(app: &TestApp) {
    let ada = app.person("ada");
    let registering = ada.client.api(Method::POST, "/auth/register").json(&ada.registration());
    registering.header("accept-language", "en;q=0.5, ceb-PH, tl;q=0.9").send().await.assert_status(201);
    let welcome = app.mail_to(&ada.email).await;
    assert!(welcome.text.contains("Maligayang pagdating") && welcome.text.contains("5 minuto"), "{}", welcome.text);
    assert!(welcome.html.contains(&welcome.code()) && welcome.html.contains("lang=\"fil\""), "{}", welcome.html);
    assert_eq!(welcome.header("content-language"), "fil");
    assert_well_formed(&welcome, &ada.email);
    ada.verify(&welcome.code()).await.assert_status(200);
    ada.request_password_reset().await.assert_status(202);
    let reset = app.mail_to(&ada.email).await;
    assert!(reset.text.contains("bagong password") && !reset.code().is_empty(), "{}", reset.text);
}

async fn a_changed_language_applies_to_the_next_mail(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (language, greeting) in [("fil-PH", "Kumusta Ada,"), ("en-PH", "Hello Ada,")] {
        ada.put(&format!("/users/{}", ada.id), json!({ "language": language })).await.assert_status(200);
        let asking = ada.client.api(Method::POST, "/auth/request-password-reset").header("accept-language", "de");
        asking.json(&json!({ "email": ada.email })).send().await.assert_status(202);
        let mail = app.mail_to(&ada.email).await;
        assert!(mail.text.contains(greeting), "{}", mail.text);
    }
}

async fn a_mail_that_could_not_be_sent_is_sent_later(app: &TestApp) {
    app.stop().await;
    let (node, proxy) = app.node_behind_proxy(Server::Smtp, &[]).await;
    proxy.cut();
    let ada = node.register("ada").await;
    eventually("the first attempt fails", async || {
        (node.number("SELECT count(*) FROM mail_intents WHERE last_error IS NOT NULL").await == 1).then_some(())
    })
    .await;
    let ready = node.client().call(Method::GET, "/ready").send().await.assert_status(200);
    assert_eq!((&ready.json["status"], &ready.json["mail"]), (&json!("degraded"), &json!("down")));
    let errors = node.texts("SELECT last_error FROM mail_intents").await;
    assert!(!errors[0].contains(&ada.email), "{errors:?}");
    proxy.restore();
    // The code is issued when the mail is sent, so its five minutes begin after the outage.
    node.advance(1);
    let code = node.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    node.stop().await;
}

/// Sent at the same time, each mail may be begun by the end of another.
async fn the_log_of_a_mail_names_the_request_that_caused_it(app: &TestApp) {
    let people: Vec<_> = (0..12).map(|_| app.person("ada")).collect();
    let registering = people.iter().map(|person| {
        let request = person.client.api(Method::POST, "/auth/register").json(&person.registration());
        request.header("x-request-id", &format!("mail-of-{}", person.email.replace('@', "."))).send()
    });
    for registered in futures_util::future::join_all(registering).await {
        registered.assert_status(201);
    }
    for person in &people {
        let mail = app.mail_to(&person.email).await;
        let id = mail.message_id.trim_start_matches('<').split('@').next().expect("an id").to_owned();
        let own = format!("mail-of-{}", person.email.replace('@', "."));
        eventually("the log has the mail", async || logs::contain(&["mail sent", &id]).then_some(())).await;
        assert!(logs::contain(&["mail sent", &id, &own]), "the mail is logged under its own request");
        for other in people.iter().filter(|other| other.email != person.email) {
            let others = format!("mail-of-{}", other.email.replace('@', "."));
            assert!(!logs::contain(&["mail sent", &id, &others]), "and under no other");
        }
    }
}

async fn a_name_that_is_a_message_is_not_mailed(app: &TestApp) {
    for name in ["evil.example", "evil。example", "Call this number", "0917 123 4567"] {
        let ada = app.person("ada");
        let mut registration = ada.registration();
        registration["first_name"] = json!(name);
        registration["last_name"] = json!("Now");
        ada.client.api(Method::POST, "/auth/register").json(&registration).send().await.assert_status(201);
        let mail = app.mail_to(&ada.email).await;
        assert!(!mail.text.contains("Now") && !mail.html.contains("Now"), "{}", mail.text);
        assert!(!mail.code().is_empty(), "it is mailed all the same");
    }
}

async fn without_redis_a_code_waits_and_is_sent_soon_after_it_returns(app: &TestApp) {
    app.stop().await;
    let (node, proxy) = app.node_behind_proxy(Server::Redis, &[]).await;
    proxy.cut();
    let ada = node.person("ada");
    ada.register().await.assert_status(201);
    eventually("several attempts fail", async || {
        (node.number("SELECT count(*) FROM mail_intents WHERE last_error IS NOT NULL").await == 1).then_some(())
    })
    .await;
    // As after a long outage: the next turn is far.
    node.execute("UPDATE mail_intents SET due_at = due_at + interval '1 hour'").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    proxy.restore();
    let code = node.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    node.stop().await;
}
