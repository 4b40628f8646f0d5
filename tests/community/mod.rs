//! `/posts`: community posts and their comments.

use serde_json::{Value, json};

use crate::harness::{Person, Response, TestApp, snapshot, tests_on_both_profiles};

mod safeguards;

tests_on_both_profiles! {
    a_post_is_published_and_read_by_everyone_who_is_signed_in,
    a_comment_is_listed_under_its_post,
    lists_are_newest_first_and_link_to_the_next_page,
    only_the_author_edits_and_the_same_text_again_changes_nothing,
    authors_and_admins_delete_and_a_post_is_deleted_with_its_comments,
    unknown_posts_and_comments_are_not_found,
    reading_and_writing_need_a_token,
    every_invalid_field_is_named_and_nothing_is_stored,
    texts_are_stored_as_sent_up_to_their_maximum_length,
    a_list_without_a_limit_has_a_thousand_items_and_links_to_the_rest,
}

const CONTENT: &str = "What helps you to fall asleep?";

impl Person {
    /// Publishes a post and gives its id.
    async fn publish(&self, content: &str) -> i64 {
        self.post("/posts/", json!({ "content": content })).await.assert_status(201).number_of("id")
    }

    /// Comments on a post and gives the id of the comment.
    async fn comment(&self, post: i64, content: &str) -> i64 {
        self.post(&comments_of(post), json!({ "content": content })).await.assert_status(201).number_of("id")
    }
}

fn comments_of(post: i64) -> String {
    format!("/posts/{post}/comments")
}

/// One field of every item.
fn each(response: &Response, field: &str) -> Vec<Value> {
    response.json.as_array().expect("an array").iter().map(|item| item[field].clone()).collect()
}

