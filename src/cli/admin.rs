//! `faceofmind admin create --email …`. The password comes from the terminal or standard input. Every user of the machine could read an
//! argument.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use thiserror::Error;

use super::Failure;
use crate::{
    app::{self, NewAdmin},
    settings::ConfigSources,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an active admin; prompts for the password, or reads it from the first line of standard input
    Create(Create),
}

#[derive(Args, Debug)]
pub(super) struct Create {
    /// The e-mail address
    #[arg(long)]
    email: String,
    /// The given name
    #[arg(long, default_value = "FaceofMind")]
    first_name: String,
    /// The family name
    #[arg(long, default_value = "Admin")]
    last_name: String,
}

impl Command {
    pub(super) fn run(self, sources: &ConfigSources) -> Result<ExitCode, Failure> {
        let Self::Create(Create { email, first_name, last_name }) = self;
        let settings = super::init(sources)?;
        let password = if io::stdin().is_terminal() { prompt() } else { first_line(io::stdin().lock()) }?;
        super::block_on(app::create_admin(&settings, NewAdmin { email, first_name, last_name, password }))
    }
}

#[derive(Debug, Error)]
enum PasswordError {
    #[error("the two passwords differ; run the command again")]
    Differ,
    #[error("no password was given; type one, or give it as the first line of standard input")]
    Empty,
    #[error("the password cannot be read; give it as the first line of standard input")]
    Read(#[from] io::Error),
}

/// Prompts twice at the terminal, without echo.
fn prompt() -> Result<SecretString, PasswordError> {
    let first = SecretString::from(rpassword::prompt_password("Password: ")?);
    let second = SecretString::from(rpassword::prompt_password("Password again: ")?);
    if first.expose_secret() != second.expose_secret() {
        return Err(PasswordError::Differ);
    }
    not_empty(first)
}

/// Longer than any password. The rest of an endless line is not read.
const MAX_LINE_BYTES: u64 = 4096;

fn first_line(input: impl BufRead) -> Result<SecretString, PasswordError> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE_BYTES as usize));
    input.take(MAX_LINE_BYTES).read_line(&mut line)?;
    not_empty(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}

fn not_empty(password: SecretString) -> Result<SecretString, PasswordError> {
    if password.expose_secret().is_empty() { Err(PasswordError::Empty) } else { Ok(password) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Option<String> {
        first_line(input).ok().map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        assert_eq!(read(b"correct horse \nsecond"), Some("correct horse ".to_owned()));
        assert_eq!(read(b"correct horse\r\n"), Some("correct horse".to_owned()));
        assert_eq!(read(b"correct horse"), Some("correct horse".to_owned()));
    }

    #[test]
    fn an_empty_password_is_rejected() {
        assert!(matches!(first_line(&b""[..]), Err(PasswordError::Empty)));
        assert!(matches!(first_line(&b"\n"[..]), Err(PasswordError::Empty)));
        assert!(matches!(first_line(&b"\xff\n"[..]), Err(PasswordError::Read(_))));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let endless = io::BufReader::new(io::repeat(b'a'));
        assert_eq!(first_line(endless).expect("cut").expose_secret().len(), 4096);
    }
}
