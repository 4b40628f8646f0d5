//! The query of a request.

use std::collections::HashMap;

use salvo::{
    Depot, Request,
    http::StatusCode,
    oapi::{Components, Operation, Parameter, ParameterIn, Required},
};

use super::{
    extract::extractor,
    fields::{FromFields, Property, read_query},
    problem::{Problem, document_errors},
};

/// The query of a request: `query: Query<UserListQuery>`, then `query.0`. The last of a repeated parameter counts.
pub struct Query<T>(pub T);

impl<T: FromFields> Query<T> {
    async fn from_request(req: &Request, _: &Depot) -> Result<Self, Problem> {
        let last = |values: &Vec<String>| values.last().cloned().unwrap_or_default();
        let parameters: HashMap<_, _> =
            req.queries().iter_all().map(|(name, values)| (name.clone(), last(values))).collect();
        read_query(parameters).map(Self)
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        document_errors(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
        for Property { name, description, required, schema } in T::properties() {
            let required = if required { Required::True } else { Required::False };
            let mut parameter = Parameter::new(name).location(ParameterIn::Query).required(required).schema(schema);
            parameter.description = description;
            operation.parameters.insert(parameter);
        }
    }
}

extractor!([T: FromFields] Query<T>);

#[cfg(test)]
mod tests {
    use salvo::{Router, Writer, oapi::endpoint, writing::Json};
    use serde_json::{Value, json};

    use super::*;
    use crate::http::{
        fields::request,
        openapi,
        testing::{Served, answer},
        validators::{Boolean, Clamped, Text},
    };

    request! {
        /// Which people to list.
        struct Filter {
            /// Part of a name.
            query: Option<Text<1, 10>>,
            /// How many.
            limit: Clamped<1, 100> = 50,
            active: Boolean,
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
            (answer.status, answer.invalid_fields()),
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
        let document = serde_json::to_value(openapi::document(&routes())).expect("JSON");
        let parameters = &document["paths"]["/api/people"]["get"]["parameters"];
        let named = |name: &str| parameters.as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
        let limit = named("limit").expect("documented");
        assert_eq!(
            (&limit["in"], &limit["description"], &limit["required"]),
            (&json!("query"), &json!("How many."), &json!(false))
        );
        assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&json!(1), &Value::Null));
        assert_eq!(named("query").expect("documented")["required"], json!(false));
        assert_eq!(named("active").expect("documented")["required"], json!(true));
        assert_eq!(document["components"]["schemas"].get("Filter"), None);
    }
}
