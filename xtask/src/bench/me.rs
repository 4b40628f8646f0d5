//! The cost of authentication.

use anyhow::Result;

use super::{env::BenchEnv, row::Row, wrk::Load};

const CONNECTIONS: usize = 64;

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let me = Load::get(env, "/api/v1/auth/me", CONNECTIONS)?;
    let bare = Load::get(env, "/", CONNECTIONS)?;
    Ok(Row {
        title: "GET /auth/me, 64 connections",
        ours: Box::new(move |span| me.run(span)),
        reference_title: "GET /, the same server's bare JSON",
        reference: Box::new(move |span| bare.run(span)),
    })
}
