//! From a letter to a mail: words, parts and headers.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use faceofmind_base::Timestamp;
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

use super::{Language, Letter, defuse::defuse, templates};
use faceofmind_model::user::UserId;

/// Why a letter did not become a mail. No reason names an address, a code or a person.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// `SMTP_EMAIL` is not a mail address.
    #[error("the sender's address is not a mail address; correct SMTP_EMAIL")]
    Sender,
    /// The stored address is none that mail can be sent to.
    #[error("the recipient's address is not a mail address")]
    Recipient,
    /// A template is broken or asks for what the letter does not have: a defect of ours.
    #[error("the template {name}, line {line}: {kind}")]
    Template {
        /// Which, with its language: `en/welcome.txt`.
        name: String,
        /// Where.
        line: usize,
        /// What is wrong with it.
        kind: minijinja::ErrorKind,
    },
    /// The parts do not make a mail: a defect of ours.
    #[error("the mail could not be put together")]
    Parts,
}

impl From<minijinja::Error> for RenderError {
    fn from(error: minijinja::Error) -> Self {
        let name = error.name().unwrap_or("(unnamed)").to_owned();
        Self::Template { name, line: error.line().unwrap_or(0), kind: error.kind() }
    }
}

/// What a mail needs beside its letter.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// The mail's identity: its `Message-ID`, and in its file's name. The same id again is the same mail sent again.
    pub id: Uuid,
    /// Whose account it is about: the mail goes with it.
    pub user: UserId,
    /// The reader's address.
    pub to: &'a str,
    /// The `Date` header.
    pub date: Timestamp,
    /// The reader's language.
    pub language: Language,
}

/// A mail, ready to leave.
pub struct Mail {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) message: Message,
}

impl Mail {
    /// The whole mail as it goes over the wire, code included: headers, text and HTML (RFC 5322, RFC 2046 §5.1.4).
    pub fn bytes(&self) -> Vec<u8> {
        self.message.formatted()
    }
}

impl fmt::Debug for Mail {
    /// The id alone: what a mail says, and to whom, belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({})", self.id)
    }
}

/// Puts letters into words, in the sender's name.
pub struct Renderer {
    templates: Environment<'static>,
    sender: Mailbox,
}

impl Renderer {
    /// The sender's address where none is set.
    pub const DEFAULT_SENDER: &'static str = "no-reply@faceofmind.local";

    /// A renderer for mails from the address `sender` (`SMTP_EMAIL`), which is called `name` (`MAIL_FROM_NAME`). It reads a template when
    /// a letter first needs it, so a service that sends no mail holds none.
    pub fn new(sender: &str, name: &str) -> Result<Self, RenderError> {
        let address = sender.trim().parse::<Address>().map_err(|_| RenderError::Sender)?;
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
        templates.set_loader(|name| Ok(templates::text(name).map(str::to_owned)));
        Ok(Self { templates, sender: Mailbox::new(Some(name.to_owned()), address) })
    }

    /// The letter as a mail, with a text and an HTML part that say the same.
    pub fn render(&self, letter: &Letter, envelope: Envelope<'_>) -> Result<Mail, RenderError> {
        let to = envelope.to.parse::<Address>().map_err(|_| RenderError::Recipient)?;
        let words = self.words(letter, envelope.language)?;
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to))
            .subject(words.subject)
            .date(system_time(envelope.date))
            .message_id(Some(format!("<{}@{}>", envelope.id, self.sender.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", envelope.language.tag()))
            .multipart(alternatives(envelope.id, words.text, words.html))
            .map_err(|_| RenderError::Parts)?;
        Ok(Mail { id: envelope.id, user: envelope.user, message })
    }

    fn words(&self, letter: &Letter, language: Language) -> Result<Words, RenderError> {
        let stem = format!("{}/{}", language.tag(), letter.name());
        let facts = facts(letter);
        let text = self.templates.get_template(&format!("{stem}.txt"))?.render(&facts)?;
        let (subject, text) = text.split_once("\n\n").ok_or(RenderError::Parts)?;
        let html = self.templates.get_template(&format!("{stem}.html"))?;
        let html = html.render(context! { subject, ..facts })?;
        Ok(Words { subject: subject.to_owned(), text: text.to_owned(), html })
    }
}

/// A letter in words. The subject holds nobody's words but ours: no name, no code.
struct Words {
    subject: String,
    text: String,
    html: String,
}

/// What a letter's templates may say. Whatever somebody typed is defused here, once, for text and HTML alike.
fn facts(letter: &Letter) -> Value {
    match letter {
        Letter::Welcome { claim_name, claimed_at, code, expires_in_minutes }
        | Letter::AddressCode { claim_name, claimed_at, code, expires_in_minutes } => context! {
            claim_name => defuse(claim_name),
            claimed_at => moment(claimed_at),
            code => code.reveal(),
            minutes => expires_in_minutes,
        },
        Letter::ResetCode { first_name, code, expires_in_minutes } => context! {
            first_name => defuse(first_name),
            code => code.reveal(),
            minutes => expires_in_minutes,
        },
        Letter::AlreadyRegistered { first_name, at }
        | Letter::PasswordChanged { first_name, at }
        | Letter::AddressTaken { first_name, at }
        | Letter::AddressChangeAsked { first_name, at }
        | Letter::AddressChanged { first_name, at } => context! {
            first_name => defuse(first_name),
            at => moment(at),
        },
        Letter::NewDevice { first_name, device, address, at } => context! {
            first_name => defuse(first_name),
            device => defuse(device),
            address => address.map(|address| address.to_string()),
            at => moment(at),
        },
        Letter::Reminder { first_name, title, date } => context! {
            first_name => defuse(first_name),
            title => defuse(title),
            date => date.to_string(),
        },
    }
}

/// A time in pieces that every language can put in its own order: `2026-03-05`, `14:05`, `Asia/Manila, UTC+08:00`.
fn moment(at: &ZonedDateTime) -> Value {
    let offset = at.strftime("UTC%:z");
    let zone = match at.time_zone().iana_name() {
        Some(name) if name != "UTC" => format!("{name}, {offset}"),
        _ => offset.to_string(),
    };
    context! { date => at.strftime("%Y-%m-%d").to_string(), time => at.strftime("%H:%M").to_string(), zone }
}

/// Both parts are quoted-printable: any server takes that, and the code stays readable in an `.eml` file. `=_` cannot
/// occur in such a part, so it makes a boundary that no text can forge (RFC 2045 §6.7), and one that never changes.
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
