//! Why the database did not do what was asked.

use sqlx::error::DatabaseError;

/// A failed read or write. Its message may quote values that the database refused: it goes to the log, never to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach, or out of a resource. A later try may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// The database, or a connection to it, was not to be had in time. A later try may succeed.
    #[error("the database did not answer in time: {0}")]
    TimedOut(sqlx::Error),
    /// The connection failed while the transaction was committed: it may have been.
    #[error("the database did not report whether it committed: {0}")]
    OutcomeUnknown(sqlx::Error),
    /// Two open connections have one process of the server: what is prepared or set on one holds for the other.
    #[error(
        "a pooler gives the connections of the server to one transaction after another (pgbouncer with `pool_mode = transaction`). \
         Set DATABASE_STATEMENT_CACHE=0, or name the server itself"
    )]
    UnexpectedPooler,
    /// A migration was reverted, or a backup of an earlier version restored, while the program ran.
    #[error("the database is at migration {last}, and this program needs {needed}: run `faceofmind migrate`")]
    SchemaTooOld {
        /// The last migration of the database.
        last: i64,
        /// The last migration of this program.
        needed: i64,
    },
    /// A concurrent change won: what the statement relied on is gone.
    #[error("a concurrent change won")]
    Conflict,
    /// Stored data cannot be read.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// The database rejected the statement or one of its rows: a violated constraint, or a defect of the program.
    #[error("the database rejected the statement: {0}")]
    Rejected(sqlx::Error),
}

impl StoreError {
    /// Stored data that this program cannot have written, or can no longer read. `what` names the row, not its contents.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }

    /// A value that cannot be encoded for storage.
    pub fn encode(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Rejected(sqlx::Error::Encode(error.into()))
    }

    /// Whether a referenced row does not exist.
    pub fn is_foreign_key_violation(&self) -> bool {
        self.database_error().is_some_and(DatabaseError::is_foreign_key_violation)
    }

    /// Whether another row has the same unique value.
    pub fn is_unique_violation(&self) -> bool {
        self.database_error().is_some_and(DatabaseError::is_unique_violation)
    }

    /// Whether one row of a batch may be to blame, so that the others can be written without it. Another transaction may have waited for that row
    /// while this one waited for the other: the database has ended one of the two.
    pub fn is_row_error(&self) -> bool {
        match self {
            Self::Rejected(_) | Self::Corrupt(_) => true,
            Self::Unavailable(sqlx::Error::Database(ended)) => ended.code().is_some_and(|code| code == DEADLOCK),
            _ => false,
        }
    }

    /// Why a COMMIT failed. An answer of the database is an outcome, unless the server was ending.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(ref refused) if !refused.code().is_some_and(|code| code.starts_with(SERVER_ENDS)) => {
                error.into()
            }
            unanswered => Self::OutcomeUnknown(unanswered),
        }
    }

    fn database_error(&self) -> Option<&dyn DatabaseError> {
        match self {
            Self::Rejected(sqlx::Error::Database(error)) => Some(&**error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(ref refused) => match refused.code() {
                Some(code) if TIMEOUT_CODES.contains(&&*code) => Self::TimedOut(error),
                Some(code) if !is_transient_code(&code) => Self::Rejected(error),
                _ => Self::Unavailable(error),
            },
            sqlx::Error::PoolTimedOut => Self::TimedOut(error),
            sqlx::Error::RowNotFound => Self::Conflict,
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Corrupt(error.to_string()),
            sqlx::Error::Encode(_) => Self::Rejected(error),
            other => Self::Unavailable(other),
        }
    }
}

/// PostgreSQL's class of `admin_shutdown` and `crash_shutdown`.
pub(crate) const SERVER_ENDS: &str = "57P";

/// PostgreSQL's `read_only_sql_transaction`.
pub(crate) const READ_ONLY: &str = "25006";

/// PostgreSQL's `deadlock_detected`.
const DEADLOCK: &str = "40P01";

/// PostgreSQL's `lock_not_available` and `query_canceled`.
const TIMEOUT_CODES: [&str; 2] = ["55P03", "57014"];

/// The length of a SQLSTATE. SQLite's codes, in decimal, have at most 4 digits.
const SQLSTATE_LENGTH: usize = 5;

/// Whether an error code describes the state of the database, and neither the statement nor the row.
///
/// PostgreSQL: the SQLSTATE classes for connections, rolled back transactions, resources, locks and operator intervention
/// (PostgreSQL's appendix A). SQLite: the primary result codes for a busy, locked, full, interrupted or unreachable file.
fn is_transient_code(code: &str) -> bool {
    const SQLITE: [u32; 9] = [5, 6, 7, 8, 9, 10, 13, 14, 15];
    if code.len() == SQLSTATE_LENGTH {
        return ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|extended| SQLITE.contains(&(extended & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_codes_are_told_from_defects() {
        for code in ["08006", "40001", "40P01", "53300", "57P01", "5", "6", "261", "13", "14"] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["23505", "23503", "42703", "42P01", "22001", "1", "19", "2067", "787", "20"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }

    #[test]
    fn a_commit_without_an_answer_may_have_been_done() {
        let broken = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(StoreError::of_commit(broken()), StoreError::OutcomeUnknown(_)));
        assert!(matches!(StoreError::of_commit(sqlx::Error::PoolTimedOut), StoreError::OutcomeUnknown(_)));
        assert!(matches!(StoreError::from(broken()), StoreError::Unavailable(_)), "before the COMMIT nothing was done");
    }

    #[test]
    fn an_error_is_classified_by_what_its_caller_can_do() {
        assert!(matches!(StoreError::from(sqlx::Error::RowNotFound), StoreError::Conflict));
        assert!(matches!(StoreError::from(sqlx::Error::PoolClosed), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(sqlx::Error::PoolTimedOut), StoreError::TimedOut(_)));
        let undecodable = StoreError::from(sqlx::Error::Decode("an unknown status".into()));
        assert!(matches!(undecodable, StoreError::Corrupt(_)) && undecodable.is_row_error());
    }
}
