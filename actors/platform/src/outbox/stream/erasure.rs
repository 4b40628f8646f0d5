//! Takes a user out of the stream, message by message.
//!
//! Not by a purge of their subjects: where that leaves none of them, nats-server 2.9 also moves every consumer of the stream past all
//! that it has not heard yet, of whomever that tells. A deleted message is overwritten on disk as well, and stays deleted when the server
//! is killed.

use async_nats::jetstream::{
    ErrorCode,
    stream::{DeleteMessageErrorKind, RawMessageErrorKind, Stream},
};
use faceofmind_runtime::legacy::Failure;
use tokio::task::JoinSet;

use super::failure;
use faceofmind_model::event;
use faceofmind_model::user::UserId;

/// Deletions that the server may have to do at once.
const AT_ONCE: usize = 64;

/// Deletes all of a user up to the message number `last`, and says how many there were.
pub(super) async fn erase(stream: &Stream<()>, user: UserId, last: u64) -> Result<u64, Failure> {
    let (mut from, mut erased) = (1, 0);
    let mut deletions = JoinSet::new();
    while let Some(number) = next_of(stream, user, from).await?.filter(|number| *number <= last) {
        let stream = stream.clone();
        deletions.spawn(async move { delete(&stream, number).await });
        if deletions.len() == AT_ONCE {
            done(&mut deletions).await?;
        }
        (from, erased) = (number + 1, erased + 1);
    }
    while !deletions.is_empty() {
        done(&mut deletions).await?;
    }
    Ok(erased)
}

/// Waits for one of them.
async fn done(deletions: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    deletions.join_next().await.map_or(Ok(()), |deletion| deletion.map_err(failure)?)
}

async fn next_of(stream: &Stream<()>, user: UserId, from: u64) -> Result<Option<u64>, Failure> {
    let search = stream.raw_message_builder().sequence(from).next_by_subject(event::subjects_of(user));
    match search.send().await {
        Ok(message) => Ok(Some(message.sequence)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// Also well where another has been faster, or age.
async fn delete(stream: &Stream<()>, number: u64) -> Result<(), Failure> {
    match stream.delete_message(number).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failure("a message of a deleted user stays in the stream")),
        Err(error) if is_gone(&error.kind()) => Ok(()),
        Err(error) => Err(failure(error)),
    }
}

fn is_gone(kind: &DeleteMessageErrorKind) -> bool {
    let gone = [ErrorCode::NO_MESSAGE_FOUND, ErrorCode::SEQUENCE_NOT_FOUND];
    matches!(kind, DeleteMessageErrorKind::JetStream(error) if gone.contains(&error.error_code()))
}
