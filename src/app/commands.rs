//! The commands `serve` and `admin create`.

use std::{io::Write as _, process::ExitCode};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, migrations};
use faceofmind_domain::accounts::{AccountError, CreateAdmin};
use faceofmind_model::Email;
use faceofmind_system::{ActorSet, ActorSystem};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

use super::{App, StartError, bootstrap};
use crate::settings::{DatabaseUrl, Settings};

/// The exit code after an actor has failed too often (`EX_SOFTWARE` of sysexits.h). The process manager should start the program again.
const ESCALATED: u8 = 70;

/// The account to create.
#[derive(Clone, Debug)]
pub(crate) struct NewAdmin {
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) password: SecretString,
}

/// Serves until SIGTERM or Ctrl-C, or until an actor has failed too often.
pub(crate) async fn serve(settings: Settings) -> Result<ExitCode, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let summary = settings.summary().to_string();
    let app = App::start(settings, Clock::system(), Rng::system()).await?;
    #[cfg(feature = "test-hooks")]
    panic_on_sigusr1(app.tree().clone()).map_err(StartError::Signals)?;
    println_stdout(&format!("{summary}\n{}", addresses(&app)));
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        actor = app.escalated() => {
            tracing::error!(actor, "an actor failed too often; stopping so that the process manager restarts the service");
            ExitCode::from(ESCALATED)
        }
    };
    tracing::info!("stopping");
    app.stop().await;
    Ok(code)
}

/// For tests: an actor panics at each SIGUSR1.
#[cfg(feature = "test-hooks")]
fn panic_on_sigusr1(tree: faceofmind_runtime::SupervisorHandle) -> std::io::Result<()> {
    let mut signals = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            tree.children()[0].panic();
        }
    });
    Ok(())
}

fn addresses(app: &App) -> String {
    let address = app.address();
    let operators = app.operator_address().map(|address| format!("\nmetrics http://{address}/metrics"));
    format!("serving http://{address}\ndocs    http://{address}/docs{}", operators.unwrap_or_default())
}

/// Prints a line to standard output. A closed standard output is no reason to stop.
pub(super) fn println_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Opens the database for a command that creates none.
pub(super) async fn existing_database(settings: &Settings) -> Result<Database, StartError> {
    match settings.database_url() {
        DatabaseUrl::Sqlite(path) if !path.exists() => Err(StartError::NoDatabase(path)),
        _ => open_database(settings).await,
    }
}

pub(super) async fn open_database(settings: &Settings) -> Result<Database, StartError> {
    let db = bootstrap::database(settings)?;
    bootstrap::check_database(&db).await?;
    Ok(db)
}

/// Opens the database for a command that relies on the schema of this program.
pub(super) async fn migrated_database(settings: &Settings) -> Result<Database, StartError> {
    let db = existing_database(settings).await?;
    check_schema(&db).await?;
    Ok(db)
}

pub(super) async fn check_schema(db: &Database) -> Result<(), StartError> {
    let is_current = migrations::status(db).await?.iter().all(|migration| migration.applied);
    if is_current { Ok(()) } else { Err(StartError::Outdated) }
}

/// Creates an active admin.
pub(crate) async fn create_admin(settings: &Settings, admin: NewAdmin) -> Result<ExitCode, StartError> {
    let email = Email::parse(&admin.email).map_err(StartError::Email)?;
    let (clock, rng) = (Clock::system(), Rng::system());
    let secrets = bootstrap::secrets(settings, &rng)?;
    let resources = bootstrap::connect_resources(settings, &secrets, clock, rng).await?;
    let actors = bootstrap::actor_settings(settings, secrets)?;
    let db = resources.db.clone();
    bootstrap::check_database(&db).await?;
    migrations::migrate(&db).await?;
    let system = ActorSystem::start(resources, actors, ActorSet::AccountsOnly).await.map_err(StartError::Actors)?;
    let NewAdmin { first_name, last_name, password, .. } = admin;
    let created = system.modules.accounts.ask(CreateAdmin { email, password, first_name, last_name }).await;
    system.tree.stop(settings.http.shutdown_timeout).await;
    db.close().await;
    let user = created.map_err(|error| match error {
        AccountError::EmailTaken => StartError::AdminExists,
        error => error.into(),
    })?;
    println_stdout(&format!("{} is an active admin with the id {}", user.email.as_str(), user.id));
    Ok(ExitCode::SUCCESS)
}
