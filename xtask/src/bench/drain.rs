//! How fast the publisher empties a full outbox, against the same messages without an outbox.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use super::{env::BenchEnv, http, references, row::Row};
use crate::wait;

/// The default of `EVENTS_WINDOW`.
const WINDOW: usize = 256;
const EVENTS_PER_SECOND: usize = 10_000;
/// How often to ask whether the outbox is empty. A question takes time from the publisher.
const PAUSE: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    http::post(env.port(), "/api/v1/sessions/", env.access_token(), &json!({}))?;
    let envelope = references::envelope(env, "drain")?;
    Ok(Row {
        title: "outbox to JetStream, events drained",
        ours: Box::new(move |span| drain(env, messages(span)?)),
        reference_title: "async-nats, the same payload and window",
        reference: Box::new(move |span| references::jetstream(env, WINDOW, messages(span)?, &envelope)),
    })
}

/// Rates differ by machine, so this many messages take about the time that a measurement should.
fn messages(span: Duration) -> Result<usize> {
    Ok(EVENTS_PER_SECOND * usize::try_from(span.as_secs())?)
}

/// Fills the outbox in one transaction, and takes the rate from the times of publishing, without those of the first window.
fn drain(env: &BenchEnv, events: usize) -> Result<f64> {
    let last = env.query("select coalesce(max(seq), 0) from events")?;
    env.query(&format!(
        "insert into events (id, aggregate, user_id, envelope, recorded_at) \
         select id, aggregate, user_id, replace(envelope, copied_id, id), now() from \
         (select gen_random_uuid()::text as id from generate_series(1, {events})) as new_ids, \
         (select id as copied_id, aggregate, user_id, envelope from events where envelope like '%session.started%' \
         order by seq desc limit 1) as copied"
    ))?;
    wait_until_published(env)?;
    let rate = env.query(&format!(
        "select count(*) filter (where published_at > first) / extract(epoch from max(published_at) - min(first)) \
         from events, (select min(published_at) as first from events where seq > {last}) as begun where seq > {last}"
    ))?;
    rate.parse().context("the events were published at once")
}

/// Waits until the outbox is empty, and takes little time from the publisher.
pub(super) fn wait_until_published(env: &BenchEnv) -> Result<()> {
    wait::until("all events published", TIMEOUT, env.interrupt(), || {
        thread::sleep(PAUSE);
        Ok((env.query("select count(*) from events where position is null")? == "0").then_some(()))
    })
}
