//! Counts of emotions, for the list of sessions, the charts and the diagnosis. Pure.

use std::collections::BTreeMap;

use faceofmind_base::Timestamp;
use faceofmind_model::emotion::{self, Intensity};

use super::session::DetectionId;

/// A condition that keeps the newest row `f` of a detection. Legacy databases hold several faces of one detection.
pub(super) const LATEST_FACE_FILTER: &str = "NOT EXISTS (SELECT 1 FROM facial_data newer \
    WHERE newer.detection_id = f.detection_id AND newer.id > f.id)";

/// The emotion of a face `f`, as `emotion_counts` has it.
pub(super) const EMOTION: &str = "substr(f.emotion, 1, 500)";

/// Returns the statement that adds up what was detected in sessions of the user `$1`, as [`CountRow`]s with the most frequent emotion first. `counts`
/// follows FROM and selects rows `c` of `emotion_counts`. `uncounted` is a condition for detections `d` in uncounted sessions `u`. `keys` are what a
/// row of either belongs to.
///
/// An uncounted session may have counts too, where another program wrote one while its session was uncounted. They are left out by a list, which is
/// read once whatever the plan.
pub(super) fn add_up([counted_key, uncounted_key]: [&str; 2], counts: &str, uncounted: &str) -> String {
    format!(
        "SELECT key, emotion, CAST(sum(detections) AS bigint) AS times, max(latest), max(detection_id) AS last FROM \
         (SELECT {counted_key} AS key, c.emotion, c.detections, c.latest, c.detection_id FROM {counts} \
          AND c.session_id NOT IN (SELECT session_id FROM uncounted_sessions WHERE user_id = $1) \
          UNION ALL \
          SELECT {uncounted_key}, {EMOTION}, 1, d.timestamp, d.id FROM uncounted_sessions u \
          JOIN emotion_detections d ON d.session_id = u.session_id JOIN facial_data f ON f.detection_id = d.id \
          WHERE u.user_id = $1 AND {uncounted} AND {LATEST_FACE_FILTER}) AS seen \
         GROUP BY key, emotion ORDER BY times DESC, last DESC"
    )
}

/// The most emotions that are counted for themselves, beyond which only known ones are. Clients choose the names, so there may be as many as
/// detections.
const MAX_DISTINCT: usize = 1000;

/// What the emotions beyond that are counted as, together.
const OTHER: &str = "other";

/// Emotions by their normalized name. The database cannot normalize them: SQLite's `lower` knows only ASCII.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EmotionCounts {
    emotions: BTreeMap<String, EmotionStats>,
    /// The detections of emotions that are not counted for themselves.
    others: i64,
}

/// Ranks emotions, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EmotionStats {
    pub(super) count: i64,
    pub(super) latest: Timestamp,
    /// The highest id of the emotion's detections, which decides between emotions with the same timestamp.
    pub(super) detection: DetectionId,
}

/// The number of detected emotions of each intensity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntensityCounts {
    pub mild: u64,
    pub moderate: u64,
    pub severe: u64,
}

/// A row of counts: what it belongs to, the emotion as it is stored, and the fields of [`EmotionStats`].
pub(super) type CountRow<K> = (K, String, i64, Timestamp, DetectionId);

impl IntensityCounts {
    pub const fn total(self) -> u64 {
        self.mild + self.moderate + self.severe
    }

    const fn of(&mut self, intensity: Intensity) -> &mut u64 {
        match intensity {
            Intensity::Mild => &mut self.mild,
            Intensity::Moderate => &mut self.moderate,
            Intensity::Severe => &mut self.severe,
        }
    }
}

impl EmotionCounts {
    /// Adds an emotion as the client sent it. The most frequent ones are to be added first.
    pub(super) fn add(&mut self, emotion: &str, stats: EmotionStats) {
        let emotion = emotion::normalize(emotion);
        let has_place = self.emotions.len() < MAX_DISTINCT || emotion::is_known(&emotion);
        if !has_place && !self.emotions.contains_key(&emotion) {
            self.others += stats.count;
            return;
        }
        let known = self.emotions.entry(emotion).or_insert(EmotionStats { count: 0, ..stats });
        known.count += stats.count;
        known.latest = known.latest.max(stats.latest);
        known.detection = known.detection.max(stats.detection);
    }

    /// The emotion detected most often, in lower case. Of equally frequent emotions, the most recent.
    pub(super) fn dominant(&self) -> Option<&str> {
        self.emotions.iter().max_by_key(|&(_, stats)| stats).map(|(emotion, _)| emotion.as_str())
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let own = self.emotions.iter().map(|(emotion, stats)| (emotion.clone(), stats.count.unsigned_abs()));
        let mut counts: BTreeMap<_, _> = own.collect();
        if self.others > 0 {
            *counts.entry(OTHER.to_owned()).or_default() += self.others.unsigned_abs();
        }
        counts
    }

    pub(super) fn intensities(&self) -> IntensityCounts {
        let mut counts = IntensityCounts::default();
        for (emotion, stats) in &self.emotions {
            *counts.of(emotion::intensity(emotion)) += stats.count.unsigned_abs();
        }
        *counts.of(emotion::intensity(OTHER)) += self.others.unsigned_abs();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(detected: &[(&str, i64, i64)]) -> EmotionCounts {
        let mut counts = EmotionCounts::default();
        for &(emotion, count, latest) in detected {
            let stats = EmotionStats { count, latest: Timestamp::from_micros(latest), detection: DetectionId(latest) };
            counts.add(emotion, stats);
        }
        counts
    }

    #[test]
    fn the_most_frequent_emotion_dominates_whatever_its_case() {
        assert_eq!(counts(&[("Happy", 1, 1), ("sad", 2, 9), (" HAPPY", 2, 2)]).dominant(), Some("happy"));
        assert_eq!(counts(&[]).dominant(), None);
    }

    #[test]
    fn of_equally_frequent_emotions_the_most_recent_dominates() {
        assert_eq!(counts(&[("sad", 2, 5), ("happy", 2, 6)]).dominant(), Some("happy"));
        assert_eq!(counts(&[("sad", 2, 7), ("happy", 1, 6), ("Happy", 1, 3)]).dominant(), Some("sad"));
        assert_eq!(counts(&[("Ängstlich", 1, 7), ("sad", 2, 6), ("ÄNGSTLICH", 1, 3)]).dominant(), Some("ängstlich"));
    }

    #[test]
    fn rare_emotions_beyond_the_bound_are_counted_together() {
        let names: Vec<String> = (0..MAX_DISTINCT + 500).map(|number| format!("feeling {number}")).collect();
        let mut detected = vec![("feeling 0", 2, 1)];
        detected.extend(names.iter().map(|name| (name.as_str(), 1, 1)));
        detected.extend([("Happy", 1, 1), ("feeling 1", 1, 1)]);
        let counted = counts(&detected);
        let by_name = counted.counts();
        assert_eq!(
            (by_name.len(), by_name["other"], by_name["happy"], by_name["feeling 1"]),
            (MAX_DISTINCT + 2, 500, 1, 2)
        );
        assert_eq!(counted.dominant(), Some("feeling 0"));
        assert_eq!(counted.intensities().total(), u64::try_from(detected.len() + 1).expect("fits"));
    }

    #[test]
    fn an_unknown_emotion_is_moderate() {
        let counts = counts(&[("HAPPY", 3, 1), ("saudade", 2, 1), ("sad", 4, 1), ("Angry", 1, 1)]);
        assert_eq!(counts.intensities(), IntensityCounts { mild: 3, moderate: 2, severe: 5 });
        assert_eq!(counts.intensities().total(), 10);
    }
}
