//! What consumers may rely on, as an AsyncAPI 3.0 document: a channel, an operation and a message for each event, with schemas derived
//! from the event types.

use std::collections::BTreeMap;

use faceofmind_base::Timestamp;
use faceofmind_model::{
    CommentId, DetectionId, FeedbackId, PostId, ReminderId, Role, SessionId, Status, UserId,
    emotion::KnownEmotion,
    event::{
        CommunityEvent, DomainEvent, Envelope, EventContext, Initiator, PREFIX, ReminderEvent, SessionEvent, UserEvent,
    },
};
use faceofmind_platform::outbox::{ROW_HEADER, STREAM};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const CLOUD_EVENTS: &str = "application/cloudevents+json";
const SCHEMAS: &str = "/components/schemas";
const DESCRIPTION: &str = include_str!("asyncapi.md");

/// The document. Its fields serialise in the order of reading.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncApi {
    asyncapi: &'static str,
    id: &'static str,
    info: Value,
    default_content_type: &'static str,
    servers: Value,
    channels: BTreeMap<String, Value>,
    operations: BTreeMap<String, Value>,
    components: Components,
}

#[derive(Debug, Serialize)]
struct Components {
    messages: BTreeMap<String, Value>,
    schemas: Map<String, Value>,
}

impl AsyncApi {
    /// Returns the document of this version of the service.
    pub fn new(version: &str) -> Self {
        let EventSchemas { kinds, mut schemas } = EventSchemas::new();
        let names: Vec<Names> = kinds.iter().map(|(kind, _)| Names::of(kind)).collect();
        let named = || names.iter().zip(&kinds);
        let channels = named().map(|(names, (_, schema))| (names.id.clone(), channel(names, schema))).collect();
        let send = |(names, (_, schema)): (&Names, &(String, Value))| {
            (format!("send{}", names.schema), operation(names, schema))
        };
        let operations = named().map(send).collect();
        let messages = named().map(|(names, (_, schema))| (names.id.clone(), message(names, schema))).collect();
        schemas.extend(names.iter().zip(kinds.clone()).map(|(names, (_, schema))| (names.schema.clone(), schema)));
        Self {
            asyncapi: "3.0.0",
            id: "urn:faceofmind:user-api:events",
            info: json!({
                "title": "FaceofMind User API: events",
                "version": version,
                "description": DESCRIPTION,
                "contact": { "name": "FaceofMind" },
                "tags": [{ "name": "events", "description": "What happened to a user." }],
                "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            }),
            default_content_type: CLOUD_EVENTS,
            servers: servers(),
            channels,
            operations,
            components: Components { messages, schemas },
        }
    }
}

/// The schemas that are derived from the event types: one for each `type`, and those that they refer to.
#[derive(Default)]
struct EventSchemas {
    kinds: Vec<(String, Value)>,
    schemas: Map<String, Value>,
}

impl EventSchemas {
    fn new() -> Self {
        let mut all = Self::default();
        all.add::<UserEvent>();
        all.add::<SessionEvent>();
        all.add::<CommunityEvent>();
        all.add::<ReminderEvent>();
        all.kinds.sort_by_key(|(kind, _)| examples().iter().position(|example| example["payload"]["type"] == **kind));
        all
    }

    /// Adds the events of one module.
    fn add<E: DomainEvent + JsonSchema>(&mut self) {
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        });
        let mut envelope =
            settings.for_serialize().into_generator().into_root_schema_for::<Envelope<'static, E>>().to_value();
        if let Some(Value::Object(schemas)) = envelope.pointer_mut(SCHEMAS).map(Value::take) {
            self.schemas.extend(schemas);
        }
        let variants = match envelope.get_mut("oneOf").map(Value::take) {
            Some(Value::Array(variants)) => variants,
            // An enum of one event is no choice.
            _ => vec![envelope.clone()],
        };
        let kinds =
            variants.iter().filter_map(|variant| Some((kind_of(variant)?.to_owned(), merge(&envelope, variant))));
        self.kinds.extend(kinds);
    }
}

fn kind_of(schema: &Value) -> Option<&str> {
    schema["properties"]["type"]["const"].as_str()
}

/// Merges the attributes of every event with those of one.
fn merge(envelope: &Value, variant: &Value) -> Value {
    let mut properties = envelope["properties"].as_object().cloned().unwrap_or_default();
    properties.extend(variant["properties"].as_object().cloned().unwrap_or_default());
    let names = [&envelope["required"], &variant["required"]];
    let required: Vec<_> = names.into_iter().filter_map(Value::as_array).flatten().collect();
    json!({
        "type": "object",
        "description": variant["description"],
        "properties": properties,
        "required": required,
    })
}

/// The names of one event in the document.
struct Names {
    /// `faceofmind.v1.session.started`
    kind: String,
    /// `session.started`
    short: String,
    /// `sessionStarted`
    id: String,
    /// `SessionStarted`
    schema: String,
}

impl Names {
    fn of(kind: &str) -> Self {
        let short = kind.strip_prefix(PREFIX).unwrap_or(kind);
        let schema: String = short.split(['.', '_']).map(capitalised).collect();
        let id = schema[..1].to_lowercase() + &schema[1..];
        Self { kind: kind.to_owned(), short: short.to_owned(), id, schema }
    }
}

