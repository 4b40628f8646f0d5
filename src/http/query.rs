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
    no_metadata,
    openapi::may_answer,
};

/// The query, read like a body: `query: Query<Filter>`, then `query.0`.
pub struct Query<T>(pub T);

impl<'ex, T: FromFields + Send> Extractible<'ex> for Query<T> {
    fn metadata() -> &'static Metadata {
        no_metadata()
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

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        fields::{Fields, Read},
        kinds::{boolean, capped, text},
        openapi::document,
        testing::{Served, answer},
    };

    /// Which users to list.
    #[derive(ToSchema)]
    struct Filter {
        /// Part of a name.
        query: Option<String>,
        /// How many.
        #[salvo(schema(minimum = 1, default = 50))]
        limit: i64,
        active: bool,
    }

    impl FromFields for Filter {
        fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
            let query = fields.optional("query", text(1..=10));
            let limit = fields.or("limit", 50, capped(1..=100));
            let active = fields.required("active", boolean());
            fields.finish(|valid| Self { query: query.get(valid), limit: limit.get(valid), active: active.get(valid) })
        }
    }

    #[endpoint]
    async fn list(filter: Query<Filter>) -> Json<serde_json::Value> {
        let Filter { query, limit, active } = filter.0;
        Json(json!([query, limit, active]))
    }

    fn routes() -> Router {
        Router::with_path("api/people").get(list)
    }

    #[tokio::test]
    async fn parameters_are_read_like_fields() {
        let api = Served::api(routes).await;
        let filled = answer(api.get("/api/people/?active=true&limit=900&query=J%C3%BCrgen+K&page=2")).await;
        assert_eq!(filled.json, json!(["Jürgen K", 100, true]));
        let empty = answer(api.get("/api/people?active=false&query=&limit=&active=true")).await;
        assert_eq!(empty.json, json!([null, 50, true]), "empty is absent, and the last of two counts");
    }

    #[tokio::test]
    async fn every_bad_parameter_is_named() {
        let api = Served::api(routes).await;
        let answer = answer(api.get("/api/people?limit=0&query=a%00&active=perhaps")).await;
        assert_eq!(
            (answer.status, answer.refused()),
            (
                422,
                vec![
                    "query.query: must not contain a NUL character".to_owned(),
                    "query.limit: must be a whole number of at least 1".to_owned(),
                    "query.active: must be true or false".to_owned(),
                ]
            )
        );
    }

    #[test]
    fn each_parameter_is_documented_by_itself() {
        let document = serde_json::to_value(document(&routes())).expect("JSON");
        let parameters = &document["paths"]["/api/people"]["get"]["parameters"];
        let named = |name: &str| parameters.as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
        let limit = named("limit").expect("documented");
        assert_eq!(
            (&limit["in"], &limit["description"], &limit["required"]),
            (&json!("query"), &json!("How many."), &json!(true))
        );
        assert_eq!(named("query").expect("documented")["required"], json!(false));
        assert_eq!(document["components"]["schemas"].get("Filter"), None);
    }
}
