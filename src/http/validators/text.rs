//! Texts: their length, and what they must not contain.

use faceofmind_model::{Email, text::is_visible};
use salvo::oapi::{BasicType, Object, RefOr, Schema, SchemaFormat};
use secrecy::SecretString;

use super::{ErrorMessage, FieldType, RawValue, parse, range_message};

/// Text of `MIN` to `MAX` characters without NUL, which PostgreSQL cannot store.
pub struct Text<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> FieldType for Text<MIN, MAX> {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        let text = raw.into_text()?;
        if text.contains('\0') {
            return Err("must not contain a NUL character".into());
        }
        if !(MIN..=MAX).contains(&text.chars().count()) {
            return Err(range_message("must have", &(MIN..=MAX), "characters"));
        }
        Ok(text)
    }

    fn schema() -> RefOr<Schema> {
        text(MIN, MAX).into()
    }
}

fn text(min: usize, max: usize) -> Object {
    let object = Object::with_type(BasicType::String).pattern(WITHOUT_NUL).max_length(max);
    if min > 0 { object.min_length(min) } else { object }
}

/// Text without NUL that is as long as the body may be (`BODY_LIMIT_BYTES`). It may be empty.
pub struct LongText;

impl FieldType for LongText {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        Text::<0, { usize::MAX }>::read(raw)
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).pattern(WITHOUT_NUL).into()
    }
}

/// Patterns for the OpenAPI document (ECMA-262). They allow a text of invisible characters other than white space, which is refused.
const WITHOUT_NUL: &str = r"^[^\x00]*$";
const NOT_BLANK: &str = r"^[^\x00]*[^\x00\s][^\x00]*$";
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$";

/// Text of 1 to `MAX` characters, kept as sent, of which a reader sees at least one.
pub struct NonBlank<const MAX: usize>;

impl<const MAX: usize> FieldType for NonBlank<MAX> {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        match Text::<1, MAX>::read(raw)? {
            blank if !is_visible(&blank) => Err("must not be blank".into()),
            text => Ok(text),
        }
    }

    fn schema() -> RefOr<Schema> {
        text(1, MAX).pattern(NOT_BLANK).into()
    }
}

/// Text of `MIN` to `MAX` characters that no log, error or answer shows.
pub struct Secret<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> FieldType for Secret<MIN, MAX> {
    type Value = SecretString;

    fn read(raw: RawValue) -> Result<SecretString, ErrorMessage> {
        Text::<MIN, MAX>::read(raw).map(SecretString::from)
    }

    fn schema() -> RefOr<Schema> {
        Text::<MIN, MAX>::schema()
    }
}

/// A password to be compared with the stored one. The password policy applies to new ones only.
pub type Password = Secret<0, 1024>;

/// A one-time code from a mail, as typed.
pub type OtpCode = Secret<0, 64>;

/// A password to be set. The user registry checks it against the password policy, after the code or the current
/// password, and answers with a problem of its own; so any length that can be a password is read.
pub struct NewPassword;

impl FieldType for NewPassword {
    type Value = SecretString;

    fn read(raw: RawValue) -> Result<SecretString, ErrorMessage> {
        Password::read(raw)
    }

    fn schema() -> RefOr<Schema> {
        Secret::<8, 128>::schema()
    }
}

/// An e-mail address, of at most 254 characters (RFC 5321 §4.5.3.1.3).
pub struct EmailAddress;

impl FieldType for EmailAddress {
    type Value = Email;

    fn read(raw: RawValue) -> Result<Email, ErrorMessage> {
        parse(raw, Email::parse)
    }

    fn schema() -> RefOr<Schema> {
        let email = SchemaFormat::Custom("email".to_owned());
        Object::with_type(BasicType::String).format(email).max_length(254).into()
    }
}

/// A person's name: 1 to 150 characters, trimmed, without control characters.
pub struct Name;

const MAX_NAME: usize = 150;

impl FieldType for Name {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        let name = Text::<1, MAX_NAME>::read(raw)?.trim().to_owned();
        match name.chars().any(char::is_control) {
            true => Err("must not contain control characters".into()),
            false if !is_visible(&name) => Err("must not be blank".into()),
            false => Ok(name),
        }
    }

    fn schema() -> RefOr<Schema> {
        text(1, MAX_NAME).pattern(NAME).into()
    }
}
