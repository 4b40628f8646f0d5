//! The gain of group commit: a session and its event, against the same two rows in one transaction each.

use anyhow::Result;
use serde_json::json;

use super::{
    env::BenchEnv,
    http,
    pgbench::{self, Script},
    row::Row,
    wrk::Load,
};

const CALLERS: usize = 64;
const PATH: &str = "/api/v1/sessions/";

/// The ids grow with time and have the length of a UUID, like those of the service.
const TRANSACTION: &str = r"\set r random(100000000000000, 999999999999999)
begin;
insert into sessions (user_id, start_time) values (:user_id, now()) returning id;
insert into events (id, aggregate, user_id, envelope, recorded_at)
values (to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r, :aggregate, :user_id, :envelope, now());
commit;
";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let create = Load::post(env, PATH, CALLERS, "{}")?;
    let transactions = matching_script(env)?;
    Ok(Row {
        title: "POST /sessions/, 64 callers",
        ours: Box::new(move |span| create.run(span)),
        reference_title: "pgbench, 64 clients, the same two inserts",
        reference: Box::new(move |span| transactions.run(span)),
    })
}

/// Copies the row of an event that the service wrote, so that both sides write the same number of bytes.
fn matching_script(env: &BenchEnv) -> Result<Script<'_>> {
    let session = http::post(env.port(), PATH, env.access_token(), &json!({}))?;
    let aggregate = format!("session/{}", session["id"]);
    let envelope = env.query(&format!("select envelope from events where aggregate = '{aggregate}'"))?;
    let user_id = pgbench::user(env, "sessions@example.com")?;
    let variables = [format!("user_id={user_id}"), format!("aggregate={aggregate}"), format!("envelope={envelope}")];
    Script::new(env, "sessions", TRANSACTION, CALLERS, variables.into())
}
