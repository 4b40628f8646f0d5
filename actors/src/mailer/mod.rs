//! Mail: what we can say, how it reads, and how it leaves.

pub mod defuse;
pub mod letter;
pub mod render;
pub mod templates;
pub mod transport;

pub use letter::Letter;
pub use render::{Envelope, Mail, RenderError, Renderer};
pub use templates::Language;
pub use transport::{SendError, SmtpSettings, SmtpTls, Transport};
