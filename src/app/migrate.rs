//! The command `migrate`.

use std::{
    io::{IsTerminal as _, stdout},
    process::ExitCode,
};

use faceofmind_db::{
    Database,
    adoption::{self, Adoption, Mended},
    migrations::{self, Migration},
};

use super::{
    StartError,
    commands::{existing_database, open_database, println_stdout},
    instance_lock::InstanceLock,
};
use crate::settings::{Settings, create_private_dir};

/// The action of `migrate`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum MigrateAction {
    /// Bring the database up to date.
    Up {
        /// Mend the start times of sessions that a server in this time zone shifted.
        repair_times: Option<String>,
    },
    /// Print what bringing it up to date would change.
    DryRun,
    /// List the migrations and whether each is applied.
    Status,
    /// Revert the last migration.
    Down {
        /// Revert it even if data is lost.
        force: bool,
    },
}

/// Applies or reverts migrations, or only says what they are and do.
pub(crate) async fn migrate(settings: &Settings, action: MigrateAction) -> Result<ExitCode, StartError> {
    let db = match action {
        MigrateAction::Up { repair_times } => up(settings, repair_times).await?,
        MigrateAction::DryRun => {
            let db = existing_database(settings).await?;
            let exit = dry_run(&db).await;
            db.close().await;
            return exit;
        }
        MigrateAction::Status => existing_database(settings).await?,
        MigrateAction::Down { force } => down(settings, force).await?,
    };
    if let Some(Adoption { layout, adopted_at, .. }) = adoption::find(&db).await? {
        println_stdout(&format!("adopted from FaceofMind (Python), layout `{layout}`, at {adopted_at}"));
    }
    migrations::status(&db).await?.iter().for_each(|migration| println_stdout(&line(migration)));
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn up(settings: &Settings, repair_times: Option<String>) -> Result<Database, StartError> {
    if settings.database_url().is_embedded() {
        create_private_dir(&settings.service.data_dir).map_err(StartError::DataDir)?;
    }
    let db = open_database(settings).await?;
    migrations::migrate(&db).await?;
    if let Some(zone) = repair_times {
        println_stdout(&mended(&adoption::mend_times(&db, &zone).await?));
    }
    Ok(db)
}

fn mended(mended: &Mended) -> String {
    let Mended { sessions, zone, is_earlier } = mended;
    if *is_earlier {
        format!(
            "an earlier run mended the start times of {sessions} sessions for the time zone {zone}; nothing was changed now"
        )
    } else {
        format!("mended the start times of {sessions} sessions for the time zone {zone}")
    }
}

async fn down(settings: &Settings, force: bool) -> Result<Database, StartError> {
    let db = existing_database(settings).await?;
    let _alone = InstanceLock::acquire(&settings.database_url())?;
    let reverted = migrations::down(&db, force).await?;
    println_stdout(&reverted.map_or("nothing to revert".to_owned(), |Migration { version, name, .. }| {
        format!("reverted {version:04} {name}")
    }));
    Ok(db)
}

/// Prints addresses only on a terminal: other outputs may be logs. Fails where `migrate` would refuse.
async fn dry_run(db: &Database) -> Result<ExitCode, StartError> {
    if let Some(plan) = migrations::plan_adoption(db).await? {
        println_stdout(&plan.describe(stdout().is_terminal()).to_string());
        return Ok(if plan.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let missing = migrations::status(db).await?.into_iter().filter(|migration| !migration.applied);
    let lines: Vec<String> =
        missing.map(|migration| format!("would apply {:04} {}", migration.version, migration.name)).collect();
    println_stdout(&if lines.is_empty() { "nothing to migrate".to_owned() } else { lines.join("\n") });
    Ok(ExitCode::SUCCESS)
}

fn line(migration: &Migration) -> String {
    let state = if migration.applied { "applied" } else { "not applied" };
    format!("{:04} {:<24} {state}", migration.version, migration.name)
}
