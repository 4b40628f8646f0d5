//! Log-ins of accounts whose hash was written by the programs that this one takes over from.

use super::register::{record_queued_mails, work};
use crate::harness::{Person, TestApp, logs, tests_on_both_profiles};

tests_on_both_profiles! {
    every_kind_of_hash_logs_in_and_is_replaced,
    a_wrong_password_replaces_no_hash,
    a_hash_that_cannot_be_verified_is_a_failed_login_and_a_log_line,
    an_inactive_user_of_the_predecessor_gets_a_code_and_keeps_the_password,
    a_suspended_user_of_the_predecessor_cannot_log_in,
    an_address_stored_with_capitals_logs_in_and_is_not_registered_again,
    a_registration_by_a_stranger_opens_no_account_that_another_program_activates,
    the_password_that_the_app_sends_to_try_codes_is_refused_and_a_reset_code_is_mailed,
    a_refused_login_mails_no_more_codes_than_were_requested,
    only_the_right_password_of_an_account_mails_a_reset_code,
}

const PASSWORD: &str = "contraseña 1";
const PROBE: &str = "dummyPassword123";

/// Made by Django 5.2.3, argon2-cffi 25.1, passlib 1.7.4 and bcrypt 4.3: see the tests of the hasher.
const KINDS: [(&str, &str); 12] = [
    (PASSWORD, "$2b$04$qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai"),
    (PASSWORD, "$2a$04$W/AG0iqzFDJaK30IsUrWueYti/P0wSbiF9UlP1XGXbYf/sQOGR4q2"),
    (PASSWORD, "$2y$04$AaTQxFlOX9GzXAy/1CcnQO0legk6A9XdJk5.HLM0rAeJJ5wsJvQCe"),
    ("password123", "$2b$12$QKQ8lYH7c9FwDpRYRXxEtOa/ZZYJ32ZSTavT4L7.sBiAhcGeuDFBC"),
    ("abc1", "$2b$10$dbs/1q6NNhM6PZYdHcw17u2G8p0SO3rjAIUqHkpS0yJTOpAtUqNVe"),
    ("", "$2b$10$ZcSpK2BFk5/CfFSMU.LaeevcH8eNafpeobBmn4ZMhCNvXVaSlzKJ6"),
    (PASSWORD, "bcrypt$$2b$04$yXMZ.HAM5qO26vFwbfoVY.7fneJDsydh6Lb2w2CbYILRRt.4Evchi"),
    (PASSWORD, "bcrypt_sha256$$2b$04$./PbK5L9.a6WREkOZU8bhuEq9e81Q1VIOHIjrLKtDJ8lBSFtyGeG."),
    (PASSWORD, "pbkdf2_sha256$20000$ufNHf9uAwkr9kThUK4onST$jjuFGBQrvSVqrGwbSSDoLB7YbD+uVwePrGlyXifis58="),
    (PASSWORD, "pbkdf2_sha1$20000$saltysalt123$vZ/VLNMuziNcJEmnR1aG4OfymBE="),
    (PASSWORD, "argon2$argon2id$v=19$m=512,t=2,p=2$cFA5ZjJrUXcxeFl6$porAFMtC2ty2r90QCJ2d3Q"),
    (
        PASSWORD,
        "scrypt$16$salt$1$1$ig1nSig7dJdo3/Dmf+jsTnmezMYePrPPF5jkyi/faC+FI7RBkgxfFWqs9RzjEBseBeFAsO/1zxKJ+VPOLKLsQg==",
    ),
];

/// Bcrypt of [`PROBE`], as the predecessor stored it when the app had tried a right code.
const OF_PROBE: &str = "$2b$10$Hhq/pmJ0P3/UJBzvaI/EcOP2P8UOjfr2Lc6YGG/bYloLsk469p8RK";

async fn store_hash(app: &TestApp, of: &Person, hash: &str) {
    if hash.len() > 20 {
        app.env.forbid_in_log(hash);
    }
    app.execute(&format!("UPDATE users SET password = '{hash}' WHERE id = {}", of.id)).await;
}

async fn stored_hash(app: &TestApp, of: &Person) -> String {
    app.texts(&format!("SELECT password FROM users WHERE id = {}", of.id)).await.remove(0)
}

