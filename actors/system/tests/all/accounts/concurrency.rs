//! Concurrent requests, also on several nodes: nothing is lost, and no deadlock occurs.

use faceofmind_base::Clock;
use faceofmind_platform::mail::Transport;
use tokio::time::timeout;

use super::*;
use crate::support::settings;

/// Two nodes on one database. PostgreSQL only: one process at a time opens an SQLite file.
async fn two_nodes() -> (TestContext, TestContext) {
    let postgres = |test: &TestContext| matches!(test.db, Database::Postgres(_));
    let first = contexts().await.into_iter().find(postgres).expect("a system on PostgreSQL");
    let transport = Transport::files(&first.folder);
    let second = TestContext::with(first.db.clone(), transport, None, &Clock::system(), settings()).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_admins_who_remove_each_other_one_stays() {
    let (one, two) = two_nodes().await;
    for round in 0..10 {
        let [a, b] = [format!("a{round}@example.org"), format!("b{round}@example.org")];
        let (a, b) = (one.admin(&a).await.id, one.admin(&b).await.id);
        let (first, second) =
            tokio::join!(one.set_status(b, Status::Suspended), two.system.modules.accounts.ask(delete(a)));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        assert_eq!(one.number("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'").await, 1);
        one.run("UPDATE users SET role = 'user'").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_one_user_on_two_nodes_are_all_written() {
    let (one, two) = two_nodes().await;
    let ada = one.person(ADA).await;
    let changes = (0..20).map(|index| {
        let accounts = if index % 2 == 0 { &one } else { &two }.system.modules.accounts.clone();
        tokio::spawn(async move { accounts.ask(update(ada.id, first_name(&format!("Ada {index}")))).await })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.expect("no panic").expect("changes");
    }
    assert_eq!(one.credentials(ADA).await.user.revision, ada.revision + 20);
}

/// A login checks in its transaction that the user has not changed since the password was verified.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_rely_on_a_user_wait_for_changes_only() {
    let (one, two) = two_nodes().await;
    let ada = one.person(ADA).await;
    let mut relying = Vec::new();
    for test in [&one, &two] {
        let mut tx = test.db.begin().await.expect("begins");
        let unchanged = timeout(Duration::from_secs(10), accounts::has_revision(&mut tx, ada.id, ada.revision)).await;
        assert!(unchanged.expect("at once").expect("reads"));
        relying.push(tx);
    }
    let accounts = one.system.modules.accounts.clone();
    let changing = tokio::spawn(async move { accounts.ask(update(ada.id, first_name("Augusta"))).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the change waits", || async { one.number(waiting).await == 1 }).await;
    for tx in relying {
        tx.rollback().await.expect("releases");
    }
    changing.await.expect("no panic").expect("changes");
    let mut tx = two.db.begin().await.expect("begins");
    assert!(!accounts::has_revision(&mut tx, ada.id, ada.revision).await.expect("reads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_registered_many_times_at_once_is_one_account() {
    for test in contexts().await {
        let registering = (0..8).map(|from| {
            let from = from.to_string();
            let test = &test;
            async move { test.register(ADA, PASSWORD, &from).await }
        });
        futures_util::future::join_all(registering).await;
        assert_eq!(test.number("SELECT count(*) FROM claims").await, 3);
        // The others were not stored: a code for each of the three may be on its way.
        assert_eq!(test.number("SELECT count(*) FROM user_profiles WHERE claims_made = 3").await, 1);
        let ada = test.id_of(ADA).await;
        assert_eq!(test.event_names(ada).await, ["user.registered"]);
    }
}

/// The sessions that another node starts meanwhile refer to the user.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_deleted_while_they_log_in_and_start_sessions() {
    let (one, two) = two_nodes().await;
    for round in 0..5 {
        let address = format!("ada{round}@example.org");
        let ada = one.logged_in(&address).await.user.id;
        let (sessions, logins) = (two.system.modules.sessions.clone(), &two);
        let starting = (0..20).map(|_| sessions.ask(start_session(ada)));
        let (_, _, deleted) = tokio::join!(
            futures_util::future::join_all(starting),
            logins.log_in(&address, PASSWORD),
            one.system.modules.accounts.ask(delete(ada))
        );
        deleted.expect("deletes");
        assert_eq!(one.number(&format!("SELECT count(*) FROM users WHERE id = {ada}")).await, 0);
    }
}

#[tokio::test]
async fn reads_do_not_wait_for_writes() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        let mut held = test.db.begin().await.expect("begins");
        lock(&mut held, ada).await;
        let accounts = test.system.modules.accounts.clone();
        let writing = tokio::spawn(async move { accounts.ask(update(ada, UserChange::default())).await });
        until("the write waits", async || test.system.tree.snapshot().iter().any(|row| row.queue_len > 0)).await;
        test.system.modules.accounts.ask(GetUser { id: ada }).await.expect("reads").expect("exists");
        assert!(!writing.is_finished());
        held.rollback().await.expect("releases");
        writing.await.expect("no panic").expect("changes nothing");
    }
}

/// PostgreSQL ends a wait for a row. On SQLite, whose one writer is held, the request's own deadline does.
#[tokio::test]
async fn an_erasure_and_a_new_password_that_are_refused_for_lack_of_time_are_never_written() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        assert!(test.is_good(&phone).await, "the first use of a token is written");
        let ada = phone.user.id;
        let mut held = test.db.begin().await.expect("begins");
        lock(&mut held, ada).await;
        let (erased, changed) = tokio::join!(
            test.system.modules.accounts.ask(delete(ada)),
            test.change_password(&phone, (*phone.user).clone())
        );
        assert!(
            matches!(
                erased,
                Err(AccountError::Ask(AskError::TimedOut(_)) | AccountError::Store(StoreError::TimedOut(_)))
            ),
            "{erased:?}"
        );
        assert!(
            matches!(
                changed,
                Err(PasswordError::Ask(AskError::TimedOut(_)) | PasswordError::Store(StoreError::TimedOut(_)))
            ),
            "{changed:?}"
        );
        held.rollback().await.expect("releases");
        // A write that still waited for the row would come before this one.
        test.change(ada, first_name("Augusta")).await.expect("changes");
        assert_eq!(test.event_names(ada).await, ["user.registered", "user.verified", "user.updated"]);
        test.log_in(ADA, PASSWORD).await.expect("logs in");
    }
}

#[tokio::test]
async fn callers_of_a_registry_that_dies_get_an_error_at_once() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        let mut held = test.db.begin().await.expect("begins");
        lock(&mut held, ada).await;
        let asking = [(); 3].map(|()| {
            let accounts = test.system.modules.accounts.clone();
            tokio::spawn(async move { accounts.ask(update(ada, UserChange::default())).await })
        });
        let busy = || test.system.tree.snapshot().into_iter().find(|row| row.queue_len == 3).map(|row| row.name);
        until("all wait", async || busy().is_some()).await;
        test.kill(busy().expect("waits")).await;
        for asked in asking {
            let answer = asked.await.expect("no panic");
            assert!(
                matches!(answer, Err(AccountError::Ask(AskError::Unavailable(_) | AskError::OutcomeUnknown(_)))),
                "{answer:?}"
            );
        }
        held.rollback().await.expect("releases");
        test.set_status(ada, Status::Suspended).await.expect("it runs again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_codes_for_one_address_entered_at_once_one_verifies() {
    for test in contexts().await {
        test.register(ADA, PASSWORD, "phone").await;
        let first = test.mail(ADA, 1).await;
        test.register(ADA, "a stranger's password", "stranger").await;
        let second = test.mail(ADA, 2).await;
        let (first, second) = tokio::join!(test.verify(ADA, &first), test.verify(ADA, &second));
        let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused[..], [AccountError::InvalidCode]), "{refused:?}");
        let ada = test.id_of(ADA).await;
        assert_eq!(test.event_names(ada).await, ["user.registered", "user.verified"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resets_with_one_code_at_once_one_sets_the_password() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        let (first, second) =
            tokio::join!(test.reset(&mail, "a first new password"), test.reset(&mail, "a second new password"));
        let password = if first.is_ok() { "a first new password" } else { "a second new password" };
        let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused[..], [PasswordError::InvalidCode]), "{refused:?}");
        test.log_in(ADA, password).await.expect("logs in");
        assert_eq!(test.event_names(ada).await, ["user.registered", "user.verified", "user.password_changed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_password_changes_after_one_check_one_is_written() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let change = || test.change_password(&phone, (*phone.user).clone());
        let (first, second) = tokio::join!(change(), change());
        let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused[..], [PasswordError::Store(StoreError::Conflict)]), "{refused:?}");
    }
}

