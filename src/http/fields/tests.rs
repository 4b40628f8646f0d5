use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::http::validators::{Boolean, Date, EmailAddress, Fraction, Rfc3339, Secret, Text};

request! {
    /// A person.
    struct Person {
        name: Text<1, 5>,
        email: EmailAddress,
        password: Secret<8, 16>,
    }
}

request! {
    /// A day.
    #[schema("Day", example = { "day": "2026-11-23" })]
    struct Day {
        /// A date.
        day: Date,
        at: Option<Rfc3339>,
        /// How much of it
        /// is over.
        share: Fraction = 0.5,
        open: Boolean = false,
    }
}

fn read_days(body: Value) -> Result<Vec<String>, Problem> {
    let days = read_batch(body, 1..=4, Day::from_fields)?;
    let show = |Day { day, at, share, open }: Day| format!("{day} {at:?} {share} {open}");
    Ok(days.into_iter().map(show).collect())
}

fn rejected(problem: &Problem) -> Vec<String> {
    let path = |loc: &[Loc]| json!(loc).to_string().replace(',', ".").replace(['[', ']', '"'], "");
    problem.errors().iter().map(|error| format!("{}: {}", path(&error.loc), error.msg)).collect()
}

#[test]
fn a_good_body_is_read_and_unknown_fields_are_ignored() {
    let body = json!({ "name": "Åsa", "email": "A@X.org", "password": "12345678", "role": "admin" });
    let person: Person = read_object(body).unwrap_or_else(|problem| panic!("{problem:?}"));
    assert_eq!((person.name.as_str(), person.email.as_str()), ("Åsa", "a@x.org"));
    assert_eq!(person.password.expose_secret(), "12345678");
}

#[test]
fn every_bad_field_is_named_in_the_order_of_declaration_and_no_value_is_repeated() {
    let bad = json!({ "name": "Anastasia", "email": 7, "password": "hunter2" });
    let problem = read_object::<Person>(bad).err().expect("bad");
    assert_eq!(
        rejected(&problem),
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
    let problem = read_object::<Person>(json!({ "name": null })).err().expect("empty");
    assert_eq!(rejected(&problem), ["name", "email", "password"].map(|name| format!("body.{name}: is missing")));
}

#[test]
fn a_list_names_the_index_of_each_bad_item() {
    let days = json!([
        { "day": "2026-11-23" },
        { "day": "soon", "at": "now" },
        7,
        { "day": "2026-11-24", "share": 2, "open": 1 }
    ]);
    assert_eq!(
        rejected(&read_days(days).expect_err("bad")),
        [
            "body.1.day: must be a date such as 2026-11-23",
            "body.1.at: must be a time such as 2026-11-23T08:00:00Z",
            "body.2: must be a JSON object",
            "body.3.share: must be a number from 0 to 1",
            "body.3.open: must be true or false",
        ]
    );
    assert_eq!(read_days(json!([{ "day": "2026-11-23" }])), Ok(vec!["2026-11-23 None 0.5 false".to_owned()]));
    assert_eq!(rejected(&read_days(json!([])).expect_err("empty")), ["body: must be a list of 1 to 4 objects"]);
}

#[test]
fn a_batch_is_one_object_or_a_list_and_only_in_a_list_a_bad_item_has_an_index() {
    let day = || json!({ "day": "2026-11-23" });
    assert_eq!(read_days(day()).map(|days| days.len()), Ok(1));
    assert_eq!(read_days(json!([day(), day()])).map(|days| days.len()), Ok(2));
    let bad = |body| rejected(&read_days(body).expect_err("bad"));
    assert_eq!(bad(json!([day(), {}])), ["body.1.day: is missing"]);
    assert_eq!(bad(json!({})), ["body.day: is missing"]);
    assert_eq!(bad(json!([{}, {}, {}, {}, {}])), ["body: must be a list of 1 to 4 objects"]);
}

#[test]
fn a_declaration_makes_the_schema() {
    let mut components = Components::new();
    let reference = serde_json::to_value(body_schema::<Day>(&mut components)).expect("JSON");
    assert_eq!(reference, json!({ "$ref": "#/components/schemas/Day" }));
    assert_eq!(
        serde_json::to_value(&components).expect("JSON")["schemas"]["Day"],
        json!({
            "type": "object",
            "description": "A day.",
            "required": ["day"],
            "properties": {
                "day": { "type": "string", "format": "date", "description": "A date." },
                "at": { "type": ["string", "null"], "format": "date-time" },
                "share": {
                    "type": ["number", "null"], "format": "double", "minimum": 0, "maximum": 1,
                    "description": "How much of it\nis over."
                },
                "open": { "type": ["boolean", "null"] }
            },
            "examples": [{ "day": "2026-11-23" }]
        })
    );
}