async fn every_kind_of_hash_logs_in_and_is_replaced(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (password, hash) in KINDS {
        store_hash(app, &ada, hash).await;
        let first = Person { password: password.to_owned(), ..ada.clone() }.log_in_again().await;
        let replaced = stored_hash(app, &ada).await;
        assert!(replaced.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}: {replaced}");
        assert!(first.is_logged_in().await, "a replaced hash ends no login: {hash}");
        ada.log_in_with(password).await.assert_status(200);
        assert_eq!(stored_hash(app, &ada).await, replaced, "{hash}");
    }
    app.events_of(ada.id, &["user.registered", "user.verified"]).await;
}

async fn a_wrong_password_replaces_no_hash(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (password, hash) in KINDS {
        store_hash(app, &ada, hash).await;
        let refused = ada.using(app.client()).log_in_with(&format!("{password}.")).await.assert_status(401);
        assert_eq!(refused.detail(), "Incorrect email or password");
        assert_eq!(stored_hash(app, &ada).await, hash);
    }
}

/// In the time of an unknown address: the work of one hash at the current cost, which is what an unknown address costs.
async fn a_hash_that_cannot_be_verified_is_a_failed_login_and_a_log_line(app: &TestApp) {
    let (ada, stranger) = (app.verified("ada").await, app.person("stranger"));
    record_queued_mails(app).await;
    let unknown = stranger.log_in().await.assert_status(401).redacted();
    for (password, hash, kind, fault) in [
        ("a password", "!fFpwz25f71qqLLbwDZPfgaCyqvCp4Vl4xpMO0myx", "django unusable", "unusable"),
        ("", "", "empty", "malformed"),
        ("clear as day 77", "clear as day 77", "unknown", "malformed"),
        ("a password", "$2b$12$short", "bcrypt", "malformed"),
        ("a password", "$2b$31$qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai", "bcrypt", "too dear"),
        (
            "a password",
            "pbkdf2_sha256$4000000000$salt$60gwEkswYbDWAuqiZhzsiHTLu5zjJy9gjQapZx8aT0M=",
            "django pbkdf2_sha256",
            "too dear",
        ),
        (
            "a password",
            "argon2$argon2id$v=19$m=4194304,t=100,p=2$cFA5ZjJrUXcxeFl6$porAFMtC2ty2r90QCJ2d3Q",
            "django argon2",
            "too dear",
        ),
    ] {
        store_hash(app, &ada, hash).await;
        let before = work(app).await;
        let refused = ada.using(app.client()).log_in_with(password).await.assert_status(401);
        let after = work(app).await;
        assert_eq!([after[0] - before[0], after[1] - before[1]], [1, 0], "one hash and no mail: {hash}");
        assert_eq!(refused.redacted(), unknown, "{hash}");
        assert_eq!(stored_hash(app, &ada).await, hash);
        let (user, kind, fault) = (format!("user={}", ada.id), format!("kind={kind}"), format!("fault={fault}"));
        let line = ["stored password hash cannot be verified", &user, &kind, &fault];
        assert!(logs::contain(&line), "{line:?}");
        assert!(!logs::contain(&["cannot be verified", &ada.email]));
    }
    app.env.forbid_in_log("clear as day 77");
    let code = {
        ada.request_password_reset().await.assert_status(202);
        app.mail_to(&ada.email).await.code()
    };
    ada.reset_password(&code, "a new and longer word").await.assert_status(200);
    ada.log_in_with("a new and longer word").await.assert_status(200);
}

async fn an_inactive_user_of_the_predecessor_gets_a_code_and_keeps_the_password(app: &TestApp) {
    let ada = app.verified("ada").await;
    store_hash(app, &ada, KINDS[0].1).await;
    // The predecessor knew no pending registrations.
    app.execute("UPDATE users SET status = 'inactive'").await;
    ada.log_in_with(PASSWORD).await.assert_status(400);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    ada.log_in_with(PASSWORD).await.assert_status(200);
    assert!(stored_hash(app, &ada).await.starts_with("$argon2id$"));
    ada.log_in_with(PASSWORD).await.assert_status(200);
}

async fn a_suspended_user_of_the_predecessor_cannot_log_in(app: &TestApp) {
    let ada = app.verified("ada").await;
    store_hash(app, &ada, KINDS[0].1).await;
    app.execute("UPDATE users SET status = 'suspended'").await;
    ada.log_in_with(PASSWORD).await.assert_status(403);
    ada.log_in_with("not the password").await.assert_status(401);
}

