//! Calls to the endpoint, and what happens when it fails.

use tokio::time::Instant;

use super::{
    stand_in::{GOOD, completion},
    *,
};
use crate::testing::until;

#[tokio::test]
async fn a_good_answer_is_used_with_the_urls_of_the_catalogue() {
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    let advice = test.suggest(WORDS).await;
    assert_eq!(advice.lines, GOOD.lines().collect::<Vec<_>>());
    assert_eq!((advice.urls, advice.crisis), (from_catalogue(WORDS).urls, false));
    let counts = test.status().await.suggestions;
    assert_eq!((counts.requests, counts.from_endpoint), (1, 1));
}

#[tokio::test]
async fn the_emotion_and_the_words_are_sent_with_the_key() {
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    let wanted = SuggestionRequest { time_zone: Some("Asia/Manila".into()), seed: 4242, ..request(WORDS) };
    test.suggestions.suggest(wanted).await;
    let request = test.stand_in.requests().remove(0);
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
    assert!(request.contains(WORDS) && request.contains("sad"), "{request}");
    assert!(!request.contains("Manila") && !request.contains("4242"), "{request}");
}

#[tokio::test]
async fn the_catalogue_replaces_any_bad_answer() {
    let lines = |count: usize| vec!["a line"; count].join("\n");
    for (behaviour, error) in [
        (Behaviour::Raw(500, "oh no".into()), "status 500"),
        (Behaviour::Raw(401, "{}".into()), "status 401"),
        (Behaviour::Raw(200, "{".into()), "an answer that is no completion in JSON"),
        (Behaviour::Raw(200, "<html><body>Welcome</body></html>".into()), "an answer that is no completion in JSON"),
        (Behaviour::Raw(200, completion(&lines(4))), "an answer that has not five lines"),
        (Behaviour::Raw(200, completion(&lines(6))), "an answer that has not five lines"),
        (Behaviour::Raw(200, completion(&"x".repeat(100_000))), "an answer of more than 65536 bytes"),
        (Behaviour::Floods, "an answer of more than 65536 bytes"),
        (Behaviour::BreaksOff, "broke off its answer"),
        (Behaviour::StopsHalfway, "no answer in time"),
        (Behaviour::Hangs, "no answer in time"),
        (Behaviour::Redirects, "status 307"),
    ] {
        let test = TestContext::with(behaviour.clone(), settings()).await;
        assert_eq!(test.suggest(WORDS).await, from_catalogue(WORDS), "{behaviour:?}");
        let status = test.status().await;
        let last_error = status.endpoint.and_then(|endpoint| endpoint.last_error);
        assert_eq!(last_error.as_deref(), Some(error), "{behaviour:?}");
        assert_eq!((test.stand_in.request_count(), status.suggestions.from_catalogue), (1, 1), "{behaviour:?}");
    }
}

#[tokio::test]
async fn the_catalogue_replaces_an_endpoint_that_is_down() {
    let test = TestContext::with(Behaviour::Says(GOOD), settings()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", closed.local_addr().expect("bound")).parse().expect("a URL");
    drop(closed);
    let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: None }).expect("usable");
    let test = TestContext::on(endpoint, test.stand_in, settings()).await;
    assert_eq!(test.suggest(WORDS).await, from_catalogue(WORDS));
    let error = test.endpoint().await.last_error.expect("a failed call");
    assert!(error.starts_with("could not be reached: "), "{error}");
}

#[tokio::test]
async fn a_suggestion_is_made_within_three_seconds_also_when_the_endpoint_hangs() {
    for behaviour in [Behaviour::Hangs, Behaviour::StopsHalfway] {
        let test = TestContext::with(behaviour, Settings::default()).await;
        let (begun, advice) = (Instant::now(), test.suggest(WORDS).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(advice, from_catalogue(WORDS));
    }
}

#[tokio::test]
async fn the_breaker_opens_and_closes_again() {
    let test = TestContext::with(Behaviour::Raw(500, String::new()), settings()).await;
    for _ in 0..5 {
        assert_eq!(test.suggest(WORDS).await, from_catalogue(WORDS));
    }
    assert_eq!(
        (test.stand_in.request_count(), test.endpoint().await.breaker),
        (3, BreakerState::Open),
        "three failures open it"
    );
    test.clock.advance(Duration::from_secs(60));
    test.suggest(WORDS).await;
    test.suggest(WORDS).await;
    assert_eq!(
        (test.stand_in.request_count(), test.endpoint().await.breaker),
        (4, BreakerState::Open),
        "the probe failed"
    );
    test.stand_in.answers(Behaviour::Says(GOOD));
    test.clock.advance(Duration::from_secs(120));
    assert_eq!(test.suggest(WORDS).await.lines[0], "I hear you.");
    assert_eq!(test.endpoint().await.breaker, BreakerState::Closed);
    assert_eq!(test.suggest(WORDS).await.lines[0], "I hear you.");
    assert_eq!(test.stand_in.request_count(), 6);
}

#[tokio::test]
async fn beyond_the_maximum_of_concurrent_calls_the_catalogue_answers_at_once() {
    let settings = Settings { deadline: Duration::from_secs(20), ..settings() };
    let test = TestContext::with(Behaviour::SaysWhenOpened(GOOD), settings).await;
    let two = async { tokio::join!(test.suggest(WORDS), test.suggest(WORDS)) };
    let more = async {
        until("both are in progress", async || test.stand_in.request_count() == 2).await;
        let others = tokio::join!(test.suggest(WORDS), test.suggest(WORDS), test.suggest(WORDS));
        assert_eq!(test.endpoint().await.in_progress, 2);
        test.stand_in.open();
        others
    };
    let ((first, second), (third, fourth, fifth)) = tokio::join!(two, more);
    assert!([first, second].iter().all(|advice| advice.lines[0] == "I hear you."));
    assert!([third, fourth, fifth].iter().all(|advice| *advice == from_catalogue(WORDS)));
    assert_eq!((test.stand_in.request_count(), test.endpoint().await.breaker), (2, BreakerState::Closed));
    assert_eq!(test.suggest(WORDS).await.lines[0], "I hear you.", "their slots are free again");
}
