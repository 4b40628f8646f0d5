//! Many at once, also on several nodes: nothing is lost, and nobody waits in a circle.

use std::time::Duration;

use faceofmind_base::Clock;
use tokio::time::timeout;

use super::*;
use crate::support::{bounds, until};
use faceofmind_domain::sessions::{CommandContext, StartSession};
use faceofmind_platform::idempotency::Answer as StoredResponse;
use faceofmind_platform::mail::Transport;

/// Two nodes on one database: PostgreSQL only, a file has one process.
async fn two_nodes() -> Option<(World, World)> {
    let first = worlds().await.into_iter().find(|world| matches!(world.db, Database::Postgres(_)))?;
    let transport = Transport::files(&first.folder);
    let second = World::with(first.db.clone(), transport, None, &Clock::system(), bounds()).await;
    Some((first, second))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_admins_who_remove_each_other_one_stays() {
    let Some((one, two)) = two_nodes().await else { return };
    for round in 0..10 {
        let [a, b] = [format!("a{round}@example.org"), format!("b{round}@example.org")];
        let (a, b) = (one.admin(&a).await.id, one.admin(&b).await.id);
        let (first, second) =
            tokio::join!(one.set_status(b, Status::Suspended), two.house.registry.delete(a, by_admin()));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        assert_eq!(one.number("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'").await, 1);
        one.run("UPDATE users SET role = 'user'").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_user_from_everywhere_are_all_made() {
    let Some((one, two)) = two_nodes().await else { return };
    let ada = one.person(ADA).await;
    let changes = (0..20).map(|index| {
        let registry = if index % 2 == 0 { &one } else { &two }.house.registry.clone();
        let name = AccountChange { first_name: Some(format!("Ada {index}")), ..AccountChange::default() };
        tokio::spawn(async move { registry.change(ada.id, name, by_admin()).await })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.expect("no panic").expect("changes");
    }
    assert_eq!(one.credentials(ADA).await.user.revision, ada.revision + 20);
}

/// As log-ins of one user do, of which each sees to it that the password still is what was compared.
#[tokio::test(flavor = "multi_thread")]
async fn who_relies_on_a_user_waits_for_nobody_but_who_changes_them() {
    let Some((one, two)) = two_nodes().await else { return };
    let ada = one.person(ADA).await;
    let mut relying = Vec::new();
    for world in [&one, &two] {
        let mut tx = world.db.begin().await.expect("begins");
        let unchanged = timeout(Duration::from_secs(10), is_unchanged(&mut tx, ada.id, ada.revision)).await;
        assert!(unchanged.expect("at once").expect("reads"));
        relying.push(tx);
    }
    let registry = one.house.registry.clone();
    let name = AccountChange { first_name: Some("Augusta".into()), ..AccountChange::default() };
    let changing = tokio::spawn(async move { registry.change(ada.id, name, by_admin()).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the change waits", || async { one.number(waiting).await == 1 }).await;
    for tx in relying {
        tx.rollback().await.expect("lets go");
    }
    changing.await.expect("no panic").expect("changes");
    let mut tx = two.db.begin().await.expect("begins");
    assert!(!is_unchanged(&mut tx, ada.id, ada.revision).await.expect("reads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_registered_many_times_at_once_is_one_account() {
    for world in worlds().await {
        let registering = (0..8).map(|from| {
            let from = from.to_string();
            let world = &world;
            async move { world.register(ADA, PASSWORD, &from).await }
        });
        futures_util::future::join_all(registering).await;
        assert_eq!(world.number("SELECT count(*) FROM claims").await, 3);
        assert_eq!(world.number("SELECT count(*) FROM user_profiles WHERE claims_made = 8").await, 1);
        let ada = world.id_of(ADA).await;
        assert_eq!(world.told(ada).await, ["user.registered"]);
    }
}

/// Sessions refer to the user who is deleted meanwhile, from another node.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_deleted_while_they_log_in_and_start_sessions() {
    let Some((one, two)) = two_nodes().await else { return };
    for round in 0..5 {
        let who = format!("ada{round}@example.org");
        let ada = one.logged_in(&who).await.user.id;
        let (sessions, logins) = (two.house.sessions.clone(), &two);
        let start = || StartSession {
            context: CommandContext { user: ada, event: by_admin(), key: None },
            respond: |_| StoredResponse { status: 201, body: String::new() },
        };
        let starting = (0..20).map(|_| sessions.ask(start()));
        let (_, _, deleted) = tokio::join!(
            futures_util::future::join_all(starting),
            logins.log_in(&who, PASSWORD),
            one.house.registry.delete(ada, by_admin())
        );
        deleted.expect("deletes");
        assert_eq!(one.number(&format!("SELECT count(*) FROM users WHERE id = {ada}")).await, 0);
    }
}

#[tokio::test]
async fn who_reads_does_not_wait_for_who_writes() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        let mut held = world.db.begin().await.expect("begins");
        super::super::store::lock(&mut held, ada).await.expect("locks").expect("is there");
        let registry = world.house.registry.clone();
        let writing = tokio::spawn(async move { registry.change(ada, AccountChange::default(), by_admin()).await });
        until("the write waits", async || world.house.tree.snapshot().iter().any(|row| row.queue_len > 0)).await;
        world.house.registry.get(ada).await.expect("reads").expect("is there");
        assert!(!writing.is_finished());
        held.rollback().await.expect("lets go");
        writing.await.expect("no panic").expect("changes nothing");
    }
}

#[tokio::test]
async fn who_waits_on_a_registry_that_dies_hears_so_at_once() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        let mut held = world.db.begin().await.expect("begins");
        super::super::store::lock(&mut held, ada).await.expect("locks").expect("is there");
        let asking = [(); 3].map(|()| {
            let registry = world.house.registry.clone();
            tokio::spawn(async move { registry.change(ada, AccountChange::default(), by_admin()).await })
        });
        let busy = || world.house.tree.snapshot().into_iter().find(|row| row.queue_len == 3).map(|row| row.name);
        until("all wait", async || busy().is_some()).await;
        world.kill(busy().expect("waits")).await;
        for asked in asking {
            let answer = asked.await.expect("no panic");
            assert!(matches!(answer, Err(ChangeError::Failed(Failure::Unavailable(_)))), "{answer:?}");
        }
        held.rollback().await.expect("lets go");
        world.set_status(ada, Status::Suspended).await.expect("is at work again");
    }
}
