//! How many codes an address gets.

use super::*;

async fn gets_one(node: &Node, request: IssueCode) -> bool {
    node.otp.ask(request).await.expect("answered").is_some()
}

#[tokio::test]
async fn three_codes_in_ten_minutes_two_of_them_for_one_client() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        assert!(gets_one(&node, request(PHONE)).await);
        assert!(gets_one(&node, request(PHONE)).await);
        assert!(!gets_one(&node, request(PHONE)).await, "a third from one client");
        assert!(gets_one(&node, request("laptop")).await);
        assert!(!gets_one(&node, request("tablet")).await, "a fourth");
        assert!(
            gets_one(&node, IssueCode { purpose: Purpose::PasswordReset, ..request(PHONE) }).await,
            "another purpose"
        );
        assert!(
            gets_one(&node, IssueCode { address: email("grace@example.org"), ..request(PHONE) }).await,
            "another address"
        );
        node.clock.advance(10 * MINUTE);
        assert!(gets_one(&node, request(PHONE)).await, "ten minutes later");
        node.stop().await;
    }
}

#[tokio::test]
async fn codes_that_strangers_cause_use_up_none_of_those_that_the_owner_causes() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let known = |client| IssueCode { is_known: true, ..request(client) };
        for client in ["one", "two", "three"] {
            assert!(gets_one(&node, request(client)).await);
        }
        assert!(!gets_one(&node, request("four")).await, "strangers have used theirs up");
        for client in [PHONE, PHONE, "laptop"] {
            assert!(gets_one(&node, known(client)).await);
        }
        assert!(!gets_one(&node, known("tablet")).await, "the owner has a quota too");
        node.stop().await;
    }
}

#[tokio::test]
async fn sending_a_mail_again_issues_another_code_at_most_ten_times() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let job = request(PHONE);
        for attempt in 1..=10 {
            assert!(gets_one(&node, job.clone()).await, "attempt {attempt}");
        }
        assert!(!gets_one(&node, job).await, "the eleventh");
        assert!(gets_one(&node, request(PHONE)).await, "together they used the quota once");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_the_quota_no_longer_counts_stays_valid_until_it_expires() {
    for codes in everywhere().await {
        let settings = Settings { lifetime: 30 * MINUTE, ..Settings::default() };
        let node = Node::new(settings, codes, &Rng::system().bytes::<32>()).await;
        let issued = async || node.otp.ask(request(PHONE)).await.expect("stored").expect("within the quota").code;
        let early = issued().await;
        node.clock.advance(11 * MINUTE);
        let late = issued().await;
        issued().await;
        assert!(!gets_one(&node, request(PHONE)).await, "the quota counts those of the last ten minutes");
        node.check(entered(early.reveal())).await.expect("has 19 minutes left");
        node.clock.advance(19 * MINUTE);
        issued().await;
        assert!(is_invalid(&node.check(entered(early.reveal())).await), "its time is over");
        node.check(entered(late.reveal())).await.expect("has 11 minutes left");
        node.stop().await;
    }
}

#[tokio::test]
async fn consumed_codes_count_for_the_quota() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        for _ in 0..3 {
            let code = node.issued().await;
            node.redeem(entered(&code)).await.expect("right");
        }
        assert!(!gets_one(&node, request("tablet")).await);
        node.stop().await;
    }
}

#[tokio::test]
async fn two_nodes_share_one_quota() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let one = Node::new(Settings::default(), codes.clone(), &key).await;
        let other = Node::new(Settings::default(), codes, &key).await;
        // Again and again, because the first race is run before the pool has its connections.
        for n in 0..5 {
            let address = email(&format!("ada{n}@example.org"));
            assert_eq!(race([one.otp.clone(), other.otp.clone()], &address).await, 3);
        }
        one.stop().await;
        other.stop().await;
    }
}

/// How many codes the address gets when the nodes issue twenty concurrently.
async fn race(nodes: [Handle<OtpIssuer>; 2], address: &Email) -> usize {
    let mut issuing = tokio::task::JoinSet::new();
    for otp in nodes.into_iter().cycle().take(20) {
        let request = IssueCode { address: address.clone(), ..request(&new_client()) };
        issuing.spawn(async move { otp.ask(request).await.expect("answered").is_some() });
    }
    issuing.join_all().await.into_iter().filter(|&issued| issued).count()
}
