//! Request headers, each read by its type: `key: Header<IdempotencyKey>`.

use salvo::{
    Depot, Request,
    http::StatusCode,
    oapi::{Components, Operation, Parameter, ParameterIn, Required},
};

use super::{
    extract::extractor,
    problem::{FieldError, Problem, document_errors},
    validators::{FieldType, RawValue},
};

/// A header that a client may send once.
pub trait HeaderField: FieldType<Value: Send> {
    /// Its name.
    const NAME: &'static str;
    /// Its description in the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// Its example there.
    const EXAMPLE: Option<&'static str> = None;
    /// The error message of a header that is sent more than once.
    const REPEATED: &'static str;
    /// Whether an empty header counts as absent.
    const EMPTY_IS_ABSENT: bool = false;
}

/// The value of a header; none when it is absent.
pub struct Header<T: HeaderField>(pub Option<T::Value>);

impl<T: HeaderField> Header<T> {
    /// # Errors
    /// 422 when the header is not valid or sent more than once.
    pub async fn from_request(req: &Request, _: &Depot) -> Result<Self, Problem> {
        let mut values = req.headers().get_all(T::NAME).iter();
        let first = values.next().filter(|value| !(T::EMPTY_IS_ABSENT && value.is_empty()));
        let Some(first) = first else { return Ok(Self(None)) };
        let value = T::read(RawValue::Text(String::from_utf8_lossy(first.as_bytes()).into_owned()));
        let value = if values.next().is_some() { value.and(Err(T::REPEATED.into())) } else { value };
        let invalid = |message| Problem::invalid(vec![FieldError::new("header", T::NAME, message)]);
        value.map(|value| Self(Some(value))).map_err(invalid)
    }

    /// Documents the header as a parameter.
    pub fn document(components: &mut Components, operation: &mut Operation) {
        let mut parameter = Parameter::new(T::NAME)
            .location(ParameterIn::Header)
            .required(Required::False)
            .description(T::DESCRIPTION)
            .schema(T::schema());
        if let Some(example) = T::EXAMPLE {
            parameter = parameter.example(example.into());
        }
        operation.parameters.insert(parameter);
        document_errors(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

extractor!([T: HeaderField] Header<T>);
