//! `faceofmind asyncapi`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use faceofmind_system::asyncapi::AsyncApi;

use super::Failure;

pub(super) fn run() -> Result<ExitCode, Failure> {
    write!(io::stdout(), "{}", serde_norway::to_string(&AsyncApi::new(env!("CARGO_PKG_VERSION")))?)?;
    Ok(ExitCode::SUCCESS)
}
