//! What group commit gains: a session and its event, against the same two rows in a transaction each.

use anyhow::Result;
use serde_json::json;

use super::{
    http,
    pgbench::{self, Script},
    row::Row,
    stage::Stage,
    wrk::Load,
};

const CALLERS: usize = 64;
const PATH: &str = "/api/v1/sessions/";

/// Ids that grow with time and have the length of a UUID, as the service's do.
const TRANSACTION: &str = r"\set r random(100000000000000, 999999999999999)
begin;
insert into sessions (user_id, start_time) values (:user_id, now()) returning id;
insert into events (id, aggregate, user_id, envelope, recorded_at)
values (to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r, :aggregate, :user_id, :envelope, now());
commit;
";

pub(crate) fn row(stage: &Stage) -> Result<Row<'_>> {
    let create = Load::post(stage, PATH, CALLERS, "{}")?;
    let transactions = like_the_services(stage)?;
    Ok(Row {
        title: "POST /sessions/, 64 callers",
        ours: Box::new(move |span| create.run(span)),
        reference_title: "pgbench, 64 clients, the same two inserts",
        reference: Box::new(move |span| transactions.run(span)),
    })
}

/// Takes the event's row from one that the service wrote, so that both write as much.
fn like_the_services(stage: &Stage) -> Result<Script<'_>> {
    let session = http::post(stage.port(), PATH, stage.access_token(), &json!({}))?;
    let aggregate = format!("session/{}", session["id"]);
    let envelope = stage.query(&format!("select envelope from events where aggregate = '{aggregate}'"))?;
    let user_id = pgbench::user(stage, "sessions@example.com")?;
    let variables = [format!("user_id={user_id}"), format!("aggregate={aggregate}"), format!("envelope={envelope}")];
    Script::new(stage, "sessions", TRANSACTION, CALLERS, variables.into())
}
