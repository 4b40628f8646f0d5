//! `PATCH /users/{id}/activate`

use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_admin_activates_an_account_claimed_once_with_its_password,
    an_account_claimed_twice_gets_no_password,
    an_admin_brings_back_a_suspended_user,
    only_admins_activate,
}

async fn id_of(app: &TestApp, person: &Person) -> i64 {
    app.number(&format!("SELECT id FROM users WHERE email = '{}'", person.email)).await
}

async fn an_admin_activates_an_account_claimed_once_with_its_password(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.register("ada").await);
    let id = id_of(app, &ada).await;
    let response = admin.patch(&format!("/users/{id}/activate")).await;
    snapshot!(response, @r#"
    200 {
      "message": "User activated successfully",
      "user": {
        "created_at": "[time]",
        "email": "[email]",
        "first_name": "Ada",
        "id": "[id]",
        "last_name": "Lovelace",
        "role": "user",
        "status": "active"
      }
    }
    "#);
    ada.log_in().await.assert_status(200);
    admin.patch(&format!("/users/{id}/activate")).await.assert_status(200);
    ada.log_in().await.assert_status(200);
}

/// Who of several claimants is the owner, the admin cannot know: the owner resets.
async fn an_account_claimed_twice_gets_no_password(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.register("ada").await);
    let code = app.mail_to(&ada.email).await.code();
    let stranger = Person { email: ada.email.clone(), ..app.person("eve") };
    stranger.register().await.assert_status(201);
    let strangers_code = app.mail_to(&ada.email).await.code();
    let id = id_of(app, &ada).await;
    admin.patch(&format!("/users/{id}/activate")).await.assert_status(200);
    ada.log_in().await.assert_status(401);
    stranger.log_in().await.assert_status(401);
    stranger.verify(&strangers_code).await.assert_status(400);
    ada.verify(&code).await.assert_status(400);
    let body = serde_json::json!({ "email": ada.email });
    ada.client.post("/auth/request-password-reset", body).await.assert_status(202);
    let code = app.mail_to(&ada.email).await.code();
    let body = serde_json::json!({ "email": ada.email, "otp": code, "new_password": "a new and longer word" });
    ada.client.post("/auth/reset-password", body).await.assert_status(200);
    ada.log_in_with("a new and longer word").await.assert_status(200);
}

async fn an_admin_brings_back_a_suspended_user(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    ada.log_in().await.assert_status(403);
    admin.patch(&format!("/users/{}/activate", ada.id)).await.assert_status(200);
    assert!(!ada.is_logged_in().await, "what has ended stays ended");
    ada.log_in().await.assert_status(200);
    let told =
        app.events_of(ada.id, &["user.registered", "user.verified", "user.status_changed", "user.status_changed"]);
    let told = told.await;
    assert_eq!(
        (&told[2].json["data"]["status"], &told[3].json["data"]["status"]),
        (&"suspended".into(), &"active".into())
    );
    assert_eq!(told[3].json["causedby"], format!("admin/{}", admin.id));
}

async fn only_admins_activate(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.register("bob").await);
    let bobs = id_of(app, &bob).await;
    ada.patch(&format!("/users/{bobs}/activate")).await.assert_status(403);
    ada.patch(&format!("/users/{}/activate", ada.id)).await.assert_status(403);
    ada.patch("/users/4000000/activate").await.assert_status(403);
    app.client().patch(&format!("/users/{bobs}/activate")).await.assert_status(401);
    admin.patch("/users/4000000/activate").await.assert_status(404);
    assert_eq!(admin.patch("/users/abc/activate").await.assert_status(422).invalid_fields(), ["path.id"]);
}
