//! Windows of days for charts, and their days in a time zone. Pure.

use std::str::FromStr;

use faceofmind_base::Timestamp;
use jiff::{
    ToSpan,
    civil::{Date, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};

/// A range of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Today.
    Day,
    /// Four days, today last: the three days before today, as the earlier program counted them.
    ThreeDays,
    /// Monday to Sunday of this week.
    Week,
    /// 31 days, today last.
    Month,
}

impl Window {
    pub(super) const MAX_DAYS: usize = 31;

    /// All windows.
    pub const ALL: [Self; 4] = [Self::Day, Self::ThreeDays, Self::Week, Self::Month];

    /// The name in requests: `day`, `3days`, `week` or `month`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::ThreeDays => "3days",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The window as part of a sentence.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Day => "today",
            Self::ThreeDays => "in the last four days",
            Self::Week => "this week",
            Self::Month => "in the last 31 days",
        }
    }

    /// The days of this window around `now`, in `zone`.
    pub(super) fn days(self, now: Timestamp, zone: &TimeZone) -> DayRange {
        let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
        let (first, days) = match self {
            Self::Day => (today, 1),
            Self::ThreeDays => (today.saturating_sub(3.days()), 4),
            Self::Week => (today.saturating_sub(today.weekday().since(Weekday::Monday).days()), 7),
            Self::Month => (today.saturating_sub(30.days()), 31),
        };
        DayRange::new(first, days, zone)
    }
}

/// No window has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid window")]
pub struct InvalidWindow;

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(name: &str) -> Result<Self, InvalidWindow> {
        Self::ALL.into_iter().find(|window| window.name() == name).ok_or(InvalidWindow)
    }
}

const MICROS_PER_QUARTER: i64 = 15 * 60 * 1_000_000;

/// Consecutive days, each from its start to the start of the next: mostly 23, 24 or 25 hours. A day that the zone skipped (Samoa had no
/// 30 December 2011) is listed and has length 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DayRange {
    dates: Vec<Date>,
    /// The start of each day, then the end of the last.
    boundaries: Vec<Timestamp>,
}

impl DayRange {
    fn new(first: Date, days: i64, zone: &TimeZone) -> Self {
        let date = |day: i64| first.saturating_add(day.days());
        Self {
            dates: (0..days).map(date).collect(),
            boundaries: (0..=days).map(|day| start_of_day(date(day), zone)).collect(),
        }
    }

    pub(super) fn dates(&self) -> &[Date] {
        &self.dates
    }

    /// One more than there are days.
    pub(super) fn boundaries(&self) -> &[Timestamp] {
        &self.boundaries
    }

    /// The first quarter of an hour since 1970 in these days, and the first one after them. Since 1980 every day of every zone begins with one.
    pub(super) fn quarters(&self) -> [i64; 2] {
        let ends = [self.boundaries.first(), self.boundaries.last()];
        ends.map(|at| at.map_or(0, |at| at.micros().div_euclid(MICROS_PER_QUARTER)))
    }

    /// All days as one.
    pub(super) fn merged(&self) -> Self {
        let ends = self.boundaries.first().into_iter().chain(self.boundaries.last());
        Self { dates: self.dates.iter().take(1).copied().collect(), boundaries: ends.copied().collect() }
    }
}

