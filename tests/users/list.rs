//! `GET /users/`

use serde_json::{Value, json};

use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_admin_lists_users,
    pages_follow_one_another_without_gap_or_repetition,
    a_deleted_user_does_not_shift_the_next_page,
    users_are_found_by_status_role_and_part_of_a_name_or_address,
    wildcards_in_a_query_are_literal,
    a_limit_above_a_hundred_means_a_hundred,
    every_invalid_parameter_is_named,
    only_admins_list_users,
}

async fn an_admin_lists_users(app: &TestApp) {
    let admin = app.admin().await;
    let page = admin.get("/users/").await;
    snapshot!(page, @r#"
    200 {
      "next": null,
      "results": [
        {
          "created_at": "[time]",
          "email": "[email]",
          "first_name": "Grace",
          "id": "[id]",
          "last_name": "Hopper",
          "role": "admin",
          "status": "active"
        }
      ],
      "total": 1
    }
    "#);
    assert_eq!(admin.get("/users").await.redacted(), page.redacted(), "with and without the slash");
}

fn emails(page: &Value) -> Vec<String> {
    let results = page["results"].as_array().expect("results");
    results.iter().map(|user| user["email"].as_str().expect("an address").to_owned()).collect()
}

async fn register_many(app: &TestApp, size: usize) -> Vec<String> {
    let mut emails = Vec::new();
    for number in 0..size {
        emails.push(app.register(&format!("p{number}")).await.email);
    }
    emails
}

async fn pages_follow_one_another_without_gap_or_repetition(app: &TestApp) {
    let admin = app.admin().await;
    let mut all = vec![admin.email.clone()];
    all.extend(register_many(app, 6).await);
    let mut seen = Vec::new();
    let mut path = "/users/?limit=3".to_owned();
    loop {
        let page = admin.get(&path).await.assert_status(200);
        assert_eq!(page.json["total"], 7);
        seen.extend(emails(&page.json));
        let Some(next) = page.json["next"].as_str() else { break };
        path = format!("/users/?limit=3&after={next}");
    }
    assert_eq!(seen.len(), 7);
    seen.sort_unstable();
    all.sort_unstable();
    assert_eq!(seen, all);
}

async fn a_deleted_user_does_not_shift_the_next_page(app: &TestApp) {
    let admin = app.admin().await;
    register_many(app, 5).await;
    let first = admin.get("/users/?limit=3").await.assert_status(200);
    let gone = first.json["results"][1]["id"].as_i64().expect("an id");
    admin.delete(&format!("/users/{gone}")).await.assert_status(200);
    let next = first.text_of("next");
    let second = admin.get(&format!("/users/?limit=3&after={next}")).await.assert_status(200);
    let (before, after) = (emails(&first.json), emails(&second.json));
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|email| !before.contains(email)), "{before:?} {after:?}");
}

async fn users_are_found_by_status_role_and_part_of_a_name_or_address(app: &TestApp) {
    let admin = app.admin().await;
    let (ada, bob) = (app.verified("ada").await, app.register("bob").await);
    let jose = Person { first_name: "José".into(), last_name: "Rizal".into(), ..app.person("jose") };
    jose.register().await.assert_status(201);
    for (filter, found) in [
        ("status=active", vec![&admin, &ada]),
        ("status=inactive", vec![&bob, &jose]),
        ("status=suspended", vec![]),
        ("role=admin", vec![&admin]),
        ("role=user&status=active", vec![&ada]),
        ("query=hopper", vec![&admin]),
        ("query=LOVE", vec![&ada, &bob]),
        ("query=riz", vec![&jose]),
        ("query=Jos%C3%A9", vec![&jose]),
        ("query=bob.", vec![&bob]),
        ("query=USERS.TEST", vec![&admin, &ada, &bob, &jose]),
        ("query=no-such-user", vec![]),
        ("query=love&role=admin", vec![]),
    ] {
        let page = admin.get(&format!("/users/?{filter}")).await.assert_status(200);
        let mut names: Vec<_> = found.iter().map(|person| person.email.clone()).collect();
        let mut seen = emails(&page.json);
        names.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, names, "{filter}");
        assert_eq!(page.json["total"], names.len(), "{filter}");
    }
}

async fn wildcards_in_a_query_are_literal(app: &TestApp) {
    let admin = app.admin().await;
    let odd = Person { first_name: "100%".into(), last_name: "a_b\\c'd".into(), ..app.person("odd") };
    odd.register().await.assert_status(201);
    app.register("ada").await;
    for (typed, found) in
        [("%25", 1), ("_b", 1), ("%5C", 1), ("'", 1), ("a_b", 1), ("%25%25", 0), ("__", 0), ("a%25c", 0)]
    {
        let page = admin.get(&format!("/users/?query={typed}")).await.assert_status(200);
        assert_eq!(page.json["total"], found, "{typed}");
    }
}

async fn a_limit_above_a_hundred_means_a_hundred(app: &TestApp) {
    let admin = app.admin().await;
    let insert = (0..120)
        .map(|number| format!("('x{number}@users.test', 'X', 'Y', 'user', 'active', {})", app.past_timestamp()));
    let rows = insert.collect::<Vec<_>>().join(", ");
    app.execute(&format!("INSERT INTO users (email, first_name, last_name, role, status, created_at) VALUES {rows}"))
        .await;
    app.execute("INSERT INTO user_profiles (user_id) SELECT id FROM users WHERE email LIKE 'x%'").await;
    for (limit, size) in [("", 50), ("limit=100", 100), ("limit=5000", 100), ("limit=1", 1)] {
        let page = admin.get(&format!("/users/?{limit}")).await.assert_status(200);
        assert_eq!(page.json["results"].as_array().map(Vec::len), Some(size), "{limit}");
        assert_eq!(page.json["total"], 121);
    }
}

async fn every_invalid_parameter_is_named(app: &TestApp) {
    let admin = app.admin().await;
    let bad = admin.get("/users/?status=asleep&role=root&limit=0&after=nowhere&query=a%00").await.assert_status(422);
    let mut refused = bad.invalid_fields();
    refused.sort_unstable();
    assert_eq!(refused, ["query.after", "query.limit", "query.query", "query.role", "query.status"]);
    for limit in ["abc", "-1", "1.5"] {
        let bad = admin.get(&format!("/users/?limit={limit}")).await.assert_status(422);
        assert_eq!(bad.invalid_fields(), ["query.limit"], "{limit}");
    }
    admin.get("/users/?limit=99999999999999999999").await.assert_status(200);
}

async fn only_admins_list_users(app: &TestApp) {
    let ada = app.verified("ada").await;
    let refused = ada.get("/users/").await;
    snapshot!(refused, @r#"
    403 {
      "detail": "Not enough permissions",
      "request_id": "[request id]",
      "status": 403,
      "title": "Forbidden",
      "type": "/problems/forbidden"
    }
    "#);
    app.client().get("/users/").await.assert_status(401);
    let admin = app.admin().await;
    admin.put(&format!("/users/{}", ada.id), json!({ "role": "professional" })).await.assert_status(200);
    ada.get("/users/").await.assert_status(403);
    admin.put(&format!("/users/{}", ada.id), json!({ "role": "admin" })).await.assert_status(200);
    ada.get("/users/").await.assert_status(200);
}
