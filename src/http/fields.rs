//! Reading fields so that every bad one is named, not only the first.
//!
//! A `serde` derive stops at the first field it does not like, and the contract wants one entry in `errors` for each.
//! So a body says field by field what it holds, and is built only when nothing was refused:
//!
//! ```
//! use faceofmind::http::{fields::{Fields, FromFields, Read}, kinds::{integer, text}};
//!
//! struct Feedback { comment: String, rating: i64 }
//!
//! impl FromFields for Feedback {
//!     fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
//!         let comment = fields.required("comment", text(1..=2000));
//!         let rating = fields.required("rating", integer(1..=5));
//!         fields.finish(|valid| Self { comment: comment.get(valid), rating: rating.get(valid) })
//!     }
//! }
//! ```

use std::{collections::HashMap, ops::RangeInclusive};

use serde_json::{Map, Value};

use super::{
    kinds::{Given, Refusal},
    problem::{FieldError, Loc, Problem},
};

/// A request body, batch item or query that can be read from fields.
pub trait FromFields: Sized {
    /// Reads each field, then builds the whole in [`Fields::finish`].
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self>;
}

/// A field that was read, or was refused and noted. Only [`Fields::finish`] opens it.
#[must_use = "a field that is read and not used was not needed"]
pub struct Read<T>(Option<T>);

/// Proof that no field was refused.
#[derive(Clone, Copy)]
pub struct Valid(());

impl<T> Read<T> {
    /// The value.
    pub fn get(self, _: Valid) -> T {
        self.0.expect("a field without a value was refused, and then nothing is Valid")
    }
}

/// The fields of one object, taken out as they are read. Those nobody asks for are ignored.
pub struct Fields<'e> {
    source: Source,
    at: Vec<Loc>,
    errors: &'e mut Vec<FieldError>,
}

enum Source {
    Json(Map<String, Value>),
    Text(HashMap<String, String>),
}

impl Fields<'_> {
    /// A field that must be there (and not `null`).
    pub fn required<T>(&mut self, name: &'static str, kind: impl FnOnce(Given) -> Result<T, Refusal>) -> Read<T> {
        let read = self.take(name).map_or(Err("is missing".into()), kind);
        self.note(name, read)
    }

    /// A field that may be absent or `null`.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        kind: impl FnOnce(Given) -> Result<T, Refusal>,
    ) -> Read<Option<T>> {
        let read = self.take(name).map(kind).transpose();
        self.note(name, read)
    }

    /// A field that means `default` when it is absent or `null`.
    pub fn or<T>(&mut self, name: &'static str, default: T, kind: impl FnOnce(Given) -> Result<T, Refusal>) -> Read<T> {
        let read = self.take(name).map_or(Ok(default), kind);
        self.note(name, read)
    }

    /// A list of so many objects, each read like a body of its own.
    pub fn list<T: FromFields>(&mut self, name: &'static str, lengths: RangeInclusive<usize>) -> Read<Vec<T>> {
        match self.take(name) {
            Some(Given::Json(Value::Array(items))) if lengths.contains(&items.len()) => {
                let at = [self.at.as_slice(), &[Loc::Name(name.into())]].concat();
                Read(read_items(items, &at, self.errors, T::from_fields))
            }
            None => self.note(name, Err("is missing".into())),
            Some(_) => self.note(name, Err(list_of(&lengths))),
        }
    }

    /// Refuses a field for a reason that only shows when several are seen together.
    pub fn refuse(&mut self, name: &'static str, why: impl Into<Refusal>) {
        let loc = [self.at.as_slice(), &[Loc::Name(name.into())]].concat();
        self.errors.push(FieldError { loc, msg: why.into() });
    }

    /// Builds the whole, if no field was refused.
    pub fn finish<T>(&mut self, build: impl FnOnce(Valid) -> T) -> Read<T> {
        Read(self.errors.is_empty().then(|| build(Valid(()))))
    }

    fn take(&mut self, name: &str) -> Option<Given> {
        match &mut self.source {
            Source::Json(map) => map.remove(name).filter(|value| !value.is_null()).map(Given::Json),
            Source::Text(map) => map.remove(name).filter(|text| !text.is_empty()).map(Given::Text),
        }
    }

    fn note<T>(&mut self, name: &'static str, read: Result<T, Refusal>) -> Read<T> {
        Read(read.map_err(|why| self.refuse(name, why)).ok())
    }
}

/// Reads a JSON object that stands at `body`.
///
/// # Errors
/// 422 that names every field that was refused.
pub fn read_object<T: FromFields>(value: Value) -> Result<T, Problem> {
    let mut errors = Vec::new();
    let read = read_item(value, &[Loc::Name("body".into())], &mut errors, T::from_fields);
    settle(read, errors)
}

/// Reads a JSON list of so many objects, or a single object, that stands at `body`.
///
/// # Errors
/// 422 that names every field that was refused.
pub fn read_batch<T: FromFields>(value: Value, lengths: RangeInclusive<usize>) -> Result<Vec<T>, Problem> {
    read_batch_by(value, lengths, T::from_fields)
}

/// The same where more is to be known than the fields, as what time it is.
///
/// # Errors
/// As [`read_batch`].
pub fn read_batch_by<T>(
    value: Value,
    lengths: RangeInclusive<usize>,
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Result<Vec<T>, Problem> {
    let (mut errors, at) = (Vec::new(), [Loc::Name("body".into())]);
    let read = match value {
        Value::Array(items) if lengths.contains(&items.len()) => read_items(items, &at, &mut errors, read),
        Value::Array(_) => {
            errors.push(FieldError { loc: at.to_vec(), msg: list_of(&lengths) });
            None
        }
        single => read_item(single, &at, &mut errors, read).map(|item| vec![item]),
    };
    settle(read, errors)
}

/// Reads the parameters of a query. One that is empty counts as absent; of one given twice the last counts.
///
/// # Errors
/// 422 that names every parameter that was refused.
pub fn read_query<T: FromFields>(parameters: HashMap<String, String>) -> Result<T, Problem> {
    let mut errors = Vec::new();
    let at = vec![Loc::Name("query".into())];
    let read = T::from_fields(&mut Fields { source: Source::Text(parameters), at, errors: &mut errors }).0;
    settle(read, errors)
}

fn read_item<T>(
    value: Value,
    at: &[Loc],
    errors: &mut Vec<FieldError>,
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Option<T> {
    let Value::Object(map) = value else {
        errors.push(FieldError { loc: at.to_vec(), msg: "must be a JSON object".into() });
        return None;
    };
    read(&mut Fields { source: Source::Json(map), at: at.to_vec(), errors }).0
}

fn read_items<T>(
    items: Vec<Value>,
    at: &[Loc],
    errors: &mut Vec<FieldError>,
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Option<Vec<T>> {
    let place = |index| [at, &[Loc::Index(index)]].concat();
    let read = items.into_iter().enumerate().map(|(index, item)| read_item(item, &place(index), errors, &read));
    // All of them first: stopping at the first bad item would leave the others unnamed.
    read.collect::<Vec<_>>().into_iter().collect()
}

fn settle<T>(read: Option<T>, errors: Vec<FieldError>) -> Result<T, Problem> {
    read.filter(|_| errors.is_empty()).ok_or_else(|| Problem::invalid(errors))
}

fn list_of(lengths: &RangeInclusive<usize>) -> Refusal {
    format!("must be a list of {} to {} objects", lengths.start(), lengths.end()).into()
}

#[cfg(test)]
mod tests;
