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

/// The most connections. Further mails wait, because mail servers limit connections of one client.
const MAX_CONNECTIONS: usize = 4;
/// A connection that was idle for longer is not used again: servers and firewalls may have dropped it.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// Refusals of the client and not of the mail (RFC 4954 §6). They end when the operator corrects the settings.
const OUR_FAULT_CODES: [u16; 4] = [530, 534, 535, 538];

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not encrypted: for a mail catcher on the same machine.
    None,
    /// Encrypted from the command STARTTLS on (RFC 3207). A server that does not offer it gets no mail.
    Starttls,
    /// Encrypted from the first byte (RFC 8314).
    Tls,
}

/// The mail server, and how to connect to it.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// The host name, which the certificate must have.
    pub host: String,
    /// Usually 587 for STARTTLS and 465 for TLS.
    pub port: u16,
    /// The system's root certificates are trusted (`SSL_CERT_FILE` names others).
    pub tls: SmtpTls,
    /// Used with a password only.
    pub username: String,
    /// Without a password the client does not log in.
    pub password: Option<SecretString>,
    /// The longest that one mail may take, from connecting to the server's last reply.
    pub timeout: Duration,
}

/// A client of a mail server, with a pool of connections.
///
/// The pool replaces lettre's for two reasons. lettre's takes a connection back when a send is aborted (a deadline, a dropped future), so that
/// the next mail is taken for sent or refused by the replies to the one before. Here a connection returns to the pool only after its mail was
/// replied to. And lettre has no deadline except for connecting.
pub struct Smtp {
    settings: SmtpSettings,
    encryption: Option<TlsParameters>,
    free: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Smtp {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, SendError> {
        let encryption = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => Some(TlsParameters::new(settings.host.clone()).map_err(broken)?),
        };
        let (free, idle) = (Semaphore::new(MAX_CONNECTIONS), Mutex::default());
        Ok(Self { settings, encryption, free, idle })
    }

    pub(super) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let bytes = mail.bytes();
        self.within_deadline(async {
            let mut connection = self.connection().await.map_err(broken)?;
            connection.send(mail.message.envelope(), &bytes).await.map_err(refused)?;
            self.return_to_pool(connection);
            Ok(())
        })
        .await
    }

    pub(super) async fn ping(&self) -> bool {
        let connected = self.within_deadline(async {
            let connection = self.connection().await.map_err(broken)?;
            self.return_to_pool(connection);
            Ok(())
        });
        connected.await.is_ok()
    }

    async fn within_deadline(
        &self,
        conversation: impl Future<Output = Result<(), SendError>>,
    ) -> Result<(), SendError> {
        let _permit = self.free.acquire().await.map_err(|_| transient("stopped"))?;
        let limit = self.settings.timeout;
        timeout(limit, conversation).await.unwrap_or_else(|_| Err(transient(format_args!("no reply within {limit:?}"))))
    }

    /// Returns an idle connection that responds, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut idle) = self.take_idle() {
            if idle.test_connected().await {
                return Ok(idle);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let SmtpSettings { host, port, tls, username, password, .. } = &self.settings;
        let (immediate, starttls) = match tls {
            SmtpTls::Tls => (self.encryption.clone(), None),
            SmtpTls::Starttls | SmtpTls::None => (None, self.encryption.clone()),
        };
        let (server, us) = ((host.as_str(), *port), ClientId::default());
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &us, immediate, None).await?;
        if let Some(encryption) = starttls {
            connection.starttls(encryption, &us).await?;
        }
        if let Some(password) = password {
            let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn return_to_pool(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        idle.push((connection, Instant::now()));
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// An error before the mail was transmitted: a later attempt may succeed.
fn broken(error: Error) -> SendError {
    SendError::Transient(reason(&error))
}

/// A refusal of the mail.
fn refused(error: Error) -> SendError {
    let our_fault = error.status().is_some_and(|code| OUR_FAULT_CODES.contains(&u16::from(code)));
    let invalid = error.is_client();
    if invalid || (error.is_permanent() && !our_fault) {
        SendError::Permanent(reason(&error))
    } else {
        SendError::Transient(reason(&error))
    }
}

fn transient(what: impl fmt::Display) -> SendError {
    SendError::Transient(Reason::new(what))
}

fn reason(error: &Error) -> Reason {
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(reply) => match enhanced_status(&text) {
            Some(status) => Reason::new(format_args!("the mail server replied {reply} {status}")),
            None => Reason::new(format_args!("the mail server replied {reply}")),
        },
        None if error.is_response() => Reason::new("the mail server's reply is invalid"),
        None if text.is_empty() => Reason::new("the connection to the mail server failed"),
        None => Reason::new(format_args!("the connection to the mail server failed: {text}")),
    }
}

/// Returns the status code that a reply's text may begin with, such as `5.1.1` (RFC 3463 §2), and nothing else of the text.
fn enhanced_status(text: &str) -> Option<&str> {
    let first = text.split_ascii_whitespace().next()?;
    let numbers: Vec<&str> = first.split('.').collect();
    let is_number = |digits: &&str| (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (numbers.len() == 3 && numbers.iter().all(is_number)).then_some(first)
}

#[cfg(test)]
mod tests;
