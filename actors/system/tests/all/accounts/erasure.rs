//! The erasure of a user with many rows.

use super::*;

/// Several slices.
const MANY: i64 = 40_000;

impl TestContext {
    /// Gives the user a session with many detections, and as many published events.
    async fn record_many(&self, user: UserId) {
        self.run(&format!(
            "INSERT INTO sessions (user_id, start_time) SELECT {user}, created_at FROM users WHERE id = {user}"
        ))
        .await;
        let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) ");
        for insert in [
            "INSERT INTO emotion_detections (session_id, timestamp) SELECT s.id, s.start_time FROM sessions s, n WHERE s.user_id = {user}",
            "INSERT INTO facial_data (detection_id, emotion) SELECT d.id, 'sad' FROM emotion_detections d \
             JOIN sessions s ON s.id = d.session_id WHERE s.user_id = {user}",
            "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at, position, published_at) \
             SELECT CAST(n.i AS text), 'session/1', u.id, '{}', u.created_at, 1000000 + n.i, u.created_at FROM users u, n WHERE u.id = {user}",
        ] {
            self.run(&format!("{numbers}{}", insert.replace("{user}", &user.to_string()))).await;
        }
    }

    async fn rows_left(&self) -> i64 {
        self.number(
            "SELECT (SELECT count(*) FROM emotion_detections) + (SELECT count(*) FROM facial_data) + \
             (SELECT count(*) FROM sessions) + (SELECT count(*) FROM events WHERE envelope = '{}')",
        )
        .await
    }

    async fn erasures(&self) -> i64 {
        self.number("SELECT count(*) FROM erasures").await
    }
}

#[tokio::test]
async fn an_erased_user_is_gone_at_once_and_the_rows_follow_although_the_actor_dies() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        let bob = test.person("bob@example.org").await.id;
        test.log_in(ADA, PASSWORD).await.expect("logs in");
        test.run(&format!(
            "INSERT INTO sessions (user_id, start_time) SELECT {bob}, created_at FROM users WHERE id = {bob}"
        ))
        .await;
        test.record_many(ada).await;
        test.system.modules.accounts.ask(delete(ada)).await.expect("erases");

        // Kills the actor in the middle of the slices.
        test.kill("user_registry").await;
        assert!(test.rows_left().await > 1, "the kill came too late for this test");
        assert!(test.system.modules.accounts.ask(GetUser { id: ada }).await.expect("reads").is_none());
        assert!(test.log_in(ADA, PASSWORD).await.is_err());
        let users =
            test.system.modules.accounts.ask(ListUsers { limit: 10, ..ListUsers::default() }).await.expect("lists");
        assert_eq!((users.total, users.results.len()), (1, 1));
        assert!(matches!(test.set_status(ada, Status::Active).await, Err(AccountError::NotFound)));
        assert!(matches!(test.system.modules.accounts.ask(delete(ada)).await, Err(AccountError::NotFound)));
        let texts = "SELECT count(*) FROM users WHERE email LIKE '%ada%' OR first_name <> '' AND id = ";
        assert_eq!(test.number(&format!("{texts}{ada}")).await, 0);
        test.register(ADA, PASSWORD, "phone").await;

        until("the rows are removed", async || test.erasures().await == 0).await;
        assert_eq!(test.rows_left().await, 1, "the session of the other user");
        assert_eq!(test.event_names(ada).await, ["user.deleted"]);
        assert_eq!(test.number(&format!("SELECT count(*) FROM users WHERE id = {ada}")).await, 0);
        assert!(test.id_of(ADA).await > ada, "the address is free");
        // The service notes the end after the transaction that removed the last rows.
        let is_noted =
            async || test.system.modules.accounts.status().await.expect("is up").service.oldest_erasure.is_none();
        until("the status shows no erasure", is_noted).await;
    }
}

/// One at a time, each waits for at most one slice.
#[tokio::test]
async fn an_erasure_of_many_rows_refuses_no_registration() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.record_many(ada).await;
        test.system.modules.accounts.ask(delete(ada)).await.expect("erases");
        let mut registered = 0;
        while test.erasures().await > 0 {
            registered += 1;
            test.register(&format!("{registered}@example.org"), PASSWORD, &format!("client {registered}")).await;
        }
        assert!(registered > 1, "the erasure ended too soon for this test");
    }
}

/// While an export is read, the file cannot be rewritten.
#[tokio::test]
async fn a_file_that_a_process_did_not_rewrite_is_rewritten_by_the_next_one() {
    for test in contexts().await.into_iter().filter(|test| matches!(test.db, Database::Sqlite(..))) {
        let ada = test.person(ADA).await.id;
        let mut export = test.db.snapshot().await.expect("connects");
        let read = "SELECT count(*) FROM users";
        let _users: (i64,) =
            with_conn!(export.connection(), c => sqlx::query_as(read).fetch_one(c).await).expect("reads");
        test.system.modules.accounts.ask(delete(ada)).await.expect("erases");
        test.system.tree.stop(Duration::from_secs(10)).await;
        export.close().await.expect("closes");
        assert!(test.db.is_vacuum_due().await.expect("reads"));
        let next = TestContext::open(test.db.clone()).await;
        until("the file is rewritten", async || !next.db.is_vacuum_due().await.expect("reads")).await;
    }
}

#[tokio::test]
async fn an_erasure_that_a_stopped_node_left_is_finished_at_the_start_in_the_name_of_its_initiator() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.run(&format!("UPDATE users SET email = 'erasing/{ada}', status = 'erasing' WHERE id = {ada}")).await;
        let insert = "INSERT INTO erasures (user_id, requested_at, context) SELECT id, created_at, '{\"causedby\":\"admin/1\"}' FROM users";
        test.run(insert).await;
        test.kill("user_registry").await;
        until("the erasure is finished", async || test.erasures().await == 0).await;
        assert_eq!(test.event_names(ada).await, ["user.deleted"]);
        let by_admin = "SELECT count(*) FROM events WHERE envelope LIKE '%\"causedby\":\"admin/1\"%'";
        assert_eq!(test.number(by_admin).await, 1);
    }
}