/// Midnight, or, where the clocks skip it, the time of the jump. jiff's `start_of_day` is too late where the clocks jump from before
/// midnight to after it.
fn start_of_day(date: Date, zone: &TimeZone) -> Timestamp {
    let midnight = zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let is_skipped = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
    let Ok(start) = midnight.compatible() else { return jiff::Timestamp::MAX.into() };
    let jump = || zone.preceding(start.checked_add(1.second()).ok()?).next();
    let jump = if is_skipped { jump() } else { None };
    jump.map_or(start, |jump| jump.timestamp()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last date, and the length of each day in hours.
    fn days(window: Window, now: &str, zone: &str) -> (String, String, Vec<f64>) {
        let now = Timestamp::from(now.parse::<jiff::Timestamp>().expect("a timestamp"));
        let days = window.days(now, &TimeZone::get(zone).expect("a zone"));
        let (first, last) = (days.dates[0], days.dates[days.dates.len() - 1]);
        let hours = days.boundaries.windows(2).map(|ends| ends[1].since(ends[0]).as_secs_f64() / 3600.0);
        (first.to_string(), last.to_string(), hours.collect())
    }

    fn span(window: Window, now: &str, zone: &str) -> (String, String, usize) {
        let (first, last, hours) = days(window, now, zone);
        (first, last, hours.len())
    }

    #[test]
    fn a_window_has_the_days_that_the_contract_says() {
        // A Wednesday in Manila, where it is already the 25th; in New York it is still Tuesday.
        let now = "2026-11-24T18:00:00Z";
        for (window, first, last, days) in [
            (Window::Day, "2026-11-25", "2026-11-25", 1),
            (Window::ThreeDays, "2026-11-22", "2026-11-25", 4),
            (Window::Week, "2026-11-23", "2026-11-29", 7),
            (Window::Month, "2026-10-26", "2026-11-25", 31),
        ] {
            assert_eq!(span(window, now, "Asia/Manila"), (first.into(), last.into(), days));
        }
        assert_eq!(span(Window::Day, now, "America/New_York").0, "2026-11-24");
    }

    #[test]
    fn a_week_is_monday_to_sunday_on_every_day_of_it() {
        for day in 23..=29 {
            let now = format!("2026-11-{day}T12:00:00Z");
            assert_eq!(span(Window::Week, &now, "UTC"), ("2026-11-23".into(), "2026-11-29".into(), 7));
        }
    }

    #[test]
    fn days_are_as_long_as_the_clocks_make_them() {
        assert_eq!(days(Window::Day, "2026-03-29T12:00:00Z", "Europe/Berlin").2, [23.0]);
        assert_eq!(days(Window::Day, "2026-10-25T12:00:00Z", "Europe/Berlin").2, [25.0]);
        assert_eq!(days(Window::Day, "2026-04-05T02:00:00Z", "Australia/Lord_Howe").2, [24.5]);
        assert_eq!(days(Window::Day, "2026-10-04T02:00:00Z", "Australia/Lord_Howe").2, [23.5]);
        // Midnight did not exist on 4 November 2018 in São Paulo, nor half past eleven to half past twelve in Toronto in 1919.
        assert_eq!(days(Window::ThreeDays, "2018-11-05T12:00:00Z", "America/Sao_Paulo").2, [24.0, 24.0, 23.0, 24.0]);
        assert_eq!(days(Window::ThreeDays, "1919-04-01T12:00:00Z", "America/Toronto").2, [24.0, 23.5, 23.5, 24.0]);
    }

    #[test]
    fn a_skipped_day_is_listed_with_length_zero() {
        let (first, last, hours) = days(Window::ThreeDays, "2011-12-31T12:00:00Z", "Pacific/Apia");
        assert_eq!((first.as_str(), last.as_str()), ("2011-12-29", "2012-01-01"));
        assert_eq!(hours, [24.0, 0.0, 24.0, 24.0]);
    }

    #[test]
    fn a_window_is_known_by_its_exact_name() {
        for window in [Window::Day, Window::ThreeDays, Window::Week, Window::Month] {
            assert_eq!(window.name().parse(), Ok(window));
        }
        for name in ["", "Week", " week", "year", "3 days"] {
            assert_eq!(name.parse::<Window>(), Err(InvalidWindow));
        }
    }

    #[test]
    fn the_extreme_timestamps_do_not_panic() {
        for now in [i64::MIN, i64::MAX, 0] {
            for window in [Window::Day, Window::ThreeDays, Window::Week, Window::Month] {
                let days = window.days(Timestamp::from_micros(now), &TimeZone::get("Pacific/Apia").expect("a zone"));
                assert_eq!(days.boundaries.len(), days.dates.len() + 1);
            }
        }
    }
}
