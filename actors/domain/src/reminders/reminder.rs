//! What a reminder is, and when it is due. No I/O.

use std::fmt;

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_runtime::legacy::Failure;
use jiff::tz::TimeZone;
use serde::Serialize;
use sqlx::FromRow;

pub use faceofmind_model::ReminderId;
use faceofmind_model::UserId;

/// At this hour of its date, by the clocks where the person is, a reminder is due.
const HOUR: i8 = 8;

/// As many reminders as one user may have: they move to another time zone in one transaction.
pub const MOST: i64 = 1000;

/// A reminder.
#[derive(Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Reminder {
    /// Key.
    pub id: ReminderId,
    /// Whose.
    pub user_id: UserId,
    /// 1 to 200 characters.
    pub title: String,
    /// Up to 2,000 characters; may be empty.
    pub description: String,
    /// The day on which it is due, at 08:00 where the person is.
    pub reminder_time: CivilDate,
    /// Whether it is to be told at all.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Shows nothing of what somebody wrote.
impl fmt::Debug for Reminder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reminder").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A reminder to be made.
pub struct NewReminder {
    /// 1 to 200 characters.
    pub title: String,
    /// Up to 2,000 characters; may be empty.
    pub description: String,
    /// Any date. One that is over where the person is never becomes due.
    pub reminder_time: CivilDate,
    /// Whether it is to be told at all.
    pub is_active: bool,
}

/// What is to be changed; what is `None` stays.
#[derive(Default)]
pub struct ReminderChange {
    /// 1 to 200 characters.
    pub title: Option<String>,
    /// Up to 2,000 characters; may be empty.
    pub description: Option<String>,
    /// Any date. One that is over where the person is never becomes due.
    pub reminder_time: Option<CivilDate>,
    /// Whether it is to be told at all.
    pub is_active: Option<bool>,
}

/// Why something was not done with a reminder.
#[derive(Debug, thiserror::Error)]
pub enum ReminderError {
    /// There is none of that id, or it is another user's.
    #[error("there is no such reminder")]
    NotFound,
    /// The idempotency key belongs to a request with another body.
    #[error("this Idempotency-Key was used with another body. Send a new key with a new request")]
    KeyReused,
    /// The user has [`MOST`] reminders.
    #[error("you have as many reminders as one user may. Delete some first")]
    TooMany,
    /// Not the caller's fault.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for ReminderError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Reminder {
    pub(super) fn apply(&mut self, change: ReminderChange) {
        let ReminderChange { title, description, reminder_time, is_active } = change;
        self.title = title.unwrap_or_else(|| std::mem::take(&mut self.title));
        self.description = description.unwrap_or_else(|| std::mem::take(&mut self.description));
        self.reminder_time = reminder_time.unwrap_or(self.reminder_time);
        self.is_active = is_active.unwrap_or(self.is_active);
    }

    /// Whether it is to be told at another time than before, or again. New words alone are no reason to.
    pub(super) fn is_moved(&self, before: &Self) -> bool {
        (self.reminder_time, self.is_active) != (before.reminder_time, before.is_active)
    }
}

/// When to tell of a reminder that is written, or first seen, now: of one for today at 08:00 also when that is past, of one for a day that is
/// over where the person is never.
pub(super) fn to_be_told(date: CivilDate, is_active: bool, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
    if is_active && date.0 >= today { morning(date, zone) } else { None }
}

/// 08:00 of that date. Where the clocks skip it, as much later as they skip; where they show it twice, the first time. None where the
/// calendar ends before.
pub(super) fn morning(date: CivilDate, zone: &TimeZone) -> Option<Timestamp> {
    let morning = zone.to_ambiguous_timestamp(date.0.at(HOUR, 0, 0, 0));
    morning.compatible().ok().map(Timestamp::from)
}

