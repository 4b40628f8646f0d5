//! Mails as files, for a machine without a mail server.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{Mail, Reason, SendError};
use crate::user_registry::Email;

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

    pub(super) async fn forget(&self, recipient: &Email) -> Result<(), SendError> {
        let (directory, recipient) = (self.directory.clone(), recipient.clone());
        let removed = tokio::task::spawn_blocking(move || remove(&directory, &recipient)).await;
        removed.map_err(io::Error::other).flatten().map_err(|error| self.failure(&error))
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

/// Removes the mails to that address. A folder that was never made holds none, and a mail that is gone meanwhile is gone.
fn remove(directory: &Path, recipient: &Email) -> io::Result<()> {
    let unless_missing = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return unless_missing(error),
    };
    for entry in entries {
        let path = entry?.path();
        let is_mail = path.extension().is_some_and(|extension| extension == "eml");
        if is_mail && fs::read(&path).is_ok_and(|mail| is_to(&mail, recipient)) {
            fs::remove_file(&path).or_else(unless_missing)?;
        }
    }
    Ok(())
}

/// Whether the header `To`, unfolded (RFC 5322 §2.2.3), holds that address, alone or in angle brackets.
fn is_to(mail: &[u8], recipient: &Email) -> bool {
    let mail = String::from_utf8_lossy(mail);
    let head = mail.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
    let to = head.lines().find_map(|line| line.strip_prefix("To:")).unwrap_or_default();
    let address = to.rsplit_once('<').map_or(to, |(_, address)| address).trim().trim_end_matches('>');
    address.eq_ignore_ascii_case(recipient.as_str())
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
    async fn the_mails_to_one_address_can_be_forgotten() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let transport = Transport::files(scratch.path().join("mail"));
        let email = |address: &str| Email::parse(address).expect("an address");
        transport.forget(&email("ada@example.org")).await.expect("there is no folder yet");

        let mail = a_mail();
        transport.send(&mail).await.expect("written");
        let raw = String::from_utf8(mail.bytes()).expect("text");
        let to = raw.lines().find_map(|line| line.strip_prefix("To: ")).expect("a recipient").trim().to_owned();
        let directory = scratch.path().join("mail");
        let others = raw.replacen(&format!("To: {to}"), "To: Ada of old <x@example.org>", 1);
        fs::write(directory.join("other.eml"), others.replace("\r\n\r\n", &format!("\r\n\r\nTo: {to}\r\n")))
            .expect("a mail that only speaks of that address");

        transport.forget(&email(&to)).await.expect("removes");
        assert_eq!(names(&directory), ["other.eml"]);
        transport.forget(&email("X@example.org")).await.expect("removes");
        assert_eq!(names(&directory), [""; 0]);
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
