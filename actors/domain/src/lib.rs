//! The modules: one folder an actor, with its service, rules and store.
//!
//! | module | actor | what it owns |
//! |---|---|---|
//! | [`accounts`] | user registry | users, pending registrations, passwords' rules, roles and status. Each user has a revision; it changes with status, role and password, and tokens are checked against it |
//! | [`logins`] | login registry | logins, rotation of refresh tokens, whether a token is valid |
//! | [`sessions`] | session tracker | sessions, detections, feedback, charts. It writes in batches: one commit for all commands that arrived during the last one |
//! | [`community`] | community | posts and comments, who may change them |
//! | [`reminders`] | reminder scheduler | reminders and when each is due |
//! | [`suggestions`] | suggestion engine | the five lines for an emotion, crisis detection, the circuit breaker of the suggestions endpoint |

pub mod accounts;
pub mod community;
pub mod logins;
pub mod reminders;
pub mod sessions;
pub mod suggestions;

#[cfg(test)]
mod testing;