#[tokio::test]
async fn a_fresh_hash_of_an_old_password_does_not_replace_a_new_one() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let old = test.credentials(ADA).await.password.expect("a hash");
        test.change_password(&phone, (*phone.user).clone()).await.expect("changes");
        let changed = test.credentials(ADA).await.password.expect("a hash");
        let renew = RenewPasswordHash { user: phone.user.id, old: old.clone(), new: old };
        test.system.modules.accounts.ask(renew).await.expect("changes nothing");
        assert_eq!(test.credentials(ADA).await.password.expect("a hash").as_str(), changed.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_wins_over_the_fresh_hash_of_a_concurrent_login() {
    // Of "password123", by passlib.
    let legacy = "$2b$10$oFQG2rkakGuC8LGMy2cV5O9FfH.IDVz7hqaHhYUPXSzFF1ijX3O0O";
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let keep = test.system.modules.authenticator.authenticate(&phone.access_token).await.expect("is valid").login;
        for round in 0..20 {
            test.run(&format!("UPDATE users SET password = '{legacy}'")).await;
            let (verified, new) = (test.credentials(ADA).await.user, format!("a new and longer word {round}"));
            let context = client(&format!("phone {round}"));
            let change = ChangePassword { verified, new_password: secret(&new), keep, context: context.clone() };
            let (login, changed) = tokio::join!(test.log_in_from(context.clone(), ADA, "password123"), async {
                // So that in some rounds the old password has been verified before the new one is written.
                tokio::time::sleep(Duration::from_millis(4 * round)).await;
                test.system.modules.accounts.ask(change).await
            });
            changed.expect("changes");
            assert!(login.is_ok() || matches!(login, Err(LoginError::InvalidCredentials)), "{login:?}");
            let old = test.log_in_from(context.clone(), ADA, "password123").await;
            assert!(matches!(old, Err(LoginError::InvalidCredentials)), "round {round}: {old:?}");
            test.log_in_from(context, ADA, &new).await.expect("the new password is the user's");
        }
    }
}

