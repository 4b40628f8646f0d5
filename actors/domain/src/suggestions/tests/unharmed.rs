//! What holds whatever becomes of the actor: everybody is answered, and a crisis before all.

use super::{stand_in::GOOD, *};
use crate::testing::until;

const CRISIS: &str = "I want to kill myself";

fn crisis_answer() -> Advice {
    crisis::answer(None, None)
}

#[tokio::test]
async fn without_an_endpoint_the_catalogue_answers() {
    let (suggestions, child) = Suggestions::new(Settings::default(), None, Clock::system(), Rng::system());
    let tree = supervise(vec![child], &Clock::system()).await;
    assert_eq!(suggestions.advise(ask(WORDS)).await, from_catalogue(WORDS));
    let observed = tree.children()[0].status().await.expect("observed");
    let expected = json!({ "calls": 1, "from_catalogue": 1, "from_endpoint": 0, "crises": 0, "endpoint": "off" });
    assert_eq!(observed, expected);
}

#[tokio::test]
async fn a_crisis_is_answered_first_and_never_sent_out() {
    let bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    assert_eq!(bench.advise(CRISIS).await, crisis_answer());
    let named = Ask { emotion: "Suicidal".into(), words: None, ..ask("") };
    assert_eq!(bench.suggestions.advise(named).await, crisis_answer());
    let observed = bench.observe().await;
    assert_eq!(
        (bench.stand_in.asked(), observed["crises"].as_u64(), observed["calls"].as_u64()),
        (0, Some(2), Some(2))
    );
}

#[tokio::test]
async fn a_crisis_answer_follows_the_persons_zone_and_language() {
    let bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    let ask = Ask { language: Some("fil".into()), time_zone: Some("Europe/London".into()), ..ask(CRISIS) };
    let advice = bench.suggestions.advise(ask).await;
    assert!(advice.crisis && advice.lines[0].starts_with("Salamat") && advice.lines[2].contains("116 123"));
}

#[tokio::test]
async fn an_actor_that_never_ran_or_is_gone_keeps_nobody_from_an_answer() {
    let clock = Clock::system();
    let stand_in = StandIn::start(Manner::Says(GOOD)).await;
    let url = stand_in.url.parse().expect("a URL");
    let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: None }).expect("usable");
    let (suggestions, child) = Suggestions::new(bounds(), Some(endpoint), clock.clone(), Rng::system());
    let told = async |words| suggestions.advise(ask(words)).await;
    assert_eq!((told(CRISIS).await, told(WORDS).await), (crisis_answer(), from_catalogue(WORDS)));
    let tree = supervise(vec![child], &clock).await;
    assert_eq!(told(WORDS).await.lines[0], "I hear you.");
    tree.stop(Duration::from_secs(5)).await;
    assert_eq!((told(CRISIS).await, told(WORDS).await), (crisis_answer(), from_catalogue(WORDS)));
}

#[tokio::test]
async fn an_actor_that_panics_lets_its_callers_have_the_catalogue() {
    let settings = Settings { deadline: Duration::from_secs(20), ..bounds() };
    let bench = Bench::with(Manner::Hangs, settings).await;
    let killed = async {
        until("the call is under way", async || bench.stand_in.asked() == 1).await;
        bench.tree.children()[0].panic();
    };
    let (advice, ()) = tokio::join!(bench.advise(WORDS), killed);
    assert_eq!(advice, from_catalogue(WORDS));
    bench.stand_in.answers(Manner::Says(GOOD));
    until("it is at work again", async || bench.advise(WORDS).await.lines[0] == "I hear you.").await;
    assert!(bench.observe().await["calls"].as_u64() > Some(1), "what was counted is not lost with it");
}

#[tokio::test]
async fn a_full_mailbox_keeps_nobody_from_an_answer() {
    let settings = Settings { deadline: Duration::from_secs(20), ..bounds() };
    let bench = Bench::with(Manner::SaysWhenOpened(GOOD), settings).await;
    let many = futures_util::future::join_all((0..50).map(|_| bench.advise(WORDS)));
    let meanwhile = async {
        until("both are under way", async || bench.stand_in.asked() == 2).await;
        assert_eq!(bench.advise(CRISIS).await, crisis_answer());
        bench.stand_in.open();
    };
    let (answers, ()) = tokio::join!(many, meanwhile);
    let from_endpoint = answers.iter().filter(|advice| advice.lines[0] == "I hear you.").count();
    let rest = answers.iter().filter(|advice| **advice == from_catalogue(WORDS)).count();
    assert_eq!((from_endpoint, rest), (2, 48));
}
