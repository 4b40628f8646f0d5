//! Received mails: files in a folder, written by the service or by the SMTP sink.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use mail_parser::MessageParser;

use super::eventually;

/// One mail, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) message_id: String,
    /// The mail as it was sent.
    pub(crate) raw: String,
}

impl Mail {
    /// The one-time code: the only run of six digits in the text.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let runs: Vec<_> = self.runs_of_digits().into_iter().filter(|run| run.len() == 6).collect();
        let [code] = runs.as_slice() else { panic!("expected one code in the mail, found {runs:?}:\n{}", self.text) };
        code.clone()
    }

    /// Whether the text contains no code.
    pub(crate) fn has_no_code(&self) -> bool {
        self.runs_of_digits().iter().all(|run| run.len() < 6)
    }

    fn runs_of_digits(&self) -> Vec<String> {
        let runs = self.text.split(|c: char| !c.is_numeric());
        runs.filter(|run| !run.is_empty()).map(str::to_owned).collect()
    }

    /// A header's value, undecoded; empty if the header is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default();
        let head = head.split("\n\n").next().unwrap_or_default();
        let line =
            head.lines().find(|line| line.split_once(':').is_some_and(|(given, _)| given.eq_ignore_ascii_case(name)));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Self {
        let parsed = MessageParser::default().parse(bytes).expect("a mail");
        let first = |address: Option<&mail_parser::Address<'_>>| {
            address.and_then(|list| list.first()).and_then(|one| one.address()).unwrap_or_default().to_owned()
        };
        Self {
            to: first(parsed.to()),
            from: first(parsed.from()),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            text: parsed.body_text(0).map(String::from).expect("a text part"),
            html: parsed.body_html(0).map(String::from).expect("an HTML part"),
            message_id: parsed.message_id().unwrap_or_default().to_owned(),
            raw: String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// A folder of mails, and which of them the test has read.
pub(crate) struct Inbox {
    folder: PathBuf,
    order: fn(&Path) -> String,
    read: Mutex<HashSet<PathBuf>>,
}

impl Inbox {
    /// The folder of `.eml` files. Their names are ids, which sort by time.
    pub(crate) fn folder(folder: PathBuf) -> Self {
        Self { folder, order: by_name, read: Mutex::default() }
    }

    /// The folder `new` of the SMTP sink's Maildir.
    pub(crate) fn maildir(folder: PathBuf) -> Self {
        Self { folder, order: by_delivery, read: Mutex::default() }
    }

    /// Waits for the next unread mail to this address and marks it as read.
    pub(crate) async fn next_to(&self, email: &str) -> Mail {
        eventually(&format!("a mail to {email}"), async || {
            let (path, mail) = self.unread().into_iter().find(|(_, mail)| mail.to == email)?;
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
            Some(Mail::clone(&mail))
        })
        .await
    }

    /// The next unread mail to this address, if it has arrived. It stays unread.
    pub(crate) fn unread_to(&self, email: &str) -> Option<Mail> {
        let found = self.unread().into_iter().find(|(_, mail)| mail.to == email);
        found.map(|(_, mail)| Mail::clone(&mail))
    }

    fn unread(&self) -> Vec<(PathBuf, Arc<Mail>)> {
        let mut paths: Vec<PathBuf> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
            .collect();
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        paths.retain(|path| !read.contains(path));
        paths.sort_by_key(|path| (self.order)(path));
        paths.into_iter().map(|path| (path.clone(), parsed(&path))).collect()
    }
}

/// All tests of the production profile share one Maildir, so each mail is parsed once for all of them.
fn parsed(path: &Path) -> Arc<Mail> {
    static PARSED: LazyLock<Mutex<HashMap<PathBuf, Arc<Mail>>>> = LazyLock::new(Mutex::default);
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    let read = || Arc::new(Mail::parse(&fs::read(path).expect("a mail stays where it is")));
    Arc::clone(parsed.entry(path.to_owned()).or_insert_with(read))
}

fn by_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The sink, written in Python, names a delivery `<seconds>.M<microseconds>P<process>Q<count>.<host>`.
fn by_delivery(path: &Path) -> String {
    let name = by_name(path);
    let count = name.split('Q').nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default();
    format!("{count:0>12}")
}
