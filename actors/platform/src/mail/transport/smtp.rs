//! Mails to a mail server (RFC 5321).

use std::{error::Error as _, fmt, sync::Mutex, time::Duration};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    extension::ClientId,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{Mail, Reason, SendError};

/// The most connections at once; who finds them all in use waits. Mail servers dislike more.
const MOST_CONNECTIONS: usize = 4;
/// A connection that has rested longer is not used again: servers and firewalls have forgotten it by then.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Refusals that speak of who we are and not of the mail (RFC 4954 §6): right again once the operator has set them right.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// How the conversation is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all: for a mail catcher on this machine.
    None,
    /// From the command STARTTLS on (RFC 3207); a server that does not offer it gets no mail.
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
}

/// The mail server, and how to speak to it.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name, which its certificate must show.
    pub host: String,
    /// Its port: 587 for STARTTLS, 465 for TLS, as a rule.
    pub port: u16,
    /// Encryption. The system's root certificates are trusted (`SSL_CERT_FILE` names others).
    pub tls: SmtpTls,
    /// Whom to log in as, when there is a password.
    pub username: String,
    /// The password; without one nobody logs in.
    pub password: Option<SecretString>,
    /// The longest that one mail may take, from connecting to the server's last answer.
    pub timeout: Duration,
}

/// A mail server, and a few connections to it.
///
/// The connections are lettre's and the pool is ours. lettre's own pool takes a connection back when a send is given up
/// halfway (a deadline, a caller gone), in the middle of its conversation, and the next mail is then taken for sent, or
/// for refused, by the answers meant for the one before. Here a connection is kept only after its mail was answered.
/// lettre also puts no deadline on anything but connecting.
pub struct Smtp {
    settings: SmtpSettings,
    encryption: Option<TlsParameters>,
    free: Semaphore,
    resting: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Smtp {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, SendError> {
        let encryption = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => Some(TlsParameters::new(settings.host.clone()).map_err(broken)?),
        };
        let (free, resting) = (Semaphore::new(MOST_CONNECTIONS), Mutex::default());
        Ok(Self { settings, encryption, free, resting })
    }

    pub(super) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let bytes = mail.bytes();
        self.within_deadline(async {
            let mut connection = self.connection().await.map_err(broken)?;
            connection.send(mail.message.envelope(), &bytes).await.map_err(refused)?;
            self.rest(connection);
            Ok(())
        })
        .await
    }

    pub(super) async fn answers(&self) -> bool {
        let greeted = self.within_deadline(async {
            let connection = self.connection().await.map_err(broken)?;
            self.rest(connection);
            Ok(())
        });
        greeted.await.is_ok()
    }

    async fn within_deadline(&self, talk: impl Future<Output = Result<(), SendError>>) -> Result<(), SendError> {
        let _turn = self.free.acquire().await.map_err(|_| transient("stopped"))?;
        let limit = self.settings.timeout;
        timeout(limit, talk).await.unwrap_or_else(|_| Err(transient(format_args!("no answer within {limit:?}"))))
    }

    /// A connection that has just answered: one that rested, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut rested) = self.rested() {
            if rested.test_connected().await {
                return Ok(rested);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let SmtpSettings { host, port, tls, username, password, .. } = &self.settings;
        let (at_once, later) = match tls {
            SmtpTls::Tls => (self.encryption.clone(), None),
            SmtpTls::Starttls | SmtpTls::None => (None, self.encryption.clone()),
        };
        let (server, us) = ((host.as_str(), *port), ClientId::default());
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &us, at_once, None).await?;
        if let Some(encryption) = later {
            connection.starttls(encryption, &us).await?;
        }
        if let Some(password) = password {
            let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    fn rested(&self) -> Option<AsyncSmtpConnection> {
        let mut resting = self.resting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        resting.retain(|(_, since)| since.elapsed() < LONGEST_REST);
        resting.pop().map(|(connection, _)| connection)
    }

    fn rest(&self, connection: AsyncSmtpConnection) {
        let mut resting = self.resting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        resting.push((connection, Instant::now()));
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Before the mail was mentioned: whatever went wrong, the mail is not to blame.
fn broken(error: Error) -> SendError {
    SendError::Transient(reason(&error))
}

/// An answer to the mail itself.
fn refused(error: Error) -> SendError {
    let about_us = error.status().is_some_and(|code| ABOUT_US.contains(&u16::from(code)));
    let unfit = error.is_client();
    if unfit || (error.is_permanent() && !about_us) {
        SendError::Permanent(reason(&error))
    } else {
        SendError::Transient(reason(&error))
    }
}

fn transient(what: impl fmt::Display) -> SendError {
    SendError::Transient(Reason::new(what))
}

fn reason(error: &Error) -> Reason {
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(reply) => match enhanced_status(&said) {
            Some(status) => Reason::new(format_args!("the mail server answered {reply} {status}")),
            None => Reason::new(format_args!("the mail server answered {reply}")),
        },
        None if error.is_response() => Reason::new("the mail server's answer makes no sense"),
        None if said.is_empty() => Reason::new("the connection to the mail server failed"),
        None => Reason::new(format_args!("the connection to the mail server failed: {said}")),
    }
}

/// The code that a reply's text may begin with, such as `5.1.1` (RFC 3463 §2); nothing else of the text.
fn enhanced_status(said: &str) -> Option<&str> {
    let first = said.split_ascii_whitespace().next()?;
    let numbers: Vec<&str> = first.split('.').collect();
    let is_number = |digits: &&str| (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (numbers.len() == 3 && numbers.iter().all(is_number)).then_some(first)
}

#[cfg(test)]
mod tests;
