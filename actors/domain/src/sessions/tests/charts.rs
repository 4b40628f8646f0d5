//! Charts, compared with counting by hand: each detection counts for the date that the calendar of its zone shows.

use std::collections::BTreeMap;

use faceofmind_base::Timestamp;
use jiff::{ToSpan, civil::Date};

use super::{
    super::{charts, counting, queries},
    *,
};

/// Zones whose clocks change by half an hour, by two hours, or at midnight, that skipped a day, or that never change. Zones whose clocks once
/// fell back from after midnight to before it (St. John's until 2011) are omitted, because a date occurred twice there.
const ZONES: [&str; 18] = [
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Manila",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "UTC",
];
const EMOTIONS: [&str; 16] = [
    "happy",
    "Happy",
    " HAPPY ",
    "content",
    "neutral",
    "sad",
    "SAD",
    "angry",
    "furious",
    "calm",
    "saudade",
    "Ängstlich",
    "ÄNGSTLICH",
    "ängstlich",
    "İyi",
    "anxious",
];
const MILD: [&str; 3] = ["happy", "content", "neutral"];
const SEVERE: [&str; 4] = ["sad", "angry", "furious", "anxious"];
const WINDOWS: [Window; 4] = [Window::Day, Window::ThreeDays, Window::Week, Window::Month];
const CASES: u32 = 48;
const HOUR: i64 = 3600 * 1_000_000;

/// One detection as it is in the database.
#[derive(Clone, Debug)]
struct Seen {
    id: i64,
    session: i64,
    at: Timestamp,
    /// The newest last. Empty without a face.
    faces: Vec<&'static str>,
}

/// A random case, and how to reproduce it.
struct Case {
    rng: Rng,
    zone: TimeZone,
    now: Timestamp,
    window: Window,
    name: String,
}

impl Case {
    fn draw(seed: u64, number: u32) -> Self {
        let rng = Rng::seeded(seed.wrapping_add(u64::from(number)));
        let zone_name = pick(&rng, &ZONES);
        let zone = TimeZone::get(zone_name).expect("a zone");
        let now = now_in(&rng, &zone);
        let window = pick(&rng, &WINDOWS);
        let name = format!("FOM_SEED={seed}, case {number}: {} at {now} in {zone_name}", window.name());
        Self { rng, zone, now, window, name }
    }

    /// Around now, and many of them at the very beginning or end of a day.
    fn moment(&self) -> Timestamp {
        let hours = i64::from(self.rng.random_below(24 * 50)) - 24 * 40;
        let near =
            Timestamp::from_micros(self.now.micros() + hours * HOUR + i64::from(self.rng.random_below(u32::MAX)));
        if self.rng.random_below(2) == 0 {
            return near;
        }
        let date = near.to_jiff().to_zoned_datetime(self.zone.clone()).date();
        let midnight = date.to_zoned_datetime(self.zone.clone()).expect("within the calendar").timestamp();
        let beside = pick(&self.rng, &[-HOUR, -HOUR / 2, -1, 0, 1, HOUR / 2, HOUR]);
        Timestamp::from_micros(midnight.as_microsecond() + beside)
    }

    fn detections(&self, sessions: &[i64]) -> Vec<Seen> {
        let mut detections: Vec<Seen> = Vec::new();
        for number in 0..self.rng.random_below(150) {
            let again = detections.last().filter(|_| self.rng.random_below(8) == 0).map(|last| last.at);
            let faces = (0..pick(&self.rng, &[0, 1, 1, 1, 1, 1, 2])).map(|_| pick(&self.rng, &EMOTIONS)).collect();
            detections.push(Seen {
                id: sessions[0] * 1000 + i64::from(number),
                session: pick(&self.rng, sessions),
                at: again.unwrap_or_else(|| self.moment()),
                faces,
            });
        }
        detections
    }

    /// The dates of the window, by the contract's words.
    fn dates(&self) -> Vec<Date> {
        let today = self.now.to_jiff().to_zoned_datetime(self.zone.clone()).date();
        let back = |days: i64| (0..=days).rev().map(|ago| today - ago.days()).collect::<Vec<_>>();
        match self.window {
            Window::Day => vec![today],
            Window::ThreeDays => back(3),
            Window::Month => back(30),
            Window::Week => {
                let mut monday = today;
                while monday.weekday() != jiff::civil::Weekday::Monday {
                    monday = monday.yesterday().expect("within the calendar");
                }
                (0..7).map(|day: i64| monday + day.days()).collect()
            }
        }
    }

    fn by_hand<'a>(&self, seen: &'a [Seen], date: Date) -> Vec<&'a Seen> {
        let on = |at: Timestamp| at.to_jiff().to_zoned_datetime(self.zone.clone()).date();
        seen.iter().filter(|seen| on(seen.at) == date && !seen.faces.is_empty()).collect()
    }
}

