//! A search by the index finds what a search by a scan finds.

use faceofmind_base::Rng;
use faceofmind_db::{Connection, migrations};
use faceofmind_model::{Role, Status};
use sqlx::Executor as _;

use super::{super::listing, *};
use crate::testing;

const ALPHABET: [&str; 18] =
    ["a", "A", "b", "B", "c", " ", "é", "É", "Σ", "ς", "İ", "字", "😀", "%", "_", "!", "\"", "'"];
const USERS: u64 = 200;

fn random_text(rng: &Rng, max: u32) -> String {
    let random = |below: usize| rng.random_below(u32::try_from(below).expect("few")) as usize;
    (0..=random(max as usize)).map(|_| ALPHABET[random(ALPHABET.len())]).collect()
}

async fn insert(db: &Database, number: u64, first: &str, last: &str, email: &str) {
    let sql = "INSERT INTO users (email, first_name, last_name, role, status, created_at) \
               SELECT $1, $2, $3, $4, $5, created_at FROM users WHERE email = 'first@example.org'";
    let role = if number.is_multiple_of(50) { "admin" } else { "user" };
    let status = ["active", "suspended", "erasing"]
        [usize::from(number.is_multiple_of(7)) + usize::from(number.is_multiple_of(21))];
    let mut tx = db.begin().await.expect("begins");
    with_conn!(tx.connection(), c => sqlx::query(sql)
        .bind(email).bind(first).bind(last).bind(role).bind(status).execute(c).await.map(drop))
    .expect("inserts");
    tx.commit().await.expect("commits");
}

/// Users with names of few characters, so that many match, then changed and deleted.
async fn fill_with_random_users(db: &Database, rng: &Rng) {
    testing::user(db, "first@example.org").await;
    for number in 0..USERS {
        let email = format!("{number}.{}@example.org", ["bca", "Abc", "cAb.b"][rng.random_below(3) as usize]);
        insert(db, number, &random_text(rng, 6), &random_text(rng, 6), &email).await;
    }
    testing::run(db, "UPDATE users SET last_name = first_name, first_name = 'bAcé' WHERE id % 5 = 0").await;
    testing::run(db, "UPDATE users SET email = 'new.' || email WHERE id % 6 = 0").await;
    testing::run(db, "UPDATE users SET email = email, status = status WHERE id % 4 = 0").await;
    testing::run(db, "DELETE FROM users WHERE id % 11 = 0").await;
}

