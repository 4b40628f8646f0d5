//! `docs/asyncapi.yaml` is what the program prints, and events can be validated against it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{
    Program,
    asyncapi_schema::{DOCUMENT, violations},
};

/// A change of what other services rely on shows in review: `faceofmind asyncapi > docs/asyncapi.yaml`.
#[tokio::test]
async fn the_asyncapi_document_in_the_repository_is_what_the_program_prints() {
    let printed = Program::with_only(&[]).run(&["asyncapi"], "").await;
    let stored = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.yaml"));
    let stored = stored.expect("docs/asyncapi.yaml exists");
    assert!(stored == printed.output, "run `cargo run -- asyncapi > docs/asyncapi.yaml` and look at what has changed");
}

/// Words that YAML 1.1 reads as a boolean and YAML 1.2 as a text.
const BOOLEANS_OF_YAML_1_1: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

fn ambiguous_words(yaml: &str) -> Vec<&str> {
    let lines = yaml.lines().map(|line| line.trim_start_matches([' ', '-']).trim_end());
    let keys_and_values =
        lines.flat_map(|line| <[&str; 2]>::from(line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""))));
    keys_and_values.filter(|word| BOOLEANS_OF_YAML_1_1.contains(&word.to_lowercase().as_str())).collect()
}

#[test]
fn readers_of_yaml_1_1_and_1_2_read_the_same() {
    assert_eq!(ambiguous_words(include_str!("../docs/asyncapi.yaml")), [""; 0]);
    assert_eq!(ambiguous_words("a: off\n- Yes\non: 1\nb: 'no'\nc: on duty\n"), ["off", "Yes", "on"]);
    let nested = "on:\n  - - no\n    - off\n  - n:\n      y: 1\n  - 'on':\n      - on duty\n";
    assert_eq!(ambiguous_words(nested), ["on", "no", "off", "n", "y"]);
}

fn examples() -> Vec<(String, Value)> {
    let mut examples = Vec::new();
    for (name, message) in DOCUMENT["components"]["messages"].as_object().expect("messages") {
        let address = DOCUMENT["channels"][name]["address"].as_str().expect("a channel of the same name");
        for example in message["examples"].as_array().expect("examples") {
            let user = example["payload"]["data"]["user_id"].to_string();
            examples.push((address.replace("{user_id}", &user), example["payload"].clone()));
        }
    }
    examples
}

#[test]
fn every_example_matches_its_schema() {
    let examples = examples();
    assert!(examples.len() >= 16, "{}", examples.len());
    for (subject, event) in examples {
        assert_eq!(violations(&subject, &event), Vec::<String>::new());
    }
}

#[test]
fn an_undocumented_field_or_event_violates_the_schema() {
    let (subject, event) =
        examples().into_iter().find(|(subject, _)| subject.contains("session.started")).expect("one");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut event = event.clone();
        change(&mut event);
        violations(&subject, &event).len()
    };
    assert_eq!(changed(&|_| {}), 0);
    assert_eq!(changed(&|event| event["data"]["email"] = json!("a@b.org")), 1, "a field of data");
    assert_eq!(changed(&|event| event["note"] = json!("x")), 1, "an attribute");
    assert_eq!(changed(&|event| event["data"]["session_id"] = json!("12")), 1, "another type");
    assert_eq!(changed(&|event| event["time"] = json!("yesterday")), 1, "an invalid time");
    assert_eq!(changed(&|event| event["causedby"] = json!("ada")), 1, "an unknown initiator");
    assert_eq!(changed(&|event| drop(event["data"].as_object_mut().map(|data| data.remove("start_time")))), 1);
    assert_eq!(changed(&|event| event["data"]["user_id"] = json!(8)), 1, "another user's subject");
    assert_eq!(violations("faceofmind.v1.session.paused.7", &event).len(), 1, "an unknown event");
}

/// AsyncAPI 3.0.0: the required objects and the references between them.
#[test]
fn every_operation_sends_the_message_of_its_channel() {
    assert_eq!(DOCUMENT["asyncapi"], "3.0.0");
    assert!(DOCUMENT["info"]["title"].is_string() && DOCUMENT["info"]["version"].is_string());
    let channels = DOCUMENT["channels"].as_object().expect("channels");
    let mut addresses = HashSet::new();
    for operation in DOCUMENT["operations"].as_object().expect("operations").values() {
        assert_eq!(operation["action"], "send");
        let name = operation["channel"]["$ref"].as_str().and_then(|to| to.strip_prefix("#/channels/")).expect("a name");
        let channel = &channels[name];
        assert!(addresses.insert(channel["address"].to_string()), "{name}");
        assert_eq!(operation["messages"], json!([{ "$ref": format!("#/channels/{name}/messages/{name}") }]));
        assert!(channel["messages"][name].is_object() && channel["parameters"]["user_id"].is_object(), "{name}");
        assert_eq!(channel["servers"], json!([{ "$ref": "#/servers/nats" }]));
    }
    assert_eq!(addresses.len(), channels.len());
}
