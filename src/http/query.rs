//! The parameters behind the question mark.

use std::{collections::HashMap, fmt::Debug};

use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::StatusCode,
    oapi::{
        Components, EndpointArgRegister, Object, Operation, Parameter, ParameterIn, RefOr, Required, Schema, ToSchema,
    },
};

use super::{
    fields::{FromFields, read_query},
    problem::may_answer,
};

/// The query, read like a body: `query: Query<Filter>`, then `query.0`.
pub struct Query<T>(pub T);

impl<'ex, T: FromFields + Send> Extractible<'ex> for Query<T> {
    fn metadata() -> &'static Metadata {
        static NO_METADATA: Metadata = Metadata::new("");
        &NO_METADATA
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        read_query(last_of_each(req)).map(Self)
    }
}

fn last_of_each(req: &Request) -> HashMap<String, String> {
    let last = |values: &Vec<String>| values.last().cloned().unwrap_or_default();
    req.queries().iter_all().map(|(name, values)| (name.clone(), last(values))).collect()
}

impl<T: ToSchema> EndpointArgRegister for Query<T> {
    /// Each property of the schema becomes a parameter of its own.
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        may_answer(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
        let mut apart = Components::new();
        let Some(object) = object_of(T::to_schema(&mut apart), &mut apart) else { return };
        for (name, schema) in object.properties {
            let required = if object.required.contains(&name) { Required::True } else { Required::False };
            let parameter = Parameter::new(&name).location(ParameterIn::Query).required(required);
            operation.parameters.insert(described(parameter, schema));
        }
        components.append(&mut apart);
    }
}

/// The object behind a schema, taken out of the components: as a whole it is nobody's schema.
fn object_of(schema: RefOr<Schema>, components: &mut Components) -> Option<Object> {
    let schema = match schema {
        RefOr::Type(schema) => schema,
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?.to_owned();
            match components.schemas.remove(&name)? {
                RefOr::Type(schema) => schema,
                RefOr::Ref(_) => return None,
            }
        }
    };
    if let Schema::Object(object) = schema { Some(*object) } else { None }
}

fn described(parameter: Parameter, mut schema: RefOr<Schema>) -> Parameter {
    let RefOr::Type(Schema::Object(object)) = &mut schema else { return parameter.schema(schema) };
    match object.description.take() {
        Some(description) => parameter.description(description).schema(schema),
        None => parameter.schema(schema),
    }
}
