//! The settings of the program: where they come from, how they are validated, and what they mean.
//!
//! | file | content |
//! |---|---|
//! | `groups` | every setting |
//! | `layers` | the sources of values: built-in files < `--config` < `.env` < environment < command line |
//! | `dotenv` | reads the form of `.env` |
//! | `reader`, `setting` | reads each value from the layers and collects all errors |
//! | `checks` | checks that concern several settings |
//! | `secrets` | the secrets, given or generated; the only part that writes to the disk |

mod checks;
mod data_keys;
mod dotenv;
mod error;
mod groups;
mod layers;
mod reader;
mod secret_url;
mod secrets;
mod setting;
mod values;

use std::fmt;

pub use data_keys::{DataKey, DataKeys};
pub use error::SettingError;
pub use groups::{Events, Http, Limits, Mail, Passwords, Service, Store, Suggestions, Tokens};
pub use layers::{ConfigSources, Source};
pub use reader::Effective;
pub use secret_url::SecretUrl;
pub use secrets::{Secrets, SecretsError, create_private_dir};
pub use values::{CorsOrigins, DatabaseUrl, Environment, SmtpTls};

use reader::ConfigReader;

/// The validated settings. `Debug` prints no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The environment, the data directory, logs and time.
    pub service: Service,
    /// The public port and the operators' port.
    pub http: Http,
    /// The database and Redis.
    pub store: Store,
    /// The outbox and NATS.
    pub events: Events,
    /// Tokens and keys as given.
    pub tokens: Tokens,
    /// The password policy and the cost of Argon2id.
    pub passwords: Passwords,
    /// The mail server and the sender of mails.
    pub mail: Mail,
    /// An API that writes suggestions.
    pub suggestions: Suggestions,
    /// One-time codes and rate limits.
    pub limits: Limits,
}

impl Settings {
    /// Reads and validates the settings. Uses nothing but `sources`.
    ///
    /// # Errors
    /// All problems of all layers.
    pub fn load(sources: &ConfigSources) -> Result<Self, Vec<SettingError>> {
        Self::load_with_sources(sources).map(|(settings, _)| settings)
    }

    /// Like [`Self::load`]; also gives each setting's effective value with its source.
    ///
    /// # Errors
    /// All problems of all layers.
    pub fn load_with_sources(sources: &ConfigSources) -> Result<(Self, Vec<Effective>), Vec<SettingError>> {
        Self::read(sources, cfg!(feature = "test-hooks"))
    }

    fn read(sources: &ConfigSources, hooks: bool) -> Result<(Self, Vec<Effective>), Vec<SettingError>> {
        let production = reader::production_layer().map_err(|error| vec![error])?;
        let mut reader = ConfigReader::new(sources, &production);
        let settings = Self::assemble(&mut reader, hooks);
        reader.finish(settings).map_err(|mut errors| {
            // What is missing may stand in a line that was skipped.
            errors.extend(sources.skipped_lines.iter().map(|line| skipped_line(*line)));
            errors
        })
    }

    /// Reads every group before it fails, so that all problems are reported together.
    fn assemble(from: &mut ConfigReader<'_>, hooks: bool) -> Option<Self> {
        let service = Service::read(from);
        let http = Http::read(from);
        let store = Store::read(from);
        let events = Events::read(from);
        let tokens = Tokens::read(from);
        let passwords = Passwords::read(from);
        let mail = Mail::read(from);
        let suggestions = Suggestions::read(from);
        let limits = Limits::read(from);
        checks::check(from, passwords.as_ref(), hooks);
        Some(Self {
            service: service?,
            http: http?,
            store: store?,
            events: events?,
            tokens: tokens?,
            passwords: passwords?,
            mail: mail?,
            suggestions: suggestions?,
            limits: limits?,
        })
    }

    /// `DATABASE_URL`, or `$DATA_DIR/faceofmind.db` if that is not set.
    pub fn database_url(&self) -> DatabaseUrl {
        let in_data_dir = || DatabaseUrl::Sqlite(self.service.data_dir.join("faceofmind.db"));
        self.store.given_url.clone().unwrap_or_else(in_data_dir)
    }

    /// The environment names of the secrets that are not given. Development generates these.
    pub fn missing_secrets(&self) -> Vec<&'static str> {
        let Tokens { secret_token, access_token, refresh_token, data_keys, .. } = &self.tokens;
        let missing = [
            (secret_token.is_none() && access_token.is_none(), "JWT_SECRET_TOKEN"),
            (refresh_token.is_none(), "JWT_REFRESH_TOKEN"),
            (data_keys.is_none(), "DATA_KEY"),
        ];
        missing.into_iter().filter_map(|(missing, name)| missing.then_some(name)).collect()
    }

    /// Settings that work but are risky, one sentence each, to be logged at the start.
    pub fn warnings(&self) -> Vec<String> {
        checks::warnings(self)
    }

    /// The servers and files that the service uses, passwords masked.
    pub fn summary(&self) -> Summary<'_> {
        Summary(self)
    }
}

fn skipped_line(line: usize) -> SettingError {
    SettingError {
        setting: format!("line {line}"),
        layer: Source::DotEnv.to_string(),
        problem: "the line was skipped, because it is not NAME=value".to_owned(),
        remedy: "Write NAME=value, with quotes around a value of several lines, or # before a comment.".to_owned(),
    }
}

impl ConfigSources {
    /// The names of the settings whose values come from `.env`.
    pub fn names_in_dotenv(effective: &[Effective]) -> Vec<String> {
        let in_dotenv = effective.iter().filter(|setting| setting.source == Source::DotEnv);
        in_dotenv.map(|setting| Source::DotEnv.name_of(setting.key)).collect()
    }

    /// What is wrong with the `.env` and does not prevent the start, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let skipped = self.skipped_lines.iter().map(|line| skipped_line(*line).to_string());
        let exposed =
            self.is_exposed.then(|| ".env can be read by other users of this machine: `chmod 600 .env`".to_owned());
        skipped.chain(exposed).collect()
    }
}

/// Prints the servers and files that the service uses, a line each.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a>(&'a Settings);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { service, store, events, mail, suggestions, .. } = self.0;
        match self.0.database_url() {
            DatabaseUrl::Sqlite(path) => writeln!(f, "state   SQLite, {}", path.display())?,
            DatabaseUrl::Postgres(url) => writeln!(f, "state   PostgreSQL, {url}")?,
        }
        match &store.redis_url {
            Some(url) => writeln!(f, "codes   Redis, {url}")?,
            None => writeln!(f, "codes   tables in the database")?,
        }
        match events.nats_urls.as_slice() {
            [] => writeln!(f, "events  outbox, in this process only")?,
            [url, ..] => writeln!(f, "events  outbox and NATS JetStream, {url}")?,
        }
        match &suggestions.url {
            Some(url) => writeln!(f, "advice  {url}, else the catalogue")?,
            None => writeln!(f, "advice  the built-in catalogue")?,
        }
        match &mail.host {
            Some(host) => write!(f, "mail    SMTP, {host}:{}", mail.port),
            None => write!(f, "mail    files, {}", service.data_dir.join("mail").display()),
        }
    }
}

#[cfg(test)]
mod tests;
