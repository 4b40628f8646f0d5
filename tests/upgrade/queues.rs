//! Queued mails and unpublished events of the earlier version.

use reqwest::Method;
use serde_json::json;

use super::{Upgraded, person};
use crate::harness::{EventConsumer, Mail, TestApp, eventually, tests_on_both_profiles};

tests_on_both_profiles! {
    queued_mails_are_sent_or_dropped_where_their_reason_is_gone,
    events_go_out_in_order_under_their_ids,
    streams_resume_after_positions_given_before,
}

/// The next `N` mails to an address. Their order is not defined.
async fn mails<const N: usize>(upgraded: &Upgraded, address: &str) -> Vec<Mail> {
    let mut mails = Vec::new();
    for _ in 0..N {
        mails.push(upgraded.mail_to(address).await);
    }
    mails
}

/// The mail with this subject, whose text contains all `words`.
#[track_caller]
fn expect_mail<'a>(mails: &'a [Mail], subject: &str, words: &[&str]) -> &'a Mail {
    let subjects: Vec<_> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    let mail = mails.iter().find(|mail| mail.subject == subject);
    let mail = mail.unwrap_or_else(|| panic!("{subject} is not among {subjects:?}"));
    let missing: Vec<_> = words.iter().filter(|word| !mail.text.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in the text: {}", mail.text);
    mail
}

async fn queued_mails_are_sent_or_dropped_where_their_reason_is_gone(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let service = &upgraded.app;
    // A mail that failed before is due again some seconds after the moment of the fixture.
    service.advance(1);
    let to = |name: &str| format!("{name}@upgrade.test");
    let day = "2035-03-05";

    let nina = mails::<1>(&upgraded, &to("nina")).await;
    let code = expect_mail(&nina, "Ang iyong code para sa FaceofMind", &["Nina Quillon", day, "Asia/Manila"]).code();
    let nina = person(service, "nina");
    nina.verify(&code).await.assert_status(200);
    nina.log_in().await.assert_status(200);

    let dora = mails::<1>(&upgraded, &to("dora")).await;
    expect_mail(&dora, "You already have a FaceofMind account", &["Hello Dora", day]);
    let mia = mails::<2>(&upgraded, &to("mia")).await;
    expect_mail(&mia, "You already have a FaceofMind account", &["Hello Mia", day]);
    expect_mail(&mia, "Someone asked for your e-mail address at FaceofMind", &["Hello Mia", day]);

    let paul = mails::<1>(&upgraded, &to("paul")).await;
    let code = expect_mail(&paul, "Your code for a new password", &["Hello Paul"]).code();
    let reset = json!({ "email": to("paul"), "otp": code, "new_password": "a password after the upgrade" });
    person(service, "paul").client.post("/auth/reset-password", reset).await.assert_status(200);

    let kim = mails::<2>(&upgraded, &to("kim")).await;
    expect_mail(&kim, "Your FaceofMind e-mail address is to be changed", &["Hello Kim", day]);
    expect_mail(&kim, "Your FaceofMind password was changed", &["Hello Kim", day]);

    let grace = mails::<1>(&upgraded, &to("grace")).await;
    expect_mail(&grace, "Your FaceofMind e-mail address is to be changed", &["Hello Grace", day]);
    let asked = mails::<1>(&upgraded, &to("tom")).await;
    expect_mail(&asked, "Your FaceofMind e-mail address is to be changed", &["Hello Tom", day]);
    let tom = mails::<1>(&upgraded, &to("tom.new")).await;
    let code = expect_mail(&tom, "Your code for a new e-mail address", &["Tom Quillon", day]).code();
    let moved = upgraded.person("tom").post("/users/me/email/confirm", json!({ "otp": code })).await.assert_status(200);
    assert_eq!(moved.json["user"]["email"], to("tom.new"));
    let una = mails::<1>(&upgraded, &to("una")).await;
    expect_mail(&una, "Your FaceofMind e-mail address was changed", &["Hello Una", day]);

    // Ada reads Filipino, in Tokyo.
    let ada = mails::<2>(&upgraded, &to("ada")).await;
    let device = ["Kumusta Ada", "Laptop/1", "203.0.113.2", "Asia/Tokyo"];
    expect_mail(&ada, "Bagong log-in sa iyong FaceofMind account", &device);
    expect_mail(&ada, "Paalala mula sa FaceofMind", &["Drink water", day]);
    expect_counts(service, 2).await;
    let due = service.number("SELECT count(*) FROM events WHERE envelope LIKE '%reminder.due%'").await;
    assert_eq!(due, 3, "what was due before is not due again");

    // Two of them had failed so often that they are due an hour later.
    service.advance(60);
    let ada = mails::<2>(&upgraded, &to("ada")).await;
    expect_mail(&ada, "Bagong log-in sa iyong FaceofMind account", &["Watch/1"]);
    expect_mail(&ada, "Ang iyong code para sa bagong password", &["Kumusta Ada"]).code();

    // Of her reminders one is due on the first of April. That of the second is switched off.
    service.advance(27 * 24 * 60);
    let ada = mails::<1>(&upgraded, &to("ada")).await;
    expect_mail(&ada, "Paalala mula sa FaceofMind", &["Walk", "2035-04-01"]);
    service.advance(24 * 60);
    upgraded.expect_no_mail_to(&to("ada")).await;
    expect_counts(service, 0).await;
    upgraded.end().await;
}

