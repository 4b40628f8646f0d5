//! How often which emotion was seen. The one place where emotions are counted: for the list of sessions, the charts and the diagnosis.

use std::collections::BTreeMap;

use faceofmind_base::Timestamp;

use super::session::DetectionId;
use faceofmind_model::emotion;
use faceofmind_model::emotion::Intensity;

/// The face of a detection `d` is the newest row `f`: legacy databases hold several of some. For a `WHERE`.
pub(super) const NEWEST_FACE: &str = "NOT EXISTS (SELECT 1 FROM facial_data newer \
    WHERE newer.detection_id = f.detection_id AND newer.id > f.id)";

/// Emotions by [`emotion::key`], which the database cannot tell: SQLite's `lower` knows ASCII alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<String, Seen>);

/// How often, and when at last. In this order emotions are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) times: i64,
    pub(super) latest: Timestamp,
    /// The highest of its detections, which tells of several that came at the same moment.
    pub(super) detection: DetectionId,
}

/// How many emotions of each intensity were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntensityTally {
    /// Easy ones.
    pub mild: u64,
    /// Neither easy nor hard ones.
    pub moderate: u64,
    /// Hard ones.
    pub severe: u64,
}

impl IntensityTally {
    /// All of them.
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

impl Tally {
    /// Adds an emotion as it was sent.
    pub(super) fn add(&mut self, emotion: &str, seen: Seen) {
        let known = self.0.entry(emotion::normalize(emotion)).or_insert(Seen { times: 0, ..seen });
        known.times += seen.times;
        known.latest = known.latest.max(seen.latest);
        known.detection = known.detection.max(seen.detection);
    }

    /// The emotion seen most often, in lower case; of several the most recent.
    pub(super) fn dominant(&self) -> Option<&str> {
        self.0.iter().max_by_key(|&(_, seen)| seen).map(|(emotion, _)| emotion.as_str())
    }

    /// How often each was seen.
    pub(super) fn times(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(emotion, seen)| (emotion.clone(), seen.times.unsigned_abs())).collect()
    }

    pub(super) fn intensities(&self) -> IntensityTally {
        let mut tally = IntensityTally::default();
        for (emotion, seen) in &self.0 {
            *tally.of(emotion::intensity(emotion)) += seen.times.unsigned_abs();
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(seen: &[(&str, i64, i64)]) -> Tally {
        let mut tally = Tally::default();
        for &(emotion, times, latest) in seen {
            let seen = Seen { times, latest: Timestamp::from_micros(latest), detection: DetectionId(latest) };
            tally.add(emotion, seen);
        }
        tally
    }

    #[test]
    fn the_emotion_seen_most_often_dominates_however_it_is_spelled() {
        assert_eq!(tally(&[("Happy", 1, 1), ("sad", 2, 9), (" HAPPY", 2, 2)]).dominant(), Some("happy"));
        assert_eq!(tally(&[]).dominant(), None);
    }

    #[test]
    fn of_emotions_seen_equally_often_the_most_recent_dominates() {
        assert_eq!(tally(&[("sad", 2, 5), ("happy", 2, 6)]).dominant(), Some("happy"));
        assert_eq!(tally(&[("sad", 2, 7), ("happy", 1, 6), ("Happy", 1, 3)]).dominant(), Some("sad"));
        assert_eq!(tally(&[("Ängstlich", 1, 7), ("sad", 2, 6), ("ÄNGSTLICH", 1, 3)]).dominant(), Some("ängstlich"));
    }

    #[test]
    fn what_is_not_known_is_moderate() {
        let seen = tally(&[("HAPPY", 3, 1), ("saudade", 2, 1), ("sad", 4, 1), ("Angry", 1, 1)]);
        assert_eq!(seen.intensities(), IntensityTally { mild: 3, moderate: 2, severe: 5 });
        assert_eq!(seen.intensities().total(), 10);
    }
}
