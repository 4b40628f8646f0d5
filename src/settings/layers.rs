//! The sources of values: the built-in file, a file, the environment and the command line. Nothing is validated here.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::Spanned;

use super::{dotenv, error::SettingError};

/// The built-in files and their paths in the repository.
pub(super) const DEFAULT: (&str, &str) = ("config/default.toml", include_str!("../../config/default.toml"));
pub(super) const PRODUCTION: (&str, &str) = ("config/production.toml", include_str!("../../config/production.toml"));

/// The file of environment variables in the working directory.
const DOTENV: &str = ".env";

/// Layers of settings; a later layer overrides an earlier one. They hold secrets, so this type has no `Debug`.
pub struct ConfigSources {
    pub(super) layers: Vec<Layer>,
    /// One error for each file that cannot be read.
    pub(super) unreadable: Vec<SettingError>,
    /// The lines of the `.env` that were skipped, counted from 1.
    pub(super) skipped_lines: Vec<usize>,
    /// Whether other users of this machine can read the `.env`.
    pub(super) is_exposed: bool,
}

impl ConfigSources {
    /// The defaults alone.
    pub fn built_in() -> Self {
        let mut layers =
            Self { layers: Vec::new(), unreadable: Vec::new(), skipped_lines: Vec::new(), is_exposed: false };
        layers.push_toml(Source::BuiltIn(DEFAULT.0), DEFAULT.1);
        layers
    }

    /// Adds the TOML file at `path` as the highest layer. `Settings::load` reports a file that cannot be read.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        match fs::read_to_string(path) {
            Ok(text) => self.push_toml(Source::File(path.to_owned()), &text),
            Err(error) => self.unreadable.push(SettingError {
                setting: "--config".to_owned(),
                layer: path.display().to_string(),
                problem: format!("the file cannot be read: {error}"),
                remedy: "Give the path of a TOML file that this user may read.".to_owned(),
            }),
        }
        self
    }

    /// Adds `text`, the content of a TOML file at `path`, as the highest layer.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_text(mut self, path: &Path, text: &str) -> Self {
        self.push_toml(Source::File(path.to_owned()), text);
        self
    }

    /// Adds the file `.env` of that directory as the highest layer, if there is one. The process environment is not changed. `environment`
    /// has its values, for `${NAME}` in the file.
    #[must_use]
    pub fn with_dotenv(mut self, directory: &Path, environment: impl Fn(&str) -> Option<String>) -> Self {
        let path = directory.join(DOTENV);
        // A Python environment is often a directory of that name.
        if !path.is_file() {
            return self;
        }
        match read_dotenv(&path) {
            Ok((text, is_exposed)) => {
                let read = dotenv::parse(&text, environment);
                let entries = read.variables.into_iter().filter_map(|dotenv::Variable { name, value, line }| {
                    Some((environment_key(name)?, Entry { raw: Raw::Text(value), line: Some(line) }))
                });
                self.layers.push(Layer { source: Source::DotEnv, entries: entries.collect() });
                self.skipped_lines = read.malformed;
                self.is_exposed = is_exposed;
            }
            Err(error) => self.unreadable.push(SettingError {
                setting: DOTENV.to_owned(),
                layer: "working directory".to_owned(),
                problem: format!("the file cannot be read: {error}"),
                remedy: "Make it UTF-8 text that this user alone may write, or remove it.".to_owned(),
            }),
        }
        self
    }

    /// Adds environment variables as the highest layer. Names of no setting are ignored.
    #[must_use]
    pub fn with_environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let entries = variables.into_iter().filter_map(|(name, value)| Some((environment_key(name)?, value.into())));
        self.layers.push(Layer::of_text(Source::Environment, entries));
        self
    }

    /// Adds values of the command line, by key, as the highest layer.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let entries = arguments.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
        self.layers.push(Layer::of_text(Source::CommandLine, entries));
        self
    }

    fn push_toml(&mut self, source: Source, text: &str) {
        match Layer::of_toml(source, text) {
            Ok(layer) => self.layers.push(layer),
            Err(error) => self.unreadable.push(error),
        }
    }
}

