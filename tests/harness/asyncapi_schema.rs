//! Validates events against `docs/asyncapi.yaml`. Whatever the document does not describe is a violation.

use std::{collections::HashMap, sync::LazyLock};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// The document in the repository.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.yaml"));
    serde_norway::from_str(&text.expect("docs/asyncapi.yaml is there")).expect("YAML")
});

static SCHEMAS: LazyLock<EventSchemas> = LazyLock::new(EventSchemas::compile);

/// The schema of each message, by the address of its channel.
struct EventSchemas {
    schemas: Schemas,
    by_address: HashMap<String, SchemaIndex>,
}

impl EventSchemas {
    fn compile() -> Self {
        const URL: &str = "https://asyncapi.test/asyncapi.json";
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V7);
        compiler.enable_format_assertions();
        let mut document = DOCUMENT.clone();
        forbid_other_fields(&mut document["components"]["schemas"]);
        compiler.add_resource(URL, document).expect("a document");
        let mut by_address = HashMap::new();
        for channel in DOCUMENT["channels"].as_object().expect("channels").values() {
            for message in channel["messages"].as_object().expect("messages").values() {
                let payload = resolve(message)["payload"]["$ref"].as_str().expect("a reference");
                let schema = compiler.compile(&format!("{URL}{payload}"), &mut schemas).expect("a schema");
                by_address.insert(channel["address"].as_str().expect("an address").to_owned(), schema);
            }
        }
        Self { schemas, by_address }
    }
}

/// The target of a `$ref`.
fn resolve(reference: &Value) -> &Value {
    let pointer = reference["$ref"].as_str().and_then(|to| to.strip_prefix('#')).expect("a reference");
    DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{pointer} has no target"))
}

/// Forbids undocumented fields. The published document allows them, so that later versions may add some.
fn forbid_other_fields(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(forbid_other_fields);
            if map.get("properties").is_some_and(Value::is_object) {
                map.insert("additionalProperties".into(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_other_fields),
        _ => {}
    }
}

/// The violations of the document by this event on this NATS subject.
pub(crate) fn violations(subject: &str, event: &Value) -> Vec<String> {
    let (kind, user) = subject.rsplit_once('.').unwrap_or_default();
    let Some(schema) = SCHEMAS.by_address.get(&format!("{kind}.{{user_id}}")) else {
        return vec![format!("no channel has the address of {subject}")];
    };
    let mut violations: Vec<String> = Vec::new();
    if user.parse() != Ok(event["data"]["user_id"].as_i64().unwrap_or_default()) {
        violations.push(format!("{subject} is about another user: {event}"));
    }
    if let Err(error) = SCHEMAS.schemas.validate(event, *schema) {
        violations.push(format!("{error:#} in {event}"));
    }
    violations
}
