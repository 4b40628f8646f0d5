//! Authentication at NATS. Without it the service works and keeps its events.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use async_nats::{ConnectOptions, jetstream};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    EventConsumer, NatsServer, Person, Program, RunningProgram, TestApp, eventually, tests_on_production,
};

tests_on_production! {
    a_password_or_a_token_in_the_url_authenticates,
    a_credentials_file_authenticates,
    a_tls_server_is_trusted_if_its_certificate_authority_is,
    a_gap_of_the_stream_is_shown_until_it_is_accepted,
}

async fn a_password_or_a_token_in_the_url_authenticates(app: &TestApp) {
    let ada = user_of_stopped_service(app).await;
    let server = NatsServer::start_with(&["--user", "fom", "--pass", "p@ss word"]).await;
    let url = |login: &str| format!("nats://{login}@127.0.0.1:{}", server.port);
    assert_publishes_nothing(app, &ada, &[("NATS_URL", &url("fom:wrong"))]).await;
    let login = ConnectOptions::with_user_and_password("fom".into(), "p@ss word".into());
    assert_publishes(app, &ada, &[("NATS_URL", &url("fom:p%40ss%20word"))], &consumer(&server, login).await).await;
    let server = NatsServer::start_with(&["--auth", "a-token"]).await;
    let url = |login: &str| format!("nats://{login}@127.0.0.1:{}", server.port);
    assert_publishes_nothing(app, &ada, &[("NATS_URL", &url("another"))]).await;
    let login = ConnectOptions::with_token("a-token".into());
    assert_publishes(app, &ada, &[("NATS_URL", &url("a-token"))], &consumer(&server, login).await).await;
}

async fn a_credentials_file_authenticates(app: &TestApp) {
    let ada = user_of_stopped_service(app).await;
    let (config, credentials) = issued(&app.env.data_dir());
    let server = NatsServer::start_with(&["--config", &config]).await;
    let url = server.url();
    assert_publishes_nothing(app, &ada, &[("NATS_URL", &url)]).await;
    let login = ConnectOptions::with_credentials_file(&credentials).await.expect("credentials");
    let settings = [("NATS_URL", url.as_str()), ("NATS_CREDS_FILE", &credentials)];
    assert_publishes(app, &ada, &settings, &consumer(&server, login).await).await;
}

async fn a_tls_server_is_trusted_if_its_certificate_authority_is(app: &TestApp) {
    let ada = user_of_stopped_service(app).await;
    let folder = app.env.data_dir();
    let authority = authority(&folder);
    let (certificate, key) = (text(&folder.join("server.pem")), text(&folder.join("server.key")));
    let server = NatsServer::start_with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await;
    let url = format!("tls://127.0.0.1:{}", server.port);
    assert_publishes_nothing(app, &ada, &[("NATS_URL", &url)]).await;
    let login = ConnectOptions::new().require_tls(true).add_root_certificates(PathBuf::from(&authority));
    let settings = [("NATS_URL", url.as_str()), ("SSL_CERT_FILE", &authority)];
    assert_publishes(app, &ada, &settings, &consumer(&server, login).await).await;
}

/// The stream is lost while the service is stopped, and the outbox no longer holds the first two events.
async fn a_gap_of_the_stream_is_shown_until_it_is_accepted(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.start_session().await;
    app.wait_until_published().await;
    let shown = async |app: &TestApp| {
        let operators = app.client().at(app.operators.expect("an operator listener"));
        let metrics = operators.call(Method::GET, "/metrics").send().await.assert_status(200).text;
        metrics.lines().find_map(|line| line.strip_prefix("faceofmind_events_gaps ")).map(str::to_owned)
    };
    assert_eq!(shown(app).await.as_deref(), Some("0"));
    app.stop().await;
    app.execute("DELETE FROM events WHERE position < 3").await;
    let (login, server) = app.env.nats().and_then(|url| url.strip_prefix("nats://")?.split_once('@')).expect("a URL");
    let (user, password) = login.split_once(':').expect("user:password");
    let login = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let context = jetstream::new(login.connect(server).await.expect("NATS accepts the login"));
    context.delete_stream("FACEOFMIND").await.expect("the stream is there");

    let node = app.another_node(&[]).await;
    let up = json!({ "status": "ready", "database": "up", "codes": "up", "events": "up", "mail": "up" });
    let mut degraded = up.clone();
    (degraded["status"], degraded["event_gaps"]) = (json!("degraded"), json!(1));
    let is = async |expected: &Value| {
        (node.client().call(Method::GET, "/ready").send().await.json == *expected).then_some(())
    };
    eventually("the gap is shown", || is(&degraded)).await;
    assert_eq!(shown(&node).await.as_deref(), Some("1"));
    let accepted = Program::in_env(&app.env, &[]).run(&["events", "accept-gaps"], "").await;
    assert!(accepted.code == Some(0) && accepted.output.contains("1 gaps accepted"), "{accepted:?}");
    eventually("no gap is shown", || is(&up)).await;
    assert_eq!(shown(&node).await.as_deref(), Some("0"));
    node.stop().await;
}

