//! The description of one setting: its key, its accepted values and its secrecy.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    layers::{Entry, Raw},
    secret_url,
};

type Parse<T> = Box<dyn Fn(&str) -> Result<T, String>>;
type Check<T> = Box<dyn Fn(&T) -> Result<(), String>>;

/// How a value is parsed and checked. A parser's error continues a sentence that begins with the value: "is not a whole number". It never
/// repeats a secret.
pub(super) struct Setting<T> {
    pub(super) key: &'static str,
    /// The accepted values: "a whole number from 0 to 65535".
    pub(super) expects: String,
    pub(super) kind: Kind,
    pub(super) secrecy: Secrecy,
    /// Whether an empty environment variable is a value. If not, it counts as not set.
    pub(super) allow_empty: bool,
    parse: Parse<T>,
    production: Option<Check<T>>,
}

/// The type that a value has in TOML.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    List,
}

/// How much of a value may be printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Secrecy {
    Open,
    /// All but the password of a URL.
    Url,
    Secret,
}

/// A setting whose text `parse` accepts.
pub(super) fn text<T, E: ToString>(
    key: &'static str,
    expects: &str,
    parse: impl Fn(&str) -> Result<T, E> + 'static,
) -> Setting<T> {
    Setting {
        key,
        expects: expects.to_owned(),
        kind: Kind::Text,
        secrecy: Secrecy::Open,
        allow_empty: false,
        parse: Box::new(move |text| parse(text).map_err(|reason| reason.to_string())),
        production: None,
    }
}

/// Like [`text`]; empty text is `None`.
pub(super) fn optional<T, E: ToString>(
    key: &'static str,
    expects: &str,
    parse: impl Fn(&str) -> Result<T, E> + 'static,
) -> Setting<Option<T>> {
    let expects = format!("{expects}, or nothing");
    text(key, &expects, move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) })
}

/// A list whose items `parse` accepts, separated by commas or in a TOML array.
pub(super) fn list<T>(
    key: &'static str,
    expects: &str,
    parse: impl Fn(&str) -> Result<T, String> + 'static,
) -> Setting<Vec<T>> {
    let all = move |text: &str| items(text).map(&parse).collect();
    Setting { kind: Kind::List, ..text(key, expects, all) }
}

/// A whole number in `range`.
pub(super) fn number<T: TryFrom<u64>>(key: &'static str, range: RangeInclusive<u64>) -> Setting<T> {
    let (low, high) = (*range.start(), *range.end());
    let parse = move |text: &str| {
        let number: i128 = text.parse().map_err(|_| "is not a whole number".to_owned())?;
        let within = u64::try_from(number).ok().filter(|number| range.contains(number));
        within.and_then(|number| T::try_from(number).ok()).ok_or_else(|| "is out of range".to_owned())
    };
    Setting { kind: Kind::Number, ..text(key, &format!("a whole number from {low} to {high}"), parse) }
}

/// A whole number in `range` of the unit in which the key ends.
pub(super) fn duration(key: &'static str, unit: Duration, range: RangeInclusive<u32>) -> Setting<Duration> {
    let Setting { parse, expects, .. } = number::<u32>(key, u64::from(*range.start())..=u64::from(*range.end()));
    Setting { kind: Kind::Number, ..text(key, &expects, move |text| parse(text).map(|count| unit * count)) }
}

/// `on` or `off`.
pub(super) fn boolean(key: &'static str) -> Setting<bool> {
    let parse = |text: &str| match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("is neither on nor off"),
    };
    Setting { kind: Kind::Boolean, ..text(key, "on or off", parse) }
}

impl<T> Setting<T> {
    /// Accepts a TOML array.
    pub(super) fn listed(self) -> Self {
        Self { kind: Kind::List, ..self }
    }

    /// Never prints the value, neither in errors nor in `config check`. Keeps spaces around it.
    pub(super) fn secret(self) -> Self {
        Self { secrecy: Secrecy::Secret, ..self }
    }

