//! `Accept-Language`: which languages somebody reads (RFC 9110 §12.5.4).

use salvo::http::{HeaderMap, header::ACCEPT_LANGUAGE};

use super::kinds::is_language_tag;

/// Nobody reads more; what comes behind them is not looked at.
const MOST: usize = 16;

/// The tags (BCP 47) that these headers name, the most wanted first; of equally wanted ones the first named.
pub(super) fn wanted(headers: &HeaderMap) -> Vec<String> {
    let named = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let mut ranges: Vec<_> = named.flat_map(|value| value.split(',')).take(MOST).filter_map(range).collect();
    ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    ranges.into_iter().map(|(_, tag)| tag.to_owned()).collect()
}

/// A tag and its weight in thousandths; none for what is no tag, `*` too, and for what is not wanted at all.
fn range(range: &str) -> Option<(u16, &str)> {
    let (tag, weight) = range.split_once(';').map_or((range, None), |(tag, weight)| (tag, Some(weight)));
    let weight = weight.map_or(Some(1000), thousandths)?;
    let tag = tag.trim();
    (weight > 0 && is_language_tag(tag)).then_some((weight, tag))
}

/// `q=0.8`: from 0 to 1, with three digits behind the point at most.
fn thousandths(weight: &str) -> Option<u16> {
    let (name, value) = weight.trim().split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_one = name.eq_ignore_ascii_case("q") && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "0" if is_one => format!("{fraction:0<3}").parse().ok(),
        "1" if is_one && fraction.bytes().all(|digit| digit == b'0') => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_LANGUAGE, value.parse().expect("a header value"));
        }
        wanted(&headers)
    }

    #[test]
    fn the_most_wanted_language_comes_first() {
        assert_eq!(read(&["fil-PH,fil;q=0.9,en-US;q=0.8"]), ["fil-PH", "fil", "en-US"]);
        assert_eq!(read(&["en;q=0.5, tl ; q=1.000, ceb;q=0.75, de;Q=0.751"]), ["tl", "de", "ceb", "en"]);
        assert_eq!(read(&["en;q=0.1", "fil"]), ["fil", "en"]);
        assert_eq!(read(&["en, fil"]), ["en", "fil"]);
    }

    #[test]
    fn what_is_not_wanted_or_makes_no_sense_is_left_out() {
        assert_eq!(read(&["fil;q=0, *, en;q=0.000, de;q=1"]), ["de"]);
        for senseless in
            ["", "*", ";", ";q=1", "e", "<en>", "en;q=2", "en;q=1.5", "en;q=", "en;q=0.1234", "en;q=-1", "en;x=1"]
        {
            assert!(read(&[senseless]).is_empty(), "{senseless:?}");
        }
        assert!(read(&[&"x".repeat(36)]).is_empty());
    }

    #[test]
    fn a_list_without_end_is_cut() {
        assert_eq!(read(&[&"en,".repeat(1000)]).len(), MOST);
    }
}