async fn a_post_is_published_and_read_by_everyone_who_is_signed_in(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let published = ada.post("/posts/", json!({ "content": CONTENT })).await;
    snapshot!(published, @r#"
    201 {
      "comment_count": 0,
      "content": "What helps you to fall asleep?",
      "created_at": "[time]",
      "id": "[id]",
      "updated_at": "[time]",
      "user_id": "[id]"
    }
    "#);
    assert_eq!(published.json["user_id"], ada.id);
    assert_eq!(published.json["updated_at"], published.json["created_at"]);
    let id = published.number_of("id");
    for path in [format!("/posts/{id}"), format!("/posts/{id}/")] {
        assert_eq!(bob.get(&path).await.assert_status(200).json, published.json);
    }
    for path in ["/posts", "/posts/"] {
        assert_eq!(bob.get(path).await.assert_status(200).json, json!([published.json]));
    }
    let events = app.events_of(ada.id, &["user.registered", "user.verified", "community.post_created"]).await;
    assert_eq!(events[2].json["subject"], format!("post/{id}"));
    assert_eq!(events[2].json["causedby"], format!("user/{}", ada.id));
    assert_eq!(events[2].json["data"], json!({ "user_id": ada.id, "post_id": id }));
}

async fn a_comment_is_listed_under_its_post(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let (post, other) = (ada.publish(CONTENT).await, ada.publish("Another").await);
    let said = bob.post(&format!("/posts/{post}/comments/"), json!({ "content": "A walk." })).await;
    snapshot!(said, @r#"
    201 {
      "content": "A walk.",
      "created_at": "[time]",
      "id": "[id]",
      "post_id": "[id]",
      "updated_at": "[time]",
      "user_id": "[id]"
    }
    "#);
    assert_eq!((&said.json["post_id"], &said.json["user_id"]), (&json!(post), &json!(bob.id)));
    assert_eq!(ada.get(&comments_of(post)).await.assert_status(200).json, json!([said.json]));
    assert_eq!(ada.get(&comments_of(other)).await.assert_status(200).json, json!([]));
    assert_eq!(ada.get(&format!("/posts/{post}")).await.assert_status(200).number_of("comment_count"), 1);
    assert_eq!(each(&ada.get("/posts/").await.assert_status(200), "comment_count"), [0, 1]);
    let events = app.events_of(bob.id, &["user.registered", "user.verified", "community.comment_created"]).await;
    assert_eq!(events[2].json["subject"], format!("post/{post}"));
    let data = json!({ "user_id": bob.id, "post_id": post, "comment_id": said.json["id"] });
    assert_eq!(events[2].json["data"], data);
}

/// The query in the `next` link.
fn next(response: &Response) -> Option<&str> {
    response.header("link").strip_prefix('<')?.strip_suffix(">; rel=\"next\"")
}

async fn lists_are_newest_first_and_link_to_the_next_page(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.insert(0, ada.publish(&format!("no. {number}")).await);
    }
    let mut comments = Vec::new();
    for number in 0..5 {
        comments.insert(0, ada.comment(ids[0], &format!("no. {number}")).await);
    }
    let (mut sessions, mut reminders) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        sessions.insert(0, ada.start_session().await);
        let reminder = json!({ "title": "Breathe", "reminder_time": "2091-03-01" });
        reminders.insert(0, ada.post("/reminders/", reminder).await.assert_status(201).number_of("id"));
    }
    let lists = [
        ("/sessions/", sessions),
        ("/reminders/", reminders),
        ("/posts/", ids.clone()),
        (&comments_of(ids[0]), comments),
    ];
    for (path, ids) in lists {
        assert_eq!(each(&ada.get(path).await.assert_status(200), "id"), ids);
        assert_eq!(each(&ada.get(&format!("{path}?skip=1&limit=2")).await.assert_status(200), "id"), ids[1..3]);
        let (mut pages, mut query) = (Vec::new(), Some("?limit=2".to_owned()));
        while let Some(here) = query {
            let page = ada.get(&format!("{path}{here}")).await.assert_status(200);
            query = next(&page).map(str::to_owned);
            pages.push(each(&page, "id"));
        }
        assert_eq!(pages, [&ids[..2], &ids[2..4], &ids[4..]]);
        assert_eq!(ada.get(&format!("{path}?limit=5")).await.assert_status(200).header("link"), "", "there is no next");
        assert_eq!(ada.get(&format!("{path}?skip=9")).await.assert_status(200).json, json!([]));
        let refused = ada.get(&format!("{path}?after=5&skip=-1&limit=none")).await.assert_status(422);
        assert_eq!(refused.invalid_fields(), ["query.after", "query.skip", "query.limit"]);
    }
}

async fn only_the_author_edits_and_the_same_text_again_changes_nothing(app: &TestApp) {
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    let post = ada.publish(CONTENT).await;
    let said = ada.comment(post, "A walk.").await;
    app.advance(1);
    for path in [format!("/posts/{post}"), format!("/posts/{post}/comments/{said}")] {
        for other in [&bob, &admin] {
            let refused = other.put(&path, json!({ "content": "No." })).await.assert_status(403);
            assert_eq!((refused.kind(), refused.detail()), ("not-the-author", "Somebody else wrote this."));
        }
        let edited =
            ada.put(&path, json!({ "content": "Better words", "user_id": bob.id, "id": 7 })).await.assert_status(200);
        assert_eq!((edited.text_of("content"), edited.number_of("user_id")), ("Better words".to_owned(), ada.id));
        assert_ne!(edited.json["updated_at"], edited.json["created_at"]);
        app.advance(1);
        assert_eq!(ada.put(&path, json!({ "content": "Better words" })).await.assert_status(200).json, edited.json);
    }
    assert_eq!(app.texts("SELECT content FROM community_posts").await, ["Better words"]);
    assert_eq!(app.texts("SELECT content FROM community_comments").await, ["Better words"]);
}

