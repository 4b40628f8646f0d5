//! Languages in requests: the header `Accept-Language` (RFC 9110 §12.5.4), and the `language` of a user.

use salvo::{
    http::HeaderValue,
    oapi::{BasicType, Object, RefOr, Schema},
};

use super::validators::{ErrorMessage, FieldType, RawValue, parse};

/// How many languages of the headers are read, at most.
const MAX_LANGUAGES: usize = 16;

/// A field with a language tag. Only its form is checked.
pub(super) struct LanguageTag;

impl FieldType for LanguageTag {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        parse(raw, |tag| {
            is_language_tag(tag).then(|| tag.to_owned()).ok_or("must be a language tag, such as en or fil")
        })
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).pattern("^[A-Za-z0-9-]{2,35}$").example("fil").into()
    }
}

/// The language tags of these values of the header, by falling weight; tags of equal weight keep the order of the values.
pub(super) fn accepted_languages(values: &[HeaderValue]) -> Vec<String> {
    let values = values.iter().filter_map(|value| value.to_str().ok());
    let mut ranges: Vec<_> =
        values.flat_map(|value| value.split(',')).take(MAX_LANGUAGES).filter_map(parse_range).collect();
    ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    ranges.into_iter().map(|(_, tag)| tag.to_owned()).collect()
}

/// Whether the text has the form of a language tag (BCP 47).
fn is_language_tag(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The tag and its weight in thousandths; none when it is `*`, not a tag, or has the weight 0.
fn parse_range(range: &str) -> Option<(u16, &str)> {
    let (tag, weight) = range.split_once(';').map_or((range, None), |(tag, weight)| (tag, Some(weight)));
    let weight = weight.map_or(Some(1000), parse_weight)?;
    let tag = tag.trim();
    (weight > 0 && is_language_tag(tag)).then_some((weight, tag))
}

/// The thousandths of a weight, `q=0.8`: from 0 to 1, with at most three decimals.
fn parse_weight(weight: &str) -> Option<u16> {
    let (name, value) = weight.trim().split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_weight =
        name.eq_ignore_ascii_case("q") && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "0" if is_weight => format!("{fraction:0<3}").parse().ok(),
        "1" if is_weight && fraction.bytes().all(|digit| digit == b'0') => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<String> {
        let values: Vec<_> = values.iter().map(|value| value.parse().expect("a header value")).collect();
        accepted_languages(&values)
    }

    #[test]
    fn the_language_with_the_highest_weight_comes_first() {
        assert_eq!(read(&["fil-PH,fil;q=0.9,en-US;q=0.8"]), ["fil-PH", "fil", "en-US"]);
        assert_eq!(read(&["en;q=0.5, tl ; q=1.000, ceb;q=0.75, de;Q=0.751"]), ["tl", "de", "ceb", "en"]);
        assert_eq!(read(&["en;q=0.1", "fil"]), ["fil", "en"]);
        assert_eq!(read(&["en, fil"]), ["en", "fil"]);
    }

    #[test]
    fn ranges_of_weight_zero_and_malformed_ranges_are_skipped() {
        assert_eq!(read(&["fil;q=0, *, en;q=0.000, de;q=1"]), ["de"]);
        for malformed in
            ["", "*", ";", ";q=1", "e", "<en>", "en;q=2", "en;q=1.5", "en;q=", "en;q=0.1234", "en;q=-1", "en;x=1"]
        {
            assert!(read(&[malformed]).is_empty(), "{malformed:?}");
        }
        assert!(read(&[&"x".repeat(36)]).is_empty());
    }

    #[test]
    fn a_very_long_list_is_cut() {
        assert_eq!(read(&[&"en,".repeat(1000)]).len(), MAX_LANGUAGES);
    }
}
