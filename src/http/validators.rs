//! The types of request fields: each reads a raw value or says what the field must be, and describes itself in the
//! OpenAPI document.
//!
//! A field's bounds stand in its type, once: `comment: Text<0, 2000>`. Error messages never repeat the value: it may be
//! a password, and messages are logged.

use std::{borrow::Cow, marker::PhantomData, ops::RangeInclusive};

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_model::{Email, Role, Status};
use jiff::fmt::temporal::Pieces;
use salvo::oapi::{
    BasicType, Components, KnownFormat, Object, RefOr, Schema, SchemaFormat, SchemaType, ToSchema, schema::OneOf,
};
use secrecy::SecretString;
use serde_json::Value;

/// What the client sent for one field.
pub enum RawValue {
    /// A value of a JSON body.
    Json(Value),
    /// Text of a query or a header.
    Text(String),
}

/// Why a field is not valid, as `msg` says it: "must be …".
pub type ErrorMessage = Cow<'static, str>;

/// The type of a request field.
pub trait FieldType {
    /// What handlers get.
    type Value;

    /// Whether the OpenAPI document lists the field as required.
    const REQUIRED: bool = true;

    /// Reads a value that is present and not `null`.
    ///
    /// # Errors
    /// What the field must be.
    fn read(raw: RawValue) -> Result<Self::Value, ErrorMessage>;

    /// The value of a field that is absent or `null`; none when the field is required.
    fn absent() -> Option<Self::Value> {
        None
    }

    /// The schema of the field; by default that of text.
    fn schema() -> Schema {
        Object::with_type(BasicType::String).into()
    }
}

/// A field that may be absent or `null`.
impl<T: FieldType> FieldType for Option<T> {
    type Value = Option<T::Value>;

    const REQUIRED: bool = false;

    fn read(raw: RawValue) -> Result<Self::Value, ErrorMessage> {
        T::read(raw).map(Some)
    }

    fn absent() -> Option<Self::Value> {
        Some(None)
    }

    fn schema() -> Schema {
        nullable(T::schema())
    }
}

/// The same schema, which takes `null` too.
pub fn nullable(schema: Schema) -> Schema {
    match schema {
        Schema::Object(object) => match &object.schema_type {
            SchemaType::Basic(basic) if object.enum_values.is_none() => {
                let types = SchemaType::from_iter([basic.clone(), BasicType::Null]);
                object.schema_type(types).into()
            }
            _ => OneOf::new().item(Object::with_type(BasicType::Null)).item(*object).into(),
        },
        other => other,
    }
}

/// The schema of a field type, for the fields of answers: `#[salvo(schema(value_type = SchemaOf<Role>))]`.
pub struct SchemaOf<T>(PhantomData<T>);

impl<T: FieldType> ToSchema for SchemaOf<T> {
    fn to_schema(_: &mut Components) -> RefOr<Schema> {
        T::schema().into()
    }
}

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

    fn schema() -> Schema {
        let object = Object::with_type(BasicType::String).max_length(MAX);
        if MIN > 0 { object.min_length(MIN) } else { object }.into()
    }
}

/// Text of 1 to `MAX` characters, kept as sent, of which at least one is not whitespace.
pub struct NonBlank<const MAX: usize>;

impl<const MAX: usize> FieldType for NonBlank<MAX> {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        match Text::<1, MAX>::read(raw)? {
            blank if blank.trim().is_empty() => Err("must not be blank".into()),
            text => Ok(text),
        }
    }

    fn schema() -> Schema {
        Text::<1, MAX>::schema()
    }
}

/// Text of `MIN` to `MAX` characters that no log, error or answer shows.
pub struct Secret<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> FieldType for Secret<MIN, MAX> {
    type Value = SecretString;

    fn read(raw: RawValue) -> Result<SecretString, ErrorMessage> {
        Text::<MIN, MAX>::read(raw).map(SecretString::from)
    }

