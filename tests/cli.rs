//! The program as a process.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::harness::{Person, Program, TestApp, stories};

stories! {
    an_admin_is_created_with_a_password_from_standard_input,
    an_admin_is_not_created_twice_nor_with_a_bad_password,
    serving_says_where_and_on_what,
    as_it_is_shipped_it_serves_in_production,
    sigterm_drains,
    ctrl_c_drains,
    while_it_drains_it_takes_no_connection,
    an_actor_that_keeps_failing_ends_the_program_with_70,
    a_taken_port_is_told,
    an_sqlite_file_is_served_by_one_and_a_server_by_many,
    migrations_are_listed_taken_back_and_applied,
    a_foreign_database_is_left_alone,
}

async fn an_admin_is_created_with_a_password_from_standard_input(app: &TestApp) {
    let grace = app.person("grace");
    let line = ["admin", "create", "--email", &grace.email, "--first-name", "Grace", "--last-name", "Hopper"];
    let made = Program::on(&app.ground).run(&line, &format!("{}\nsecond line\n", grace.password)).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.output.contains(&grace.email) && !made.output.contains(&grace.password), "{made:?}");
    assert!(!made.errors.contains(&grace.password), "{made:?}");
    let user = grace.log_in().await.is(200);
    assert_eq!((&user.json["role"], &user.json["status"]), (&json!("admin"), &json!("active")));
    grace.holding(&user).get("/users/").await.is(200);
}

async fn an_admin_is_not_created_twice_nor_with_a_bad_password(app: &TestApp) {
    let grace = app.person("grace");
    let line = ["admin", "create", "--email", &grace.email];
    for bad in ["short\n", "", "dummyPassword123\n"] {
        let refused = Program::on(&app.ground).run(&line, bad).await;
        assert_eq!(refused.code, Some(1), "{bad:?}: {refused:?}");
        assert!(refused.errors.contains("password"), "{refused:?}");
    }
    let wrong = Program::on(&app.ground).run(&["admin", "create", "--email", "grace"], "a good long word\n").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert_eq!(app.rows("users").await, 0);
    let made = Program::on(&app.ground).run(&line, "a good long word\n").await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let again = Program::on(&app.ground).run(&line, "another long word\n").await;
    assert_eq!(again.code, Some(1), "{again:?}");
    grace.log_in_with("a good long word").await.is(200);
}

async fn serving_says_where_and_on_what(app: &TestApp) {
    app.stop().await;
    let serving = Program::on(&app.ground).serve(&["serve", "--host", "127.0.0.1", "--port", "0"]).await;
    let address = serving.base.trim_start_matches("http://").parse().expect("an address");
    let client = app.client().at(address);
    client.call(Method::GET, "/ready").send().await.is(200);
    let person = app.person("ada").from(client);
    person.register().await.is(201);
    let code = app.mail_to(&person.email).await.code();
    person.verify(&code).await.is(200);
    serving.terminate().await;
    let left = serving.ended().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    let words: &[&str] = if app.is_embedded() {
        &["SQLite", "faceofmind.db", "in this process only", "mail", "/docs"]
    } else {
        &["PostgreSQL", "Redis", "NATS", "SMTP", "/docs"]
    };
    for word in words {
        assert!(left.output.contains(word), "{word} is not in {}", left.output);
    }
    assert!(!left.errors.contains(&person.password) && !left.errors.contains(&person.email), "{}", left.errors);
    for line in left.errors.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "a log is JSON off a terminal: {line}");
    }
}

/// A connection that has asked for the process's life, and been answered.
async fn idle(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let mut read = [0; 2048];
    assert!(stream.read(&mut read).await.expect("readable") > 0);
    stream
}

/// The head of a request to start a session, whose body is to come.
async fn begun(address: SocketAddr, person: &Person) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /api/v1/sessions/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nconnection: close\r\n\r\n",
        person.access
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let all = stream.read_to_end(&mut read);
    timeout(Duration::from_secs(10), all).await.expect("in time").expect("readable");
    String::from_utf8_lossy(&read).into_owned()
}

