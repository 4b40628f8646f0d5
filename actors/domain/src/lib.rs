//! The modules: one folder an actor, with its service, rules and store.
//!
//! | module | its actor owns |
//! |---|---|
//! | [`accounts`] | who exists, and who may log in |
//! | [`logins`] | signed-in devices: refresh generations and access tokens |
//! | [`sessions`] | open sessions and the emotions detected in them |
//! | [`community`] | posts and comments |
//! | [`reminders`] | reminders and when they are due |
//! | [`suggestions`] | what may help: a catalogue, and an endpoint that writes |

pub mod accounts;
pub mod community;
pub mod logins;
pub mod reminders;
pub mod sessions;
pub mod suggestions;

#[cfg(test)]
mod testing;
