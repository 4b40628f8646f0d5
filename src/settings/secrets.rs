//! The secrets: those given and, in development, those generated once into the data directory.

mod file;

use std::{
    io,
    path::{Path, PathBuf},
};

use faceofmind_base::Rng;
use secrecy::SecretString;
use thiserror::Error;

pub use file::create_private_dir;

use file::Generated;

use super::{data_keys::DataKeys, groups::Tokens};

/// The keys that sign tokens and encrypt texts.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Signs and verifies access tokens.
    pub access: SecretString,
    /// Verifies access tokens too. It is `JWT_ACCESS_TOKEN` if `JWT_SECRET_TOKEN` is also given, else `None`.
    pub access_also: Option<SecretString>,
    /// Signs and verifies refresh tokens.
    pub refresh: SecretString,
    /// Encrypt personal texts.
    pub data_keys: DataKeys,
}

impl Secrets {
    /// Takes the given secrets, and the others from `secrets.toml` in `data_dir`. Generates that file if it does not exist.
    ///
    /// # Errors
    /// If that file cannot be written or read, or is incomplete.
    pub fn load_or_generate(tokens: &Tokens, data_dir: &Path, rng: &Rng) -> Result<Self, SecretsError> {
        let Tokens { secret_token, access_token, refresh_token, data_keys, .. } = tokens.clone();
        let mut access = secret_token.into_iter().chain(access_token);
        let (access, access_also) = (access.next(), access.next());
        if let (Some(access), Some(refresh), Some(data_keys)) = (&access, &refresh_token, &data_keys) {
            let (access, refresh, data_keys) = (access.clone(), refresh.clone(), data_keys.clone());
            return Ok(Self { access, access_also, refresh, data_keys });
        }
        let generated = Generated::read_or_create(data_dir, rng)?;
        Ok(Self {
            access: access.unwrap_or(generated.access),
            access_also,
            refresh: refresh_token.unwrap_or(generated.refresh),
            data_keys: data_keys.unwrap_or(generated.data_keys),
        })
    }

    /// The given data keys, or those of `secrets.toml` in `data_dir`. Generates nothing.
    ///
    /// # Errors
    /// [`SecretsError::NoDataKey`] if there are neither; other errors if the file cannot be read or is incomplete.
    pub fn data_keys(tokens: &Tokens, data_dir: &Path) -> Result<DataKeys, SecretsError> {
        match tokens.data_keys.clone() {
            Some(given) => Ok(given),
            None => Generated::read_if_exists(data_dir).map(|generated| generated.data_keys),
        }
    }
}

/// The secrets file cannot be used.
#[derive(Debug, Error)]
pub enum SecretsError {
    /// A file or directory cannot be accessed.
    #[error(
        "{}: cannot be {action}: {cause}. Make DATA_DIR writable, or give JWT_SECRET_TOKEN, JWT_REFRESH_TOKEN and DATA_KEY",
        path.display()
    )]
    Disk {
        /// The file or directory.
        path: PathBuf,
        /// The failed action: "created", "read".
        action: &'static str,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The file is incomplete.
    #[error(
        "{}: {problem}. Restore it. Or delete it, and the next start generates new secrets: then all users are logged out, \
         and texts encrypted with the old data_key are lost",
        path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content of the file.
        problem: String,
    },
    /// No data key is given, and this command must not generate one.
    #[error(
        "DATA_KEY is not given, and {} does not exist: give the service's DATA_KEY or DATA_DIR",
        path.display()
    )]
    NoDataKey {
        /// The file in which the service would have kept a generated key.
        path: PathBuf,
    },
}

impl SecretsError {
    /// Converts an error of the operating system into one about `path`.
    fn disk(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Disk { path, action, cause }
    }
}

#[cfg(test)]
mod tests;
