//! Registering another person's address gains nothing.

use faceofmind_base::Rng;

use super::*;

const OWNERS: &str = "the owner's own password";
const STRANGERS: &str = "a stranger's password";

impl TestContext {
    async fn resend(&self, typed: &User) {
        let context = client("laptop");
        let resend = ResendVerificationCode { user: typed.id, revision: typed.revision, registration: None, context };
        self.system.modules.accounts.ask(resend).await.expect("is accepted");
    }
}

#[tokio::test]
async fn a_stranger_who_registers_first_gains_nothing() {
    for test in contexts().await {
        test.register(ADA, STRANGERS, "stranger").await;
        test.mail(ADA, 1).await;
        test.register(ADA, OWNERS, "owner").await;
        let mail = test.mail(ADA, 2).await;
        assert!(mail.text.contains("Ada owner"), "{}", mail.text);
        let ada = test.verify(ADA, &mail).await.expect("verifies");
        assert_eq!(ada.first_name, "Ada owner");
        assert!(matches!(test.log_in(ADA, STRANGERS).await, Err(LoginError::InvalidCredentials)));
        test.log_in(ADA, OWNERS).await.expect("is the owner's");
        assert_eq!(test.event_names(ada.id).await, ["user.registered", "user.verified"]);
    }
}

#[tokio::test]
async fn a_stranger_who_registers_after_the_owner_gains_nothing() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "owner").await;
        let owners = test.mail(ADA, 1).await;
        test.register(ADA, STRANGERS, "stranger").await;
        let strangers = test.mail(ADA, 2).await;
        test.verify(ADA, &owners).await.expect("verifies");
        test.log_in(ADA, OWNERS).await.expect("is the owner's");
        assert!(matches!(test.verify(ADA, &strangers).await, Err(AccountError::InvalidCode)));
    }
}

#[tokio::test]
async fn a_fourth_registration_replaces_the_oldest() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "1").await;
        let first = test.mail(ADA, 1).await;
        for from in ["2", "3"] {
            test.register(ADA, STRANGERS, from).await;
        }
        test.advance(Duration::from_secs(600));
        test.register(ADA, STRANGERS, "4").await;
        let owners = "SELECT count(*) FROM claims WHERE first_name = 'Ada 1'";
        assert_eq!(test.number(owners).await, 0);
        assert_eq!(test.number("SELECT count(*) FROM claims").await, 3);
        assert!(matches!(test.verify(ADA, &first).await, Err(AccountError::InvalidCode)));
        assert_eq!(test.credentials(ADA).await.user.status, Status::Inactive);
    }
}

#[tokio::test]
async fn activation_by_an_admin_keeps_the_password_of_the_only_registration() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "owner").await;
        let ada = test.id_of(ADA).await;
        test.set_status(ada, Status::Active).await.expect("activates");
        test.log_in(ADA, OWNERS).await.expect("is the owner's");
    }
}

#[tokio::test]
async fn activation_by_an_admin_drops_the_password_after_several_registrations() {
    for test in contexts().await {
        for password in [OWNERS, STRANGERS] {
            test.register(ADA, password, "phone").await;
        }
        let ada = test.id_of(ADA).await;
        test.set_status(ada, Status::Active).await.expect("activates");
        for password in [OWNERS, STRANGERS] {
            assert!(matches!(test.log_in(ADA, password).await, Err(LoginError::InvalidCredentials)));
        }
    }
}

/// Suspending an unverified account and activating it does not keep the password.
#[tokio::test]
async fn activation_after_another_status_drops_the_password_too() {
    for test in contexts().await {
        for password in [OWNERS, STRANGERS] {
            test.register(ADA, password, "phone").await;
        }
        let ada = test.id_of(ADA).await;
        test.set_status(ada, Status::Suspended).await.expect("suspends");
        test.set_status(ada, Status::Active).await.expect("activates");
        assert!(test.credentials(ADA).await.password.is_none());
    }
}

#[tokio::test]
async fn a_registration_of_a_verified_account_that_was_set_back_gains_nothing_by_activation() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.set_status(ada, Status::Inactive).await.expect("sets back");
        test.register(ADA, STRANGERS, "stranger").await;
        test.set_status(ada, Status::Active).await.expect("activates");
        assert!(matches!(test.log_in(ADA, STRANGERS).await, Err(LoginError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn a_registration_of_an_active_account_cannot_be_verified_after_it_is_set_back() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.register(ADA, STRANGERS, "stranger").await;
        let notice = test.mail(ADA, 2).await;
        assert!(notice.code().is_none() && notice.text.contains("already"), "{}", notice.text);
        test.set_status(ada, Status::Inactive).await.expect("sets back");
        assert_eq!(test.number("SELECT count(*) FROM claims").await, 0);
        test.advance(Duration::from_secs(601));
        assert!(matches!(test.log_in(ADA, PASSWORD).await, Err(LoginError::Inactive)));
        let mail = test.mail(ADA, 3).await;
        assert!(mail.text.contains("Ada phone"), "{}", mail.text);
        test.verify(ADA, &mail).await.expect("verifies");
        test.log_in(ADA, PASSWORD).await.expect("is still the owner's");
    }
}

#[tokio::test]
async fn a_code_requested_by_logging_in_is_for_the_registration_with_that_password() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "owner").await;
        let typed = test.credentials(ADA).await.user;
        test.register(ADA, STRANGERS, "stranger").await;
        test.mail(ADA, 2).await;
        test.resend(&typed).await;
        test.all_is_mailed().await;
        assert_eq!(test.mails(ADA).len(), 2, "the newest registration has another password");
        let typed = test.credentials(ADA).await.user;
        test.resend(&typed).await;
        assert!(test.mail(ADA, 3).await.text.contains("Ada stranger"));
    }
}

