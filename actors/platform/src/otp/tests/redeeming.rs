//! The right code.

use super::*;

#[tokio::test]
async fn a_code_is_right_once_and_names_its_claim() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        let proof = node.otp.redeem(typed(&code)).await.expect("right");
        assert_eq!(proof.claim(), Some(ClaimId(7)));
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        assert!(!node.otp.consume(&proof).await.expect("answered"));
        node.stop().await;
    }
}

#[tokio::test]
async fn of_fifty_racing_right_answers_one_wins() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let one = Node::new(OtpSettings::default(), codes.clone(), &key).await;
        let other = Node::new(OtpSettings::default(), codes, &key).await;
        let code = one.minted().await;
        let mut racing = tokio::task::JoinSet::new();
        for n in 0..50 {
            let otp = if n % 2 == 0 { one.otp.clone() } else { other.otp.clone() };
            let guess = Guess { client: somewhere(), ..typed(&code) };
            racing.spawn(async move { otp.redeem(guess).await });
        }
        let answers = racing.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(answers.iter().filter(|answer| is_wrong(answer)).count(), 49);
        one.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn a_checked_code_is_kept_until_one_of_those_who_checked_uses_it() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        let mut proofs = Vec::new();
        for _ in 0..20 {
            proofs.push(node.otp.check(typed(&code)).await.expect("right, again and again"));
        }
        let mut racing = tokio::task::JoinSet::new();
        for proof in proofs {
            let otp = node.otp.clone();
            racing.spawn(async move { otp.consume(&proof).await.expect("answered") });
        }
        let used = racing.join_all().await.into_iter().filter(|&used| used).count();
        assert_eq!(used, 1);
        assert!(is_wrong(&node.otp.check(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        node.clock.advance(5 * MINUTE - Duration::from_secs(2));
        let proof = node.otp.check(typed(&code)).await.expect("still good");
        node.clock.advance(Duration::from_secs(2));
        assert!(is_wrong(&node.otp.check(typed(&code)).await));
        assert!(!node.otp.consume(&proof).await.expect("answered"));
        node.stop().await;
    }
}

#[tokio::test]
async fn an_earlier_code_lives_out_its_time() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let first = node.minted().await;
        let second = node.minted().await;
        node.otp.redeem(typed(&second)).await.expect("the second");
        node.otp.redeem(typed(&first)).await.expect("and the first");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_is_good_for_its_purpose_and_address_only() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted_for(Purpose::PasswordReset).await;
        let reset = Guess { purpose: Purpose::PasswordReset, ..typed(&code) };
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        assert!(is_wrong(&node.otp.redeem(Guess { address: email("grace@example.org"), ..reset.clone() }).await));
        node.otp.redeem(reset).await.expect("right for what it is for");
        node.stop().await;
    }
}

#[tokio::test]
async fn space_around_a_code_is_forgiven() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        node.otp.redeem(typed(&format!(" {code}\n"))).await.expect("right");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_restored_code_has_the_tries_it_had() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        guess_wrong(&node.otp, &code, 2).await;
        let proof = node.otp.redeem(typed(&code)).await.expect("right");
        node.otp.restore(&proof).await.expect("back");
        node.otp.restore(&proof).await.expect("twice is once");
        guess_wrong(&node.otp, &code, 2).await;
        let proof = node.otp.redeem(typed(&code)).await.expect("one try was left");
        node.otp.restore(&proof).await.expect("back");
        guess_wrong(&node.otp, &code, 1).await;
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_restored_code_ends_when_it_would_have() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let code = node.minted().await;
        let proof = node.otp.redeem(typed(&code)).await.expect("right");
        node.clock.advance(5 * MINUTE);
        node.otp.restore(&proof).await.expect("back, but over");
        assert!(is_wrong(&node.otp.redeem(typed(&code)).await));
        node.stop().await;
    }
}

#[tokio::test]
async fn what_is_forgotten_is_wrong_and_the_rest_stays() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let welcome = node.minted().await;
        let reset = node.minted_for(Purpose::PasswordReset).await;
        node.otp.forget(Purpose::Verification, &email(ADA)).await.expect("forgotten");
        assert!(is_wrong(&node.otp.redeem(typed(&welcome)).await));
        node.otp.redeem(Guess { purpose: Purpose::PasswordReset, ..typed(&reset) }).await.expect("still good");
        node.stop().await;
    }
}
