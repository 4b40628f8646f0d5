use super::*;
use crate::{SessionId, Status};

const NOW: Timestamp = Timestamp::from_micros(1_763_925_600_123_456);

#[test]
fn an_envelope_is_a_cloud_event() {
    let context = EventContext::new(Initiator::User(UserId(7)))
        .with_request_id("req-1")
        .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let started = SessionEvent::Started { user_id: UserId(7), session_id: SessionId(12), start_time: NOW };
    let event = started.into_cloud_event(&context, NOW, &Rng::seeded(1));
    let envelope: serde_json::Value = serde_json::from_str(event.envelope()).expect("JSON");
    let expected = serde_json::json!({
        "specversion": "1.0",
        "id": event.id().to_string(),
        "source": "/faceofmind/user-api",
        "type": "faceofmind.v1.session.started",
        "subject": "session/12",
        "time": "2025-11-23T19:20:00.123456+00:00",
        "datacontenttype": "application/json",
        "causedby": "user/7",
        "requestid": "req-1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": { "user_id": 7, "session_id": 12, "start_time": "2025-11-23T19:20:00.123456+00:00" },
    });
    assert_eq!(envelope, expected);
    let subject = "faceofmind.v1.session.started.7".to_owned();
    assert_eq!(id_and_subject_of(event.envelope(), UserId(7)), Some((event.id().to_string(), subject)));
    assert_eq!(event.id().get_version_num(), 7);
}

#[test]
fn an_event_spells_words_as_the_database_does() {
    let changed = UserEvent::StatusChanged { user_id: UserId(7), status: Status::Suspended };
    let event = changed.into_cloud_event(&EventContext::new(Initiator::System), NOW, &Rng::seeded(1));
    let envelope: serde_json::Value = serde_json::from_str(event.envelope()).expect("JSON");
    assert_eq!(envelope["data"], serde_json::json!({ "user_id": 7, "status": "suspended" }));
    assert_eq!((&envelope["subject"], &envelope["causedby"]), (&"user/7".into(), &"system".into()));
    assert!(envelope.get("requestid").is_none(), "absent, not null");
}

#[test]
fn a_deletion_has_the_type_that_consumers_match() {
    let event = UserEvent::Deleted { user_id: UserId(7) }.into_cloud_event(
        &EventContext::new(Initiator::System),
        NOW,
        &Rng::seeded(1),
    );
    let (_, subject) = id_and_subject_of(event.envelope(), UserId(7)).expect("an envelope");
    assert_eq!(subject, format!("{USER_DELETED}.7"));
}

#[test]
fn no_text_fits_into_an_event() {
    fn holds_no_text<T: DomainEvent + Copy>() {}
    holds_no_text::<UserEvent>();
    holds_no_text::<SessionEvent>();
    holds_no_text::<CommunityEvent>();
    holds_no_text::<ReminderEvent>();
}
