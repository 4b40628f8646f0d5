//! What may be set, from where, and what it then means.
//!
//! | file | what |
//! |---|---|
//! | `groups` | every setting, once |
//! | `layers` | where values come from: built-in files < `--config` < environment < command line |
//! | `reader`, `setting` | one value out of the layers; all errors at once |
//! | `checks` | what settings ask of one another |
//! | `secrets` | what development generates, the one part that touches the disk |

mod checks;
mod data_keys;
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
pub use layers::{Layers, Source};
pub use reader::Effective;
pub use secret_url::SecretUrl;
pub use secrets::{Secrets, SecretsError, create_private_dir};
pub use values::{CorsOrigins, DatabaseUrl, Environment, SmtpTls};

use reader::Reader;

/// Everything that was set, read and judged. Prints nothing secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How strict to be, and where things are kept.
    pub service: Service,
    /// The public port and the operators'.
    pub http: Http,
    /// The database, and Redis beside it.
    pub store: Store,
    /// How events travel.
    pub events: Events,
    /// Tokens and keys as given.
    pub tokens: Tokens,
    /// How passwords are judged and hashed.
    pub passwords: Passwords,
    /// The mail server and whom mails are from.
    pub mail: Mail,
    /// Who writes suggestions before the built-in catalogue does.
    pub suggestions: Suggestions,
    /// How often a thing may be tried.
    pub limits: Limits,
}

impl Settings {
    /// Reads `layers`, touching nothing outside them.
    ///
    /// # Errors
    /// All that is wrong in any layer, at once.
    pub fn load(layers: &Layers) -> Result<Self, Vec<SettingError>> {
        Self::explain(layers).map(|(settings, _)| settings)
    }

    /// The same, and besides each setting as it is in effect, with the layer that it came from.
    ///
    /// # Errors
    /// All that is wrong in any layer, at once.
    pub fn explain(layers: &Layers) -> Result<(Self, Vec<Effective>), Vec<SettingError>> {
        Self::read(layers, cfg!(feature = "test-hooks"))
    }

    fn read(layers: &Layers, hooks: bool) -> Result<(Self, Vec<Effective>), Vec<SettingError>> {
        let production = reader::production_layer().map_err(|error| vec![error])?;
        let mut reader = Reader::new(layers, &production);
        let settings = Self::assemble(&mut reader, hooks);
        reader.finish(settings)
    }

    /// Every group is read before any is missed.
    fn assemble(from: &mut Reader<'_>, hooks: bool) -> Option<Self> {
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

    /// Where the state is kept: as `DATABASE_URL` says, else in `$DATA_DIR/faceofmind.db`.
    pub fn database_url(&self) -> DatabaseUrl {
        let in_data_dir = || DatabaseUrl::Sqlite(self.service.data_dir.join("faceofmind.db"));
        self.store.given_url.clone().unwrap_or_else(in_data_dir)
    }

    /// The environment names of the secrets that were not given, which development generates.
    pub fn missing_secrets(&self) -> Vec<&'static str> {
        let Tokens { secret_token, access_token, refresh_token, data_keys, .. } = &self.tokens;
        let missing = [
            (secret_token.is_none() && access_token.is_none(), "JWT_SECRET_TOKEN"),
            (refresh_token.is_none(), "JWT_REFRESH_TOKEN"),
            (data_keys.is_none(), "DATA_KEY"),
        ];
        missing.into_iter().filter_map(|(missing, name)| missing.then_some(name)).collect()
    }

    /// What may be meant so, yet deserves a look, one sentence each: to be logged at the start.
    pub fn warnings(&self) -> Vec<String> {
        checks::warnings(self)
    }

    /// Which part runs on what, passwords masked.
    pub fn parts(&self) -> Parts<'_> {
        Parts(self)
    }
}

/// Prints which part runs on what, a line each.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a>(&'a Settings);

impl fmt::Display for Parts<'_> {
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