    /// Prints the value with its password masked.
    pub(super) fn url(self) -> Self {
        Self { secrecy: Secrecy::Url, ..self }
    }

    /// Takes an empty environment variable for "none" instead of "not set".
    pub(super) fn allow_empty(self) -> Self {
        Self { allow_empty: true, ..self }
    }

    /// Adds a check for production.
    pub(super) fn in_production<E: ToString>(self, check: impl Fn(&T) -> Result<(), E> + 'static) -> Self {
        let check: Check<T> = Box::new(move |value| check(value).map_err(|reason| reason.to_string()));
        Self { production: Some(check), ..self }
    }

    /// Parses and checks `entry`.
    pub(super) fn read(&self, entry: &Entry, in_production: bool) -> Result<T, String> {
        let value = (self.parse)(&self.text_of(entry)?)?;
        match &self.production {
            Some(check) if in_production => check(&value).map(|()| value),
            _ => Ok(value),
        }
    }

    /// The text of `entry`. A TOML value must have the type of this setting.
    pub(super) fn text_of(&self, entry: &Entry) -> Result<String, String> {
        use toml::Value::{Array, Boolean, Integer, String as Text};
        match (&entry.raw, self.kind) {
            (Raw::NotUnicode, _) => Err("is not UTF-8".to_owned()),
            (Raw::Text(text), _) | (Raw::Toml(Text(text)), Kind::Text | Kind::Boolean | Kind::List) => {
                Ok(self.trimmed(text))
            }
            (Raw::Toml(Integer(number)), Kind::Number) => Ok(number.to_string()),
            (Raw::Toml(Boolean(on)), Kind::Boolean) => Ok(on.to_string()),
            (Raw::Toml(Array(values)), Kind::List) => joined(values),
            (Raw::Toml(value), kind) => {
                Err(format!("is written as a TOML {}, not as {}", value.type_str(), kind.written()))
            }
        }
    }

    fn trimmed(&self, text: &str) -> String {
        let text = if self.secrecy == Secrecy::Secret { text } else { text.trim() };
        text.to_owned()
    }

    /// The beginning of an error about `entry`: its shortened text, or "the value" for a secret.
    pub(super) fn quoted(&self, entry: &Entry) -> String {
        match (&entry.raw, self.secrecy) {
            (Raw::Text(text) | Raw::Toml(toml::Value::String(text)), Secrecy::Open) => {
                format!("`{}`", short(text))
            }
            (Raw::Toml(value), Secrecy::Open) => format!("`{}`", short(&value.to_string())),
            _ => "the value".to_owned(),
        }
    }

    /// The value as TOML, secrets masked.
    pub(super) fn shown(&self, text: &str) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        match (self.secrecy, self.kind) {
            _ if text.is_empty() && self.kind == Kind::List => "[]".to_owned(),
            (Secrecy::Secret, _) if !text.is_empty() => quoted("***"),
            (Secrecy::Url, Kind::List) => in_brackets(items(text).map(|item| quoted(&secret_url::masked(item)))),
            (Secrecy::Url, _) => quoted(&secret_url::masked(text)),
            (_, Kind::Number) => text.to_owned(),
            (_, Kind::List) => in_brackets(items(text).map(quoted)),
            _ => quoted(text),
        }
    }
}

impl Kind {
    fn written(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "an integer",
            Self::Boolean => "\"on\" or \"off\"",
            Self::List => "an array of strings",
        }
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn joined(values: &[toml::Value]) -> Result<String, String> {
    let texts: Option<Vec<&str>> = values.iter().map(toml::Value::as_str).collect();
    texts.map(|texts| texts.join(",")).ok_or_else(|| "holds something that is not a string".to_owned())
}

fn in_brackets(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// At most the first 60 characters, control characters escaped.
fn short(text: &str) -> String {
    let text: String = text.chars().take(60).collect();
    text.escape_debug().to_string()
}
