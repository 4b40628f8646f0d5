//! One session, from its start to its end.

use super::*;

#[tokio::test]
async fn a_session_is_started_ended_and_told_of() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let started = world.start(ada).await;
        assert_eq!((started.user_id, started.end_time), (ada, None));
        assert_eq!(world.sessions.get(ada, started.id).await.expect("is there"), started);

        world.clock.advance(Duration::from_secs(60));
        let ended = world.sessions.end(ada, started.id, origin(ada)).await.expect("ends");
        assert!(ended.end_time.expect("ended").since(started.start_time) >= Duration::from_secs(60));
        assert_eq!(world.sessions.get(ada, started.id).await.expect("is there"), ended);
        let told = [format!("session.started session/{}", started.id), format!("session.ended session/{}", started.id)];
        assert_eq!(world.told(ada).await, told);
    }
}

#[tokio::test]
async fn ending_twice_changes_nothing_and_tells_nothing() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let ended = world.sessions.end(ada, id, origin(ada)).await.expect("ends");
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.sessions.end(ada, id, origin(ada)).await.expect("has ended"), ended);
        assert_eq!(world.told(ada).await.len(), 2, "started, ended");
    }
}

#[tokio::test]
async fn another_users_session_is_not_found() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let id = world.start(ada).await.id;
        assert!(matches!(world.sessions.get(bob, id).await, Err(SessionError::NotFound)));
        assert!(matches!(world.sessions.end(bob, id, origin(bob)).await, Err(SessionError::NotFound)));
        assert!(matches!(world.sessions.delete(bob, id, origin(bob)).await, Err(SessionError::NotFound)));
        assert_eq!(world.sessions.get(ada, id).await.expect("untouched").end_time, None);
        assert_eq!((world.told(ada).await.len(), world.told(bob).await.len()), (1, 0));
        assert_eq!(world.sessions.count(bob).await.expect("counts"), 0);
    }
}

#[tokio::test]
async fn a_deleted_session_takes_along_what_was_recorded_in_it_and_nothing_else() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        world.without_cascades().await;
        let (kept, gone) = (world.start(ada).await.id, world.start(ada).await.id);
        world.fill(kept).await;
        let before = world.rows().await - 1;
        world.fill(gone).await;

        world.sessions.delete(ada, gone, origin(ada)).await.expect("deletes");

        assert_eq!(world.rows().await, before);
        assert!(matches!(world.sessions.get(ada, gone).await, Err(SessionError::NotFound)));
        assert!(matches!(world.sessions.delete(ada, gone, origin(ada)).await, Err(SessionError::NotFound)));
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 1);
        assert_eq!(world.told(ada).await.last(), Some(&format!("session.deleted session/{gone}")));
    }
}

#[tokio::test]
async fn an_erased_users_sessions_are_gone_and_nobody_elses() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        world.without_cascades().await;
        let kept = world.start(bob).await.id;
        world.fill(kept).await;
        let before = world.rows().await;
        for _ in 0..3 {
            let id = world.start(ada).await.id;
            world.fill(id).await;
        }
        let mut tx = world.db.begin().await.expect("begins");
        erase(&mut tx, ada).await.expect("erases");
        tx.commit().await.expect("commits");
        assert_eq!(world.rows().await, before);
    }
}
