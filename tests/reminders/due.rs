//! Reminders that become due at 08:00 in the time zone of their user.

use std::time::Duration;

use faceofmind_runtime::ActorState;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::json;

use super::{SIGNED_UP, remind};
use crate::harness::{TestApp, eventually, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    at_eight_one_event_and_one_mail_are_sent,
    a_reminder_for_today_is_sent_at_once_and_one_for_yesterday_never,
    a_reminder_follows_the_time_zone_of_its_user,
    without_a_time_zone_of_the_user_the_default_applies with [("DEFAULT_TIME_ZONE", "Pacific/Honolulu")],
    a_suspended_user_is_not_reminded,
    a_reminder_that_became_due_while_the_service_was_down_is_sent_once,
    reminders_survive_panics_of_their_actor,
    deleting_a_user_deletes_their_reminders,
    the_texts_of_a_reminder_are_not_logged,
}

tests_on_production! {
    several_nodes_send_each_reminder_once,
}

fn manila() -> TimeZone {
    TimeZone::get("Asia/Manila").expect("a zone")
}

/// Advances the service's clock to this hour of this date in Manila, the default time zone.
fn advance_to(app: &TestApp, date: Date, hour: i8) {
    let then = manila().to_ambiguous_timestamp(date.at(hour, 0, 0, 0)).compatible().expect("a time");
    let now = app.env.clock.now().to_jiff();
    app.env.clock.advance(Duration::try_from(then.duration_since(now)).expect("forward"));
}

/// Advances the clock to 10:00 in Manila and gives the date there.
fn advance_to_ten(app: &TestApp) -> Date {
    let today = date_of(app.env.clock.now().to_jiff() + 22.hours());
    advance_to(app, today, 10);
    today
}

fn date_of(moment: Timestamp) -> Date {
    moment.to_zoned_datetime(manila()).date()
}

async fn at_eight_one_event_and_one_mail_are_sent(app: &TestApp) {
    let tomorrow = advance_to_ten(app).tomorrow().expect("a day");
    let ada = app.verified("ada").await;
    let id = remind(&ada, tomorrow).await;
    app.events_of(ada.id, &SIGNED_UP).await;
    app.expect_no_mail_to(&ada.email).await;
    advance_to(app, tomorrow, 8);
    let mail = app.mail_to(&ada.email).await;
    assert_eq!(mail.subject, "A reminder from FaceofMind");
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("Breathe") && part.contains(&tomorrow.to_string()), "{part}");
        assert!(!part.contains("slowly"), "the description stays in the app: {part}");
    }
    assert!(mail.has_no_code() && mail.message_id.contains('@'));
    let events = app.events_of(ada.id, &[SIGNED_UP[0], SIGNED_UP[1], "reminder.due"]).await;
    let event = &events[2].json;
    assert_eq!((&event["subject"], &event["causedby"]), (&json!(format!("reminder/{id}")), &json!("system")));
    let due_at = format!("{}T00:00:00+00:00", tomorrow);
    assert_eq!(event["data"], json!({ "user_id": ada.id, "reminder_id": id, "due_at": due_at }));

    advance_to(app, tomorrow, 12);
    let ada = ada.log_in_again().await;
    let path = format!("/reminders/{id}");
    ada.put(&path, json!({ "title": "Walk" })).await.assert_status(200);
    remind(&ada, tomorrow).await;
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    ada.put(&path, json!({ "reminder_time": tomorrow.tomorrow().expect("a day").to_string() }))
        .await
        .assert_status(200);
    advance_to(app, tomorrow.tomorrow().expect("a day"), 8);
    assert!(app.mail_to(&ada.email).await.text.contains("Walk"), "a postponed reminder is due again");
    app.events_of(ada.id, &[SIGNED_UP[0], SIGNED_UP[1], "reminder.due", "reminder.due", "reminder.due"]).await;
}

async fn a_reminder_for_today_is_sent_at_once_and_one_for_yesterday_never(app: &TestApp) {
    let today = advance_to_ten(app);
    let ada = app.verified("ada").await;
    remind(&ada, today.yesterday().expect("a day")).await;
    let id = remind(&ada, today).await;
    app.mail_to(&ada.email).await;
    let events = app.events_of(ada.id, &[SIGNED_UP[0], SIGNED_UP[1], "reminder.due"]).await;
    assert_eq!(events[2].json["data"]["reminder_id"], id);
    app.expect_no_mail_to(&ada.email).await;
}

async fn a_reminder_follows_the_time_zone_of_its_user(app: &TestApp) {
    let today = advance_to_ten(app);
    let tomorrow = today.tomorrow().expect("a day");
    let ada = app.verified("ada").await;
    let id = remind(&ada, tomorrow).await;
    // 08:00 on Kiritimati is 02:00 in Manila.
    ada.put(&format!("/users/{}", ada.id), json!({ "time_zone": "Pacific/Kiritimati" })).await.assert_status(200);
    advance_to(app, tomorrow, 2);
    app.mail_to(&ada.email).await;
    let events = app.events_of(ada.id, &[SIGNED_UP[0], SIGNED_UP[1], "user.updated", "reminder.due"]).await;
    let due_at = format!("{today}T18:00:00+00:00");
    assert_eq!(events[3].json["data"], json!({ "user_id": ada.id, "reminder_id": id, "due_at": due_at }));
    advance_to(app, tomorrow, 8);
    let last = remind(&ada.log_in_again().await, tomorrow).await;
    app.mail_to(&ada.email).await;
    let names = [SIGNED_UP[0], SIGNED_UP[1], "user.updated", "reminder.due", "reminder.due"];
    let events = app.events_of(ada.id, &names).await;
    assert_eq!([&events[3], &events[4]].map(|event| event.json["data"]["reminder_id"].clone()), [id, last]);
}