async fn an_address_stored_with_capitals_logs_in_and_is_not_registered_again(app: &TestApp) {
    let ada = app.verified("ada").await;
    store_hash(app, &ada, KINDS[0].1).await;
    app.execute("UPDATE users SET email = upper(email)").await;
    ada.log_in_with(PASSWORD).await.assert_status(200);
    ada.register().await.assert_status(201);
    ada.request_password_reset().await.assert_status(202);
    let addresses = app.texts(&format!("SELECT email FROM users WHERE lower(email) = '{}'", ada.email)).await;
    assert_eq!(addresses, [ada.email.to_uppercase()]);
    ada.log_in_with(PASSWORD).await.assert_status(200);
}

/// The other program verified the address of its own user. It knows nothing of the registration here, whose password stands in the same column.
async fn a_registration_by_a_stranger_opens_no_account_that_another_program_activates(app: &TestApp) {
    let ada = app.verified("ada").await;
    store_hash(app, &ada, KINDS[0].1).await;
    app.execute("UPDATE users SET status = 'inactive'").await;
    let stranger = Person { password: "the word of a stranger".to_owned(), ..ada.using(app.client()) };
    stranger.register().await.assert_status(201);
    app.execute("UPDATE users SET status = 'active'").await;
    stranger.log_in().await.assert_status(400);
    ada.log_in_with(PASSWORD).await.assert_status(401);
    ada.request_password_reset().await.assert_status(202);
}

async fn the_password_that_the_app_sends_to_try_codes_is_refused_and_a_reset_code_is_mailed(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.env.forbid_in_log(PROBE);
    store_hash(app, &ada, OF_PROBE).await;
    let unknown = app.person("stranger").log_in_with(PROBE).await.assert_status(401).redacted();
    let refused = ada.log_in_with(PROBE).await.assert_status(401);
    assert_eq!(refused.redacted(), unknown);
    assert_eq!(stored_hash(app, &ada).await, OF_PROBE, "it is not replaced");
    let user = format!("user={}", ada.id);
    assert!(logs::contain(&["refused the password that the app sends", "queued a reset code", &user]));
    assert!(!logs::contain(&["refused the password that the app sends", &ada.email]));
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("new password"), "{}", mail.text);
    ada.reset_password(&mail.code(), "a new and longer word").await.assert_status(200);
    ada.log_in_with("a new and longer word").await.assert_status(200);
    ada.log_in_with(PROBE).await.assert_status(401);
}

/// A stranger who knows that an account has this password can mail its owner as often as by "forgot password", and each code counts once.
async fn a_refused_login_mails_no_more_codes_than_were_requested(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    app.wait_until_mailed().await;
    store_hash(app, &ada, OF_PROBE).await;
    let client = app.client();
    for _ in 0..8 {
        ada.using(client.clone()).log_in_with(PROBE).await.assert_status(401);
        bob.using(client.clone()).request_password_reset().await.assert_status(202);
    }
    app.wait_until_mailed().await;
    let (of_logins, of_requests) = (reset_mails(app, &ada).await, reset_mails(app, &bob).await);
    assert!(of_logins > 0 && of_logins == of_requests, "{of_logins} and {of_requests}");
    // Both ways share one quota.
    ada.using(client).request_password_reset().await.assert_status(202);
    app.expect_no_mail_to(&ada.email).await;
}

async fn reset_mails(app: &TestApp, to: &Person) -> usize {
    let mut count = 0;
    while app.env.inbox.unread_to(&to.email).is_some() {
        assert!(app.mail_to(&to.email).await.text.contains("new password"));
        count += 1;
    }
    count
}

async fn only_the_right_password_of_an_account_mails_a_reset_code(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.log_in_with(PROBE).await.assert_status(401);
    for (_, hash) in KINDS {
        store_hash(app, &ada, hash).await;
        ada.using(app.client()).log_in_with(PROBE).await.assert_status(401);
    }
    store_hash(app, &ada, OF_PROBE).await;
    ada.log_in_with("dummyPassword124").await.assert_status(401);
    app.person("stranger").log_in_with(PROBE).await.assert_status(401);
    app.expect_no_mail_to(&ada.email).await;
}
