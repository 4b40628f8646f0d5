//! What stands in an export, room by room.

use faceofmind_kit::{Snapshot, Timestamp};
use serde::Serialize;

use super::{CutShort, Document};
use crate::{
    community,
    keyring::Keyring,
    logins, session_tracker,
    user_registry::{self, UserId},
};

/// What is held of a user and does not stand in their export, and why.
#[derive(Serialize)]
struct LeftOut {
    what: &'static str,
    why: &'static str,
}

const LEFT_OUT: [LeftOut; 5] = [
    LeftOut {
        what: "the password's hash, hashes of codes, and what tokens are made from",
        why: "they would help whoever finds this file to be you",
    },
    LeftOut { what: "first answers to an Idempotency-Key", why: "they repeat what stands here, and go after 24 hours" },
    LeftOut { what: "events", why: "they tell by ids and times of changes whose outcome stands here" },
    LeftOut { what: "mails to be sent", why: "they name you by the id that stands here, and go when they are sent" },
    LeftOut { what: "counters of limits", why: "they are kept under keyed hashes, a day at most" },
];

/// Writes all of it. Each room tells what it keeps; `left_out` closes the document, so that its end can be seen.
pub(super) async fn write(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    (user, now): (UserId, Timestamp),
    document: &mut Document,
) -> Result<(), CutShort> {
    document.field("exported_at", &now).await?;
    user_registry::export(snapshot, user, document).await?;
    logins::export(snapshot, user, document).await?;
    session_tracker::export(snapshot, keyring, user, document).await?;
    community::export(snapshot, user, document).await?;
    document.field("left_out", &LEFT_OUT).await
}
