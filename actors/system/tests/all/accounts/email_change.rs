//! Changes of the e-mail address.

use super::*;

const NEW: &str = "ada@example.com";
const OTHERS: &str = "a stranger's password";

impl TestContext {
    async fn request_email_change(&self, user: UserId, to: &str, from: &str) -> Result<(), AccountError> {
        let verified =
            self.system.modules.accounts.ask(GetUser { id: user }).await.expect("reads").expect("the user exists");
        self.request_change(verified, to, from).await
    }

    async fn request_change(&self, verified: User, to: &str, from: &str) -> Result<(), AccountError> {
        let request = RequestEmailChange { verified, new_email: email(to), context: client(from) };
        self.system.modules.accounts.ask(request).await
    }

    async fn confirm(&self, by: &TokenPair, mail: &Received) -> Result<User, AccountError> {
        self.enter_code(by, mail.code().expect("a code")).await
    }

    async fn enter_code(&self, by: &TokenPair, code: SecretString) -> Result<User, AccountError> {
        let keep = self.system.modules.authenticator.authenticate(&by.access_token).await.expect("is valid").login;
        let confirm = ConfirmEmailChange { user: by.user.id, code, keep, context: client("phone") };
        self.system.modules.accounts.ask(confirm).await
    }

    /// A logged-in user, and the mail with the code to the new address.
    async fn with_pending_change(&self) -> (TokenPair, Received) {
        let ada = self.logged_in(ADA).await;
        self.request_email_change(ada.user.id, NEW, "phone").await.expect("is accepted");
        (ada, self.mail(NEW, 1).await)
    }
}

#[tokio::test]
async fn the_old_address_holds_until_the_new_one_is_verified() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.log_in(ADA, PASSWORD).await.expect("holds");
        assert!(matches!(test.log_in(NEW, PASSWORD).await, Err(LoginError::InvalidCredentials)));
        let moved = test.confirm(&ada, &mail).await.expect("changes the address");
        assert_eq!((moved.id, moved.email, moved.status), (ada.user.id, email(NEW), Status::Active));
        test.log_in(NEW, PASSWORD).await.expect("is the account's");
        assert!(matches!(test.log_in(ADA, PASSWORD).await, Err(LoginError::InvalidCredentials)));
        assert_eq!(test.event_names(ada.user.id).await, ["user.registered", "user.verified", "user.email_changed"]);
        test.all_is_mailed().await;
        let subjects: Vec<_> = test.mails(ADA).into_iter().skip(1).map(|mail| mail.subject).collect();
        assert_eq!(
            subjects,
            ["Your FaceofMind e-mail address is to be changed", "Your FaceofMind e-mail address was changed"]
        );
        assert!(test.mails(ADA).iter().all(|mail| !mail.text.contains(NEW)), "the new address is not revealed");
        assert_eq!(test.mails(NEW).len(), 1);
    }
}

#[tokio::test]
async fn the_other_logins_end_with_the_email_change() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let laptop = test.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(test.is_good(&laptop).await);
        test.confirm(&ada, &mail).await.expect("changes the address");
        assert!(!test.is_good(&laptop).await);
        assert!(test.is_good(&ada).await, "the confirming login stays");
        let refreshed = test.refresh(&ada.refresh_token).await.expect("goes on");
        assert_eq!(refreshed.user.email, email(NEW));
    }
}

