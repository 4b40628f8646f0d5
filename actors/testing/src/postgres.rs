//! PostgreSQL databases that last as long as the test that made them.

use std::{
    cell::RefCell,
    env, process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use faceofmind_db::{Connection, Database, PoolSettings, migrations};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{runtime, sync::OnceCell};

use crate::{basics::NO_SERVER, legacy};

/// Names a layout of the predecessor. The databases with all tables are then adopted ones.
const LAYOUT: &str = "FOM_TEST_LAYOUT";

thread_local! {
    static DATABASES: Databases = const { Databases(RefCell::new(Vec::new())) };
}

/// The databases of one test. A test has a thread of its own, at whose end they are dropped: those of a whole run would take gigabytes.
struct Databases(RefCell<Vec<String>>);

impl Drop for Databases {
    fn drop(&mut self) {
        let names = self.0.take();
        // The ending thread has no runtime any more.
        let dropping = thread::spawn(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for name in names {
                    administer(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
                }
            });
        });
        if dropping.join().is_err() {
            eprintln!("a test's database was not dropped");
        }
    }
}

/// Returns the URL of a new database without tables. It is dropped when this thread ends.
///
/// # Panics
/// Panics when `FOM_TEST_POSTGRES` names no server, which `cargo xtask test` starts.
pub async fn empty_postgres() -> String {
    create("").await
}

/// Returns the URL of a new database with all tables. It is dropped when this thread ends.
///
/// # Panics
/// As [`empty_postgres`].
pub async fn migrated_postgres() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    // Copying takes a tenth of the time of migrating.
    let template = TEMPLATE.get_or_init(make_template).await;
    create(&format!("TEMPLATE {template}")).await
}

async fn create(options: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    administer(&format!("CREATE DATABASE {name} {options}")).await;
    DATABASES.with(|databases| databases.0.borrow_mut().push(name.clone()));
    url(&name)
}

async fn make_template() -> String {
    let name = format!("template_{}", process::id());
    administer(&format!("CREATE DATABASE {name}")).await;
    let database = Database::postgres(&url(&name), PoolSettings::default()).expect("a URL");
    if let Ok(layout) = env::var(LAYOUT) {
        run(&database, legacy::schema(&layout)).await;
    }
    migrations::migrate(&database).await.expect("migrates");
    database.close().await;
    name
}

async fn run(database: &Database, sql: String) {
    let mut tx = database.begin().await.expect("begins");
    let Connection::Postgres(c, _) = tx.connection() else { panic!("PostgreSQL") };
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(c).await.expect("a layout");
    tx.commit().await.expect("commits");
}

async fn administer(statement: &str) {
    let mut connection = PgConnection::connect(&url("postgres")).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("the statement is allowed");
    connection.close().await.expect("closes");
}

fn url(database: &str) -> String {
    format!("{}/{database}", std::env::var("FOM_TEST_POSTGRES").expect(NO_SERVER))
}
