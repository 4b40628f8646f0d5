//! Rotation: a login survives a lost reply and two tabs, and never forks.

use super::*;

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_refreshes_get_one_successor() {
    for test in contexts().await {
        let mut token = test.logged_in(ADA).await.refresh_token;
        for _ in 0..5 {
            let refreshing = (0..20).map(|_| test.refresh(&token));
            let answers = futures_util::future::join_all(refreshing).await;
            let successors: Vec<_> =
                answers.into_iter().map(|answer| answer.expect("refreshes").refresh_token).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0] && *successor != token));
            token.clone_from(&successors[0]);
        }
        assert_eq!(test.number("SELECT generation FROM logins").await, 6);
    }
}

#[tokio::test]
async fn reuse_after_the_grace_ends_the_login() {
    for test in contexts().await {
        let first = test.logged_in(ADA).await;
        let second = test.refresh(&first.refresh_token).await.expect("refreshes");
        assert!(test.is_good(&second).await);
        test.advance(GRACE + Duration::from_secs(1));
        assert!(matches!(test.refresh(&first.refresh_token).await, Err(TokenError::Invalid)));
        assert!(matches!(test.refresh(&second.refresh_token).await, Err(TokenError::Invalid)));
        assert!(!test.is_good(&second).await && !test.is_good(&first).await);
    }
}

#[tokio::test]
async fn the_grace_is_never_shorter_than_it_is_set() {
    for test in contexts().await {
        let first = test.logged_in(ADA).await;
        let second = test.refresh(&first.refresh_token).await.expect("refreshes");
        assert!(test.is_good(&second).await);
        test.advance(GRACE - Duration::from_millis(200));
        let again = test.refresh(&first.refresh_token).await.expect("is within the grace");
        assert_eq!(again.refresh_token, second.refresh_token);
    }
}

#[tokio::test]
async fn a_lost_reply_may_be_asked_for_again_however_late() {
    for test in contexts().await {
        let first = test.logged_in(ADA).await;
        let lost = test.refresh(&first.refresh_token).await.expect("refreshes");
        test.advance(Duration::from_secs(24 * 3600));
        let again = test.refresh(&first.refresh_token).await.expect("refreshes");
        assert_eq!(again.refresh_token, lost.refresh_token);
        assert!(test.is_good(&again).await);
    }
}

#[tokio::test]
async fn the_first_use_of_a_generation_is_recorded_before_the_reply() {
    for test in contexts().await {
        let used = async || test.number("SELECT proven_generation FROM logins").await;
        let first = test.logged_in(ADA).await;
        assert_eq!(used().await, 0);
        assert!(test.is_good(&first).await);
        assert_eq!(used().await, 1);
        let second = test.refresh(&first.refresh_token).await.expect("refreshes");
        assert!(test.is_good(&first).await, "access tokens of earlier generations live on");
        assert_eq!(used().await, 1);
        assert!(test.is_good(&second).await);
        assert_eq!(used().await, 2);
    }
}

#[tokio::test]
async fn a_suspended_user_refreshes_nothing() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        test.suspend(ada.user.id).await;
        assert!(matches!(test.refresh(&ada.refresh_token).await, Err(TokenError::Invalid)));
        assert_eq!(test.number("SELECT generation FROM logins").await, 1);
    }
}

#[tokio::test]
async fn thirty_days_count_from_the_last_rotation() {
    for test in contexts().await {
        let mut ada = test.logged_in(ADA).await;
        for _ in 0..2 {
            test.advance(Duration::from_secs(29 * 24 * 3600));
            ada = test.refresh(&ada.refresh_token).await.expect("refreshes");
        }
        test.advance(Duration::from_secs(30 * 24 * 3600));
        assert!(matches!(test.refresh(&ada.refresh_token).await, Err(TokenError::Invalid)));
    }
}

/// As after a backup was restored.
#[tokio::test]
async fn a_generation_that_was_never_made_is_invalid() {
    for test in contexts().await {
        let first = test.logged_in(ADA).await;
        let second = test.refresh(&first.refresh_token).await.expect("refreshes");
        test.run("UPDATE logins SET generation = 1").await;
        assert!(!test.is_good(&second).await);
        assert!(test.is_good(&first).await);
    }
}
