use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::*;
use crate::http::kinds::{boolean, date, moment, number, parsed, secret, text};

#[derive(Debug)]
struct Person {
    name: String,
    email: String,
    password: SecretString,
}

impl FromFields for Person {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let name = fields.required("name", text(1..=5));
        let email = fields.required(
            "email",
            parsed(|text| text.contains('@').then(|| text.to_lowercase()).ok_or("must be an address")),
        );
        let password = fields.required("password", secret(8..=16));
        fields.finish(|valid| Self { name: name.get(valid), email: email.get(valid), password: password.get(valid) })
    }
}

#[derive(Debug, PartialEq)]
struct Week(Vec<String>);

impl FromFields for String {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let day = fields.required("day", date());
        let at = fields.optional("at", moment());
        let share = fields.or("share", 0.5, number(0.0..=1.0));
        let open = fields.or("open", false, boolean());
        fields
            .finish(|valid| format!("{} {:?} {} {}", day.get(valid), at.get(valid), share.get(valid), open.get(valid)))
    }
}

impl FromFields for Week {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let days = fields.list("days", 1..=7);
        fields.finish(|valid| Self(days.get(valid)))
    }
}

fn refused(problem: &Problem) -> Vec<String> {
    let way = |loc: &[Loc]| json!(loc).to_string().replace(',', ".").replace(['[', ']', '"'], "");
    problem.errors().iter().map(|error| format!("{}: {}", way(&error.loc), error.msg)).collect()
}

#[test]
fn a_good_body_is_read_and_unknown_fields_are_ignored() {
    let body = json!({ "name": "Åsa", "email": "A@X.org", "password": "12345678", "role": "admin" });
    let person: Person = read_object(body).expect("good");
    assert_eq!((person.name.as_str(), person.email.as_str()), ("Åsa", "a@x.org"));
    assert_eq!(person.password.expose_secret(), "12345678");
}

#[test]
fn every_bad_field_is_named_and_no_value_is_repeated() {
    let bad = json!({ "name": "Anastasia", "email": 7, "password": "hunter2" });
    let problem = read_object::<Person>(bad).expect_err("bad");
    assert_eq!(
        refused(&problem),
        [
            "body.name: must have 1 to 5 characters",
            "body.email: must be text",
            "body.password: must have 8 to 16 characters",
        ]
    );
    assert!(!format!("{problem:?}").contains("hunter2"));
}

#[test]
fn missing_fields_are_all_named_and_null_is_missing() {
    let problem = read_object::<Person>(json!({ "name": null })).expect_err("empty");
    assert_eq!(refused(&problem), ["name", "email", "password"].map(|name| format!("body.{name}: is missing")));
}

#[test]
fn a_list_names_the_place_of_each_bad_item() {
    let days = json!([
        { "day": "2026-11-23" },
        { "day": "soon", "at": "now" },
        7,
        { "day": "2026-11-24", "share": 2, "open": 1 }
    ]);
    assert_eq!(
        refused(&read_object::<Week>(json!({ "days": days })).expect_err("bad")),
        [
            "body.days.1.day: must be a date such as 2026-11-23",
            "body.days.1.at: must be a time such as 2026-11-23T08:00:00Z",
            "body.days.2: must be a JSON object",
            "body.days.3.share: must be a number from 0 to 1",
            "body.days.3.open: must be true or false",
        ]
    );
    let week: Week = read_object(json!({ "days": [{ "day": "2026-11-23" }] })).expect("good");
    assert_eq!(week.0, ["2026-11-23 None 0.5 false"]);
    let empty = read_object::<Week>(json!({ "days": [] })).expect_err("empty");
    assert_eq!(refused(&empty), ["body.days: must be a list of 1 to 7 objects"]);
}

#[test]
fn a_batch_names_the_bad_item_by_its_place_and_a_single_object_without() {
    let bad = |body| refused(&read_batch::<String>(body, 1..=3).expect_err("bad"));
    assert_eq!(bad(json!([{ "day": "2026-11-23" }, {}])), ["body.1.day: is missing"]);
    assert_eq!(bad(json!({})), ["body.day: is missing"]);
}
