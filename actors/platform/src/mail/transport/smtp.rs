//! Mails to a mail server (RFC 5321).

use std::{
    error::Error as _,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    commands::{Data, Mail as MailFrom, Rcpt},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{Mail, Reason, SendError};

/// The most connections, one for each mail in flight. Mail servers limit the connections of one client, often to 50.
pub(in crate::mail) const MAX_CONNECTIONS: usize = 20;
/// A connection that was idle for longer is not used again: servers and firewalls may have dropped it.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// Replies to a recipient that are about that recipient (RFC 5321 §4.2.3), where the server gives no enhanced status.
const RECIPIENT_CODES: [u16; 3] = [550, 551, 553];
/// Enhanced status codes of the sender among those of addresses (RFC 3463 §3.2).
const SENDER_STATUS: [&str; 2] = ["5.1.7", "5.1.8"];

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
    /// Whether a mail did not go out for a reason that is not about its recipient, and none has since.
    has_failed: AtomicBool,
    /// Whether the server has refused this service, and taken no mail since.
    refuses_us: AtomicBool,
}

impl Smtp {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, SendError> {
        let encryption = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => Some(TlsParameters::new(settings.host.clone()).map_err(broken)?),
        };
        let (free, idle) = (Semaphore::new(MAX_CONNECTIONS), Mutex::default());
        let [has_failed, refuses_us] = Default::default();
        Ok(Self { settings, encryption, free, idle, has_failed, refuses_us })
    }

    pub(super) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let [is_connected, is_transmitted]: [AtomicBool; 2] = Default::default();
        let sent = self.within_deadline(async {
            let mut connection = self.connection().await.map_err(broken)?;
            is_connected.store(true, Ordering::Relaxed);
            transmit(&mut connection, mail, &is_transmitted).await?;
            self.return_to_pool(connection);
            Ok(())
        });
        let sent = match sent.await {
            // The server may have accepted the mail, and its reply was lost.
            Err(SendError::Transient(reason)) if is_transmitted.load(Ordering::Relaxed) => {
                Err(SendError::Unclear(reason))
            }
            sent => sent,
        };
        if !is_connected.load(Ordering::Relaxed) {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        self.record(&sent);
        sent
    }

    /// Whether a mail has gone out after others failed. True once.
    pub(super) fn has_recovered(&self) -> bool {
        !self.refuses_us.load(Ordering::Relaxed) && self.has_failed.swap(false, Ordering::Relaxed)
    }

    fn record(&self, sent: &Result<(), SendError>) {
        match sent {
            Ok(()) => self.refuses_us.store(false, Ordering::Relaxed),
            Err(SendError::RefusesUs(reason)) => {
                self.has_failed.store(true, Ordering::Relaxed);
                if !self.refuses_us.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        %reason,
                        "mail server refused this service, and mails stay queued; check SMTP_EMAIL, SMTP_PASSWORD and the policy of the server"
                    );
                }
            }
            Err(SendError::Transient(_) | SendError::Unclear(_) | SendError::Permanent(_)) => {}
        }
    }

    pub(super) async fn ping(&self) -> bool {
        let connected = self.within_deadline(async {
            let connection = self.connection().await.map_err(broken)?;
            self.return_to_pool(connection);
            Ok(())
        });
        connected.await.is_ok() && !self.refuses_us.load(Ordering::Relaxed)
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

/// Sends a mail command by command, so that a refusal shows whether it is about the recipient. Sets `is_transmitted` when the mail is out and
/// the server's last reply is awaited.
async fn transmit(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    is_transmitted: &AtomicBool,
) -> Result<(), SendError> {
    let (envelope, bytes) = (mail.message.envelope(), mail.bytes());
    let mut addresses = envelope.to().iter().chain(envelope.from());
    let is_ascii = addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii());
    let mut options = Vec::new();
    for (is_needed, extension, option) in [
        (!is_ascii, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
        (!bytes.is_ascii(), Extension::EightBitMime, MailParameter::Body(MailBodyParameter::EightBitMime)),
    ] {
        if is_needed && !connection.server_info().supports_feature(extension) {
            return Err(SendError::Permanent(Reason::new("the mail server takes no such addresses or characters")));
        }
        options.extend(is_needed.then_some(option));
    }
    let refuses_us = |error| refused(error, false);
    connection.command(MailFrom::new(envelope.from().cloned(), options)).await.map_err(refuses_us)?;
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await.map_err(|error| refused(error, true))?;
    }
    connection.command(Data).await.map_err(refuses_us)?;
    is_transmitted.store(true, Ordering::Relaxed);
    let answered = connection.message(&bytes).await;
    is_transmitted.store(answered.as_ref().is_err_and(|error| error.status().is_none()), Ordering::Relaxed);
    answered.map(drop).map_err(refuses_us)
}

/// An error before the mail was transmitted: a later attempt may succeed.
fn broken(error: Error) -> SendError {
    if error.is_permanent() { SendError::RefusesUs(reason(&error)) } else { SendError::Transient(reason(&error)) }
}

/// A refusal of the mail. It is permanent only when it is about the recipient: what the server has against this service ends when the operator
/// corrects it.
fn refused(error: Error, is_of_recipient: bool) -> SendError {
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let is_about_recipient = match enhanced_status(&text) {
        Some(status) => {
            ["5.1.", "5.2."].iter().any(|class| status.starts_with(class)) && !SENDER_STATUS.contains(&status)
        }
        None => is_of_recipient && error.status().is_some_and(|code| RECIPIENT_CODES.contains(&u16::from(code))),
    };
    match (error.is_client(), error.is_permanent()) {
        (true, _) => SendError::Permanent(reason(&error)),
        (_, true) if is_about_recipient => SendError::Permanent(reason(&error)),
        (_, true) => SendError::RefusesUs(reason(&error)),
        _ => SendError::Transient(reason(&error)),
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