async fn authors_and_admins_delete_and_a_post_is_deleted_with_its_comments(app: &TestApp) {
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    let (mine, rude) = (ada.publish(CONTENT).await, bob.publish("Rude").await);
    let comments = [bob.comment(mine, "one").await, bob.comment(mine, "two").await, bob.comment(mine, "three").await];
    let path = |comment: i64| format!("/posts/{mine}/comments/{comment}");
    ada.delete(&path(comments[0])).await.assert_status(403);
    let deleted = bob.delete(&path(comments[0])).await;
    snapshot!(deleted, @r#"
    200 {
      "message": "Comment deleted successfully"
    }
    "#);
    admin.delete(&path(comments[1])).await.assert_status(200);
    bob.delete(&path(comments[1])).await.assert_status(404);
    assert_eq!(each(&ada.get(&comments_of(mine)).await.assert_status(200), "id"), [comments[2]]);
    bob.delete(&format!("/posts/{mine}")).await.assert_status(403);
    let deleted = ada.delete(&format!("/posts/{mine}/")).await;
    snapshot!(deleted, @r#"
    200 {
      "message": "Post deleted successfully"
    }
    "#);
    ada.delete(&format!("/posts/{mine}")).await.assert_status(404);
    admin.delete(&format!("/posts/{rude}")).await.assert_status(200);
    assert_eq!((app.row_count("community_posts").await, app.row_count("community_comments").await), (0, 0));
}

async fn unknown_posts_and_comments_are_not_found(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (post, other) = (ada.publish(CONTENT).await, ada.publish("Another").await);
    let said = ada.comment(post, "A walk.").await;
    let body = json!({ "content": "lost" });
    let lost = ada.get("/posts/4000000").await.assert_status(404);
    assert_eq!(lost.detail(), "There is no such post.");
    ada.put("/posts/4000000", body.clone()).await.assert_status(404);
    ada.delete("/posts/4000000").await.assert_status(404);
    ada.get("/posts/4000000/comments").await.assert_status(404);
    ada.post("/posts/4000000/comments", body.clone()).await.assert_status(404);
    for path in [format!("/posts/{other}/comments/{said}"), format!("/posts/{post}/comments/4000000")] {
        ada.put(&path, body.clone()).await.assert_status(404);
        let lost = ada.delete(&path).await.assert_status(404);
        assert_eq!(lost.detail(), "There is no such comment under this post.");
    }
    assert_eq!(ada.get("/posts/abc").await.assert_status(422).invalid_fields(), ["path.id"]);
    assert_eq!(
        ada.delete(&format!("/posts/{post}/comments/0")).await.assert_status(422).invalid_fields(),
        ["path.cid"]
    );
    ada.get(&format!("/posts/{post}/comments/{said}")).await.assert_status(405);
    assert_eq!((app.row_count("community_posts").await, app.row_count("community_comments").await), (2, 1));
}

async fn reading_and_writing_need_a_token(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = ada.publish(CONTENT).await;
    let said = ada.comment(post, "A walk.").await;
    let body = json!({ "content": "without a token" });
    for client in [app.client(), app.client().with_token("rubbish")] {
        for path in ["/posts/".to_owned(), format!("/posts/{post}"), comments_of(post)] {
            client.get(&path).await.assert_status(401);
        }
        for path in ["/posts/".to_owned(), comments_of(post)] {
            client.post(&path, body.clone()).await.assert_status(401);
        }
        for path in [format!("/posts/{post}"), format!("/posts/{post}/comments/{said}")] {
            client.put(&path, body.clone()).await.assert_status(401);
            client.delete(&path).await.assert_status(401);
        }
    }
    assert_eq!(app.texts("SELECT content FROM community_posts").await, [CONTENT]);
    assert_eq!(app.texts("SELECT content FROM community_comments").await, ["A walk."]);
}

async fn every_invalid_field_is_named_and_nothing_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = ada.publish(CONTENT).await;
    let said = ada.comment(post, "A walk.").await;
    let before = app.row_counts().await;
    for (post_or_comment, most) in [(false, 20_000), (true, 10_000)] {
        let (all, one) = match post_or_comment {
            false => ("/posts/".to_owned(), format!("/posts/{post}")),
            true => (comments_of(post), format!("/posts/{post}/comments/{said}")),
        };
        for bad in [
            json!({}),
            json!({ "content": null }),
            json!({ "content": 7 }),
            json!({ "content": "" }),
            json!({ "content": " \n\t " }),
            json!({ "content": "a\u{0}b" }),
            json!({ "content": "x".repeat(most + 1) }),
        ] {
            assert_eq!(ada.post(&all, bad.clone()).await.assert_status(422).invalid_fields(), ["body.content"]);
            assert_eq!(ada.put(&one, bad).await.assert_status(422).invalid_fields(), ["body.content"]);
        }
        assert_eq!(ada.post(&all, json!(["x"])).await.assert_status(422).invalid_fields(), ["body"]);
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.texts("SELECT content FROM community_posts").await, [CONTENT]);
    assert_eq!(app.texts("SELECT content FROM community_comments").await, ["A walk."]);
}

async fn texts_are_stored_as_sent_up_to_their_maximum_length(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = ada.publish(&"é".repeat(20_000)).await;
    ada.comment(post, &"語".repeat(10_000)).await;
    ada.comment(post, "  two lines,\n'quoted' \u{1F600}  ").await;
    let comments = ada.get(&comments_of(post)).await.assert_status(200);
    assert_eq!(each(&comments, "content"), [json!("  two lines,\n'quoted' \u{1F600}  "), json!("語".repeat(10_000))]);
    assert_eq!(ada.get(&format!("/posts/{post}")).await.assert_status(200).text_of("content"), "é".repeat(20_000));
    for (path, max) in [("/posts/".to_owned(), 20_000), (comments_of(post), 10_000)] {
        let refused = ada.post(&path, json!({ "content": "é".repeat(max + 1) })).await.assert_status(422);
        assert_eq!(refused.detail(), format!("content: must have 1 to {max} characters"));
    }
}

/// Adds texts of that user that get the ids 1 to `count`.
async fn fill(app: &TestApp, ada: &Person, table: &str, (parent, parent_id): (&str, &str), count: usize) {
    let user = ada.id;
    app.execute(&format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         INSERT INTO {table} (id, user_id{parent}, content, created_at, updated_at) \
         SELECT n, {user}{parent_id}, 'text no. ' || n, (SELECT created_at FROM users WHERE id = {user}), \
         (SELECT created_at FROM users WHERE id = {user}) FROM numbers"
    ))
    .await;
}

