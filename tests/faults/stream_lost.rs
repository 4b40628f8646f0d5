//! A nats-server that is killed and comes back without what it stored.

use tokio::time::Instant;

use crate::{
    HEALED,
    harness::{EventConsumer, NatsServer, Program, TestApp, eventually, tests_on_production},
};

tests_on_production! {
    a_stream_that_was_lost_is_filled_again,
}

const ROUNDS: usize = 3;
/// Sessions before each loss, and as many during it.
const SESSIONS: usize = 60;

async fn a_stream_that_was_lost_is_filled_again(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let mut nats = NatsServer::start().await;
    let program = Program::in_env(&app.env, &[("NATS_URL", &nats.url()), ("RUST_LOG", "error")]);
    let node = program.serve(&["serve"]).await;
    let ada = ada.using(ada.client.at(node.address()));
    for _ in 0..ROUNDS {
        for _ in 0..SESSIONS {
            ada.start_session().await;
        }
        app.wait_until_published().await;
        nats.kill().await;
        nats.store = tempfile::tempdir().expect("a temporary folder");
        for _ in 0..SESSIONS {
            ada.start_session().await;
        }
        let ids = app.texts("SELECT id FROM events ORDER BY seq").await;
        nats.restart().await;
        let returned = Instant::now();
        let consumer = EventConsumer::at(&nats.url()).await;
        eventually("the stream holds every event", async || (consumer.events().len() >= ids.len()).then_some(())).await;
        assert!(returned.elapsed() < HEALED, "it took {:?}", returned.elapsed());
        app.wait_until_published().await;
        let mut stored: Vec<String> = consumer.events().iter().map(|event| event.text_of("id").to_owned()).collect();
        let positions = app.texts("SELECT id FROM events ORDER BY position").await;
        assert_eq!(stored, positions, "each once, in the order of the outbox");
        stored.sort();
        let mut recorded = ids;
        recorded.sort();
        assert_eq!(stored, recorded);
    }
    node.terminate().await;
}
