//! Registering another person's address gains nothing.

use faceofmind_base::Rng;

use super::*;

const OWNERS: &str = "the owner's own password";
const STRANGERS: &str = "a stranger's password";

impl World {
    async fn resend(&self, typed: &User) {
        let context = client("laptop");
        let resend = ResendVerificationCode { user: typed.id, revision: typed.revision, context };
        self.system.modules.accounts.ask(resend).await.expect("is accepted");
    }
}

#[tokio::test]
async fn a_stranger_who_registers_first_gains_nothing() {
    for world in worlds().await {
        world.register(ADA, STRANGERS, "stranger").await;
        world.mail(ADA, 1).await;
        world.register(ADA, OWNERS, "owner").await;
        let mail = world.mail(ADA, 2).await;
        assert!(mail.text.contains("Ada owner"), "{}", mail.text);
        let ada = world.verify(ADA, &mail).await.expect("verifies");
        assert_eq!(ada.first_name, "Ada owner");
        assert!(matches!(world.log_in(ADA, STRANGERS).await, Err(LoginError::InvalidCredentials)));
        world.log_in(ADA, OWNERS).await.expect("is the owner's");
        assert_eq!(world.event_names(ada.id).await, ["user.registered", "user.verified"]);
    }
}

#[tokio::test]
async fn a_stranger_who_registers_after_the_owner_gains_nothing() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "owner").await;
        let owners = world.mail(ADA, 1).await;
        world.register(ADA, STRANGERS, "stranger").await;
        let strangers = world.mail(ADA, 2).await;
        world.verify(ADA, &owners).await.expect("verifies");
        world.log_in(ADA, OWNERS).await.expect("is the owner's");
        assert!(matches!(world.verify(ADA, &strangers).await, Err(AccountError::InvalidCode)));
    }
}

#[tokio::test]
async fn a_fourth_registration_replaces_the_oldest() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "1").await;
        let first = world.mail(ADA, 1).await;
        for from in ["2", "3", "4"] {
            world.register(ADA, STRANGERS, from).await;
        }
        assert_eq!(world.number("SELECT count(*) FROM claims").await, 3);
        assert!(matches!(world.verify(ADA, &first).await, Err(AccountError::InvalidCode)));
        assert_eq!(world.credentials(ADA).await.user.status, Status::Inactive);
    }
}

#[tokio::test]
async fn activation_by_an_admin_keeps_the_password_of_the_only_registration() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "owner").await;
        let ada = world.id_of(ADA).await;
        world.set_status(ada, Status::Active).await.expect("activates");
        world.log_in(ADA, OWNERS).await.expect("is the owner's");
    }
}

#[tokio::test]
async fn activation_by_an_admin_drops_the_password_after_several_registrations() {
    for world in worlds().await {
        for password in [OWNERS, STRANGERS] {
            world.register(ADA, password, "phone").await;
        }
        let ada = world.id_of(ADA).await;
        world.set_status(ada, Status::Active).await.expect("activates");
        for password in [OWNERS, STRANGERS] {
            assert!(matches!(world.log_in(ADA, password).await, Err(LoginError::InvalidCredentials)));
        }
    }
}

/// Suspending an unverified account and activating it does not keep the password.
#[tokio::test]
async fn activation_after_another_status_drops_the_password_too() {
    for world in worlds().await {
        for password in [OWNERS, STRANGERS] {
            world.register(ADA, password, "phone").await;
        }
        let ada = world.id_of(ADA).await;
        world.set_status(ada, Status::Suspended).await.expect("suspends");
        world.set_status(ada, Status::Active).await.expect("activates");
        assert!(world.credentials(ADA).await.password.is_none());
    }
}

#[tokio::test]
async fn a_registration_of_a_verified_account_that_was_set_back_gains_nothing_by_activation() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        world.set_status(ada, Status::Inactive).await.expect("sets back");
        world.register(ADA, STRANGERS, "stranger").await;
        world.set_status(ada, Status::Active).await.expect("activates");
        assert!(matches!(world.log_in(ADA, STRANGERS).await, Err(LoginError::InvalidCredentials)));
    }
}

#[tokio::test]
async fn a_registration_of_an_active_account_cannot_be_verified_after_it_is_set_back() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        world.register(ADA, STRANGERS, "stranger").await;
        let notice = world.mail(ADA, 2).await;
        assert!(notice.code().is_none() && notice.text.contains("already"), "{}", notice.text);
        world.set_status(ada, Status::Inactive).await.expect("sets back");
        assert_eq!(world.number("SELECT count(*) FROM claims").await, 0);
        world.advance(Duration::from_secs(601));
        assert!(matches!(world.log_in(ADA, PASSWORD).await, Err(LoginError::Inactive)));
        let mail = world.mail(ADA, 3).await;
        assert!(mail.text.contains("Ada phone"), "{}", mail.text);
        world.verify(ADA, &mail).await.expect("verifies");
        world.log_in(ADA, PASSWORD).await.expect("is still the owner's");
    }
}

