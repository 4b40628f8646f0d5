//! Mails as files, for a machine without a mail server.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

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
        let (directory, name, bytes) = (self.directory.clone(), format!("{}.eml", mail.id), mail.bytes());
        let written = tokio::task::spawn_blocking(move || write(&directory, &name, &bytes)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| self.failure(&error))
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
    use crate::mailer::{Transport, render::tests::a_mail};

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

        assert_eq!(names(&directory), [format!("{}.eml", mail.id)]);
        let file = directory.join(format!("{}.eml", mail.id));
        assert_eq!(fs::read(&file).expect("readable"), mail.bytes());
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
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