/// The ids on all pages.
async fn ids(db: &Database, filter: &ListUsers) -> (Vec<i64>, i64) {
    let (mut ids, mut after, mut total) = (Vec::new(), None, None);
    loop {
        let filter = ListUsers { query: filter.query.clone(), after, limit: 40, ..*filter };
        let page = listing::page(db, &filter).await.expect("a page");
        assert_eq!(*total.get_or_insert(page.total), page.total, "on each page");
        ids.extend(page.results.iter().map(|user| user.id.0));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let filter = ListUsers { query: filter.query.clone(), after: Some(UserId(i64::MAX)), ..*filter };
    let behind = listing::page(db, &filter).await.expect("a page");
    assert_eq!((behind.results.len(), Some(behind.total)), (0, total), "behind the last page");
    (ids, total.expect("a page"))
}

/// The ids by a scan that no index serves.
async fn ids_by_scan(db: &Database, filter: &ListUsers) -> Vec<i64> {
    let conditions = filter.matching(db, "$1").replace(" LIKE", " || '' LIKE");
    let select =
        AssertSqlSafe(format!("SELECT u.id FROM users u WHERE u.status <> 'erasing'{conditions} ORDER BY u.id"));
    let pattern = pattern(filter.query.as_deref().expect("a search"));
    let mut reader = db.read_conn().await.expect("a connection");
    with_conn!(reader.connection(), c => sqlx::query_scalar(select).bind(pattern).fetch_all(c).await).expect("ids")
}

async fn assert_finds_what_a_scan_finds(db: &Database, rng: &Rng) {
    let fixed =
        ["abc", "ABC", "new", "example.org", "bacé a", "...", "b.@", "@exa", "aΣ", "zzz", "\"a\"", "a\" OR \"b"];
    let random: Vec<String> = (0..70).map(|_| random_text(rng, 5)).collect();
    let (mut found, mut by_index) = (0, 0);
    for typed in fixed.into_iter().chain(random.iter().map(String::as_str)) {
        for (role, status) in [(None, None), (Some(Role::Admin), None), (None, Some(Status::Active))] {
            let filter = ListUsers { role, status, query: Some(typed.to_owned()), ..ListUsers::default() };
            let right = ids_by_scan(db, &filter).await;
            let total = i64::try_from(right.len()).expect("few");
            found += total;
            by_index += if has_trigram(db, typed) { total } else { 0 };
            assert_eq!(ids(db, &filter).await, (right, total), "{typed:?}");
        }
    }
    assert!(by_index > 200 && found - by_index > 200, "{by_index} of {found} by the index");
}

#[tokio::test]
async fn a_search_by_the_index_finds_what_a_scan_finds() {
    for db in testing::databases().await {
        let rng = Rng::seeded(20);
        fill_with_random_users(&db, &rng).await;
        assert_finds_what_a_scan_finds(&db, &rng).await;
    }
}

#[tokio::test]
async fn users_from_before_the_index_are_found() {
    for db in testing::databases().await {
        while migrations::down(&db, false).await.expect("nothing is lost").expect("a step").version > 20 {}
        let rng = Rng::seeded(21);
        fill_with_random_users(&db, &rng).await;
        migrations::migrate(&db).await.expect("migrates");
        assert_finds_what_a_scan_finds(&db, &rng).await;
    }
}

/// A role may not be allowed to make the extension.
#[tokio::test]
async fn a_search_without_the_index_finds_the_same() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    testing::run(&db, "DROP INDEX users_by_part_of_name").await;
    testing::run(&db, "DROP INDEX users_by_part_of_email").await;
    let rng = Rng::seeded(22);
    fill_with_random_users(&db, &rng).await;
    assert_finds_what_a_scan_finds(&db, &rng).await;
}

const MANY: &str = "INSERT INTO users (email, first_name, last_name, role, status, created_at) \
     SELECT number || '@example.org', initcap(substr(md5(number::text), 1, 8)), 'Lovelace', 'user', 'active', now() \
     FROM generate_series(1, 10000) AS number";

#[tokio::test]
async fn a_search_touches_few_pages_of_many_users() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    testing::fill(&db, &[MANY]).await;
    let filter = ListUsers { query: Some("1234@".into()), limit: 50, ..ListUsers::default() };
    assert_eq!(listing::page(&db, &filter).await.expect("a page").total, 1, "of ten thousand");
    let pages = testing::pages_touched(&db, &select(&db, &filter), "0, 51, '%1234@%'").await;
    assert!(pages < 60, "{pages}");
}

/// Right after many users were written, PostgreSQL knows nothing of them.
#[tokio::test]
async fn a_search_goes_by_the_index_whatever_the_statistics_are() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    testing::run(&db, "ALTER TABLE users SET (autovacuum_enabled = off)").await;
    let filter = ListUsers { query: Some("love".into()), limit: 50, ..ListUsers::default() };
    for sql in ["SELECT", MANY, "ANALYZE users"] {
        testing::run(&db, sql).await;
        let mut tx = db.begin().await.expect("begins");
        tx.on_postgres(sqlx::query(BY_INDEX)).await.expect("sets");
        let Connection::Postgres(c, _) = tx.connection() else { panic!("PostgreSQL") };
        let prepare = format!("PREPARE search (bigint, bigint, text) AS {}", select(&db, &filter));
        c.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.expect("prepares");
        let plan: Vec<String> =
            sqlx::query_scalar("EXPLAIN EXECUTE search (0, 51, '%love%')").fetch_all(&mut *c).await.expect("explains");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan on users")), "{plan:#?}");
        c.execute("DEALLOCATE search").await.expect("forgets it");
        for index in ["users_by_part_of_name", "users_by_part_of_email"] {
            assert!(plan.iter().any(|line| line.contains(index)), "{index} in {plan:#?}");
        }
        tx.rollback().await.expect("ends");
    }
}

