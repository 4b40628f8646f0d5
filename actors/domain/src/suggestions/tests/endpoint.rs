//! The endpoint, and what is done when it does not do its part.

use tokio::time::Instant;

use super::{
    stand_in::{GOOD, completion},
    *,
};
use crate::testing::until;

#[tokio::test]
async fn a_good_answer_is_given_with_the_catalogues_links() {
    let bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    let advice = bench.advise(WORDS).await;
    assert_eq!(advice.lines, GOOD.lines().collect::<Vec<_>>());
    assert_eq!((advice.urls, advice.crisis), (from_catalogue(WORDS).urls, false));
    let observed = bench.observe().await;
    assert_eq!((observed["calls"].as_u64(), observed["from_endpoint"].as_u64()), (Some(1), Some(1)));
}

#[tokio::test]
async fn what_is_sent_is_the_emotion_and_the_words_with_the_key() {
    let bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    let ask = Ask { time_zone: Some("Asia/Manila".into()), seed: 4242, ..ask(WORDS) };
    bench.suggestions.advise(ask).await;
    let request = bench.stand_in.requests().remove(0);
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
    assert!(request.contains(WORDS) && request.contains("sad"), "{request}");
    assert!(!request.contains("Manila") && !request.contains("4242"), "{request}");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_answer_the_catalogue_answers() {
    let lines = |count: usize| vec!["a line"; count].join("\n");
    for (manner, fault) in [
        (Manner::Raw(500, "oh no".into()), "status 500"),
        (Manner::Raw(401, "{}".into()), "status 401"),
        (Manner::Raw(200, "{".into()), "an answer that is no completion in JSON"),
        (Manner::Raw(200, "<html><body>Welcome</body></html>".into()), "an answer that is no completion in JSON"),
        (Manner::Raw(200, completion(&lines(4))), "an answer that has not five lines"),
        (Manner::Raw(200, completion(&lines(6))), "an answer that has not five lines"),
        (Manner::Raw(200, completion(&"x".repeat(100_000))), "an answer of more than 65536 bytes"),
        (Manner::Floods, "an answer of more than 65536 bytes"),
        (Manner::BreaksOff, "broke off its answer"),
        (Manner::StopsHalfway, "no answer in time"),
        (Manner::Hangs, "no answer in time"),
        (Manner::Redirects, "status 307"),
    ] {
        let bench = Bench::with(manner.clone(), bounds()).await;
        assert_eq!(bench.advise(WORDS).await, from_catalogue(WORDS), "{manner:?}");
        let observed = bench.observe().await;
        assert_eq!(observed["endpoint"]["last_fault"], fault, "{manner:?}");
        assert_eq!((bench.stand_in.asked(), observed["from_catalogue"].as_u64()), (1, Some(1)), "{manner:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_no_hindrance() {
    let mut bench = Bench::with(Manner::Says(GOOD), bounds()).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", nobody.local_addr().expect("bound")).parse().expect("a URL");
    drop(nobody);
    let endpoint = Endpoint::new(EndpointSettings { url, model: "m".into(), key: None }).expect("usable");
    let (suggestions, child) = Suggestions::new(bounds(), Some(endpoint), bench.clock.clone(), Rng::system());
    bench.tree = supervise(vec![child], &bench.clock).await;
    bench.suggestions = suggestions;
    assert_eq!(bench.advise(WORDS).await, from_catalogue(WORDS));
    let fault = bench.observe().await["endpoint"]["last_fault"].clone();
    assert!(fault.as_str().is_some_and(|fault| fault.starts_with("could not be reached: ")), "{fault}");
}

#[tokio::test]
async fn nobody_waits_three_seconds_for_an_endpoint_that_hangs() {
    for manner in [Manner::Hangs, Manner::StopsHalfway] {
        let bench = Bench::with(manner, Settings::default()).await;
        let (begun, advice) = (Instant::now(), bench.advise(WORDS).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(advice, from_catalogue(WORDS));
    }
}

#[tokio::test]
async fn the_breaker_opens_and_closes_again() {
    let bench = Bench::with(Manner::Raw(500, String::new()), bounds()).await;
    for _ in 0..5 {
        assert_eq!(bench.advise(WORDS).await, from_catalogue(WORDS));
    }
    assert_eq!((bench.stand_in.asked(), bench.breaker().await.as_str()), (3, "open"), "three failures open it");
    bench.clock.advance(Duration::from_secs(60));
    bench.advise(WORDS).await;
    bench.advise(WORDS).await;
    assert_eq!((bench.stand_in.asked(), bench.breaker().await.as_str()), (4, "open"), "the probe failed");
    bench.stand_in.answers(Manner::Says(GOOD));
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(bench.advise(WORDS).await.lines[0], "I hear you.");
    assert_eq!(bench.breaker().await, "closed");
    assert_eq!(bench.advise(WORDS).await.lines[0], "I hear you.");
    assert_eq!(bench.stand_in.asked(), 6);
}

#[tokio::test]
async fn beyond_the_bound_the_catalogue_answers_at_once() {
    let settings = Settings { deadline: Duration::from_secs(20), ..bounds() };
    let bench = Bench::with(Manner::SaysWhenOpened(GOOD), settings).await;
    let two = async { tokio::join!(bench.advise(WORDS), bench.advise(WORDS)) };
    let more = async {
        until("both are under way", async || bench.stand_in.asked() == 2).await;
        let turned_away = tokio::join!(bench.advise(WORDS), bench.advise(WORDS), bench.advise(WORDS));
        assert_eq!(bench.observe().await["endpoint"]["under_way"], 2);
        bench.stand_in.open();
        turned_away
    };
    let ((first, second), (third, fourth, fifth)) = tokio::join!(two, more);
    assert!([first, second].iter().all(|advice| advice.lines[0] == "I hear you."));
    assert!([third, fourth, fifth].iter().all(|advice| *advice == from_catalogue(WORDS)));
    assert_eq!((bench.stand_in.asked(), bench.breaker().await.as_str()), (2, "closed"));
    assert_eq!(bench.advise(WORDS).await.lines[0], "I hear you.", "their turns are free again");
}