/// The metrics count these waiting mails and one dead letter.
async fn expect_counts(app: &TestApp, waiting: i64) {
    let operator = app.client().at(app.operators.expect("they have a listener"));
    let metrics = async || operator.call(Method::GET, "/metrics").send().await.assert_status(200).text;
    let wanted =
        [("mail_waiting", waiting), ("mail_dead", 1)].map(|(name, value)| format!("faceofmind_{name} {value}"));
    eventually(&format!("{wanted:?} in the metrics"), async || {
        let metrics = metrics().await;
        wanted.iter().all(|line| metrics.lines().any(|found| found == line)).then_some(())
    })
    .await;
}

async fn events_go_out_in_order_under_their_ids(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let service = &upgraded.app;
    service.wait_until_published().await;
    let sql = format!("SELECT id FROM events WHERE position > {} ORDER BY position", upgraded.position);
    // `user.deleted` waits for the erasure of its user from the stream, and other events do not.
    let published = service.texts(&sql).await;
    let deletions = service.texts("SELECT id FROM events WHERE envelope LIKE '%user.deleted%'").await;
    let others = |ids: &[String]| ids.iter().filter(|&id| !deletions.contains(id)).cloned().collect::<Vec<_>>();
    assert_eq!(others(&published), others(&upgraded.unpublished));
    assert_eq!(published.len(), upgraded.unpublished.len());
    let last = upgraded.position + i64::try_from(upgraded.unpublished.len()).expect("few");
    assert_eq!(service.number("SELECT max(position) FROM events").await, last, "positions have no holes");
    let leases = service.texts("SELECT name FROM leases").await;
    assert_eq!(leases, ["event publisher"], "the lease of the earlier version is gone");
    upgraded.person("ada").start_session().await;
    service.wait_until_published().await;
    assert_eq!(service.number("SELECT max(position) FROM events").await, last + 1);
    if let Some(url) = service.env.nats() {
        let stored: Vec<_> = EventConsumer::at(url)
            .await
            .all_events()
            .await
            .iter()
            .map(|event| event.text_of("id").to_owned())
            .collect();
        let erased = format!(".{} ", upgraded.person("eva").id);
        let before = upgraded.known["stream"].as_array().expect("a list").iter().filter_map(|event| event.as_str());
        let before = before.filter(|event| !event.contains(&erased)).filter_map(|event| event.split(' ').nth(1));
        let mut wanted: Vec<_> = before.map(str::to_owned).chain(published).collect();
        wanted.extend(service.texts("SELECT id FROM events ORDER BY position DESC LIMIT 1").await);
        assert_eq!(stored, wanted);
    }
    upgraded.end().await;
}

async fn streams_resume_after_positions_given_before(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let service = &upgraded.app;
    service.wait_until_published().await;
    let sql = "SELECT position || ' ' || id FROM events WHERE envelope <> ''";
    for (name, path, of) in [
        ("grace", "/events?all=true", String::new()),
        ("ada", "/events", format!("AND user_id = {}", upgraded.person("ada").id)),
    ] {
        let wanted =
            service.texts(&format!("{sql} {of} AND position > {} ORDER BY position", upgraded.position - 5)).await;
        let resume = (upgraded.position - 5).to_string();
        let mut stream = upgraded.person(name).api(Method::GET, path).header("last-event-id", &resume).stream().await;
        for event in wanted {
            let frame = stream.next().await.expect("it goes on");
            let id = frame.data["id"].as_str().expect("an id");
            assert_eq!(format!("{} {id}", frame.id), event, "{name}");
        }
    }
    upgraded.end().await;
}