    fn schema() -> Schema {
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

    fn schema() -> Schema {
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

    fn schema() -> Schema {
        Text::<0, 254>::schema()
    }
}

/// A person's name: 1 to 100 characters, trimmed, without control characters.
pub struct Name;

impl FieldType for Name {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        let name = Text::<1, 100>::read(raw)?.trim().to_owned();
        match name.chars().any(char::is_control) {
            true => Err("must not contain control characters".into()),
            false if name.is_empty() => Err("must not be blank".into()),
            false => Ok(name),
        }
    }

    fn schema() -> Schema {
        Text::<1, 100>::schema()
    }
}

/// A whole number from `MIN` to `MAX`. `5.0` is one too, because some JSON encoders write every number as a float.
pub struct Integer<const MIN: i32, const MAX: i32>;

impl<const MIN: i32, const MAX: i32> FieldType for Integer<MIN, MAX> {
    type Value = i32;

    fn read(raw: RawValue) -> Result<i32, ErrorMessage> {
        let number = raw.whole().and_then(|number| i32::try_from(number).ok());
        let in_range = number.filter(|number| (MIN..=MAX).contains(number));
        in_range.ok_or_else(|| range_message("must be a whole number from", &(MIN..=MAX), ""))
    }

    fn schema() -> Schema {
        integer(KnownFormat::Int32).minimum(MIN).maximum(MAX).into()
    }
}

/// A whole number from `MIN` to `MAX`, where anything larger means `MAX` (the contract's `limit`).
pub struct Clamped<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> FieldType for Clamped<MIN, MAX> {
    type Value = u32;

    fn read(raw: RawValue) -> Result<u32, ErrorMessage> {
        let number = raw.whole().or_else(|| raw.is_huge().then_some(i64::MAX));
        let number = number.filter(|number| *number >= i64::from(MIN));
        let clamped = number.map(|number| u32::try_from(number).map_or(MAX, |number| number.min(MAX)));
        clamped.ok_or_else(|| format!("must be a whole number of at least {MIN}").into())
    }

    fn schema() -> Schema {
        integer(KnownFormat::Int64).minimum(MIN).maximum(MAX).into()
    }
}

/// How many items of a list to skip.
pub struct Offset;

impl FieldType for Offset {
    type Value = u32;

    fn read(raw: RawValue) -> Result<u32, ErrorMessage> {
        let number = raw.whole().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| range_message("must be a whole number from", &(0..=u32::MAX), ""))
    }

    fn schema() -> Schema {
        integer(KnownFormat::Int64).minimum(0).into()
    }
}

/// A number from 0 to 1.
pub struct Fraction;

impl FieldType for Fraction {
    type Value = f64;

    fn read(raw: RawValue) -> Result<f64, ErrorMessage> {
        let number = match &raw {
            RawValue::Json(value) => value.as_f64(),
            RawValue::Text(text) => text.parse().ok(),
        };
        number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| "must be a number from 0 to 1".into())
    }

    fn schema() -> Schema {
        formatted(BasicType::Number, KnownFormat::Double).minimum(0).maximum(1).into()
    }
}

/// `true` or `false`.
pub struct Boolean;

impl FieldType for Boolean {
    type Value = bool;

    fn read(raw: RawValue) -> Result<bool, ErrorMessage> {
        match raw {
            RawValue::Json(Value::Bool(value)) => Ok(value),
            RawValue::Text(text) => text.parse().map_err(|_| "must be true or false".into()),
            RawValue::Json(_) => Err("must be true or false".into()),
        }
    }

    fn schema() -> Schema {
        Object::with_type(BasicType::Boolean).into()
    }
}

/// `true` or `false`; `false` by default.
pub struct Flag;

impl FieldType for Flag {
    type Value = bool;

    const REQUIRED: bool = false;

    fn read(raw: RawValue) -> Result<bool, ErrorMessage> {
        Boolean::read(raw)
    }

    fn absent() -> Option<bool> {
        Some(false)
    }

    fn schema() -> Schema {
        nullable(Object::with_type(BasicType::Boolean).default_value(false.into()).into())
    }
}

