//! Why a database of the predecessor was not adopted.

use crate::StoreError;

/// Why a database of FaceofMind (Python) was not adopted, or its times were not mended.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// A person has to decide something first.
    #[error(
        "this is a database of FaceofMind (Python), {layout}. It was not adopted, and nothing was changed:\n{reasons}\n\
         `faceofmind migrate --dry-run` prints all that needs a look"
    )]
    Refused {
        /// The layout, in words.
        layout: String,
        /// What has to change, a line each. Names rows by their ids.
        reasons: String,
    },
    /// The database has some of the predecessor's tables, and lacks others, or some of their columns.
    #[error(
        "this looks like a database of FaceofMind (Python), but it cannot be adopted, and nothing was changed:\n{0}"
    )]
    Incomplete(String),
    /// Another program holds a table for longer than the adoption waits.
    #[error(
        "a long transaction or a vacuum holds a table that the adoption changes: end it, then migrate again. Logins were not kept waiting"
    )]
    TablesInUse,
    /// Times were to be mended in a database of another origin.
    #[error("this database was not adopted from FaceofMind (Python), so it has no times to mend")]
    NotAdopted,
    /// PostgreSQL has no time zone of that name.
    #[error("`{0}` is no time zone of this server. Give the name of an IANA time zone, such as Asia/Manila")]
    UnknownZone(String),
    /// The database did not answer or rejected a statement.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AdoptionError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}