/// The zone of somebody who has set that one, or none.
pub(super) fn zone_of(set: Option<&str>, default: &TimeZone) -> TimeZone {
    set.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| default.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    fn on(date: &str) -> CivilDate {
        CivilDate(date.parse().expect("a date"))
    }

    fn at(moment: &str) -> Timestamp {
        moment.parse::<jiff::Timestamp>().expect("a moment").into()
    }

    #[test]
    fn eight_oclock_is_by_the_clocks_of_the_zone_on_that_very_day() {
        for (date, name, due) in [
            ("2026-11-25", "Asia/Manila", "2026-11-25T00:00:00Z"),
            ("2026-11-25", "America/New_York", "2026-11-25T13:00:00Z"),
            ("2026-11-25", "Asia/Kathmandu", "2026-11-25T02:15:00Z"),
            ("2026-11-25", "Pacific/Kiritimati", "2026-11-24T18:00:00Z"),
            ("2026-11-25", "Pacific/Pago_Pago", "2026-11-25T19:00:00Z"),
            // The days before, of and after the changes of the clocks in Berlin.
            ("2026-03-28", "Europe/Berlin", "2026-03-28T07:00:00Z"),
            ("2026-03-29", "Europe/Berlin", "2026-03-29T06:00:00Z"),
            ("2026-10-24", "Europe/Berlin", "2026-10-24T06:00:00Z"),
            ("2026-10-25", "Europe/Berlin", "2026-10-25T07:00:00Z"),
        ] {
            assert_eq!(morning(on(date), &zone(name)), Some(at(due)), "{date} in {name}");
        }
    }

    #[test]
    fn where_the_clocks_skip_eight_oclock_it_is_due_as_much_later() {
        // Samoa had no 30 December 2011, and Kwajalein no 21 August 1993.
        assert_eq!(morning(on("2011-12-30"), &zone("Pacific/Apia")), Some(at("2011-12-30T18:00:00Z")));
        assert_eq!(morning(on("1993-08-21"), &zone("Pacific/Kwajalein")), Some(at("1993-08-21T20:00:00Z")));
    }

    #[test]
    fn where_the_clocks_show_eight_oclock_twice_it_is_due_the_first_time() {
        // From 08:30 back to 07:30 on 19 July, as no zone does today.
        let zone = TimeZone::posix("AAA0BBB,J100/3,J200/8:30").expect("a rule");
        assert_eq!(morning(on("2026-07-18"), &zone), Some(at("2026-07-18T07:00:00Z")));
        assert_eq!(morning(on("2026-07-19"), &zone), Some(at("2026-07-19T07:00:00Z")));
        assert_eq!(morning(on("2026-07-20"), &zone), Some(at("2026-07-20T08:00:00Z")));
    }

    #[test]
    fn today_is_told_also_after_eight_and_a_day_that_is_over_never() {
        let manila = zone("Asia/Manila");
        let told = |date, now| to_be_told(on(date), true, &manila, at(now));
        let eight = Some(at("2026-11-25T00:00:00Z"));
        assert_eq!(told("2026-11-25", "2026-11-20T00:00:00Z"), eight);
        assert_eq!(told("2026-11-25", "2026-11-25T15:59:59Z"), eight, "a second before midnight");
        assert_eq!(told("2026-11-25", "2026-11-25T16:00:00Z"), None, "midnight");
        assert_eq!(told("0001-01-01", "2026-11-25T16:00:00Z"), None);
        assert_eq!(to_be_told(on("2026-11-25"), false, &manila, at("2026-11-20T00:00:00Z")), None);
    }

    #[test]
    fn the_ends_of_time_are_no_reason_to_panic() {
        for date in ["0001-01-01", "9999-12-31", "-009999-01-01"] {
            for name in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
                for now in [i64::MIN, 0, i64::MAX] {
                    let due = to_be_told(on(date), true, &zone(name), Timestamp::from_micros(now));
                    assert!(due.is_none_or(|due| due.micros() > -377_705_116_800_000_000), "{date}");
                }
            }
        }
        assert_eq!(morning(on("9999-12-31"), &zone("Pacific/Pago_Pago")), None);
    }

    #[test]
    fn a_zone_that_nobody_knows_is_the_default() {
        assert_eq!(zone_of(Some("Mars/Olympus"), &zone("Asia/Manila")), zone("Asia/Manila"));
        assert_eq!(zone_of(None, &zone("Asia/Manila")), zone("Asia/Manila"));
        assert_eq!(zone_of(Some("Europe/Berlin"), &zone("Asia/Manila")), zone("Europe/Berlin"));
    }

    #[test]
    fn debug_shows_nothing_of_what_somebody_wrote() {
        let reminder = Reminder {
            id: ReminderId(3),
            user_id: UserId(7),
            title: "See the doctor".into(),
            description: "about my sleep".into(),
            reminder_time: on("2026-11-25"),
            is_active: true,
            created_at: at("2026-11-20T00:00:00Z"),
        };
        assert_eq!(format!("{reminder:?}"), "Reminder { id: ReminderId(3), .. }");
    }
}
