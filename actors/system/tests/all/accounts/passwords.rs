//! Resetting and changing passwords.

use super::*;

const NEW: &str = "a new and longer word";

fn reset(code: SecretString, password: &str) -> ResetPassword {
    ResetPassword { email: email(ADA), code, new_password: secret(password), context: client("phone") }
}

impl TestContext {
    pub(super) async fn reset(&self, mail: &Received, password: &str) -> Result<(), PasswordError> {
        self.system.modules.accounts.ask(reset(mail.code().expect("a code"), password)).await
    }

    pub(super) async fn change_password(&self, by: &TokenPair, verified: User) -> Result<(), PasswordError> {
        let keep = self.system.modules.authenticator.authenticate(&by.access_token).await.expect("is valid").login;
        let change = ChangePassword { verified, new_password: secret(NEW), keep, context: client("phone") };
        self.system.modules.accounts.ask(change).await
    }
}

#[tokio::test]
async fn the_code_comes_before_the_password_and_is_kept_when_that_is_refused() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        for refused in ["dummyPassword123", "short"] {
            assert!(matches!(test.reset(&mail, refused).await, Err(PasswordError::Policy(_))));
        }
        assert!(test.is_good(&phone).await, "nothing has changed");
        test.reset(&mail, NEW).await.expect("resets");
        assert!(!test.is_good(&phone).await, "every login ends");
        assert!(matches!(test.reset(&mail, NEW).await, Err(PasswordError::InvalidCode)));
        test.log_in(ADA, NEW).await.expect("logs in");
        assert!(test.mail(ADA, 3).await.subject.contains("password"));
        let events = test.event_names(phone.user.id).await;
        assert_eq!(events, ["user.registered", "user.verified", "user.password_changed"]);
    }
}

#[tokio::test]
async fn a_wrong_code_reveals_nothing_about_the_password() {
    for test in contexts().await {
        test.person(ADA).await;
        for address in [ADA, "unknown@example.org"] {
            let asked = test
                .system
                .modules
                .accounts
                .ask(ResetPassword { email: email(address), ..reset(secret("000000"), "x") })
                .await;
            assert!(matches!(asked, Err(PasswordError::InvalidCode)), "{address}");
        }
    }
}

#[tokio::test]
async fn a_reset_activates_an_account_that_was_never_verified() {
    for test in contexts().await {
        test.register(ADA, "a stranger's password", "stranger").await;
        test.mail(ADA, 1).await;
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        test.reset(&mail, NEW).await.expect("resets");
        let ada = test.log_in(ADA, NEW).await.expect("logs in").user.id;
        assert_eq!(test.number("SELECT count(*) FROM claims").await, 0);
        assert_eq!(test.event_names(ada).await, ["user.registered", "user.verified", "user.password_changed"]);
    }
}

#[tokio::test]
async fn a_reset_verifies_the_address_of_an_account_that_an_admin_activated() {
    for test in contexts().await {
        for _ in 0..2 {
            test.register(ADA, PASSWORD, "phone").await;
        }
        test.mail(ADA, 2).await;
        let ada = test.id_of(ADA).await;
        test.set_status(ada, Status::Active).await.expect("activates");
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 3).await;
        test.reset(&mail, NEW).await.expect("resets");
        test.set_status(ada, Status::Suspended).await.expect("suspends");
        test.set_status(ada, Status::Active).await.expect("activates");
        test.log_in(ADA, NEW).await.expect("the password is verified as the owner's");
    }
}

#[tokio::test]
async fn a_suspended_user_may_reset_but_not_log_in() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.set_status(ada, Status::Suspended).await.expect("suspends");
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        test.reset(&mail, NEW).await.expect("resets");
        assert!(matches!(test.log_in(ADA, NEW).await, Err(LoginError::AccountDisabled(Status::Suspended))));
    }
}

#[tokio::test]
async fn a_code_whose_password_could_not_be_written_stays_valid() {
    for test in contexts().await {
        test.person(ADA).await;
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        test.run("ALTER TABLE logins RENAME TO mislaid").await;
        assert!(matches!(test.reset(&mail, NEW).await, Err(PasswordError::Store(_))));
        test.run("ALTER TABLE mislaid RENAME TO logins").await;
        test.log_in(ADA, PASSWORD).await.expect("nothing is half-written");
        test.reset(&mail, NEW).await.expect("resets");
    }
}

/// The actor dies while PostgreSQL commits. The caller gets an error, and yet the password is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_whose_commit_outlived_the_actor_sets_no_second_password() {
    for test in contexts().await.into_iter().filter(|test| matches!(test.db, Database::Postgres(_))) {
        let ada = test.person(ADA).await.id;
        test.request_reset(ADA, "phone").await;
        let mail = test.mail(ADA, 2).await;
        for statement in HALF_WAY {
            test.run(statement).await;
        }
        let mut gate = test.db.begin().await.expect("begins");
        gate.on_postgres(sqlx::query("SELECT pg_advisory_xact_lock(4)")).await.expect("locks");
        let (accounts, code) = (test.system.modules.accounts.clone(), mail.code().expect("a code"));
        let asking = tokio::spawn(async move { accounts.ask(reset(code, NEW)).await });
        until("it commits", async || test.number(WAITING).await == 1).await;
        test.system.modules.accounts.panic();
        assert!(matches!(asking.await.expect("no panic"), Err(PasswordError::Ask(AskError::OutcomeUnknown(_)))));
        gate.commit().await.expect("unlocks");
        until("it runs again", async || {
            let row = test.system.tree.snapshot().into_iter().find(|row| row.name == accounts::NAME).expect("exists");
            row.restarts == 1 && row.state == ActorState::Running
        })
        .await;
        until("it is written", async || test.event_names(ada).await.last().expect("some") == "user.password_changed")
            .await;
        test.log_in(ADA, NEW).await.expect("logs in");
        assert!(matches!(test.reset(&mail, "yet another word").await, Err(PasswordError::InvalidCode)));
    }
}

/// Holds each commit of a new password until the lock 4 is free.
const HALF_WAY: [&str; 2] = [
    "CREATE FUNCTION half_way() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN PERFORM pg_advisory_xact_lock(4); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER half_way AFTER UPDATE OF password ON users DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION half_way()",
];
const WAITING: &str = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
    WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted";

#[tokio::test]
async fn changing_the_password_ends_the_other_logins_only() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let laptop = test.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(test.is_good(&laptop).await);
        test.change_password(&phone, (*phone.user).clone()).await.expect("changes");
        assert!(test.is_good(&phone).await);
        assert!(!test.is_good(&laptop).await);
        assert!(test.refresh(&laptop.refresh_token).await.is_err());
        test.refresh(&phone.refresh_token).await.expect("goes on");
    }
}

#[tokio::test]
async fn a_password_verified_before_another_change_must_be_verified_again() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        test.change_password(&phone, (*phone.user).clone()).await.expect("changes");
        let outdated = test.change_password(&phone, (*phone.user).clone()).await;
        assert!(matches!(outdated, Err(PasswordError::Store(StoreError::Conflict))));
    }
}
