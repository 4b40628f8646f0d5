//! Those who register, log in and administer.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Program, Response, TestApp, client::Call};

/// A person with an address of their own, at a client of their own.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// Where they call from, without a token.
    pub(crate) client: Client,
    /// From here on known after log-in.
    pub(crate) id: i64,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Person {
    /// What the app sends to register them.
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

    /// Tries to log in with their password.
    pub(crate) async fn log_in(&self) -> Response {
        self.log_in_with(&self.password).await
    }

    pub(crate) async fn log_in_with(&self, password: &str) -> Response {
        let body = json!({ "email": self.email, "password": password });
        let response = self.client.post("/auth/login", body).await;
        self.keep_tokens_secret(&response);
        response
    }

    /// The same person after one more log-in, with its tokens.
    pub(crate) async fn log_in_again(&self) -> Self {
        self.with_tokens(&self.log_in().await.assert_status(200))
    }

    /// The same person with the tokens of this answer.
    pub(crate) fn with_tokens(&self, tokens: &Response) -> Self {
        let (access, refresh) = (tokens.text_of("access_token"), tokens.text_of("refresh_token"));
        Self { id: tokens.json["id"].as_i64().unwrap_or(self.id), access, refresh, ..self.clone() }
    }

    /// Presents their refresh token.
    pub(crate) async fn refresh(&self) -> Response {
        let response = self.client.post("/auth/refresh", json!({ "refresh_token": self.refresh })).await;
        self.keep_tokens_secret(&response);
        response
    }

    /// The same person at another client.
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

    /// Opens a session and gives its id.
    pub(crate) async fn start_session(&self) -> i64 {
        self.post("/sessions/", json!({})).await.assert_status(201).number_of("id")
    }

    /// Opens a session, ends it and gives its id.
    pub(crate) async fn ended_session(&self) -> i64 {
        let id = self.start_session().await;
        self.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
        id
    }

    /// Whether the access token is good.
    pub(crate) async fn is_logged_in(&self) -> bool {
        match self.get("/auth/me").await.status {
            200 => true,
            401 => false,
            other => panic!("/auth/me answered {other}"),
        }
    }

    fn keep_tokens_secret(&self, response: &Response) {
        for token in ["access_token", "refresh_token"] {
            if let Some(token) = response.json[token].as_str() {
                self.client.env.forbid_in_log(token);
            }
        }
    }
}

impl TestApp {
    /// Someone whom the service does not know yet.
    pub(crate) fn person(&self, name: &str) -> Person {
        let (email, number) = unused_address(name);
        let password = format!("{name}'s own word no. {number}, quite long");
        self.env.forbid_in_log(&password);
        let mut letters = name.chars();
        let first_name = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
        let (access, refresh) = (String::new(), String::new());
        let last_name = "Lovelace".to_owned();
        Person { email, password, first_name, last_name, client: self.client(), id: 0, access, refresh }
    }

    /// Someone who registered and has not typed the code yet; the mail with it is unread.
    pub(crate) async fn register(&self, name: &str) -> Person {
        let person = self.person(name);
        person.register().await.assert_status(201);
        person
    }

    /// Someone who registered, typed the code and logged in.
    pub(crate) async fn verified(&self, name: &str) -> Person {
        let person = self.register(name).await;
        let code = self.mail_to(&person.email).await.code();
        person.verify(&code).await.assert_status(200);
        person.log_in_again().await
    }

    /// An admin, made by the program's own command, and logged in.
    pub(crate) async fn admin(&self) -> Person {
        let person = self.person("admin");
        let line = ["admin", "create", "--email", &person.email, "--first-name", "Grace", "--last-name", "Hopper"];
        let made = Program::on(&self.env).run(&line, &format!("{}\n", person.password)).await;
        assert_eq!(made.code, Some(0), "{}", made.errors);
        person.log_in_again().await
    }
}

/// An address that no other story of this or another run has.
fn unused_address(name: &str) -> (String, u32) {
    static USED: AtomicU32 = AtomicU32::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    (format!("{name}.{number}.{:x}@users.test", std::process::id()), number)
}
