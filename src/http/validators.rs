//! The types of request fields: each reads a raw value or says what the field must be, and describes itself in the
//! OpenAPI document.
//!
//! A field's bounds stand in its type, once: `comment: Text<0, 2000>`. Error messages never repeat the value: it may be
//! a password, and messages are logged.

use std::{borrow::Cow, marker::PhantomData, ops::RangeInclusive};

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_domain::sessions::Window;
use faceofmind_model::{Role, Status};
use jiff::fmt::temporal::Pieces;
use salvo::oapi::{
    BasicType, Components, KnownFormat, Object, Ref, RefOr, Schema, SchemaFormat, SchemaType, ToSchema, schema::OneOf,
};
use serde_json::Value;

mod number;
mod text;

pub use number::{Clamped, Fraction, Integer, Offset};
pub use text::{EmailAddress, LongText, Name, NewPassword, NonBlank, OtpCode, Password, Secret, Text};

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
    fn schema() -> RefOr<Schema> {
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

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
    }
}

/// The schema of a field type, for the fields of answers: `#[salvo(schema(value_type = SchemaOf<Role>))]`.
pub struct SchemaOf<T>(PhantomData<T>);

impl<T: FieldType> ToSchema for SchemaOf<T> {
    fn to_schema(_: &mut Components) -> RefOr<Schema> {
        T::schema()
    }
}

/// The same schema, which takes `null` too.
pub fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::Type(Schema::Object(object)) if matches!(object.schema_type, SchemaType::Basic(_)) => {
            let SchemaType::Basic(basic) = object.schema_type.clone() else { return (*object).into() };
            object.schema_type(SchemaType::from_iter([basic, BasicType::Null])).into()
        }
        other => OneOf::new().item(Object::with_type(BasicType::Null)).item(other).into(),
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

    fn schema() -> RefOr<Schema> {
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

    fn schema() -> RefOr<Schema> {
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

    fn schema() -> RefOr<Schema> {
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

    fn schema() -> RefOr<Schema> {
        formatted(BasicType::String, KnownFormat::DateTime).into()
    }
}

/// An enum whose variants have names in `ALL`, and the name of its schema.
macro_rules! named_variant {
    ($($type:ty = $name:literal),+) => {
        /// The schemas of the enums, by their names.
        pub fn enum_schemas() -> impl Iterator<Item = (&'static str, Object)> {
            let windows = (WINDOW, names(Window::ALL.into_iter().map(Window::name)));
            [windows, $(($name, names(<$type>::ALL.iter().map(|known| known.as_str())))),+].into_iter()
        }

        $(impl FieldType for $type {
            type Value = Self;

            fn read(raw: RawValue) -> Result<Self, ErrorMessage> {
                parse(raw, |name| {
                    let names = || Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", ");
                    Self::parse(name).ok_or_else(|| format!("must be one of {}", names()))
                })
            }

            fn schema() -> RefOr<Schema> {
                Ref::from_schema_name($name).into()
            }
        }

        )+
    };
}

named_variant!(Role = "Role", Status = "AccountStatus");

/// The name of the schema of [`Window`], which is no field error where it is unknown.
pub const WINDOW: &str = "Window";

/// The schema of one of these texts.
fn names(names: impl Iterator<Item = &'static str>) -> Object {
    Object::with_type(BasicType::String).enum_values(names.collect::<Vec<_>>())
}

/// A field that only admins may set: whether its value is valid matters only then.
pub struct AdminOnly<T>(PhantomData<T>);

impl<T: FieldType> FieldType for AdminOnly<T> {
    type Value = Result<T::Value, ErrorMessage>;

    fn read(raw: RawValue) -> Result<Self::Value, ErrorMessage> {
        Ok(T::read(raw))
    }

    fn schema() -> RefOr<Schema> {
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
}

fn range_message<N: ToString>(must: &str, range: &RangeInclusive<N>, unit: &str) -> ErrorMessage {
    format!("{must} {} to {} {unit}", range.start().to_string(), range.end().to_string()).trim_end().to_owned().into()
}

#[cfg(test)]
mod tests;
