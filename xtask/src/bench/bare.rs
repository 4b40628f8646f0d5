//! The cost of the edge and of a log line, which a service writes by default.

use anyhow::Result;

use super::{env::BenchEnv, references, row::Row, wrk::Load};

const CONNECTIONS: usize = 64;
const PATH: &str = "/";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let node = env.another_node("logging", &[("RUST_LOG", "")])?;
    let (hyper, port) = references::hyper(env, node.port, PATH)?;
    let load = |port| Load::get_as(env, &env.account().at(port), PATH, CONNECTIONS);
    let (bare, plain) = (load(node.port)?, load(port)?);
    Ok(Row {
        title: "GET /, with its log line, 64 connections",
        ours: Box::new(move |span| {
            let _serving = &node;
            bare.run(span)
        }),
        reference_title: "plain hyper, the same response, no log",
        reference: Box::new(move |span| {
            let _serving = &hyper;
            plain.run(span)
        }),
    })
}
