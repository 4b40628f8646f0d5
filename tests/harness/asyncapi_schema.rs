//! The AsyncAPI document of the repository, and events held against it: whatever is not documented is a fault.

use std::{collections::HashMap, sync::LazyLock};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// What the document in the repository says.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.yaml"));
    serde_norway::from_str(&text.expect("docs/asyncapi.yaml is there")).expect("YAML")
});

static BOOK: LazyLock<Book> = LazyLock::new(Book::open);

/// The schema of each message, by the address of its channel.
struct Book {
    schemas: Schemas,
    by_address: HashMap<String, SchemaIndex>,
}

impl Book {
    fn open() -> Self {
        const PLACE: &str = "https://asyncapi.test/asyncapi.json";
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V7);
        compiler.enable_format_assertions();
        let mut document = DOCUMENT.clone();
        close(&mut document["components"]["schemas"]);
        compiler.add_resource(PLACE, document).expect("a document");
        let mut by_address = HashMap::new();
        for channel in DOCUMENT["channels"].as_object().expect("channels").values() {
            for message in channel["messages"].as_object().expect("messages").values() {
                let payload = referred(message)["payload"]["$ref"].as_str().expect("a reference");
                let schema = compiler.compile(&format!("{PLACE}{payload}"), &mut schemas).expect("a schema");
                by_address.insert(channel["address"].as_str().expect("an address").to_owned(), schema);
            }
        }
        Self { schemas, by_address }
    }
}

/// What a `$ref` leads to.
fn referred(reference: &Value) -> &Value {
    let pointer = reference["$ref"].as_str().and_then(|to| to.strip_prefix('#')).expect("a reference");
    DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"))
}

/// What the document leaves open for later versions is closed for this one: a field that is not documented is a fault.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("properties").is_some_and(Value::is_object) {
                map.insert("additionalProperties".into(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Where this event, on this NATS subject, is not as documented.
pub(crate) fn violations(subject: &str, event: &Value) -> Vec<String> {
    let (kind, user) = subject.rsplit_once('.').unwrap_or_default();
    let Some(schema) = BOOK.by_address.get(&format!("{kind}.{{user_id}}")) else {
        return vec![format!("no channel has the address of {subject}")];
    };
    let mut faults: Vec<String> = Vec::new();
    if user.parse() != Ok(event["data"]["user_id"].as_i64().unwrap_or_default()) {
        faults.push(format!("{subject} is about another user: {event}"));
    }
    if let Err(fault) = BOOK.schemas.validate(event, *schema) {
        faults.push(format!("{fault:#} in {event}"));
    }
    faults
}
