//! Moving an account to another address.

use super::*;

const NEW: &str = "ada@example.com";
const OTHERS: &str = "a stranger's password";

impl World {
    async fn ask_to_move(&self, user: UserId, to: &str, from: &str) -> Result<(), AccountError> {
        let verified = self.system.accounts.ask(GetUser { id: user }).await.expect("reads").expect("the user exists");
        self.request_change(verified, to, from).await
    }

    async fn request_change(&self, verified: User, to: &str, from: &str) -> Result<(), AccountError> {
        let request = RequestEmailChange { verified, new_email: email(to), context: client(from) };
        self.system.accounts.ask(request).await
    }

    async fn confirm(&self, by: &LoggedIn, mail: &Received) -> Result<User, AccountError> {
        self.enter(by, mail.code().expect("a code")).await
    }

    async fn enter(&self, by: &LoggedIn, code: SecretString) -> Result<User, AccountError> {
        let keep = self.system.logins.identify(&by.access_token).await.expect("is valid").login;
        let confirm = ConfirmEmailChange { user: by.user.id, code, keep, context: client("phone") };
        self.system.accounts.ask(confirm).await
    }

    /// Somebody who is logged in and has been mailed a code to the new address.
    async fn moving(&self) -> (LoggedIn, Received) {
        let ada = self.logged_in(ADA).await;
        self.ask_to_move(ada.user.id, NEW, "phone").await.expect("is taken");
        (ada, self.mail(NEW, 1).await)
    }
}

#[tokio::test]
async fn the_old_address_holds_until_the_new_one_is_proven() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.log_in(ADA, PASSWORD).await.expect("holds");
        assert!(matches!(world.log_in(NEW, PASSWORD).await, Err(LogInError::BadPair)));
        let moved = world.confirm(&ada, &mail).await.expect("moves");
        assert_eq!((moved.id, moved.email, moved.status), (ada.user.id, email(NEW), Status::Active));
        world.log_in(NEW, PASSWORD).await.expect("is the account's");
        assert!(matches!(world.log_in(ADA, PASSWORD).await, Err(LogInError::BadPair)));
        assert_eq!(world.event_names(ada.user.id).await, ["user.registered", "user.verified", "user.email_changed"]);
        world.all_is_mailed().await;
        let subjects: Vec<_> = world.mails(ADA).into_iter().skip(1).map(|mail| mail.subject).collect();
        assert_eq!(
            subjects,
            ["Your FaceofMind e-mail address is to be changed", "Your FaceofMind e-mail address was changed"]
        );
        assert!(world.mails(ADA).iter().all(|mail| !mail.text.contains(NEW)), "where to is not told");
        assert_eq!(world.mails(NEW).len(), 1);
    }
}

#[tokio::test]
async fn the_other_log_ins_end_with_the_move() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let desk = world.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(world.is_good(&desk).await);
        world.confirm(&ada, &mail).await.expect("moves");
        assert!(!world.is_good(&desk).await);
        assert!(world.is_good(&ada).await, "the one who confirms stays");
        let refreshed = world.system.logins.refresh(&ada.refresh_token).await.expect("goes on");
        assert_eq!(refreshed.user.email, email(NEW));
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_for_the_address_that_is_wanted_last() {
    for world in worlds().await {
        let (ada, first) = world.moving().await;
        world.ask_to_move(ada.user.id, "ada@example.net", "phone").await.expect("is taken");
        let second = world.mail("ada@example.net", 1).await;
        assert!(matches!(world.confirm(&ada, &first).await, Err(AccountError::InvalidCode)));
        world.confirm(&ada, &second).await.expect("moves");
        assert!(matches!(world.confirm(&ada, &second).await, Err(AccountError::InvalidCode)));
        assert_eq!(world.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

/// The second mail may be late, or beyond the budget.
#[tokio::test]
async fn to_ask_again_for_the_same_address_keeps_the_earlier_code() {
    for world in worlds().await {
        let (ada, first) = world.moving().await;
        for _ in 0..2 {
            world.ask_to_move(ada.user.id, NEW, "phone").await.expect("is taken");
        }
        world.all_is_mailed().await;
        assert_eq!(world.mails(NEW).len(), 2, "two in ten minutes for one client");
        world.confirm(&ada, &first).await.expect("moves");
    }
}

#[tokio::test]
async fn the_owner_of_an_address_is_told_and_nobody_gets_a_code() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        world.person(NEW).await;
        world.ask_to_move(ada.user.id, NEW, "phone").await.expect("is taken all the same");
        let told = world.mail(NEW, 2).await;
        assert!(told.code().is_none() && told.text.contains("already have an account"), "{}", told.text);
        for code in ["000000", "123456"] {
            assert!(matches!(world.enter(&ada, secret(code)).await, Err(AccountError::InvalidCode)));
        }
        for from in ["phone", "desk", "attic"] {
            world.ask_to_move(ada.user.id, NEW, from).await.expect("is taken");
        }
        world.all_is_mailed().await;
        assert_eq!(world.mails(NEW).len(), 4, "three in ten minutes, beside the welcome");
    }
}

#[tokio::test]
async fn who_proves_an_address_has_it_before_those_who_only_claim_it() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        world.register(NEW, OTHERS, "stranger").await;
        let strangers = world.mail(NEW, 1).await;
        let squatter = world.id_of(NEW).await;
        world.ask_to_move(ada.user.id, NEW, "phone").await.expect("is taken");
        let mail = world.mail(NEW, 2).await;
        world.confirm(&ada, &mail).await.expect("moves");
        assert_eq!(world.event_names(squatter).await, ["user.deleted"], "what nobody proved goes");
        assert!(matches!(world.log_in(NEW, OTHERS).await, Err(LogInError::BadPair)));
        assert!(matches!(world.verify(NEW, &strangers).await, Err(AccountError::InvalidCode)));
        assert_eq!(world.id_of(NEW).await, ada.user.id);
    }
}

