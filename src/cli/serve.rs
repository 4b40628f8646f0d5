//! `faceofmind serve [--host] [--port]`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::{app, settings::Layers};

/// Taken as text, so that wrong ones are told in the same way, and together, with all other settings.
#[derive(Args, Debug, Default)]
pub(super) struct Arguments {
    /// The address to listen on, over HOST
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on, over PORT; 0 for any that is free
    #[arg(long)]
    port: Option<String>,
}

impl Arguments {
    pub(super) fn run(self, layers: Layers) -> Result<ExitCode, Failure> {
        let settings = super::begin(&self.over(layers))?;
        super::block_on(app::serve(settings))
    }

    fn over(self, layers: Layers) -> Layers {
        let said = [("host", self.host), ("port", self.port)];
        layers.with_arguments(said.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_command_line_goes_before_the_environment() {
        let arguments = Arguments { host: None, port: Some("9002".to_owned()) };
        let layers = Layers::built_in().with_environment([("PORT", "9003"), ("HOST", "0.0.0.0")]);
        let settings = Settings::load(&arguments.over(layers)).expect("good settings");
        assert_eq!((settings.http.port, settings.http.host.to_string()), (9002, "0.0.0.0".to_owned()));
    }
}
