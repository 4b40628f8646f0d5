//! Neither the key nor what a person said comes to light.

use std::sync::Mutex;

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{stand_in::GOOD, *};

/// Keeps everything that is logged, at every level.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<String>>);

impl Visit for &Listener {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut heard = self.0.lock().expect("no test panicked with it");
        heard.push_str(&format!("{field}={value:?}\n"));
    }
}

impl Subscriber for Listener {
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
async fn no_log_line_and_no_state_holds_the_words_or_the_key() {
    let listener = Listener::default();
    let guard = tracing::subscriber::set_default(listener.clone());
    let bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    bench.advise(WORDS).await;
    for manner in [Manner::Raw(500, WORDS.into()), Manner::Raw(200, WORDS.into()), Manner::BreaksOff] {
        bench.stand_in.answers(manner);
        bench.advise(WORDS).await;
    }
    bench.advise("I want to die, said the parrot").await;
    drop(guard);
    assert_eq!(bench.breaker().await, "open");
    let heard = listener.0.lock().expect("no test panicked with it").clone();
    assert!(heard.contains("the suggestions endpoint keeps failing"), "it listened: {heard}");
    for told in [heard, bench.observe().await.to_string()] {
        assert!(!told.contains("parrot") && !told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn printed_for_debugging_nothing_shows_them_either() {
    let settings = EndpointSettings {
        url: "https://api.example.org/v1".parse().expect("a URL"),
        model: "m".into(),
        key: Some(KEY.to_owned().into()),
    };
    let endpoint = Endpoint::new(settings.clone()).expect("usable");
    let (suggestions, _) = Suggestions::new(bounds(), Some(endpoint.clone()), Clock::system(), Rng::system());
    let advice = Advice { lines: vec![WORDS.into()], urls: Vec::new(), crisis: false };
    let printed = format!("{settings:?} {endpoint:?} {suggestions:?} {:?} {advice:?}", ask(WORDS));
    assert!(!printed.contains("parrot") && !printed.contains("hunter2") && !printed.contains("sad"), "{printed}");
}
