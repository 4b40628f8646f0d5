//! Settings from layers, tested by their public interface.

mod defaults;
mod documentation;
mod errors;
mod layering;
mod production;

use super::*;

fn load(environment: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
    Settings::load(&ConfigSources::built_in().with_environment(environment.iter().copied()))
}

fn good(environment: &[(&str, &str)]) -> Settings {
    load(environment).expect("good settings")
}

/// The errors about an environment, one in a line.
fn errors(environment: &[(&str, &str)]) -> String {
    errors_of(load(environment))
}

fn errors_of<T: fmt::Debug>(loaded: Result<T, Vec<SettingError>>) -> String {
    let errors = loaded.expect_err("a setting is wrong");
    errors.iter().map(|error| format!("{error}\n")).collect()
}
