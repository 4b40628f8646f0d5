//! The program as a process.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::harness::{Person, Program, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    an_admin_is_created_with_a_password_from_standard_input,
    an_admin_is_not_created_twice_nor_with_a_bad_password,
    serve_prints_its_address_and_its_parts,
    a_dotenv_file_is_read_and_named_in_the_log,
    a_log_that_is_not_read_delays_no_request,
    the_shipped_program_serves_in_production,
    sigterm_drains_running_requests,
    ctrl_c_drains_running_requests,
    a_draining_service_accepts_no_connection,
    an_actor_that_keeps_failing_ends_the_program_with_70,
    an_occupied_port_is_reported,
    an_sqlite_file_is_served_by_one_process_and_postgresql_by_many,
    no_migration_is_reverted_beside_a_service,
    a_service_on_a_reverted_schema_is_not_ready,
    migrations_are_listed_reverted_and_applied,
    a_database_with_an_unknown_migration_is_left_alone,
}

async fn an_admin_is_created_with_a_password_from_standard_input(app: &TestApp) {
    let grace = app.person("grace");
    let line = ["admin", "create", "--email", &grace.email, "--first-name", "Grace", "--last-name", "Hopper"];
    let created = Program::in_env(&app.env, &[]).run(&line, &format!("{}\nsecond line\n", grace.password)).await;
    assert_eq!(created.code, Some(0), "{created:?}");
    assert!(created.output.contains(&grace.email) && !created.output.contains(&grace.password), "{created:?}");
    assert!(!created.errors.contains(&grace.password), "{created:?}");
    let user = grace.log_in().await.assert_status(200);
    assert_eq!((&user.json["role"], &user.json["status"]), (&json!("admin"), &json!("active")));
    grace.with_tokens(&user).get("/users/").await.assert_status(200);
}

async fn an_admin_is_not_created_twice_nor_with_a_bad_password(app: &TestApp) {
    let grace = app.person("grace");
    let line = ["admin", "create", "--email", &grace.email];
    for invalid in ["short\n", "", "dummyPassword123\n"] {
        let refused = Program::in_env(&app.env, &[]).run(&line, invalid).await;
        assert_eq!(refused.code, Some(1), "{invalid:?}: {refused:?}");
        assert!(refused.errors.contains("password"), "{refused:?}");
    }
    let wrong =
        Program::in_env(&app.env, &[]).run(&["admin", "create", "--email", "grace"], "a good long word\n").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert_eq!(app.row_count("users").await, 0);
    let created = Program::in_env(&app.env, &[]).run(&line, "a good long word\n").await;
    assert_eq!(created.code, Some(0), "{created:?}");
    let again = Program::in_env(&app.env, &[]).run(&line, "another long word\n").await;
    assert!(again.code == Some(1) && again.errors.contains("give another --email"), "{again:?}");
    grace.log_in_with("a good long word").await.assert_status(200);
}

async fn serve_prints_its_address_and_its_parts(app: &TestApp) {
    app.stop().await;
    let serving = Program::in_env(&app.env, &[]).serve(&["serve", "--host", "127.0.0.1", "--port", "0"]).await;
    let address = serving.address();
    let client = app.client().at(address);
    client.call(Method::GET, "/ready").send().await.assert_status(200);
    let person = app.person("ada").using(client);
    person.register().await.assert_status(201);
    let code = app.mail_to(&person.email).await.code();
    person.verify(&code).await.assert_status(200);
    let exited = serving.terminate().await;
    let words: &[&str] = if app.is_embedded() {
        &["SQLite", "faceofmind.db", "in this process only", "mail", "/docs"]
    } else {
        &["PostgreSQL", "Redis", "NATS", "SMTP", "/docs"]
    };
    for word in words {
        assert!(exited.output.contains(word), "{word} is not in {}", exited.output);
    }
    assert!(!exited.errors.contains(&person.password) && !exited.errors.contains(&person.email), "{}", exited.errors);
    for line in exited.errors.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "without a terminal the log is JSON: {line}");
    }
}

