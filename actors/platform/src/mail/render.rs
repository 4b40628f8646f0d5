//! From a template to a mail: text, parts and headers.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use faceofmind_base::Timestamp;
use faceofmind_model::{UserId, otp_code::alphabetic};
use jiff::ZonedDateTime;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};
use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig};
use uuid::Uuid;

use super::{
    DeviceLogin, Language, MailTemplate, Tries,
    sanitize::{as_typed, harmless_name, sanitize},
    templates,
};

/// Why a mail was not rendered. No variant names an address, a code or a person.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// `SMTP_EMAIL` is not a mail address.
    #[error("the sender's address is not a mail address; correct SMTP_EMAIL")]
    Sender,
    /// Mail cannot be sent to the stored address.
    #[error("the recipient's address is not a mail address")]
    Recipient,
    /// A template is broken, or uses a variable that does not exist.
    #[error("the template {name}, line {line}: {kind}")]
    Template {
        /// With its language: `en/welcome.txt`.
        name: String,
        line: usize,
        kind: minijinja::ErrorKind,
    },
    /// The rendered text has no subject, or its parts do not make a mail.
    #[error("the mail could not be put together")]
    Parts,
}

impl From<minijinja::Error> for RenderError {
    fn from(error: minijinja::Error) -> Self {
        let name = error.name().unwrap_or("(unnamed)").to_owned();
        Self::Template { name, line: error.line().unwrap_or(0), kind: error.kind() }
    }
}

/// What a mail needs beside its template.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// The mail job's id, used in `Message-ID` and in the name of the mail's file. A second mail with the same id is the same mail sent again.
    pub id: Uuid,
    /// The user whose account it is about. The mail's file is deleted with the account.
    pub user: UserId,
    pub to: &'a str,
    /// The `Date` header.
    pub date: Timestamp,
    pub language: Language,
}

/// A mail, ready to send.
pub struct Mail {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) message: Message,
}

impl Mail {
    /// Returns the mail as sent, with its code: headers, text and HTML (RFC 5322, RFC 2046 §5.1.4).
    pub fn bytes(&self) -> Vec<u8> {
        self.message.formatted()
    }
}

impl fmt::Debug for Mail {
    /// The id alone, so that no log holds a mail or its recipient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({})", self.id)
    }
}

/// Renders mails of one sender.
pub struct Renderer {
    templates: Environment<'static>,
    sender: Mailbox,
    public_url: String,
}

impl Renderer {
    /// The sender's address unless `SMTP_EMAIL` is set.
    pub const DEFAULT_SENDER: &'static str = "no-reply@faceofmind.local";
    const DEFAULT_PUBLIC_URL: &'static str = "http://127.0.0.1:9000";

    /// Returns a renderer for mails from the address `sender` (`SMTP_EMAIL`) with the display name `name` (`MAIL_FROM_NAME`). It parses a
    /// template at its first use, so that a service that sends no mail holds none.
    pub fn new(sender: &str, name: &str) -> Result<Self, RenderError> {
        let address = sender.trim().parse::<Address>().map_err(|_| RenderError::Sender)?;
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
        templates.set_loader(|name| Ok(templates::text(name).map(str::to_owned)));
        let (sender, public_url) = (Mailbox::new(Some(name.to_owned()), address), Self::DEFAULT_PUBLIC_URL.to_owned());
        Ok(Self { templates, sender, public_url })
    }

    /// Renders a mail with a text part and an HTML part that say the same.
    pub fn render(&self, template: &MailTemplate, envelope: Envelope<'_>) -> Result<Mail, RenderError> {
        let to = envelope.to.parse::<Address>().map_err(|_| RenderError::Recipient)?;
        let text = self.text(template, envelope)?;
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to))
            .subject(text.subject)
            .date(system_time(envelope.date))
            .message_id(Some(format!("<{}@{}>", envelope.id, self.sender.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", envelope.language.tag()))
            .multipart(alternatives(envelope.id, text.text, text.html))
            .map_err(|_| RenderError::Parts)?;
        Ok(Mail { id: envelope.id, user: envelope.user, message })
    }

    /// Lets links lead to the service at this URL.
    pub fn with_links_to(self, public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned(), ..self }
    }

    /// Returns the page that confirms what the mail is about. What the page sends is in the fragment, which browsers send to no server.
    fn link(&self, template: &MailTemplate, to: &str) -> Option<String> {
        let (purpose, token) = match template {
            MailTemplate::Welcome { link: Some(token), .. } => ("verify", token),
            MailTemplate::ResetCode { link: Some(token), .. } => ("reset", token),
            _ => return None,
        };
        Some(format!("{}/mail-link#{purpose}.{}.{}", self.public_url, token.reveal(), alphabetic(to.as_bytes())))
    }

    fn text(&self, template: &MailTemplate, envelope: Envelope<'_>) -> Result<MailText, RenderError> {
        let stem = format!("{}/{}", envelope.language.tag(), template.name());
        let vars = context! { link => self.link(template, envelope.to), ..template_vars(template) };
        let text = self.templates.get_template(&format!("{stem}.txt"))?.render(&vars)?;
        let (subject, text) = text.split_once("\n\n").ok_or(RenderError::Parts)?;
        let html = self.templates.get_template(&format!("{stem}.html"))?;
        let html = html.render(context! { subject, ..vars })?;
        Ok(MailText { subject: subject.to_owned(), text: text.to_owned(), html })
    }
}

