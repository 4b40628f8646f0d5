//! The command line: what may be typed, and which part does it. One file for each command.

mod admin;
mod config;
mod keys;
mod logging;
mod migrate;
mod openapi;
mod serve;

use std::{env, error::Error, fmt, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::settings::{Layers, SettingError, Settings};

/// What any command may fail with.
type Failure = Box<dyn Error + Send + Sync>;

/// The exit code of a wrong command line and of wrong settings, which clap uses too.
const USAGE: u8 = 2;

/// Accounts, sessions and emotions behind an HTTP API.
#[derive(Debug, Parser)]
#[command(name = "faceofmind", version, after_help = EXIT_CODES)]
struct Cli {
    /// A TOML file of settings, over the built-in defaults and under the environment
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Without a command it serves.

Settings come from the built-in config/default.toml, the file given by --config, and the environment, each over the one
before. `faceofmind config check` prints them.

Exit codes: 0 done, 1 failed, 2 the command line or a setting is wrong, 70 an actor failed too often: start it again.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or Ctrl-C
    Serve(serve::Arguments),
    /// Bring the database up to date
    Migrate(migrate::Arguments),
    /// Manage admins
    #[command(subcommand)]
    Admin(admin::Command),
    /// Look at the keys that seal personal texts, and change them
    #[command(subcommand)]
    Keys(keys::Command),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Print the OpenAPI document
    Openapi,
}

/// Does what the command line says. Problems go to standard error.
pub fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let command = command.unwrap_or(Command::Serve(serve::Arguments::default()));
    command.run(layers(config)).unwrap_or_else(|failure| failed(&*failure))
}

fn layers(config: Option<PathBuf>) -> Layers {
    let under = Layers::built_in();
    let under = config.iter().fold(under, |layers, path| layers.with_file(path));
    under.with_environment(env::vars_os())
}

impl Command {
    fn run(self, layers: Layers) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve(arguments) => arguments.run(layers),
            Self::Migrate(arguments) => arguments.run(&layers),
            Self::Admin(command) => command.run(&layers),
            Self::Keys(command) => command.run(&layers),
            Self::Config(command) => command.run(&layers),
            Self::Openapi => openapi::run(),
        }
    }
}

/// The settings of a command that does something, with logging begun.
fn begin(layers: &Layers) -> Result<Settings, Failure> {
    let settings = Settings::load(layers).map_err(WrongSettings)?;
    logging::begin(&settings.service)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Runs `work` on a runtime of as many threads as there are cores.
fn block_on<T, E: Into<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work).map_err(Into::into)
}

/// All that is wrong with the settings.
#[derive(Debug)]
struct WrongSettings(Vec<SettingError>);

impl Error for WrongSettings {}

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Tells the failure with its causes and gives the exit code.
fn failed(failure: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    eprintln!("faceofmind: {}", with_causes(failure));
    if failure.is::<WrongSettings>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// The failure and, after colons, what caused it, as far as its own words do not already say so.
fn with_causes(failure: &(dyn Error + 'static)) -> String {
    let mut told = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_commands_do_not_contradict_one_another() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_serves() {
        assert!(parsed("faceofmind").expect("nothing is needed").command.is_none());
    }

    #[test]
    fn config_may_stand_before_or_after_the_command() {
        for line in ["faceofmind --config a.toml config check", "faceofmind config check --config a.toml"] {
            assert_eq!(parsed(line).expect("a good line").config, Some(PathBuf::from("a.toml")));
        }
    }

    #[test]
    fn a_wrong_line_exits_like_wrong_settings() {
        assert_eq!(parsed("faceofmind sreve").expect_err("no such command").exit_code(), i32::from(USAGE));
    }

    #[test]
    fn all_that_is_wrong_with_the_settings_is_told() {
        let layers = Layers::built_in().with_environment([("PORT", "x"), ("SMTP_TLS", "y")]);
        let told = WrongSettings(Settings::load(&layers).expect_err("two are wrong")).to_string();
        assert!(told.contains("PORT (environment)") && told.contains("SMTP_TLS (environment)"), "{told}");
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the port is taken")]
        struct Outer(#[source] std::io::Error);
        let failure = Outer(std::io::Error::other("address in use"));
        assert_eq!(with_causes(&failure), "the port is taken: address in use");
    }
}