#[tokio::test]
async fn a_code_is_valid_once_and_for_the_address_that_was_requested_last() {
    for test in contexts().await {
        let (ada, first) = test.with_pending_change().await;
        test.request_email_change(ada.user.id, "ada@example.net", "phone").await.expect("is accepted");
        let second = test.mail("ada@example.net", 1).await;
        assert!(matches!(test.confirm(&ada, &first).await, Err(AccountError::InvalidCode)));
        test.confirm(&ada, &second).await.expect("changes the address");
        assert!(matches!(test.confirm(&ada, &second).await, Err(AccountError::InvalidCode)));
        assert_eq!(test.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

/// The second mail may be late, or beyond the mail budget.
#[tokio::test]
async fn a_second_request_for_the_same_address_keeps_the_earlier_code() {
    for test in contexts().await {
        let (ada, first) = test.with_pending_change().await;
        for _ in 0..2 {
            test.request_email_change(ada.user.id, NEW, "phone").await.expect("is accepted");
        }
        test.all_is_mailed().await;
        assert_eq!(test.mails(NEW).len(), 2, "two in ten minutes for one client");
        test.confirm(&ada, &first).await.expect("changes the address");
    }
}

#[tokio::test]
async fn the_owner_of_an_address_gets_a_notice_and_no_code() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        test.person(NEW).await;
        test.request_email_change(ada.user.id, NEW, "phone").await.expect("is accepted all the same");
        let notice = test.mail(NEW, 2).await;
        assert!(notice.code().is_none() && notice.text.contains("already have an account"), "{}", notice.text);
        for code in ["000000", "123456"] {
            assert!(matches!(test.enter_code(&ada, secret(code)).await, Err(AccountError::InvalidCode)));
        }
        for from in ["phone", "laptop", "old phone"] {
            test.request_email_change(ada.user.id, NEW, from).await.expect("is accepted");
        }
        test.mail(NEW, 4).await;
        test.until_put_off(1).await;
        test.advance(Duration::from_secs(601));
        let notice = test.mail(NEW, 5).await;
        assert!(notice.code().is_none() && notice.text.contains("already have an account"), "{}", notice.text);
        test.all_is_mailed().await;
        assert_eq!(test.mails(NEW).len(), 5, "three in ten minutes, beside the welcome, and the fourth after them");
    }
}

#[tokio::test]
async fn a_verified_address_change_goes_before_unverified_registrations() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        test.register(NEW, OTHERS, "stranger").await;
        let strangers = test.mail(NEW, 1).await;
        let squatter = test.id_of(NEW).await;
        test.request_email_change(ada.user.id, NEW, "phone").await.expect("is accepted");
        let mail = test.mail(NEW, 2).await;
        test.confirm(&ada, &mail).await.expect("changes the address");
        assert_eq!(test.event_names(squatter).await, ["user.deleted"], "the unverified account was erased");
        assert!(matches!(test.log_in(NEW, OTHERS).await, Err(LoginError::InvalidCredentials)));
        assert!(matches!(test.verify(NEW, &strangers).await, Err(AccountError::InvalidCode)));
        assert_eq!(test.id_of(NEW).await, ada.user.id);
    }
}

#[tokio::test]
async fn an_address_that_another_user_has_verified_meanwhile_is_taken() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.register(NEW, OTHERS, "owner").await;
        let owners = test.mail(NEW, 2).await;
        let owner = test.verify(NEW, &owners).await.expect("verifies").id;
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!((test.id_of(ADA).await, test.id_of(NEW).await), (ada.user.id, owner));
        assert!(test.is_good(&ada).await, "nothing has changed");
    }
}

/// An account whose address was verified once keeps it in every status.
#[tokio::test]
async fn an_account_that_was_set_back_to_inactive_keeps_its_address() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let root = test.admin(NEW).await.id;
        test.admin("root@example.org").await;
        test.set_status(root, Status::Inactive).await.expect("sets back");
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!(test.id_of(NEW).await, root);
    }
}

/// The earlier program did not store whether an address was verified. It activated accounts only after verification.
#[tokio::test]
async fn an_account_of_the_earlier_program_that_was_set_back_to_inactive_keeps_its_address() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let eve = insert_user(&test.db, NEW).await;
        test.run(&format!("DELETE FROM user_profiles WHERE user_id = {eve}")).await;
        test.run(&format!("UPDATE users SET status = 'active' WHERE id = {eve}")).await;
        test.set_status(eve, Status::Inactive).await.expect("sets back");
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!(test.id_of(NEW).await, eve);
    }
}

/// As the sweep, a new owner of the address does not end the account of another program.
#[tokio::test]
async fn an_inactive_account_of_another_program_keeps_its_address() {
    for test in contexts().await {
        let eve = insert_user(&test.db, "eve@example.org").await;
        test.change(eve, UserChange { first_name: Some("Eve M.".into()), ..UserChange::default() })
            .await
            .expect("renames");
        test.run(&format!("UPDATE users SET status = 'inactive' WHERE id = {eve}")).await;
        let ada = test.logged_in(ADA).await;
        test.request_email_change(ada.user.id, "eve@example.org", "phone").await.expect("is accepted");
        let mail = test.mail("eve@example.org", 1).await;
        assert!(mail.code().is_none(), "{mail:?}");
        assert_eq!(test.id_of("eve@example.org").await, eve);
    }
}

/// The earlier program may have stored an address in upper case.
#[tokio::test]
async fn an_address_in_another_case_is_taken_too() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let other = insert_user(&test.db, "eve@example.org").await;
        test.run(&format!("UPDATE users SET email = 'Ada@Example.COM' WHERE id = {other}")).await;
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        test.log_in(ADA, PASSWORD).await.expect("nothing has changed");
    }
}

