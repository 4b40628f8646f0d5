//! `/auth`: registering, logging in and out, codes and passwords.

mod bearer;
mod change_password;
mod claims;
mod codes;
mod login;
mod login_limits;
mod logins;
mod logout;
mod refresh;
mod register;
mod reset;
mod verify;

/// A code that is not this one.
pub(crate) fn wrong(code: &str) -> String {
    let number: u32 = code.parse().expect("six digits");
    format!("{:06}", (number + 1) % 1_000_000)
}
