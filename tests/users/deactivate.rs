//! `PATCH /users/{id}/deactivate` and `/suspend`

use serde_json::json;

use crate::harness::{TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_user_deactivates_their_own_account,
    an_admin_deactivates_and_suspends,
    a_deactivation_or_suspension_ends_every_login_at_once,
    only_accounts_with_the_role_user_are_deactivated,
    an_account_of_any_role_is_suspended,
    users_cannot_deactivate_or_suspend_others,
}

async fn a_user_deactivates_their_own_account(app: &TestApp) {
    let ada = app.verified("ada").await;
    let response = ada.patch(&format!("/users/{}/deactivate", ada.id)).await;
    snapshot!(response, @r#"
    200 {
      "message": "User deactivated successfully",
      "user": {
        "created_at": "[time]",
        "email": "[email]",
        "first_name": "Ada",
        "id": "[id]",
        "language": null,
        "last_name": "Lovelace",
        "role": "user",
        "status": "deactivated",
        "time_zone": null
      }
    }
    "#);
    assert!(!ada.is_logged_in().await);
    ada.log_in().await.assert_status(403);
    let events = app.events_of(ada.id, &["user.registered", "user.verified", "user.status_changed"]).await;
    assert_eq!(events[2].json["data"]["status"], "deactivated");
}

async fn an_admin_deactivates_and_suspends(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let response = admin.patch(&format!("/users/{}/deactivate", ada.id)).await.assert_status(200);
    assert_eq!(response.json["user"]["status"], "deactivated");
    let response = admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    assert_eq!(response.json["user"]["status"], "suspended");
    assert!(response.json["message"].is_string());
}

async fn a_deactivation_or_suspension_ends_every_login_at_once(app: &TestApp) {
    let admin = app.admin().await;
    for call in ["deactivate", "suspend"] {
        let ada = app.verified("ada").await;
        let others = [ada.log_in_again().await, ada.log_in_again().await];
        for person in &others {
            assert!(person.is_logged_in().await);
        }
        admin.patch(&format!("/users/{}/{call}", ada.id)).await.assert_status(200);
        for person in others.iter().chain([&ada]) {
            assert!(!person.is_logged_in().await, "{call}");
            person.refresh().await.assert_status(401);
        }
    }
}

async fn only_accounts_with_the_role_user_are_deactivated(app: &TestApp) {
    let (admin, other, ada) = (app.admin().await, app.admin().await, app.verified("ada").await);
    admin.put(&format!("/users/{}", ada.id), json!({ "role": "professional" })).await.assert_status(200);
    admin.patch(&format!("/users/{}/deactivate", ada.id)).await.assert_status(403);
    ada.patch(&format!("/users/{}/deactivate", ada.id)).await.assert_status(403);
    admin.patch(&format!("/users/{}/deactivate", other.id)).await.assert_status(403);
    assert!(ada.is_logged_in().await && other.is_logged_in().await);
}

async fn an_account_of_any_role_is_suspended(app: &TestApp) {
    let (admin, other, ada) = (app.admin().await, app.admin().await, app.verified("ada").await);
    admin.put(&format!("/users/{}", ada.id), json!({ "role": "professional" })).await.assert_status(200);
    for person in [&ada, &other] {
        let suspended = admin.patch(&format!("/users/{}/suspend", person.id)).await.assert_status(200);
        assert_eq!(suspended.json["user"]["status"], "suspended");
        assert!(!person.is_logged_in().await);
    }
    let refused = admin.patch(&format!("/users/{}/suspend", admin.id)).await.assert_status(409);
    assert_eq!(refused.kind(), "last-admin");
    assert!(admin.is_logged_in().await);
}

async fn users_cannot_deactivate_or_suspend_others(app: &TestApp) {
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    for call in ["deactivate", "suspend"] {
        bob.patch(&format!("/users/{}/{call}", ada.id)).await.assert_status(403);
        bob.patch(&format!("/users/4000000/{call}")).await.assert_status(403);
        app.client().patch(&format!("/users/{}/{call}", ada.id)).await.assert_status(401);
        admin.patch(&format!("/users/4000000/{call}")).await.assert_status(404);
        assert_eq!(admin.patch(&format!("/users/abc/{call}")).await.assert_status(422).invalid_fields(), ["path.id"]);
    }
    ada.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(403);
    assert!(ada.is_logged_in().await);
}