#[tokio::test]
async fn a_code_is_valid_only_for_the_account_that_requested_it() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let eve = test.logged_in("eve@example.org").await;
        test.request_email_change(eve.user.id, NEW, "laptop").await.expect("is accepted");
        test.mail(NEW, 2).await;
        assert!(matches!(test.confirm(&eve, &mail).await, Err(AccountError::InvalidCode)));
        test.confirm(&ada, &mail).await.expect("eve has not consumed it");
    }
}

#[tokio::test]
async fn a_new_password_ends_a_pending_email_change() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.change_password(&ada, test.credentials(ADA).await.user).await.expect("changes");
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::InvalidCode)));
        assert_eq!(test.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

#[tokio::test]
async fn a_suspension_ends_a_pending_email_change() {
    for test in contexts().await {
        let (ada, _) = test.with_pending_change().await;
        test.set_status(ada.user.id, Status::Suspended).await.expect("suspends");
        assert_eq!(test.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

#[tokio::test]
async fn a_password_verified_before_a_change_must_be_verified_again_for_an_email_change() {
    for test in contexts().await {
        let proven = test.person(ADA).await;
        test.set_status(proven.id, Status::Suspended).await.expect("suspends");
        let asked = test.request_change(proven, NEW, "phone").await;
        assert!(matches!(asked, Err(AccountError::Store(StoreError::Conflict))), "{asked:?}");
        assert_eq!(test.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

/// Access to the old mailbox gives no access to the account.
#[tokio::test]
async fn a_reset_code_for_the_old_address_is_void_after_the_change() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.request_reset(ADA, "old phone").await;
        until("the code comes", async || test.mails(ADA).iter().any(|mail| mail.subject.contains("new password")))
            .await;
        let reset = test.mails(ADA).into_iter().find(|mail| mail.subject.contains("new password")).expect("came");
        test.confirm(&ada, &mail).await.expect("changes the address");
        let tried = test.reset(&reset, "another long word").await;
        assert!(matches!(tried, Err(PasswordError::InvalidCode)), "{tried:?}");
        test.log_in(NEW, PASSWORD).await.expect("the password is the same");
    }
}

/// PostgreSQL serves the requests that wait for a row in the order of their arrival. SQLite has one writer, so the requests cannot be made to
/// overlap there.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_read_the_account_before_its_address_changed_is_refused() {
    for test in contexts().await.into_iter().filter(|test| matches!(test.db, Database::Postgres(_))) {
        let (ada, mail) = test.with_pending_change().await;
        test.request_reset(ADA, "laptop").await;
        until("the code comes", async || test.mails(ADA).len() == 3).await;
        let reset = test.mails(ADA).into_iter().find(|mail| mail.subject.contains("new password")).expect("came");
        let waiting = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let mut held = test.db.begin().await.expect("begins");
        lock(&mut held, ada.user.id).await;
        let release = async {
            until("both wait", async || test.number(waiting).await == 2).await;
            held.rollback().await.expect("releases");
        };
        let reset_next = async {
            until("the change waits", async || test.number(waiting).await == 1).await;
            test.reset(&reset, "another long word").await
        };
        let (changed, tried, ()) = tokio::join!(test.confirm(&ada, &mail), reset_next, release);
        changed.expect("changes the address");
        assert!(matches!(tried, Err(PasswordError::InvalidCode)), "{tried:?}");
        test.log_in(NEW, PASSWORD).await.expect("the password is the same");
    }
}

/// Pending registrations of the old address do not concern the account that has left it.
#[tokio::test]
async fn the_old_address_is_free_for_another_account() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.register(ADA, OTHERS, "early").await;
        test.confirm(&ada, &mail).await.expect("changes the address");
        test.register(ADA, OTHERS, "late").await;
        test.all_is_mailed().await;
        let welcome = test.mails(ADA).into_iter().find(|mail| mail.text.contains("Ada late")).expect("a code");
        let newcomer = test.verify(ADA, &welcome).await.expect("verifies");
        assert_ne!(newcomer.id, ada.user.id);
        assert_eq!(test.mails(NEW).len(), 1, "the new address gets no mail about it");
    }
}

/// The task of the change ends with its actor, as it would with the process, and restores nothing. SQLite has one writer, which the test would
/// have to be.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_whose_email_change_died_stays_valid() {
    for test in contexts().await {
        if matches!(test.db, Database::Sqlite(..)) {
            continue;
        }
        let (ada, mail) = test.with_pending_change().await;
        let mut tx = test.db.begin().await.expect("begins");
        let lock = "UPDATE users SET email = email WHERE id = $1";
        with_conn!(tx.connection(), c => sqlx::query(lock).bind(ada.user.id).execute(c).await.map(drop))
            .expect("locks");
        let dying = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            test.kill("user_registry").await;
        };
        let (died, ()) = tokio::join!(test.confirm(&ada, &mail), dying);
        assert!(died.is_err(), "{died:?}");
        drop(tx);
        test.confirm(&ada, &mail).await.expect("the code is not used up");
    }
}

