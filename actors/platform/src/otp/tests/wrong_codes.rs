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
        let settings = Settings { max_failures_per_account: 12, ..Settings::default() };
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

#[tokio::test]
async fn a_wrong_code_weighs_as_many_as_the_live_codes() {
    for codes in everywhere().await {
        let settings = Settings { max_failures_per_account: 6, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let code = node.issued().await;
        node.issued().await;
        node.issued().await;
        enter_wrong(&node, &code, 2).await;
        let from_elsewhere = VerifyCode { client: new_client(), ..entered(&code) };
        assert!(matches!(node.check(from_elsewhere.clone()).await, Err(OtpError::TooManyAttempts { .. })));
        let reset = VerifyCode { purpose: Purpose::PasswordReset, ..from_elsewhere };
        assert!(matches!(node.check(reset).await, Err(OtpError::TooManyAttempts { .. })), "all purposes together");
        node.stop().await;
    }
}

#[tokio::test]
async fn known_networks_and_signed_in_users_have_limits_of_their_own() {
    for codes in everywhere().await {
        let settings =
            Settings { max_failures_per_account: 2, max_failures_per_account_and_client: 2, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        for guesser in [Guesser::Stranger, Guesser::KnownNetwork, Guesser::User(UserId(7))] {
            for _ in 0..2 {
                let wrong = VerifyCode { client: new_client(), guesser, ..entered("no code") };
                assert!(is_invalid(&node.check(wrong).await), "{guesser:?}");
            }
            let one_more = VerifyCode { client: new_client(), guesser, ..entered("no code") };
            assert!(matches!(node.check(one_more).await, Err(OtpError::TooManyAttempts { .. })), "{guesser:?}");
        }
        let another = VerifyCode { guesser: Guesser::User(UserId(8)), ..entered("no code") };
        assert!(is_invalid(&node.check(another).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn one_client_guesses_fifty_codes_a_day_at_most_over_all_accounts() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let at =
            |number: usize| VerifyCode { address: email(&format!("ada{number}@example.org")), ..entered("no code") };
        for number in 0..50 {
            assert!(is_invalid(&node.check(at(number)).await), "{number}");
        }
        assert!(matches!(node.check(at(50)).await, Err(OtpError::TooManyAttempts { .. })));
        assert!(is_invalid(&node.check(VerifyCode { client: new_client(), ..at(50) }).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_link_is_issued_when_codes_may_not_be_entered_and_no_limit_counts_it() {
    for codes in everywhere().await {
        let settings = Settings { max_failures_per_account: 3, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let issue = async || node.otp.ask(request(&new_client())).await.expect("stored").expect("within the quota");
        let first = issue().await;
        assert!(first.link.is_none());
        enter_wrong(&node, first.code.reveal(), 3).await;
        let barred = issue().await;
        assert!(matches!(node.check(entered(barred.code.reveal())).await, Err(OtpError::TooManyAttempts { .. })));
        let link = barred.link.expect("a link").reveal().to_owned();
        for _ in 0..30 {
            assert!(is_invalid(&node.check(entered(&"abcdefghijklmnop".repeat(2))).await), "no link is counted");
        }
        let known = VerifyCode { guesser: Guesser::KnownNetwork, ..entered(barred.code.reveal()) };
        node.check(known).await.expect("junk links cost a code no attempt");
        assert_eq!(node.redeem(entered(&link)).await.expect("right").claim(), Some(ClaimId(7)));
        assert!(is_invalid(&node.redeem(entered(&link)).await), "once");
        node.stop().await;
    }
}

#[tokio::test]
async fn guesses_at_codes_cost_a_link_nothing_and_it_expires() {
    for codes in everywhere().await {
        let settings = Settings { max_failures_per_account: 1, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        enter_wrong(&node, "000000", 1).await;
        let issued = node.otp.ask(request(PHONE)).await.expect("stored").expect("within the quota");
        let link = issued.link.expect("a link").reveal().to_owned();
        for _ in 0..10 {
            let guesser = Guesser::KnownNetwork;
            assert!(is_invalid(
                &node.check(VerifyCode { guesser, ..entered(&other_than(issued.code.reveal())) }).await
            ));
        }
        node.check(entered(&link)).await.expect("is still good");
        node.clock.advance(5 * MINUTE);
        assert!(is_invalid(&node.check(entered(&link)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn an_alarm_is_raised_when_wrong_codes_over_all_accounts_rise() {
    for codes in everywhere().await {
        let settings = Settings { alarm_failures_per_hour: 2, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let alarm = async || node.otp.status().await.expect("the actor runs").service.alarm;
        for expected in [false, false, true] {
            assert!(is_invalid(&node.check(entered("no code")).await));
            assert_eq!(alarm().await, expected);
        }
        let started = tokio::time::Instant::now();
        let guesser = Guesser::KnownNetwork;
        assert!(is_invalid(&node.check(VerifyCode { guesser, ..entered("no code") }).await));
        assert!(started.elapsed() < Duration::from_secs(2), "known networks are not slowed down");
        assert!(is_invalid(&node.check(entered("no code")).await));
        assert!(started.elapsed() >= Duration::from_secs(2));
        node.clock.advance(61 * MINUTE);
        assert!(!alarm().await);
        node.stop().await;
    }
}
