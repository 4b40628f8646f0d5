//! The cost of a read: one session by its id, against the same select alone.

use anyhow::Result;
use serde_json::json;

use super::{
    env::{BenchEnv, REFERENCE_DATABASE},
    http,
    pgbench::{self, Script},
    row::Row,
    wrk::Load,
};

const CALLERS: usize = 64;
const SELECT: &str = "select id, user_id, start_time, end_time from sessions where id = :id and user_id = :user_id;\n";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let session = http::post(env.port(), "/api/v1/sessions/", env.access_token(), &json!({}))?["id"].clone();
    let get = Load::get(env, &format!("/api/v1/sessions/{session}"), CALLERS)?;
    let selects = matching_script(env)?;
    Ok(Row {
        title: "GET /sessions/{id}, 64 connections",
        ours: Box::new(move |span| get.run(span)),
        reference_title: "pgbench, 64 clients, the same select",
        reference: Box::new(move |span| selects.run(span)),
    })
}

fn matching_script(env: &BenchEnv) -> Result<Script<'_>> {
    let user_id = pgbench::user(env, "session@example.com")?;
    let insert = format!("insert into sessions (user_id, start_time) values ({user_id}, now()) returning id");
    let id = env.services().postgres.query(REFERENCE_DATABASE, &insert)?;
    Script::new(env, "session", SELECT, CALLERS, vec![format!("id={id}"), format!("user_id={user_id}")])
}
