//! `/sessions/dominant_emotion_chart`, `/intensity_chart` and `/diagnosis`: emotions by day and in total.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Person, Response, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_chart_lists_every_day_of_its_window_in_order,
    a_day_shows_its_dominant_emotion_and_its_intensities,
    of_equally_frequent_emotions_the_most_recent_dominates,
    days_begin_in_the_time_zone_of_the_request,
    days_begin_in_the_time_zone_of_the_user,
    days_begin_in_the_default_time_zone with [("DEFAULT_TIME_ZONE", "Pacific/Pago_Pago")],
    an_unknown_time_zone_is_refused,
    an_unknown_window_is_refused,
    a_diagnosis_summarises_a_window,
    a_diagnosis_without_emotions_says_so,
    charts_hold_only_the_emotions_of_their_user,
    charts_need_a_token,
}

const DOMINANT: &str = "/sessions/dominant_emotion_chart";
const INTENSITY: &str = "/sessions/intensity_chart";
const DIAGNOSIS: &str = "/sessions/diagnosis";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A user with a session. Sets the clock to the next Wednesday at noon in this zone, so that no day begins during the test.
async fn on_wednesday_noon(app: &TestApp, zone: &str) -> (Person, i64, Timestamp) {
    let now = app.env.clock.now().to_jiff().in_tz(zone).expect("a zone");
    let wednesday = now.date().nth_weekday(1, Weekday::Wednesday).expect("within the calendar");
    let noon = wednesday.at(12, 0, 0, 0).in_tz(zone).expect("exists").timestamp();
    let seconds = noon.duration_since(now.timestamp()).as_secs();
    app.advance_seconds(u64::try_from(seconds).expect("in the future"));
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    (ada, session, app.env.clock.now().to_jiff())
}

fn date(moment: Timestamp, zone: &str) -> Date {
    moment.to_zoned_datetime(TimeZone::get(zone).expect("a zone")).date()
}

fn days(chart: &Response) -> Vec<String> {
    chart.json.as_array().expect("a list").iter().map(|day| day["day"].as_str().expect("a date").to_owned()).collect()
}

/// The days with an emotion.
fn dominant_emotions(chart: &Response) -> Vec<(String, String)> {
    let days = chart.json.as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    days.filter_map(|day| Some((text(&day["day"])?, text(&day["dominant_emotion"])?))).collect()
}

async fn in_zone(person: &Person, path: &str, zone: &str) -> Response {
    person.api(Method::GET, path).header("x-time-zone", zone).send().await
}

