//! Ids in paths.

use std::fmt::Debug;

use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::StatusCode,
    oapi::{
        BasicType, Components, EndpointArgRegister, KnownFormat, Object, Operation, Parameter, ParameterIn, Required,
        SchemaFormat,
    },
};

use super::problem::{FieldError, Loc, Problem, may_answer};

/// An id in the path, 1 or more. The argument's name is the parameter's: `id: PathId` reads `{id}`, `cid: PathId`
/// reads `{cid}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathId(pub i64);

impl PathId {
    /// # Errors
    /// 422 for anything but decimal digits that make a number from 1 to 2^63 - 1.
    fn read(req: &Request, name: &str) -> Result<Self, Problem> {
        let text = req.params().get(name).map_or("", String::as_str);
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let id = digits.and_then(|digits| digits.parse().ok()).filter(|id| *id >= 1);
        id.map(Self).ok_or_else(|| refusal(name))
    }
}

fn refusal(name: &str) -> Problem {
    let loc = vec![Loc::Name("path".into()), Loc::Name(name.to_owned().into())];
    Problem::invalid(vec![FieldError { loc, msg: "must be a whole number of at least 1".into() }])
}

impl<'ex> Extractible<'ex> for PathId {
    fn metadata() -> &'static Metadata {
        static NO_METADATA: Metadata = Metadata::new("");
        &NO_METADATA
    }

    async fn extract(
        req: &'ex mut Request,
        depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::extract_with_arg(req, depot, "id").await
    }

    async fn extract_with_arg(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
        arg: &str,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::read(req, arg)
    }
}

impl EndpointArgRegister for PathId {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        let schema =
            Object::with_type(BasicType::Integer).format(SchemaFormat::KnownFormat(KnownFormat::Int64)).minimum(1);
        let parameter = Parameter::new(arg).location(ParameterIn::Path).required(Required::True).schema(schema);
        operation.parameters.insert(parameter);
        may_answer(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}