#[tokio::test]
async fn a_fresh_hash_of_a_legacy_one_does_not_replace_a_new_password() {
    let legacy = "$2b$10$oFQG2rkakGuC8LGMy2cV5O9FfH.IDVz7hqaHhYUPXSzFF1ijX3O0O";
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let of_old = test.credentials(ADA).await.password.expect("a hash");
        test.run(&format!("UPDATE users SET password = '{legacy}'")).await;
        let Credentials { user, password, .. } = test.credentials(ADA).await;
        test.change_password(&phone, user).await.expect("changes");
        let changed = test.credentials(ADA).await.password.expect("a hash");
        let renew = RenewPasswordHash { user: phone.user.id, old: password.expect("a hash"), new: of_old };
        test.system.modules.accounts.ask(renew).await.expect("changes nothing");
        assert_eq!(test.credentials(ADA).await.password.expect("a hash").as_str(), changed.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_registered_while_an_admin_is_created_has_one_account() {
    for test in contexts().await {
        for number in 1..=30 {
            let (address, client) = (format!("ada{number}@example.org"), format!("stranger {number}"));
            let (first_name, last_name) = ("Root".into(), "Admin".into());
            let admin = CreateAdmin { email: email(&address), password: secret(PASSWORD), first_name, last_name };
            let (created, ()) = tokio::join!(
                test.system.modules.accounts.ask(admin),
                test.register(&address, "a stranger's password", &client)
            );
            let role = match created {
                Ok(_) => Role::Admin,
                Err(AccountError::EmailTaken) => Role::User,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(test.credentials(&address).await.user.role, role);
            assert_eq!(test.number("SELECT count(*) FROM users").await, number);
        }
    }
}
