//! Developer commands: `cargo xtask test | faults | services | bench | instructions | layers | loc | words`.

mod bench;
mod faults;
mod instructions;
mod interrupt;
mod layers;
mod loc;
mod packages;
mod process;
mod rust;
mod services;
mod test;
mod wait;
mod words;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::interrupt::{Interrupt, Interrupted};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Developer commands")]
enum Command {
    /// Run the tests on private servers; passes its arguments to `cargo test`
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Run the long stories: outages, proxies, rolling restarts; passes its arguments to `cargo test`
    Faults {
        /// Run the tests of `cargo xtask test` instead, on PostgreSQL and NATS of the versions in docker-compose.yml
        #[arg(long)]
        compose_versions: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Start private servers, print the environment of the tests, and run until Ctrl-C
    Services,
    /// Measure the service against references in the same run, and print the ratios
    Bench(bench::Options),
    /// Count the instructions of a request under callgrind, and write docs/instructions.md
    Instructions {
        /// Write nothing, and fail where a count is more than 5 % above the file
        #[arg(long)]
        check: bool,
    },
    /// Fail where crates or modules use each other against the layers, or in a circle
    Layers,
    /// Count the lines of Rust code in each package, without comments, blank lines and tests
    Loc,
    /// Fail where a file uses a word that the project has retired
    Words,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure:#}");
            ExitCode::from(failure.downcast_ref::<Interrupted>().map_or(1, Interrupted::exit_code))
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    match command {
        Command::Test { args } => test::run(&args, &interrupt),
        Command::Faults { compose_versions: true, args } => faults::run_on_compose_versions(&args, &interrupt),
        Command::Faults { compose_versions: false, args } => faults::run(&args, &interrupt),
        Command::Services => services::run(&interrupt),
        Command::Bench(options) => bench::run(&options, &interrupt),
        Command::Instructions { check } => instructions::run(check, &interrupt),
        Command::Layers => layers::run(),
        Command::Loc => loc::run(),
        Command::Words => words::run(),
    }
}
