//! The right code.

use super::*;

#[tokio::test]
async fn a_code_is_right_once_and_names_its_claim() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        let verified = node.redeem(entered(&code)).await.expect("right");
        assert_eq!(verified.claim(), Some(ClaimId(7)));
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        assert!(!node.consume(&verified).await);
        node.stop().await;
    }
}

#[tokio::test]
async fn of_fifty_racing_right_answers_one_wins() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let one = Node::new(Settings::default(), codes.clone(), &key).await;
        let other = Node::new(Settings::default(), codes, &key).await;
        let code = one.issued().await;
        let mut racing = tokio::task::JoinSet::new();
        for n in 0..50 {
            let otp = if n % 2 == 0 { one.otp.clone() } else { other.otp.clone() };
            let correct = VerifyCode { client: new_client(), on_match: OnMatch::Consume, ..entered(&code) };
            racing.spawn(async move { otp.ask(correct).await });
        }
        let answers = racing.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(answers.iter().filter(|answer| is_invalid(answer)).count(), 49);
        one.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn a_checked_code_stays_valid_until_one_of_the_requests_consumes_it() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        let mut checked = Vec::new();
        for _ in 0..20 {
            checked.push(node.check(entered(&code)).await.expect("right, again and again"));
        }
        let mut racing = tokio::task::JoinSet::new();
        for verified in checked {
            let otp = node.otp.clone();
            racing.spawn(async move { otp.ask(ConsumeCode(verified)).await.expect("answered") });
        }
        let used = racing.join_all().await.into_iter().filter(|&used| used).count();
        assert_eq!(used, 1);
        assert!(is_invalid(&node.check(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        node.clock.advance(5 * MINUTE - Duration::from_secs(2));
        let verified = node.check(entered(&code)).await.expect("still good");
        node.clock.advance(Duration::from_secs(2));
        assert!(is_invalid(&node.check(entered(&code)).await));
        assert!(!node.consume(&verified).await);
        node.stop().await;
    }
}

#[tokio::test]
async fn an_earlier_code_lives_out_its_time() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let first = node.issued().await;
        let second = node.issued().await;
        node.redeem(entered(&second)).await.expect("the second");
        node.redeem(entered(&first)).await.expect("and the first");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_is_valid_for_its_purpose_and_address_only() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued_for(Purpose::PasswordReset).await;
        let reset = VerifyCode { purpose: Purpose::PasswordReset, ..entered(&code) };
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        assert!(is_invalid(&node.redeem(VerifyCode { address: email("grace@example.org"), ..reset.clone() }).await));
        node.redeem(reset).await.expect("right for what it is for");
        node.stop().await;
    }
}

#[tokio::test]
async fn space_around_a_code_is_ignored() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        node.redeem(entered(&format!(" {code}\n"))).await.expect("right");
        node.stop().await;
    }
}

#[tokio::test]
async fn an_unconsumed_code_has_the_attempts_it_had_left() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        enter_wrong(&node, &code, 2).await;
        let verified = node.redeem(entered(&code)).await.expect("right");
        node.unconsume(&verified).await;
        node.unconsume(&verified).await;
        enter_wrong(&node, &code, 2).await;
        let verified = node.redeem(entered(&code)).await.expect("one try was left");
        node.unconsume(&verified).await;
        enter_wrong(&node, &code, 1).await;
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn an_unconsumed_code_expires_when_it_would_have() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.issued().await;
        let verified = node.redeem(entered(&code)).await.expect("right");
        node.clock.advance(5 * MINUTE);
        node.unconsume(&verified).await;
        assert!(is_invalid(&node.redeem(entered(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn revoked_codes_are_invalid_and_others_stay() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let welcome = node.issued().await;
        let reset = node.issued_for(Purpose::PasswordReset).await;
        node.otp.ask(RevokeCodes { purpose: Purpose::Verification, address: email(ADA) }).await.expect("revoked");
        assert!(is_invalid(&node.redeem(entered(&welcome)).await));
        node.redeem(VerifyCode { purpose: Purpose::PasswordReset, ..entered(&reset) }).await.expect("still good");
        node.stop().await;
    }
}
