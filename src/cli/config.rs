//! `faceofmind config check`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Failure, WrongSettings};
use crate::settings::{ConfigSources, Effective, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the effective settings with their sources, secrets masked; changes nothing
    Check,
}

impl Command {
    pub(super) fn run(self, sources: &ConfigSources) -> Result<ExitCode, Failure> {
        let Self::Check = self;
        let (settings, effective) = Settings::load_with_sources(sources).map_err(WrongSettings)?;
        io::stdout().write_all(listing(&settings, &effective).as_bytes())?;
        let warnings = sources.warnings().into_iter().chain(settings.warnings());
        warnings.for_each(|warning| eprintln!("warning: {warning}"));
        Ok(ExitCode::SUCCESS)
    }
}

/// TOML with the source of each value in a comment, and the summary in comments below.
fn listing(settings: &Settings, effective: &[Effective]) -> String {
    let lines: Vec<String> = effective.iter().map(|setting| format!("{} = {}", setting.key, setting.shown)).collect();
    let width = lines.iter().map(|line| line.chars().count()).filter(|width| *width <= 60).max().unwrap_or_default();
    let sources = effective.iter().map(|setting| &setting.source);
    let listed = lines.iter().zip(sources).map(|(line, source)| format!("{line:width$}  # {source}\n"));
    let summary = settings.summary().to_string();
    let notes = summary.lines().chain(secrets_note(settings)).map(|line| format!("# {line}\n"));
    listed.chain(["\n".to_owned()]).chain(notes).collect()
}

fn secrets_note(settings: &Settings) -> Option<&'static str> {
    let generated = !settings.missing_secrets().is_empty();
    generated.then_some("secrets those not given are generated once into data_dir/secrets.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)]) -> String {
        let sources = ConfigSources::built_in().with_environment(environment.iter().copied());
        let (settings, effective) = Settings::load_with_sources(&sources).expect("good settings");
        listing(&settings, &effective)
    }

    #[test]
    fn each_setting_is_printed_with_its_source() {
        let listed = check(&[("PORT", "9002")]);
        let line = |start: &str| listed.lines().find(|line| line.starts_with(start)).expect("listed").to_owned();
        assert!(line("port = 9002 ").ends_with("# environment"));
        assert!(line("host = \"127.0.0.1\" ").ends_with("# config/default.toml, built in"));
        assert!(listed.contains("# state   SQLite, data/faceofmind.db\n"), "{listed}");
    }

    #[test]
    fn no_secret_is_printed() {
        let data_key = format!("k1:{}=", "A".repeat(43));
        let listed = check(&[
            ("DATABASE_URL", "postgresql+psycopg2://fom:hunter2@db/fom"),
            ("REDIS_URL", "redis://:hunter2@cache"),
            ("NATS_URL", "nats://hunter2@one:4222,nats://u:hunter2@two:4222"),
            ("JWT_SECRET_TOKEN", "hunter2"),
            ("JWT_ACCESS_TOKEN", "hunter2"),
            ("JWT_REFRESH_TOKEN", "hunter2"),
            ("SMTP_PASSWORD", "hunter2"),
            ("SUGGESTIONS_API_KEY", "hunter2"),
            ("DATA_KEY", &data_key),
        ]);
        assert!(!listed.contains("hunter2") && !listed.contains("AAAA"), "{listed}");
        assert!(listed.contains("database_url = \"postgresql+psycopg2://fom:***@db/fom\""), "{listed}");
        assert!(listed.contains("jwt_refresh_token = \"***\""), "{listed}");
    }

    #[test]
    fn the_output_is_a_valid_settings_file() {
        let listed = check(&[("CORS_ORIGINS", "https://a.org,https://b.org"), ("MAIL_FROM_NAME", "\"The\" \\ Team")]);
        let again = ConfigSources::built_in().with_text("printed.toml".as_ref(), &listed);
        let (settings, effective) = Settings::load_with_sources(&again).expect("the output is valid");
        let strip = |listed: &str| {
            listed
                .lines()
                .map(|line| line.split("  # ").next().map(str::trim_end).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(strip(&listing(&settings, &effective)), strip(&listed));
    }
}