#[tokio::test]
async fn a_code_requested_by_logging_in_is_for_the_registration_with_that_password() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "owner").await;
        let typed = world.credentials(ADA).await.user;
        world.register(ADA, STRANGERS, "stranger").await;
        world.mail(ADA, 2).await;
        world.resend(&typed).await;
        world.all_is_mailed().await;
        assert_eq!(world.mails(ADA).len(), 2, "the newest registration has another password");
        let typed = world.credentials(ADA).await.user;
        world.resend(&typed).await;
        assert!(world.mail(ADA, 3).await.text.contains("Ada stranger"));
    }
}

#[tokio::test]
async fn others_cannot_flood_the_owner_of_an_account() {
    for world in worlds().await {
        world.person(ADA).await;
        for from in ["one", "one", "one", "two", "two", "three"] {
            world.register(ADA, STRANGERS, from).await;
        }
        world.all_is_mailed().await;
        let notices = world.mails(ADA).into_iter().filter(|mail| mail.code().is_none()).count();
        assert_eq!(notices, 3, "three in ten minutes, two of them caused by one client");
    }
}

#[tokio::test]
async fn the_mail_of_a_registration_that_was_verified_meanwhile_is_not_sent() {
    for world in worlds().await {
        world.person(ADA).await;
        let (mut tx, ada) = (world.db.begin().await.expect("begins"), world.id_of(ADA).await);
        let late = MailReason::Registration { user: ada, claim: ClaimId(1) };
        let (now, id) = (world.clock.now(), Rng::system().uuid_v7(world.clock.now()));
        faceofmind_platform::mail::enqueue(&mut tx, id, &late, "phone", now).await.expect("queues");
        tx.commit().await.expect("commits");
        world.system.platform.mailer.tell(faceofmind_platform::mail::Poll);
        world.all_is_mailed().await;
        assert_eq!(world.mails(ADA).len(), 1, "no mail about a second registration");
    }
}

#[tokio::test]
async fn a_code_whose_account_could_not_be_written_stays_valid() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "owner").await;
        let mail = world.mail(ADA, 1).await;
        world.run("ALTER TABLE claims RENAME TO mislaid").await;
        assert!(matches!(world.verify(ADA, &mail).await, Err(AccountError::Store(_))));
        world.run("ALTER TABLE mislaid RENAME TO claims").await;
        world.verify(ADA, &mail).await.expect("verifies");
    }
}

/// A client that hangs up must not cost a code.
#[tokio::test]
async fn a_verification_completes_although_its_client_hangs_up() {
    for world in worlds().await {
        world.register(ADA, OWNERS, "owner").await;
        let code = world.mail(ADA, 1).await.code().expect("a code");
        let (accounts, verify) = (world.system.modules.accounts.clone(), verify_email(ADA, code));
        let asking = tokio::spawn(async move { accounts.ask(verify).await });
        until("the code is consumed", async || {
            world.number("SELECT count(*) FROM codes WHERE tries_left > 0").await == 0
        })
        .await;
        asking.abort();
        until("the account is active", async || world.credentials(ADA).await.user.status == Status::Active).await;
    }
}

/// An account of the earlier program counts as a registration of its own.
#[tokio::test]
async fn a_registration_of_an_inactive_account_of_the_earlier_program_is_the_second() {
    for world in worlds().await {
        let ada = insert_user(&world.db, ADA).await;
        world.run("UPDATE users SET status = 'inactive'").await;
        world.register(ADA, STRANGERS, "stranger").await;
        assert_eq!(world.event_names(ada).await, [""; 0], "no new event");
        world.set_status(ada, Status::Active).await.expect("activates");
        assert!(world.credentials(ADA).await.password.is_none());
    }
}

/// A stranger who registers before or after the owner does not choose the language of the owner's mails.
#[tokio::test]
async fn the_mail_of_a_registration_is_in_the_language_of_its_client() {
    for world in worlds().await {
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
            world.system.modules.accounts.ask(registration).await.expect("registers");
            world.mail(ADA, number + 1).await;
        }
        let mails = world.mails(ADA);
        let greets = |number: usize, words: &str| mails[number].text.contains(words);
        assert!(greets(0, "Welcome to") && greets(1, "Maligayang pagdating") && greets(2, "Welcome to"), "{mails:?}");
        let ada = world.verify(ADA, &mails[1]).await.expect("verifies");
        assert_eq!(ada.language.as_deref(), Some("fil-PH"));
        world.request_reset(ADA, "phone").await;
        assert!(world.mail(ADA, 4).await.text.contains("bagong password"));
    }
}
