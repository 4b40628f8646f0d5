//! What was felt day by day, and in a window as a whole. One statement, whatever the number of detections: the database counts them by
//! day and emotion.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, with_conn};
use faceofmind_runtime::legacy::Failure;
use jiff::{civil::Date, tz::TimeZone};

use super::{
    Message, Read, Sessions,
    session::{DetectionId, SessionError},
    tally::{IntensityTally, NEWEST_FACE, Seen, Tally},
    window::{Days, Window},
};
use faceofmind_model::emotion;
use faceofmind_model::emotion::Intensity;
use faceofmind_model::user::UserId;

/// One text for each number of days.
static COUNT: LazyLock<Vec<String>> = LazyLock::new(|| (1..=Window::LONGEST).map(count_by_day).collect());

/// What was felt on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// The emotion detected most often, in lower case; of several the most recent. `None` when none was.
    pub dominant_emotion: Option<String>,
    /// How many were easy and how many hard to bear.
    pub intensities: IntensityTally,
}

/// What was felt in a window. A summary of what was recorded, and no physician's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The window.
    pub window: Window,
    /// The gist, in one sentence.
    pub sentence: String,
    /// How often each emotion was detected, in lower case.
    pub emotions: BTreeMap<String, u64>,
    /// How many were easy and how many hard to bear.
    pub intensities: IntensityTally,
}

impl Diagnosis {
    fn of(window: Window, tally: &Tally) -> Self {
        Self { window, sentence: sentence(window, tally), emotions: tally.times(), intensities: tally.intensities() }
    }

    /// How hard each emotion is to bear.
    pub fn intensity_of_each(&self) -> impl Iterator<Item = (&str, Intensity)> {
        self.emotions.keys().map(|emotion| (emotion.as_str(), emotion::intensity(emotion)))
    }
}

impl Sessions {
    /// What was detected on each day of a window, in their order. Days are cut in `zone`, or in that of all who have none.
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn days(&self, user: UserId, window: Window, zone: Option<TimeZone>) -> Result<Vec<Day>, SessionError> {
        self.address.ask(|reply| Message::Read(Read::Days { user, window, zone, reply })).await
    }

    /// What was detected in a window as a whole; days as in [`Sessions::days`].
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn diagnosis(
        &self,
        user: UserId,
        window: Window,
        zone: Option<TimeZone>,
    ) -> Result<Diagnosis, SessionError> {
        self.address.ask(|reply| Message::Read(Read::Diagnosis { user, window, zone, reply })).await
    }
}

/// Each of these days, in their order.
pub(super) async fn days(db: &Database, user: UserId, days: Days) -> Result<Vec<Day>, Failure> {
    let tallies = tallies(db, user, &days).await?;
    let day = |(&date, tally): (&Date, Tally)| Day {
        date,
        dominant_emotion: tally.dominant().map(str::to_owned),
        intensities: tally.intensities(),
    };
    Ok(days.dates().iter().zip(tallies).map(day).collect())
}

/// All of these days together.
pub(super) async fn diagnosis(db: &Database, user: UserId, window: Window, days: Days) -> Result<Diagnosis, Failure> {
    let tallies = tallies(db, user, &days.as_one()).await?;
    Ok(Diagnosis::of(window, tallies.first().unwrap_or(&Tally::default())))
}

/// What was detected in the user's sessions on each of these days.
async fn tallies(db: &Database, user: UserId, days: &Days) -> Result<Vec<Tally>, Failure> {
    let mut tallies = vec![Tally::default(); days.dates().len()];
    let mut reader = db.read_conn().await?;
    let rows: Vec<(i64, String, i64, Timestamp, DetectionId)> = with_conn!(reader.connection(), c => {
        let mut query = sqlx::query_as(COUNT[days.dates().len() - 1].as_str()).bind(user);
        for bound in days.bounds() {
            query = query.bind(bound);
        }
        query.fetch_all(c).await
    })?;
    for (day, emotion, times, latest, detection) in rows {
        if let Some(tally) = usize::try_from(day).ok().and_then(|day| tallies.get_mut(day)) {
            tally.add(&emotion, Seen { times, latest, detection });
        }
    }
    Ok(tallies)
}

/// `$1` is the user, `$2` begins the first day, and so on; the last ends the last. From sessions to detections by index: what lies outside
/// of the days is not touched, but for one look a session.
fn count_by_day(days: usize) -> String {
    format!(
        "SELECT day, emotion, count(*), max(at), max(id) FROM \
         (SELECT CAST({day} AS bigint) AS day, f.emotion, d.timestamp AS at, d.id \
          FROM sessions s JOIN emotion_detections d ON d.session_id = s.id JOIN facial_data f ON f.detection_id = d.id \
          WHERE s.user_id = $1 AND d.timestamp >= $2 AND d.timestamp < ${end} AND {NEWEST_FACE}) AS seen \
         GROUP BY day, emotion",
        day = day_of("d.timestamp", 0, days),
        end = days + 2,
    )
}

/// SQL for the place of `at` among the days from `first` to before `end`, found by halving.
fn day_of(at: &str, first: usize, end: usize) -> String {
    if end - first < 2 {
        return first.to_string();
    }
    let middle = first.midpoint(end);
    let (before, after) = (day_of(at, first, middle), day_of(at, middle, end));
    format!("CASE WHEN {at} < ${} THEN {before} ELSE {after} END", middle + 2)
}

/// Says what was seen, and nothing of what it may mean.
fn sentence(window: Window, tally: &Tally) -> String {
    let (when, intensities) = (window.in_words(), tally.intensities());
    let Some(emotion) = tally.dominant() else { return format!("No emotions were recorded {when}.") };
    let times = tally.times().get(emotion).copied().unwrap_or_default();
    if intensities.total() == 1 {
        let intensity = emotion::intensity(emotion).name();
        return format!("One emotion was recorded {when}: {emotion}, which counts as {intensity}.");
    }
    let total = intensities.total();
    let mut sentence =
        format!("Of the {total} emotions recorded {when}, {emotion} was seen most often ({times} of {total}): ");
    let IntensityTally { mild, moderate, severe } = intensities;
    let _infallible = write!(sentence, "{mild} counted as mild, {moderate} as moderate and {severe} as severe.");
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(seen: &[(&str, i64)]) -> Tally {
        let mut tally = Tally::default();
        for (at, &(emotion, times)) in (0..).zip(seen) {
            tally.add(emotion, Seen { times, latest: Timestamp::from_micros(at), detection: DetectionId(at) });
        }
        tally
    }

    #[test]
    fn a_diagnosis_says_what_was_seen_and_no_more() {
        for (window, seen, expected) in [
            (Window::Day, vec![], "No emotions were recorded today."),
            (Window::Week, vec![("Sad", 1)], "One emotion was recorded this week: sad, which counts as severe."),
            (
                Window::Month,
                vec![("happy", 2), ("Saudade", 3), ("angry", 3)],
                "Of the 8 emotions recorded in the last 31 days, angry was seen most often (3 of 8): \
                 2 counted as mild, 3 as moderate and 3 as severe.",
            ),
        ] {
            assert_eq!(sentence(window, &tally(&seen)), expected);
        }
    }

    #[test]
    fn the_day_of_a_moment_is_found_by_halving() {
        assert_eq!(day_of("at", 0, 1), "0");
        assert_eq!(
            day_of("at", 0, 4),
            "CASE WHEN at < $4 THEN CASE WHEN at < $3 THEN 0 ELSE 1 END ELSE CASE WHEN at < $5 THEN 2 ELSE 3 END END"
        );
    }
}
