//! Why a migration did not happen.

use sqlx::migrate::MigrateError;

use crate::{StoreError, adoption::AdoptionError, lock_wait::is_lock_wait};

/// Why the database does not have the schema of this binary.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database holds tables, but no migration of this program.
    #[error(
        "the database holds tables that this program did not make ({0}, …). \
         Point DATABASE_URL at an empty database, at one of an earlier version of this program, or at one of FaceofMind (Python), which has \
         these ten tables: users, sessions, emotion_detections, facial_data, voice_data, feedback, wellness_suggestions, community_posts, \
         community_comments, reminders"
    )]
    UnknownTables(String),
    /// A later version of the program migrated the database.
    #[error("the database is at migration {0}, which this version does not know. Install the version that made it")]
    DatabaseTooNew(i64),
    /// The text of an applied migration differs from the one built in.
    #[error(
        "migration {0} of the database is not the one built into this program. Restore a backup, or install the version that made it"
    )]
    ChecksumMismatch(i64),
    /// Reverting a migration would drop rows.
    #[error("taking back migration {version} drops {dropped}, which holds {rows} rows. Add --force to lose them")]
    WouldLoseData {
        /// The migration's number.
        version: i64,
        /// A table or a column that the revert would drop.
        dropped: String,
        /// The number of its rows.
        rows: i64,
    },
    /// A service runs on the database. Reverting a migration would break its statements.
    #[error(
        "a service uses the database (`{0}` leads its nodes): stop every node, then run this again. A node that was killed leads until its \
         lease expires"
    )]
    InUse(String),
    /// Reverting migration 1 would drop the tables of the predecessor.
    #[error(
        "this database was adopted: migration 1 stands for tables that the predecessor made, and taking it back would drop them. \
         The predecessor can read them as they are"
    )]
    Adopted,
    /// A database of the predecessor was not adopted.
    #[error(transparent)]
    Adoption(#[from] AdoptionError),
    /// Another program, or a vacuum, holds a table that a migration changes.
    #[error("a long transaction or a vacuum holds a table that migration {0} changes: end it, then migrate again")]
    TablesInUse(i64),
    /// The database did not answer or rejected a statement.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed, and changed nothing.
    #[error("a migration failed: {0}")]
    Failed(MigrateError),
}

/// Says what a failed migration means for its caller.
pub(super) fn explain(error: MigrateError) -> MigrationError {
    match error {
        MigrateError::VersionMismatch(version) => MigrationError::ChecksumMismatch(version),
        MigrateError::VersionMissing(version) => MigrationError::DatabaseTooNew(version),
        MigrateError::ExecuteMigration(error, version) if is_lock_wait(&error) => MigrationError::TablesInUse(version),
        other => MigrationError::Failed(other),
    }
}
