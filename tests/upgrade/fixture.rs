//! Loads the fixtures and starts the service on them.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::{
    ConnectOptions,
    jetstream::{self, message::PublishMessage},
};
use faceofmind_db::{Connection, Tx, with_conn};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::person;
use crate::harness::{Mail, Person, Profile, TestApp};

/// Today's service on what an earlier version stored.
pub(super) struct Upgraded {
    pub(super) app: TestApp,
    pub(super) known: Value,
    /// The ids of unpublished events, in the order in which they were recorded.
    pub(super) unpublished: Vec<String>,
    /// The position of the last published event.
    pub(super) position: i64,
    /// The sender of this service's mails. All stories of the production profile share one mail server, and their recipients are the same.
    sender: String,
}

/// Replaces everything that `app` stored by the fixture of its profile, moves the clock to the moment at which the fixture was written,
/// and gives what its generator knew: tokens, codes, responses as they were sent. Leaves `app` stopped.
pub(super) async fn load(app: &TestApp) -> Value {
    app.stop().await;
    let folder = folder(app.env.profile);
    let known: Value = serde_json::from_str(&read(&folder, "known.json")).expect("JSON");
    let then: jiff::Timestamp = known["now"].as_str().expect("a time").parse().expect("RFC 3339");
    let ahead = then.duration_since(app.env.clock.now().to_jiff());
    app.env.clock.advance(Duration::try_from(ahead).expect("the date of the fixtures is in the future"));
    fill_database(app, read(&folder, "database.sql")).await;
    if let Some(url) = app.env.redis() {
        fill_redis(url, &read(&folder, "redis.jsonl")).await;
    }
    if let Some(url) = app.env.nats() {
        fill_stream(app, url, &known).await;
    }
    if app.is_embedded() {
        copy_mails(app, &folder.join("mail"));
    }
    known
}

fn folder(profile: Profile) -> PathBuf {
    let name = match profile {
        Profile::Embedded => "embedded",
        Profile::Production => "production",
    };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/upgrade").join(name)
}

async fn fill_database(app: &TestApp, rows: String) {
    let mut tx = app.database().begin().await.expect("the database answers");
    let drop_all = match tx.connection() {
        Connection::Postgres(..) => "DROP SCHEMA public CASCADE; CREATE SCHEMA public".to_owned(),
        Connection::Sqlite(c, _) => {
            // The tables behind a virtual table go with it.
            let sql = "SELECT m.name FROM sqlite_master m JOIN pragma_table_list t ON t.schema = 'main' AND t.name = m.name \
                WHERE t.type IN ('table', 'virtual') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.rowid DESC";
            let tables: Vec<(String,)> = sqlx::query_as(sql).fetch_all(c).await.expect("tables");
            let drops = tables.iter().map(|(table,)| format!("DROP TABLE {table};"));
            drops.fold("PRAGMA defer_foreign_keys = on;".to_owned(), |all, one| all + &one)
        }
    };
    run(&mut tx, drop_all).await;
    run(&mut tx, rows).await;
    tx.commit().await.expect("commits");
}

async fn fill_redis(url: &str, commands: &str) {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let () = redis::cmd("FLUSHDB").query_async(&mut connection).await.expect("empty");
    for line in commands.lines() {
        let words: Vec<String> = serde_json::from_str(line).expect("a command");
        let mut command = redis::cmd(&words[0]);
        words[1..].iter().fold(&mut command, |command, word| command.arg(word));
        let () = command.query_async(&mut connection).await.expect("a command of the fixture");
    }
}

/// Publishes what the earlier version had published, and the first event that it had not: as if it was killed after the acknowledgement
/// and before it stored the position.
async fn fill_stream(app: &TestApp, url: &str, known: &Value) {
    let context = connect(url).await;
    drop(context.delete_stream("FACEOFMIND").await);
    let subjects = vec!["faceofmind.v1.>".to_owned()];
    let config = jetstream::stream::Config { name: "FACEOFMIND".into(), subjects, ..Default::default() };
    context.create_stream(config).await.expect("a stream");
    let rows = app.texts("SELECT id || ' ' || envelope FROM events ORDER BY seq").await;
    let envelopes: HashMap<&str, &str> = rows.iter().filter_map(|row| row.split_once(' ')).collect();
    let published = known["stream"].as_array().expect("a list").iter();
    let published = published.map(|message| message.as_str().and_then(|text| text.split_once(' ')).expect("two words"));
    let mut messages: Vec<(String, String)> = published.map(|(subject, id)| (subject.into(), id.into())).collect();
    let next = unpublished(app).await.remove(0);
    let event: Value = serde_json::from_str(envelopes[next.as_str()]).expect("JSON");
    let kind = event["type"].as_str().expect("a type");
    messages.push((format!("{kind}.{}", event["data"]["user_id"]), next));
    for (subject, id) in messages {
        let message = PublishMessage::build().message_id(&id).header("Content-Type", "application/cloudevents+json");
        let envelope = Some(envelopes[id.as_str()]).filter(|envelope| !envelope.is_empty());
        let envelope = envelope.map_or_else(|| envelope_of_erased_user(&subject, &id), str::to_owned);
        let message = message.payload(envelope.into());
        let sent = context.send_publish(subject, message).await;
        sent.expect("sent").await.expect("stored");
    }
}

