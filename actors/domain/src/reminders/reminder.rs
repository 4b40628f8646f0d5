//! What a reminder is, and when it is due.

use std::fmt;

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_model::{ReminderId, UserId};
use jiff::{civil::Date, tz::TimeZone};
use sqlx::FromRow;

/// The hour at which a reminder is due, by the clocks in the user's time zone.
const DUE_HOUR: i8 = 8;

/// The most reminders of one user. They move to another time zone in one transaction.
pub const MAX_REMINDERS: i64 = 1000;

/// A reminder.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct Reminder {
    pub id: ReminderId,
    pub user_id: UserId,
    /// 1 to 200 characters.
    pub title: String,
    /// 0 to 2,000 characters.
    pub description: String,
    /// The date on which it is due, at 08:00 in the user's time zone.
    pub reminder_time: CivilDate,
    /// Whether it is sent when it is due.
    pub is_active: bool,
    pub created_at: Timestamp,
}

/// Omits what the user wrote.
impl fmt::Debug for Reminder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reminder").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The content of a new reminder.
pub struct NewReminder {
    /// 1 to 200 characters.
    pub title: String,
    /// 0 to 2,000 characters.
    pub description: String,
    /// Any date. A reminder for a date that is past in the user's time zone never becomes due.
    pub reminder_time: CivilDate,
    pub is_active: bool,
}

/// What to change. `None` leaves a field as it is.
#[derive(Default)]
pub struct ReminderChange {
    /// 1 to 200 characters.
    pub title: Option<String>,
    /// 0 to 2,000 characters.
    pub description: Option<String>,
    /// Any date. A reminder for a date that is past in the user's time zone never becomes due.
    pub reminder_time: Option<CivilDate>,
    pub is_active: Option<bool>,
}

impl Reminder {
    pub(super) fn apply(&mut self, change: ReminderChange) {
        let ReminderChange { title, description, reminder_time, is_active } = change;
        self.title = title.unwrap_or_else(|| std::mem::take(&mut self.title));
        self.description = description.unwrap_or_else(|| std::mem::take(&mut self.description));
        self.reminder_time = reminder_time.unwrap_or(self.reminder_time);
        self.is_active = is_active.unwrap_or(self.is_active);
    }

    /// Whether the change schedules the reminder again, so that it is sent again unless it was sent on that day.
    pub(super) fn is_moved(&self, before: &Self) -> bool {
        (self.reminder_time, self.is_active) != (before.reminder_time, before.is_active)
    }
}

/// Returns the day in that zone.
pub(super) fn day_in(zone: &TimeZone, moment: Timestamp) -> Date {
    moment.to_jiff().to_zoned_datetime(zone.clone()).date()
}

/// Returns when a reminder that is written now is due. One for today is due at 08:00 also when that is past, one for a past day never.
pub(super) fn next_due_at(date: CivilDate, is_active: bool, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    if is_active && date.0 >= day_in(zone, now) { eight_am(date, zone) } else { None }
}

/// Returns 08:00 of that date. Where the clocks skip it, it is later by as much as they skip. Where they show it twice, it is the first
/// time. None beyond the end of the calendar.
pub(super) fn eight_am(date: CivilDate, zone: &TimeZone) -> Option<Timestamp> {
    let morning = zone.to_ambiguous_timestamp(date.0.at(DUE_HOUR, 0, 0, 0));
    morning.compatible().ok().map(Timestamp::from)
}

/// Returns the zone of that name, or the default where the name is unknown or not set.
pub(super) fn zone_or(name: Option<&str>, default: &TimeZone) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| default.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    fn on(date: &str) -> CivilDate {
        CivilDate(date.parse().expect("a date"))
    }

    #[test]
    fn eight_oclock_is_by_the_clocks_of_the_zone_on_that_day() {
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
            assert_eq!(eight_am(on(date), &zone(name)), Some(at(due)), "{date} in {name}");
        }
    }

    #[test]
    fn where_the_clocks_skip_eight_oclock_it_is_due_later_by_as_much() {
        // Samoa had no 30 December 2011, and Kwajalein no 21 August 1993.
        assert_eq!(eight_am(on("2011-12-30"), &zone("Pacific/Apia")), Some(at("2011-12-30T18:00:00Z")));
        assert_eq!(eight_am(on("1993-08-21"), &zone("Pacific/Kwajalein")), Some(at("1993-08-21T20:00:00Z")));
    }

    #[test]
    fn where_the_clocks_show_eight_oclock_twice_it_is_due_the_first_time() {
        // From 08:30 back to 07:30 on 19 July, as no zone does today.
        let zone = TimeZone::posix("AAA0BBB,J100/3,J200/8:30").expect("a rule");
        assert_eq!(eight_am(on("2026-07-18"), &zone), Some(at("2026-07-18T07:00:00Z")));
        assert_eq!(eight_am(on("2026-07-19"), &zone), Some(at("2026-07-19T07:00:00Z")));
        assert_eq!(eight_am(on("2026-07-20"), &zone), Some(at("2026-07-20T08:00:00Z")));
    }

    #[test]
    fn a_reminder_for_today_is_due_also_after_eight_and_one_for_a_past_day_never() {
        let manila = zone("Asia/Manila");
        let due_at = |date, now| next_due_at(on(date), true, &manila, at(now));
        let eight = Some(at("2026-11-25T00:00:00Z"));
        assert_eq!(due_at("2026-11-25", "2026-11-20T00:00:00Z"), eight);
        assert_eq!(due_at("2026-11-25", "2026-11-25T15:59:59Z"), eight, "a second before midnight");
        assert_eq!(due_at("2026-11-25", "2026-11-25T16:00:00Z"), None, "midnight");
        assert_eq!(due_at("0001-01-01", "2026-11-25T16:00:00Z"), None);
        assert_eq!(next_due_at(on("2026-11-25"), false, &manila, at("2026-11-20T00:00:00Z")), None);
    }

    #[test]
    fn dates_at_the_ends_of_the_calendar_do_not_panic() {
        for date in ["0001-01-01", "9999-12-31", "-009999-01-01"] {
            for name in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
                for now in [i64::MIN, 0, i64::MAX] {
                    let due = next_due_at(on(date), true, &zone(name), Timestamp::from_micros(now));
                    assert!(due.is_none_or(|due| due.micros() > -377_705_116_800_000_000), "{date}");
                }
            }
        }
        assert_eq!(eight_am(on("9999-12-31"), &zone("Pacific/Pago_Pago")), None);
    }

    #[test]
    fn an_unknown_zone_is_the_default() {
        assert_eq!(zone_or(Some("Mars/Olympus"), &zone("Asia/Manila")), zone("Asia/Manila"));
        assert_eq!(zone_or(None, &zone("Asia/Manila")), zone("Asia/Manila"));
        assert_eq!(zone_or(Some("Europe/Berlin"), &zone("Asia/Manila")), zone("Europe/Berlin"));
    }

    #[test]
    fn debug_output_does_not_show_what_the_user_wrote() {
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
