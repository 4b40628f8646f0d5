//! The connections of a listener.
//!
//! | file | content |
//! |---|---|
//! | `listener` | accepts connections until it is closed |
//! | `open` | lists them |
//! | `stream` | ends a connection that is silent when it should not be |
//! | `requests` | counts the requests of a connection |

mod connection;
pub(super) mod listener;
pub mod open;
pub(super) mod requests;
mod stream;
