//! Which status each failure below the edge gets.

use salvo::{
    Depot, Request, Response, Writer as _,
    http::{ResBody, header},
};
use serde_json::{Value, json};

use super::*;

/// The status, the type and `Retry-After` of the response to a failure.
async fn response(error: impl Into<Problem>) -> (u16, Value, Option<String>) {
    let mut res = Response::new();
    error.into().write(&mut Request::default(), &mut Depot::new(), &mut res).await;
    let ResBody::Once(body) = res.take_body() else { panic!("a body") };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let retry_after = res.headers().get(header::RETRY_AFTER).map(|value| value.to_str().expect("text").to_owned());
    (res.status_code.expect("a status").as_u16(), body["type"].clone(), retry_after)
}

#[tokio::test]
async fn an_actor_that_is_busy_stopped_or_late_is_a_503_with_retry_after() {
    for error in [AskError::Busy("logins"), AskError::Unavailable("logins"), AskError::TimedOut("logins")] {
        let text = error.to_string();
        let expected = (503, json!("/problems/unavailable"), Some("1".to_owned()));
        assert_eq!(response(LoginError::from(error)).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_a_503_with_retry_after() {
    for error in [StoreError::from(sqlx::Error::PoolClosed), StoreError::from(sqlx::Error::PoolTimedOut)] {
        let text = error.to_string();
        let expected = (503, json!("/problems/unavailable"), Some("1".to_owned()));
        assert_eq!(response(AccountError::from(error)).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_concurrent_change_that_won_is_a_409() {
    let expected = (409, json!("/problems/concurrent-change"), None);
    assert_eq!(response(PasswordError::from(StoreError::Conflict)).await, expected);
    assert_eq!(response(CommunityError::from(StoreError::Conflict)).await, expected);
}

#[tokio::test]
async fn lost_or_corrupt_data_and_a_rejected_statement_are_a_500() {
    let expected = (500, json!("/problems/internal"), None);
    assert_eq!(response(SessionError::from(StoreError::corrupt("session 7"))).await, expected);
    let rejected = StoreError::encode(std::fmt::Error);
    assert_eq!(response(SessionError::from(rejected)).await, expected);
}
