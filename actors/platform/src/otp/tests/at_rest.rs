//! What lies in the store, and what happens when there is none.

use faceofmind_db::{Database, with_conn};
use tokio::net::TcpListener;

use super::*;
use crate::redis::RedisServer;

#[tokio::test]
async fn codes_outlive_the_room() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let first = Node::new(OtpSettings::default(), codes.clone(), &key).await;
        let code = first.minted().await;
        guess_wrong(&first.otp, &code, 4).await;
        first.stop().await;
        let second = Node::new(OtpSettings::default(), codes, &key).await;
        second.otp.check(typed(&code)).await.expect("still right");
        guess_wrong(&second.otp, &code, 1).await;
        assert!(is_wrong(&second.otp.check(typed(&code)).await), "and its tries were not given again");
        second.stop().await;
    }
}

#[tokio::test]
async fn neither_code_nor_address_nor_client_can_be_read_in_the_store() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let minted = node.otp.mint(mint("203.0.113.99")).await.expect("stored").expect("in the budget");
        let quoted = format!("\"{}\"", minted.code.reveal());
        let held = match &node.codes {
            Codes::Sql(db) => held_in_sql(db).await,
            Codes::Redis(server) => held_in_redis(server).await,
        };
        assert!(!held.is_empty());
        for text in &held {
            assert!(text != minted.code.reveal() && !text.contains(&quoted), "{text}");
            assert!(!text.contains("ada@") && !text.contains("203.0.113"), "{text}");
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn the_hash_of_a_code_is_not_the_same_under_another_key() {
    for codes in everywhere().await {
        let one = Node::of(codes.clone()).await;
        let code = one.minted().await;
        let other = Node::of(codes).await;
        assert!(is_wrong(&other.otp.check(typed(&code)).await));
        one.otp.check(typed(&code)).await.expect("right where it was minted");
        one.stop().await;
        other.stop().await;
    }
}

/// Every text of every code.
async fn held_in_sql(db: &Database) -> Vec<String> {
    let sql = "SELECT address, mac, client, intent || id FROM codes";
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(String, String, String, String)> =
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("rows");
    rows.into_iter().flat_map(|(address, mac, client, rest)| [address, mac, client, rest]).collect()
}

/// Every key and every field; other tests' codes are there too, and no better to read.
async fn held_in_redis(server: &RedisServer) -> Vec<String> {
    let all = "local held = {} \
         for _, key in ipairs(redis.call('KEYS', 'fom:codes:*')) do \
         held[#held + 1] = key \
         for _, text in ipairs(redis.call('HGETALL', key)) do held[#held + 1] = text end end \
         return held";
    let script = redis::Script::new(all);
    server.run(&script.prepare_invoke()).await.expect("Redis answers")
}

#[tokio::test]
async fn what_is_over_and_counted_by_no_budget_is_swept() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let Codes::Sql(db) = &node.codes else { continue };
        let code = node.minted().await;
        guess_wrong(&node.otp, &code, 1).await;
        node.clock.advance(5 * MINUTE);
        node.minted().await;
        node.clock.advance(6 * MINUTE);
        node.otp.address.tell(Message::Sweep);
        testing::until("one code is left", async || held_in_sql(db).await.len() == 4).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn without_redis_every_call_fails_at_once_and_says_so() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
    let server = RedisServer::open(&format!("redis://{nobody}")).expect("a URL");
    let node = Node::of(Codes::Redis(server)).await;
    assert!(!node.otp.is_up().await);
    let failed = |failure: &Failure| matches!(failure, Failure::Dependency { service: "Redis", .. });
    assert!(node.otp.mint(mint(PHONE)).await.is_err_and(|failure| failed(&failure)));
    for _ in 0..25 {
        let answer = node.otp.redeem(typed("123456")).await;
        assert!(matches!(&answer, Err(OtpError::Failed(failure)) if failed(failure)), "{answer:?}");
    }
    assert!(node.otp.forget(Purpose::Verification, &email(ADA)).await.is_err_and(|failure| failed(&failure)));
    node.stop().await;
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?} {:?}", typed("123456"), mint(PHONE));
    assert!(!printed.contains("123456") && !printed.contains("ada@"), "{printed}");
}
