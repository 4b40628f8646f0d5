//! The cost of a client that streams: 100 detections a request with their events, against one statement that inserts the same rows without
//! checking the owner of the session.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    env::{BenchEnv, REFERENCE_DATABASE},
    http,
    pgbench::{self, Script},
    row::Row,
    wrk::Load,
};

const CALLERS: usize = 64;
const BATCH: usize = 100;

/// Each client has its session, so that clients do not wait for each other's locks.
const SESSIONS: &str = "insert into sessions (user_id, start_time) select :user_id, now() from generate_series(1, :clients) \
    returning id";

/// The ids grow with time and have the length of a UUID, like those of the service.
const STATEMENT: &str = r"\set r random(100000000000, 999999999999)
with detected as (
    insert into emotion_detections (session_id, timestamp)
    select :first_session::bigint + :client_id::bigint, now() from generate_series(1, :at_once) returning id
), seen as (
    insert into facial_data (detection_id, emotion) select id, 'happy' from detected
), sure as (
    insert into detection_details (detection_id, confidence) select id, 0.93 from detected
)
insert into events (id, aggregate, user_id, envelope, recorded_at)
select to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r || '-' || id, :aggregate, :user_id, :envelope, now()
from detected;
";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let session = http::post(env.port(), "/api/v1/sessions/", env.access_token(), &json!({}))?["id"].clone();
    let path = format!("/api/v1/sessions/{session}/detections");
    let body = Value::from(vec![json!({ "emotion": "happy", "confidence": 0.93 }); BATCH]);
    let stream = Load::post(env, &path, CALLERS, &body.to_string())?;
    let inserts = matching_script(env, &session, &path, &body)?;
    Ok(Row {
        title: "POST /sessions/{id}/detections, 100 each, 64 callers",
        ours: Box::new(move |span| stream.run(span)),
        reference_title: "pgbench, 64 clients, the same 400 rows in one statement",
        reference: Box::new(move |span| inserts.run(span)),
    })
}

/// Copies the row of an event that the service wrote, so that both sides write the same number of bytes.
fn matching_script<'a>(env: &'a BenchEnv, session: &Value, path: &str, body: &Value) -> Result<Script<'a>> {
    http::post(env.port(), path, env.access_token(), body)?;
    let aggregate = format!("session/{session}");
    let detected = "envelope like '%emotion.detected%'";
    let envelope =
        env.query(&format!("select envelope from events where aggregate = '{aggregate}' and {detected} limit 1"))?;
    let user_id = pgbench::user(env, "detections@example.com")?;
    let sessions = SESSIONS.replace(":user_id", &user_id).replace(":clients", &CALLERS.to_string());
    let first = format!("with created as ({sessions}) select min(id) from created");
    let first_session = env.services().postgres.query(REFERENCE_DATABASE, &first)?;
    let variables = [
        format!("at_once={BATCH}"),
        format!("first_session={first_session}"),
        format!("user_id={user_id}"),
        format!("aggregate={aggregate}"),
        format!("envelope={envelope}"),
    ];
    Script::new(env, "detections", STATEMENT, CALLERS, variables.into())
}