/// A calendar date of the years 1 to 9999, `YYYY-MM-DD`. A time after it, with or without an offset, is ignored.
pub struct Date;

impl FieldType for Date {
    type Value = CivilDate;

    fn read(raw: RawValue) -> Result<CivilDate, ErrorMessage> {
        parse(raw, |text| {
            let date = Pieces::parse(text).ok().map(|pieces| pieces.date()).filter(|date| date.year() >= 1);
            date.map(CivilDate).ok_or("must be a date such as 2026-11-23")
        })
    }

    fn schema() -> Schema {
        formatted(BasicType::String, KnownFormat::Date).into()
    }
}

/// A timestamp in RFC 3339 with an offset.
pub struct Rfc3339;

impl FieldType for Rfc3339 {
    type Value = Timestamp;

    fn read(raw: RawValue) -> Result<Timestamp, ErrorMessage> {
        let timestamp: jiff::Timestamp =
            parse(raw, |text| text.parse().map_err(|_| "must be a time such as 2026-11-23T08:00:00Z"))?;
        Ok(timestamp.into())
    }

    fn schema() -> Schema {
        formatted(BasicType::String, KnownFormat::DateTime).into()
    }
}

/// An enum whose variants have names in `ALL`.
macro_rules! named_variant {
    ($($type:ty),+) => {$(
        impl FieldType for $type {
            type Value = Self;

            fn read(raw: RawValue) -> Result<Self, ErrorMessage> {
                parse(raw, |name| {
                    let names = || Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", ");
                    Self::parse(name).ok_or_else(|| format!("must be one of {}", names()))
                })
            }

            fn schema() -> Schema {
                let names: Vec<_> = Self::ALL.iter().map(|known| known.as_str()).collect();
                Object::with_type(BasicType::String).enum_values(names).into()
            }
        }
    )+};
}

named_variant!(Role, Status);

/// A field that only admins may set: whether its value is valid matters only then.
pub struct AdminOnly<T>(PhantomData<T>);

impl<T: FieldType> FieldType for AdminOnly<T> {
    type Value = Result<T::Value, ErrorMessage>;

    fn read(raw: RawValue) -> Result<Self::Value, ErrorMessage> {
        Ok(T::read(raw))
    }

    fn schema() -> Schema {
        T::schema()
    }
}

/// Reads text with `parser`, which sees no NUL and at most 1,024 characters.
///
/// # Errors
/// When the value is no such text, or the parser refuses it.
pub fn parse<T, E: Into<ErrorMessage>>(
    raw: RawValue,
    parser: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ErrorMessage> {
    parser(&Text::<0, 1024>::read(raw)?).map_err(Into::into)
}

fn integer(format: KnownFormat) -> Object {
    formatted(BasicType::Integer, format)
}

fn formatted(basic: BasicType, format: KnownFormat) -> Object {
    Object::with_type(basic).format(SchemaFormat::KnownFormat(format))
}

impl RawValue {
    /// # Errors
    /// When the value is not text.
    pub fn into_text(self) -> Result<String, ErrorMessage> {
        match self {
            Self::Text(text) | Self::Json(Value::String(text)) => Ok(text),
            Self::Json(_) => Err("must be text".into()),
        }
    }

    /// Whether the value is a whole number that does not fit into 64 bits.
    fn is_huge(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Json(value) => value.as_u64().is_some() || value.as_f64().is_some_and(|float| float > 9e18),
        }
    }

    fn whole(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Json(value) => value.as_i64().or_else(|| whole_float(value.as_f64()?)),
        }
    }
}

/// The whole number that a float holds exactly. Beyond 2^53 floats skip whole numbers.
fn whole_float(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

fn range_message<N: ToString>(must: &str, range: &RangeInclusive<N>, unit: &str) -> ErrorMessage {
    format!("{must} {} to {} {unit}", range.start().to_string(), range.end().to_string()).trim_end().to_owned().into()
}

#[cfg(test)]
mod tests;
