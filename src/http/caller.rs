//! The caller of an endpoint. A handler that takes a [`Caller`] or an [`Admin`] runs for no other request.

use std::{net::IpAddr, sync::Arc};

use faceofmind_domain::{
    accounts::PasswordError,
    logins::{AuthenticatedUser, LoginError, TokenError, VerifyPassword},
};
use faceofmind_model::{
    LinkToken, LoginId, RequestContext, Role, User, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::rate_limit::{Acquire, RateLimitKey};
use salvo::{
    Depot, Request,
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT_LANGUAGE, AUTHORIZATION, USER_AGENT},
    },
    oapi::{Components, Operation, SecurityRequirement},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    accept_language::accepted_languages,
    client::{ClientIp, DEVICE_COOKIE, device, device_token},
    daily_share::sent_by,
    extract::extractor,
    openapi::parameter,
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
    client: Client,
}

/// What a request says of its client. Most requests need none of the texts that are made of it, so they are made on demand.
#[derive(Clone, Debug)]
struct Client {
    ip: IpAddr,
    request_id: RequestId,
    user_agent: Option<HeaderValue>,
    accept_language: Vec<HeaderValue>,
    traceparent: Option<HeaderValue>,
}

/// A caller with the role admin.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// A client without an access token, counted against its limit (300 calls a minute under `/auth`).
#[derive(Clone, Debug)]
pub struct Anonymous {
    pub context: RequestContext,
    /// The login of the device token that the client presented. A device with one is counted for itself, so that other clients of its network do not bar
    /// it.
    pub device: Option<LoginId>,
}

/// A client without an access token that is not counted yet.
#[derive(Clone, Debug)]
pub struct Uncounted(Anonymous);

impl Uncounted {
    /// Counts the client, unless it sends the token of a mailed link: no limit bars one.
    ///
    /// # Errors
    /// 429 beyond the limit.
    pub async fn count_unless_link(self, state: &AppState, otp: &SecretString) -> Result<RequestContext, Problem> {
        if LinkToken::parse(otp.expose_secret()).is_none() {
            self.0.count(state).await?;
        }
        Ok(self.0.context)
    }

    async fn from_request(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        Anonymous::uncounted(req, depot).map(Self)
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        Anonymous::document(components, operation);
    }
}

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

    /// The context of the events that the request causes.
    pub fn origin(&self) -> EventContext {
        self.client.origin(self.initiator())
    }

    /// The client that sent the request, and the context of its events.
    pub fn context(&self) -> RequestContext {
        self.client.context(self.initiator())
    }

    /// The language that the client prefers, a BCP 47 tag.
    pub fn preferred_language(&self) -> Option<String> {
        accepted_languages(&self.client.accept_language).into_iter().next()
    }

    fn initiator(&self) -> Initiator {
        if self.is_admin() { Initiator::Admin(self.user.id) } else { Initiator::User(self.user.id) }
    }

    /// Verifies the current password and returns the user as read together with it. A wrong password counts as a failed login.
    ///
    /// # Errors
    /// 400 for a wrong password, 429 after too many.
    pub async fn verify_password(&self, state: &AppState, password: SecretString) -> Result<User, Problem> {
        let (user, email, context) = (self.user.id, self.user.email.clone(), self.context());
        let message = VerifyPassword { user, login: self.login, email, password, context };
        state.modules.logins.ask(message).await.map_err(|error| match error {
            LoginError::InvalidCredentials => PasswordError::WrongPassword.into(),
            other => other.into(),
        })
    }

    async fn from_request(req: &Request, depot: &mut Depot) -> Result<Self, Problem> {
        let state = State::<AppState>::of(depot)?;
        let token = bearer_token(req).ok_or_else(Problem::not_authenticated)?;
        let authenticated = state.modules.authenticator.authenticate(token).await;
        let AuthenticatedUser { user, login } = authenticated.map_err(|error| match error {
            TokenError::Invalid => Problem::invalid_token(),
            other => other.into(),
        })?;
        sent_by(depot, user.id);
        Ok(Self { user, login, client: Client::of(req, depot)? })
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        let requirement = SecurityRequirement::new("bearer", Vec::<String>::new());
        operation.securities.get_or_insert_default().push(requirement);
        operation.parameters.insert(parameter("traceparent"));
        let errors = [StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
        document_errors(components, operation, &errors);
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1). The scheme is case-insensitive.
fn bearer_token(req: &Request) -> Option<&str> {
    let (scheme, token) = req.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Client {
    fn of(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let (Ok(ip), Some(request_id)) = (depot.get_typed::<ClientIp>(), RequestId::of(depot)) else {
            return Err(Problem::internal());
        };
        let headers = req.headers();
        Ok(Self {
            ip: ip.0,
            request_id: request_id.clone(),
            user_agent: headers.get(USER_AGENT).cloned(),
            accept_language: headers.get_all(ACCEPT_LANGUAGE).iter().cloned().collect(),
            traceparent: headers.get("traceparent").cloned(),
        })
    }

    fn origin(&self, initiator: Initiator) -> EventContext {
        let origin = EventContext::new(initiator).with_request_id(self.request_id.as_str());
        match self.traceparent.as_ref().and_then(|value| value.to_str().ok()) {
            Some(header) => origin.with_traceparent(header),
            None => origin,
        }
    }

    fn context(&self, initiator: Initiator) -> RequestContext {
        RequestContext {
            client_ip: self.ip.to_string(),
            device: device(self.user_agent.as_ref()),
            languages: accepted_languages(&self.accept_language),
            events: self.origin(initiator),
        }
    }
}

impl Admin {
    async fn from_request(req: &Request, depot: &mut Depot) -> Result<Self, Problem> {
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
        let client = Self::uncounted(req, depot)?;
        client.count(&*State::<AppState>::of(depot)?).await?;
        Ok(client)
    }

    fn uncounted(req: &Request, depot: &Depot) -> Result<Self, Problem> {
        let state = State::<AppState>::of(depot)?;
        let context = Client::of(req, depot)?.context(Initiator::Anonymous);
        let token = device_token(req.headers());
        let device = token.and_then(|token| state.modules.authenticator.verify_device(token));
        Ok(Self { context, device })
    }

    async fn count(&self, state: &AppState) -> Result<(), Problem> {
        let subject = self.device.map_or_else(|| self.context.rate_limit_key(), |login| format!("login {login}"));
        let call = RateLimitKey { limit: state.anonymous_calls, subject };
        let _never_refunded = state.platform.limiter.ask(Acquire(vec![call])).await?;
        Ok(())
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        operation.parameters.extend([parameter("traceparent"), parameter(DEVICE_COOKIE)]);
        document_errors(components, operation, &[StatusCode::TOO_MANY_REQUESTS]);
    }
}

extractor!(Caller);
extractor!(Admin);
extractor!(Anonymous);
extractor!(Uncounted);

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
