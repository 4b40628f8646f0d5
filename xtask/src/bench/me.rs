//! What it costs to know who asks.

use anyhow::Result;

use super::{row::Row, stage::Stage, wrk::Load};

const CONNECTIONS: usize = 64;

pub(crate) fn row(stage: &Stage) -> Result<Row<'_>> {
    let me = Load::get(stage, "/api/v1/auth/me", CONNECTIONS)?;
    let bare = Load::get(stage, "/", CONNECTIONS)?;
    Ok(Row {
        title: "GET /auth/me",
        ours: Box::new(move |span| me.run(span)),
        reference_title: "GET /, the same server's bare JSON",
        reference: Box::new(move |span| bare.run(span)),
    })
}
