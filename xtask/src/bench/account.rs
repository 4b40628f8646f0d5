//! The accounts of the measurements, created over HTTP.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use mail_parser::MessageParser;
use serde_json::{Value, json};

use super::http;
use crate::{interrupt::Interrupt, wait};

pub(crate) const EMAIL: &str = "bench@example.com";
pub(crate) const PASSWORD: &str = "Larch-Quarry-Violin-72";
const MAIL_TIMEOUT: Duration = Duration::from_secs(30);

/// An account of the service at a port.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) port: u16,
    pub(crate) access_token: String,
}

impl Account {
    /// Registers, verifies with the code of the mail that arrives in the folder `mails`, and logs in.
    pub(crate) fn create(port: u16, email: &str, mails: &Path, interrupt: &Interrupt) -> Result<Self> {
        Self::create_with(port, &Self::credentials(email), mails, interrupt)
    }

    /// The same with these credentials.
    pub(crate) fn create_with(port: u16, credentials: &Value, mails: &Path, interrupt: &Interrupt) -> Result<Self> {
        let email = credentials["email"].as_str().context("no address")?;
        let mut form = credentials.clone();
        form["first_name"] = "Bench".into();
        form["last_name"] = "Mark".into();
        http::post(port, "/api/v1/auth/register", "", &form)?;
        let otp = wait::until("the mail with the code", MAIL_TIMEOUT, interrupt, || Ok(mailed_code(mails, email)))?;
        http::post(port, "/api/v1/auth/verify-otp", "", &json!({"email": email, "otp": otp}))?;
        let login = http::post(port, "/api/v1/auth/login", "", credentials)?;
        let access_token = login["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { port, access_token })
    }

    /// The same for the server at another port.
    pub(crate) fn at(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// The body of a login.
    pub(crate) fn credentials(email: &str) -> Value {
        json!({"email": email, "password": PASSWORD})
    }
}

/// The code is the only run of six digits in a mail's text.
fn mailed_code(mails: &Path, email: &str) -> Option<String> {
    let arrived = fs::read_dir(mails).ok()?;
    arrived.flatten().find_map(|file| {
        let raw = fs::read(file.path()).ok()?;
        let read = MessageParser::default().parse(&raw)?;
        read.to()?.first()?.address().filter(|to| *to == email)?;
        let text = read.body_text(0)?;
        let mut runs = text.split(|c: char| !c.is_ascii_digit());
        runs.find(|run| run.len() == 6).map(str::to_owned)
    })
}
