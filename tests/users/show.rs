//! `GET /users/me`, `GET /users/{id}`

use crate::harness::{TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    users_me_equals_auth_me,
    a_user_reads_only_themself,
    an_admin_reads_every_user,
    an_invalid_id_is_refused_by_name,
}

async fn users_me_equals_auth_me(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (here, there) = (ada.get("/users/me").await.assert_status(200), ada.get("/auth/me").await.assert_status(200));
    assert_eq!(here.json, there.json);
    assert_eq!(ada.get(&format!("/users/{}", ada.id)).await.assert_status(200).json, here.json);
    app.client().get("/users/me").await.assert_status(401);
}

async fn a_user_reads_only_themself(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let other = bob.get(&format!("/users/{}", ada.id)).await.assert_status(403);
    let unknown = bob.get("/users/4000000").await.assert_status(403);
    assert_eq!(other.redacted(), unknown.redacted(), "the response does not reveal whether the id exists");
    app.client().get(&format!("/users/{}", ada.id)).await.assert_status(401);
}

async fn an_admin_reads_every_user(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.register("bob").await);
    assert_eq!(admin.get(&format!("/users/{}", ada.id)).await.assert_status(200).json["email"], ada.email);
    let bobs = app.id_of(&bob).await;
    assert_eq!(admin.get(&format!("/users/{bobs}")).await.assert_status(200).json["status"], "inactive");
    let missing = admin.get("/users/4000000").await.assert_status(404);
    assert_eq!(missing.kind(), "not-found");
}

async fn an_invalid_id_is_refused_by_name(app: &TestApp) {
    let admin = app.admin().await;
    for id in ["abc", "0", "-1", "1.0", "9223372036854775808", "%00", "1%00"] {
        let bad = admin.get(&format!("/users/{id}")).await.assert_status(422);
        assert_eq!(bad.invalid_fields(), ["path.id"], "{id}");
    }
}
