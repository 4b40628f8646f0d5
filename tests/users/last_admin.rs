//! The last active admin cannot be removed.

use serde_json::json;

use crate::harness::{Person, TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    the_last_active_admin_can_be_neither_removed_nor_demoted,
    an_admin_who_cannot_log_in_does_not_count,
    two_admins_who_remove_each_other_at_once_leave_one,
}

async fn the_last_active_admin_can_be_neither_removed_nor_demoted(app: &TestApp) {
    let admin = app.admin().await;
    let path = format!("/users/{}", admin.id);
    let refused = admin.delete(&path).await;
    snapshot!(refused, @r#"
    409 {
      "detail": "This is the last active admin: make another one first.",
      "request_id": "[request id]",
      "status": 409,
      "title": "Conflict",
      "type": "/problems/last-admin"
    }
    "#);
    for change in [
        json!({ "role": "user" }),
        json!({ "role": "professional" }),
        json!({ "status": "suspended" }),
        json!({ "status": "deactivated" }),
        json!({ "status": "inactive" }),
        json!({ "first_name": "Gone", "role": "user" }),
    ] {
        let refused = admin.put(&path, change.clone()).await;
        assert_eq!((refused.status, refused.kind()), (409, "last-admin"), "{change}");
    }
    for call in ["deactivate", "suspend"] {
        let refused = admin.patch(&format!("{path}/{call}")).await;
        assert!(
            [403, 409].contains(&refused.status),
            "an admin is neither deactivated nor suspended: {call} {}",
            refused.text
        );
    }
    assert_eq!(admin.get("/auth/me").await.assert_status(200).json["first_name"], "Grace", "no change was stored");
    admin.put(&path, json!({ "first_name": "Amazing" })).await.assert_status(200);
}

async fn an_admin_who_cannot_log_in_does_not_count(app: &TestApp) {
    let (admin, other) = (app.admin().await, app.admin().await);
    admin.put(&format!("/users/{}", other.id), json!({ "status": "suspended" })).await.assert_status(200);
    admin.delete(&format!("/users/{}", admin.id)).await.assert_status(409);
    admin.delete(&format!("/users/{}", other.id)).await.assert_status(200);
    admin.put(&format!("/users/{}", admin.id), json!({ "role": "user" })).await.assert_status(409);
}

async fn two_admins_who_remove_each_other_at_once_leave_one(app: &TestApp) {
    let (one, other) = (app.admin().await, app.admin().await);
    let removal = |by: &Person, of: &Person| {
        let (by, path) = (by.clone(), format!("/users/{}", of.id));
        async move { by.put(&path, json!({ "role": "user" })).await.status }
    };
    let mut statuses = concurrently([removal(&one, &other), removal(&other, &one)]).await;
    statuses.sort_unstable();
    // The slower request finds that its caller is no admin any more, or that the other one is the last.
    assert!(statuses[0] == 200 && [403, 409].contains(&statuses[1]), "{statuses:?}");
    let left = app.number("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'").await;
    assert_eq!(left, 1);
}
