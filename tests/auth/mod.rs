//! `/auth`: registration, login and logout, one-time codes and passwords.

mod bearer;
mod change_password;
mod codes;
mod legacy_hashes;
mod login;
mod login_limits;
mod logins;
mod logout;
mod pending_registrations;
mod refresh;
mod register;
mod reset;
mod secrecy;
mod verify;

/// A code that differs from this one.
pub(crate) fn wrong_code(code: &str) -> String {
    let number: u32 = code.parse().expect("six digits");
    format!("{:06}", (number + 1) % 1_000_000)
}
