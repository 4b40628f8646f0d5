//! Settings out of layers, seen from outside.

mod defaults;
mod documentation;
mod errors;
mod layering;
mod production;

use super::*;

fn load(environment: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
    Settings::load(&Layers::built_in().with_environment(environment.iter().copied()))
}

fn good(environment: &[(&str, &str)]) -> Settings {
    load(environment).expect("good settings")
}

/// What is told of a wrong environment, one line an error.
fn told(environment: &[(&str, &str)]) -> String {
    told_of(load(environment))
}

fn told_of<T: fmt::Debug>(loaded: Result<T, Vec<SettingError>>) -> String {
    let errors = loaded.expect_err("something is wrong");
    errors.iter().map(|error| format!("{error}\n")).collect()
}
