//! `faceofmind keys status`, `faceofmind keys rotate`.

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;
use crate::{
    app::{self, KeysAction},
    settings::ConfigSources,
};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Print how many personal texts each key of DATA_KEY encrypts; changes nothing
    Status,
    /// Encrypt all personal texts with the first key of DATA_KEY; can be interrupted, and can run beside the service
    Rotate,
}

impl Command {
    pub(super) fn run(self, sources: &ConfigSources) -> Result<ExitCode, Failure> {
        let settings = super::init(sources)?;
        super::block_on(app::keys(&settings, self.action()))
    }

    fn action(self) -> KeysAction {
        match self {
            Self::Status => KeysAction::Status,
            Self::Rotate => KeysAction::Rotate,
        }
    }
}