/// The doors for tests are refused in production, so every other story is told in development.
async fn as_it_is_shipped_it_serves_in_production(app: &TestApp) {
    app.stop().await;
    let least_that_production_takes = [("ARGON2_MEMORY_KIB", "12288"), ("ARGON2_ITERATIONS", "3")];
    let serving = Program::shipped(&app.ground, &least_that_production_takes).serve(&["serve", "--port", "0"]).await;
    let address = serving.base.trim_start_matches("http://").parse().expect("an address");
    let mut ada = app.person("ada").from(app.client().at(address));
    ada.password = "nobody guesses what Ada types".to_owned();
    ada.register().await.is(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.is(200);
    let tokens = ada.log_in().await.is(200);
    let ada = ada.holding(&tokens);
    ada.post("/sessions/", json!({})).await.is(201);
    app.client().at(address).post("/auth/register", json!({ "password": "password123" })).await.is(422);
    serving.terminate().await;
    let left = serving.ended().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(!left.errors.is_empty());
    for line in left.errors.lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(told["level"].is_string(), "{line}");
        assert!(!line.contains(&ada.password) && !line.contains(&ada.email) && !line.contains(&code), "{line}");
    }
}

async fn sigterm_drains(app: &TestApp) {
    drains_at("TERM", app).await;
}

async fn ctrl_c_drains(app: &TestApp) {
    drains_at("INT", app).await;
}

async fn drains_at(signal: &str, app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let serving = Program::on(&app.ground).serve(&["serve", "--port", "0"]).await;
    let address = serving.base.trim_start_matches("http://").parse().expect("an address");
    let (mut slow, mut idle) = (begun(address, &ada).await, idle(address).await);
    serving.signal(signal).await;
    assert_eq!(rest(&mut idle).await, "", "who asks nothing is let go at once");
    slow.write_all(b"{}").await.expect("written");
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "the request in hand is finished: {answer}");
    let left = serving.ended().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(app.rows("sessions").await, 1);
}

/// Who comes while it drains shall hear so at once, and go elsewhere.
async fn while_it_drains_it_takes_no_connection(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let serving = Program::on(&app.ground).serve(&["serve", "--port", "0"]).await;
    let address = serving.base.trim_start_matches("http://").parse().expect("an address");
    let (mut slow, mut idle) = (begun(address, &ada).await, idle(address).await);
    serving.terminate().await;
    rest(&mut idle).await;
    let refused = TcpStream::connect(address).await.is_err();
    slow.write_all(b"{}").await.expect("written");
    let answer = rest(&mut slow).await;
    assert!(refused, "a connection was taken while draining");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serving.ended().await;
}

/// Whoever started it shall start it again.
async fn an_actor_that_keeps_failing_ends_the_program_with_70(app: &TestApp) {
    app.stop().await;
    let left = Program::on(&app.ground).serve(&["serve", "--port", "0"]).await.ended_by_panics().await;
    assert_eq!(left.code, Some(70), "{left:?}");
    assert!(left.errors.contains("failed too often") && left.errors.contains("restarts the service"), "{left:?}");
}

async fn a_taken_port_is_told(app: &TestApp) {
    app.stop().await;
    let _taken = TcpListener::bind(app.address).await.expect("it is free again");
    let port = app.address.port().to_string();
    let left = Program::on(&app.ground).run(&["serve", "--port", &port], "").await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.errors.contains(&port) && left.errors.contains("PORT"), "{left:?}");
}

/// Two on one file would believe log-ins that the other has ended.
async fn an_sqlite_file_is_served_by_one_and_a_server_by_many(app: &TestApp) {
    let program = Program::on(&app.ground);
    if app.is_embedded() {
        let second = program.run(&["serve", "--port", "0"], "").await;
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(second.errors.contains("faceofmind.db is served by another process"), "{second:?}");
        assert_eq!(program.run(&["migrate"], "").await.code, Some(0), "commands beside it work");
        assert!(app.admin().await.is_logged_in().await);
        app.stop().await;
    }
    let serving = program.serve(&["serve", "--port", "0"]).await;
    serving.terminate().await;
    assert_eq!(serving.ended().await.code, Some(0));
}