async fn a_dotenv_file_is_read_and_named_in_the_log(app: &TestApp) {
    app.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let text = "SMTP_PASSWORD=abcd efgh ijkl mnop\nSMTP_EMAIL=a@example.org\nPORT=1\nnonsense\n";
    std::fs::write(folder.path().join(".env"), text).expect("written");
    let environment = app.env.environment(&[("PORT", "0")]);
    let environment: Vec<_> = environment.iter().filter(|(name, _)| !name.starts_with("SMTP_PASSWORD")).collect();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let program = Program::in_folder(folder.path(), &environment);
    let serving = program.serve(&["serve"]).await;
    let exited = serving.terminate().await;
    let logged = |words: &str| exited.errors.lines().any(|line| line.contains(words));
    assert!(logged("settings were read from .env") && logged("SMTP_PASSWORD"), "{}", exited.errors);
    assert!(logged("line 4 (.env)") && logged("the line was skipped"), "{}", exited.errors);
    assert!(logged("can be read by other users"), "{}", exited.errors);
    assert!(!exited.errors.contains("abcd efgh") && !exited.output.contains("abcd efgh"));
    let checked = program.run(&["config", "check"], "").await;
    assert!(checked.output.lines().any(|line| line.starts_with("smtp_password = \"***\"") && line.ends_with("# .env")));
    assert!(checked.output.lines().any(|line| line.starts_with("port = 0") && line.ends_with("# environment")));
}

/// Opens a connection, and makes one complete request on it.
async fn idle_connection(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let mut read = [0; 2048];
    assert!(stream.read(&mut read).await.expect("readable") > 0);
    stream
}

/// Sends the head of a request to start a session, without its body.
async fn incomplete_request(address: SocketAddr, person: &Person) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
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

/// The test reads standard error when the program ends; a pipe holds 64 KiB.
async fn a_log_that_is_not_read_delays_no_request(app: &TestApp) {
    const REQUESTS: usize = 1000;
    app.stop().await;
    let serving = Program::in_env(&app.env, &[]).serve(&["serve", "--port", "0"]).await;
    let client = app.client().at(serving.address());
    for _ in 0..REQUESTS {
        client.call(Method::GET, "/").send().await.assert_status(200);
    }
    let exited = serving.terminate().await;
    let lines: Vec<Value> = exited.errors.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let requests = lines.iter().filter(|line| line["message"] == "request finished" && line["span"]["path"] == "/");
    assert_eq!(requests.count(), REQUESTS);
    assert!(exited.errors.len() > 2 * (64 << 10), "{} bytes would fit into the pipe", exited.errors.len());
}

/// Production refuses the test hooks, so every other test runs in development.
async fn the_shipped_program_serves_in_production(app: &TestApp) {
    app.stop().await;
    let minimum_in_production = [("ARGON2_MEMORY_KIB", "12288"), ("ARGON2_ITERATIONS", "3")];
    let serving = Program::shipped(&app.env, &minimum_in_production).serve(&["serve", "--port", "0"]).await;
    let address = serving.address();
    let mut ada = app.person("ada").using(app.client().at(address));
    ada.password = "nine blue kettles sing off key".to_owned();
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    let tokens = ada.log_in().await.assert_status(200);
    let ada = ada.with_tokens(&tokens);
    ada.post("/sessions/", json!({})).await.assert_status(201);
    app.client().at(address).post("/auth/register", json!({ "password": "password123" })).await.assert_status(422);
    let exited = serving.terminate().await;
    assert!(!exited.errors.is_empty());
    for line in exited.errors.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string(), "{line}");
        assert!(!line.contains(&ada.password) && !line.contains(&ada.email) && !line.contains(&code), "{line}");
    }
}

async fn sigterm_drains_running_requests(app: &TestApp) {
    drains_on("TERM", app).await;
}

async fn ctrl_c_drains_running_requests(app: &TestApp) {
    drains_on("INT", app).await;
}

async fn drains_on(signal: &str, app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let serving = Program::in_env(&app.env, &[]).serve(&["serve", "--port", "0"]).await;
    let address = serving.address();
    let (mut slow, mut idle) = (incomplete_request(address, &ada).await, idle_connection(address).await);
    serving.signal(signal).await;
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed at once");
    slow.write_all(b"{}").await.expect("written");
    let response = rest(&mut slow).await;
    assert!(response.starts_with("HTTP/1.1 201"), "the running request is completed: {response}");
    let exited = serving.exited().await;
    assert_eq!(exited.code, Some(0), "{exited:?}");
    assert_eq!(app.row_count("sessions").await, 1);
}

