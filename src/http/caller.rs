//! Who asks. A handler that takes a [`Caller`] or an [`Admin`] runs for nobody else.

use std::{fmt::Debug, sync::Arc};

use faceofmind_actors::{
    client::Client,
    limits::Use,
    logins::{AuthenticatedUser, LoginError, LoginId, TokenError, VerifyPassword},
    publisher::{Cause, Origin},
    user_registry::{PasswordError, Role, User, UserId},
};
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::{StatusCode, header::AUTHORIZATION},
    oapi::{Components, EndpointArgRegister, Operation},
};
use secrecy::SecretString;

use super::{
    client::{ClientAddress, Device},
    languages,
    layers::RequestId,
    no_metadata,
    openapi::{may_answer, needs_bearer},
    problem::Problem,
    shared::Shared,
};
use crate::app::Rooms;

/// A user with a good access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: Arc<User>,
    /// The log-in that they use.
    pub login: LoginId,
    /// From where.
    pub client: Client,
}

/// A caller whose role is admin.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// Anyone, within what one client address may ask without a token (300 a minute under `/auth`).
#[derive(Clone, Debug)]
pub struct Anonymous(pub Client);

impl Caller {
    /// Lets the user themself and admins pass; whether the other user exists is not told to anyone else.
    ///
    /// # Errors
    /// 403 for everyone else.
    pub fn may_manage(&self, user: UserId) -> Result<(), Problem> {
        if self.user.id == user || self.is_admin() { Ok(()) } else { Err(forbidden()) }
    }

    /// Lets admins pass.
    ///
    /// # Errors
    /// 403 for everyone else.
    pub fn must_be_admin(&self) -> Result<(), Problem> {
        if self.is_admin() { Ok(()) } else { Err(forbidden()) }
    }

    /// Whether the role is admin.
    pub fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }

    /// Who caused it, for events.
    pub fn origin(&self) -> Origin {
        self.client.events.clone()
    }

    /// The user, as they were when the current password that they typed was compared; a wrong one counts as a failed log-in.
    ///
    /// # Errors
    /// 400 for a wrong one, 429 after too many.
    pub async fn prove_password(&self, rooms: &Rooms, typed: &SecretString) -> Result<User, Problem> {
        let message = VerifyPassword {
            user: self.user.id,
            email: self.user.email.clone(),
            password: typed.clone(),
            context: self.client.clone(),
        };
        rooms.house().logins.ask(message).await.map_err(|error| match error {
            LoginError::InvalidCredentials => PasswordError::WrongPassword.into(),
            other => other.into(),
        })
    }

    async fn prove(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let rooms = Shared::<Rooms>::of(depot)?;
        let token = bearer(req).ok_or_else(|| Problem::unauthorized("Not authenticated"))?;
        let authenticated = rooms.house().authenticator.authenticate(token).await;
        let AuthenticatedUser { user, login } = authenticated.map_err(|error| match error {
            TokenError::Invalid => Problem::unauthorized("Could not validate credentials"),
            other => other.into(),
        })?;
        let cause = if user.role == Role::Admin { Cause::Admin(user.id) } else { Cause::User(user.id) };
        Ok(Self { client: client(req, depot, cause)?, user, login })
    }
}

fn forbidden() -> Problem {
    Problem::forbidden("Not enough permissions")
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme in any case.
fn bearer(req: &Request) -> Option<&str> {
    let (scheme, token) = req.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn client(req: &Request, depot: &Depot, cause: Cause) -> Result<Client, Problem> {
    let address = depot.get_typed::<ClientAddress>().map_err(|_| Problem::internal())?;
    let origin = Origin::new(cause).with_request_id(RequestId::of(depot).unwrap_or_default());
    let traceparent = req.headers().get("traceparent").and_then(|value| value.to_str().ok());
    Ok(Client {
        client_ip: address.0.to_string(),
        device: Device::of(req.headers()).0,
        languages: languages::wanted(req.headers()),
        events: traceparent.map_or(origin.clone(), |header| origin.with_traceparent(header)),
    })
}

impl Admin {
    async fn prove(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let caller = Caller::prove(req, depot).await?;
        caller.must_be_admin().map(|()| Self(caller))
    }
}

impl Anonymous {
    async fn count(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let rooms = Shared::<Rooms>::of(depot)?;
        let client = client(req, depot, Cause::Anonymous)?;
        let call = Use { limit: rooms.anonymous_calls, subject: client.rate_limit_key() };
        let _counted_for_good = rooms.limits.take(&[call]).await?;
        Ok(Self(client))
    }
}

macro_rules! extract {
    ($who:ident, $prove:ident, |$components:ident, $operation:ident| $document:expr) => {
        impl<'ex> Extractible<'ex> for $who {
            fn metadata() -> &'static Metadata {
                no_metadata()
            }

            async fn extract(
                req: &'ex mut Request,
                depot: &'ex mut Depot,
            ) -> Result<Self, impl Writer + Send + Debug + 'static> {
                Self::$prove(req, depot).await
            }
        }

        impl EndpointArgRegister for $who {
            fn register($components: &mut Components, $operation: &mut Operation, _: &str) {
                $document
            }
        }
    };
}

extract!(Caller, prove, |components, operation| needs_bearer(components, operation));
extract!(Admin, prove, |components, operation| {
    needs_bearer(components, operation);
    may_answer(components, operation, &[StatusCode::FORBIDDEN]);
});
extract!(Anonymous, count, |components, operation| may_answer(components, operation, &[StatusCode::TOO_MANY_REQUESTS]));
