//! `$DATA_DIR/secrets.toml`: generated once, read at every start.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use faceofmind_base::Rng;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;

use super::SecretsError;
use crate::settings::data_keys::DataKeys;

const NAME: &str = "secrets.toml";
const INCOMPLETE: &str =
    "it must hold jwt_secret_token, jwt_refresh_token and data_key, each a string, and nothing else";

/// The generated secrets. All are generated even if some are given, so that the file is always complete.
pub(super) struct Generated {
    pub(super) access: SecretString,
    pub(super) refresh: SecretString,
    pub(super) data_keys: DataKeys,
}

/// The content of the file. Its keys are those of the settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    jwt_secret_token: SecretString,
    jwt_refresh_token: SecretString,
    data_key: SecretString,
}

impl Generated {
    /// Reads the file in `data_dir` and creates it before if it does not exist. If several processes create it at the same time,
    /// one file wins and all processes read that one.
    pub(super) fn read_or_create(data_dir: &Path, rng: &Rng) -> Result<Self, SecretsError> {
        let path = data_dir.join(NAME);
        if !path.try_exists().map_err(SecretsError::disk(&path, "checked"))? {
            create_private_dir(data_dir).map_err(SecretsError::disk(data_dir, "created"))?;
            create(&path, rng).map_err(SecretsError::disk(&path, "created"))?;
            tracing::info!(path = %path.display(), "generated the secrets that were not given; keep this file");
        }
        Self::read(&path)
    }

    /// Reads the file in `data_dir` if it exists.
    pub(super) fn read_if_exists(data_dir: &Path) -> Result<Self, SecretsError> {
        let path = data_dir.join(NAME);
        let exists = path.try_exists().map_err(SecretsError::disk(&path, "checked"))?;
        if exists { Self::read(&path) } else { Err(SecretsError::NoDataKey { path }) }
    }

    fn read(path: &Path) -> Result<Self, SecretsError> {
        let text = Zeroizing::new(fs::read_to_string(path).map_err(SecretsError::disk(path, "read"))?);
        warn_if_others_can_read(path);
        let broken = |problem| SecretsError::Broken { path: path.to_owned(), problem };
        // The parser's message may quote the secrets.
        let content: Content = toml::from_str(&text).map_err(|_| broken(INCOMPLETE.to_owned()))?;
        let data_keys = DataKeys::parse(content.data_key.expose_secret());
        let data_keys = data_keys.map_err(|reason| broken(format!("data_key {reason}")))?;
        let [access, refresh] = [content.jwt_secret_token, content.jwt_refresh_token];
        if access.expose_secret().is_empty() || refresh.expose_secret().is_empty() {
            return Err(broken("a secret is empty".to_owned()));
        }
        Ok(Self { access, refresh, data_keys })
    }
}

/// Creates the file at `path` with its complete content. A file that another process has created meanwhile stays.
fn create(path: &Path, rng: &Rng) -> io::Result<()> {
    let draft = path.with_extension(format!("{:x}.tmp", rng.random_below(u32::MAX)));
    let created = write_private(&draft, content(rng).as_bytes()).and_then(|()| publish(&draft, path));
    // It no longer exists after a rename.
    let _ = fs::remove_file(&draft);
    created
}

fn content(rng: &Rng) -> Zeroizing<String> {
    let secret = || Zeroizing::new(STANDARD.encode(rng.bytes::<32>()));
    let [access, refresh, data] = [secret(), secret(), secret()];
    Zeroizing::new(format!(
        "# Generated at the first start in development, because these secrets were not given. Keep this file: without it\n\
         # all users are logged out, and texts encrypted with data_key are lost.\n\
         jwt_secret_token = \"{}\"\n\
         jwt_refresh_token = \"{}\"\n\
         data_key = \"dev:{}\"\n",
        *access, *refresh, *data
    ))
}

/// Gives `draft` its final name unless a file of that name exists.
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

/// Creates the directory at `path` and its missing parents, accessible only by this user. An existing directory stays unchanged.
///
/// # Errors
/// If the operating system cannot create a directory.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map(|file| file.permissions().mode() & 0o777).unwrap_or_default();
    if mode & 0o077 != 0 {
        let mode = format!("{mode:o}");
        tracing::warn!(path = %path.display(), mode, "other users can read the generated secrets; run `chmod 600` on the file");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path) {}
