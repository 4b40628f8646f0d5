//! Start times that the time zone of the server has shifted.

use adoption::{AdoptionError, mend_times};

use super::*;

const STARTS: &str = "SELECT concat_ws(' ', id, start_time AT TIME ZONE 'UTC') FROM sessions ORDER BY id";
/// A session without detections, one that nothing is known of, one that lasted long, and one of today.
const MORE: &str = "INSERT INTO sessions (id, user_id, start_time, end_time) OVERRIDING SYSTEM VALUE VALUES \
    (70, 1, '2025-07-20 00:00:00+00', '2025-07-20 08:00:00.012+00'), (71, 1, '2025-07-20 00:00:00+00', NULL), \
    (72, 1, '2025-07-20 00:00:00+00', '2025-07-20 12:00:00+00'); \
    INSERT INTO emotion_detections (id, session_id, timestamp) OVERRIDING SYSTEM VALUE VALUES (70, 72, '2025-07-20 00:05:00+00')";

#[tokio::test]
async fn shifted_starts_are_mended_once() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, MORE).await;
        migrate(&db).await.expect("adopts");
        let after = "INSERT INTO sessions (id, user_id, start_time, end_time) OVERRIDING SYSTEM VALUE VALUES \
            (80, 1, '2025-07-21 00:00:00+00', '2025-07-21 09:00:00+00')";
        faceofmind_testing::run(&db, after).await;
        let before = texts(&db, STARTS).await;
        let mended = mend_times(&db, "asia/manila").await.expect("mends");
        assert_eq!((mended.sessions, mended.zone.as_str(), mended.is_earlier), (2, "Asia/Manila", false), "{layout}");
        let now = texts(&db, STARTS).await;
        let changed: Vec<&str> =
            now.iter().zip(&before).filter(|(now, before)| now != before).map(|(now, _)| now.as_str()).collect();
        assert_eq!(changed, ["26 2025-07-07 01:00:00", "70 2025-07-20 08:00:00"], "{layout}");
        for zone in ["Asia/Manila", "Asia/Tokyo"] {
            let again = mend_times(&db, zone).await.expect("changes nothing");
            assert_eq!((again.sessions, again.zone.as_str(), again.is_earlier), (2, "Asia/Manila", true), "{layout}");
        }
        assert_eq!(texts(&db, STARTS).await, now, "{layout}");
        let adopted = adoption::find(&db).await.expect("reads").expect("adopted");
        assert_eq!(adopted.times_zone.as_deref(), Some("Asia/Manila"));
    }
}

/// West of UTC, a shifted session starts after its end.
#[tokio::test]
async fn starts_are_mended_where_the_zone_is_west_of_utc() {
    let late = "INSERT INTO sessions (id, user_id, start_time, end_time) OVERRIDING SYSTEM VALUE VALUES \
        (70, 1, '2025-01-20 15:00:00+00', '2025-01-20 10:10:00+00')";
    let db = legacy_postgres("dj", late).await;
    migrate(&db).await.expect("adopts");
    assert_eq!(mend_times(&db, "America/New_York").await.expect("mends").sessions, 1);
    assert!(texts(&db, STARTS).await.contains(&"70 2025-01-20 10:00:00".to_owned()));
}

#[tokio::test]
async fn a_zone_that_mends_nothing_is_not_recorded() {
    let db = legacy_postgres("sa", "").await;
    migrate(&db).await.expect("adopts");
    assert!(matches!(mend_times(&db, "Manila'").await, Err(AdoptionError::UnknownZone(_))));
    assert_eq!(mend_times(&db, "UTC").await.expect("nothing to mend").sessions, 0);
    assert_eq!(mend_times(&db, "Asia/Manila").await.expect("mends").sessions, 1);
}

#[tokio::test]
async fn only_an_adopted_database_has_times_to_mend() {
    for db in faceofmind_testing::databases().await {
        assert!(matches!(mend_times(&db, "Asia/Manila").await, Err(AdoptionError::NotAdopted)));
    }
}
