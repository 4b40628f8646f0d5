//! Reads and forges tokens, as another service could.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::Value;

use super::test_env::ACCESS_SECRET;

/// The header and payload of a token. The signature is not verified.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) header: Value,
    pub(crate) payload: Value,
}

impl Claims {
    #[track_caller]
    pub(crate) fn of(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, _signature] = parts.as_slice() else { panic!("no JWT: {token}") };
        Self { header: decode(header), payload: decode(payload) }
    }

    /// A token with one claim changed and the service's own signature, as a faulty issuer could send.
    pub(crate) fn resigned_with(&self, claim: &str, value: impl Into<Value>) -> String {
        let mut payload = self.payload.clone();
        payload[claim] = value.into();
        self.sign(&payload, ACCESS_SECRET)
    }

    /// A token with these claims, signed with this secret.
    pub(crate) fn signed_by(&self, secret: &str) -> String {
        self.sign(&self.payload, secret)
    }

    /// A token with these claims and `alg: none`.
    pub(crate) fn unsigned(&self) -> String {
        let mut header = self.header.clone();
        header["alg"] = "none".into();
        format!("{}.{}.", encode(&header), encode(&self.payload))
    }

    fn sign(&self, payload: &Value, secret: &str) -> String {
        let header = Header { kid: self.header["kid"].as_str().map(str::to_owned), ..Header::default() };
        jsonwebtoken::encode(&header, payload, &EncodingKey::from_secret(secret.as_bytes())).expect("signs")
    }
}

fn decode(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
