//! What was detected on each day, and in a window as a whole. One statement, whatever the number of detections: the database adds up the
//! counts of each quarter of an hour (migration 13), and counts the detections of uncounted sessions.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use faceofmind_db::{Database, StoreError, with_conn};
use faceofmind_model::{
    UserId,
    emotion::{self, Intensity},
};
use futures_util::TryStreamExt as _;
use jiff::civil::Date;

use super::{
    counts::{CountRow, EmotionCounts, EmotionStats, IntensityCounts, add_up},
    window::{DayRange, Window},
};

/// One text for each number of days.
pub(super) static COUNT: LazyLock<Vec<String>> = LazyLock::new(|| (1..=Window::MAX_DAYS).map(count_by_day).collect());

/// What was detected on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayStats {
    pub date: Date,
    /// The emotion detected most often, in lower case. Of equally frequent emotions, the most recent.
    pub dominant_emotion: Option<String>,
    pub intensities: IntensityCounts,
}

/// What was detected in a window: a summary of the records, and not a medical diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub window: Window,
    /// The summary in one sentence.
    pub sentence: String,
    /// The number of detections of each emotion, in lower case.
    pub emotions: BTreeMap<String, u64>,
    pub intensities: IntensityCounts,
}

impl Diagnosis {
    fn new(window: Window, counts: &EmotionCounts) -> Self {
        let (emotions, intensities) = (counts.counts(), counts.intensities());
        Self { window, sentence: sentence(window, counts), emotions, intensities }
    }

    pub fn intensity_of_each(&self) -> impl Iterator<Item = (&str, Intensity)> {
        self.emotions.keys().map(|emotion| (emotion.as_str(), emotion::intensity(emotion)))
    }
}

pub(super) async fn day_stats(db: &Database, user: UserId, days: DayRange) -> Result<Vec<DayStats>, StoreError> {
    let counts = count_emotions(db, user, &days).await?;
    let stats = |(&date, counts): (&Date, EmotionCounts)| DayStats {
        date,
        dominant_emotion: counts.dominant().map(str::to_owned),
        intensities: counts.intensities(),
    };
    Ok(days.dates().iter().zip(counts).map(stats).collect())
}

pub(super) async fn diagnosis(
    db: &Database,
    user: UserId,
    window: Window,
    days: DayRange,
) -> Result<Diagnosis, StoreError> {
    let counts = count_emotions(db, user, &days.merged()).await?;
    Ok(Diagnosis::new(window, counts.first().unwrap_or(&EmotionCounts::default())))
}

/// Counts what was detected in the user's sessions on each of these days.
async fn count_emotions(db: &Database, user: UserId, days: &DayRange) -> Result<Vec<EmotionCounts>, StoreError> {
    let mut counts = vec![EmotionCounts::default(); days.dates().len()];
    let mut reader = db.read_conn().await?;
    with_conn!(reader.connection(), c => {
        let mut query = sqlx::query_as::<_, CountRow<i64>>(COUNT[days.dates().len() - 1].as_str()).bind(user);
        for boundary in days.boundaries() {
            query = query.bind(boundary);
        }
        for quarter in days.quarters() {
            query = query.bind(quarter);
        }
        let mut rows = query.fetch(c);
        while let Some((day, emotion, count, latest, detection)) = rows.try_next().await? {
            if let Some(counts) = usize::try_from(day).ok().and_then(|day| counts.get_mut(day)) {
                counts.add(&emotion, EmotionStats { count, latest, detection });
            }
        }
        Ok(())
    })?;
    Ok(counts)
}

/// `$1` is the user, `$2` the start of the first day, and so on to the end of the last day; then follow [`DayRange::quarters`]. The counts of a
/// quarter belong to the day of its last detection, since no day begins within a quarter.
fn count_by_day(days: usize) -> String {
    let (end, first_quarter, end_quarter) = (days + 2, days + 3, days + 4);
    let counts = format!(
        "emotion_counts c WHERE c.user_id = $1 AND c.quarter >= ${first_quarter} AND c.quarter < ${end_quarter}"
    );
    let uncounted = format!("d.timestamp >= $2 AND d.timestamp < ${end}");
    let day = |at| format!("CAST({} AS bigint)", day_of(at, 0, days));
    add_up([&day("c.latest"), &day("d.timestamp")], &counts, &uncounted)
}

/// SQL for the index of the day of `at` among the days from `first` to before `end`, by binary search.
fn day_of(at: &str, first: usize, end: usize) -> String {
    if end - first < 2 {
        return first.to_string();
    }
    let middle = first.midpoint(end);
    let (before, after) = (day_of(at, first, middle), day_of(at, middle, end));
    format!("CASE WHEN {at} < ${} THEN {before} ELSE {after} END", middle + 2)
}

/// Describes what was detected, without interpreting it.
fn sentence(window: Window, counts: &EmotionCounts) -> String {
    let (when, intensities) = (window.phrase(), counts.intensities());
    let Some(emotion) = counts.dominant() else { return format!("No emotions were recorded {when}.") };
    let times = counts.counts().get(emotion).copied().unwrap_or_default();
    if intensities.total() == 1 {
        let intensity = emotion::intensity(emotion).name();
        return format!("One emotion was recorded {when}: {emotion}, which counts as {intensity}.");
    }
    let total = intensities.total();
    let mut sentence =
        format!("Of the {total} emotions recorded {when}, {emotion} was seen most often ({times} of {total}): ");
    let IntensityCounts { mild, moderate, severe } = intensities;
    let _infallible = write!(sentence, "{mild} counted as mild, {moderate} as moderate and {severe} as severe.");
    sentence
}

#[cfg(test)]
mod tests {
    use faceofmind_base::Timestamp;

    use super::*;
    use crate::sessions::session::DetectionId;

    fn counts(detected: &[(&str, i64)]) -> EmotionCounts {
        let mut counts = EmotionCounts::default();
        for (at, &(emotion, count)) in (0..).zip(detected) {
            let stats = EmotionStats { count, latest: Timestamp::from_micros(at), detection: DetectionId(at) };
            counts.add(emotion, stats);
        }
        counts
    }

    #[test]
    fn a_diagnosis_describes_what_was_detected_and_no_more() {
        for (window, detected, expected) in [
            (Window::Day, vec![], "No emotions were recorded today."),
            (Window::Week, vec![("Sad", 1)], "One emotion was recorded this week: sad, which counts as severe."),
            (
                Window::Month,
                vec![("happy", 2), ("Saudade", 3), ("angry", 3)],
                "Of the 8 emotions recorded in the last 31 days, angry was seen most often (3 of 8): \
                 2 counted as mild, 3 as moderate and 3 as severe.",
            ),
        ] {
            assert_eq!(sentence(window, &counts(&detected)), expected);
        }
    }

    #[test]
    fn the_day_of_a_timestamp_is_found_by_binary_search() {
        assert_eq!(day_of("at", 0, 1), "0");
        assert_eq!(
            day_of("at", 0, 4),
            "CASE WHEN at < $4 THEN CASE WHEN at < $3 THEN 0 ELSE 1 END ELSE CASE WHEN at < $5 THEN 2 ELSE 3 END END"
        );
    }
}
