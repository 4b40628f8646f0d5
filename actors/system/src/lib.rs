//! The actors, wired and supervised. Only this crate knows every module.
//!
//! One supervisor owns all of them, one for one. It stops them in the reverse order of their start:
//!
//! ```text
//! publisher ─ hasher ─ limiter ─ otp ─ user_registry ─ logins ─ suggestions ─ session_tracker ─ community ─ reminders ─ exporter ─ sweeper ─ mailer
//! ```
//!
//! [`modules`] starts every module, and lists what must happen to each.

use std::sync::Arc;

use faceofmind_domain::accounts;
use faceofmind_platform::{self as platform, Platform, Resources};
use faceofmind_runtime::{RestartPolicy, StartError, Supervisor, SupervisorHandle, SupervisorSpec};

pub mod asyncapi;
pub mod exporter;
pub mod key_rotation;
mod mail_budgets;
mod mail_content;
pub mod modules;
mod sweeper;

use self::{mail_content::MailComposition, modules::Modules};

/// The limits of the actors.
pub struct Settings {
    pub platform: platform::Settings,
    pub modules: modules::Settings,
}

/// Which actors are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorSet {
    /// All, for a service.
    All,
    /// Those of accounts, for a command beside a running service. That service publishes the command's events and sends its mails.
    AccountsOnly,
}

impl ActorSet {
    fn has(self, actor: &str) -> bool {
        self == Self::All || ["hasher", "limiter", "otp", accounts::NAME].contains(&actor)
    }
}

/// The running actors.
#[derive(Clone)]
pub struct ActorSystem {
    pub platform: Platform,
    pub modules: Modules,
    pub tree: SupervisorHandle,
}

impl ActorSystem {
    /// Starts the actors of this set. Fails when one does not start, or when Argon2 does not allow the cost.
    pub async fn start(resources: Resources, settings: Settings, set: ActorSet) -> Result<Self, StartError> {
        let (platform, mut children) = Platform::new(settings.platform, resources)?;
        let (modules, of_modules) = Modules::new(settings.modules, &platform);
        children.extend(of_modules);
        let composer = MailComposition { modules: modules.clone(), platform: platform.clone() };
        children.push(platform.mailer(Arc::new(composer)));
        children.retain(|child| set.has(child.name()));
        let (clock, rng) = (platform.clock.clone(), platform.rng.clone());
        let spec = SupervisorSpec { children, policy: RestartPolicy::default(), clock, rng };
        let tree = Supervisor::start(spec).await?;
        Ok(Self { platform, modules, tree })
    }
}
