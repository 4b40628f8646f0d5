//! Requests generated from the OpenAPI document: what it allows is read, and what it forbids is refused.

use faceofmind_base::Rng;
use serde_json::{Map, Value, json};

use crate::{
    harness::{Client, Response, TestApp, tests_on_both_profiles},
    openapi::{ORIGIN, Operation, document, operations_of},
};

tests_on_both_profiles! {
    what_the_document_allows_is_read with [("RATE_LIMITS", "off"), ("CORS_ORIGINS", super::ORIGIN)],
    what_the_document_forbids_is_refused with [("RATE_LIMITS", "off"), ("CORS_ORIGINS", super::ORIGIN)],
}

/// Valid bodies and queries of each operation.
const CASES: usize = 12;

/// What is refused with another status than 422: a policy or the contract answers it.
const ANSWERED_ELSEWHERE: [&str; 3] = ["password", "new_password", "window"];

/// The document, and where the values come from.
struct Generator {
    document: Value,
    rng: Rng,
}

/// A value that the schema forbids, and what is wrong with it.
struct Forbidden {
    field: String,
    fault: String,
    value: Value,
}

impl Generator {
    async fn new(app: &TestApp) -> Self {
        Self { document: document(&app.client()).await, rng: Rng::seeded(8) }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.trim_start_matches('#');
                self.document.pointer(pointer).unwrap_or_else(|| panic!("no {reference}"))
            }
            None => schema,
        }
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.rng.random_below(u32::try_from(bound).expect("small"))).expect("small")
    }

    fn pick<'a, T>(&self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    /// A value that the schema allows.
    fn allowed(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if let Some(values) = schema["enum"].as_array().or_else(|| schema["oneOf"].as_array()) {
            let picked = self.pick(values);
            return if schema["enum"].is_array() { picked.clone() } else { self.allowed(picked) };
        }
        let kinds = kinds(schema);
        assert!(!kinds.is_empty(), "no type: {schema}");
        match *self.pick(&kinds) {
            "null" => Value::Null,
            "boolean" => Value::Bool(self.below(2) == 0),
            "integer" => json!(self.whole(schema)),
            "number" => json!(f64::from(self.rng.random_below(1001)) / 1000.0),
            "array" => {
                let (min, max) = (number(schema, "minItems").unwrap_or(0), number(schema, "maxItems").unwrap_or(3));
                let count = usize::try_from(min).expect("small") + self.below(3);
                (0..count.min(usize::try_from(max).expect("small"))).map(|_| self.allowed(&schema["items"])).collect()
            }
            "object" => self.object(schema),
            _ => Value::String(self.text(schema)),
        }
    }

    fn object(&self, schema: &Value) -> Value {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let is_required = |name: &str| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
        let chosen = properties.filter(|(name, _)| is_required(name) || self.below(2) == 0);
        chosen.map(|(name, property)| (name.clone(), self.allowed(property))).collect::<Map<_, _>>().into()
    }

    fn whole(&self, schema: &Value) -> i64 {
        let min = number(schema, "minimum").unwrap_or(-1000);
        let max = number(schema, "maximum").unwrap_or(min + 1000);
        let between = self.below(usize::try_from((max - min).min(1000) + 1).expect("small"));
        *self.pick(&[min, max, min + i64::try_from(between).expect("small")])
    }

    fn text(&self, schema: &Value) -> String {
        if let Some(examples) = schema["examples"].as_array() {
            return self.pick(examples).as_str().expect("text").to_owned();
        }
        match schema["format"].as_str() {
            Some("email") => format!("ada{}@example.org", self.below(1000)),
            Some("date") => format!("20{:02}-{:02}-{:02}", 10 + self.below(80), 1 + self.below(12), 1 + self.below(28)),
            Some("date-time") => format!("20{:02}-01-02T03:04:{:02}.5+08:00", 1 + self.below(20), self.below(60)),
            Some(format) => panic!("this test has no text for the format {format}"),
            None => {
                let min = usize::try_from(number(schema, "minLength").unwrap_or(0)).expect("small");
                let max = usize::try_from(number(schema, "maxLength").unwrap_or(40)).expect("small");
                let length = *self.pick(&[min, max, min + self.below(40.min(max - min + 1))]);
                let characters = ['a', 'Z', '7', 'ñ', '心', '😀', '\u{301}', ' ', '-', '\'', '"', '\\', '<', 'ß'];
                // The first is one that a reader sees.
                (0..length).map(|at| if at == 0 { 'A' } else { *self.pick(&characters) }).collect()
            }
        }
    }

    /// Values that a property of the schema forbids, each in an object that is allowed otherwise.
    fn forbidden(&self, schema: &Value) -> Vec<Forbidden> {
        let schema = self.resolve(schema);
        let mut all = Vec::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            for (fault, value) in self.faults(self.resolve(property)) {
                let mut object = self.object(schema);
                object[name] = value;
                all.push(Forbidden { field: name.clone(), fault, value: object });
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut object = self.object(schema);
            object.as_object_mut().expect("an object").remove(name);
            all.push(Forbidden { field: name.to_owned(), fault: "is missing".into(), value: object });
        }
        all
    }

    fn faults(&self, schema: &Value) -> Vec<(String, Value)> {
        let kinds = kinds(schema);
        let mut faults = vec![("is an object".to_owned(), json!({ "a": 1 })), ("is a list".to_owned(), json!([[1]]))];
        if !kinds.contains(&"null") && !schema["oneOf"].is_array() {
            faults.push(("is null".to_owned(), Value::Null));
        }
        if schema["enum"].is_array() || schema["oneOf"].is_array() {
            faults.push(("is none of the names".to_owned(), json!("Nonesuch")));
        } else if kinds.contains(&"string") {
            faults.push(("is a number".to_owned(), json!(7)));
            faults.push(("has a NUL".to_owned(), json!("a valid text\0")));
            let text = |length: i64| json!("x".repeat(usize::try_from(length).expect("small")));
            faults.extend(number(schema, "maxLength").map(|max| ("is too long".to_owned(), text(max + 1))));
            faults.extend(number(schema, "minLength").map(|min| ("is too short".to_owned(), text(min - 1))));
            if schema["format"].is_string() {
                faults.push(("has no such format".to_owned(), json!("nonsense")));
            }
        } else {
            faults.push(("is text".to_owned(), json!("nonsense")));
        }
        if kinds.contains(&"integer") {
            faults.push(("is no whole number".to_owned(), json!(1.5)));
        }
        faults.extend(number(schema, "maximum").map(|max| ("is too large".to_owned(), json!(max + 1))));
        faults.extend(number(schema, "minimum").map(|min| ("is too small".to_owned(), json!(min - 1))));
        faults
    }

    /// The object schemas of an operation's body: itself, and that of the items of a list.
    fn bodies<'a>(&'a self, operation: &'a Operation) -> Option<&'a Value> {
        let schema = &operation.docs["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then_some(schema)
    }

    fn query<'a>(&self, operation: &'a Operation) -> Vec<(&'a str, &'a Value)> {
        let parameters = operation.docs["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query");
        query.map(|parameter| (parameter["name"].as_str().expect("a name"), &parameter["schema"])).collect()
    }
}

fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::String(kind) => vec![kind],
        _ => Vec::new(),
    }
}

fn number(schema: &Value, bound: &str) -> Option<i64> {
    schema[bound]
        .as_i64()
        .or_else(|| schema[bound].as_f64().map(|number| format!("{number:.0}").parse().expect("whole")))
}

fn in_query(name: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("{name}={encoded}")
}

/// Whether the request was refused for its form, and not for what it asks.
fn is_unread(response: &Response) -> bool {
    [413, 415, 422].contains(&response.status) || response.text.contains("/problems/invalid-window")
}

/// Calls as an admin, who may do everything, and as a page of another origin. Some operations end the login. The harness fails a response
/// with a header that the document does not name.
async fn call(admin: &Client, operation: &Operation, query: &str, body: Option<&Value>) -> Response {
    let call = admin.call(operation.method.clone(), &format!("{}?{query}", operation.path)).header("origin", ORIGIN);
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

async fn what_the_document_allows_is_read(app: &TestApp) {
    let (generator, admin) = (Generator::new(app).await, app.admin().await);
    let (mut refused, mut count) = (Vec::new(), 0);
    for operation in operations_of(&generator.document) {
        let (query, body) = (generator.query(&operation), generator.bodies(&operation));
        if operation.streams() || query.is_empty() && body.is_none() {
            continue;
        }
        let client = admin.log_in_again().await.bearer();
        for _ in 0..CASES {
            let values = query.iter().map(|(name, schema)| (name, generator.allowed(schema)));
            let values = values.filter(|(_, value)| !value.is_null());
            let query: Vec<String> = values.map(|(name, value)| in_query(name, &value)).collect();
            let body = body.map(|schema| generator.allowed(schema));
            let response = call(&client, &operation, &query.join("&"), body.as_ref()).await;
            count += 1;
            if is_unread(&response) {
                refused.push(format!("{} {query:?} {body:?}: {}", response.to, response.text));
            }
        }
    }
    assert!(count > 200, "{count} cases");
    assert!(refused.is_empty(), "{refused:#?}");
}

async fn what_the_document_forbids_is_refused(app: &TestApp) {
    let (generator, admin) = (Generator::new(app).await, app.admin().await);
    let (mut taken, mut count) = (Vec::new(), 0);
    for operation in operations_of(&generator.document) {
        let client = admin.log_in_again().await.bearer();
        let mut check = async |field: &str, fault: &str, query: &str, body: Option<&Value>| {
            count += 1;
            let response = call(&client, &operation, query, body).await;
            let is_refused = match ANSWERED_ELSEWHERE.contains(&field) {
                true => (400..500).contains(&response.status),
                false => response.status == 422 && response.text.contains(&format!("\"{field}\"")),
            };
            if !is_refused {
                taken.push(format!("{}: {field} {fault}: {} {}", response.to, response.status, response.text));
            }
        };
        for (name, schema) in generator.query(&operation) {
            let faults = generator.faults(generator.resolve(schema)).into_iter();
            // In a query everything is text, and what is empty is absent.
            let is_text = kinds(schema).contains(&"string");
            let counts = |fault: &str, value: &Value| match is_text {
                true => value.as_str().is_some_and(|text| !text.is_empty()),
                false => fault != "is null",
            };
            for (fault, value) in faults.filter(|(fault, value)| counts(fault, value)) {
                check(name, &fault, &in_query(name, &value), None).await;
            }
        }
        let Some(schema) = generator.bodies(&operation) else { continue };
        let schema = generator.resolve(schema);
        let (object, list) = match schema["oneOf"].as_array() {
            Some(schemas) => (&schemas[0], schemas.get(1)),
            None => (schema, None),
        };
        for Forbidden { field, fault, value } in generator.forbidden(object) {
            check(&field, &fault, "", Some(&value)).await;
            if list.is_some() {
                check(&field, &fault, "", Some(&json!([generator.allowed(object), value]))).await;
            }
        }
        for (name, items) in list.iter().flat_map(|list| {
            [
                ("minItems", number(list, "minItems").map(|min| min - 1)),
                ("maxItems", number(list, "maxItems").map(|max| max + 1)),
            ]
        }) {
            let items = usize::try_from(items.expect("a bound")).expect("small");
            check("body", name, "", Some(&vec![generator.allowed(object); items].into())).await;
        }
    }
    assert!(count > 200, "{count} cases");
    assert!(taken.is_empty(), "{taken:#?}");
}
