//! Reads the fields of a body or a query and reports every field that is not valid, not only the first.
//!
//! A request is declared once, with its fields, their types and their bounds. `request!` makes of it the
//! struct that handlers get, the reader, and the OpenAPI schema or parameters:
//!
//! ```text
//! request! {
//!     /// A rating and a comment.
//!     #[schema("FeedbackRequest", example = { "comment": "It helped me to sleep.", "rating": 4 })]
//!     struct FeedbackRequest {
//!         /// May be empty.
//!         comment: Text<0, 2000>,      // the handler gets a String
//!         rating: Integer<1, 5>,       // an i32
//!         notes: Option<NonBlank<10>>, // an Option<String>: may be absent
//!         is_public: Boolean = false,  // a bool with a default
//!     }
//! }
//! ```
//!
//! Derives of `serde` and the like stop at the first bad field, or report bad fields in the order of the body. Here
//! they are reported in the order of their declaration.

use std::{collections::HashMap, ops::RangeInclusive};

use salvo::oapi::{Components, Object, Ref, RefOr, Schema, naming};
use serde_json::{Map, Value};

use super::{
    problem::{FieldError, Loc, Problem},
    validators::{ErrorMessage, FieldType, RawValue, nullable},
};

/// A request body, batch item or query. Implemented by `request!`.
pub trait FromFields: Sized {
    /// Reads each field; none when a field is not valid.
    fn from_fields(fields: &mut FieldReader<'_>) -> Option<Self>;

    /// What the request is.
    fn description() -> String;

    /// The fields, in the order of their declaration.
    fn properties() -> Vec<Property>;
}

/// A request body or batch item, which has a schema of its own. Implemented by `request!`.
pub trait BodySchema: FromFields + 'static {
    /// The name of the schema.
    const NAME: &'static str;

    /// An example of the body.
    fn example() -> Value;
}

/// A field as the OpenAPI document shows it.
pub struct Property {
    pub(super) name: &'static str,
    pub(super) description: Option<String>,
    pub(super) required: bool,
    pub(super) schema: RefOr<Schema>,
}

impl Property {
    /// A field of the type `T` with these doc comments.
    pub fn new<T: FieldType>(name: &'static str, has_default: bool, docs: &[&str]) -> Self {
        let schema = if has_default { nullable(T::schema()) } else { T::schema() };
        let description = Some(description(docs)).filter(|text| !text.is_empty());
        Self { name, description, required: T::REQUIRED && !has_default, schema }
    }
}

/// Doc comments as one text.
pub fn description(docs: &[&str]) -> String {
    docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

/// Registers the schema of a body and refers to it.
pub fn body_schema<T: BodySchema>(components: &mut Components) -> RefOr<Schema> {
    let mut object = Object::new().description(T::description()).example(T::example());
    for Property { name, description, required, mut schema } in T::properties() {
        match &mut schema {
            RefOr::Type(Schema::Object(field)) => field.description = description,
            RefOr::Type(Schema::OneOf(field)) => field.description = description,
            RefOr::Ref(field) => field.description = description.unwrap_or_default(),
            RefOr::Type(_) => {}
        }
        object = object.property(name, schema);
        if required {
            object = object.required(name);
        }
    }
    let name = naming::assign_name::<T>(naming::NameRule::Force(T::NAME));
    components.schemas.insert(name.clone(), Schema::from(object));
    Ref::from_schema_name(name).into()
}

/// The fields of one object, removed as they are read. Unknown fields are ignored.
pub struct FieldReader<'e> {
    source: Source,
    path: Vec<Loc>,
    errors: &'e mut Vec<FieldError>,
}

enum Source {
    Json(Map<String, Value>),
    Query(HashMap<String, String>),
}

impl FieldReader<'_> {
    /// Reads a field. One that is absent or `null` has its default, if it has one. An empty query parameter counts as absent.
    pub fn read<T: FieldType>(&mut self, name: &'static str, default: Option<T::Value>) -> Option<T::Value> {
        let read = match self.remove(name) {
            Some(raw) => T::read(raw),
            None => default.or_else(T::absent).ok_or("is missing".into()),
        };
        read.map_err(|message| self.reject(name, message)).ok()
    }

    /// A field that is present and valid, which can be read again.
    pub fn peek<T: FieldType>(&self, name: &str) -> Option<T::Value> {
        let raw = match &self.source {
            Source::Json(map) => RawValue::Json(map.get(name)?.clone()),
            Source::Query(map) => RawValue::Text(map.get(name)?.clone()),
        };
        T::read(raw).ok()
    }

    /// Reports a field as not valid.
    pub fn reject(&mut self, name: &'static str, message: impl Into<ErrorMessage>) {
        let loc = [self.path.as_slice(), &[Loc::Name(name.into())]].concat();
        self.errors.push(FieldError { loc, msg: message.into() });
    }

    fn remove(&mut self, name: &str) -> Option<RawValue> {
        match &mut self.source {
            Source::Json(map) => map.remove(name).filter(|value| !value.is_null()).map(RawValue::Json),
            Source::Query(map) => map.remove(name).filter(|text| !text.is_empty()).map(RawValue::Text),
        }
    }
}

