//! Reads settings out of the layers and gathers all that is wrong with them.

use super::{
    checks::Fault,
    error::SettingError,
    groups,
    layers::{DEFAULT, Entry, Layer, Layers, PRODUCTION, Source},
    setting::Setting,
    values::Environment,
};

/// One setting as it is in effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    /// Its key, as in a file.
    pub key: &'static str,
    /// Its value as TOML, secrets masked.
    pub shown: String,
    /// The layer that it came from.
    pub source: Source,
}

/// Reads settings one by one; each read makes a key known.
pub(super) struct Reader<'a> {
    layers: Vec<&'a Layer>,
    environment: Environment,
    known: Vec<&'static str>,
    effective: Vec<Effective>,
    errors: Vec<SettingError>,
}

impl<'a> Reader<'a> {
    /// A reader of `layers`, with `production` laid over the defaults when the layers say so.
    pub(super) fn new(layers: &'a Layers, production: &'a Layer) -> Self {
        let mut reader = Self {
            layers: layers.layers.iter().collect(),
            environment: Environment::Development,
            known: Vec::new(),
            effective: Vec::new(),
            errors: Vec::new(),
        };
        if reader.read(groups::environment()) == Some(Environment::Production) {
            reader.environment = Environment::Production;
            let over_defaults = usize::from(!reader.layers.is_empty());
            reader.layers.insert(over_defaults, production);
        }
        // That was only a look: it is read, and judged, again among the others.
        Self { known: Vec::new(), effective: Vec::new(), errors: layers.unreadable.clone(), ..reader }
    }

    pub(super) fn environment(&self) -> Environment {
        self.environment
    }

    /// The value of `setting`, of the uppermost layer that has one. What is wrong in lower layers is told as well.
    pub(super) fn read<T>(&mut self, setting: Setting<T>) -> Option<T> {
        self.known.push(setting.key);
        if self.uppermost(setting.key).is_none() {
            self.report(without_default(setting.key));
        }
        let mut uppermost = None;
        for layer in &self.layers {
            let Some(entry) = said(layer, setting.key, setting.empty_counts) else {
                continue;
            };
            let read = setting.read(entry, self.environment.is_production());
            uppermost = match read {
                Ok(value) => Some((value, setting.shown(&setting.text_of(entry).unwrap_or_default()), *layer)),
                Err(reason) => {
                    self.errors.push(refusal(&setting, layer, entry, &reason));
                    None
                }
            };
        }
        let (value, shown, layer) = uppermost?;
        self.effective.push(Effective { key: setting.key, shown, source: layer.source.clone() });
        Some(value)
    }

    /// The text that the uppermost layer has for `key`, as it stands; none if that is blank or no text.
    pub(super) fn given(&self, key: &str) -> Option<&'a str> {
        let (_, entry) = self.uppermost(key)?;
        entry.raw.as_text().filter(|text| !text.trim().is_empty())
    }

    /// One more thing that is wrong, told of the layer whose value is in effect.
    pub(super) fn report(&mut self, Fault { key, problem, remedy }: Fault) {
        let (setting, layer) = match self.uppermost(key) {
            Some((layer, entry)) if !entry.raw.is_blank() => {
                (layer.source.name_of(key), layer.source.place(entry.line))
            }
            _ => (key.to_ascii_uppercase(), "not given".to_owned()),
        };
        self.errors.push(SettingError { setting, layer, problem, remedy });
    }

    /// What the uppermost layer that speaks of `key` says, and which that is.
    fn uppermost(&self, key: &str) -> Option<(&'a Layer, &'a Entry)> {
        self.layers.iter().rev().find_map(|layer| Some((*layer, said(layer, key, false)?)))
    }

    /// `whole`, made of what was read, with all that is in effect; or all that is wrong, keys that nobody read included.
    pub(super) fn finish<T>(mut self, whole: Option<T>) -> Result<(T, Vec<Effective>), Vec<SettingError>> {
        for layer in &self.layers {
            if matches!(layer.source, Source::File(_) | Source::BuiltIn(_)) {
                let unknown = layer.entries.iter().filter(|(key, _)| !self.known.contains(&key.as_str()));
                self.errors.extend(unknown.map(|(key, entry)| unknown_key(layer, key, entry, &self.known)));
            }
        }
        match whole {
            Some(whole) if self.errors.is_empty() => Ok((whole, self.effective)),
            _ => Err(self.errors),
        }
    }
}

/// Cannot happen while the test that holds `config/default.toml` against the code passes.
fn without_default(key: &'static str) -> Fault {
    let problem = format!("no layer has a value, not even {}", DEFAULT.0);
    Fault { key, problem, remedy: "Give one, and report this as a mistake of ours.".to_owned() }
}

/// The layer built in for production.
pub(super) fn production_layer() -> Result<Layer, SettingError> {
    Layer::of_toml(Source::BuiltIn(PRODUCTION.0), PRODUCTION.1)
}

/// What `layer` says of `key`. An empty environment variable says nothing, unless `empty_counts`.
fn said<'l>(layer: &'l Layer, key: &str, empty_counts: bool) -> Option<&'l Entry> {
    let unset = |entry: &Entry| layer.source == Source::Environment && entry.raw.is_blank() && !empty_counts;
    layer.entries.get(key).filter(|entry| !unset(entry))
}

fn refusal<T>(setting: &Setting<T>, layer: &Layer, entry: &Entry, reason: &str) -> SettingError {
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

/// The known key that looks most like `key`, if one looks much like it.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = key.to_lowercase().replace('-', "_");
    let likeness = |known: &&str| strsim::jaro_winkler(&key, known);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&nearest) > 0.85).then_some(nearest)
}
