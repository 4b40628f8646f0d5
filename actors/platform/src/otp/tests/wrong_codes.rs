//! Wrong codes.

use super::*;

#[tokio::test]
async fn five_wrong_codes_spend_a_code_and_four_do_not() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        enter_wrong(&node, &code, 4).await;
        node.check(entered(&code)).await.expect("one try is left");
        enter_wrong(&node, &code, 1).await;
        assert!(is_invalid(&node.check(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_code_costs_every_live_code_an_attempt() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let first = node.issued().await;
        enter_wrong(&node, &first, 3).await;
        let second = node.issued().await;
        enter_wrong(&node, &second, 2).await;
        assert!(first == second || is_invalid(&node.check(entered(&first)).await), "five in all");
        node.check(entered(&second)).await.expect("two of its five");
        node.stop().await;
    }
}

/// Enters a wrong code `times` times concurrently, each from another client.
async fn enter_wrong_concurrently(node: &Node, code: &str, times: u32) {
    let mut entering = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (otp, wrong) = (node.otp.clone(), VerifyCode { client: new_client(), ..entered(&other_than(code)) });
        entering.spawn(async move { otp.ask(wrong).await });
    }
    assert!(entering.join_all().await.iter().all(is_invalid));
}

#[tokio::test]
async fn concurrent_wrong_codes_are_all_counted() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        enter_wrong_concurrently(&node, &code, 4).await;
        node.check(entered(&code)).await.expect("one try is left");
        enter_wrong_concurrently(&node, &code, 1).await;
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_was_guessed_away_does_not_come_back() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        let verified = node.check(entered(&code)).await.expect("right");
        enter_wrong_concurrently(&node, &code, 40).await;
        assert!(!node.consume(&verified).await);
        node.unconsume(&verified).await;
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn anything_but_a_code_counts_as_a_wrong_code() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        for nonsense in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
            assert!(is_invalid(&node.check(entered(nonsense)).await), "{nonsense:?}");
        }
        assert!(is_invalid(&node.check(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn twenty_wrong_codes_a_day_from_one_client() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        for _ in 0..20 {
            assert!(is_invalid(&node.check(entered("no code")).await));
        }
        let code = node.issued().await;
        let Err(OtpError::TooManyAttempts { retry_after }) = node.check(entered(&code)).await else {
            panic!("the right code comes too late");
        };
        assert!(retry_after > 23 * 60 * MINUTE && retry_after <= 24 * 60 * MINUTE, "{retry_after:?}");
        node.check(VerifyCode { client: new_client(), ..entered(&code) }).await.expect("right, from another client");
        node.clock.advance(24 * 60 * MINUTE);
        let code = node.issued().await;
        node.check(entered(&code)).await.expect("another day");
        node.stop().await;
    }
}

#[tokio::test]
async fn the_daily_limit_holds_for_all_clients_together() {
    for codes in everywhere().await {
        let settings = Settings { max_failures_per_day: 12, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let mut entering = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let (otp, wrong) = (node.otp.clone(), VerifyCode { client: new_client(), ..entered("no code") });
            entering.spawn(async move { otp.ask(wrong).await });
        }
        let answers = entering.join_all().await;
        let wrong = answers.iter().filter(|answer| is_invalid(answer)).count();
        let refused = answers.iter().filter(|answer| matches!(answer, Err(OtpError::TooManyAttempts { .. }))).count();
        assert_eq!((wrong, refused), (12, 18));
        node.stop().await;
    }
}

#[tokio::test]
async fn right_codes_are_not_counted() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        for _ in 0..30 {
            node.check(entered(&code)).await.expect("right");
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn an_address_without_codes_is_answered_as_any_other() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        let other = VerifyCode { address: email("grace@example.org"), ..entered(&code) };
        for _ in 0..20 {
            assert!(is_invalid(&node.check(other.clone()).await));
        }
        assert!(matches!(node.check(other).await, Err(OtpError::TooManyAttempts { .. })));
        node.check(entered(&code)).await.expect("no other address lost an attempt");
        node.stop().await;
    }
}
