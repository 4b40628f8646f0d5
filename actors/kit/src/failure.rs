//! Why an actor or its store could not do what was asked, through no fault of the caller.

/// The part of every room's errors that says nothing about the request: it may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The mailbox holds as many letters as it may.
    #[error("{0} is busy: its mailbox is full")]
    Busy(&'static str),
    /// The actor is not running: being restarted, or stopped; or it died with the letter in hand.
    #[error("{0} is not running")]
    Unavailable(&'static str),
    /// The answer did not come within the deadline.
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
    /// The database refused or could not be reached.
    #[error("the database: {0}")]
    Store(#[from] sqlx::Error),
    /// Another service (Redis, NATS, SMTP) refused or could not be reached.
    #[error("{service}: {reason}")]
    Dependency {
        /// Which one.
        service: &'static str,
        /// What it, or its client, said.
        reason: String,
    },
}

impl Failure {
    /// Whether the same request may well succeed a moment later; the rest are defects of ours.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(sqlx::Error::Database(error)) => error.code().is_none_or(|code| is_passing(&code)),
            Self::Store(error) => !matches!(
                error,
                sqlx::Error::ColumnDecode { .. }
                    | sqlx::Error::ColumnNotFound(_)
                    | sqlx::Error::Decode(_)
                    | sqlx::Error::Encode(_)
                    | sqlx::Error::TypeNotFound { .. }
            ),
            _ => true,
        }
    }
}

/// SQLite's codes, in decimal, have four digits at most.
const SQLSTATE_LENGTH: usize = 5;

/// Whether what the database refused with this code has to do with its state, not with the statement or the row.
///
/// PostgreSQL: the classes of SQLSTATE that speak of connections, rolled back transactions, resources, locks and operators (PostgreSQL's
/// appendix A). SQLite: the primary result codes for a busy, locked, full, interrupted or unreachable file.
fn is_passing(code: &str) -> bool {
    const SQLITE: [u32; 9] = [5, 6, 7, 8, 9, 10, 13, 14, 15];
    if code.len() == SQLSTATE_LENGTH {
        return ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|extended| SQLITE.contains(&(extended & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn what_passes_by_itself_is_told_from_a_defect() {
        for code in ["08006", "40001", "40P01", "53300", "57P01", "5", "6", "261", "13", "14"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "23503", "42703", "42P01", "22001", "1", "19", "2067", "787", "20"] {
            assert!(!is_passing(code), "{code}");
        }
    }
}