#[tokio::test]
async fn an_address_that_another_has_proven_meanwhile_is_taken() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.register(NEW, OTHERS, "owner").await;
        let owners = world.mail(NEW, 2).await;
        let owner = world.verify(NEW, &owners).await.expect("verifies").id;
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!((world.id_of(ADA).await, world.id_of(NEW).await), (ada.user.id, owner));
        assert!(world.is_good(&ada).await, "nothing has changed");
    }
}

/// An account that was proven once is its owner's, whatever an admin has made of it.
#[tokio::test]
async fn an_account_that_was_set_back_to_inactive_keeps_its_address() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let root = world.admin(NEW).await.id;
        world.admin("root@example.org").await;
        world.set_status(root, Status::Inactive).await.expect("sets back");
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!(world.id_of(NEW).await, root);
    }
}

/// The predecessor kept nothing of whether an address was proven, but let nobody in whose was not.
#[tokio::test]
async fn an_account_of_the_predecessor_that_was_set_back_to_inactive_keeps_its_address() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let eve = insert_user(&world.db, NEW).await;
        world.run(&format!("DELETE FROM user_profiles WHERE user_id = {eve}")).await;
        world.run(&format!("UPDATE users SET status = 'active' WHERE id = {eve}")).await;
        world.set_status(eve, Status::Inactive).await.expect("sets back");
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        assert_eq!(world.id_of(NEW).await, eve);
    }
}

/// As a program of before us may have written it.
#[tokio::test]
async fn an_address_in_other_letters_case_is_taken_too() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let other = insert_user(&world.db, "eve@example.org").await;
        world.run(&format!("UPDATE users SET email = 'Ada@Example.COM' WHERE id = {other}")).await;
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::EmailTaken)));
        world.log_in(ADA, PASSWORD).await.expect("nothing has changed");
    }
}

#[tokio::test]
async fn a_code_is_good_for_the_account_that_asked_for_it_alone() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let eve = world.logged_in("eve@example.org").await;
        world.ask_to_move(eve.user.id, NEW, "desk").await.expect("is taken");
        world.mail(NEW, 2).await;
        assert!(matches!(world.confirm(&eve, &mail).await, Err(AccountError::InvalidCode)));
        world.confirm(&ada, &mail).await.expect("eve has not used it up");
    }
}

#[tokio::test]
async fn a_new_password_stops_a_move() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.change_password(&ada, world.credentials(ADA).await.user).await.expect("changes");
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::InvalidCode)));
        assert_eq!(world.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

#[tokio::test]
async fn so_does_a_status_that_bars() {
    for world in worlds().await {
        let (ada, _) = world.moving().await;
        world.set_status(ada.user.id, Status::Suspended).await.expect("suspends");
        assert_eq!(world.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

#[tokio::test]
async fn a_password_that_was_proven_before_a_change_is_to_be_proven_again_for_a_move() {
    for world in worlds().await {
        let proven = world.person(ADA).await;
        world.set_status(proven.id, Status::Suspended).await.expect("suspends");
        let asked = world.request_change(proven, NEW, "phone").await;
        assert!(matches!(asked, Err(AccountError::Store(StoreError::Conflict))), "{asked:?}");
        assert_eq!(world.number("SELECT count(*) FROM address_changes").await, 0);
    }
}

/// Whoever can still read the old mailbox has no say in the account.
#[tokio::test]
async fn a_reset_of_the_old_address_that_overlaps_the_move_does_not_reach_the_account() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.request_reset(ADA, "attic").await;
        until("the code comes", async || world.mails(ADA).iter().any(|mail| mail.subject.contains("new password")))
            .await;
        let reset = world.mails(ADA).into_iter().find(|mail| mail.subject.contains("new password")).expect("came");
        world.confirm(&ada, &mail).await.expect("moves");
        let tried = world.reset(&reset, "another long word").await;
        assert!(matches!(tried, Err(PasswordError::InvalidCode)), "{tried:?}");
        world.log_in(NEW, PASSWORD).await.expect("the password is the same");
    }
}

/// What strangers claimed of the old address concerns an account no more that has moved away.
#[tokio::test]
async fn the_old_address_is_free_for_another_account() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.register(ADA, OTHERS, "early").await;
        world.confirm(&ada, &mail).await.expect("moves");
        world.register(ADA, OTHERS, "late").await;
        world.all_is_mailed().await;
        let welcome = world.mails(ADA).into_iter().find(|mail| mail.text.contains("Ada late")).expect("a code");
        let newcomer = world.verify(ADA, &welcome).await.expect("verifies");
        assert_ne!(newcomer.id, ada.user.id);
        assert_eq!(world.mails(NEW).len(), 1, "nothing of it is told at the new address");
    }
}

