//! The kinds of value a field may hold: each reads what was given, or says in words what the field must be.
//!
//! Refusals never repeat what was sent: it may be a password, and it would end up in logs.

use std::{borrow::Cow, ops::RangeInclusive};

use jiff::{Timestamp, civil::Date, fmt::temporal::Pieces};
use secrecy::SecretString;
use serde_json::Value;

/// What a client sent for one field: JSON in a body, text in a query or a path.
pub enum Given {
    /// A value of a JSON body.
    Json(Value),
    /// A value of a query or a path.
    Text(String),
}

/// Why a field is refused, as `msg` says it: "must be …".
pub type Refusal = Cow<'static, str>;

/// Text of so many characters, without NUL (no database stores it).
pub fn text(lengths: RangeInclusive<usize>) -> impl FnOnce(Given) -> Result<String, Refusal> {
    move |given| {
        let text = given.into_text()?;
        if text.contains('\0') {
            return Err("must not contain a NUL character".into());
        }
        if !lengths.contains(&text.chars().count()) {
            return Err(span("must have", &lengths, "characters"));
        }
        Ok(text)
    }
}

/// What somebody writes for others: 1 to so many characters as they were sent, not all of them blank.
pub fn words(most: usize) -> impl FnOnce(Given) -> Result<String, Refusal> {
    move |given| match text(1..=most)(given)? {
        blank if blank.trim().is_empty() => Err("must not be blank".into()),
        words => Ok(words),
    }
}

/// Text that no log, error or answer ever shows, of so many characters.
pub fn secret(lengths: RangeInclusive<usize>) -> impl FnOnce(Given) -> Result<SecretString, Refusal> {
    move |given| text(lengths)(given).map(SecretString::from)
}

/// Text that `parse` understands: `parsed(Email::parse)`. `parse` sees no NUL and at most 1,024 characters.
pub fn parsed<T, E: Into<Refusal>>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl FnOnce(Given) -> Result<T, Refusal> {
    move |given| parse(&text(0..=1024)(given)?).map_err(Into::into)
}

/// A whole number in this range. `5.0` is one too: some JSON writers know no other.
pub fn integer(range: RangeInclusive<i64>) -> impl FnOnce(Given) -> Result<i64, Refusal> {
    move |given| {
        let number = given.whole().filter(|number| range.contains(number));
        number.ok_or_else(|| span("must be a whole number from", &range, ""))
    }
}

/// A whole number in this range, where more than its end, however much, means its end (the contract's `limit`).
pub fn capped(range: RangeInclusive<i64>) -> impl FnOnce(Given) -> Result<i64, Refusal> {
    move |given| {
        let number = given.whole().or_else(|| given.is_huge().then_some(i64::MAX));
        let number = number.filter(|number| number >= range.start()).map(|number| number.min(*range.end()));
        number.ok_or_else(|| format!("must be a whole number of at least {}", range.start()).into())
    }
}

/// Whether it looks like a language tag (BCP 47), which is all that is asked of one.
pub fn is_language_tag(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A person's name: 1 to 100 characters without those around it, none of them a control character.
pub fn name() -> impl FnOnce(Given) -> Result<String, Refusal> {
    move |given| {
        let name = text(1..=100)(given)?.trim().to_owned();
        match name.chars().any(char::is_control) {
            true => Err("must not contain control characters".into()),
            false if name.is_empty() => Err("must not be blank".into()),
            false => Ok(name),
        }
    }
}

/// A number in this range.
pub fn number(range: RangeInclusive<f64>) -> impl FnOnce(Given) -> Result<f64, Refusal> {
    move |given| {
        let number = match &given {
            Given::Json(value) => value.as_f64(),
            Given::Text(text) => text.parse().ok(),
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| span("must be a number from", &range, ""))
    }
}

/// `true` or `false`.
pub fn boolean() -> impl FnOnce(Given) -> Result<bool, Refusal> {
    |given| match given {
        Given::Json(Value::Bool(value)) => Ok(value),
        Given::Text(text) => text.parse().map_err(|_| "must be true or false".into()),
        Given::Json(_) => Err("must be true or false".into()),
    }
}

/// A calendar date from the years 1 to 9999, `YYYY-MM-DD`; a time behind it, and its offset, are ignored.
pub fn date() -> impl FnOnce(Given) -> Result<Date, Refusal> {
    parsed(|text| {
        let date = Pieces::parse(text).ok().map(|pieces| pieces.date());
        date.filter(|date| date.year() >= 1).ok_or("must be a date such as 2026-11-23")
    })
}

/// A moment: RFC 3339 with an offset.
pub fn moment() -> impl FnOnce(Given) -> Result<Timestamp, Refusal> {
    parsed(|text| text.parse().map_err(|_| "must be a time such as 2026-11-23T08:00:00Z"))
}

impl Given {
    fn into_text(self) -> Result<String, Refusal> {
        match self {
            Self::Text(text) | Self::Json(Value::String(text)) => Ok(text),
            Self::Json(_) => Err("must be text".into()),
        }
    }

    /// Whether it is a whole number beyond what fits into 64 bits.
    fn is_huge(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Json(value) => value.as_u64().is_some() || value.as_f64().is_some_and(|float| float > 9e18),
        }
    }

    fn whole(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Json(value) => value.as_i64().or_else(|| whole_float(value.as_f64()?)),
        }
    }
}

