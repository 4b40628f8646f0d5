//! `faceofmind openapi`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::Failure;
use crate::http::{self, openapi};

pub(super) fn run() -> Result<ExitCode, Failure> {
    writeln!(io::stdout(), "{}", openapi::print(&http::routes())?)?;
    Ok(ExitCode::SUCCESS)
}
