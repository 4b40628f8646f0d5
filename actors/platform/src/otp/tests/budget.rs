//! How many codes an address gets.

use super::*;

async fn gets_one(node: &Node, wanted: Mint) -> bool {
    node.otp.mint(wanted).await.expect("answered").is_some()
}

#[tokio::test]
async fn three_codes_in_ten_minutes_two_of_them_for_one_client() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        assert!(gets_one(&node, mint(PHONE)).await);
        assert!(gets_one(&node, mint(PHONE)).await);
        assert!(!gets_one(&node, mint(PHONE)).await, "a third from one client");
        assert!(gets_one(&node, mint("desk")).await);
        assert!(!gets_one(&node, mint("attic")).await, "a fourth");
        assert!(gets_one(&node, Mint { purpose: Purpose::PasswordReset, ..mint(PHONE) }).await, "another purpose");
        assert!(gets_one(&node, Mint { address: email("grace@example.org"), ..mint(PHONE) }).await, "another address");
        node.clock.advance(10 * MINUTE);
        assert!(gets_one(&node, mint(PHONE)).await, "ten minutes later");
        node.stop().await;
    }
}

#[tokio::test]
async fn sending_the_same_mail_again_mints_another_code_ten_at_most() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let intent = mint(PHONE);
        for attempt in 1..=10 {
            assert!(gets_one(&node, intent.clone()).await, "attempt {attempt}");
        }
        assert!(!gets_one(&node, intent).await, "the eleventh");
        assert!(gets_one(&node, mint(PHONE)).await, "all of them used the budget once");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_the_budget_counts_no_more_lives_out_its_time() {
    for codes in everywhere().await {
        let settings = OtpSettings { lifetime: 30 * MINUTE, ..OtpSettings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let minted = async || node.otp.mint(mint(PHONE)).await.expect("stored").expect("in the budget").code;
        let early = minted().await;
        node.clock.advance(11 * MINUTE);
        let late = minted().await;
        minted().await;
        assert!(!gets_one(&node, mint(PHONE)).await, "the budget counts those of the last ten minutes");
        node.otp.check(typed(early.reveal())).await.expect("has 19 minutes left");
        node.clock.advance(19 * MINUTE);
        minted().await;
        assert!(is_wrong(&node.otp.check(typed(early.reveal())).await), "its time is over");
        node.otp.check(typed(late.reveal())).await.expect("has 11 minutes left");
        node.stop().await;
    }
}

#[tokio::test]
async fn used_codes_stay_in_the_budget() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        for _ in 0..3 {
            let code = node.minted().await;
            node.otp.redeem(typed(&code)).await.expect("right");
        }
        assert!(!gets_one(&node, mint("attic")).await);
        node.stop().await;
    }
}

#[tokio::test]
async fn two_nodes_keep_one_budget() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let one = Node::new(OtpSettings::default(), codes.clone(), &key).await;
        let other = Node::new(OtpSettings::default(), codes, &key).await;
        // Again and again, because the first race is run before the pool has its connections.
        for n in 0..5 {
            let address = email(&format!("ada{n}@example.org"));
            assert_eq!(race([one.otp.clone(), other.otp.clone()], &address).await, 3);
        }
        one.stop().await;
        other.stop().await;
    }
}

/// How many codes the address gets when the nodes mint twenty at once.
async fn race(nodes: [Otp; 2], address: &Email) -> usize {
    let mut minting = tokio::task::JoinSet::new();
    for otp in nodes.into_iter().cycle().take(20) {
        let wanted = Mint { address: address.clone(), ..mint(&somewhere()) };
        minting.spawn(async move { otp.mint(wanted).await.expect("answered").is_some() });
    }
    minting.join_all().await.into_iter().filter(|&minted| minted).count()
}
