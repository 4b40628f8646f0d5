//! A durable consumer: it goes on where it stopped, and deals with each event once per run: `seen` is only in memory.
//! `NATS_URL=nats://127.0.0.1:4222 NATS_USER=… NATS_PASSWORD=… cargo run --example consumer`

use std::{collections::HashSet, env, error::Error};

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::pull::Config},
};
use futures_util::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let options = ConnectOptions::with_user_and_password(setting("NATS_USER")?, setting("NATS_PASSWORD")?);
    let context = jetstream::new(options.connect(setting("NATS_URL")?).await?);
    let durable = Config { durable_name: Some("example".into()), ..Config::default() };
    let consumer = context.get_stream("FACEOFMIND").await?.get_or_create_consumer("example", durable).await?;
    let (mut messages, mut seen) = (consumer.messages().await?, HashSet::new()); // yours: a table with a unique key
    while let Some(message) = messages.try_next().await? {
        let event: serde_json::Value = serde_json::from_slice(&message.payload)?;
        if seen.insert(event["id"].to_string()) {
            println!("{} {}", event["type"], event["data"]); // yours: in one transaction with the key
        }
        message.ack().await?;
    }
    Ok(())
}
