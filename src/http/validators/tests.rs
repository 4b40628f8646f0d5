use serde_json::json;

use super::*;

fn from_json<T: FieldType>(value: Value) -> Result<T::Value, ErrorMessage> {
    T::read(RawValue::Json(value))
}

fn from_text<T: FieldType>(text: &str) -> Result<T::Value, ErrorMessage> {
    T::read(RawValue::Text(text.into()))
}

#[test]
fn a_whole_number_may_be_written_as_a_float() {
    let read = |value| from_json::<Integer<0, 150>>(value).ok();
    assert_eq!((read(json!(150)), read(json!(41.0)), read(json!(-0.0))), (Some(150), Some(41), Some(0)));
    for bad in [json!(151), json!(-1), json!(1.5), json!(1e300), json!("7"), json!(true), json!([])] {
        assert_eq!(read(bad), None);
    }
}

#[test]
fn a_limit_beyond_its_maximum_means_the_maximum() {
    let read = |text: &str| from_text::<Clamped<1, 100>>(text).ok();
    assert_eq!((read("7"), read("100"), read("9000")), (Some(7), Some(100), Some(100)));
    assert_eq!((read("0"), read("-3"), read("ten"), read("99999999999999999999")), (None, None, None, Some(100)));
    assert!(read("99x").is_none() && read("").is_none());
}

#[test]
fn a_nul_is_rejected_in_every_kind_of_text() {
    let nul = json!("1234567\u{0}");
    let message = "must not contain a NUL character";
    assert_eq!(from_json::<Text<1, 8>>(nul.clone()), Err(message.into()));
    assert_eq!(parse(RawValue::Json(nul.clone()), |text| Ok::<_, ErrorMessage>(text.len())), Err(message.into()));
    assert_eq!(from_json::<Secret<1, 8>>(nul).map(drop), Err(message.into()));
}

#[test]
fn a_name_is_trimmed_and_is_neither_blank_nor_on_two_lines() {
    let read = |text: &str| from_json::<Name>(json!(text)).ok();
    assert_eq!(read(" María José "), Some("María José".to_owned()));
    assert_eq!((read("   "), read("a\nb"), read("a\tb"), read("")), (None, None, None, None));
}

#[test]
fn text_that_is_not_blank_stays_as_sent() {
    let read = |text: &str| from_json::<NonBlank<5>>(json!(text)).ok();
    assert_eq!(read(" a\nb "), Some(" a\nb ".to_owned()));
    assert_eq!((read(" \n\t "), read(""), read("a\u{0}"), read("abcdef")), (None, None, None, None));
}

#[test]
fn text_of_invisible_characters_is_blank() {
    for text in ["\u{200b}", "\u{2800}", "\u{3164}\u{ad}", " \u{feff}\t", "\u{e0041}"] {
        assert_eq!(from_json::<NonBlank<5>>(json!(text)).ok(), None, "{text:?}");
        assert_eq!(from_json::<Name>(json!(text)).ok(), None, "{text:?}");
    }
    assert!(from_json::<Name>(json!("\u{200b}Ada")).is_ok());
}

#[test]
fn lengths_count_characters_and_not_bytes() {
    let read = |value: &str| from_text::<Text<1, 3>>(value).is_ok();
    assert_eq!((read("日本語"), read("日本語だ"), read("")), (true, false, false));
}

#[test]
fn a_date_may_carry_a_time_and_a_timestamp_must_carry_an_offset() {
    for text in
        ["2026-11-23", "2026-11-23T00:00:00.000", "2026-11-23 08:00", "2026-11-23T23:59:59Z", "2026-11-23T00:00+08:00"]
    {
        let date = from_json::<Date>(json!(text)).map(|date| date.to_string());
        assert_eq!(date, Ok("2026-11-23".into()), "{text}");
    }
    for text in ["", "2026-02-30", "0000-12-31", "-000001-01-01", "10000-01-01", "23.11.2026", "tomorrow", "1764000000"]
    {
        assert!(from_json::<Date>(json!(text)).is_err(), "{text}");
    }
    assert!(from_json::<Rfc3339>(json!("2026-11-23T08:00:00")).is_err());
}

#[test]
fn an_enum_names_its_variants_when_it_is_not_one_of_them() {
    assert_eq!(from_json::<Role>(json!("king")), Err("must be one of user, professional, admin".into()));
    let statuses = "must be one of inactive, active, deactivated, suspended";
    assert_eq!(from_text::<Status>("asleep"), Err(statuses.into()));
}
