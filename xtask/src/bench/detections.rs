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
insert into events (id, aggregate, user_id, envelope, recorded_at, event_count)
select to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r || '-' || min(id), :aggregate, :user_id,
    string_agg(:envelope, chr(10)), now(), count(*)
from (select id, (row_number() over ()) / 32 as part from detected) as parts group by part;
";

/// A session into which detections are streamed.
pub(super) struct Stream<'a> {
    env: &'a BenchEnv,
    name: &'static str,
    session: Value,
    body: Value,
}

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let body = Value::from(vec![json!({ "emotion": "happy", "confidence": 0.93 }); BATCH]);
    let stream = Stream::start(env, "detections", body)?;
    let (load, inserts) = (stream.load()?, stream.reference(STATEMENT, &[format!("at_once={BATCH}")])?);
    Ok(Row {
        title: "POST /sessions/{id}/detections, 100 each, 64 callers",
        ours: Box::new(move |span| load.run(span)),
        reference_title: "pgbench, 64 clients, the same 304 rows in one statement",
        reference: Box::new(move |span| inserts.run(span)),
    })
}

impl<'a> Stream<'a> {
    /// Starts a session and posts `body` once.
    pub(super) fn start(env: &'a BenchEnv, name: &'static str, body: Value) -> Result<Self> {
        let session = http::post(env.port(), "/api/v1/sessions/", env.access_token(), &json!({}))?["id"].clone();
        let stream = Self { env, name, session, body };
        http::post(env.port(), &stream.path(), env.access_token(), &stream.body)?;
        Ok(stream)
    }

    fn path(&self) -> String {
        format!("/api/v1/sessions/{}/detections", self.session)
    }

    pub(super) fn load(&self) -> Result<Load> {
        Load::post(self.env, &self.path(), CALLERS, &self.body.to_string())
    }

    /// `statement` with sessions of its own. It has a copy of an event that the service wrote, so that both sides write the same
    /// number of bytes.
    pub(super) fn reference(&self, statement: &str, variables: &[String]) -> Result<Script<'a>> {
        let aggregate = format!("session/{}", self.session);
        let detected = "envelope like '%emotion.detected%'";
        let select = format!(
            "select split_part(envelope, chr(10), 1) from events where aggregate = '{aggregate}' and {detected} limit 1"
        );
        let envelope = self.env.query(&select)?;
        let user_id = pgbench::user(self.env, &format!("{}@example.com", self.name))?;
        let first_session = self.first_session(&user_id)?;
        let own = [
            format!("first_session={first_session}"),
            format!("user_id={user_id}"),
            format!("aggregate={aggregate}"),
            format!("envelope={envelope}"),
        ];
        Script::new(self.env, self.name, statement, CALLERS, [variables, &own].concat())
    }

    fn first_session(&self, user_id: &str) -> Result<String> {
        let sessions = SESSIONS.replace(":user_id", user_id).replace(":clients", &CALLERS.to_string());
        let first = format!("with created as ({sessions}) select min(id) from created");
        self.env.services().postgres.query(REFERENCE_DATABASE, &first)
    }
}
