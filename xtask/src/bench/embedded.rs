//! The gain of group commit on the embedded profile: a session and its event, against a transaction of SQLite each.

use anyhow::Result;

use super::{
    account::{Account, EMAIL},
    env::BenchEnv,
    references,
    row::Row,
    wrk::Load,
};

const CALLERS: usize = 64;

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let node = env.embedded("embedded-sessions", &[("RATE_LIMITS", "off"), ("RUST_LOG", "warn")])?;
    let account = Account::create(node.port, EMAIL, &node.data.join("mail"), env.interrupt())?;
    let create = Load::post_as(env, &account, "/api/v1/sessions/", CALLERS, "{}")?;
    let (database, envelope) = (env.sqlite_file("reference-sqlite")?, references::envelope(env, "embedded")?);
    Ok(Row {
        title: "embedded: POST /sessions/, 64 callers",
        ours: Box::new(move |span| {
            let _serving = &node;
            create.run(span)
        }),
        reference_title: "sqlx, the same two inserts, an SQLite transaction each",
        reference: Box::new(move |span| references::sqlite(env, &database, &envelope, span)),
    })
}
