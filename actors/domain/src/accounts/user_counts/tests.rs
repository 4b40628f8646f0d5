//! The total is the number of users in every snapshot, whatever programs write and while changes are added up.

use std::sync::atomic::{AtomicBool, Ordering};

use faceofmind_base::Rng;
use faceofmind_db::{Tx, migrations};
use futures_util::future::join_all;

use super::*;
use crate::testing;

const STATUSES: [&str; 4] = ["active", "inactive", "suspended", "erasing"];
const ROLES: [&str; 3] = ["user", "admin", "professional"];
/// How much the total and the number of users differ in one snapshot.
const DIFFERENCE: &str = "SELECT (SELECT CAST(coalesce(sum(users), 0) AS bigint) FROM \
         (SELECT status, users FROM user_counts UNION ALL SELECT status, change FROM user_count_changes) AS counts \
         WHERE status <> 'erasing') \
     - (SELECT count(*) FROM users WHERE status <> 'erasing')";
const CHANGES: &str = "SELECT count(*) FROM user_count_changes";
const WRITERS: usize = 4;
const WRITES: usize = 50;

async fn number(db: &Database, sql: &str) -> i64 {
    let mut reader = db.read_conn().await.expect("a connection");
    let sql = AssertSqlSafe(sql.to_owned());
    with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_one(c).await).expect("a number")
}

async fn execute(tx: &mut Tx, sql: &str) {
    let statement = AssertSqlSafe(sql.to_owned());
    with_conn!(tx.connection(), c => sqlx::query(statement).execute(c).await.map(drop))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn kept(db: &Database, conditions: &str) -> i64 {
    total(db.read_conn().await.expect("a connection").connection(), conditions).await.expect("a total")
}

/// Compares the totals of every combination of filters with the users.
async fn assert_exact(db: &Database) {
    let each = |column: &'static str, values: &'static [&'static str]| {
        values.iter().map(move |value| format!(" AND u.{column} = '{value}'")).chain([String::new()])
    };
    for by_status in each("status", &STATUSES) {
        for by_role in each("role", &ROLES) {
            let conditions = format!("{by_status}{by_role}");
            let users = format!("SELECT count(*) FROM users u WHERE u.status <> 'erasing'{conditions}");
            assert_eq!(kept(db, &conditions).await, number(db, &users).await, "{conditions}");
        }
    }
}

fn random(rng: &Rng, below: usize) -> usize {
    rng.random_below(u32::try_from(below).expect("few")) as usize
}

fn any<'a>(rng: &Rng, values: &[&'a str]) -> &'a str {
    values[random(rng, values.len())]
}

/// What another program may write. Its keys are its own, so that it waits for no other.
fn random_write(rng: &Rng, program: usize) -> String {
    let (status, role) = (any(rng, &STATUSES), any(rng, &ROLES));
    let number = random(rng, 40);
    let email = format!("{number}@{program}.example.org");
    let own = format!("email LIKE '%@{program}.example.org'");
    let insert = "INSERT INTO users (email, first_name, last_name, role, status, created_at)";
    let time = "(SELECT created_at FROM users WHERE email = 'first@example.org')";
    let row = |email: &str| format!("('{email}', 'Ada', 'Lovelace', '{role}', '{status}', {time})");
    match random(rng, 7) {
        0 | 1 => format!("{insert} VALUES {}, {} ON CONFLICT DO NOTHING", row(&email), row(&format!("x{email}"))),
        2 => format!(
            "{insert} VALUES {} ON CONFLICT (email) DO UPDATE SET role = '{role}', first_name = 'Eve'",
            row(&email)
        ),
        3 => format!("UPDATE users SET status = '{status}', role = '{role}' WHERE id % 3 = 0 AND {own}"),
        4 => format!("UPDATE users SET status = '{status}' WHERE email = '{email}'"),
        5 => format!("UPDATE users SET email = email, last_name = 'Byron' WHERE {own}"),
        _ => format!("DELETE FROM users WHERE id % 4 = 1 AND {own}"),
    }
}

