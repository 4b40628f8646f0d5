//! The black-box tests: the real service behind real sockets. Most tests run twice, on the embedded profile and on the
//! production profile. `cargo xtask test` starts the servers of the latter.

mod harness;

mod auth;
mod reminders;
mod upgrade;
mod users;
// Every file beside this one.
automod::dir!("tests");
