//! Runs that are killed, and several at a time.

use std::time::{Duration, Instant};

use faceofmind_base::Rng;
use faceofmind_db::PoolSettings;

use super::*;

/// The places in a run at which it is killed.
const KILLS: u32 = 10;

/// Ends all other connections to the database, as when its server or the program is killed.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_killed_run_is_completed_by_the_next_one() {
    for layout in ["sa-june", "dj"] {
        #[expect(clippy::disallowed_methods, reason = "measures how long a run takes, to kill others within it")]
        let now = Instant::now;
        let (whole, began) = (legacy_postgres(layout, "").await, now());
        migrate(&whole).await.expect("adopts");
        let (length, expected) = (began.elapsed(), comparable(&whole).await);
        let mut killed = 0;
        for part in 0..KILLS {
            let loaded = legacy_postgres(layout, "").await;
            let (before, url) = (rows(&loaded).await, url(&loaded).await);
            loaded.close().await;
            // Its only connection is the one that ends the others.
            let one = PoolSettings { max_connections: 1, ..PoolSettings::default() };
            let db = Database::postgres(&url, one).expect("a URL");
            let kill = async {
                let jitter = Rng::system().random_below(100);
                tokio::time::sleep(length * (part * 100 + jitter) / (KILLS * 100)).await;
                number(&db, TERMINATE).await;
            };
            let (completed, ()) = tokio::join!(run_of_its_own(&url), kill);
            killed += u32::from(!completed);
            let again = run_of_its_own(&url).await;
            assert!(again, "{layout}: the run after the one killed in part {part} succeeds");
            assert_adopted(&db, layout).await;
            assert_kept(layout, &before, &rows(&db).await);
            assert_eq!(comparable(&db).await, expected, "{layout}: killed in part {part}");
        }
        assert!(killed > 0, "no run was killed in {length:?}");
    }
}

/// The schema without what counts up: two runs that were killed at different points give the same.
async fn comparable(db: &Database) -> Vec<String> {
    let lines = texts(db, CATALOG).await;
    let without_oid = |line: String| {
        let words: Vec<&str> = line.split(' ').filter(|word| word.parse::<u64>().is_err()).collect();
        words.join(" ")
    };
    let mut lines: Vec<String> =
        lines.into_iter().filter(|line| !line.starts_with("sequence")).map(without_oid).collect();
    lines.sort();
    lines
}

async fn url(db: &Database) -> String {
    let server = std::env::var("FOM_TEST_POSTGRES").expect("run the tests with `cargo xtask test`");
    let name = texts(db, "SELECT current_database()::text").await.remove(0);
    format!("{server}/{name}")
}

/// Whether it succeeded.
async fn run_of_its_own(url: &str) -> bool {
    let db = Database::postgres(url, PoolSettings::default()).expect("a URL");
    let done = migrate(&db).await;
    db.close().await;
    done.inspect_err(|error| println!("{error}")).is_ok()
}

#[tokio::test]
async fn several_nodes_adopt_at_a_time() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        let before = rows(&db).await;
        let nodes = tokio::join!(migrate(&db), migrate(&db), migrate(&db));
        for migrated in [nodes.0, nodes.1, nodes.2] {
            migrated.unwrap_or_else(|error| panic!("{layout}: {error}"));
        }
        assert_adopted(&db, layout).await;
        assert_kept(layout, &before, &rows(&db).await);
    }
}

/// What an index waits for, and a table: a report that reads for a long time.
#[tokio::test]
async fn a_long_reader_does_not_make_others_wait() {
    let db = legacy_postgres("sa", "").await;
    let reader = Database::postgres(&url(&db).await, PoolSettings::default()).expect("a URL");
    let mut reading = reader.begin().await.expect("begins");
    reading.on_postgres(sqlx::query("SELECT count(*) FROM users")).await.expect("reads");
    let is_waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass";
    let meanwhile = async {
        faceofmind_testing::until("the adoption waits for the table", async || number(&reader, is_waiting).await > 0)
            .await;
        for _ in 0..20 {
            let look_up = number(&reader, "SELECT count(*) FROM users WHERE email = 'ana@example.com'");
            let found = tokio::time::timeout(Duration::from_secs(2), look_up).await.expect("a login does not wait");
            assert_eq!(found, 1);
        }
        reading.commit().await.expect("commits");
    };
    let (migrated, ()) = tokio::join!(migrate(&db), meanwhile);
    migrated.expect("adopts");
    assert_adopted(&db, "sa").await;
}
