//! Several nodes, and panics of a pass and of the actor.

use faceofmind_runtime::ActorState;

use super::{super::dispatch::MAX_PER_PASS, *};

async fn remind_of(test: &TestContext, count: usize, date: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(test.remind(date).await.0);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_send_each_reminder_once() {
    for test in contexts().await {
        let nodes = [test.another_node().await, test.another_node().await];
        let ids = remind_of(&test, 200, TUESDAY).await;
        set(&test.clock, TUESDAY_AT_EIGHT);
        until("all are sent", async || test.all_sent().await.len() >= ids.len()).await;
        for node in nodes.iter().chain([&test]) {
            node.until_dispatched().await;
        }
        let sent = test.all_sent().await;
        assert_eq!(sent[..ids.len()], ids, "each once");
        let jobs = test.texts("SELECT occasion FROM mail_intents").await;
        assert_eq!(jobs.len(), sent.len());
        assert_eq!(jobs.into_iter().collect::<HashSet<_>>().len(), sent.len());
    }
}

#[tokio::test]
async fn reminders_that_the_database_rejects_fail_alone_and_do_not_delay_those_behind_them() {
    for test in contexts().await {
        let bad = remind_of(&test, MAX_PER_PASS + 2, TUESDAY).await;
        let good = remind_of(&test, 3, TUESDAY).await;
        let first = good[0];
        let (fence, mend) = if matches!(test.db, Database::Sqlite(..)) {
            let fence = format!(
                "CREATE TRIGGER fence BEFORE UPDATE ON reminder_schedules \
                 WHEN new.told_at IS NOT NULL AND new.reminder_id < {first} BEGIN SELECT RAISE(ABORT, 'fenced'); END"
            );
            (fence, "DROP TRIGGER fence")
        } else {
            let fence = format!(
                "ALTER TABLE reminder_schedules ADD CONSTRAINT fence CHECK (told_at IS NULL OR reminder_id >= {first})"
            );
            (fence, "ALTER TABLE reminder_schedules DROP CONSTRAINT fence")
        };
        test.run(&fence).await;
        set(&test.clock, TUESDAY_AT_EIGHT);
        until("those behind are sent", async || test.all_sent().await == good).await;
        let all_failed = |status: ServiceStatus<Status>| status.service.dispatched.failed >= bad.len() as u64;
        until("each of the others fails", async || test.status().await.is_some_and(all_failed)).await;
        assert_eq!(test.number("SELECT count(*) FROM mail_intents").await, 3, "nothing is sent by halves");
        test.run(mend).await;
        until("all are sent", async || test.all_sent().await.len() >= bad.len() + good.len()).await;
        test.until_dispatched().await;
        let sent = test.all_sent().await;
        assert_eq!(sent[..bad.len() + good.len()], [bad, good].concat(), "each once");
    }
}

#[tokio::test]
async fn a_pass_that_panics_sends_nothing_and_the_next_sends_each_once() {
    for test in contexts().await {
        let ids = remind_of(&test, 20, TUESDAY).await;
        test.service.fail_point.arm((), 0, || ());
        set(&test.clock, TUESDAY_AT_EIGHT);
        let panicked = |status: ServiceStatus<Status>| status.background_tasks[0].last_error.is_some();
        until("a pass panics", async || test.status().await.is_some_and(panicked)).await;
        until("all are sent", async || test.all_sent().await.len() >= ids.len()).await;
        test.until_dispatched().await;
        assert_eq!(test.all_sent().await[..ids.len()], ids, "each once");
        assert_eq!(test.number("SELECT count(*) FROM mail_intents").await, 21);
    }
}

#[tokio::test]
async fn panics_of_the_actor_during_a_dispatch_send_nothing_by_halves() {
    for test in contexts().await {
        let ids = remind_of(&test, 300, TUESDAY).await;
        set(&test.clock, TUESDAY_AT_EIGHT);
        let mut sent = 0;
        for restarts_so_far in 1..=3_u64 {
            until("the next pass has sent some, or all are sent", async || {
                let before = std::mem::replace(&mut sent, test.all_sent().await.len());
                sent > before || sent >= ids.len()
            })
            .await;
            test.tree.child("reminders").expect("is there").panic();
            until("it is restarted", async || {
                let child = &test.tree.snapshot()[0];
                child.restarts == restarts_so_far && child.state == ActorState::Running
            })
            .await;
        }
        until("all are sent", async || test.all_sent().await.len() >= ids.len()).await;
        test.until_dispatched().await;
        assert_eq!(test.all_sent().await[..ids.len()], ids, "each once");
        assert_eq!(test.number("SELECT count(*) FROM mail_intents").await, 301);
    }
}
