//! Counts of emotions, for the list of sessions, the charts and the diagnosis. Pure.

use std::collections::BTreeMap;

use faceofmind_base::Timestamp;
use faceofmind_model::emotion::{self, Intensity};

use super::session::DetectionId;

/// A condition that keeps the newest row `f` of a detection. Legacy databases hold several faces of one detection.
pub(super) const LATEST_FACE_FILTER: &str = "NOT EXISTS (SELECT 1 FROM facial_data newer \
    WHERE newer.detection_id = f.detection_id AND newer.id > f.id)";

/// Emotions by their normalized name. The database cannot normalize them: SQLite's `lower` knows only ASCII.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EmotionCounts(BTreeMap<String, EmotionStats>);

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
    /// Adds an emotion as the client sent it.
    pub(super) fn add(&mut self, emotion: &str, stats: EmotionStats) {
        let known = self.0.entry(emotion::normalize(emotion)).or_insert(EmotionStats { count: 0, ..stats });
        known.count += stats.count;
        known.latest = known.latest.max(stats.latest);
        known.detection = known.detection.max(stats.detection);
    }

    /// The emotion detected most often, in lower case. Of equally frequent emotions, the most recent.
    pub(super) fn dominant(&self) -> Option<&str> {
        self.0.iter().max_by_key(|&(_, stats)| stats).map(|(emotion, _)| emotion.as_str())
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(emotion, stats)| (emotion.clone(), stats.count.unsigned_abs())).collect()
    }

    pub(super) fn intensities(&self) -> IntensityCounts {
        let mut counts = IntensityCounts::default();
        for (emotion, stats) in &self.0 {
            *counts.of(emotion::intensity(emotion)) += stats.count.unsigned_abs();
        }
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
    fn an_unknown_emotion_is_moderate() {
        let counts = counts(&[("HAPPY", 3, 1), ("saudade", 2, 1), ("sad", 4, 1), ("Angry", 1, 1)]);
        assert_eq!(counts.intensities(), IntensityCounts { mild: 3, moderate: 2, severe: 5 });
        assert_eq!(counts.intensities().total(), 10);
    }
}
