//! The steps of an adoption that change the database. Each may be repeated.

use tokio::time::Instant;

use super::{
    AdoptionError,
    layout::Layout,
    plan::Basis,
    schema::{FILLED, Filled, TABLES},
    session::{Session, literal, quoted},
    work::{Work, nullable},
};

/// The users whom one transaction records as verified.
const BATCH: u32 = 5000;
/// The rows that one transaction fills. For each it looks past the others to the next row with a value, while they are locked.
const FILLED_BATCH: u32 = 500;

/// One row says when and from what the database was adopted. Only an adopted database has the table.
const ADOPTION: &str = "CREATE TABLE IF NOT EXISTS adoption (id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1), layout text NOT NULL, \
    adopted_at timestamptz NOT NULL, last_session_id bigint NOT NULL, finished_at timestamptz, \
    times_zone text, times_mended_at timestamptz, sessions_mended bigint)";

/// Carries out all that comes before the ordinary migrations.
pub(super) async fn apply(session: &mut Session, basis: &Basis) -> Result<(), AdoptionError> {
    let Basis { layout, catalog, work, .. } = basis;
    change_schema(session, work, *layout).await?;
    for index in &work.indexes {
        tracing::info!(
            index = index.name,
            table = index.table,
            "making an index, which waits for all open transactions"
        );
        session.make_index(&index.name, &index.sql).await?;
    }
    for filled in &FILLED {
        let facts = catalog.tables.get(filled.table);
        if facts.is_some_and(|facts| nullable(filled.table, facts).any(|known| known.column == filled.column)) {
            fill(session, filled).await?;
        }
    }
    for (table, name) in &work.unchecked {
        validate(session, table, name).await?;
    }
    Ok(())
}

/// The short transaction. It locks all tables before it changes one, `users` last.
async fn change_schema(session: &mut Session, work: &Work, layout: Layout) -> Result<(), AdoptionError> {
    let began = Instant::now();
    let locks = TABLES.iter().map(|table| format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", quoted(table.name)));
    let record = format!(
        "INSERT INTO adoption (layout, adopted_at, last_session_id) SELECT {}, now(), coalesce(max(id), 0) FROM sessions \
         ON CONFLICT (id) DO NOTHING",
        literal(layout.as_str())
    );
    let changes = work.changes.iter().map(|change| change.sql.clone());
    let statements: Vec<String> = locks.chain(changes).chain([ADOPTION.to_owned(), record]).collect();
    let () = session.transact::<()>(&statements).await.map(drop)?;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(changes = work.changes.len(), milliseconds, "changed the columns, defaults and constraints");
    Ok(())
}

/// Fills a column in batches, so that no other program waits long for a row.
async fn fill(session: &mut Session, filled: &Filled) -> Result<(), AdoptionError> {
    let (mut after, mut rows) = (i64::MIN, 0);
    loop {
        let done: Vec<(i64, Option<i64>)> = session.transact(&[fill_batch(filled, after)]).await?;
        let Some(&(filled_now, Some(last))) = done.first() else { break };
        (after, rows) = (last, rows + filled_now);
    }
    if rows > 0 {
        tracing::info!(table = filled.table, column = filled.column, rows, "filled NULLs");
    }
    Ok(())
}

fn fill_batch(filled: &Filled, after: i64) -> String {
    let (table, column) = (quoted(filled.table), quoted(filled.column));
    let closest = |comparison: &str, order: &str| {
        format!(
            "(SELECT o.{column} FROM {table} o WHERE o.id {comparison} t.id AND o.{column} IS NOT NULL ORDER BY o.id {order} LIMIT 1)"
        )
    };
    let value = match filled.when_stored {
        Some(constant) if constant.starts_with('\'') || constant == "false" => constant.to_owned(),
        stored => {
            let first = stored.map(|stored| format!("{stored}, ")).unwrap_or_default();
            format!("coalesce({first}{}, {}, now())", closest("<", "DESC"), closest(">", "ASC"))
        }
    };
    format!(
        "WITH batch AS (SELECT id FROM {table} WHERE {column} IS NULL AND id > {after} ORDER BY id LIMIT {FILLED_BATCH} FOR UPDATE), \
         done AS (UPDATE {table} t SET {column} = {value} FROM batch WHERE t.id = batch.id RETURNING t.id) \
         SELECT count(*), max(id)::bigint FROM done"
    )
}

/// Looks whether the stored rows keep a foreign key, while other programs write. Where some do not, it holds for new rows alone.
async fn validate(session: &mut Session, table: &str, name: &str) -> Result<(), AdoptionError> {
    let sql = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", quoted(table), quoted(name));
    match session.transact::<()>(&[sql]).await {
        Err(AdoptionError::Store(error)) if error.is_foreign_key_violation() => {
            tracing::warn!(
                table,
                constraint = name,
                "rows refer to rows that are missing, so the foreign key holds for new rows alone; \
                 `faceofmind migrate --dry-run` names the rows"
            );
            Ok(())
        }
        validated => validated.map(drop),
    }
}

/// Records which users of the predecessor are verified, and that they are its users. It activated accounts only after it verified their
/// addresses, and its panel may have set them back: what is not inactive or owns anything is verified.
pub(super) async fn verify_users(session: &mut Session) -> Result<i64, AdoptionError> {
    let (mut after, mut verified) = (i64::MIN, 0);
    loop {
        let sql = format!(
            "WITH batch AS (SELECT id, status, created_at FROM users WHERE id > {after} ORDER BY id LIMIT {BATCH}), \
             written AS (INSERT INTO user_profiles AS known (user_id, verified_at, registered_elsewhere_at) \
                 SELECT u.id, least(u.created_at, now()), u.created_at FROM batch u \
                 WHERE lower(btrim(u.status)) <> 'inactive' OR EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = u.id) \
                 OR EXISTS (SELECT 1 FROM community_posts p WHERE p.user_id = u.id) \
                 OR EXISTS (SELECT 1 FROM community_comments c WHERE c.user_id = u.id) \
                 OR EXISTS (SELECT 1 FROM reminders r WHERE r.user_id = u.id) \
                 ON CONFLICT (user_id) DO UPDATE SET verified_at = coalesce(known.verified_at, excluded.verified_at), \
                 registered_elsewhere_at = coalesce(known.registered_elsewhere_at, excluded.registered_elsewhere_at) \
                 RETURNING 1) \
             SELECT (SELECT count(*) FROM written), max(id)::bigint FROM batch"
        );
        let done: Vec<(i64, Option<i64>)> = session.transact(&[sql]).await?;
        let Some(&(now_verified, Some(last))) = done.first() else { return Ok(verified) };
        (after, verified) = (last, verified + now_verified);
    }
}
