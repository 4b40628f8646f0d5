//! Which web pages may call us (`CORS_ORIGINS`).

use std::str::FromStr;

use salvo::{
    cors::{AllowOrigin, Cors, CorsHandler},
    http::{HeaderValue, Method},
};

/// The headers that our clients send and read.
const SENT: &[&str] =
    &["authorization", "content-type", "idempotency-key", "x-time-zone", "x-request-id", "last-event-id"];
const READ: &[&str] = &["x-request-id", "retry-after"];

/// The browser's `Origin`s that may read our answers. Tokens travel in `Authorization`, never in cookies, so no
/// credentials are allowed and `*` is safe.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Origins {
    /// Any (`*`), for development.
    Any,
    /// These, such as `https://admin.example.org`.
    These(Vec<HeaderValue>),
    /// None: no page of another origin.
    #[default]
    Nobody,
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "*" => Ok(Self::Any),
            "" => Ok(Self::Nobody),
            list => list.split(',').map(|origin| one(origin.trim())).collect::<Result<_, _>>().map(Self::These),
        }
    }
}

fn one(origin: &str) -> Result<HeaderValue, String> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain = host.filter(|host| !host.is_empty() && !host.contains(['/', '*', ' ']));
    let value = plain.and_then(|_| HeaderValue::from_str(&origin.to_ascii_lowercase()).ok());
    value.ok_or_else(|| format!("`{origin}` is not an origin such as https://admin.example.org"))
}

impl Origins {
    /// The hoop that answers preflights and marks answers; none when nobody is allowed.
    pub fn hoop(&self) -> Option<CorsHandler> {
        let origin = match self {
            Self::Any => AllowOrigin::any(),
            Self::These(origins) => AllowOrigin::list(origins.clone()),
            Self::Nobody => return None,
        };
        let hoop = Cors::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(SENT.to_vec())
            .expose_headers(READ.to_vec())
            .max_age(7200);
        Some(hoop.into_handler())
    }
}
