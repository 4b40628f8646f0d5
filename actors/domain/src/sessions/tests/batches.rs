//! Many at once.

use std::collections::HashSet;

use super::*;

#[tokio::test]
async fn of_many_callers_each_gets_a_session_of_their_own() {
    for world in worlds().await {
        let mut users = Vec::new();
        for number in 0..8 {
            users.push(world.user(&format!("{number}@example.org")).await);
        }
        let asking: Vec<_> = users.iter().cycle().take(200).map(|&user| (user, world.ask_to_start(user))).collect();
        let mut ids = HashSet::new();
        for (user, asked) in asking {
            let session = fresh(asked.await.expect("no panic").expect("starts"));
            assert_eq!(session.user_id, user);
            assert_eq!(world.sessions.get(user, session.id).await.expect("is there"), session);
            ids.insert(session.id);
        }
        assert_eq!(ids.len(), 200);
        assert_eq!(world.told(users[0]).await.len(), 25);
        let seen = world.observed().await.expect("observed");
        assert!(seen["writes"]["batches"].as_u64() < Some(150) && seen["writes"]["written"] == 200, "{seen}");
    }
}

#[tokio::test]
async fn the_largest_batches_fit_into_their_statements() {
    const MANY: usize = 600;
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = (0..MANY).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(MANY).await;
        world.release(held).await;
        let mut ids = vec![fresh(ahead.await.expect("no panic").expect("starts")).id];
        for asked in asking {
            ids.push(fresh(asked.await.expect("no panic").expect("starts")).id);
        }
        let (held, _ahead) = world.hold(ada).await;
        let ending = |&id| world.ask(move |sessions| async move { sessions.end(ada, id, origin(ada)).await });
        let ends: Vec<_> = ids.iter().map(ending).collect();
        world.until_waiting(MANY + 1).await;
        let deleting = |&id| world.ask(move |sessions| async move { sessions.delete(ada, id, origin(ada)).await });
        let deletes: Vec<_> = ids.iter().map(deleting).collect();
        world.until_waiting(2 * (MANY + 1)).await;
        world.release(held).await;
        for (ended, deleted) in ends.into_iter().zip(deletes) {
            assert!(ended.await.expect("no panic").expect("ends").end_time.is_some());
            deleted.await.expect("no panic").expect("deletes");
        }
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 1, "the one ahead");
        assert_eq!(world.told(ada).await.len(), 3 * (MANY + 1) + 1);
        assert_eq!(world.observed().await.expect("observed")["writes"]["taken_apart"], 0);
    }
}

#[tokio::test]
async fn within_a_batch_one_users_changes_keep_their_order() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let (first, second) = (world.start(ada).await.id, world.start(ada).await.id);
        let (held, ahead) = world.hold(bob).await;
        let deleted = world.ask(move |sessions| async move { sessions.delete(ada, first, origin(ada)).await });
        world.until_waiting(1).await;
        let too_late = world.ask(move |sessions| async move { sessions.end(ada, first, origin(ada)).await });
        world.until_waiting(2).await;
        let ended = world.ask(move |sessions| async move { sessions.end(ada, second, origin(ada)).await });
        world.until_waiting(3).await;
        let again = world.ask(move |sessions| async move { sessions.end(ada, second, origin(ada)).await });
        world.until_waiting(4).await;
        let third = world.ask_to_start(ada);
        world.until_waiting(5).await;
        world.release(held).await;

        ahead.await.expect("no panic").expect("starts");
        deleted.await.expect("no panic").expect("deletes");
        assert!(matches!(too_late.await.expect("no panic"), Err(SessionError::NotFound)));
        let ended = ended.await.expect("no panic").expect("ends");
        assert_eq!(again.await.expect("no panic").expect("has ended"), ended);
        let third = fresh(third.await.expect("no panic").expect("starts")).id;
        let told = [
            format!("session.deleted session/{first}"),
            format!("session.ended session/{second}"),
            format!("session.started session/{third}"),
        ];
        assert_eq!(world.told(ada).await[2..], told);
        assert_eq!(
            world.observed().await.expect("observed")["writes"]["batches"],
            4,
            "two alone, one ahead, one batch"
        );
    }
}

#[tokio::test]
async fn within_a_batch_a_stranger_gets_nothing_of_the_owners() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let (ended, deleted) = (world.start(ada).await.id, world.start(ada).await.id);
        let (held, _ahead) = world.hold(bob).await;
        let mut asking = Vec::new();
        for (user, waiting) in [(bob, 2), (ada, 4)] {
            let end = world.ask(move |sessions| async move { sessions.end(user, ended, origin(user)).await.map(drop) });
            let delete = world.ask(move |sessions| async move { sessions.delete(user, deleted, origin(user)).await });
            world.until_waiting(waiting).await;
            asking.extend([end, delete]);
        }
        world.release(held).await;
        let mut heard = Vec::new();
        for asked in asking {
            heard.push(!matches!(asked.await.expect("no panic"), Err(SessionError::NotFound)));
        }
        assert_eq!(heard, [false, false, true, true], "Bob's two, then Ada's");
        assert_eq!((world.told(ada).await.len(), world.told(bob).await.len()), (4, 1));
    }
}

#[tokio::test]
async fn what_was_begun_is_finished_when_the_tracker_stops() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = (0..20).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(20).await;
        let tree = world.tree.clone();
        let stopping = tokio::spawn(async move { tree.stop(Duration::from_secs(10)).await });
        world.release(held).await;
        stopping.await.expect("stops");
        for asked in asking.into_iter().chain([ahead]) {
            asked.await.expect("no panic").expect("was begun");
        }
    }
}