async fn a_chart_lists_every_day_of_its_window_in_order(app: &TestApp) {
    let (ada, _, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let today = date(now, "Asia/Manila");
    let monday = today - 2.days();
    for (window, first, length) in [
        ("?window=day", today, 1),
        ("?window=3days", today - 3.days(), 4),
        ("?window=week", monday, 7),
        ("?window=month", today - 30.days(), 31),
        ("", monday, 7),
        ("?window=", monday, 7),
    ] {
        let expected: Vec<_> = (0..length).map(|day: i64| (first + day.days()).to_string()).collect();
        for path in [DOMINANT, INTENSITY] {
            let chart = ada.get(&format!("{path}{window}")).await.assert_status(200);
            assert_eq!(days(&chart), expected, "{window}");
            assert_eq!(dominant_emotions(&chart), []);
        }
    }
    let empty = json!([{ "day": today.to_string(), "dominant_emotion": null }]);
    assert_eq!(ada.get(&format!("{DOMINANT}?window=day")).await.json, empty);
    let none = json!({ "mild": 0, "moderate": 0, "severe": 0 });
    let empty = json!([{ "day": today.to_string(), "dominant_emotion": null, "intensity_tally": none }]);
    assert_eq!(ada.get(&format!("{INTENSITY}/?window=day")).await.json, empty);
}

async fn a_day_shows_its_dominant_emotion_and_its_intensities(app: &TestApp) {
    let (ada, session, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let another = ada.start_session().await;
    for (session, emotion, times) in [
        (session, "Happy", 1),
        (another, "HAPPY", 2),
        (session, "sad", 2),
        (session, "Saudade", 1),
        (another, "ANGRY", 1),
    ] {
        app.detect(session, now - HOUR, emotion, times).await;
    }
    app.detect(session, now - HOUR * 24, "Überfordert", 1).await;
    app.detect(session, now - HOUR * 24 * 8, "furious", 9).await;
    let today = date(now, "Asia/Manila");
    let yesterday = (today - 1.day()).to_string();
    let chart = ada.get(&format!("{INTENSITY}?window=week")).await.assert_status(200);
    assert_eq!(
        chart.json.as_array().expect("a list")[1..3],
        [
            json!({ "day": yesterday, "dominant_emotion": "überfordert", "intensity_tally": { "mild": 0, "moderate": 1, "severe": 0 } }),
            json!({ "day": today.to_string(), "dominant_emotion": "happy", "intensity_tally": { "mild": 3, "moderate": 1, "severe": 3 } }),
        ]
    );
    let chart = ada.get(DOMINANT).await.assert_status(200);
    assert_eq!(dominant_emotions(&chart), [(yesterday, "überfordert".into()), (today.to_string(), "happy".into())]);
}

async fn of_equally_frequent_emotions_the_most_recent_dominates(app: &TestApp) {
    let (ada, session, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let today = date(now, "Asia/Manila").to_string();
    let dominant = async || dominant_emotions(&ada.get(&format!("{DOMINANT}?window=day")).await.assert_status(200));
    app.detect(session, now - HOUR, "sad", 2).await;
    app.detect(session, now - HOUR * 3, "happy", 2).await;
    assert_eq!(dominant().await, [(today.clone(), "sad".into())], "by time, not by the order of arrival");
    app.detect(session, now - HOUR * 4, "calm", 1).await;
    app.detect(session, now - HOUR / 2, "CALM", 1).await;
    assert_eq!(dominant().await, [(today.clone(), "calm".into())]);
    app.detect(session, now - HOUR / 2, "bored", 2).await;
    assert_eq!(dominant().await, [(today, "bored".into())], "at the same time, the last to arrive");
}

async fn days_begin_in_the_time_zone_of_the_request(app: &TestApp) {
    let (ada, session, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let today = date(now, "Asia/Manila");
    let midnight = today.at(0, 0, 0, 0).in_tz("Asia/Manila").expect("exists").timestamp();
    app.detect(session, midnight - SignedDuration::from_micros(1), "sad", 1).await;
    app.detect(session, midnight, "happy", 1).await;
    let yesterday = today - 1.day();
    let dominant_in = async |zone: &str| {
        dominant_emotions(&in_zone(&ada, &format!("{DOMINANT}?window=3days"), zone).await.assert_status(200))
    };
    assert_eq!(
        dominant_in("Asia/Manila").await,
        [(yesterday.to_string(), "sad".into()), (today.to_string(), "happy".into())]
    );
    assert_eq!(dominant_in("Europe/Berlin").await, [(yesterday.to_string(), "happy".into())]);
    assert_eq!(dominant_in("Asia/Tokyo").await, [(today.to_string(), "happy".into())]);
    let kathmandu = in_zone(&ada, &format!("{DOMINANT}?window=day"), "Asia/Kathmandu").await.assert_status(200);
    assert_eq!(days(&kathmandu), [date(now, "Asia/Kathmandu").to_string()]);
    let body = json!({ "window": "day" });
    let diagnosis = ada.api(Method::POST, DIAGNOSIS).header("x-time-zone", "Asia/Manila").json(&body).send().await;
    assert_eq!(diagnosis.assert_status(200).json["emotion_tally"], json!({ "happy": 1 }));
}

async fn days_begin_in_the_time_zone_of_the_user(app: &TestApp) {
    let (ada, _, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let path = format!("{DOMINANT}?window=day");
    assert_eq!(days(&ada.get(&path).await.assert_status(200)), [date(now, "Asia/Manila").to_string()]);
    ada.put(&format!("/users/{}", ada.id), json!({ "time_zone": "Pacific/Pago_Pago" })).await.assert_status(200);
    let own = date(now, "Pacific/Pago_Pago");
    assert_ne!(own, date(now, "Asia/Manila"), "the day before");
    assert_eq!(days(&ada.get(&path).await.assert_status(200)), [own.to_string()]);
    let asked = in_zone(&ada, &path, "Asia/Manila").await.assert_status(200);
    assert_eq!(days(&asked), [date(now, "Asia/Manila").to_string()], "the request takes precedence");
}

async fn days_begin_in_the_default_time_zone(app: &TestApp) {
    let (ada, _, now) = on_wednesday_noon(app, "Asia/Manila").await;
    let today = ada.get(&format!("{INTENSITY}?window=day")).await.assert_status(200);
    let there = date(now, "Pacific/Pago_Pago");
    assert_ne!(there, date(now, "Asia/Manila"), "the day before");
    assert_eq!(days(&today), [there.to_string()]);
}

async fn an_unknown_time_zone_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    for zone in ["", "Manila", "Asia/Atlantis", "+08:00", "Etc/Unknown"] {
        for (method, path) in [(Method::GET, DOMINANT), (Method::GET, INTENSITY), (Method::POST, DIAGNOSIS)] {
            let call = ada.api(method.clone(), path).header("x-time-zone", zone);
            let call = if method == Method::POST { call.json(&json!({ "window": "day" })) } else { call };
            let refused = call.send().await.assert_status(422);
            assert_eq!(refused.invalid_fields(), ["header.X-Time-Zone"], "{path} in {zone}");
        }
    }
}

async fn an_unknown_window_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    for window in ["year", "Week", "3", "%20week", "week%00", "days"] {
        for path in [DOMINANT, INTENSITY] {
            let refused = ada.get(&format!("{path}?window={window}")).await.assert_status(400);
            assert_eq!((refused.detail(), refused.kind()), ("Invalid window", "invalid-window"), "{window}");
        }
    }
    for body in [
        json!({ "window": "year" }),
        json!({ "window": 3 }),
        json!({ "window": null }),
        json!({}),
        json!({ "window": "" }),
    ] {
        let refused = ada.post(DIAGNOSIS, body.clone()).await.assert_status(400);
        assert_eq!((refused.detail(), refused.kind()), ("Invalid window", "invalid-window"), "{body}");
    }
    ada.post(DIAGNOSIS, json!(["week"])).await.assert_status(422);
    ada.api(Method::POST, DIAGNOSIS).body("{").send().await.assert_status(422);
    ada.api(Method::POST, DIAGNOSIS).body_as("text/plain", "{}").send().await.assert_status(415);
}

async fn a_diagnosis_summarises_a_window(app: &TestApp) {
    let (ada, session, now) = on_wednesday_noon(app, "Asia/Manila").await;
    for (emotion, hours, times) in
        [("Happy", 1, 2), ("happy", 30, 3), ("Saudade", 2, 1), ("Sad", 26, 3), ("calm", 24 * 20, 4)]
    {
        app.detect(session, now - HOUR * hours, emotion, times).await;
    }
    let diagnosis = ada.post(DIAGNOSIS, json!({ "window": "week" })).await;
    snapshot!(diagnosis, @r#"
    200 {
      "diagnosis": "Of the 9 emotions recorded this week, happy was seen most often (5 of 9): 5 counted as mild, 1 as moderate and 3 as severe.",
      "emotion_intensity_map": {
        "happy": "mild",
        "sad": "severe",
        "saudade": "moderate"
      },
      "emotion_tally": {
        "happy": 5,
        "sad": 3,
        "saudade": 1
      },
      "intensity_breakdown": {
        "mild": 5,
        "moderate": 1,
        "severe": 3
      },
      "window": "week"
    }
    "#);
    let again = ada.post("/sessions/diagnosis/", json!({ "window": "week" })).await.assert_status(200);
    assert_eq!(again.json, diagnosis.json, "the text is the same each time");
    let month = ada.post(DIAGNOSIS, json!({ "window": "month" })).await.assert_status(200);
    assert_eq!((&month.json["emotion_tally"]["calm"], &month.json["window"]), (&json!(4), &json!("month")));
}

async fn a_diagnosis_without_emotions_says_so(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let now = app.env.clock.now().to_jiff();
    // A detection without facial data counts as no emotion.
    let detection = app.detect(session, now, "happy", 1).await;
    app.execute(&format!("DELETE FROM facial_data WHERE detection_id = {detection}")).await;
    let diagnosis = ada.post(DIAGNOSIS, json!({ "window": "3days" })).await;
    snapshot!(diagnosis, @r#"
    200 {
      "diagnosis": "No emotions were recorded in the last four days.",
      "emotion_intensity_map": {},
      "emotion_tally": {},
      "intensity_breakdown": {
        "mild": 0,
        "moderate": 0,
        "severe": 0
      },
      "window": "3days"
    }
    "#);
}

async fn charts_hold_only_the_emotions_of_their_user(app: &TestApp) {
    let (ada, session, now) = on_wednesday_noon(app, "Asia/Manila").await;
    app.detect(session, now - HOUR, "sad", 3).await;
    for other in [app.verified("eve").await, app.admin().await] {
        assert_eq!(dominant_emotions(&other.get(DOMINANT).await.assert_status(200)), []);
        assert_eq!(
            other.post(DIAGNOSIS, json!({ "window": "week" })).await.assert_status(200).json["emotion_tally"],
            json!({})
        );
    }
    assert_eq!(dominant_emotions(&ada.get(DOMINANT).await.assert_status(200)).len(), 1);
    ada.delete(&format!("/sessions/{session}")).await.assert_status(200);
    assert_eq!(dominant_emotions(&ada.get(DOMINANT).await.assert_status(200)), [], "deleted detections do not count");
}

async fn charts_need_a_token(app: &TestApp) {
    for path in [DOMINANT, INTENSITY] {
        app.client().get(path).await.assert_status(401);
    }
    app.client().post(DIAGNOSIS, json!({ "window": "week" })).await.assert_status(401);
}