async fn without_a_time_zone_of_the_user_the_default_applies(app: &TestApp) {
    let today = advance_to_ten(app);
    let ada = app.verified("ada").await;
    // 10:00 in Manila is 16:00 of the day before in Honolulu, where 08:00 is 02:00 of the next day in Manila.
    remind(&ada, today).await;
    app.events_of(ada.id, &SIGNED_UP).await;
    advance_to(app, today.tomorrow().expect("a day"), 2);
    app.mail_to(&ada.email).await;
}

async fn a_suspended_user_is_not_reminded(app: &TestApp) {
    let tomorrow = advance_to_ten(app).tomorrow().expect("a day");
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    remind(&ada, tomorrow).await;
    remind(&bob, tomorrow).await;
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    advance_to(app, tomorrow, 8);
    app.mail_to(&bob.email).await;
    app.expect_no_mail_to(&ada.email).await;
    app.events_of(ada.id, &[SIGNED_UP[0], SIGNED_UP[1], "user.status_changed"]).await;
}

async fn a_reminder_that_became_due_while_the_service_was_down_is_sent_once(app: &TestApp) {
    let tomorrow = advance_to_ten(app).tomorrow().expect("a day");
    let ada = app.verified("ada").await;
    remind(&ada, tomorrow).await;
    app.stop().await;
    advance_to(app, tomorrow, 20);
    for _ in 0..2 {
        let again = app.another_node(&[]).await;
        eventually("the event is recorded", async || {
            let due = "SELECT count(*) FROM events WHERE aggregate LIKE 'reminder/%'";
            (again.number(due).await == 1).then_some(())
        })
        .await;
        again.wait_until_mailed().await;
        again.stop().await;
    }
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
}

async fn reminders_survive_panics_of_their_actor(app: &TestApp) {
    app.allow_restarts();
    let tomorrow = advance_to_ten(app).tomorrow().expect("a day");
    let ada = app.verified("ada").await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(remind(&ada, tomorrow).await);
    }
    advance_to(app, tomorrow, 8);
    let row = || app.tree().snapshot().into_iter().find(|row| row.name == "reminders").expect("a reminder actor");
    for restarts in 1..=3 {
        app.tree().child("reminders").expect("a reminder actor").panic();
        eventually("the actor is restarted", async || {
            ((row().restarts, row().state) == (restarts, ActorState::Running)).then_some(())
        })
        .await;
    }
    for _ in &ids {
        app.mail_to(&ada.email).await;
    }
    app.expect_no_mail_to(&ada.email).await;
    let mut names = SIGNED_UP.to_vec();
    names.extend(ids.iter().map(|_| "reminder.due"));
    let events = app.events_of(ada.id, &names).await;
    let mut events: Vec<_> =
        events[2..].iter().filter_map(|event| event.json["data"]["reminder_id"].as_i64()).collect();
    events.sort_unstable();
    assert_eq!(events, ids);
}

async fn deleting_a_user_deletes_their_reminders(app: &TestApp) {
    let today = advance_to_ten(app);
    let (admin, ada, bob) = (app.admin().await, app.verified("ada").await, app.verified("bob").await);
    for person in [&ada, &bob] {
        remind(person, today.tomorrow().expect("a day")).await;
        remind(person, today.yesterday().expect("a day")).await;
    }
    admin.delete(&format!("/users/{}", ada.id)).await.assert_status(200);
    assert_eq!((app.row_count("reminders").await, app.row_count("reminder_schedules").await), (2, 2));
    advance_to(app, today.tomorrow().expect("a day"), 8);
    app.mail_to(&bob.email).await;
    app.expect_no_mail_to(&ada.email).await;
}

async fn the_texts_of_a_reminder_are_not_logged(app: &TestApp) {
    let today = advance_to_ten(app);
    let ada = app.verified("ada").await;
    for word in ["see-doctor-cruz", "about-my-sleep", "another-word"] {
        app.env.forbid_in_log(word);
    }
    let body =
        json!({ "title": "see-doctor-cruz", "description": "about-my-sleep", "reminder_time": today.to_string() });
    let id = ada.post("/reminders/", body).await.assert_status(201).number_of("id");
    ada.put(&format!("/reminders/{id}"), json!({ "title": "another-word", "is_active": 7 })).await.assert_status(422);
    app.mail_to(&ada.email).await;
    let events = app.texts("SELECT envelope FROM events").await.concat();
    assert!(events.contains("reminder.due") && !events.contains("cruz") && !events.contains("sleep"), "{events}");
}

async fn several_nodes_send_each_reminder_once(app: &TestApp) {
    let tomorrow = advance_to_ten(app).tomorrow().expect("a day");
    let others = [app.another_node(&[]).await, app.another_node(&[]).await];
    let people = [app.verified("ada").await, app.verified("bob").await, app.verified("carol").await];
    for person in &people {
        for _ in 0..20 {
            remind(person, tomorrow).await;
        }
    }
    advance_to(app, tomorrow, 8);
    for person in &people {
        for _ in 0..20 {
            app.mail_to(&person.email).await;
        }
        app.expect_no_mail_to(&person.email).await;
        let names = [SIGNED_UP.as_slice(), &["reminder.due"; 20]].concat();
        app.events_of(person.id, &names).await;
    }
    for other in others {
        other.stop().await;
    }
}
