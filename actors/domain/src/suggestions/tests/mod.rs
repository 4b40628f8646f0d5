mod endpoint;
mod resilience;
mod secrecy;
mod stand_in;

use std::time::Duration;

use faceofmind_base::{Backoff, Clock, Rng};
use faceofmind_runtime::{Handle, SupervisorHandle};
use serde_json::json;

use self::stand_in::{Behaviour, StandIn};
use super::*;
use crate::testing::supervise;

const KEY: &str = "sk-hunter2";
const WORDS: &str = "the parrot next door sang all night";

/// A running actor, and the endpoint that it calls.
struct TestContext {
    engine: Handle<SuggestionEngine>,
    suggestions: Suggestions,
    tree: SupervisorHandle,
    clock: Clock,
    stand_in: StandIn,
}

/// A short deadline, so that an endpoint that hangs does not hold up the tests.
fn settings() -> Settings {
    let backoff = Backoff { initial: Duration::from_secs(60), max: Duration::from_secs(600) };
    let breaker = BreakerSettings { failures: 3, backoff };
    Settings { deadline: Duration::from_millis(400), max_concurrent: 2, breaker }
}

impl TestContext {
    async fn with(behaviour: Behaviour, settings: Settings) -> Self {
        let stand_in = StandIn::start(behaviour).await;
        let url = stand_in.url.parse().expect("a URL");
        let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: Some(KEY.to_owned().into()) });
        Self::on(endpoint.expect("usable"), stand_in, settings).await
    }

    async fn on(endpoint: Endpoint, stand_in: StandIn, settings: Settings) -> Self {
        let clock = Clock::system();
        let (endpoint, time) = (Some(endpoint), (clock.clone(), Rng::system()));
        let (engine, suggestions, child) = SuggestionEngine::new(settings, endpoint, time);
        let tree = supervise(vec![child], &clock).await;
        Self { engine, suggestions, tree, clock, stand_in }
    }

    async fn suggest(&self, words: &str) -> Advice {
        self.suggestions.suggest(request(words)).await
    }

    async fn status(&self) -> Status {
        self.engine.status().await.expect("runs")
    }

    async fn endpoint(&self) -> EndpointStatus {
        self.status().await.endpoint.expect("an endpoint is set")
    }
}

fn request(words: &str) -> SuggestionRequest {
    let is_crisis = crisis::is_mentioned("sad", words);
    let words = Some(words.into());
    SuggestionRequest { emotion: "sad".into(), words, is_crisis, language: None, time_zone: None, seed: 1 }
}

fn from_catalogue(words: &str) -> Advice {
    catalogue::advice(&request(words))
}
