//! `faceofmind keys status`, `faceofmind keys rotate`.

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;
use crate::{
    app::{self, KeysAction},
    settings::Layers,
};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Tell by which keys of DATA_KEY personal texts are sealed; change nothing
    Status,
    /// Seal anew, with the first key of DATA_KEY, what another sealed or none; may be interrupted, and run beside the service
    Rotate,
}

impl Command {
    pub(super) fn run(self, layers: &Layers) -> Result<ExitCode, Failure> {
        let settings = super::begin(layers)?;
        super::block_on(app::keys(&settings, self.action()))
    }

    fn action(self) -> KeysAction {
        match self {
            Self::Status => KeysAction::Status,
            Self::Rotate => KeysAction::Rotate,
        }
    }
}