/// A verified user of a service that has stopped. The tests run the program in the same environment.
async fn user_of_stopped_service(app: &TestApp) -> Person {
    let ada = app.verified("ada").await;
    app.stop().await;
    ada
}

/// A consumer with this login.
async fn consumer(server: &NatsServer, login: ConnectOptions) -> EventConsumer {
    EventConsumer::start(jetstream::new(login.connect(server.url()).await.expect("NATS accepts the login")))
}

/// Asserts that a new event is published to JetStream together with the one that is still pending. This server has a new stream, so it gets
/// the events that were published to another server too.
async fn assert_publishes(app: &TestApp, ada: &Person, settings: &[(&str, &str)], consumer: &EventConsumer) {
    let (node, there) = node(app, ada, settings).await;
    eventually("NATS is up", async || (events_status(&there).await == "up").then_some(())).await;
    there.start_session().await;
    app.wait_until_published().await;
    node.terminate().await;
    let events = consumer.all_events().await;
    let ids: Vec<_> = events.iter().map(|event| event.text_of("id")).collect();
    assert_eq!(ids, app.texts("SELECT id FROM events ORDER BY position").await);
    assert!(events.iter().filter(|event| event.name() == "session.started").count() >= 2);
}

/// Asserts that a new event is recorded and not published.
async fn assert_publishes_nothing(app: &TestApp, ada: &Person, settings: &[(&str, &str)]) {
    let (node, there) = node(app, ada, settings).await;
    there.start_session().await;
    assert_eq!(events_status(&there).await, "down");
    node.terminate().await;
    assert_eq!(app.number("SELECT count(*) FROM events WHERE position IS NULL").await, 1);
}

async fn node(app: &TestApp, ada: &Person, settings: &[(&str, &str)]) -> (RunningProgram, Person) {
    let changes = [settings, &[("RUST_LOG", "error")]].concat();
    let node = Program::in_env(&app.env, &changes).serve(&["serve"]).await;
    let there = ada.using(ada.client.at(node.address()));
    (node, there)
}

async fn events_status(there: &Person) -> Value {
    there.client.call(Method::GET, "/ready").send().await.assert_status(200).json["events"].clone()
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Issues an operator, an account with JetStream, and the system account that the server needs. Gives the paths of the
/// server's configuration and of a user's credentials.
fn issued(folder: &Path) -> (String, String) {
    let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
    let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
    let of_operator = jwt(&operator, &operator, json!({ "type": "operator", "version": 2 }));
    let of_account = jwt(&operator, &account, account_of(json!({ "mem_storage": -1, "disk_storage": -1 })));
    let of_system = jwt(&operator, &system, account_of(json!({})));
    let of_user = jwt(&account, &user, json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 }));
    let (account, system) = (account.public_key(), system.public_key());
    let config = format!(
        "operator: {of_operator}\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {account}: {of_account}, {system}: {of_system} }}\n"
    );
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().expect("a new key has a seed")
    );
    (written(folder.join("nats.conf"), &config), written(folder.join("fom.creds"), &credentials))
}

/// The claims of an account with these limits and no other.
fn account_of(mut limits: Value) -> Value {
    for what in ["subs", "data", "payload", "imports", "exports", "conn", "leaf", "streams", "consumer"] {
        limits[what] = json!(-1);
    }
    json!({ "type": "account", "version": 2, "limits": limits })
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, grants: Value) -> String {
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let (issuer_key, subject_key) = (issuer.public_key(), subject.public_key());
    let claims = json!({ "jti": subject_key, "iat": 0, "iss": issuer_key, "sub": subject_key, "nats": grants });
    let signed = format!("{}.{}", encoded(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encoded(&claims));
    let signature = issuer.sign(signed.as_bytes()).expect("the issuer has its key");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn written(path: PathBuf, what: &str) -> String {
    fs::write(&path, what).expect("written");
    text(&path)
}

/// Makes a certificate authority, and with it `server.pem` and `server.key`. Gives the path of the authority's certificate.
fn authority(folder: &Path) -> String {
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let certify = |own: &[&str]| {
        let made = Command::new("openssl").args(new).args(own).current_dir(folder).output();
        let made = made.expect("openssl is installed with PostgreSQL");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    certify(&["-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.pem"]);
    let of_server = ["-subj", "/CN=a server", "-addext", "subjectAltName=IP:127.0.0.1"];
    let no_authority = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let by_authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem"];
    certify(&[&of_server[..], &no_authority, &by_authority].concat());
    text(&folder.join("ca.pem"))
}
