//! The adoption of a database of FaceofMind (Python), the predecessor: it is recognized by its ten tables, which then get what they lack. Every
//! row and every id is kept, and no table is rewritten.
//!
//! The steps, each of which may be repeated:
//! 1. One short transaction adds columns, defaults, foreign keys and triggers, and sets sequences. It does not wait long for a table.
//! 2. Indexes are made, NULLs filled and foreign keys checked while other programs write.
//! 3. The caller records migration 1 as applied, and applies the others.
//! 4. The predecessor's users are recorded as verified.
//!
//! If a run is killed before the third step, the next run begins with the first one. It does not repeat what is done.

use faceofmind_base::Timestamp;
use sqlx::FromRow;

use self::{
    catalog::Catalog,
    layout::{Recognized, recognize},
    plan::Basis,
    session::Session,
};
use crate::{Connection, Database, StoreError, database::PostgresPool};

mod apply;
mod catalog;
mod error;
mod findings;
mod layout;
mod plan;
mod schema;
mod session;
mod times;
mod work;

pub use self::{
    error::AdoptionError,
    findings::Finding,
    layout::Layout,
    plan::Plan,
    times::{Mended, mend as mend_times},
};

/// The lock of what adopts a database.
const LOCK: &str = "adoption";

/// From what and when a database was adopted.
#[derive(Clone, Debug, FromRow)]
pub struct Adoption {
    /// The name of the layout.
    pub layout: String,
    /// When the adoption changed the tables.
    pub adopted_at: Timestamp,
    /// The time zone whose shift of start times was mended. None: it was not.
    pub times_zone: Option<String>,
}

/// Returns from what and when the database was adopted. None: this program made it.
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: &Database) -> Result<Option<Adoption>, StoreError> {
    if !has_table(db, "adoption").await? {
        return Ok(None);
    }
    let mut reader = db.read_conn().await?;
    let Connection::Postgres(c, state) = reader.connection() else { return Ok(None) };
    let select = sqlx::query_as("SELECT layout, adopted_at, times_zone FROM adoption");
    let c = state.executor(c);
    Ok(state.run(select.fetch_optional(c)).await?)
}

/// Whether the database was adopted from FaceofMind (Python).
///
/// # Errors
/// [`StoreError`].
pub async fn is_adopted(db: &Database) -> Result<bool, StoreError> {
    Ok(find(db).await?.is_some())
}

/// False on SQLite, on which the predecessor did not run.
async fn has_table(db: &Database, name: &str) -> Result<bool, StoreError> {
    let mut reader = db.read_conn().await?;
    let Connection::Postgres(c, state) = reader.connection() else { return Ok(false) };
    let select = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1)";
    let c = state.executor(c);
    Ok(state.run(sqlx::query_scalar(select).bind(name).fetch_one(c)).await?)
}

/// Says what an adoption would do. None: the database is not one of the predecessor, or is adopted. `reserved` are the names of tables and indexes
/// that the migrations make.
///
/// # Errors
/// [`AdoptionError::Incomplete`], [`AdoptionError::Store`].
pub async fn plan(db: &Database, reserved: &[String]) -> Result<Option<Plan>, AdoptionError> {
    let Some(pool) = unadopted(db).await? else { return Ok(None) };
    let mut session = Session::connect(pool).await?;
    let planned = match begin_with(&mut session, reserved).await? {
        Some(basis) => Some(Plan::read(&mut session, basis).await?),
        None => None,
    };
    session.close().await;
    Ok(planned)
}

/// Whether the database is one of the predecessor and not adopted.
pub(crate) async fn is_legacy(db: &Database) -> Result<bool, AdoptionError> {
    let Some(pool) = unadopted(db).await? else { return Ok(false) };
    let mut session = Session::connect(pool).await?;
    let catalog = Catalog::read(&mut session).await?;
    session.close().await;
    Ok(matches!(recognize(&catalog), Recognized::Legacy(_)))
}

/// Returns the pool if the database may be one of the predecessor.
async fn unadopted(db: &Database) -> Result<Option<&PostgresPool>, StoreError> {
    let Database::Postgres(pool) = db else { return Ok(None) };
    let is_candidate = has_table(db, "users").await? && !has_table(db, "_sqlx_migrations").await?;
    Ok(Some(pool).filter(|_| is_candidate))
}

/// Begins a transaction that reads, and returns what an adoption begins with. None: the database is not one of the predecessor, or is adopted.
async fn begin_with(session: &mut Session, reserved: &[String]) -> Result<Option<Basis>, AdoptionError> {
    session.begin_reading().await?;
    let catalog = Catalog::read(session).await?;
    // Another node may have adopted it meanwhile.
    if catalog.names.contains("_sqlx_migrations") {
        return Ok(None);
    }
    match recognize(&catalog) {
        Recognized::Legacy(layout) => Ok(Some(Basis::read(session, catalog, layout, reserved).await?)),
        Recognized::Incomplete(faults) => {
            let faults: Vec<String> = faults.iter().map(|fault| format!("  - {fault}")).collect();
            Err(AdoptionError::Incomplete(faults.join("\n")))
        }
        Recognized::Other => Ok(None),
    }
}

/// A database on which the steps before the migrations are done. While this lives, no other node adopts it.
pub(crate) struct Adopting {
    lock: Session,
}

impl Adopting {
    pub(crate) async fn release(self) {
        self.lock.close().await;
    }
}

/// Does the steps before the migrations, if the database is one of the predecessor and not adopted. The caller records migration 1 as applied.
pub(crate) async fn prepare(db: &Database, reserved: &[String]) -> Result<Option<Adopting>, AdoptionError> {
    let Some(pool) = unadopted(db).await? else { return Ok(None) };
    let mut lock = Session::connect(pool).await?;
    lock.lock(LOCK).await?;
    let mut session = Session::connect(pool).await?;
    let Some(basis) = begin_with(&mut session, reserved).await? else { return Ok(None) };
    session.rollback().await?;
    basis.ensure_adoptable()?;
    tracing::info!(
        layout = basis.layout.as_str(),
        "recognized a database of FaceofMind (Python), which is adopted now"
    );
    for finding in &basis.findings {
        tracing::warn!("{}", finding.line(20).trim_start_matches([' ', '-']));
    }
    apply::apply(&mut session, &basis).await?;
    session.close().await;
    Ok(Some(Adopting { lock }))
}

/// Does the steps after the migrations, if the adoption is not finished.
pub(crate) async fn finish(db: &Database) -> Result<(), AdoptionError> {
    let Database::Postgres(pool) = db else { return Ok(()) };
    if !has_table(db, "adoption").await? {
        return Ok(());
    }
    let mut lock = Session::connect(pool).await?;
    lock.lock(LOCK).await?;
    let mut session = Session::connect(pool).await?;
    let unfinished: Vec<(String,)> = session.rows("SELECT layout FROM adoption WHERE finished_at IS NULL").await?;
    if let [(layout,)] = unfinished.as_slice() {
        let users = apply::verify_users(&mut session).await?;
        session.transact::<()>(&["UPDATE adoption SET finished_at = now()".to_owned()]).await?;
        tracing::info!(layout, verified_users = users, "adopted the database");
    }
    session.close().await;
    lock.close().await;
    Ok(())
}
