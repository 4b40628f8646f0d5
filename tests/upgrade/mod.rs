//! Today's version on what an earlier one stored: database, mail queue, codes, counters, stored responses, event stream.
//! `tests/fixtures/upgrade/README.md` describes the fixtures.

use reqwest::Method;
use serde_json::{Value, json};

use self::fixture::Upgraded;
use crate::harness::{Person, Program, Response, TestApp, tests_on_both_profiles};

mod accounts;
mod fixture;
mod queues;
mod records;

/// The people of the fixtures. The client of each has an address of its own, numbered by the place in this list.
const PEOPLE: [&str; 16] = [
    "grace", "ada", "paul", "dora", "sam", "mia", "rex", "una", "ivy", "leo", "kim", "fran", "tom", "pat", "nina",
    "eva",
];
/// The device of every login that names no other.
const PHONE: &str = "Phone/1";

fn address(name: &str) -> String {
    let number = PEOPLE.iter().position(|known| *known == name).expect("a person of the fixtures");
    format!("203.0.113.{}", number + 1)
}

/// A person of the fixtures, without tokens.
fn person(app: &TestApp, name: &str) -> Person {
    let first_name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let (email, password) = (format!("{name}@upgrade.test"), format!("the long password of {name}"));
    let (client, last_name) = (app.client_from(&address(name)), "Quillon".to_owned());
    Person { email, password, first_name, last_name, client, id: 0, access: String::new(), refresh: String::new() }
}

async fn log_in_with(person: &Person, device: &str) -> Response {
    let body = json!({ "email": person.email, "password": person.password });
    person.client.api(Method::POST, "/auth/login").header("user-agent", device).json(&body).send().await
}

async fn keyed(person: &Person, path: &str, key: &str, body: &Value) -> Response {
    person.api(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

tests_on_both_profiles! {
    there_is_nothing_to_migrate,
}

async fn there_is_nothing_to_migrate(app: &TestApp) {
    fixture::load(app).await;
    let sql = "SELECT version || ' ' || description || ' ' || success || ' ' || installed_on FROM _sqlx_migrations ORDER BY version";
    let before = app.texts(sql).await;
    let program = Program::in_env(&app.env, &fixture::settings());
    let status = program.run(&["migrate", "--status"], "").await;
    let later = status.output.lines().skip(before.len());
    assert_eq!(status.output.matches("not applied").count(), later.count(), "{status:?}");
    let migrated = program.run(&["migrate"], "").await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let after = app.texts(sql).await;
    assert_eq!(after[..before.len()], before);
    // Every story must end without a dead letter.
    app.execute("DELETE FROM mail_intents").await;
}
