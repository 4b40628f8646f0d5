//! Stories over several modules, on both databases: the whole actor system without its HTTP edge.

mod accounts;
mod community;
mod exporter;
mod key_rotation;
mod logins;
mod mail;
mod reminders;
mod support;
mod sweeping;
