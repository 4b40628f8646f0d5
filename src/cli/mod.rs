//! The command line. One file for each command.

mod admin;
mod asyncapi;
mod config;
mod events;
mod keys;
mod migrate;
mod openapi;
mod serve;

use std::{
    env,
    error::Error,
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    logging,
    settings::{ConfigSources, SettingError, Settings},
};

/// The error of any command.
type Failure = Box<dyn Error + Send + Sync>;

/// The exit code of a wrong command line and of wrong settings. clap uses the same.
const USAGE: u8 = 2;

/// Accounts, sessions and emotions behind an HTTP API.
#[derive(Debug, Parser)]
#[command(name = "faceofmind", version, after_help = EXIT_CODES)]
struct Cli {
    /// A TOML file of settings; overrides the built-in defaults, and the environment overrides it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Without a command, faceofmind serves.

Settings come from the built-in config/default.toml, the file given by --config, the file .env in the working directory,
and the environment. A later source overrides an earlier one. `faceofmind config check` prints the effective settings.

Exit codes: 0 success, 1 failure, 2 wrong command line or setting, 70 an actor failed too often: restart the service.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or Ctrl-C
    Serve(serve::Arguments),
    /// Apply all migrations to the database
    Migrate(migrate::Arguments),
    /// Manage admins
    #[command(subcommand)]
    Admin(admin::Command),
    /// Show or rotate the keys that encrypt personal texts
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Print published events
    #[command(subcommand)]
    Events(events::Command),
    /// Print the OpenAPI document
    Openapi,
    /// Print the AsyncAPI document, which describes the events
    Asyncapi,
}

/// Runs the command line. Errors go to standard error.
pub fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let command = command.unwrap_or(Command::Serve(serve::Arguments::default()));
    let exit = command.run(sources(config));
    logging::flush();
    exit.unwrap_or_else(|failure| failed(&*failure))
}

fn sources(config: Option<PathBuf>) -> ConfigSources {
    let built_in = ConfigSources::built_in();
    let files = config.iter().fold(built_in, |sources, path| sources.with_file(path));
    let dotenv = files.with_dotenv(Path::new("."), |name| env::var(name).ok());
    dotenv.with_environment(env::vars_os())
}

impl Command {
    fn run(self, sources: ConfigSources) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve(arguments) => arguments.run(sources),
            Self::Migrate(arguments) => arguments.run(&sources),
            Self::Admin(command) => command.run(&sources),
            Self::Keys(command) => command.run(&sources),
            Self::Config(command) => command.run(&sources),
            Self::Events(command) => command.run(&sources),
            Self::Openapi => openapi::run(),
            Self::Asyncapi => asyncapi::run(),
        }
    }
}

/// Loads the settings of a command and starts logging.
fn init(sources: &ConfigSources) -> Result<Settings, Failure> {
    let (settings, effective) = Settings::load_with_sources(sources).map_err(WrongSettings)?;
    logging::init(&settings.service)?;
    let names = ConfigSources::names_in_dotenv(&effective);
    if !names.is_empty() {
        tracing::info!(names = names.join(", "), "settings were read from .env in the working directory");
    }
    for warning in sources.warnings().into_iter().chain(settings.warnings()) {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Runs `work` on a runtime with one thread for each core.
fn block_on<T, E: Into<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work).map_err(Into::into)
}

/// All errors in the settings.
#[derive(Debug)]
struct WrongSettings(Vec<SettingError>);

impl Error for WrongSettings {}

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Prints the failure with its causes and gives the exit code.
fn failed(failure: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    eprintln!("faceofmind: {}", with_causes(failure));
    if failure.is::<WrongSettings>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// The failure and its causes, separated by colons. A cause that the text already contains is omitted.
fn with_causes(failure: &(dyn Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
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
    fn a_wrong_command_line_exits_like_wrong_settings() {
        assert_eq!(parsed("faceofmind sreve").expect_err("no such command").exit_code(), i32::from(USAGE));
    }

    #[test]
    fn all_errors_in_the_settings_are_printed() {
        let sources = ConfigSources::built_in().with_environment([("PORT", "x"), ("SMTP_TLS", "y")]);
        let printed = WrongSettings(Settings::load(&sources).expect_err("two are wrong")).to_string();
        assert!(printed.contains("PORT (environment)") && printed.contains("SMTP_TLS (environment)"), "{printed}");
    }

    #[test]
    fn a_cause_is_printed_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the port is taken")]
        struct Outer(#[source] std::io::Error);
        let failure = Outer(std::io::Error::other("address in use"));
        assert_eq!(with_causes(&failure), "the port is taken: address in use");
    }
}