/// The whole number that a float holds exactly (up to 2^53, beyond which floats skip numbers).
fn whole_float(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

fn span<N: ToString>(must: &str, range: &RangeInclusive<N>, of: &str) -> Refusal {
    format!("{must} {} to {} {of}", range.start().to_string(), range.end().to_string()).trim_end().to_owned().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        let read = |value| integer(0..=150)(Given::Json(value)).ok();
        assert_eq!((read(json!(150)), read(json!(41.0)), read(json!(-0.0))), (Some(150), Some(41), Some(0)));
        for bad in [json!(151), json!(-1), json!(1.5), json!(1e300), json!("7"), json!(true), json!([])] {
            assert_eq!(read(bad), None);
        }
    }

    #[test]
    fn a_limit_beyond_its_end_means_its_end() {
        let read = |text: &str| capped(1..=100)(Given::Text(text.into())).ok();
        assert_eq!((read("7"), read("100"), read("9000")), (Some(7), Some(100), Some(100)));
        assert_eq!((read("0"), read("-3"), read("ten"), read("99999999999999999999")), (None, None, None, Some(100)));
        assert!(read("99x").is_none() && read("").is_none());
    }

    #[test]
    fn a_nul_is_refused_wherever_text_goes() {
        let nul = || Given::Json(json!("1234567\u{0}"));
        let refusal = "must not contain a NUL character";
        assert_eq!(text(1..=8)(nul()), Err(refusal.into()));
        assert_eq!(parsed(|text| Ok::<_, Refusal>(text.len()))(nul()), Err(refusal.into()));
        assert_eq!(secret(1..=8)(nul()).map(drop), Err(refusal.into()));
    }

    #[test]
    fn a_name_is_trimmed_and_is_neither_blank_nor_on_two_lines() {
        let read = |text: &str| name()(Given::Json(json!(text))).ok();
        assert_eq!(read(" María José "), Some("María José".to_owned()));
        assert_eq!((read("   "), read("a\nb"), read("a\tb"), read("")), (None, None, None, None));
    }

    #[test]
    fn words_stay_as_they_were_sent_and_are_not_all_blank() {
        let read = |text: &str| words(5)(Given::Json(json!(text))).ok();
        assert_eq!(read(" a\nb "), Some(" a\nb ".to_owned()));
        assert_eq!((read(" \n\t "), read(""), read("a\u{0}"), read("abcdef")), (None, None, None, None));
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        let read = |value: &str| text(1..=3)(Given::Text(value.into())).is_ok();
        assert_eq!((read("日本語"), read("日本語だ"), read("")), (true, false, false));
    }

    #[test]
    fn a_date_may_carry_a_time_and_a_moment_must_carry_an_offset() {
        let json = |text: &str| Given::Json(json!(text));
        for text in [
            "2026-11-23",
            "2026-11-23T00:00:00.000",
            "2026-11-23 08:00",
            "2026-11-23T23:59:59Z",
            "2026-11-23T00:00+08:00",
        ] {
            assert_eq!(date()(json(text)).map(|date| date.to_string()), Ok("2026-11-23".into()), "{text}");
        }
        for text in
            ["", "2026-02-30", "0000-12-31", "-000001-01-01", "10000-01-01", "23.11.2026", "tomorrow", "1764000000"]
        {
            assert!(date()(json(text)).is_err(), "{text}");
        }
        assert!(moment()(json("2026-11-23T08:00:00")).is_err());
    }
}
