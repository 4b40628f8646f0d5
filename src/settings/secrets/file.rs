//! `$DATA_DIR/secrets.toml`: made once, read at every start.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use faceofmind_kit::Rng;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;

use super::SecretsError;
use crate::settings::DataKeys;

const NAME: &str = "secrets.toml";
const NOT_WHOLE: &str = "it does not hold jwt_secret_token, jwt_refresh_token and data_key, each a string, and no more";

/// The generated secrets. All are made even when some were given, so the file is always whole.
pub(super) struct Generated {
    pub(super) access: SecretString,
    pub(super) refresh: SecretString,
    pub(super) data_keys: DataKeys,
}

/// What stands in the file, under the names that the settings have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    jwt_secret_token: SecretString,
    jwt_refresh_token: SecretString,
    data_key: SecretString,
}

impl Generated {
    /// Reads the file in `data_dir`, which is made first if there is none. Of several who make it at the same time one
    /// wins, and all read the same.
    pub(super) fn read_or_make(data_dir: &Path, rng: &Rng) -> Result<Self, SecretsError> {
        let path = data_dir.join(NAME);
        if !path.try_exists().map_err(SecretsError::disk(&path, "looked for"))? {
            create_private_dir(data_dir).map_err(SecretsError::disk(data_dir, "created"))?;
            make(&path, rng).map_err(SecretsError::disk(&path, "created"))?;
            tracing::info!(path = %path.display(), "secrets were not given, so they were generated");
        }
        Self::read(&path)
    }

    /// Reads the file in `data_dir`, if one was made.
    pub(super) fn read_if_made(data_dir: &Path) -> Result<Self, SecretsError> {
        let path = data_dir.join(NAME);
        let made = path.try_exists().map_err(SecretsError::disk(&path, "looked for"))?;
        if made { Self::read(&path) } else { Err(SecretsError::NoDataKey { path }) }
    }

    fn read(path: &Path) -> Result<Self, SecretsError> {
        let text = Zeroizing::new(fs::read_to_string(path).map_err(SecretsError::disk(path, "read"))?);
        warn_of_readers(path);
        let broken = |problem| SecretsError::Broken { path: path.to_owned(), problem };
        // Nothing of the parser's own words: they may quote what they could not read.
        let content: Content = toml::from_str(&text).map_err(|_| broken(NOT_WHOLE.to_owned()))?;
        let data_keys = DataKeys::parse(content.data_key.expose_secret());
        let data_keys = data_keys.map_err(|reason| broken(format!("data_key {reason}")))?;
        let [access, refresh] = [content.jwt_secret_token, content.jwt_refresh_token];
        if access.expose_secret().is_empty() || refresh.expose_secret().is_empty() {
            return Err(broken("a secret is empty".to_owned()));
        }
        Ok(Self { access, refresh, data_keys })
    }
}

/// Makes the file at `path` with all its content or not at all; one that has appeared meanwhile stays.
fn make(path: &Path, rng: &Rng) -> io::Result<()> {
    let draft = path.with_extension(format!("{:x}.tmp", rng.random_below(u32::MAX)));
    let made = write_private(&draft, content(rng).as_bytes()).and_then(|()| publish(&draft, path));
    // After a rename it is gone already.
    let _ = fs::remove_file(&draft);
    made
}

fn content(rng: &Rng) -> Zeroizing<String> {
    let secret = || Zeroizing::new(STANDARD.encode(rng.bytes::<32>()));
    let [access, refresh, data] = [secret(), secret(), secret()];
    Zeroizing::new(format!(
        "# Made at the first start in development, since these were not given. Keep it: without it everybody is logged\n\
         # out, and what was sealed with data_key cannot be opened.\n\
         jwt_secret_token = \"{}\"\n\
         jwt_refresh_token = \"{}\"\n\
         data_key = \"dev:{}\"\n",
        *access, *refresh, *data
    ))
}

/// Gives the whole `draft` its final name, unless that is taken.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links.
        Err(_) => fs::rename(draft, path),
        Ok(()) => Ok(()),
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the directory at `path`, and those above it that are missing, for this user alone. One that is there stays as
/// it is.
///
/// # Errors
/// When the operating system refuses.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map(|file| file.permissions().mode() & 0o777).unwrap_or_default();
    if mode & 0o077 != 0 {
        let mode = format!("{mode:o}");
        tracing::warn!(path = %path.display(), mode, "others may read the generated secrets: run `chmod 600` on the file");
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}
