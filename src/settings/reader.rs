//! Reads settings from the layers and collects all errors.

use super::{
    error::{ConfigProblem, SettingError},
    layers::{ConfigSources, DEFAULT, Entry, Layer, PRODUCTION, Source},
    setting::{Setting, text},
    values::Environment,
};

/// A setting with its effective value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    /// The key in a file.
    pub key: &'static str,
    /// The value as TOML, secrets masked.
    pub shown: String,
    /// The source of the value.
    pub source: Source,
}

/// Reads the settings one by one. A key is known once it is read.
pub(super) struct ConfigReader<'a> {
    layers: Vec<&'a Layer>,
    environment: Environment,
    known: Vec<&'static str>,
    effective: Vec<Effective>,
    errors: Vec<SettingError>,
}

impl<'a> ConfigReader<'a> {
    /// Inserts `production` above the defaults if the environment is production.
    pub(super) fn new(sources: &'a ConfigSources, production: &'a Layer) -> Self {
        let mut reader = Self {
            layers: sources.layers.iter().collect(),
            environment: Environment::Development,
            known: Vec::new(),
            effective: Vec::new(),
            errors: Vec::new(),
        };
        if reader.read(environment()) == Some(Environment::Production) {
            reader.environment = Environment::Production;
            let over_defaults = usize::from(!reader.layers.is_empty());
            reader.layers.insert(over_defaults, production);
        }
        // The environment is read again with the other settings, and its errors are reported there.
        Self { known: Vec::new(), effective: Vec::new(), errors: sources.unreadable.clone(), ..reader }
    }

    pub(super) fn environment(&self) -> Environment {
        self.environment
    }

    /// The value of `setting` in the highest layer that has one. Errors in lower layers are reported too.
    pub(super) fn read<T>(&mut self, setting: Setting<T>) -> Option<T> {
        self.known.push(setting.key);
        if self.effective_source(setting.key).is_none() {
            self.report(without_default(setting.key));
        }
        let mut effective = None;
        for layer in &self.layers {
            let Some(entry) = lookup(layer, setting.key, setting.allow_empty) else {
                continue;
            };
            let parsed = setting.read(entry, self.environment.is_production());
            effective = match parsed {
                Ok(value) => Some((value, setting.shown(&setting.text_of(entry).unwrap_or_default()), *layer)),
                Err(reason) => {
                    self.errors.push(invalid_value(&setting, layer, entry, &reason));
                    None
                }
            };
        }
        let (value, shown, layer) = effective?;
        self.effective.push(Effective { key: setting.key, shown, source: layer.source.clone() });
        Some(value)
    }

    /// The effective value of `key` as it is written. `None` if that is blank or no text.
    pub(super) fn raw(&self, key: &str) -> Option<&'a str> {
        let (_, entry) = self.effective_source(key)?;
        entry.raw.as_text().filter(|text| !text.trim().is_empty())
    }

    /// Adds an error about the effective value of a setting.
    pub(super) fn report(&mut self, ConfigProblem { key, problem, remedy }: ConfigProblem) {
        let (setting, layer) = match self.effective_source(key) {
            Some((layer, entry)) if !entry.raw.is_blank() => {
                (layer.source.name_of(key), layer.source.place(entry.line))
            }
            _ => (key.to_ascii_uppercase(), "not given".to_owned()),
        };
        self.errors.push(SettingError { setting, layer, problem, remedy });
    }

    /// The highest layer that has a value for `key`, and that value.
    fn effective_source(&self, key: &str) -> Option<(&'a Layer, &'a Entry)> {
        self.layers.iter().rev().find_map(|layer| Some((*layer, lookup(layer, key, false)?)))
    }

    /// Gives `settings` with all effective values, or all errors. A key in a file that was not read is an error.
    pub(super) fn finish<T>(mut self, settings: Option<T>) -> Result<(T, Vec<Effective>), Vec<SettingError>> {
        for layer in &self.layers {
            if matches!(layer.source, Source::File(_) | Source::BuiltIn(_)) {
                let unknown = layer.entries.iter().filter(|(key, _)| !self.known.contains(&key.as_str()));
                self.errors.extend(unknown.map(|(key, entry)| unknown_key(layer, key, entry, &self.known)));
            }
        }
        match settings {
            Some(settings) if self.errors.is_empty() => Ok((settings, self.effective)),
            _ => Err(self.errors),
        }
    }
}

/// The environment is read before all other settings.
pub(super) fn environment() -> Setting<Environment> {
    text("faceofmind_env", "development or production", Environment::parse)
}

/// Cannot happen while the test passes that compares `config/default.toml` with the code.
fn without_default(key: &'static str) -> ConfigProblem {
    let problem = format!("no layer has a value, not even {}", DEFAULT.0);
    ConfigProblem { key, problem, remedy: "Give one, and report this as a bug.".to_owned() }
}

/// The built-in layer of production.
pub(super) fn production_layer() -> Result<Layer, SettingError> {
    Layer::of_toml(Source::BuiltIn(PRODUCTION.0), PRODUCTION.1)
}

/// The value of `key` in `layer`. An empty environment variable is no value unless `allow_empty`, and so is one of `.env`.
fn lookup<'l>(layer: &'l Layer, key: &str, allow_empty: bool) -> Option<&'l Entry> {
    let is_environment = matches!(layer.source, Source::DotEnv | Source::Environment);
    let unset = |entry: &Entry| is_environment && entry.raw.is_blank() && !allow_empty;
    layer.entries.get(key).filter(|entry| !unset(entry))
}

fn invalid_value<T>(setting: &Setting<T>, layer: &Layer, entry: &Entry, reason: &str) -> SettingError {
    SettingError {
        setting: layer.source.name_of(setting.key),
        layer: layer.source.place(entry.line),
        problem: format!("{} {reason}", setting.quoted(entry)),
        remedy: format!("Give {}.", setting.expects),
    }
}

fn unknown_key(layer: &Layer, key: &str, entry: &Entry, known: &[&str]) -> SettingError {
    let remedy = match nearest(key, known) {
        Some(known) => format!("Did you mean `{known}`?"),
        None => format!("Remove it; {} lists all that there are, without sections.", DEFAULT.0),
    };
    SettingError {
        setting: key.escape_debug().to_string(),
        layer: layer.source.place(entry.line),
        problem: "there is no such setting".to_owned(),
        remedy,
    }
}

/// The known key that is most similar to `key`, if one is similar enough.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = key.to_lowercase().replace('-', "_");
    let similarity = |known: &&str| strsim::jaro_winkler(&key, known);
    let nearest = known.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&nearest) > 0.85).then_some(nearest)
}