fn pick<T: Copy>(rng: &Rng, from: &[T]) -> T {
    from[rng.random_below(u32::try_from(from.len()).expect("few")) as usize]
}

/// Between 1985 and 2036, and mostly within a month after the clocks of the zone were changed.
fn now_in(rng: &Rng, zone: &TimeZone) -> Timestamp {
    let year = 365 * 24 * HOUR;
    let some_time = jiff::Timestamp::from_microsecond(15 * year + i64::from(rng.random_below(51 * 365 * 24)) * HOUR)
        .expect("in range");
    let changed = zone.following(some_time).next().filter(|_| rng.random_below(4) > 0).map(|change| change.timestamp());
    let after = i64::from(rng.random_below(35 * 24)) * HOUR - 4 * 24 * HOUR;
    Timestamp::from_micros(changed.unwrap_or(some_time).as_microsecond() + after)
}

fn emotion(seen: &Seen) -> String {
    seen.faces.last().expect("a face").trim().to_lowercase()
}

fn dominant(seen: &[&Seen]) -> Option<String> {
    let rank = |one: &&Seen| {
        let alike = || seen.iter().filter(|other| emotion(other) == emotion(one));
        (alike().count(), alike().map(|other| other.at).max(), alike().map(|other| other.id).max())
    };
    seen.iter().max_by_key(|one| rank(one)).map(|one| emotion(one))
}

fn intensities(seen: &[&Seen]) -> IntensityCounts {
    let among = |names: &[&str]| seen.iter().filter(|seen| names.contains(&emotion(seen).as_str())).count() as u64;
    let (mild, severe) = (among(&MILD), among(&SEVERE));
    IntensityCounts { mild, moderate: seen.len() as u64 - mild - severe, severe }
}

/// Random unless `FOM_SEED` names one.
fn seed() -> u64 {
    let named = std::env::var("FOM_SEED").ok().map(|seed| seed.parse().expect("a number"));
    named.unwrap_or_else(|| u64::from(u32::from_be_bytes(Rng::system().bytes())))
}

#[tokio::test]
async fn charts_equal_a_count_by_hand() {
    let (seed, mut seen_somewhere) = (seed(), 0);
    for test in contexts().await {
        for number in 1..=CASES {
            let case = Case::draw(seed, number);
            let (ada, bob) = (test.user(&format!("ada{number}")).await, test.user(&format!("bob{number}")).await);
            let of_ada: Vec<i64> =
                (0..=i64::from(case.rng.random_below(6))).map(|n| i64::from(number) * 10 + n).collect();
            let of_bob = [i64::from(number) * 10 + 9];
            test.insert_sessions(ada, &of_ada).await;
            test.insert_sessions(bob, &of_bob).await;
            let mut seen = case.detections(&of_ada);
            test.insert(&seen).await;
            test.insert(&case.detections(&of_bob)).await;
            seen_somewhere += check(&test.db, &case, ada, &seen).await;
            for _ in 0..case.rng.random_below(4) {
                test.change(&case, &mut seen, &of_ada).await;
                seen_somewhere += check(&test.db, &case, ada, &seen).await;
            }
            counting::count_all(&test.db).await.expect("counts");
            check(&test.db, &case, ada, &seen).await;
        }
        testing::until("all is counted", async || test.number("SELECT count(*) FROM uncounted_sessions").await == 0)
            .await;
    }
    assert!(seen_somewhere > 100, "the cases hold something: {seen_somewhere}");
}

/// Returns the number of detections in the window.
async fn check(db: &Database, case: &Case, user: UserId, seen: &[Seen]) -> usize {
    let days = || case.window.days(case.now, &case.zone);
    let by_hand: Vec<_> = case.dates().into_iter().map(|date| (date, case.by_hand(seen, date))).collect();
    let expected: Vec<_> = by_hand
        .iter()
        .map(|(date, seen)| DayStats { date: *date, dominant_emotion: dominant(seen), intensities: intensities(seen) })
        .collect();
    assert_eq!(charts::day_stats(db, user, days()).await.expect("reads"), expected, "{}", case.name);
    let all: Vec<_> = by_hand.into_iter().flat_map(|(_, seen)| seen).collect();
    let mut emotions = BTreeMap::new();
    all.iter().for_each(|seen| *emotions.entry(emotion(seen)).or_insert(0) += 1);
    let diagnosis = charts::diagnosis(db, user, case.window, days()).await.expect("reads");
    assert_eq!((&diagnosis.emotions, diagnosis.intensities), (&emotions, intensities(&all)), "{}", case.name);
    let page = PageRequest { reader: user, after: None, skip: 0, limit: 100 };
    for session in queries::list(db, page).await.expect("reads").results {
        let of_session: Vec<_> =
            seen.iter().filter(|seen| seen.session == session.id.0 && !seen.faces.is_empty()).collect();
        assert_eq!(session.dominant_emotion, dominant(&of_session), "{}: session {}", case.name, session.id);
    }
    let named = dominant(&all).unwrap_or_else(|| "No emotions".to_owned());
    assert!(diagnosis.sentence.contains(&named), "{}: {} says nothing of {named}", case.name, diagnosis.sentence);
    all.len()
}