#[tokio::test]
async fn a_code_whose_email_change_could_not_be_written_stays_valid() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.run("ALTER TABLE claims RENAME TO mislaid").await;
        assert!(matches!(test.confirm(&ada, &mail).await, Err(AccountError::Store(_))));
        test.run("ALTER TABLE mislaid RENAME TO claims").await;
        test.log_in(ADA, PASSWORD).await.expect("nothing is half-written");
        test.confirm(&ada, &mail).await.expect("changes the address");
    }
}

/// Each requests the address that the other still has. The two transactions do not deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_users_who_request_each_others_address_neither_gets_it() {
    for test in contexts().await {
        let (ada, to_eves) = test.with_pending_change().await;
        let eve = test.logged_in("eve@example.org").await;
        test.request_email_change(eve.user.id, "eve@example.com", "laptop").await.expect("is accepted");
        let to_adas = test.mail("eve@example.com", 1).await;
        for (user, address) in [(&ada, "eve@example.org"), (&eve, ADA)] {
            test.run(&format!("UPDATE address_changes SET address = '{address}' WHERE user_id = {}", user.user.id))
                .await;
        }
        let (first, second) = tokio::join!(test.confirm(&ada, &to_eves), test.confirm(&eve, &to_adas));
        assert!(
            matches!((&first, &second), (Err(AccountError::InvalidCode), Err(AccountError::InvalidCode))),
            "{first:?} {second:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_email_changes_to_one_address_at_once_one_succeeds() {
    for test in contexts().await {
        let mut moving = Vec::new();
        for number in 0..3 {
            let person = test.logged_in(&format!("p{number}@example.org")).await;
            test.request_email_change(person.user.id, NEW, &format!("laptop {number}")).await.expect("is accepted");
            moving.push((person, test.mail(NEW, number + 1).await));
        }
        let moves = moving.iter().map(|(person, mail)| test.confirm(person, mail));
        let results = futures_util::future::join_all(moves).await;
        assert_eq!(results.iter().filter(|results| results.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|results| matches!(results, Ok(_) | Err(AccountError::EmailTaken))), "{results:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_registered_during_its_owners_email_change_is_the_owners() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        let registering = (0..8).map(|number| {
            let (test, from) = (&test, format!("stranger {number}"));
            async move { test.register(NEW, OTHERS, &from).await }
        });
        let (moved, _) = tokio::join!(test.confirm(&ada, &mail), futures_util::future::join_all(registering));
        moved.expect("changes the address");
        assert_eq!(test.id_of(NEW).await, ada.user.id);
        assert_eq!(test.number("SELECT count(*) FROM users").await, 1);
    }
}

#[tokio::test]
async fn an_email_change_that_is_not_confirmed_in_a_day_expires() {
    for test in contexts().await {
        let (ada, mail) = test.with_pending_change().await;
        test.advance(Duration::from_secs(24 * 3600));
        let late = test.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(matches!(test.confirm(&late, &mail).await, Err(AccountError::InvalidCode)));
        let claim = ClaimId(test.number("SELECT id FROM address_changes").await);
        let reason = MailReason::AddressClaim { user: ada.user.id, claim };
        assert!(test.system.modules.accounts.ask(GetMailContext { reason }).await.expect("reads").is_none());
        test.kill("user_registry").await;
        until("it is swept", async || test.number("SELECT count(*) FROM address_changes").await == 0).await;
    }
}

#[tokio::test]
async fn the_accounts_own_address_is_refused() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        assert!(matches!(
            test.request_email_change(ada, " ADA@example.org", "phone").await,
            Err(AccountError::EmailUnchanged)
        ));
    }
}

#[tokio::test]
async fn requests_for_an_email_change_count_as_registrations() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        for number in 0..59 {
            test.request_email_change(ada, &format!("a{number}@example.com"), "phone").await.expect("is accepted");
        }
        assert!(matches!(test.request_email_change(ada, NEW, "phone").await, Err(AccountError::RateLimited { .. })));
        test.request_email_change(ada, NEW, "laptop").await.expect("another client may");
    }
}

#[tokio::test]
async fn a_user_deleted_during_an_email_change_leaves_nothing_behind() {
    for test in contexts().await {
        let (ada, _) = test.with_pending_change().await;
        test.system.modules.accounts.ask(delete(ada.user.id)).await.expect("deletes");
        assert_eq!(test.number("SELECT count(*) FROM address_changes").await, 0);
        assert_eq!(test.number("SELECT count(*) FROM mail_intents").await, 0);
    }
}
