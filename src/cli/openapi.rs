//! `faceofmind openapi`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::Failure;
use crate::{app, http::openapi};

pub(super) fn run() -> Result<ExitCode, Failure> {
    writeln!(io::stdout(), "{}", openapi::print(&app::routes())?)?;
    Ok(ExitCode::SUCCESS)
}
