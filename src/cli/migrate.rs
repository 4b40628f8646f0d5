//! `faceofmind migrate [--status | --dry-run | --repair-times ZONE]`, `faceofmind migrate down [--force]`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;
use crate::{
    app::{self, MigrateAction},
    settings::ConfigSources,
};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// List the migrations and whether each is applied; changes nothing
    #[arg(long)]
    status: bool,
    /// Print what would be changed, and which rows of a FaceofMind (Python) database a person should look at; changes nothing
    #[arg(long, conflicts_with = "status")]
    dry_run: bool,
    /// Migrate, then mend the start times that a server in this time zone shifted before it was adopted, such as Asia/Manila
    #[arg(long, value_name = "ZONE", conflicts_with_all = ["status", "dry_run"])]
    repair_times: Option<String>,
    #[command(subcommand)]
    command: Option<Direction>,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Revert the last migration
    Down {
        /// Revert it even if data is lost
        #[arg(long)]
        force: bool,
    },
}

impl Arguments {
    pub(super) fn run(self, sources: &ConfigSources) -> Result<ExitCode, Failure> {
        let settings = super::init(sources)?;
        super::block_on(app::migrate(&settings, self.action()))
    }

    fn action(self) -> MigrateAction {
        match self.command {
            Some(Direction::Down { force }) => MigrateAction::Down { force },
            None if self.status => MigrateAction::Status,
            None if self.dry_run => MigrateAction::DryRun,
            None => MigrateAction::Up { repair_times: self.repair_times },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn action(line: &str) -> Option<MigrateAction> {
        Line::try_parse_from(line.split(' ')).ok().map(|line| line.arguments.action())
    }

    #[test]
    fn each_command_line_has_its_action() {
        assert_eq!(action("migrate"), Some(MigrateAction::Up { repair_times: None }));
        let zone = Some("Asia/Manila".to_owned());
        assert_eq!(action("migrate --repair-times Asia/Manila"), Some(MigrateAction::Up { repair_times: zone }));
        assert_eq!(action("migrate --dry-run"), Some(MigrateAction::DryRun));
        assert_eq!(action("migrate --status"), Some(MigrateAction::Status));
        assert_eq!(action("migrate down"), Some(MigrateAction::Down { force: false }));
        assert_eq!(action("migrate down --force"), Some(MigrateAction::Down { force: true }));
    }

    #[test]
    fn status_and_down_exclude_each_other_and_force_needs_down() {
        assert_eq!(action("migrate --status down"), None);
        assert_eq!(action("migrate --force"), None);
        assert_eq!(action("migrate --status --dry-run"), None);
        assert_eq!(action("migrate --dry-run --repair-times UTC"), None);
    }
}
