//! `faceofmind openapi`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::Failure;
use crate::http::openapi;

pub(super) fn run() -> Result<ExitCode, Failure> {
    writeln!(io::stdout(), "{}", openapi::document())?;
    Ok(ExitCode::SUCCESS)
}
