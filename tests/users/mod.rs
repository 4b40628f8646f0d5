//! `/users`: managing accounts, one's own and, for admins, others'.

mod activate;
mod close;
mod delete;
mod email;
mod erase;
mod export;
mod last_admin;
mod list;
mod show;
mod update;
