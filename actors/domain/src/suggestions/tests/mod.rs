mod endpoint;
mod secrecy;
mod stand_in;
mod unharmed;

use faceofmind_base::Clock;
use faceofmind_runtime::SupervisorHandle;
use serde_json::Value;

use self::stand_in::{Manner, StandIn};
use super::*;
use crate::testing::supervise;

const KEY: &str = "sk-hunter2";
const WORDS: &str = "my neighbour's parrot sang all night";

/// A room at work, before an endpoint.
struct Bench {
    suggestions: Suggestions,
    tree: SupervisorHandle,
    clock: Clock,
    stand_in: StandIn,
}

/// A short deadline, so that what hangs does not hold up the tests.
fn bounds() -> Settings {
    let backoff = Backoff { initial: Duration::from_secs(60), max: Duration::from_secs(600) };
    Settings {
        deadline: Duration::from_millis(400),
        most_at_once: 2,
        breaker: BreakerSettings { failures: 3, backoff },
    }
}

impl Bench {
    async fn with(manner: Manner, settings: Settings) -> Self {
        let stand_in = StandIn::start(manner).await;
        let url = stand_in.url.parse().expect("a URL");
        let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: Some(KEY.to_owned().into()) });
        let clock = Clock::system();
        let endpoint = Some(endpoint.expect("usable"));
        let (suggestions, child) = Suggestions::new(settings, endpoint, clock.clone(), Rng::system());
        let tree = supervise(vec![child], &clock).await;
        Self { suggestions, tree, clock, stand_in }
    }

    async fn advise(&self, words: &str) -> Advice {
        self.suggestions.advise(ask(words)).await
    }

    async fn observe(&self) -> Value {
        self.tree.children()[0].status().await.expect("observed")
    }

    async fn breaker(&self) -> String {
        self.observe().await["endpoint"]["breaker"].as_str().expect("a word").to_owned()
    }
}

fn ask(words: &str) -> Ask {
    Ask { emotion: "sad".into(), words: Some(words.into()), language: None, time_zone: None, seed: 1 }
}

fn from_catalogue(words: &str) -> Advice {
    catalogue::advice(&ask(words))
}