async fn migrations_are_listed_taken_back_and_applied(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let program = Program::on(&app.ground);
    let status = program.run(&["migrate", "--status"], "").await;
    assert!(
        status.code == Some(0) && status.output.contains("0001") && !status.output.contains("not applied"),
        "{status:?}"
    );
    let refused = loop {
        let down = program.run(&["migrate", "down"], "").await;
        if down.code != Some(0) {
            break down;
        }
    };
    assert!(refused.code == Some(1) && refused.errors.contains("--force"), "{refused:?}");
    assert_eq!(app.rows("logins").await, 1);
    let down = program.run(&["migrate", "down", "--force"], "").await;
    assert_eq!(down.code, Some(0), "{down:?}");
    let status = program.run(&["migrate", "--status"], "").await;
    assert!(status.output.contains("not applied"), "{status:?}");
    assert_eq!(app.number(&format!("SELECT count(*) FROM users WHERE email = '{}'", ada.email)).await, 1);
    let up = program.run(&["migrate"], "").await;
    assert_eq!(up.code, Some(0), "{up:?}");
    assert!(!program.run(&["migrate", "--status"], "").await.output.contains("not applied"));
    assert_eq!(program.run(&["migrate"], "").await.code, Some(0), "twice is once");
}

async fn a_foreign_database_is_left_alone(app: &TestApp) {
    app.stop().await;
    app.alter("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await;
    for line in [&["serve", "--port", "0"][..], &["migrate"], &["admin", "create", "--email", "a@b.org"]] {
        let left = Program::on(&app.ground).run(line, "a good long word\n").await;
        assert_eq!(left.code, Some(1), "{line:?}: {left:?}");
        assert!(left.errors.contains("9999"), "{line:?}: {left:?}");
    }
    app.alter("UPDATE _sqlx_migrations SET version = 1 WHERE version = 9999").await;
}

/// Runs the program with nothing but these settings.
fn run(environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let left = runtime.block_on(Program::with(environment).run(arguments, ""));
    (left.code, left.output, left.errors)
}

#[test]
fn the_version_is_told() {
    let (code, output, _) = run(&[], &["--version"]);
    assert_eq!((code, output.trim()), (Some(0), concat!("faceofmind ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn settings_in_effect_are_listed_with_their_source_and_secrets_masked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "otp_expire_minutes = 7\nport = 9001\n").expect("written");
    let environment = [
        ("PORT", "9002"),
        ("DATABASE_URL", "postgresql+psycopg2://fom:hunter2@db/fom"),
        ("JWT_SECRET_TOKEN", "hunter2-hunter2-hunter2-hunter2-hunter2"),
    ];
    let (code, output, errors) = run(&environment, &["--config", file.to_str().expect("UTF-8"), "config", "check"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("port = 9002") && output.contains("otp_expire_minutes = 7"), "{output}");
    assert!(output.contains("own.toml") && !output.contains("hunter2") && !errors.contains("hunter2"), "{output}");
    assert!(!folder.path().join("data").exists(), "it touches nothing");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "prot = 9001\nsmtp_port = \"x\"\n").expect("written");
    let environment = [("PORT", "99999"), ("SMTP_TLS", "maybe"), ("DATABASE_URL", "mysql://u:hunter2@db/x")];
    for command in [&["config", "check"][..], &["serve"], &["migrate"]] {
        let arguments = [&["--config", file.to_str().expect("UTF-8")], command].concat();
        let (code, _, errors) = run(&environment, &arguments);
        assert_eq!(code, Some(2), "{errors}");
        for name in ["PORT", "SMTP_TLS", "DATABASE_URL", "prot", "smtp_port"] {
            assert!(errors.contains(name), "{name} is not in {errors}");
        }
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn production_needs_its_secrets_and_no_doors_for_tests() {
    let (code, _, errors) = run(&[("FACEOFMIND_ENV", "production"), ("JWT_SECRET_TOKEN", "short")], &["serve"]);
    assert_eq!(code, Some(2), "{errors}");
    for name in ["JWT_SECRET_TOKEN", "JWT_REFRESH_TOKEN", "DATA_KEY", "test-hooks"] {
        assert!(errors.contains(name), "{name} is not in {errors}");
    }
    assert!(!errors.contains("short,") && !errors.contains("`short`"), "{errors}");
}

#[test]
fn an_unknown_command_is_a_wrong_line() {
    let (code, _, errors) = run(&[], &["sreve"]);
    assert_eq!(code, Some(2), "{errors}");
}
