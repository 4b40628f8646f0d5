//! Several nodes, and what survives a round that dies.

use super::*;

async fn remind_of(world: &World, count: usize, date: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(world.remind(date).await.0);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_one_tells_each() {
    for world in worlds().await {
        let nodes = [world.another_node().await, world.another_node().await];
        let ids = remind_of(&world, 200, TUESDAY).await;
        set(&world.clock, TUESDAY_AT_EIGHT);
        until("all are told", async || world.all_told().await.len() >= ids.len()).await;
        for node in nodes.iter().chain([&world]) {
            node.until_looked().await;
        }
        let told = world.all_told().await;
        assert_eq!(told[..ids.len()], ids, "each once");
        let intents = world.texts("SELECT occasion FROM mail_intents").await;
        assert_eq!(intents.len(), told.len());
        assert_eq!(intents.into_iter().collect::<HashSet<_>>().len(), told.len());
    }
}

#[tokio::test]
async fn reminders_that_cannot_be_told_fail_alone_and_hold_up_none_behind_them() {
    for world in worlds().await {
        let bad = remind_of(&world, due::AT_ONCE + 2, TUESDAY).await;
        let good = remind_of(&world, 3, TUESDAY).await;
        let first = good[0];
        let (fence, mend) = if matches!(world.db, Database::Sqlite(..)) {
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
        world.run(&fence).await;
        set(&world.clock, TUESDAY_AT_EIGHT);
        until("those behind are told", async || world.all_told().await == good).await;
        let all_failed = |seen: Value| seen["failed"].as_u64() >= Some(bad.len() as u64);
        until("each of the others fails", async || world.observed().await.is_some_and(all_failed)).await;
        assert_eq!(world.number("SELECT count(*) FROM mail_intents").await, 3, "nothing is half-told");
        world.run(mend).await;
        until("all are told", async || world.all_told().await.len() >= bad.len() + good.len()).await;
        world.until_looked().await;
        let told = world.all_told().await;
        assert_eq!(told[..bad.len() + good.len()], [bad, good].concat(), "each once");
    }
}

#[tokio::test]
async fn a_round_that_dies_in_its_middle_tells_nothing_and_the_next_tells_each_once() {
    for world in worlds().await {
        let ids = remind_of(&world, 20, TUESDAY).await;
        world.reminders.trap.set();
        // Told by a round of their own, and by one that dies: of which nothing stays.
        set(&world.clock, TUESDAY_AT_EIGHT);
        until("a round dies", async || world.observed().await.is_some_and(|seen| seen["panicked"] == 1)).await;
        until("all are told", async || world.all_told().await.len() >= ids.len()).await;
        world.until_looked().await;
        assert_eq!(world.all_told().await[..ids.len()], ids, "each once");
        assert_eq!(world.number("SELECT count(*) FROM mail_intents").await, 21);
    }
}

#[tokio::test]
async fn an_actor_that_dies_while_it_tells_leaves_nothing_half_done() {
    for world in worlds().await {
        let ids = remind_of(&world, 300, TUESDAY).await;
        set(&world.clock, TUESDAY_AT_EIGHT);
        for death in 1..=3_u64 {
            let told = |seen: Value| seen["under_way"].as_u64().is_some_and(|rounds| rounds > 0);
            until("a round is under way, or all is told", async || {
                world.observed().await.is_some_and(told) || world.all_told().await.len() >= ids.len()
            })
            .await;
            world.tree.child("reminders").expect("is there").panic();
            until("it is restarted", async || world.tree.snapshot()[0].restarts == death).await;
        }
        until("all are told", async || world.all_told().await.len() >= ids.len()).await;
        world.until_looked().await;
        assert_eq!(world.all_told().await[..ids.len()], ids, "each once");
        assert_eq!(world.number("SELECT count(*) FROM mail_intents").await, 301);
    }
}
