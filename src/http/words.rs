//! Words of a closed list, as the document shows them.

use faceofmind_actors::user_registry::{Role, Status};
use salvo::oapi::{BasicType, Components, Object, RefOr, Schema, ToSchema};

/// One of [`Role::ALL`].
pub(super) struct RoleWord;

/// One of [`Status::ALL`].
pub(super) struct StatusWord;

impl ToSchema for RoleWord {
    fn to_schema(_: &mut Components) -> RefOr<Schema> {
        one_of(Role::ALL.iter().map(|role| role.as_str()))
    }
}

impl ToSchema for StatusWord {
    fn to_schema(_: &mut Components) -> RefOr<Schema> {
        one_of(Status::ALL.iter().map(|status| status.as_str()))
    }
}

fn one_of(words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    Schema::from(Object::with_type(BasicType::String).enum_values(words.collect::<Vec<_>>())).into()
}
