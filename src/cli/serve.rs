//! `faceofmind serve [--host] [--port]`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::{app, settings::ConfigSources};

/// Texts, so that their errors are reported in the same way as, and together with, those of other settings.
#[derive(Args, Debug, Default)]
pub(super) struct Arguments {
    /// The address to listen on; overrides HOST
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on; overrides PORT; 0 takes any free port
    #[arg(long)]
    port: Option<String>,
}

impl Arguments {
    pub(super) fn run(self, sources: ConfigSources) -> Result<ExitCode, Failure> {
        let settings = super::init(&self.add_to(sources))?;
        super::block_on(app::serve(settings))
    }

    fn add_to(self, sources: ConfigSources) -> ConfigSources {
        let arguments = [("host", self.host), ("port", self.port)];
        sources.with_arguments(arguments.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_command_line_overrides_the_environment() {
        let arguments = Arguments { host: None, port: Some("9002".to_owned()) };
        let sources = ConfigSources::built_in().with_environment([("PORT", "9003"), ("HOST", "0.0.0.0")]);
        let settings = Settings::load(&arguments.add_to(sources)).expect("good settings");
        assert_eq!((settings.http.port, settings.http.host.to_string()), (9002, "0.0.0.0".to_owned()));
    }
}
