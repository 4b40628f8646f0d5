//! `PATCH /users/{id}/activate`

use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_admin_activates_an_account_registered_once_with_its_password,
    an_account_registered_twice_is_activated_without_a_password,
    an_admin_reactivates_a_suspended_user,
    only_admins_activate,
}

async fn an_admin_activates_an_account_registered_once_with_its_password(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.register("ada").await);
    let id = app.id_of(&ada).await;
    let response = admin.patch(&format!("/users/{id}/activate")).await;
    snapshot!(response, @r#"
    200 {
      "message": "User activated successfully",
      "user": {
        "created_at": "[time]",
        "email": "[email]",
        "first_name": "Ada",
        "id": "[id]",
        "language": null,
        "last_name": "Lovelace",
        "role": "user",
        "status": "active",
        "time_zone": null
      }
    }
    "#);
    ada.log_in().await.assert_status(200);
    admin.patch(&format!("/users/{id}/activate")).await.assert_status(200);
    ada.log_in().await.assert_status(200);
}

/// An admin cannot know which of two registrations is the owner's. The owner resets the password.
async fn an_account_registered_twice_is_activated_without_a_password(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.register("ada").await);
    let code = app.mail_to(&ada.email).await.code();
    let stranger = Person { email: ada.email.clone(), ..app.person("eve") };
    stranger.register().await.assert_status(201);
    let strangers_code = app.mail_to(&ada.email).await.code();
    let id = app.id_of(&ada).await;
    admin.patch(&format!("/users/{id}/activate")).await.assert_status(200);
    ada.log_in().await.assert_status(401);
    stranger.log_in().await.assert_status(401);
    stranger.verify(&strangers_code).await.assert_status(400);
    ada.verify(&code).await.assert_status(400);
    ada.request_password_reset().await.assert_status(202);
    let code = app.mail_to(&ada.email).await.code();
    ada.reset_password(&code, "a new and longer word").await.assert_status(200);
    ada.log_in_with("a new and longer word").await.assert_status(200);
}

async fn an_admin_reactivates_a_suspended_user(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    ada.log_in().await.assert_status(403);
    admin.patch(&format!("/users/{}/activate", ada.id)).await.assert_status(200);
    assert!(!ada.is_logged_in().await, "ended logins stay ended");
    ada.log_in().await.assert_status(200);
    let events =
        app.events_of(ada.id, &["user.registered", "user.verified", "user.status_changed", "user.status_changed"]);
    let events = events.await;
    assert_eq!(
        (&events[2].json["data"]["status"], &events[3].json["data"]["status"]),
        (&"suspended".into(), &"active".into())
    );
    assert_eq!(events[3].json["causedby"], format!("admin/{}", admin.id));
}

async fn only_admins_activate(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.register("bob").await);
    let bobs = app.id_of(&bob).await;
    ada.patch(&format!("/users/{bobs}/activate")).await.assert_status(403);
    ada.patch(&format!("/users/{}/activate", ada.id)).await.assert_status(403);
    ada.patch("/users/4000000/activate").await.assert_status(403);
    app.client().patch(&format!("/users/{bobs}/activate")).await.assert_status(401);
    admin.patch("/users/4000000/activate").await.assert_status(404);
    assert_eq!(admin.patch("/users/abc/activate").await.assert_status(422).invalid_fields(), ["path.id"]);
}
