//! The search for users: by an index of trigrams (migrations 20 to 22), or where that cannot serve, by a scan. Both find the same users.

use faceofmind_db::{Database, StoreError, with_conn};
use faceofmind_model::UserId;
use sqlx::{AssertSqlSafe, FromRow};

use super::{
    ListUsers,
    store::{Row, select_user},
};

/// For the transaction of a search on PostgreSQL. Its estimates for parts of texts may be far off, and by them it might read all users. Where there
/// is no index of trigrams, it does so in spite of these.
const BY_INDEX: &str = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), \
    set_config('enable_indexonlyscan', 'off', true), set_config('jit', 'off', true)";

/// Reads the schema again if a vacuum has changed it. SQLite 3.51 would do so while it opens the index, and then miss the tables.
const READ_SCHEMA: &str = "SELECT 1 FROM sqlite_schema WHERE false";

/// A trigram, in characters.
const TRIGRAM: usize = 3;

#[derive(FromRow)]
struct Found {
    #[sqlx(flatten)]
    row: Row,
    total: i64,
}

/// What a search finds on one page, and on all pages. None behind the last page, which does not tell the number on all pages.
pub(super) struct Matches {
    pub(super) rows: Vec<Row>,
    pub(super) total: Option<i64>,
}

/// Returns the condition for a user `u` that matches. PostgreSQL folds case by the database's locale unless a collation is named; SQLite folds ASCII
/// only.
pub(super) fn condition(db: &Database, parameter: &str) -> String {
    let fold = if matches!(db, Database::Postgres(_)) { " COLLATE \"C\"" } else { "" };
    format!(
        " AND (lower(u.first_name || ' ' || u.last_name{fold}) LIKE {parameter} ESCAPE '!' \
         OR lower(u.email{fold}) LIKE {parameter} ESCAPE '!')"
    )
}

/// Makes a LIKE pattern in which `!`, `%` and `_` are literal.
pub(super) fn pattern(typed: &str) -> String {
    let literal = typed.to_ascii_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}

/// Whether the index of trigrams narrows a search. `pg_trgm` has no trigrams of punctuation. In some locales it folds a Σ at the end of a word
/// otherwise than within one, so the trigrams of a part differ from those of the whole.
pub(super) fn has_trigram(db: &Database, typed: &str) -> bool {
    match db {
        Database::Postgres(_) => {
            let words = typed.split(|character: char| !character.is_alphanumeric());
            !typed.contains('Σ') && words.into_iter().any(|word| word.chars().count() >= TRIGRAM)
        }
        Database::Sqlite(..) => typed.chars().count() >= TRIGRAM,
    }
}

/// Searches by the index. The matching users are found once, for the page and for the total.
pub(super) async fn by_index(db: &Database, filter: &ListUsers, typed: &str) -> Result<Matches, StoreError> {
    let select = AssertSqlSafe(select(db, filter));
    let (after, limit, pattern) = (filter.after.unwrap_or(UserId(0)), filter.rows(), pattern(typed));
    let found: Vec<Found> = match db {
        Database::Postgres(_) => {
            let mut tx = db.begin().await?;
            tx.on_postgres(sqlx::query(BY_INDEX)).await?;
            let found = with_conn!(tx.connection(), c =>
                sqlx::query_as(select).bind(after).bind(limit).bind(pattern).fetch_all(c).await)?;
            tx.commit().await?;
            found
        }
        Database::Sqlite(..) => {
            let mut reader = db.read_conn().await?;
            with_conn!(reader.connection(), c => sqlx::query(READ_SCHEMA).execute(c).await.map(drop))?;
            with_conn!(reader.connection(), c => sqlx::query_as(select)
                .bind(after).bind(limit).bind(pattern).bind(phrase(typed)).fetch_all(c).await)?
        }
    };
    let total = found.first().map(|found| found.total).or(filter.after.is_none().then_some(0));
    Ok(Matches { rows: found.into_iter().map(|found| found.row).collect(), total })
}

/// `$1` is the last id of the page before, `$2` the number of rows, `$3` the pattern, and on SQLite `$4` the phrase.
fn select(db: &Database, filter: &ListUsers) -> String {
    let matching = filter.matching(db, "$3");
    let indexed = match db {
        Database::Postgres(_) => "",
        Database::Sqlite(..) => " AND u.id IN (SELECT rowid FROM user_search WHERE user_search MATCH $4)",
    };
    let page = select_user!(
        ", (SELECT count(*) FROM matching) AS total",
        "u.id IN (SELECT id FROM matching WHERE id > $1 ORDER BY id LIMIT $2) ORDER BY u.id"
    );
    format!(
        "WITH matching AS MATERIALIZED (SELECT u.id FROM users u WHERE u.status <> 'erasing'{indexed}{matching}) {page}"
    )
}

/// Makes a phrase of FTS5, in which all characters are literal.
fn phrase(typed: &str) -> String {
    format!("\"{}\"", typed.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
