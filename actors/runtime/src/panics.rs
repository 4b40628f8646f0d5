//! What a log or a status may say of a panic.

use std::any::Any;

/// The payload of a panic.
pub type PanicPayload = Box<dyn Any + Send>;

/// Returns the panic's message if it is a literal of the source. A message formatted at run time may quote what a person wrote, as that of
/// a bad string slice does, so it is withheld; the panic hook logs the place.
pub fn static_message(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("panicked (message withheld: it may quote user data)")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_literal_message_is_shown() {
        let panic = catch_unwind(|| panic!("an impossible state")).map(|(): ()| ()).expect_err("a panic");
        assert_eq!(static_message(&*panic), "an impossible state");
    }

    #[test]
    fn a_message_that_was_formatted_at_run_time_is_withheld() {
        let said = String::from("\u{2019}I feel low");
        let slicing = catch_unwind(|| said[1..].len()).expect_err("not at a character's boundary");
        let formatted = catch_unwind(|| panic!("cannot deal with {said}")).map(|(): ()| 0).expect_err("a panic");
        for panic in [slicing, formatted] {
            let quoted = panic.downcast_ref::<String>().expect("a message made at run time");
            assert!(quoted.contains("feel low"), "{quoted}");
            assert!(!static_message(&*panic).contains("feel"));
        }
    }
}
