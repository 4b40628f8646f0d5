//! The program `faceofmind`.

use std::process::ExitCode;

fn main() -> ExitCode {
    faceofmind::cli::run()
}