#[tokio::test]
async fn a_total_is_exact_after_any_writes_of_other_programs() {
    for db in testing::databases().await {
        testing::user(&db, "first@example.org").await;
        let rng = Rng::seeded(18);
        for round in 0..60 {
            let mut tx = db.begin().await.expect("begins");
            for _ in 0..random(&rng, 4) {
                execute(&mut tx, &random_write(&rng, 1)).await;
            }
            if round % 5 == 0 { tx.rollback().await } else { tx.commit().await }.expect("ends");
            if round % 7 == 0 {
                fold_changes(&db).await.expect("folds");
            }
            assert_exact(&db).await;
        }
        testing::run(&db, "DELETE FROM users").await;
        assert_exact(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_snapshot_has_the_exact_total_while_others_write_and_changes_are_added_up() {
    let db = &testing::databases().await.pop().expect("PostgreSQL");
    testing::user(db, "first@example.org").await;
    let are_writing = &AtomicBool::new(true);
    let write = async |program| {
        let rng = Rng::seeded(program as u64);
        for number in 0..WRITES {
            let mut tx = db.begin().await.expect("begins");
            if number % 2 == 0 {
                execute(&mut tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
            }
            execute(&mut tx, &random_write(&rng, program)).await;
            execute(&mut tx, &random_write(&rng, program)).await;
            if number % 5 == 0 { tx.rollback().await } else { tx.commit().await }.expect("ends");
        }
    };
    let writing = async {
        join_all((0..WRITERS).map(write)).await;
        are_writing.store(false, Ordering::Relaxed);
    };
    let folding = async {
        while are_writing.load(Ordering::Relaxed) {
            let (one, other) = tokio::join!(fold_changes(db), fold_changes(db));
            one.and(other).expect("folds");
        }
    };
    let reading = async {
        while are_writing.load(Ordering::Relaxed) {
            assert_eq!(number(db, DIFFERENCE).await, 0);
        }
    };
    tokio::join!(writing, folding, reading);
    assert_exact(db).await;
    fold_changes(db).await.expect("folds");
    assert_eq!(number(db, CHANGES).await, 0);
    assert_exact(db).await;
}

/// Two programs change the same number and stay in their transactions. Neither waits for the other, and what adds up waits for none.
#[tokio::test]
async fn no_writer_waits_for_another_and_a_snapshot_keeps_its_total() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let user = |number: u32| {
        format!(
            "INSERT INTO users (email, first_name, last_name, status, created_at) \
             VALUES ('{number}@example.org', 'Ada', 'Lovelace', 'active', now())"
        )
    };
    testing::run(&db, &user(1)).await;
    let mut snapshot = db.begin().await.expect("begins");
    execute(&mut snapshot, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    assert_eq!(total(snapshot.connection(), "").await.expect("a total"), 1);
    let mut open = Vec::new();
    for number in [2, 3] {
        let mut tx = db.begin().await.expect("begins");
        execute(&mut tx, "SET LOCAL lock_timeout = '100ms'").await;
        execute(&mut tx, &user(number)).await;
        assert_eq!(total(tx.connection(), "").await.expect("a total"), 2, "its own and the first");
        fold_changes(&db).await.expect("folds");
        open.push(tx);
    }
    assert_eq!(kept(&db, "").await, 1);
    for tx in open {
        tx.commit().await.expect("commits");
    }
    fold_changes(&db).await.expect("folds");
    assert_eq!((kept(&db, "").await, number(&db, CHANGES).await), (3, 0));
    assert_eq!(total(snapshot.connection(), "").await.expect("a total"), 1, "as when it began");
    snapshot.rollback().await.expect("ends");
}

/// A TRUNCATE also removes the rows that its own snapshot does not show.
#[tokio::test]
async fn truncated_users_are_not_counted() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    testing::user(&db, "ada@example.org").await;
    fold_changes(&db).await.expect("folds");
    let mut truncating = db.begin().await.expect("begins");
    execute(&mut truncating, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    execute(&mut truncating, "SELECT count(*) FROM users").await;
    testing::user(&db, "bob@example.org").await;
    execute(&mut truncating, "TRUNCATE users CASCADE").await;
    truncating.commit().await.expect("commits");
    assert_eq!(kept(&db, "").await, 0);
    testing::user(&db, "eve@example.org").await;
    assert_exact(&db).await;
}

#[tokio::test]
async fn a_total_touches_no_more_pages_the_more_users_there_are() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let users = "INSERT INTO users (email, first_name, last_name, role, status, created_at) \
         SELECT number || '@example.org', 'Ada', 'Lovelace', 'user', 'active', now() FROM generate_series(1, 10000) AS number";
    testing::fill(&db, &[users]).await;
    let sql = total_of(&db.read_conn().await.expect("a connection").connection(), " AND u.status = 'active'");
    let pages = testing::pages_touched(&db, &sql.replace("'erasing'", "$1"), "'erasing'").await;
    assert!(pages < 10, "{pages}");
    assert_eq!(kept(&db, "").await, 10_000);
}

#[tokio::test]
async fn users_from_before_the_counts_are_counted() {
    for db in testing::databases().await {
        testing::user(&db, "ada@example.org").await;
        while migrations::down(&db, false).await.expect("nothing is lost").expect("a step").version > 18 {}
        testing::user(&db, "bob@example.org").await;
        migrations::migrate(&db).await.expect("migrates");
        testing::user(&db, "eve@example.org").await;
        assert_eq!(kept(&db, " AND u.status = 'active'").await, 3);
        assert_exact(&db).await;
    }
}
