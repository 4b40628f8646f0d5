//! A registration is pending until its code is sent. Registering the address of another person gains nothing.

use serde_json::json;

use crate::harness::{Mail, Person, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    registering_again_gets_a_second_code,
    each_code_verifies_its_own_pending_registration,
    a_login_compares_with_the_newest_pending_registration,
    a_stranger_who_registers_before_the_owner_gains_nothing,
    a_stranger_who_registers_after_the_owner_gains_nothing,
    a_stranger_who_registers_an_active_accounts_address_gains_nothing,
    a_fourth_pending_registration_replaces_the_oldest,
    no_pending_registration_replaces_one_whose_code_is_fresh,
    the_mail_states_the_name_and_time_of_its_registration,
    mails_about_two_registrations_of_the_same_name_differ_by_more_than_the_code,
}

/// The flow of the unmodified app, which can only get a second code by registering again.
async fn registering_again_gets_a_second_code(app: &TestApp) {
    let ada = app.register("ada").await;
    let lost = app.mail_to(&ada.email).await.code();
    app.advance(6);
    ada.verify(&lost).await.assert_status(400);
    ada.register().await.assert_status(201);
    let second = app.mail_to(&ada.email).await.code();
    let user = ada.verify(&second).await.assert_status(200);
    assert_eq!(user.json["user"]["status"], "active");
    let ada = ada.log_in_again().await;
    assert_eq!(app.row_count("users").await, 1);
    app.events_of(ada.id, &["user.registered", "user.verified"]).await;
}

async fn each_code_verifies_its_own_pending_registration(app: &TestApp) {
    for first_is_typed in [true, false] {
        let first = app.register("ada").await;
        let second = Person { first_name: "Augusta".into(), password: "another, longer word".into(), ..first.clone() };
        let first_code = app.mail_to(&first.email).await.code();
        second.register().await.assert_status(201);
        let second_code = app.mail_to(&first.email).await.code();
        let (typed, code, other) =
            if first_is_typed { (&first, first_code, &second) } else { (&second, second_code, &first) };
        let user = typed.verify(&code).await.assert_status(200);
        assert_eq!(user.json["user"]["first_name"], typed.first_name);
        typed.log_in().await.assert_status(200);
        other.log_in().await.assert_status(401);
    }
    assert_eq!(app.row_count("claims").await, 0, "a verified registration ends the others");
}

async fn a_login_compares_with_the_newest_pending_registration(app: &TestApp) {
    let first = app.register("ada").await;
    app.mail_to(&first.email).await;
    let second = Person { password: "another, longer word".into(), ..first.clone() };
    second.register().await.assert_status(201);
    first.log_in().await.assert_status(401);
    let inactive = second.log_in().await.assert_status(400);
    assert_eq!(inactive.detail(), "Account is not active. Please verify your email.");
}

/// Two people who register one address. The stranger's password must never log in.
struct Contest {
    owner: Person,
    stranger: Person,
    owners_mail: Mail,
}

async fn register_twice(app: &TestApp, stranger_first: bool) -> Contest {
    let owner = app.person("ada");
    let stranger = Person { email: owner.email.clone(), ..app.person("eve") };
    let order = if stranger_first { [&stranger, &owner] } else { [&owner, &stranger] };
    let mut mails = Vec::new();
    for person in order {
        person.register().await.assert_status(201);
        mails.push(app.mail_to(&owner.email).await);
        app.advance_seconds(30);
    }
    let owners_mail = mails.remove(usize::from(stranger_first));
    assert!(owners_mail.text.contains(&format!("{} {}", owner.first_name, owner.last_name)), "{}", owners_mail.text);
    Contest { owner, stranger, owners_mail }
}

async fn assert_owner_wins(app: &TestApp, contest: Contest) {
    let Contest { owner, stranger, owners_mail } = contest;
    let user = owner.verify(&owners_mail.code()).await.assert_status(200);
    assert_eq!(user.json["user"]["first_name"], owner.first_name);
    stranger.log_in().await.assert_status(401);
    let owner = owner.log_in_again().await;
    assert_eq!(owner.get("/auth/me").await.assert_status(200).json["last_name"], owner.last_name);
    assert_eq!(app.row_count("claims").await, 0, "no registration is pending any more");
    stranger.register().await.assert_status(201);
    stranger.log_in().await.assert_status(400);
    owner.log_in().await.assert_status(200);
}

