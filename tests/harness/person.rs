//! People who register, log in and administer.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Program, Response, TestApp, client::Call};

/// A person with their own e-mail address and their own client.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// The client that they use, without a token.
    pub(crate) client: Client,
    /// Known after the first login, like the tokens below.
    pub(crate) id: i64,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Person {
    /// The body of the request that registers them.
    pub(crate) fn registration(&self) -> Value {
        json!({
            "email": self.email,
            "password": self.password,
            "first_name": self.first_name,
            "last_name": self.last_name,
        })
    }

    pub(crate) async fn register(&self) -> Response {
        self.client.post("/auth/register", self.registration()).await
    }

    pub(crate) async fn verify(&self, code: &str) -> Response {
        self.client.post("/auth/verify-otp", json!({ "email": self.email, "otp": code })).await
    }

    /// Logs in with their password.
    pub(crate) async fn log_in(&self) -> Response {
        self.log_in_with(&self.password).await
    }

    pub(crate) async fn log_in_with(&self, password: &str) -> Response {
        let body = json!({ "email": self.email, "password": password });
        let response = self.client.post("/auth/login", body).await;
        self.forbid_tokens_in_log(&response);
        response
    }

    /// The same person with the tokens of one more login.
    pub(crate) async fn log_in_again(&self) -> Self {
        self.with_tokens(&self.log_in().await.assert_status(200))
    }

    /// The same person with the tokens in this response.
    pub(crate) fn with_tokens(&self, tokens: &Response) -> Self {
        let (access, refresh) = (tokens.text_of("access_token"), tokens.text_of("refresh_token"));
        Self { id: tokens.json["id"].as_i64().unwrap_or(self.id), access, refresh, ..self.clone() }
    }

    /// Sends their refresh token.
    pub(crate) async fn refresh(&self) -> Response {
        let response = self.client.post("/auth/refresh", json!({ "refresh_token": self.refresh })).await;
        self.forbid_tokens_in_log(&response);
        response
    }

    /// Requests a code to reset their password.
    pub(crate) async fn request_password_reset(&self) -> Response {
        self.client.post("/auth/request-password-reset", json!({ "email": self.email })).await
    }

    pub(crate) async fn reset_password(&self, code: &str, password: &str) -> Response {
        let body = json!({ "email": self.email, "otp": code, "new_password": password });
        self.client.post("/auth/reset-password", body).await
    }

    /// The same person with another client.
    pub(crate) fn using(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// Their client with their access token.
    pub(crate) fn bearer(&self) -> Client {
        self.client.with_token(&self.access)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.bearer().get(path).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.bearer().post(path, body).await
    }

    /// Sends a POST with an `Idempotency-Key`.
    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Response {
        self.api(Method::POST, path).header("idempotency-key", key).json(body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Response {
        self.bearer().put(path, body).await
    }

    pub(crate) async fn patch(&self, path: &str) -> Response {
        self.bearer().patch(path).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.bearer().delete(path).await
    }

    pub(crate) fn api(&self, method: Method, path: &str) -> Call {
        self.bearer().api(method, path)
    }

    /// Starts a session and gives its id.
    pub(crate) async fn start_session(&self) -> i64 {
        self.post("/sessions/", json!({})).await.assert_status(201).number_of("id")
    }

    /// Starts a session, ends it and gives its id.
    pub(crate) async fn ended_session(&self) -> i64 {
        let id = self.start_session().await;
        self.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
        id
    }

    /// Whether the access token is accepted.
    pub(crate) async fn is_logged_in(&self) -> bool {
        match self.get("/auth/me").await.status {
            200 => true,
            401 => false,
            other => panic!("/auth/me answered {other}"),
        }
    }

    fn forbid_tokens_in_log(&self, response: &Response) {
        for token in ["access_token", "refresh_token"] {
            if let Some(token) = response.json[token].as_str() {
                self.client.env.forbid_in_log(token);
            }
        }
    }
}

impl TestApp {
    /// A person who is not registered.
    pub(crate) fn person(&self, name: &str) -> Person {
        let (email, number) = unused_address(name);
        let password = format!("{name}'s own word no. {number}, quite long");
        self.env.forbid_in_log(&password);
        let mut chars = name.chars();
        let first_name = chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
        let (access, refresh) = (String::new(), String::new());
        let last_name = "Lovelace".to_owned();
        Person { email, password, first_name, last_name, client: self.client(), id: 0, access, refresh }
    }

    /// A person who has registered and not verified. The mail with the code is unread.
    pub(crate) async fn register(&self, name: &str) -> Person {
        let person = self.person(name);
        person.register().await.assert_status(201);
        person
    }

    /// The id of a person who may not have logged in.
    pub(crate) async fn id_of(&self, person: &Person) -> i64 {
        self.number(&format!("SELECT id FROM users WHERE email = '{}'", person.email)).await
    }

    /// A person who has registered, verified and logged in.
    pub(crate) async fn verified(&self, name: &str) -> Person {
        let person = self.register(name).await;
        let code = self.mail_to(&person.email).await.code();
        person.verify(&code).await.assert_status(200);
        person.log_in_again().await
    }

    /// An admin who has logged in. The program's own command creates them.
    pub(crate) async fn admin(&self) -> Person {
        let person = self.person("admin");
        let line = ["admin", "create", "--email", &person.email, "--first-name", "Grace", "--last-name", "Hopper"];
        let created = Program::in_env(&self.env, &[]).run(&line, &format!("{}\n", person.password)).await;
        assert_eq!(created.code, Some(0), "{}", created.errors);
        person.log_in_again().await
    }
}

/// An e-mail address that no other test of this or another run uses.
fn unused_address(name: &str) -> (String, u32) {
    static USED: AtomicU32 = AtomicU32::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    (format!("{name}.{number}.{:x}@users.test", std::process::id()), number)
}