#[tokio::test]
async fn a_search_on_sqlite_looks_only_at_what_the_index_finds() {
    let db = testing::databases().await.remove(0);
    let filter = ListUsers { query: Some("love".into()), limit: 50, ..ListUsers::default() };
    for role in [None, Some(Role::Admin)] {
        let filter = ListUsers { role, query: filter.query.clone(), ..ListUsers::default() };
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", select(&db, &filter)));
        let mut reader = db.read_conn().await.expect("a connection");
        let Connection::Sqlite(c, _) = reader.connection() else { panic!("SQLite") };
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .bind(0)
            .bind(51)
            .bind("%love%")
            .bind("\"love\"")
            .fetch_all(c)
            .await
            .expect("explains");
        assert!(plan.iter().any(|(.., step)| step.contains("user_search VIRTUAL TABLE INDEX")), "{plan:#?}");
        assert!(
            !plan.iter().any(|(.., step)| step.starts_with("SCAN u") && !step.starts_with("SCAN user_search")),
            "{plan:#?}"
        );
    }
}

/// `secure-delete` of FTS5. The name shares no first character with another, so its trigrams stand in the index whole.
#[tokio::test]
async fn the_index_on_sqlite_keeps_no_trigram_of_a_deleted_user() {
    let db = testing::databases().await.remove(0);
    testing::user(&db, "first@example.org").await;
    let blocks = async |text: &str| -> i64 {
        let sql = AssertSqlSafe(format!(
            "SELECT count(*) FROM user_search_data WHERE instr(block, CAST('{text}' AS BLOB)) > 0"
        ));
        let mut reader = db.read_conn().await.expect("a connection");
        with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_one(c).await).expect("counts")
    };
    for number in 0..50 {
        insert(&db, number + 1, "Ada", "Lovelace", &format!("{number}@example.org")).await;
    }
    insert(&db, 1, "Zqx", "Jkw", "u777@example.org").await;
    for number in 50..100 {
        insert(&db, number + 1, "Bob", "Bobson", &format!("{number}@example.org")).await;
    }
    assert!(blocks("zqx").await > 0 && blocks("jkw").await > 0, "the trigrams are in the index");
    testing::run(&db, "UPDATE users SET last_name = 'Lovelace' WHERE first_name = 'Zqx'").await;
    assert_eq!(blocks("jkw").await, 0);
    assert!(blocks("zqx").await > 0);
    testing::run(&db, "DELETE FROM users WHERE first_name = 'Zqx'").await;
    assert_eq!(blocks("zqx").await, 0);
}

#[test]
fn a_search_with_a_trigram_goes_by_the_index() {
    let pool = faceofmind_db::PoolSettings::default;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _in_runtime = runtime.enter();
    let postgres = Database::postgres("postgres://localhost", pool()).expect("a URL");
    for (typed, by_index) in
        [("ada", true), ("a d", false), ("x.ada", true), ("...", false), ("Иван", true), ("ΟΔΟΣ", false)]
    {
        assert_eq!(has_trigram(&postgres, typed), by_index, "{typed}");
    }
}

/// A vacuum changes the schema for all other connections.
#[tokio::test]
async fn a_vacuum_of_sqlite_fails_no_write_and_no_search() {
    let db = testing::databases().await.remove(0);
    let filter = ListUsers { query: Some("love".into()), limit: 50, ..ListUsers::default() };
    for round in 0..5 {
        let mut opened = Vec::new();
        for _ in 0..db.max_connections() {
            opened.push(db.read_conn().await.expect("a connection"));
        }
        drop(opened);
        assert!(db.vacuum().await.expect("rewrites"));
        if round % 2 == 0 {
            for number in 0..4 {
                testing::user(&db, &format!("{round}.{number}@example.org")).await;
            }
        }
        assert_eq!(listing::page(&db, &filter).await.expect("a page").total, 4 * (round / 2 + 1));
    }
}
