//! What is mailed on which occasion, and how a mail is made.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Mail, Server, TestApp, eventually, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    every_mail_says_what_it_must,
    a_code_goes_to_its_address_alone,
    a_mail_holds_no_secret_but_its_code,
    a_letter_is_in_the_language_that_its_reader_registered_in,
    a_language_that_is_set_holds_for_the_next_letter,
}

tests_on_production! {
    a_mail_that_could_not_be_sent_is_sent_later,
}

fn is_well_made(mail: &Mail, email: &str) {
    assert_eq!(mail.to, email);
    assert!(!mail.from.is_empty() && !mail.subject.is_empty());
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert!(mail.message_id.contains('@'), "{}", mail.message_id);
    assert!(mail.header("date").len() > 10 && !mail.header("mime-version").is_empty());
    assert!(mail.raw.contains("multipart/alternative") && mail.raw.contains("text/plain"), "{}", mail.raw);
    assert!(mail.html.contains("<html"), "{}", mail.html);
    assert!(!mail.html.contains("src=") && !mail.html.contains("http"), "it asks for nothing: {}", mail.html);
    assert!(
        !mail.subject.chars().any(|letter| letter.is_ascii_digit()),
        "a lock screen shows subjects: {}",
        mail.subject
    );
}

async fn every_mail_says_what_it_must(app: &TestApp) {
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

    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    let reset = app.mail_to(&ada.email).await;
    assert!(reset.text.contains("new password") && reset.html.contains(&reset.code()), "{}", reset.text);

    let body = json!({ "email": ada.email, "otp": reset.code(), "new_password": "a new and longer word" });
    ada.client.post("/auth/reset-password", body).await.assert_status(200);
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
    mails.iter().for_each(|mail| is_well_made(mail, &ada.email));
    let mut ids: Vec<_> = mails.iter().map(|mail| mail.message_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), mails.len());
}

async fn a_code_goes_to_its_address_alone(app: &TestApp) {
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

async fn a_mail_holds_no_secret_but_its_code(app: &TestApp) {
    let ada = app.register("ada").await;
    let mail = app.mail_to(&ada.email).await;
    assert!(!mail.raw.contains(&ada.password));
    assert!(!mail.raw.contains(&ada.client.ip), "where somebody registered is nobody's concern");
}

/// A phone set to Cebuano, which we have no words in, then Tagalog, as older phones call Filipino.
async fn a_letter_is_in_the_language_that_its_reader_registered_in(app: &TestApp) {
    let ada = app.person("ada");
    let registering = ada.client.api(Method::POST, "/auth/register").json(&ada.registration());
    registering.header("accept-language", "en;q=0.5, ceb-PH, tl;q=0.9").send().await.assert_status(201);
    let welcome = app.mail_to(&ada.email).await;
    assert!(welcome.text.contains("Maligayang pagdating") && welcome.text.contains("5 minuto"), "{}", welcome.text);
    assert!(welcome.html.contains(&welcome.code()) && welcome.html.contains("lang=\"fil\""), "{}", welcome.html);
    assert_eq!(welcome.header("content-language"), "fil");
    is_well_made(&welcome, &ada.email);
    ada.verify(&welcome.code()).await.assert_status(200);
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    let reset = app.mail_to(&ada.email).await;
    assert!(reset.text.contains("bagong password") && !reset.code().is_empty(), "{}", reset.text);
}

async fn a_language_that_is_set_holds_for_the_next_letter(app: &TestApp) {
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
    eventually("the first try to fail", async || {
        (node.number("SELECT count(*) FROM mail_intents WHERE last_error IS NOT NULL").await == 1).then_some(())
    })
    .await;
    let ready = node.client().call(Method::GET, "/ready").send().await.assert_status(200);
    assert_eq!((&ready.json["status"], &ready.json["mail"]), (&json!("degraded"), &json!("down")));
    let told = node.texts("SELECT last_error FROM mail_intents").await;
    assert!(!told[0].contains(&ada.email), "{told:?}");
    proxy.restore();
    // The code is minted when it is sent: its five minutes begin after the outage.
    node.advance(1);
    let code = node.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    node.stop().await;
}
