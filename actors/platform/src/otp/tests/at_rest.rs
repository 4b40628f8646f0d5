//! What the store holds, and what happens without a store.

use faceofmind_db::{Database, with_conn};
use tokio::net::TcpListener;

use super::{actor::Sweep, *};
use crate::redis::RedisClient;

#[tokio::test]
async fn codes_outlive_the_actor() {
    for codes in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let first = Node::new(Settings::default(), codes.clone(), &key).await;
        let code = first.issued().await;
        enter_wrong(&first, &code, 4).await;
        first.stop().await;
        let second = Node::new(Settings::default(), codes, &key).await;
        second.check(entered(&code)).await.expect("still right");
        enter_wrong(&second, &code, 1).await;
        assert!(is_invalid(&second.check(entered(&code)).await), "and its attempts were not renewed");
        second.stop().await;
    }
}

#[tokio::test]
async fn neither_code_nor_address_nor_client_can_be_read_in_the_store() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let issued = node.otp.ask(request("203.0.113.99")).await.expect("stored").expect("within the quota");
        let quoted = format!("\"{}\"", issued.code.reveal());
        let texts = match &node.codes {
            CodeStore::Sql(db) => texts_in_sql(db).await,
            CodeStore::Redis(redis) => texts_in_redis(redis).await,
        };
        assert!(!texts.is_empty());
        for text in &texts {
            assert!(text != issued.code.reveal() && !text.contains(&quoted), "{text}");
            assert!(!text.contains("ada@") && !text.contains("203.0.113"), "{text}");
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn the_hash_of_a_code_is_not_the_same_under_another_key() {
    for codes in everywhere().await {
        let one = Node::of(codes.clone()).await;
        let code = one.issued().await;
        let other = Node::of(codes).await;
        assert!(is_invalid(&other.check(entered(&code)).await));
        one.check(entered(&code)).await.expect("right under its own key");
        one.stop().await;
        other.stop().await;
    }
}

/// Every text of every code.
async fn texts_in_sql(db: &Database) -> Vec<String> {
    let sql = "SELECT address, mac, client, intent || id FROM codes";
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(String, String, String, String)> =
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("rows");
    rows.into_iter().flat_map(|(address, mac, client, rest)| [address, mac, client, rest]).collect()
}

/// Every key and every field; those of other tests too.
async fn texts_in_redis(redis: &RedisClient) -> Vec<String> {
    let all = "local held = {} \
         for _, key in ipairs(redis.call('KEYS', 'fom:codes:*')) do \
         held[#held + 1] = key \
         for _, text in ipairs(redis.call('HGETALL', key)) do held[#held + 1] = text end end \
         return held";
    let script = ::redis::Script::new(all);
    redis.run(&script.prepare_invoke()).await.expect("Redis answers")
}

#[tokio::test]
async fn codes_that_are_expired_and_not_counted_are_deleted() {
    for codes in everywhere().await {
        let node = Node::of(codes).await;
        let CodeStore::Sql(db) = &node.codes else { continue };
        let code = node.issued().await;
        enter_wrong(&node, &code, 1).await;
        node.clock.advance(5 * MINUTE);
        node.issued().await;
        node.clock.advance(6 * MINUTE);
        node.otp.tell(Sweep);
        testing::until("one code is left", async || texts_in_sql(db).await.len() == 4).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn without_redis_every_request_fails_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
    let redis = RedisClient::open(&format!("redis://{closed}")).expect("a URL");
    let node = Node::of(CodeStore::Redis(redis)).await;
    assert!(!node.codes.is_up().await);
    let failed = |error: &OtpError| matches!(error, OtpError::Ask(AskError::Unavailable("Redis")));
    assert!(node.otp.ask(request(PHONE)).await.is_err_and(|error| failed(&error)));
    for _ in 0..25 {
        let answer = node.redeem(entered("123456")).await;
        assert!(answer.as_ref().is_err_and(failed), "{answer:?}");
    }
    assert!(
        node.otp
            .ask(RevokeCodes { purpose: Purpose::Verification, address: email(ADA) })
            .await
            .is_err_and(|error| failed(&error))
    );
    node.stop().await;
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?} {:?}", entered("123456"), request(PHONE));
    assert!(!printed.contains("123456") && !printed.contains("ada@"), "{printed}");
}