/// Reads a JSON object, whose fields are reported under `body`.
///
/// # Errors
/// 422 that names every field that is not valid.
pub fn read_object<T: FromFields>(value: Value) -> Result<T, Problem> {
    let mut errors = Vec::new();
    let read = read_item(value, &[Loc::Name("body".into())], &mut errors, T::from_fields);
    into_result(read, errors)
}

/// Reads a JSON list whose length is in `lengths`, or a single object, with `read` for each object.
///
/// # Errors
/// 422 that names every field that is not valid.
pub fn read_batch<T>(
    value: Value,
    lengths: RangeInclusive<usize>,
    read: impl Fn(&mut FieldReader<'_>) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    let (mut errors, path) = (Vec::new(), [Loc::Name("body".into())]);
    let read = match value {
        Value::Array(items) if lengths.contains(&items.len()) => read_items(items, &path, &mut errors, read),
        Value::Array(_) => {
            let msg = format!("must be a list of {} to {} objects", lengths.start(), lengths.end()).into();
            errors.push(FieldError { loc: path.to_vec(), msg });
            None
        }
        single => read_item(single, &path, &mut errors, read).map(|item| vec![item]),
    };
    into_result(read, errors)
}

/// Reads the parameters of a query.
///
/// # Errors
/// 422 that names every parameter that is not valid.
pub fn read_query<T: FromFields>(parameters: HashMap<String, String>) -> Result<T, Problem> {
    let (mut errors, path) = (Vec::new(), vec![Loc::Name("query".into())]);
    let read = T::from_fields(&mut FieldReader { source: Source::Query(parameters), path, errors: &mut errors });
    into_result(read, errors)
}

fn read_item<T>(
    value: Value,
    path: &[Loc],
    errors: &mut Vec<FieldError>,
    read: impl Fn(&mut FieldReader<'_>) -> Option<T>,
) -> Option<T> {
    let Value::Object(map) = value else {
        errors.push(FieldError { loc: path.to_vec(), msg: "must be a JSON object".into() });
        return None;
    };
    read(&mut FieldReader { source: Source::Json(map), path: path.to_vec(), errors })
}

fn read_items<T>(
    items: Vec<Value>,
    path: &[Loc],
    errors: &mut Vec<FieldError>,
    read: impl Fn(&mut FieldReader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let item_path = |index| [path, &[Loc::Index(index)]].concat();
    let read = items.into_iter().enumerate().map(|(index, item)| read_item(item, &item_path(index), errors, &read));
    // Collecting into an `Option` at once would stop at the first bad item and leave the others unreported.
    read.collect::<Vec<_>>().into_iter().collect()
}

fn into_result<T>(read: Option<T>, errors: Vec<FieldError>) -> Result<T, Problem> {
    read.filter(|_| errors.is_empty()).ok_or_else(|| Problem::invalid(errors))
}

/// Declares a request: see the [module](self).
macro_rules! request {
    (
        $(#[doc = $doc:literal])*
        $(#[schema($schema:literal, example = $example:tt)])?
        $visibility:vis struct $name:ident {
            $($(#[doc = $field_doc:literal])* $field:ident: $type:ty $(= $default:expr)?),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        $visibility struct $name {
            $($(#[doc = $field_doc])* $visibility $field: <$type as $crate::http::validators::FieldType>::Value,)*
        }

        impl $crate::http::fields::FromFields for $name {
            fn from_fields(_fields: &mut $crate::http::fields::FieldReader<'_>) -> Option<Self> {
                $(
                    let default = $crate::http::fields::request!(@default $($default)?);
                    let $field = _fields.read::<$type>(stringify!($field), default);
                )*
                Some(Self { $($field: $field?),* })
            }

            fn description() -> String {
                $crate::http::fields::description(&[$($doc),*])
            }

            fn properties() -> Vec<$crate::http::fields::Property> {
                vec![$({
                    let has_default = $crate::http::fields::request!(@has_default $($default)?);
                    $crate::http::fields::Property::new::<$type>(stringify!($field), has_default, &[$($field_doc),*])
                }),*]
            }
        }

        $(
            impl $crate::http::fields::BodySchema for $name {
                const NAME: &'static str = $schema;

                fn example() -> serde_json::Value {
                    serde_json::json!($example)
                }
            }
        )?
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@has_default) => { false };
    (@has_default $default:expr) => { true };
}

pub(crate) use request;

#[cfg(test)]
mod tests;
