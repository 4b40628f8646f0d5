//! What the command line asks for.

use std::{io::Write as _, process::ExitCode};

use faceofmind_actors::{
    Crew, House,
    schema::{self, Step},
    user_registry::{CreateAdmin, Email},
};
use faceofmind_kit::{Clock, Rng};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

use super::{App, StartError, ground};
use crate::settings::{DatabaseUrl, Settings, create_private_dir};

/// The exit code after an actor has failed too often (`EX_SOFTWARE` of sysexits.h): whoever started the program shall start it again.
const ESCALATED: u8 = 70;

/// What `migrate` is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MigrateAction {
    /// Bring the database up to date.
    Up,
    /// List the steps and which are taken.
    Status,
    /// Take back the last step.
    Down {
        /// Even where data is lost.
        force: bool,
    },
}

/// An admin to be.
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
    let parts = settings.parts().to_string();
    let app = App::start(settings, Clock::system(), Rng::system()).await?;
    #[cfg(feature = "test-hooks")]
    panic_when_told(app.tree().clone()).map_err(StartError::Signals)?;
    say(&format!("{parts}\n{}", addresses(&app)));
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        actor = app.escalated() => {
            tracing::error!(actor, "the service stops, to be started afresh");
            ExitCode::from(ESCALATED)
        }
    };
    tracing::info!("stopping");
    app.stop().await;
    Ok(code)
}

/// A door for tests: at each SIGUSR1 an actor panics.
#[cfg(feature = "test-hooks")]
fn panic_when_told(tree: faceofmind_kit::SupervisorHandle) -> std::io::Result<()> {
    let mut told = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while told.recv().await.is_some() {
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

/// Says something on standard output; that nobody listens there is no reason to stop.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _nobody_listens = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Whether the database is a file that is not there, which is then said.
pub(super) fn is_missing(settings: &Settings) -> bool {
    let DatabaseUrl::Sqlite(path) = settings.database_url() else { return false };
    let missing = !path.exists();
    if missing {
        let path = path.display();
        say(&format!("there is no {path} yet; `faceofmind migrate` makes it, and so does `faceofmind serve`"));
    }
    missing
}

/// Moves the schema, or tells how it stands.
pub(crate) async fn migrate(settings: &Settings, action: MigrateAction) -> Result<ExitCode, StartError> {
    if action == MigrateAction::Status && is_missing(settings) {
        return Ok(ExitCode::SUCCESS);
    }
    if settings.database_url().is_embedded() {
        create_private_dir(&settings.service.data_dir).map_err(StartError::DataDir)?;
    }
    let db = ground::database(settings)?;
    ground::reach(&db).await?;
    match action {
        MigrateAction::Up => schema::migrate(&db).await?,
        MigrateAction::Status => {}
        MigrateAction::Down { force } => {
            let taken_back = schema::down(&db, force).await?;
            say(&taken_back.map_or("nothing to take back".to_owned(), |step| format!("took back {}", line(&step))));
        }
    }
    schema::status(&db).await?.iter().for_each(|step| say(&line(step)));
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

fn line(step: &Step) -> String {
    let state = if step.applied { "applied" } else { "not applied" };
    format!("{:04} {:<24} {state}", step.version, step.name)
}

/// Makes an active admin.
pub(crate) async fn create_admin(settings: &Settings, admin: NewAdmin) -> Result<ExitCode, StartError> {
    let email = Email::parse(&admin.email).map_err(StartError::Email)?;
    let (clock, rng) = (Clock::system(), Rng::system());
    let secrets = ground::secrets(settings, &rng)?;
    let ground = ground::lay(settings, &secrets, clock, rng).await?;
    let db = ground.db.clone();
    ground::reach(&db).await?;
    schema::migrate(&db).await?;
    let house = House::start(ground, ground::bounds(settings, secrets), Crew::AccountsOnly)
        .await
        .map_err(StartError::Actors)?;
    let NewAdmin { first_name, last_name, password, .. } = admin;
    let made = house.accounts.ask(CreateAdmin { email, password, first_name, last_name }).await;
    house.tree.stop(settings.http.shutdown_timeout).await;
    db.close().await;
    let user = made?;
    say(&format!("{} is an active admin with the id {}", user.email.as_str(), user.id));
    Ok(ExitCode::SUCCESS)
}