/// A load balancer then tries another node at once.
async fn a_draining_service_accepts_no_connection(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let serving = Program::in_env(&app.env, &[]).serve(&["serve", "--port", "0"]).await;
    let address = serving.address();
    let (mut slow, mut idle) = (incomplete_request(address, &ada).await, idle_connection(address).await);
    serving.signal("TERM").await;
    rest(&mut idle).await;
    let refused = TcpStream::connect(address).await.is_err();
    slow.write_all(b"{}").await.expect("written");
    let response = rest(&mut slow).await;
    assert!(refused, "a connection was accepted while draining");
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    serving.exited().await;
}

/// 70 asks the service manager to start the program again.
async fn an_actor_that_keeps_failing_ends_the_program_with_70(app: &TestApp) {
    app.stop().await;
    let exited = Program::in_env(&app.env, &[]).serve(&["serve", "--port", "0"]).await.panic_until_exit().await;
    assert_eq!(exited.code, Some(70), "{exited:?}");
    assert!(exited.errors.contains("failed too often") && exited.errors.contains("restarts the service"), "{exited:?}");
}

async fn an_occupied_port_is_reported(app: &TestApp) {
    app.stop().await;
    let _occupied = TcpListener::bind(app.address).await.expect("the port is free again");
    let (address, port) = (app.address.to_string(), app.address.port().to_string());
    let exited = Program::in_env(&app.env, &[]).run(&["serve", "--port", &port], "").await;
    assert_eq!(exited.code, Some(1), "{exited:?}");
    assert!(exited.errors.contains(&port) && exited.errors.contains("choose another HOST or PORT"), "{exited:?}");
    let operators = [("OPERATOR_ADDR", address.as_str())];
    let exited = Program::in_env(&app.env, &operators).run(&["serve", "--port", "0"], "").await;
    assert!(exited.code == Some(1) && exited.errors.contains("choose another OPERATOR_ADDR"), "{exited:?}");
}

/// Two processes on one file would each accept logins that the other has ended.
async fn an_sqlite_file_is_served_by_one_process_and_postgresql_by_many(app: &TestApp) {
    let program = Program::in_env(&app.env, &[]);
    if app.is_embedded() {
        let second = program.run(&["serve", "--port", "0"], "").await;
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(second.errors.contains("faceofmind.db is served by another process"), "{second:?}");
        assert_eq!(program.run(&["migrate"], "").await.code, Some(0), "other commands work meanwhile");
        assert!(app.admin().await.is_logged_in().await);
        app.stop().await;
    }
    program.serve(&["serve", "--port", "0"]).await.terminate().await;
}

/// The statements of the service would fail, and it would say that it is ready.
async fn no_migration_is_reverted_beside_a_service(app: &TestApp) {
    let refused = Program::in_env(&app.env, &[]).run(&["migrate", "down", "--force"], "").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let reason = if app.is_embedded() { "served by another process: stop that one" } else { "stop every node" };
    assert!(refused.errors.contains(reason), "{refused:?}");
    assert!(app.admin().await.is_logged_in().await);
}

/// As with a backup of an earlier version that is restored under a running service.
async fn a_service_on_a_reverted_schema_is_not_ready(app: &TestApp) {
    app.allow_failures();
    let last = app.number("SELECT max(version) FROM _sqlx_migrations").await;
    app.execute(&format!("UPDATE _sqlx_migrations SET version = -version WHERE version = {last}")).await;
    app.wait_for_status("unavailable").await;
    app.execute(&format!("UPDATE _sqlx_migrations SET version = -version WHERE version = -{last}")).await;
    app.wait_for_status("ready").await;
}

#[tokio::test]
async fn commands_create_no_database_unless_they_need_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let environment = [("DATA_DIR", data.to_str().expect("UTF-8"))];
    for line in [&["migrate", "--status"][..], &["migrate", "down"], &["keys", "rotate"], &["events", "tail"]] {
        let (code, _, errors) = run(&environment, line).await;
        assert!(
            code == Some(1) && errors.contains("does not exist yet: run `faceofmind migrate`"),
            "{line:?}: {errors}"
        );
    }
    assert!(!data.exists());
}

