//! What a client that streams costs: a hundred detections a call with their events, against one statement that inserts the same rows into
//! the same tables, with nobody who checks whose session it is.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    http,
    pgbench::{self, Script},
    row::Row,
    stage::{REFERENCE_DATABASE, Stage},
    wrk::Load,
};

const CALLERS: usize = 64;
const AT_ONCE: usize = 100;

/// A session for each client, so that they do not wait for each other's locks.
const SESSIONS: &str = "insert into sessions (user_id, start_time) select :user_id, now() from generate_series(1, :clients) \
    returning id";

/// Ids that grow with time and have the length of a UUID, as the service's do.
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

pub(crate) fn row(stage: &Stage) -> Result<Row<'_>> {
    let session = http::post(stage.port(), "/api/v1/sessions/", stage.access_token(), &json!({}))?["id"].clone();
    let path = format!("/api/v1/sessions/{session}/detections");
    let body = Value::from(vec![json!({ "emotion": "happy", "confidence": 0.93 }); AT_ONCE]);
    let stream = Load::post(stage, &path, CALLERS, &body.to_string())?;
    let inserts = like_the_services(stage, &session, &path, &body)?;
    Ok(Row {
        title: "POST /sessions/{id}/detections, 100 each, 64 callers",
        ours: Box::new(move |span| stream.run(span)),
        reference_title: "pgbench, 64 clients, the same 400 rows in one statement",
        reference: Box::new(move |span| inserts.run(span)),
    })
}

/// Takes an event's row from those that the service wrote, so that both write as much.
fn like_the_services<'a>(stage: &'a Stage, session: &Value, path: &str, body: &Value) -> Result<Script<'a>> {
    http::post(stage.port(), path, stage.access_token(), body)?;
    let aggregate = format!("session/{session}");
    let detected = "envelope like '%emotion.detected%'";
    let envelope =
        stage.query(&format!("select envelope from events where aggregate = '{aggregate}' and {detected} limit 1"))?;
    let user_id = pgbench::user(stage, "detections@example.com")?;
    let sessions = SESSIONS.replace(":user_id", &user_id).replace(":clients", &CALLERS.to_string());
    let first = format!("with made as ({sessions}) select min(id) from made");
    let first_session = stage.services().postgres.query(REFERENCE_DATABASE, &first)?;
    let variables = [
        format!("at_once={AT_ONCE}"),
        format!("first_session={first_session}"),
        format!("user_id={user_id}"),
        format!("aggregate={aggregate}"),
        format!("envelope={envelope}"),
    ];
    Script::new(stage, "detections", STATEMENT, CALLERS, variables.into())
}
