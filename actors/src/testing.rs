//! Databases for unit tests: a new SQLite file each time, and a new PostgreSQL database where `FOM_TEST_POSTGRES` names a server, as
//! `cargo xtask test` does.

use faceofmind_kit::{Clock, Database, Rng, db::PoolSettings, on};

use crate::{
    publisher::{self, Publisher},
    schema,
    user_registry::UserId,
};

/// One of each kind, without tables.
pub(crate) async fn empty_databases() -> Vec<Database> {
    let settings = PoolSettings { max_connections: 4, ..PoolSettings::default() };
    let name = format!("unit_{}", Rng::system().uuid_v7(Clock::system().now()).simple());
    let folder = std::env::temp_dir().join(&name);
    std::fs::create_dir(&folder).expect("a temporary folder");
    let mut databases = vec![Database::sqlite(&folder.join("test.db"), settings)];
    if let Ok(server) = std::env::var("FOM_TEST_POSTGRES") {
        let admin = sqlx::PgPool::connect(&format!("{server}/postgres")).await.expect("the test server answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&admin).await.expect("a database for this test");
        databases.push(Database::postgres(&format!("{server}/{name}"), settings).expect("a URL"));
    }
    databases
}

/// One of each kind, with our tables.
pub(crate) async fn databases() -> Vec<Database> {
    let databases = empty_databases().await;
    for db in &databases {
        schema::migrate(db).await.expect("migrates");
    }
    databases
}

/// A user to whom rows can belong.
pub(crate) async fn user(db: &Database, email: &str) -> UserId {
    let sql = "INSERT INTO users (email, first_name, last_name, status, created_at) \
               VALUES ($1, 'Ada', 'Lovelace', 'active', $2) RETURNING id";
    let mut tx = db.begin().await.expect("begins");
    let (id,): (UserId,) = on!(tx.connection(), c =>
        sqlx::query_as(sql).bind(email).bind(Clock::system().now()).fetch_one(c).await)
    .expect("a user");
    tx.commit().await.expect("commits");
    id
}

/// A publisher that nobody has started: events are recorded, and stay.
pub(crate) fn publisher(db: &Database) -> Publisher {
    Publisher::new(publisher::Settings::default(), db.clone(), None, Clock::system(), Rng::system()).0
}
