//! The contents of an export.

use faceofmind_db::{
    Snapshot,
    export::{ExportAborted, FinalChunk, JsonWriter},
};
use faceofmind_model::UserId;
use faceofmind_platform::{Platform, encryption::Keyring};
use futures_util::future::BoxFuture;
use serde::Serialize;

/// Writes what a module holds of a user.
pub type ModuleExport = for<'a> fn(ExportInput<'a>) -> BoxFuture<'a, Result<(), ExportAborted>>;

/// What a module's export needs.
pub struct ExportInput<'a> {
    pub snapshot: &'a mut Snapshot,
    pub keyring: &'a Keyring,
    pub user: UserId,
    pub writer: &'a mut JsonWriter,
}

/// What is held about a user and omitted from the export, and why.
#[derive(Serialize)]
struct Omitted {
    what: &'static str,
    why: &'static str,
}

const OMITTED: [Omitted; 6] = [
    Omitted {
        what: "the password's hash, hashes of codes, and what tokens are made from",
        why: "they would help whoever finds this file to be you",
    },
    Omitted { what: "first answers to an Idempotency-Key", why: "they repeat what stands here, and go after 24 hours" },
    Omitted { what: "events", why: "they tell by ids and times of changes whose outcome stands here" },
    Omitted { what: "mails to be sent", why: "they name you by the id that stands here, and go when they are sent" },
    Omitted {
        what: "counts of emotions and comments, and lists of suggestions",
        why: "they follow from what stands here",
    },
    Omitted { what: "counters of limits", why: "they are kept under keyed hashes, a day at most" },
];

/// What the documents are written from.
pub(super) struct Contents {
    /// In the order of the document.
    pub(super) modules: Vec<ModuleExport>,
    pub(super) deps: Platform,
}

impl Contents {
    /// Writes the whole document but its last chunk. The field `left_out` closes it, so that a reader can tell a whole document.
    pub(super) async fn write(
        &self,
        user: UserId,
        mut snapshot: Snapshot,
        mut writer: JsonWriter,
    ) -> Result<FinalChunk, ExportAborted> {
        let Platform { keyring, clock, .. } = &self.deps;
        writer.field("exported_at", &clock.now()).await?;
        for export in &self.modules {
            export(ExportInput { snapshot: &mut snapshot, keyring, user, writer: &mut writer }).await?;
        }
        writer.field("left_out", &OMITTED).await?;
        snapshot.close().await?;
        Ok(writer.close())
    }
}
