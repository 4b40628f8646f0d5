//! Suggestions are made whatever the state of the actor, and a crisis is answered first.

use super::{stand_in::GOOD, *};
use crate::testing::until;

const CRISIS: &str = "I want to kill myself";

fn crisis_answer() -> Advice {
    crisis::answer(None, None)
}

#[tokio::test]
async fn without_an_endpoint_the_catalogue_answers() {
    let (endpoint, time) = (None, (Clock::system(), Rng::system()));
    let (_, suggestions, child) = SuggestionEngine::new(Settings::default(), endpoint, time);
    let tree = supervise(vec![child], &Clock::system()).await;
    assert_eq!(suggestions.suggest(request(WORDS)).await, from_catalogue(WORDS));
    let status = tree.children()[0].status().await.expect("runs");
    let counts = json!({ "requests": 1, "from_catalogue": 1, "from_endpoint": 0, "crises": 0 });
    assert_eq!(status, json!({ "suggestions": counts, "endpoint": null }));
}

#[tokio::test]
async fn a_crisis_is_answered_first_and_never_sent_out() {
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    assert_eq!(test.suggest(CRISIS).await, crisis_answer());
    let counts = test.status().await.suggestions;
    assert_eq!((test.stand_in.request_count(), counts.crises, counts.requests), (0, 1, 1));
}

#[tokio::test]
async fn a_crisis_answer_follows_the_persons_zone_and_language() {
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    let (language, time_zone) = (Some("fil".into()), Some("Europe/London".into()));
    let wanted = SuggestionRequest { language, time_zone, ..request(CRISIS) };
    let advice = test.suggestions.suggest(wanted).await;
    assert!(advice.crisis && advice.lines[0].starts_with("Salamat") && advice.lines[2].contains("116 123"));
}

#[tokio::test]
async fn suggestions_are_made_before_the_actor_starts_and_after_it_stops() {
    let clock = Clock::system();
    let stand_in = StandIn::start(Behaviour::Says(GOOD)).await;
    let url = stand_in.url.parse().expect("a URL");
    let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: None }).expect("usable");
    let (endpoint, time) = (Some(endpoint), (clock.clone(), Rng::system()));
    let (_, suggestions, child) = SuggestionEngine::new(settings(), endpoint, time);
    let suggest = async |words| suggestions.suggest(request(words)).await;
    assert_eq!((suggest(CRISIS).await, suggest(WORDS).await), (crisis_answer(), from_catalogue(WORDS)));
    let tree = supervise(vec![child], &clock).await;
    assert_eq!(suggest(WORDS).await.lines[0], "I hear you.");
    tree.stop(Duration::from_secs(5)).await;
    assert_eq!((suggest(CRISIS).await, suggest(WORDS).await), (crisis_answer(), from_catalogue(WORDS)));
}

#[tokio::test]
async fn a_panic_of_the_actor_gives_its_callers_the_catalogue() {
    let settings = Settings { deadline: Duration::from_secs(20), ..settings() };
    let test = TestContext::with(Behaviour::Hangs, settings).await;
    let killed = async {
        until("the call is in progress", async || test.stand_in.request_count() == 1).await;
        test.tree.children()[0].panic();
    };
    let (advice, ()) = tokio::join!(test.suggest(WORDS), killed);
    assert_eq!(advice, from_catalogue(WORDS));
    test.stand_in.answers(Behaviour::Says(GOOD));
    until("it runs again", async || test.suggest(WORDS).await.lines[0] == "I hear you.").await;
    assert!(test.status().await.suggestions.requests > 1, "a panic does not reset the counters");
}

#[tokio::test]
async fn suggestions_are_made_also_when_the_mailbox_is_full() {
    let settings = Settings { deadline: Duration::from_secs(20), ..settings() };
    let test = TestContext::with(Behaviour::SaysWhenOpened(GOOD), settings).await;
    let many = futures_util::future::join_all((0..50).map(|_| test.suggest(WORDS)));
    let meanwhile = async {
        until("both are in progress", async || test.stand_in.request_count() == 2).await;
        assert_eq!(test.suggest(CRISIS).await, crisis_answer());
        test.stand_in.open();
    };
    let (answers, ()) = tokio::join!(many, meanwhile);
    let from_endpoint = answers.iter().filter(|advice| advice.lines[0] == "I hear you.").count();
    let rest = answers.iter().filter(|advice| **advice == from_catalogue(WORDS)).count();
    assert_eq!((from_endpoint, rest), (2, 48));
}
