//! Wrong codes.

use super::*;

#[tokio::test]
async fn five_wrong_guesses_spend_a_code_and_four_do_not() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        guess_wrong(&node.otp, &code, 4).await;
        node.otp.check(typed(&code)).await.expect("one try is left");
        guess_wrong(&node.otp, &code, 1).await;
        assert!(is_wrong(&node.otp.check(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_guess_costs_every_live_code_a_try() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let first = node.minted().await;
        guess_wrong(&node.otp, &first, 3).await;
        let second = node.minted().await;
        guess_wrong(&node.otp, &second, 2).await;
        assert!(first == second || is_wrong(&node.otp.check(typed(&first)).await), "five in all");
        node.otp.check(typed(&second)).await.expect("two of its five");
        node.stop().await;
    }
}

/// Guesses wrong, so many at once, each from somewhere else.
async fn guess_wrong_at_once(otp: &Otp, code: &str, times: u32) {
    let mut guessing = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (otp, guess) = (otp.clone(), Guess { client: somewhere(), ..typed(&other_than(code)) });
        guessing.spawn(async move { otp.check(guess).await });
    }
    assert!(guessing.join_all().await.iter().all(is_wrong));
}

#[tokio::test]
async fn parallel_wrong_guesses_count_each() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        guess_wrong_at_once(&node.otp, &code, 4).await;
        node.otp.check(typed(&code)).await.expect("one try is left");
        guess_wrong_at_once(&node.otp, &code, 1).await;
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_was_guessed_away_does_not_come_back() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        let proof = node.otp.check(typed(&code)).await.expect("right");
        guess_wrong_at_once(&node.otp, &code, 40).await;
        assert!(!node.otp.consume(&proof).await.expect("answered"));
        node.otp.restore(&proof).await.expect("nothing to put back");
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_code_counts_as_a_wrong_one() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        for nonsense in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
            assert!(is_wrong(&node.otp.check(typed(nonsense)).await), "{nonsense:?}");
        }
        assert!(is_wrong(&node.otp.check(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn twenty_wrong_guesses_a_day_from_one_client() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        for _ in 0..20 {
            assert!(is_wrong(&node.otp.check(typed("no code")).await));
        }
        let code = node.minted().await;
        let Err(OtpError::TooMany { retry_after }) = node.otp.check(typed(&code)).await else {
            panic!("the right code comes too late");
        };
        assert!(retry_after > 23 * 60 * MINUTE && retry_after <= 24 * 60 * MINUTE, "{retry_after:?}");
        node.otp.check(Guess { client: somewhere(), ..typed(&code) }).await.expect("right, from another client");
        node.clock.advance(24 * 60 * MINUTE);
        let code = node.minted().await;
        node.otp.check(typed(&code)).await.expect("another day");
        node.stop().await;
    }
}

#[tokio::test]
async fn so_many_a_day_from_all_clients() {
    for codes in everywhere().await {
        let settings = OtpSettings { wrong_a_day: 12, ..OtpSettings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let mut guessing = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let (otp, guess) = (node.otp.clone(), Guess { client: somewhere(), ..typed("no code") });
            guessing.spawn(async move { otp.check(guess).await });
        }
        let answers = guessing.join_all().await;
        let wrong = answers.iter().filter(|answer| is_wrong(answer)).count();
        let refused = answers.iter().filter(|answer| matches!(answer, Err(OtpError::TooMany { .. }))).count();
        assert_eq!((wrong, refused), (12, 18));
        node.stop().await;
    }
}

#[tokio::test]
async fn right_guesses_do_not_count() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        for _ in 0..30 {
            node.otp.check(typed(&code)).await.expect("right");
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn an_address_without_codes_is_answered_as_any_other() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        let stranger = Guess { address: email("nobody@example.org"), ..typed(&code) };
        for _ in 0..20 {
            assert!(is_wrong(&node.otp.check(stranger.clone()).await));
        }
        assert!(matches!(node.otp.check(stranger).await, Err(OtpError::TooMany { .. })));
        node.otp.check(typed(&code)).await.expect("and nobody else was charged");
        node.stop().await;
    }
}