async fn a_list_without_a_limit_has_a_thousand_items_and_links_to_the_rest(app: &TestApp) {
    let ada = app.verified("ada").await;
    fill(app, &ada, "community_posts", ("", ""), 1100).await;
    fill(app, &ada, "community_comments", (", post_id", ", 7"), 1100).await;
    for path in ["/posts/".to_owned(), comments_of(7)] {
        let all = ada.get(&path).await.assert_status(200);
        let newest_first = |from: i64, to: i64| (to..=from).rev().map(Value::from).collect::<Vec<_>>();
        assert_eq!(each(&all, "id"), newest_first(1100, 101), "{path}");
        assert_eq!(all.json[999]["content"], "text no. 101");
        let rest = ada.get(&format!("{path}{}", next(&all).expect("a link"))).await.assert_status(200);
        assert_eq!((each(&rest, "id"), rest.header("link")), (newest_first(100, 1), ""), "{path}");
        let some = ada.get(&format!("{path}?limit=70&skip=5")).await.assert_status(200);
        assert_eq!(each(&some, "id"), newest_first(1095, 1026), "{path}");
        let following = ada.get(&format!("{path}{}", next(&some).expect("a link"))).await.assert_status(200);
        assert_eq!(each(&following, "id")[0], 1025, "{path}");
        let clamped = ada.get(&format!("{path}?limit=5000&skip=1")).await.assert_status(200);
        assert_eq!(each(&clamped, "id"), newest_first(1099, 100), "{path}");
        let to_the_end = ada.get(&format!("{path}?skip=1000")).await.assert_status(200);
        assert_eq!((each(&to_the_end, "id"), to_the_end.header("link")), (newest_first(100, 1), ""), "{path}");
    }
}
