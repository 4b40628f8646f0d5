//! Mails as files, for a machine without a mail server.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use faceofmind_model::UserId;

use super::{Mail, Reason, SendError};

/// A folder of mails.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    pub(super) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(super) async fn write(&self, mail: &Mail) -> Result<(), SendError> {
        let (directory, name, bytes) = (self.directory.clone(), name(mail), mail.bytes());
        let written = tokio::task::spawn_blocking(move || write(&directory, &name, &bytes)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| self.failure(&error))
    }

    pub(super) async fn delete_files_of(&self, user: UserId) -> Result<(), SendError> {
        let directory = self.directory.clone();
        let removed = tokio::task::spawn_blocking(move || remove(&directory, user)).await;
        removed.map_err(io::Error::other).flatten().map_err(|error| self.failure(&error))
    }

    pub(super) async fn users(&self) -> Result<Vec<UserId>, SendError> {
        let directory = self.directory.clone();
        let users = move || Ok(mails(&directory)?.into_iter().map(|(user, _)| user).collect::<BTreeSet<_>>());
        let users = tokio::task::spawn_blocking(users).await.map_err(io::Error::other).flatten();
        users.map(|users| users.into_iter().collect()).map_err(|error| self.failure(&error))
    }

    pub(super) async fn is_writable(&self) -> bool {
        let directory = self.directory.clone();
        let probed = tokio::task::spawn_blocking(move || probe(&directory)).await;
        matches!(probed, Ok(Ok(())))
    }

    fn failure(&self, error: &io::Error) -> SendError {
        SendError::Transient(Reason::new(format_args!("{}: {error}", self.directory.display())))
    }
}

/// Writes a hidden file and renames it, so that a reader of `*.eml` never sees a partial mail. It is not synced to the disk: after a power
/// failure the user requests the mail again.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.part"));
    create(directory, &unfinished)?.write_all(bytes)?;
    fs::rename(&unfinished, directory.join(name))
}

/// The name holds the user whose account the mail is about, so that it can be deleted with the account.
fn name(mail: &Mail) -> String {
    format!("{}.{}.eml", mail.id, mail.user)
}

/// Returns the mail files, also those that were not finished, each with its user. A missing folder holds none.
fn mails(directory: &Path) -> io::Result<Vec<(UserId, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut mails = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).map(|name| name.trim_end_matches(".part"));
        let name = name.and_then(|name| name.strip_suffix(".eml"));
        let user = name.and_then(|name| name.rsplit_once('.')).and_then(|(_, user)| user.parse().ok());
        mails.extend(user.map(|user| (UserId(user), path.clone())));
    }
    Ok(mails)
}

/// Deletes the mail files about the user. A file that is already deleted is skipped.
fn remove(directory: &Path, user: UserId) -> io::Result<()> {
    for (_, path) in mails(directory)?.into_iter().filter(|(about, _)| *about == user) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Leaves its file for the next probe, so that concurrent probes do not delete each other's file.
fn probe(directory: &Path) -> io::Result<()> {
    create(directory, &directory.join(".writable"))?.write_all(b"\n")
}

/// Mails hold codes and names, so the folder is created with mode 0700 and the file with 0600.
fn create(directory: &Path, file: &Path) -> io::Result<fs::File> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::mail::{Transport, render::tests::a_mail};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a readable folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    #[tokio::test]
    async fn a_mail_becomes_a_file_that_only_its_owner_can_read() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let directory = scratch.path().join("data/mail");
        let mail = a_mail();
        let transport = Transport::files(&directory);

        transport.send(&mail).await.expect("the folder is created");
        transport.send(&mail).await.expect("the same mail again is the same file");

        assert_eq!(names(&directory), [name(&mail)]);
        let file = directory.join(name(&mail));
        assert_eq!(fs::read(&file).expect("readable"), mail.bytes());
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn the_mails_about_one_user_can_be_deleted() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let directory = scratch.path().join("mail");
        let transport = Transport::files(&directory);
        let (ada, namesake) = (UserId(7), UserId(17));
        transport.delete_files_of(ada).await.expect("there is no folder yet");
        assert_eq!(transport.users_with_files().await.expect("there is no folder yet"), []);

        for user in [namesake, ada] {
            transport.send(&Mail { user, ..a_mail() }).await.expect("written");
        }
        fs::write(directory.join("note.eml"), "of no user").expect("written");
        assert_eq!(transport.users_with_files().await.expect("readable"), [ada, namesake]);

        transport.delete_files_of(ada).await.expect("removes");
        assert_eq!(transport.users_with_files().await.expect("readable"), [namesake]);
        assert_eq!(names(&directory).len(), 2, "other files stay");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_writable_is_a_transient_failure_and_not_up() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let blocked = scratch.path().join("mail");
        fs::write(&blocked, "a file").expect("written");
        let transport = Transport::files(&blocked);

        assert!(!transport.is_up().await);
        let error = transport.send(&a_mail()).await.expect_err("a file is no folder");
        assert!(matches!(error, SendError::Transient(_)), "{error}");
        assert!(error.to_string().contains(&blocked.display().to_string()), "{error}");

        fs::remove_file(&blocked).expect("removed");
        assert!(transport.is_up().await);
        assert!(!names(&blocked).iter().any(|name| name.ends_with(".eml")), "a check is no mail");
    }
}