impl TestContext {
    /// Changes what was detected, by plain SQL as other programs may, and `seen` alike.
    async fn change(&self, case: &Case, seen: &mut Vec<Seen>, sessions: &[i64]) {
        let rng = &case.rng;
        let some = |seen: &[Seen]| pick(rng, &(0..seen.len()).collect::<Vec<_>>());
        match rng.random_below(8) {
            0 => counting::count_all(&self.db).await.expect("counts"),
            // As before migration 13.
            1 => {
                let ids = sessions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
                self.run(&format!("DELETE FROM emotion_counts WHERE session_id IN ({ids})")).await;
                self.run(&format!(
                    "INSERT INTO uncounted_sessions (session_id, user_id) SELECT id, user_id FROM sessions \
                     WHERE id IN ({ids}) ON CONFLICT DO NOTHING"
                ))
                .await;
            }
            // A detection that comes late.
            2 => {
                let id = 1 + seen.iter().map(|seen| seen.id).max().unwrap_or(sessions[0] * 1000);
                let late =
                    Seen { id, session: pick(rng, sessions), at: case.moment(), faces: vec![pick(rng, &EMOTIONS)] };
                self.insert(std::slice::from_ref(&late)).await;
                seen.push(late);
            }
            _ if seen.is_empty() => {}
            3 => {
                let gone = seen.swap_remove(some(seen));
                self.run(&format!("DELETE FROM emotion_detections WHERE id = {}", gone.id)).await;
            }
            4 => {
                let changed = some(seen);
                seen[changed].faces.clear();
                self.run(&format!("DELETE FROM facial_data WHERE detection_id = {}", seen[changed].id)).await;
            }
            5 => {
                let (changed, face) = (some(seen), pick(rng, &EMOTIONS));
                let id = seen[changed].id;
                seen[changed].faces.push(face);
                self.run(&format!("INSERT INTO facial_data (detection_id, emotion) VALUES ({id}, '{face}')")).await;
            }
            6 => {
                let (changed, face) = (some(seen), pick(rng, &EMOTIONS));
                let Seen { id, faces, .. } = &mut seen[changed];
                faces.fill(face);
                self.run(&format!("UPDATE facial_data SET emotion = '{face}' WHERE detection_id = {id}")).await;
            }
            _ => {
                let (changed, session, at) = (some(seen), pick(rng, sessions), case.moment());
                let Seen { id, .. } = seen[changed];
                (seen[changed].session, seen[changed].at) = (session, at);
                let sql = "UPDATE emotion_detections SET session_id = $1, timestamp = $2 WHERE id = $3";
                let mut tx = self.db.begin().await.expect("begins");
                with_conn!(tx.connection(), c =>
                    sqlx::query(sql).bind(session).bind(at).bind(id).execute(c).await.map(drop))
                .expect("updates");
                tx.commit().await.expect("commits");
            }
        }
    }

    async fn insert_sessions(&self, user: UserId, ids: &[i64]) {
        let sql = rows("INSERT INTO sessions (id, user_id, start_time) VALUES", ids.len(), 3);
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for id in ids {
                query = query.bind(id).bind(user).bind(self.clock.now());
            }
            query.execute(c).await.map(drop)
        })
        .expect("inserts");
        tx.commit().await.expect("commits");
    }

    async fn insert(&self, seen: &[Seen]) {
        let faces: Vec<_> = seen.iter().flat_map(|seen| seen.faces.iter().map(|face| (seen.id, *face))).collect();
        if seen.is_empty() {
            return;
        }
        let mut tx = self.db.begin().await.expect("begins");
        let sql = rows("INSERT INTO emotion_detections (id, session_id, timestamp) VALUES", seen.len(), 3);
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for seen in seen {
                query = query.bind(seen.id).bind(seen.session).bind(seen.at);
            }
            query.execute(c).await.map(drop)
        })
        .expect("inserts");
        if !faces.is_empty() {
            let sql = rows("INSERT INTO facial_data (detection_id, emotion) VALUES", faces.len(), 2);
            with_conn!(tx.connection(), c => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for (detection, face) in faces {
                    query = query.bind(detection).bind(face);
                }
                query.execute(c).await.map(drop)
            })
            .expect("inserts");
        }
        tx.commit().await.expect("commits");
    }
}

fn rows(sql: &str, rows: usize, columns: usize) -> String {
    let row = |row| (1..=columns).map(|column| format!("${}", row * columns + column)).collect::<Vec<_>>().join(", ");
    let rows: Vec<_> = (0..rows).map(|number| format!("({})", row(number))).collect();
    format!("{sql} {}", rows.join(", "))
}
