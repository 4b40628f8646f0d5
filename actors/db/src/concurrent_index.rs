//! Indexes that are made while other programs write.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// Makes an index until it is valid. Drops what an interrupted run left, which another process of the server may still be making. No statement
/// has parameters, so that a pooler may stand between.
pub(crate) async fn make_valid(c: &mut PgConnection, index: &str, sql: &str) -> Result<(), sqlx::Error> {
    let select = format!(
        "SELECT i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid \
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema() WHERE c.relname = '{index}'"
    );
    loop {
        let found = sqlx::raw_sql(AssertSqlSafe(select.clone())).fetch_optional(&mut *c).await?;
        let is_valid: Option<bool> = found.map(|row| row.try_get(0)).transpose()?;
        let statement = match is_valid {
            Some(true) => return Ok(()),
            Some(false) => format!("DROP INDEX CONCURRENTLY {index}"),
            None => sql.to_owned(),
        };
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *c).await?;
    }
}