#[tokio::test]
async fn others_cannot_flood_the_owner_of_an_account() {
    for test in contexts().await {
        test.person(ADA).await;
        for from in ["one", "one", "one", "two", "two", "three"] {
            test.register(ADA, STRANGERS, from).await;
        }
        let notices = || test.mails(ADA).into_iter().filter(|mail| mail.code().is_none()).collect::<Vec<_>>();
        let put_off = "SELECT count(*) FROM mail_intents WHERE occasion LIKE '%\"count\":3,%'";
        until("the other three wait as one", async || test.number(put_off).await == 1).await;
        assert_eq!(notices().len(), 3, "three in ten minutes, two of them caused by one client");
        test.advance(Duration::from_secs(601));
        test.all_is_mailed().await;
        assert_eq!(notices().iter().filter(|mail| mail.text.contains("3 times")).count(), 1);
        assert_eq!(notices().len(), 4);
    }
}

#[tokio::test]
async fn the_mail_of_a_registration_that_was_verified_meanwhile_is_not_sent() {
    for test in contexts().await {
        test.person(ADA).await;
        let (mut tx, ada) = (test.db.begin().await.expect("begins"), test.id_of(ADA).await);
        let late = MailReason::Registration { user: ada, claim: ClaimId(1) };
        let (now, id) = (test.clock.now(), Rng::system().uuid_v7(test.clock.now()));
        faceofmind_platform::mail::enqueue(&mut tx, id, &late, Default::default(), now).await.expect("queues");
        tx.commit().await.expect("commits");
        test.system.platform.mailer.tell(faceofmind_platform::mail::Poll);
        test.all_is_mailed().await;
        assert_eq!(test.mails(ADA).len(), 1, "no mail about a second registration");
    }
}

#[tokio::test]
async fn a_code_whose_account_could_not_be_written_stays_valid() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "owner").await;
        let mail = test.mail(ADA, 1).await;
        test.run("ALTER TABLE claims RENAME TO mislaid").await;
        assert!(matches!(test.verify(ADA, &mail).await, Err(AccountError::Store(_))));
        test.run("ALTER TABLE mislaid RENAME TO claims").await;
        test.verify(ADA, &mail).await.expect("verifies");
    }
}

/// A client that hangs up must not cost a code.
#[tokio::test]
async fn a_verification_completes_although_its_client_hangs_up() {
    for test in contexts().await {
        test.register(ADA, OWNERS, "owner").await;
        let code = test.mail(ADA, 1).await.code().expect("a code");
        let (accounts, verify) = (test.system.modules.accounts.clone(), verify_email(ADA, code));
        let asking = tokio::spawn(async move { accounts.ask(verify).await });
        until("the code is consumed", async || {
            test.number("SELECT count(*) FROM codes WHERE tries_left > 0").await == 0
        })
        .await;
        asking.abort();
        until("the account is active", async || test.credentials(ADA).await.user.status == Status::Active).await;
    }
}

/// An account of the earlier program counts as a registration of its own.
#[tokio::test]
async fn a_registration_of_an_inactive_account_of_the_earlier_program_is_the_second() {
    for test in contexts().await {
        let ada = insert_user(&test.db, ADA).await;
        test.run("UPDATE users SET status = 'inactive'").await;
        test.register(ADA, STRANGERS, "stranger").await;
        assert_eq!(test.event_names(ada).await, [""; 0], "no new event");
        test.set_status(ada, Status::Active).await.expect("activates");
        assert!(test.credentials(ADA).await.password.is_none());
    }
}

/// A stranger who registers before or after the owner does not choose the language of the owner's mails.
#[tokio::test]
async fn the_mail_of_a_registration_is_in_the_language_of_its_client() {
    for test in contexts().await {
        for (number, (from, language)) in
            [("stranger", "de"), ("owner", "fil-PH"), ("other", "en")].into_iter().enumerate()
        {
            let registration = Register {
                email: email(ADA),
                password: secret(OWNERS),
                first_name: format!("Ada {from}"),
                last_name: "Lovelace".into(),
                context: RequestContext { languages: vec![language.to_owned()], ..client(from) },
            };
            test.system.modules.accounts.ask(registration).await.expect("registers");
            test.mail(ADA, number + 1).await;
        }
        let mails = test.mails(ADA);
        let greets = |number: usize, words: &str| mails[number].text.contains(words);
        assert!(greets(0, "Welcome to") && greets(1, "Maligayang pagdating") && greets(2, "Welcome to"), "{mails:?}");
        let ada = test.verify(ADA, &mails[1]).await.expect("verifies");
        assert_eq!(ada.language.as_deref(), Some("fil-PH"));
        test.request_reset(ADA, "phone").await;
        assert!(test.mail(ADA, 4).await.text.contains("bagong password"));
    }
}
