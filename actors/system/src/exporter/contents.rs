//! The contents of an export.

use faceofmind_base::Timestamp;
use faceofmind_db::{
    Snapshot,
    export::{ExportAborted, JsonWriter},
};
use faceofmind_model::UserId;
use faceofmind_platform::encryption::Keyring;
use serde::Serialize;

use crate::modules::{ExportInput, MODULES};

/// What is held about a user and omitted from the export, and why.
#[derive(Serialize)]
struct Omitted {
    what: &'static str,
    why: &'static str,
}

const OMITTED: [Omitted; 5] = [
    Omitted {
        what: "the password's hash, hashes of codes, and what tokens are made from",
        why: "they would help whoever finds this file to be you",
    },
    Omitted { what: "first answers to an Idempotency-Key", why: "they repeat what stands here, and go after 24 hours" },
    Omitted { what: "events", why: "they tell by ids and times of changes whose outcome stands here" },
    Omitted { what: "mails to be sent", why: "they name you by the id that stands here, and go when they are sent" },
    Omitted { what: "counters of limits", why: "they are kept under keyed hashes, a day at most" },
];

/// Writes the whole document. The field `left_out` closes it, so that a reader can tell a whole document.
pub(super) async fn write(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    (user, now): (UserId, Timestamp),
    writer: &mut JsonWriter,
) -> Result<(), ExportAborted> {
    writer.field("exported_at", &now).await?;
    for export in MODULES.into_iter().filter_map(|module| module.export) {
        export(ExportInput { snapshot, keyring, user, writer }).await?;
    }
    writer.field("left_out", &OMITTED).await
}
