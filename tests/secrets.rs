//! Responses, events, log lines and stored rows contain no secret.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Response, TestApp, files_below, tests_on_both_profiles};

tests_on_both_profiles! {
    responses_events_and_logs_contain_no_secret,
    data_files_are_accessible_to_the_service_user_only with [("JWT_SECRET_TOKEN", ""), ("JWT_REFRESH_TOKEN", ""), ("DATA_KEY", "")],
}

async fn responses_events_and_logs_contain_no_secret(app: &TestApp) {
    let admin = app.admin().await;
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let mut answers: Vec<Response> = vec![ada.register().await, ada.verify(&code).await];
    let ada = ada.log_in_again().await;
    let hash = app.texts(&format!("SELECT password FROM users WHERE id = {}", ada.id)).await.remove(0);
    let id = ada.start_session().await;
    for path in ["/auth/me", "/auth/logins", "/users/me", "/sessions/", "/sessions/count"] {
        answers.push(ada.get(path).await.assert_status(200));
    }
    answers.push(ada.patch(&format!("/sessions/{id}/end")).await);
    answers.push(ada.put(&format!("/users/{}", ada.id), json!({ "password": "sent by mistake, long" })).await);
    answers.push(admin.get("/users/").await.assert_status(200));
    answers.push(admin.get(&format!("/users/{}", ada.id)).await.assert_status(200));
    answers.push(ada.log_in_with("not the right password").await);
    answers.push(admin.patch(&format!("/users/{}/suspend", ada.id)).await);
    answers.push(app.client().call(Method::GET, "/openapi.json").send().await);
    let operator = app.client().at(app.operators.expect("an operator listener"));
    answers.push(operator.call(Method::GET, "/metrics").send().await);

    let secrets = [&ada.password, &hash, &code, &ada.access, &ada.refresh, &"not the right password".to_owned()];
    for response in &answers {
        for secret in secrets {
            assert!(
                !response.json["detail"].to_string().contains(secret.as_str()),
                "{}: {}",
                response.to,
                response.text
            );
            let leaks = response.text.contains(secret.as_str()) && secret.len() > 6;
            assert!(!leaks, "{} contains {secret}: {}", response.to, response.text);
        }
        assert!(!response.text.contains("argon2"), "{}", response.to);
    }
    for event in app
        .events_of(
            ada.id,
            &["user.registered", "user.verified", "session.started", "session.ended", "user.status_changed"],
        )
        .await
    {
        for secret in [&ada.password, &hash, &ada.access, &ada.refresh] {
            assert!(!event.json.to_string().contains(secret.as_str()), "{}", event.json);
        }
    }
    let rows = app.texts("SELECT password FROM users").await;
    assert!(rows.iter().all(|row| row.starts_with("$argon2id$")), "{rows:?}");
    app.env.forbid_in_log(&hash);
}

async fn data_files_are_accessible_to_the_service_user_only(app: &TestApp) {
    use std::os::unix::fs::PermissionsExt;
    let ada = app.register("ada").await;
    app.mail_to(&ada.email).await;
    let mut extensions = Vec::new();
    for path in files_below(&app.env.data_dir()) {
        let mode = path.metadata().expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        extensions.push(path.extension().unwrap_or_default().to_string_lossy().into_owned());
    }
    assert!(extensions.contains(&"toml".to_owned()), "{extensions:?}");
    assert!(
        !app.is_embedded() || (extensions.contains(&"eml".to_owned()) && extensions.contains(&"db".to_owned())),
        "{extensions:?}"
    );
}
