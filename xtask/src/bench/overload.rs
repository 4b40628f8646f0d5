//! What is served of more than can be, against the most that can be.

use anyhow::Result;

use super::{env::BenchEnv, row::Row, wrk::Load};

const CALLERS: usize = 256;
/// More than the places of the service. A caller that is refused calls again at once.
const TOO_MANY: usize = 8000;
const PATH: &str = "/api/v1/sessions/";

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let (few, many) = (Load::post(env, PATH, CALLERS, "{}")?, Load::post(env, PATH, TOO_MANY, "{}")?);
    Ok(Row {
        title: "POST /sessions/, 8,000 callers, those served",
        ours: Box::new(move |span| many.run_in_overload(span)),
        reference_title: "the same, 256 callers",
        reference: Box::new(move |span| few.run(span)),
    })
}
