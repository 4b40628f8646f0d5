//! The secrets, complete: those given, and in development those that were generated once into the data directory.

mod file;

use std::{
    io,
    path::{Path, PathBuf},
};

use faceofmind_kit::Rng;
use secrecy::SecretString;
use thiserror::Error;

pub use file::create_private_dir;

use file::Generated;

use super::{DataKeys, Settings, Tokens};

/// What the service signs and seals with.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Signs access tokens, and verifies them.
    pub access: SecretString,
    /// Verifies access tokens as well, when both `JWT_SECRET_TOKEN` and `JWT_ACCESS_TOKEN` are given.
    pub access_also: Option<SecretString>,
    /// Signs refresh tokens.
    pub refresh: SecretString,
    /// Seal personal texts.
    pub data_keys: DataKeys,
}

impl Secrets {
    /// Takes what was given. What was not comes from `$DATA_DIR/secrets.toml`, which is made first if it is not there.
    ///
    /// # Errors
    /// When that file can be neither made nor read, or is not whole.
    pub fn obtain(settings: &Settings, rng: &Rng) -> Result<Self, SecretsError> {
        let Tokens { secret_token, access_token, refresh_token, data_keys, .. } = settings.tokens.clone();
        let mut access = secret_token.into_iter().chain(access_token);
        let (access, access_also) = (access.next(), access.next());
        if let (Some(access), Some(refresh), Some(data_keys)) = (&access, &refresh_token, &data_keys) {
            let (access, refresh, data_keys) = (access.clone(), refresh.clone(), data_keys.clone());
            return Ok(Self { access, access_also, refresh, data_keys });
        }
        let generated = Generated::read_or_make(&settings.service.data_dir, rng)?;
        Ok(Self {
            access: access.unwrap_or(generated.access),
            access_also,
            refresh: refresh_token.unwrap_or(generated.refresh),
            data_keys: data_keys.unwrap_or(generated.data_keys),
        })
    }

    /// The keys that the service seals with: those given, else those of `$DATA_DIR/secrets.toml`. Makes nothing.
    ///
    /// # Errors
    /// [`SecretsError::NoDataKey`] when there are neither; when the file cannot be read, or is not whole.
    pub fn data_keys(settings: &Settings) -> Result<DataKeys, SecretsError> {
        match settings.tokens.data_keys.clone() {
            Some(given) => Ok(given),
            None => Generated::read_if_made(&settings.service.data_dir).map(|generated| generated.data_keys),
        }
    }
}

/// The secrets file is unusable.
#[derive(Debug, Error)]
pub enum SecretsError {
    /// The disk said no.
    #[error(
        "{}: cannot be {action}: {cause}. Make DATA_DIR writable, or give JWT_SECRET_TOKEN, JWT_REFRESH_TOKEN and DATA_KEY",
        path.display()
    )]
    Disk {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: "created", "read".
        action: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },
    /// It is there and not whole.
    #[error(
        "{}: {problem}. Restore it, or delete it to have all secrets made anew: then everybody is logged out, and what \
         was sealed with the old data_key cannot be opened any more",
        path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, repeating nothing of it.
        problem: String,
    },
    /// A key was not given, and none may be made.
    #[error(
        "DATA_KEY is not given, and there is no {}: give DATA_KEY or DATA_DIR as the service has it",
        path.display()
    )]
    NoDataKey {
        /// Where the service would have kept one that it made.
        path: PathBuf,
    },
}

impl SecretsError {
    /// What turns the operating system's error into one about `path`.
    fn disk(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Disk { path, action, cause }
    }
}

#[cfg(test)]
mod tests;