/// A rendered template. The subject holds no name and no code, because lock screens show it.
struct MailText {
    subject: String,
    text: String,
    html: String,
}

/// A number with more digits could be taken for a code.
const MAX_SHOWN: u32 = 99_999;

/// The variables of a template. Text that clients sent is sanitized here, once, for the text part and the HTML part. A reminder goes only to
/// its author, so its title stays as typed.
fn template_vars(template: &MailTemplate) -> Value {
    match template {
        MailTemplate::Welcome { claim_name, claimed_at, network, has_others, code, expires_in_minutes, .. } => {
            context! {
                claim_name => harmless_name(claim_name),
                claimed_at => date_time(claimed_at),
                network,
                has_others,
                code => code.reveal(),
                minutes => expires_in_minutes,
            }
        }
        MailTemplate::AddressCode { claim_name, claimed_at, code, expires_in_minutes } => context! {
            claim_name => harmless_name(claim_name),
            claimed_at => date_time(claimed_at),
            code => code.reveal(),
            minutes => expires_in_minutes,
        },
        MailTemplate::ResetCode { first_name, code, expires_in_minutes, .. } => context! {
            first_name => harmless_name(first_name),
            code => code.reveal(),
            minutes => expires_in_minutes,
        },
        MailTemplate::AlreadyRegistered { first_name, tries: Tries { count, first, last } }
        | MailTemplate::AddressTaken { first_name, tries: Tries { count, first, last } } => context! {
            first_name => harmless_name(first_name),
            count => count.min(&MAX_SHOWN),
            first => date_time(first),
            last => date_time(last),
        },
        MailTemplate::PasswordChanged { first_name, at }
        | MailTemplate::AddressChangeAsked { first_name, at }
        | MailTemplate::AddressChanged { first_name, at } => context! {
            first_name => harmless_name(first_name),
            at => date_time(at),
        },
        MailTemplate::NewDevice { first_name, logins, more } => context! {
            first_name => harmless_name(first_name),
            logins => logins.iter().map(login_vars).collect::<Vec<_>>(),
            count => logins.len() + more,
            more,
        },
        MailTemplate::Reminder { first_name, title, date } => context! {
            first_name => harmless_name(first_name),
            title => as_typed(title),
            date => date.to_string(),
        },
    }
}

fn login_vars(DeviceLogin { device, address, at }: &DeviceLogin) -> Value {
    context! {
        device => sanitize(device),
        address => address.map(|address| address.to_string()),
        at => date_time(at),
    }
}

/// The parts of a time, so that each language can order them: `2026-03-05`, `14:05`, `Asia/Manila, UTC+08:00`.
fn date_time(at: &ZonedDateTime) -> Value {
    let offset = at.strftime("UTC%:z");
    let zone = match at.time_zone().iana_name() {
        Some(name) if name != "UTC" => format!("{name}, {offset}"),
        _ => offset.to_string(),
    };
    context! { date => at.strftime("%Y-%m-%d").to_string(), time => at.strftime("%H:%M").to_string(), zone }
}

/// Both parts are quoted-printable, which any server accepts and which keeps the code readable in an `.eml` file. `=_` cannot occur in such a
/// part, so no text can forge the boundary (RFC 2045 §6.7), and it is the same whenever the mail is rendered again.
fn alternatives(id: Uuid, text: String, html: String) -> MultiPart {
    let part = |kind, body: String| {
        SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(body)
    };
    let parts = MultiPart::alternative().boundary(format!("=_{}", id.simple()));
    parts.singlepart(part(ContentType::TEXT_PLAIN, text)).singlepart(part(ContentType::TEXT_HTML, html))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn system_time(moment: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(moment.seconds()).unwrap_or(0))
}

#[cfg(test)]
pub(super) mod tests;