fn capitalised(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

fn reference(to: &str) -> Value {
    json!({ "$ref": to })
}

fn servers() -> Value {
    json!({
        "nats": {
            "host": "{host}:{port}",
            "protocol": "nats",
            "description": format!("The server that `NATS_URL` names. Events are in its JetStream stream `{STREAM}`."),
            "variables": {
                "host": { "default": "127.0.0.1", "description": "The host of your NATS server." },
                "port": { "default": "4222" },
            },
        },
    })
}

fn channel(names: &Names, schema: &Value) -> Value {
    json!({
        "address": format!("{}.{{user_id}}", names.kind),
        "title": names.short,
        "description": schema["description"],
        "servers": [reference("#/servers/nats")],
        "parameters": { "user_id": { "description": "The user whom the event is about; `*` subscribes to all users." } },
        "messages": { names.id.as_str(): reference(&format!("#/components/messages/{}", names.id)) },
    })
}

fn operation(names: &Names, schema: &Value) -> Value {
    json!({
        "action": "send",
        "summary": format!("Sends `{}`.", names.short),
        "description": schema["description"],
        "channel": reference(&format!("#/channels/{}", names.id)),
        "messages": [reference(&format!("#/channels/{0}/messages/{0}", names.id))],
    })
}

fn message(names: &Names, schema: &Value) -> Value {
    json!({
        "name": names.kind,
        "title": names.short,
        "summary": schema["description"],
        "contentType": CLOUD_EVENTS,
        "headers": {
            "type": "object",
            "properties": {
                "Nats-Msg-Id": { "type": "string", "format": "uuid", "description": "The event's `id`." },
                "Content-Type": { "const": CLOUD_EVENTS },
                (ROW_HEADER): { "type": "string", "format": "uuid", "description": ROW_DESCRIPTION },
            },
            "required": ["Nats-Msg-Id", "Content-Type"],
        },
        "payload": reference(&format!("#{SCHEMAS}/{}", names.schema)),
        "examples": examples().into_iter().filter(|example| example["payload"]["type"] == names.kind).collect::<Vec<_>>(),
    })
}

const ROW_DESCRIPTION: &str = "Of an event that was recorded together with others: the id of the first of them. Only the service itself needs it.";

/// The time of every example.
const EXAMPLE_TIME: Timestamp = Timestamp::from_micros(1_795_466_654_364_565);

fn example(event: impl DomainEvent) -> Value {
    let id = Uuid::from_u128(0x01a2_0a26_f29c_78f4_af95_efd7_4500_185c);
    let initiator = Initiator::User(event.user_id());
    let context = EventContext::new(initiator).with_request_id("01a20a26-f29b-7f27-a405-f22ac7d03b54");
    let payload = json!(Envelope::new(id, &event.aggregate(), EXAMPLE_TIME, &context, event));
    json!({ "headers": { "Nats-Msg-Id": id, "Content-Type": CLOUD_EVENTS }, "payload": payload })
}

/// One example of each event, in the order of the document.
fn examples() -> [Value; 16] {
    let (user_id, session_id, detection_id) = (UserId(7), SessionId(12), DetectionId(31));
    let (post_id, timestamp, emotion) = (PostId(4), EXAMPLE_TIME, KnownEmotion::of("sad"));
    [
        example(UserEvent::Registered { user_id }),
        example(UserEvent::Verified { user_id }),
        example(UserEvent::Updated { user_id, role: Role::User }),
        example(UserEvent::StatusChanged { user_id, status: Status::Suspended }),
        example(UserEvent::PasswordChanged { user_id }),
        example(UserEvent::EmailChanged { user_id }),
        example(UserEvent::Deleted { user_id }),
        example(SessionEvent::Started { user_id, session_id, start_time: EXAMPLE_TIME }),
        example(SessionEvent::Ended { user_id, session_id, end_time: EXAMPLE_TIME }),
        example(SessionEvent::Deleted { user_id, session_id }),
        example(SessionEvent::EmotionDetected { user_id, session_id, detection_id, emotion, timestamp }),
        example(SessionEvent::EmotionCrisis { user_id, session_id, detection_id, timestamp }),
        example(SessionEvent::FeedbackSubmitted { user_id, session_id, feedback_id: FeedbackId(3) }),
        example(CommunityEvent::PostCreated { user_id, post_id }),
        example(CommunityEvent::CommentCreated { user_id, post_id, comment_id: CommentId(9) }),
        example(ReminderEvent::Due { user_id, reminder_id: ReminderId(5), due_at: EXAMPLE_TIME }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_channel_an_operation_and_a_message_with_an_example() {
        let document = json!(AsyncApi::new("1.2.3"));
        let kinds = EventSchemas::new().kinds;
        assert_eq!(kinds.len(), examples().len());
        for (kind, _) in kinds {
            let Names { id, schema, .. } = Names::of(&kind);
            assert_eq!(document["channels"][&id]["address"], format!("{kind}.{{user_id}}"));
            assert_eq!(document["operations"][format!("send{schema}")]["action"], "send");
            let examples = document["components"]["messages"][&id]["examples"].as_array().expect("examples");
            assert_eq!(examples.len(), 1, "{kind}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = json!(AsyncApi::new("1.2.3"));
        let mut references = Vec::new();
        gather(&document, &mut references);
        assert!(references.len() >= 4 * examples().len(), "a channel, an operation and a message refer to one another");
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn gather(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| gather(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| gather(value, references)),
            _ => {}
        }
    }
}
