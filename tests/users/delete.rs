//! `DELETE /users/{id}`

use serde_json::json;

use crate::harness::{TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_admin_deletes_a_user_and_all_their_data,
    a_deleted_address_can_be_registered_again,
    only_admins_delete_users,
}

async fn an_admin_deletes_a_user_and_all_their_data(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    for person in [&ada, &bob] {
        person.start_session().await;
        person.post_with_key("/sessions/", "k", &json!({})).await.assert_status(201);
        let post = person.post("/posts/", json!({ "content": "hello" })).await.assert_status(201).number_of("id");
        person.post(&format!("/posts/{post}/comments"), json!({ "content": "hello again" })).await.assert_status(201);
        person.post("/auth/request-password-reset", json!({ "email": person.email })).await.assert_status(202);
        app.mail_to(&person.email).await;
    }
    assert_eq!(app.stored_codes().await.len(), 2, "one reset code each");
    let mut names = vec!["user.registered", "user.verified", "session.started", "session.started"];
    names.extend(["community.post_created", "community.comment_created"]);
    app.events_of(ada.id, &names).await;
    let response = admin.delete(&format!("/users/{}", ada.id)).await;
    snapshot!(response, @r#"
    200 {
      "message": "User deleted successfully"
    }
    "#);
    let texts = ["community_posts", "community_comments"];
    for table in ["user_profiles", "claims", "logins", "sessions", "idempotency_keys"].into_iter().chain(texts) {
        let left = app.number(&format!("SELECT count(*) FROM {table} WHERE user_id = {}", ada.id)).await;
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(app.number(&format!("SELECT count(*) FROM users WHERE id = {}", ada.id)).await, 0);
    assert_eq!(app.stored_codes().await.len(), 1, "the code of the other user");
    assert!(!ada.is_logged_in().await);
    ada.refresh().await.assert_status(401);
    ada.log_in().await.assert_status(401);
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(404);
    assert!(bob.is_logged_in().await);
    assert_eq!(bob.get("/sessions/count").await.assert_status(200).json["count"], 2);
    names.push("user.deleted");
    let events = app.events_of(ada.id, &names).await;
    assert_eq!(events[6].json["causedby"], format!("admin/{}", admin.id));
}

async fn a_deleted_address_can_be_registered_again(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    app.advance(11);
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    let again = ada.log_in_again().await;
    assert!(again.id > ada.id, "ids are not reused: {} after {}", again.id, ada.id);
    assert_eq!(again.get("/sessions/count").await.assert_status(200).json["count"], 0);
    assert!(!ada.is_logged_in().await);
}

async fn only_admins_delete_users(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    for id in [ada.id, bob.id, 4_000_000] {
        bob.delete(&format!("/users/{id}")).await.assert_status(403);
    }
    app.client().delete(&format!("/users/{}", ada.id)).await.assert_status(401);
    admin.delete("/users/4000000").await.assert_status(404);
    assert_eq!(admin.delete("/users/abc").await.assert_status(422).invalid_fields(), ["path.id"]);
    assert!(ada.is_logged_in().await && bob.is_logged_in().await);
}