#[tokio::test]
async fn a_code_whose_move_could_not_be_written_stays_good() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.run("ALTER TABLE claims RENAME TO mislaid").await;
        assert!(matches!(world.confirm(&ada, &mail).await, Err(AccountError::Store(_))));
        world.run("ALTER TABLE mislaid RENAME TO claims").await;
        world.log_in(ADA, PASSWORD).await.expect("nothing is half-written");
        world.confirm(&ada, &mail).await.expect("moves");
    }
}

/// Each would have what the other has not left yet: neither waits for the other.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_would_have_each_others_address_neither_moves() {
    for world in worlds().await {
        let (ada, to_eves) = world.moving().await;
        let eve = world.logged_in("eve@example.org").await;
        world.ask_to_move(eve.user.id, "eve@example.com", "desk").await.expect("is taken");
        let to_adas = world.mail("eve@example.com", 1).await;
        for (user, address) in [(&ada, "eve@example.org"), (&eve, ADA)] {
            world
                .run(&format!("UPDATE address_changes SET address = '{address}' WHERE user_id = {}", user.user.id))
                .await;
        }
        let (first, second) = tokio::join!(world.confirm(&ada, &to_eves), world.confirm(&eve, &to_adas));
        assert!(
            matches!((&first, &second), (Err(AccountError::InvalidCode), Err(AccountError::InvalidCode))),
            "{first:?} {second:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_move_to_one_address_at_once_one_has_it() {
    for world in worlds().await {
        let mut moving = Vec::new();
        for number in 0..3 {
            let person = world.logged_in(&format!("p{number}@example.org")).await;
            world.ask_to_move(person.user.id, NEW, &format!("desk {number}")).await.expect("is taken");
            moving.push((person, world.mail(NEW, number + 1).await));
        }
        let moves = moving.iter().map(|(person, mail)| world.confirm(person, mail));
        let told = futures_util::future::join_all(moves).await;
        assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1, "{told:?}");
        assert!(told.iter().all(|told| matches!(told, Ok(_) | Err(AccountError::EmailTaken))), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_registered_while_its_owner_moves_there_is_the_owners() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        let registering = (0..8).map(|number| {
            let (world, from) = (&world, format!("stranger {number}"));
            async move { world.register(NEW, OTHERS, &from).await }
        });
        let (moved, _) = tokio::join!(world.confirm(&ada, &mail), futures_util::future::join_all(registering));
        moved.expect("moves");
        assert_eq!(world.id_of(NEW).await, ada.user.id);
        assert_eq!(world.number("SELECT count(*) FROM users").await, 1);
    }
}

#[tokio::test]
async fn a_move_that_nobody_confirms_in_a_day_is_over() {
    for world in worlds().await {
        let (ada, mail) = world.moving().await;
        world.advance(Duration::from_secs(24 * 3600));
        let late = world.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(matches!(world.confirm(&late, &mail).await, Err(AccountError::InvalidCode)));
        let claim = ClaimId(world.number("SELECT id FROM address_changes").await);
        let reason = MailReason::AddressClaim { user: ada.user.id, claim };
        assert!(world.system.accounts.ask(GetMailContext { reason }).await.expect("reads").is_none());
        world.kill("user_registry").await;
        until("it is swept", async || world.number("SELECT count(*) FROM address_changes").await == 0).await;
    }
}

#[tokio::test]
async fn the_address_that_one_has_is_no_new_one() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        assert!(matches!(world.ask_to_move(ada, " ADA@example.org", "phone").await, Err(AccountError::EmailUnchanged)));
    }
}

#[tokio::test]
async fn asking_to_move_counts_as_registering_does() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        for number in 0..59 {
            world.ask_to_move(ada, &format!("a{number}@example.com"), "phone").await.expect("is taken");
        }
        assert!(matches!(world.ask_to_move(ada, NEW, "phone").await, Err(AccountError::RateLimited { .. })));
        world.ask_to_move(ada, NEW, "desk").await.expect("another client may");
    }
}

#[tokio::test]
async fn who_is_deleted_while_they_move_leaves_nothing_behind() {
    for world in worlds().await {
        let (ada, _) = world.moving().await;
        world.system.accounts.ask(delete(ada.user.id)).await.expect("deletes");
        assert_eq!(world.number("SELECT count(*) FROM address_changes").await, 0);
        assert_eq!(world.number("SELECT count(*) FROM mail_intents").await, 0);
    }
}