/// The text of the file, and whether other users can read it. One that every user can write, as in `/tmp`, is refused: it could name another
/// database.
fn read_dotenv(path: &Path) -> io::Result<(String, bool)> {
    use std::os::unix::fs::PermissionsExt as _;
    const READABLE_BY_OTHERS: u32 = 0o044;
    const WRITABLE_BY_ALL: u32 = 0o002;
    let mode_of = |path: &Path| Ok::<_, io::Error>(fs::metadata(path)?.permissions().mode());
    let (mode, mode_of_directory) = (mode_of(path)?, path.parent().map_or(Ok(0), mode_of)?);
    if (mode | mode_of_directory) & WRITABLE_BY_ALL != 0 {
        return Err(io::Error::other("every user of this machine can write it or its directory"));
    }
    Ok((fs::read_to_string(path)?, mode & READABLE_BY_OTHERS != 0))
}

/// The key that an environment variable sets: its name in lower case. Only names in capitals set one.
fn environment_key(name: impl Into<OsString>) -> Option<String> {
    let name = name.into().into_string().ok()?;
    let in_capitals = !name.chars().any(|c| c.is_ascii_lowercase());
    in_capitals.then(|| name.to_ascii_lowercase())
}

/// The values of one source.
pub(super) struct Layer {
    pub(super) source: Source,
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Layer {
    pub(super) fn of_toml(source: Source, text: &str) -> Result<Self, SettingError> {
        let line_at = |offset: usize| text[..offset].lines().count().max(1);
        let table: BTreeMap<Spanned<String>, Spanned<toml::Value>> =
            toml::from_str(text).map_err(|error| SettingError {
                setting: "--config".to_owned(),
                layer: source.place(error.span().map(|span| line_at(span.start))),
                problem: format!("not TOML: {}", error.message()),
                remedy: "Write one `key = value` on each line.".to_owned(),
            })?;
        let entries = table.into_iter().map(|(key, value)| {
            let line = Some(line_at(key.span().end));
            (key.into_inner(), Entry { raw: Raw::Toml(value.into_inner()), line })
        });
        Ok(Self { source, entries: entries.collect() })
    }

    fn of_text(source: Source, entries: impl Iterator<Item = (String, OsString)>) -> Self {
        let entries = entries.map(|(key, value)| {
            let raw = value.into_string().map_or(Raw::NotUnicode, Raw::Text);
            (key, Entry { raw, line: None })
        });
        Self { source, entries: entries.collect() }
    }
}

/// A value before it is parsed.
pub(super) struct Entry {
    pub(super) raw: Raw,
    /// The line in a file, counted from 1.
    pub(super) line: Option<usize>,
}

/// Text of the environment or the command line, or a value of TOML.
pub(super) enum Raw {
    Text(String),
    Toml(toml::Value),
    NotUnicode,
}

impl Raw {
    /// Whether it is text without any visible character.
    pub(super) fn is_blank(&self) -> bool {
        self.as_text().is_some_and(|text| text.trim().is_empty())
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Toml(toml::Value::String(text)) => Some(text),
            _ => None,
        }
    }
}

/// The origin of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A file built into the binary.
    BuiltIn(&'static str),
    /// The file given by `--config`.
    File(PathBuf),
    /// The file `.env` in the working directory.
    DotEnv,
    /// The process environment.
    Environment,
    /// The command line.
    CommandLine,
}

impl Source {
    /// The name of the setting `key` in this source.
    pub(super) fn name_of(&self, key: &str) -> String {
        match self {
            Self::BuiltIn(_) | Self::File(_) => key.to_owned(),
            Self::DotEnv | Self::Environment => key.to_ascii_uppercase(),
            Self::CommandLine => format!("--{}", key.replace('_', "-")),
        }
    }

    /// The source and, in a file, the line.
    pub(super) fn place(&self, line: Option<usize>) -> String {
        line.map_or_else(|| self.to_string(), |line| format!("{self}, line {line}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(path) => write!(f, "{path}, built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::DotEnv => f.write_str(DOTENV),
            Self::Environment => f.write_str("environment"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
