//! Neither the key nor what a person said is shown.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{stand_in::GOOD, *};

/// Collects all log output, at every level.
#[derive(Clone, Default)]
struct LogCollector(Arc<Mutex<String>>);

impl Visit for &LogCollector {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut log = self.0.lock().expect("no test panicked with it");
        log.push_str(&format!("{field}={value:?}\n"));
    }
}

impl Subscriber for LogCollector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut &*self);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut &*self);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn no_log_line_and_no_status_holds_the_words_or_the_key() {
    let collector = LogCollector::default();
    let guard = tracing::subscriber::set_default(collector.clone());
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    test.suggest(WORDS).await;
    for behaviour in [Behaviour::Raw(500, WORDS.into()), Behaviour::Raw(200, WORDS.into()), Behaviour::BreaksOff] {
        test.stand_in.answers(behaviour);
        test.suggest(WORDS).await;
    }
    test.suggest("I want to die, said the parrot").await;
    drop(guard);
    assert_eq!(test.endpoint().await.breaker, BreakerState::Open);
    let log = collector.0.lock().expect("no test panicked with it").clone();
    assert!(log.contains("the suggestions endpoint kept failing"), "log output is collected: {log}");
    for shown in [log, serde_json::to_string(&test.status().await).expect("JSON")] {
        assert!(!shown.contains("parrot") && !shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn no_debug_output_holds_the_words_or_the_key() {
    let settings = EndpointSettings {
        url: "https://api.example.org/v1".parse().expect("a URL"),
        model: "m".into(),
        key: Some(KEY.to_owned().into()),
    };
    let endpoint = Endpoint::new(settings.clone()).expect("usable");
    let time = (Clock::system(), Rng::system());
    let (_, suggestions, _) = SuggestionEngine::new(super::settings(), Some(endpoint.clone()), time);
    let advice = Advice { lines: vec![WORDS.into()], urls: Vec::new(), crisis: false };
    let printed = format!("{settings:?} {endpoint:?} {suggestions:?} {:?} {advice:?}", request(WORDS));
    assert!(!printed.contains("parrot") && !printed.contains("hunter2") && !printed.contains("sad"), "{printed}");
}
