//! Erases a user from the stream, message by message.
//!
//! *Why* not by a purge of the user's subjects: when no message of a subject is left, nats-server 2.9 also moves every consumer of the stream
//! past all messages that it has not received yet, of any user. A deleted message is overwritten on disk too, and stays deleted when the
//! server is killed.

use async_nats::jetstream::{
    ErrorCode,
    message::StreamMessage,
    stream::{DeleteMessageErrorKind, RawMessageErrorKind, Stream},
};
use faceofmind_model::{UserId, event};
use tokio::task::JoinSet;

use super::nats_error;
use crate::outbox::error::OutboxError;

/// The most deletions in flight.
const MAX_IN_FLIGHT: usize = 64;

/// Deletes a user's messages up to the sequence number `last`, and returns their number. Keeps `user.deleted`, which says that they are deleted.
pub(super) async fn erase(stream: &Stream<()>, user: UserId, last: u64) -> Result<u64, OutboxError> {
    let (mut messages, mut from) = (0, 1);
    let mut deletions = JoinSet::new();
    while let Some(message) = next_of(stream, user, from).await?.filter(|message| message.sequence <= last) {
        let number = message.sequence;
        from = number + 1;
        if message.subject.as_str().starts_with(event::USER_DELETED) {
            continue;
        }
        let stream = stream.clone();
        deletions.spawn(async move { delete(&stream, number).await });
        if deletions.len() == MAX_IN_FLIGHT {
            join_one(&mut deletions).await?;
        }
        messages += 1;
    }
    while !deletions.is_empty() {
        join_one(&mut deletions).await?;
    }
    Ok(messages)
}

/// Waits for one deletion.
async fn join_one(deletions: &mut JoinSet<Result<(), OutboxError>>) -> Result<(), OutboxError> {
    deletions.join_next().await.map_or(Ok(()), |deletion| deletion.map_err(nats_error)?)
}

async fn next_of(stream: &Stream<()>, user: UserId, from: u64) -> Result<Option<StreamMessage>, OutboxError> {
    let search = stream.raw_message_builder().sequence(from).next_by_subject(event::subjects_of(user));
    match search.send().await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(nats_error(error)),
    }
}

/// Succeeds too when another node or the stream's `max_age` has already deleted the message.
async fn delete(stream: &Stream<()>, number: u64) -> Result<(), OutboxError> {
    match stream.delete_message(number).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(nats_error("a message of a deleted user stays in the stream")),
        Err(error) if is_gone(&error.kind()) => Ok(()),
        Err(error) => Err(nats_error(error)),
    }
}

fn is_gone(kind: &DeleteMessageErrorKind) -> bool {
    let gone = [ErrorCode::NO_MESSAGE_FOUND, ErrorCode::SEQUENCE_NOT_FOUND];
    matches!(kind, DeleteMessageErrorKind::JetStream(error) if gone.contains(&error.error_code()))
}
