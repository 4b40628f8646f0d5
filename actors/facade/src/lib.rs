//! Old paths, until the last import of them is gone.
pub mod schema {
    pub use faceofmind_db::migrations::{Migration as Step, MigrationError as SchemaError, *};
}
pub use faceofmind_domain::{community, logins as new_logins, reminders, sessions as session_tracker, suggestions};
pub use faceofmind_model::emotion as emotions;
pub use faceofmind_platform::{
    encryption as keyring, idempotency, mail as mailer, nats, otp, password_hasher as hasher, rate_limit as limits,
    redis as redis_server,
};
pub use faceofmind_system::{
    ActorSet as Crew, ActorSystem as House, Resources as Ground, Settings, key_rotation as resealing,
};
pub mod client {
    pub use faceofmind_model::RequestContext as Client;
}
pub mod exporter {
    pub use faceofmind_db::export::{ExportStream as Pieces, Truncated as Incomplete};
    pub use faceofmind_runtime::Handle;
    pub use faceofmind_system::exporter::*;
}
pub mod publisher {
    pub use faceofmind_model::event::{EventContext as Origin, Initiator as Cause, PublishedEvent};
    pub use faceofmind_platform::outbox::*;
    pub use faceofmind_system::asyncapi::AsyncApi;
}
pub mod logins {
    pub use faceofmind_domain::logins::*;
    pub use faceofmind_model::LoginId;
}
pub mod user_registry {
    pub use faceofmind_domain::accounts::*;
    pub use faceofmind_model::{Email, Role, Status, User, UserChange, UserId, user};
}