/// Makes the envelope of an event of an erased user. The outbox has only its position; the stream has the message until `user.deleted`.
fn envelope_of_erased_user(subject: &str, id: &str) -> String {
    let (kind, user) = subject.rsplit_once('.').expect("a user's id");
    let user: i64 = user.parse().expect("an id");
    let event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "/faceofmind/user-api",
        "subject": format!("user/{user}"),
        "time": "2035-03-05T02:00:01Z",
        "type": kind,
        "datacontenttype": "application/json",
        "causedby": "anonymous",
        "data": { "user_id": user },
    });
    event.to_string()
}

fn copy_mails(app: &TestApp, from: &Path) {
    let to = app.env.data_dir().join("mail");
    fs::create_dir_all(&to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let mail = entry.expect("an entry");
        fs::copy(mail.path(), to.join(mail.file_name())).expect("copied");
    }
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file} of the fixture: {error}"))
}

async fn run(tx: &mut Tx, sql: String) {
    let done = with_conn!(tx.connection(), c => sqlx::raw_sql(AssertSqlSafe(sql)).execute(c).await.map(drop));
    done.expect("statements of the fixture");
}

async fn connect(url: &str) -> jetstream::Context {
    let (login, server) = url.trim_start_matches("nats://").split_once('@').expect("a user");
    let (user, password) = login.split_once(':').expect("a password");
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    jetstream::new(options.connect(server).await.expect("NATS answers"))
}

async fn unpublished(app: &TestApp) -> Vec<String> {
    app.texts("SELECT id FROM events WHERE position IS NULL ORDER BY seq").await
}

/// The settings of the fixtures.
pub(super) fn settings() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../fixtures/upgrade/settings.env").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).collect()
}

impl Upgraded {
    /// Loads the fixture and starts today's service on it.
    pub(super) async fn start(before: &TestApp) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let known = load(before).await;
        let unpublished = unpublished(before).await;
        let position = before.number("SELECT max(position) FROM events").await;
        let sender = format!("service.{}.{}@upgrade.test", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let settings = [settings().as_slice(), &[("SMTP_EMAIL", &sender)]].concat();
        Self { app: before.another_node(&settings).await, known, unpublished, position, sender }
    }

    /// A person of the fixtures with the tokens of their login.
    pub(super) fn person(&self, name: &str) -> Person {
        let known = &self.known["people"][name];
        let token = |field: &str| known[field].as_str().unwrap_or_default().to_owned();
        let id = known["id"].as_i64().unwrap_or_default();
        Person { id, access: token("access"), refresh: token("refresh"), ..person(&self.app, name) }
    }

    /// The code that was mailed to a person shortly before the upgrade.
    pub(super) fn code(&self, name: &str) -> &str {
        self.known["codes"][name].as_str().expect("a code")
    }

    /// The next mail of this service to that address.
    pub(super) async fn mail_to(&self, address: &str) -> Mail {
        loop {
            let mail = self.app.mail_to(address).await;
            if mail.from == self.sender {
                return mail;
            }
        }
    }

    /// Waits until the queue is empty, then checks that no further mail went to that address.
    pub(super) async fn expect_no_mail_to(&self, address: &str) {
        self.app.wait_until_mailed().await;
        while self.app.env.inbox.unread_to(address).is_some() {
            let mail = self.app.mail_to(address).await;
            assert_ne!(mail.from, self.sender, "{mail:?}");
        }
    }

    /// Stops the service. The dead letter of the fixture must still be there; it is removed only now.
    pub(super) async fn end(self) {
        let dead = self.app.texts("SELECT occasion FROM mail_intents WHERE dead_at IS NOT NULL").await;
        assert_eq!(dead, [format!("{{\"why\":\"password_changed\",\"user\":{}}}", self.person("pat").id)]);
        self.app.execute("DELETE FROM mail_intents WHERE dead_at IS NOT NULL").await;
        self.app.stop().await;
    }
}
