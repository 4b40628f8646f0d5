//! The gain of group commit where each request brings one detection, against the same four rows in one transaction each.

use anyhow::Result;
use serde_json::json;

use super::{detections::Stream, env::BenchEnv, row::Row};

/// The ids grow with time and have the length of a UUID, like those of the service.
const TRANSACTION: &str = r"\set r random(100000000000000, 999999999999999)
begin;
insert into emotion_detections (session_id, timestamp) values (:first_session::bigint + :client_id, now()) returning id \gset
insert into facial_data (detection_id, emotion) values (:id, 'happy');
insert into detection_details (detection_id, confidence) values (:id, 0.93);
insert into events (id, aggregate, user_id, envelope, recorded_at)
values (to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r, :aggregate, :user_id, :envelope, now());
commit;
";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let detection = json!([{ "emotion": "happy", "confidence": 0.93 }]);
    let stream = Stream::start(env, "detection", detection)?;
    let (load, inserts) = (stream.load()?, stream.reference(TRANSACTION, &[])?);
    Ok(Row {
        title: "POST /sessions/{id}/detections, one each, 64 callers",
        ours: Box::new(move |span| load.run(span)),
        reference_title: "pgbench, 64 clients, the same four inserts",
        reference: Box::new(move |span| inserts.run(span)),
    })
}
