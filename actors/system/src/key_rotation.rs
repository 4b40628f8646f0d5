//! Key rotation: re-encrypts every encrypted text with the first key, module by module, beside a running service.
//!
//! It may be interrupted at any time and started again: texts under the first key are skipped.

use faceofmind_db::{Database, StoreError};
use faceofmind_platform::encryption::{Keyring, RotationPass, RotationStats};

use crate::modules::{MODULES, Reencrypt};

/// Every kind of encrypted text, and how it is re-encrypted.
fn columns() -> impl Iterator<Item = (&'static str, Reencrypt)> {
    MODULES.into_iter().filter_map(|module| module.reencrypt)
}

/// Counts the encrypted texts of each kind by key. Changes nothing.
pub async fn status(db: &Database, keyring: &Keyring) -> Result<Vec<(&'static str, RotationStats)>, StoreError> {
    let mut counts = Vec::new();
    for (name, reencrypt) in columns() {
        let ignore = &mut |_: &RotationStats| ();
        let mut pass = RotationPass::dry_run(keyring, ignore);
        reencrypt(db, &mut pass).await?;
        counts.push((name, pass.finish()));
    }
    Ok(counts)
}

/// Re-encrypts each text that the first key did not encrypt, and encrypts each that is not encrypted. `progress` is called after each page.
/// After an error the pages before stay re-encrypted.
pub async fn rotate(
    db: &Database,
    keyring: &Keyring,
    mut progress: impl FnMut(&'static str, &RotationStats) + Send,
) -> Result<(), StoreError> {
    for (name, reencrypt) in columns() {
        let report = &mut |stats: &RotationStats| progress(name, stats);
        let mut pass = RotationPass::rewrite(keyring, report);
        reencrypt(db, &mut pass).await?;
        pass.finish();
    }
    let again = "the database file still holds texts under old keys; run the rotation again";
    match db.vacuum().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("vacuum not done, because an export is being read: {again}"),
        Err(error) => tracing::warn!(%error, "vacuum failed: {again}"),
    }
    Ok(())
}
