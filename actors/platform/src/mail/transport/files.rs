//! Mails as files, for a machine without a mail server.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{Mail, Reason, SendError};
use faceofmind_model::user::UserId;

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

    pub(super) async fn forget(&self, user: UserId) -> Result<(), SendError> {
        let directory = self.directory.clone();
        let removed = tokio::task::spawn_blocking(move || remove(&directory, user)).await;
        removed.map_err(io::Error::other).flatten().map_err(|error| self.failure(&error))
    }

    pub(super) async fn written_of(&self) -> Result<Vec<UserId>, SendError> {
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

/// Written beside its place and moved there, so that who reads `*.eml` never sees half a mail. Not forced to the disk:
/// what a power failure takes here, its reader asks for again.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.part"));
    create(directory, &unfinished)?.write_all(bytes)?;
    fs::rename(&unfinished, directory.join(name))
}

/// It says about whom the mail is, wherever it was sent: with their account it goes.
fn name(mail: &Mail) -> String {
    format!("{}.{}.eml", mail.id, mail.user)
}

/// The mails, each with whom it is about. A folder that was never made holds none.
fn mails(directory: &Path) -> io::Result<Vec<(UserId, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut mails = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_suffix(".eml"));
        let user = name.and_then(|name| name.rsplit_once('.')).and_then(|(_, user)| user.parse().ok());
        mails.extend(user.map(|user| (UserId(user), path.clone())));
    }
    Ok(mails)
}

/// Removes the mails about that user. One that is gone meanwhile is gone.
fn remove(directory: &Path, user: UserId) -> io::Result<()> {
    for (_, path) in mails(directory)?.into_iter().filter(|(about, _)| *about == user) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Leaves a file where the next probe finds it: probes that run at once take nothing from each other.
fn probe(directory: &Path) -> io::Result<()> {
    create(directory, &directory.join(".writable"))?.write_all(b"\n")
}

/// The mails hold codes and names: the folder is made 0700 and the file 0600, at once and not afterwards.
fn create(directory: &Path, file: &Path) -> io::Result<fs::File> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::mail::Transport;
    use crate::mail::render::tests::a_mail;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a readable folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    #[tokio::test]
    async fn a_mail_becomes_a_file_that_only_we_can_read() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let directory = scratch.path().join("data/mail");
        let mail = a_mail();
        let transport = Transport::files(&directory);

        transport.send(&mail).await.expect("the folder is made");
        transport.send(&mail).await.expect("the same mail again is the same file");

        assert_eq!(names(&directory), [name(&mail)]);
        let file = directory.join(name(&mail));
        assert_eq!(fs::read(&file).expect("readable"), mail.bytes());
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn the_mails_about_one_user_can_be_forgotten() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let directory = scratch.path().join("mail");
        let transport = Transport::files(&directory);
        let (ada, namesake) = (UserId(7), UserId(17));
        transport.forget(ada).await.expect("there is no folder yet");
        assert_eq!(transport.written_of().await.expect("there is no folder yet"), []);

        for user in [namesake, ada] {
            transport.send(&Mail { user, ..a_mail() }).await.expect("written");
        }
        fs::write(directory.join("note.eml"), "of nobody").expect("written");
        assert_eq!(transport.written_of().await.expect("readable"), [ada, namesake]);

        transport.forget(ada).await.expect("removes");
        assert_eq!(transport.written_of().await.expect("readable"), [namesake]);
        assert_eq!(names(&directory).len(), 2, "what is not ours stays");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_to_is_a_transient_failure_and_not_ready() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let in_the_way = scratch.path().join("mail");
        fs::write(&in_the_way, "a file").expect("written");
        let transport = Transport::files(&in_the_way);

        assert!(!transport.check().await);
        let error = transport.send(&a_mail()).await.expect_err("a file is no folder");
        assert!(matches!(error, SendError::Transient(_)), "{error}");
        assert!(error.to_string().contains(&in_the_way.display().to_string()), "{error}");

        fs::remove_file(&in_the_way).expect("removed");
        assert!(transport.check().await);
        assert!(!names(&in_the_way).iter().any(|name| name.ends_with(".eml")), "a check is no mail");
    }
}
