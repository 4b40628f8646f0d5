//! The caller of an endpoint. A handler that takes a [`Caller`] or an [`Admin`] runs for no other request.

use std::sync::Arc;

use faceofmind_actors::{
    client::Client,
    limits::Use,
    logins::{BearerError, Identity, LogInError, LoginId},
    publisher::{Cause, Origin},
    user_registry::{Credentials, PasswordError, Role, User, UserId},
};
use faceofmind_kit::Failure;
use salvo::{
    Depot, Request,
    http::{StatusCode, header::AUTHORIZATION},
    oapi::{Components, Operation, SecurityRequirement},
};
use secrecy::SecretString;

use super::{
    accept_language::accepted_languages,
    client::{ClientIp, device},
    extract::extractor,
    problem::{Problem, document_errors},
    request_id::RequestId,
    state::{AppState, State},
};

/// A user with a valid access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user of the token.
    pub user: Arc<User>,
    /// The login of the token.
    pub login: LoginId,
    /// The client that sent the request.
    pub client: Client,
}

/// A caller with the role admin.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// A client without a token, counted against its limit (300 calls a minute under `/auth`).
#[derive(Clone, Debug)]
pub struct Anonymous(pub Client);

impl Caller {
    /// Allows the user and admins. Other callers do not learn whether the user exists.
    ///
    /// # Errors
    /// 403 for other callers.
    pub fn require_self_or_admin(&self, user: UserId) -> Result<(), Problem> {
        if self.user.id == user || self.is_admin() { Ok(()) } else { Err(Problem::not_permitted()) }
    }

    /// Allows admins.
    ///
    /// # Errors
    /// 403 for other callers.
    pub fn require_admin(&self) -> Result<(), Problem> {
        if self.is_admin() { Ok(()) } else { Err(Problem::not_permitted()) }
    }

    /// Whether the role is admin.
    pub fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }

    /// The initiator of the events that the request causes.
    pub fn origin(&self) -> Origin {
        self.client.events.clone()
    }

    /// Verifies the current password and returns the user as read together with it. A wrong password counts as a failed login.
    ///
    /// # Errors
    /// 400 for a wrong password, 429 after too many.
    pub async fn verify_password(&self, state: &AppState, password: &SecretString) -> Result<User, Problem> {
        let verified = state.system.logins.prove_password(&self.user.email, password, &self.client).await;
        let Credentials { user, .. } = verified.map_err(|error| match error {
            LogInError::BadPair => PasswordError::WrongPassword.into(),
            other => Problem::from(other),
        })?;
        // The user's e-mail address may have changed since the token was checked, and another account may have the old
        // one by now.
        if user.id == self.user.id { Ok(user) } else { Err(Failure::Busy("registry").into()) }
    }

    async fn from_request(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let state = State::<AppState>::of(depot)?;
        let token = bearer_token(req).ok_or_else(Problem::not_authenticated)?;
        let Identity { user, login } = state.system.logins.identify(token).await.map_err(|error| match error {
            BearerError::Bad => Problem::invalid_token(),
            BearerError::Failed(failure) => failure.into(),
        })?;
        let cause = if user.role == Role::Admin { Cause::Admin(user.id) } else { Cause::User(user.id) };
        Ok(Self { client: client(req, depot, cause)?, user, login })
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        let requirement = SecurityRequirement::new("bearer", Vec::<String>::new());
        operation.securities.get_or_insert_default().push(requirement);
        let errors = [StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
        document_errors(components, operation, &errors);
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1). The scheme is case-insensitive.
fn bearer_token(req: &Request) -> Option<&str> {
    let (scheme, token) = req.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn client(req: &Request, depot: &Depot, cause: Cause) -> Result<Client, Problem> {
    let ip = depot.get_typed::<ClientIp>().map_err(|_| Problem::internal())?;
    let origin = Origin::new(cause).with_request_id(RequestId::of(depot).unwrap_or_default());
    let traceparent = req.headers().get("traceparent").and_then(|value| value.to_str().ok());
    Ok(Client {
        client_ip: ip.0.to_string(),
        device: device(req.headers()),
        languages: accepted_languages(req.headers()),
        events: traceparent.map_or(origin.clone(), |header| origin.with_traceparent(header)),
    })
}

impl Admin {
    async fn from_request(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let caller = Caller::from_request(req, depot).await?;
        caller.require_admin().map(|()| Self(caller))
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        Caller::document(components, operation);
        document_errors(components, operation, &[StatusCode::FORBIDDEN]);
    }
}

impl Anonymous {
    async fn from_request(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let state = State::<AppState>::of(depot)?;
        let client = client(req, depot, Cause::Anonymous)?;
        let call = Use { limit: state.anonymous_calls, subject: client.rate_limit_key() };
        let _never_refunded = state.system.limits.take(&[call]).await?;
        Ok(Self(client))
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        document_errors(components, operation, &[StatusCode::TOO_MANY_REQUESTS]);
    }
}

extractor!(Caller);
extractor!(Admin);
extractor!(Anonymous);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_needs_a_token_says_so() {
        let (mut components, mut operation) = (Components::new(), Operation::new());
        Caller::document(&mut components, &mut operation);
        let document = serde_json::to_value(&operation).expect("JSON");
        assert_eq!(document["security"], serde_json::json!([{ "bearer": [] }]));
        assert!(document["responses"]["401"].is_object());
    }
}