async fn a_stranger_who_registers_before_the_owner_gains_nothing(app: &TestApp) {
    assert_owner_wins(app, register_twice(app, true).await).await;
}

async fn a_stranger_who_registers_after_the_owner_gains_nothing(app: &TestApp) {
    assert_owner_wins(app, register_twice(app, false).await).await;
}

async fn a_stranger_who_registers_an_active_accounts_address_gains_nothing(app: &TestApp) {
    let owner = app.verified("ada").await;
    let stranger = Person { email: owner.email.clone(), ..app.person("eve") };
    stranger.register().await.assert_status(201);
    let mail = app.mail_to(&owner.email).await;
    assert!(mail.has_no_code(), "{}", mail.text);
    stranger.log_in().await.assert_status(400);
    owner.log_in().await.assert_status(200);
    assert_eq!(owner.get("/auth/me").await.assert_status(200).json["first_name"], owner.first_name);
}

async fn a_fourth_pending_registration_replaces_the_oldest(app: &TestApp) {
    let email = app.person("ada").email;
    let applicants: Vec<_> = (0..4)
        .map(|number| Person { email: email.clone(), first_name: format!("Number {number}"), ..app.person("ada") })
        .collect();
    let mut codes = Vec::new();
    for applicant in &applicants[..3] {
        applicant.register().await.assert_status(201);
        codes.push(app.mail_to(&email).await.code());
    }
    app.advance(10);
    applicants[3].register().await.assert_status(201);
    let fourth = app.mail_to(&email).await.code();
    assert_eq!(app.row_count("claims").await, 3);
    assert_eq!(app.row_count("claims WHERE first_name = 'Number 0'").await, 0);
    let gone = applicants[0].verify(&codes[0]).await.assert_status(400);
    assert_eq!(gone.detail(), "Invalid or expired OTP");
    let user = applicants[3].verify(&fourth).await.assert_status(200);
    assert_eq!(user.json["user"]["first_name"], "Number 3");
}

/// Strangers who register the owner's address again and again must not void the code that the owner is about to type.
async fn no_pending_registration_replaces_one_whose_code_is_fresh(app: &TestApp) {
    let owner = app.register("ada").await;
    let code = app.mail_to(&owner.email).await.code();
    for _ in 0..4 {
        let stranger = Person { email: owner.email.clone(), ..app.person("eve") };
        stranger.register().await.assert_status(201);
    }
    assert_eq!(app.row_count("claims").await, 3);
    let user = owner.verify(&code).await.assert_status(200);
    assert_eq!(user.json["user"]["first_name"], owner.first_name);
}

async fn the_mail_states_the_name_and_time_of_its_registration(app: &TestApp) {
    let eve = Person { first_name: "Call".into(), last_name: "+63 900 1234567".into(), ..app.person("eve") };
    let before = app.env.clock.now();
    eve.register().await.assert_status(201);
    let mail = app.mail_to(&eve.email).await;
    let day = before.to_jiff().to_zoned_datetime(jiff::tz::TimeZone::get("Asia/Manila").expect("known"));
    assert!(mail.text.contains(&day.strftime("%Y-%m-%d").to_string()), "{}", mail.text);
    assert!(mail.text.contains("Asia/Manila"), "{}", mail.text);
    assert!(!mail.text.contains("Call") && !mail.text.contains("1234567"), "{}", mail.text);
    assert_eq!(mail.code().len(), 6, "the code is the only run of six digits");
    let body = json!({ "email": eve.email, "otp": mail.code() });
    app.client().post("/auth/verify-otp", body).await.assert_status(200);
}

/// A stranger can register with the owner's name at the same time. The owner must be able to tell the mails apart.
async fn mails_about_two_registrations_of_the_same_name_differ_by_more_than_the_code(app: &TestApp) {
    let owner = app.person("ada");
    let stranger = Person { password: "a stranger's long word".into(), ..owner.using(app.client()) };
    let mut texts = Vec::new();
    for person in [&owner, &stranger] {
        person.register().await.assert_status(201);
        texts.push(app.mail_to(&owner.email).await.text);
    }
    assert!(!texts[0].contains("more than once") && !texts[0].contains(&owner.client.ip), "{texts:?}");
    assert!(texts[1].contains("more than once") && texts[1].contains(&stranger.client.ip), "{texts:?}");
}