async fn migrations_are_listed_reverted_and_applied(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let program = Program::in_env(&app.env, &[]);
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
    assert_eq!(app.row_count("logins").await, 1);
    let down = program.run(&["migrate", "down", "--force"], "").await;
    assert_eq!(down.code, Some(0), "{down:?}");
    let status = program.run(&["migrate", "--status"], "").await;
    assert!(status.output.contains("not applied"), "{status:?}");
    assert_eq!(app.number(&format!("SELECT count(*) FROM users WHERE email = '{}'", ada.email)).await, 1);
    let up = program.run(&["migrate"], "").await;
    assert_eq!(up.code, Some(0), "{up:?}");
    assert!(!program.run(&["migrate", "--status"], "").await.output.contains("not applied"));
    assert_eq!(program.run(&["migrate"], "").await.code, Some(0), "a second run changes nothing");
}

async fn a_database_with_an_unknown_migration_is_left_alone(app: &TestApp) {
    app.stop().await;
    app.execute("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await;
    for line in [&["serve", "--port", "0"][..], &["migrate"], &["admin", "create", "--email", "a@b.org"]] {
        let exited = Program::in_env(&app.env, &[]).run(line, "a good long word\n").await;
        assert_eq!(exited.code, Some(1), "{line:?}: {exited:?}");
        assert!(exited.errors.contains("9999"), "{line:?}: {exited:?}");
    }
    app.execute("UPDATE _sqlx_migrations SET version = 1 WHERE version = 9999").await;
}

/// Runs the program with only these settings.
async fn run(environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let exited = Program::with_only(environment).run(arguments, "").await;
    (exited.code, exited.output, exited.errors)
}

#[tokio::test]
async fn the_version_is_printed() {
    let (code, output, _) = run(&[], &["--version"]).await;
    assert_eq!((code, output.trim()), (Some(0), concat!("faceofmind ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn settings_in_effect_are_listed_with_their_source_and_secrets_masked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "otp_expire_minutes = 7\nport = 9001\n").expect("written");
    let environment = [
        ("PORT", "9002"),
        ("DATABASE_URL", "postgresql+psycopg2://fom:hunter2@db/fom"),
        ("JWT_SECRET_TOKEN", "hunter2-hunter2-hunter2-hunter2-hunter2"),
    ];
    let (code, output, errors) =
        run(&environment, &["--config", file.to_str().expect("UTF-8"), "config", "check"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("port = 9002") && output.contains("otp_expire_minutes = 7"), "{output}");
    assert!(output.contains("own.toml") && !output.contains("hunter2") && !errors.contains("hunter2"), "{output}");
    assert!(!folder.path().join("data").exists(), "the command creates no files");
}

#[tokio::test]
async fn every_invalid_setting_is_reported_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "prot = 9001\nsmtp_port = \"x\"\n").expect("written");
    let environment = [("PORT", "99999"), ("SMTP_TLS", "maybe"), ("DATABASE_URL", "mysql://u:hunter2@db/x")];
    for command in [&["config", "check"][..], &["serve"], &["migrate"]] {
        let arguments = [&["--config", file.to_str().expect("UTF-8")], command].concat();
        let (code, _, errors) = run(&environment, &arguments).await;
        assert_eq!(code, Some(2), "{errors}");
        for name in ["PORT", "SMTP_TLS", "DATABASE_URL", "prot", "smtp_port"] {
            assert!(errors.contains(name), "{name} is not in {errors}");
        }
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[tokio::test]
async fn production_requires_secrets_and_refuses_test_hooks() {
    let (code, _, errors) = run(&[("FACEOFMIND_ENV", "production"), ("JWT_SECRET_TOKEN", "short")], &["serve"]).await;
    assert_eq!(code, Some(2), "{errors}");
    for name in ["JWT_SECRET_TOKEN", "JWT_REFRESH_TOKEN", "DATA_KEY", "test-hooks"] {
        assert!(errors.contains(name), "{name} is not in {errors}");
    }
    assert!(!errors.contains("short,") && !errors.contains("`short`"), "{errors}");
}

#[tokio::test]
async fn an_unknown_command_exits_with_2() {
    let (code, _, errors) = run(&[], &["sreve"]).await;
    assert_eq!(code, Some(2), "{errors}");
}
