//! async-nats alone: it publishes as the service does, without an outbox.

use std::{collections::VecDeque, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{
        self,
        context::PublishAckFuture,
        message::PublishMessage,
        stream::{Config, StorageType},
    },
};
use tokio::time::Instant;

const STREAM: &str = "BENCH_DRAIN";
const SUBJECT: &str = "bench-drain";
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Publishes `messages` of the same payload, each with an id, at most `window` of them without an acknowledgement.
pub(crate) async fn publish(url: &str, window: usize, messages: usize, payload: &Path) -> Result<f64> {
    let payload = fs::read(payload)?;
    let context = jetstream::new(connect(url).await?);
    context.get_or_create_stream(stream()).await?;
    let run = std::process::id();
    let (began, mut awaited) = (Instant::now(), VecDeque::<PublishAckFuture>::with_capacity(window));
    for number in 0..messages {
        if awaited.len() == window {
            await_first(&mut awaited).await?;
        }
        let message = PublishMessage::build()
            .header("Content-Type", "application/cloudevents+json")
            .message_id(format!("00000000-0000-7000-{run:08}-{number:012}"))
            .payload(payload.clone().into());
        awaited.push_back(context.send_publish(SUBJECT, message).await?);
    }
    while !awaited.is_empty() {
        await_first(&mut awaited).await?;
    }
    Ok(messages as f64 / began.elapsed().as_secs_f64())
}

/// async-nats does not log in by what the URL says.
async fn connect(url: &str) -> Result<Client> {
    let server: ServerAddr = url.parse()?;
    let login = |part: Option<&str>| part.context("no login in the URL").map(str::to_owned);
    let (user, password) = (login(server.username())?, login(server.password())?);
    Ok(ConnectOptions::new().user_and_password(user, password).connect(server).await?)
}

fn stream() -> Config {
    let (name, subjects) = (STREAM.to_owned(), vec![SUBJECT.to_owned()]);
    Config { name, subjects, storage: StorageType::File, duplicate_window: DUPLICATE_WINDOW, ..Config::default() }
}

async fn await_first(awaited: &mut VecDeque<PublishAckFuture>) -> Result<()> {
    if let Some(first) = awaited.pop_front() {
        first.await?;
    }
    Ok(())
}
